//! The settings of a program's configuration: `config tasks=3 rlimit_as=1MiB`.

use std::fmt::{self, Formatter};

use vmadiff_contract::Config;

use super::cursor::{Cursor, Range};
use super::error::Fault;
use super::value;
use crate::program::settings::{SETTINGS, Setting, Unit, fit_together};

/// Writes what differs from the default, on one line.
pub(super) fn print(f: &mut Formatter<'_>, config: &Config) -> fmt::Result {
    let default = Config::default();
    let mut separator = "config ";
    for setting in SETTINGS {
        let value = setting.get(config);
        if value == setting.get(&default) {
            continue;
        }
        write!(f, "{separator}{}=", setting.name)?;
        separator = " ";
        match setting.unit {
            Unit::Count | Unit::Bytes if value == u64::MAX => f.write_str("unlimited")?,
            Unit::Count => write!(f, "{value}")?,
            Unit::Bytes | Unit::Address => value::print_hex(f, value)?,
            Unit::Truth => write!(f, "{}", value != 0)?,
        }
    }
    if separator == " " {
        writeln!(f)
    } else {
        Ok(())
    }
}

/// Reads `key=value` as often as it is there; at least once. `given` are those that have been read.
pub(super) fn parse(
    cursor: &mut Cursor<'_>,
    config: &mut Config,
    given: &mut Vec<&'static str>,
) -> Result<(), Fault> {
    let names = || SETTINGS.iter().map(|setting| setting.name);
    loop {
        let word = cursor.peek();
        let mut before = cursor.clone();
        let setting = cursor
            .take("a setting, as max_map_count=64", |cursor| {
                Setting::by_name(cursor.word())
            })
            .map_err(|fault| match word {
                "" => fault,
                _ => fault.near(word, names()),
            })?;
        if given.contains(&setting.name) {
            let fault = before.fault("each setting once");
            return Err(fault.help(format!("`{}` was given already", setting.name)));
        }
        given.push(setting.name);
        cursor.expect("=")?;
        let value = cursor.take(&sane(setting), |cursor| {
            let value = setting_value(cursor, setting)?;
            (setting.fit(value) == value).then_some(value)
        })?;
        setting.set(config, value);
        if cursor.is_at_end() || cursor.rest().starts_with('#') {
            break;
        }
    }
    let mut fitted = config.clone();
    fit_together(&mut fitted);
    if fitted == *config {
        return Ok(());
    }
    Err(cursor.fault("mmap_base and start_brk at or below task_size, which comes first"))
}

fn setting_value(cursor: &mut Cursor<'_>, setting: &Setting) -> Option<u64> {
    if setting.unit == Unit::Truth {
        return match cursor.word() {
            "true" | "1" => Some(1),
            "false" | "0" => Some(0),
            _ => None,
        };
    }
    if setting.max == u64::MAX
        && ["unlimited", "RLIM_INFINITY"]
            .iter()
            .any(|&w| cursor.eat_word(w))
    {
        return Some(u64::MAX);
    }
    cursor.sum("", Range::to(u64::MAX)).ok()
}

fn sane(setting: &Setting) -> String {
    let Setting { min, max, .. } = setting;
    match setting.unit {
        Unit::Truth => "true or false".to_owned(),
        Unit::Address => format!("an address, a multiple of 0x1000 from {min:#x} to {max:#x}"),
        Unit::Count | Unit::Bytes if *max == u64::MAX => "a number or unlimited".to_owned(),
        Unit::Count | Unit::Bytes => format!("a number from {min} to {max}"),
    }
}
