//! The settings of a program's configuration: their names and numbers, and which values are sane.
//!
//! Bytes hold numbers, text holds names; both read this table. A number is for ever.

use vmadiff_contract::{Config, PAGE_SIZE};

/// One field of [`Config`].
pub struct Setting {
    /// Its number in program bytes.
    pub number: u8,
    /// Its name in program text, which is the field's.
    pub name: &'static str,
    /// How its value is written.
    pub unit: Unit,
    /// The least value.
    pub min: u64,
    /// The greatest value.
    pub max: u64,
    get: fn(&Config) -> u64,
    set: fn(&mut Config, u64),
}

/// How a setting's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number; the greatest of 64 bits is `unlimited`.
    Count,
    /// A page-aligned address.
    Address,
    /// Bytes; the greatest of 64 bits is `unlimited`.
    Bytes,
    /// `true` or `false`.
    Truth,
}

/// How much of its range a value that is out of range is folded into: small limits are the
/// interesting ones.
const FOLD: u64 = 64;

/// The greatest `TASK_SIZE` of x86-64 with four levels of page tables.
const TASK_SIZE_MAX: u64 = (1 << 47) - PAGE_SIZE;

/// The least `TASK_SIZE`: the window, the heap above it, and as much again.
const TASK_SIZE_MIN: u64 = 2 * Config::WINDOW;

impl Setting {
    /// The value that a configuration has.
    pub fn get(&self, config: &Config) -> u64 {
        (self.get)(config)
    }

    /// Changes a configuration. The value must be sane ([`Setting::fit`]).
    pub fn set(&self, config: &mut Config, value: u64) {
        (self.set)(config, value);
    }

    /// The sane value nearest in meaning: itself, if it is sane. Addresses are rounded down to a
    /// page; what is out of range is folded into the lowest 64 values of the range.
    pub fn fit(&self, value: u64) -> u64 {
        let step = match self.unit {
            Unit::Address => PAGE_SIZE,
            Unit::Count | Unit::Bytes | Unit::Truth => 1,
        };
        let value = value - value % step;
        if (self.min..=self.max).contains(&value) {
            return value;
        }
        let fold = ((self.max - self.min) / step).saturating_add(1).min(FOLD);
        self.min + value / step % fold * step
    }

    /// The setting of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The setting of this number, modulo how many there are.
    pub(super) fn by_number(number: u8) -> &'static Self {
        &SETTINGS[usize::from(number) % SETTINGS.len()]
    }
}

/// Makes a configuration sane in itself: no placement and no heap above the end of the address
/// space. Doing it twice changes nothing.
pub fn fit_together(config: &mut Config) {
    config.mmap_base = config.mmap_base.min(config.task_size);
    config.start_brk = config.start_brk.min(config.task_size);
}

macro_rules! settings {
    ($(
        $number:literal $field:ident: $unit:ident $min:expr => $max:expr, $to:expr, $from:expr;
    )*) => {
        /// Every setting, in the order of their numbers, which count from 0 without a gap.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            number: $number,
            name: stringify!($field),
            unit: Unit::$unit,
            min: $min,
            max: $max,
            get: |config| ($to)(config.$field),
            set: |config, value| config.$field = ($from)(value),
        }),*];
    };
}

settings! {
    0 tasks: Count 1 => 8, u64::from, |x| x as u8;
    1 max_map_count: Count 0 => i32::MAX as u64, u64::from, |x| x as u32;
    2 task_size: Address TASK_SIZE_MIN => TASK_SIZE_MAX, |x| x, |x| x;
    3 mmap_base: Address PAGE_SIZE => TASK_SIZE_MAX, |x| x, |x| x;
    4 legacy_layout: Truth 0 => 1, u64::from, |x| x != 0;
    5 mmap_min_addr: Address 0 => TASK_SIZE_MIN, |x| x, |x| x;
    6 start_brk: Address PAGE_SIZE => TASK_SIZE_MAX, |x| x, |x| x;
    7 stack_guard_gap: Count 0 => 1 << 20, |x| x, |x| x;
    8 rlimit_as: Bytes 0 => u64::MAX, |x| x, |x| x;
    9 rlimit_data: Bytes 0 => u64::MAX, |x| x, |x| x;
    10 rlimit_stack: Bytes 0 => u64::MAX, |x| x, |x| x;
    11 rlimit_memlock: Bytes 0 => u64::MAX, |x| x, |x| x;
    12 rlimit_nofile: Count 0 => 1024, u64::from, |x| x as u32;
    13 cap_ipc_lock: Truth 0 => 1, u64::from, |x| x != 0;
    14 commit_limit: Count 0 => u64::MAX, |x| x, |x| x;
    15 reuse_slots: Truth 0 => 1, u64::from, |x| x != 0;
    16 nodes: Count 1 => 64, u64::from, |x| x as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_places_in_the_table() {
        for (i, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(usize::from(setting.number), i, "{}", setting.name);
        }
    }

    #[test]
    fn the_default_is_sane() {
        let config = Config::default();
        for setting in SETTINGS {
            let value = setting.get(&config);
            assert_eq!(setting.fit(value), value, "{}", setting.name);
        }
        let mut fitted = config.clone();
        fit_together(&mut fitted);
        assert_eq!(fitted, config);
    }

    #[test]
    fn every_value_is_made_sane_once() {
        let edges = [
            0,
            1,
            7,
            8,
            9,
            4095,
            4096,
            1 << 31,
            (1 << 47) - 4096,
            1 << 47,
        ];
        for setting in SETTINGS {
            for value in edges.into_iter().chain([u64::MAX - 1, u64::MAX]) {
                let once = setting.fit(value);
                assert!(
                    (setting.min..=setting.max).contains(&once),
                    "{} {value}",
                    setting.name
                );
                assert_eq!(setting.fit(once), once, "{} {value}", setting.name);
                let mut config = Config::default();
                setting.set(&mut config, once);
                assert_eq!(setting.get(&config), once, "{} {value}", setting.name);
            }
        }
    }

    /// Destructured without `..`, so that a new field cannot be forgotten in the table.
    #[test]
    fn every_field_is_in_the_table() {
        let Config {
            tasks: _,
            max_map_count: _,
            task_size: _,
            mmap_base: _,
            legacy_layout: _,
            mmap_min_addr: _,
            start_brk: _,
            stack_guard_gap: _,
            rlimit_as: _,
            rlimit_data: _,
            rlimit_stack: _,
            rlimit_memlock: _,
            rlimit_nofile: _,
            cap_ipc_lock: _,
            commit_limit: _,
            reuse_slots: _,
            nodes: _,
        } = Config::default();
        assert_eq!(SETTINGS.len(), 17);
    }
}
