//! Limits and policies that a program sets or asks for, and what is younger than the rules.

use vmadiff_contract::{Call, CallKind, QueryFlags, Resource};

use super::{Skipped, Translator, argument, has_result};
use crate::program::shape::{self, Param, Words};
use crate::program::strace::Linux;
use crate::program::strace::log::Event;
use crate::program::strace::reply::{Reply, number};
use crate::program::strace::tasks::Thread;
use crate::program::text::younger::{Also, younger};

/// System calls that came after 5.1, with the version that brought them.
const YOUNGER: [(&str, &str); 9] = [
    ("process_madvise", "5.10"),
    ("memfd_secret", "5.14"),
    ("process_mrelease", "5.15"),
    ("set_mempolicy_home_node", "5.17"),
    ("cachestat", "6.5"),
    ("map_shadow_stack", "6.6"),
    ("mseal", "6.10"),
    ("pidfd_open", "5.3"),
    ("io_uring_setup", "5.1"),
];

/// Why a call is not one of the model's.
pub(super) fn unknown(name: &str) -> String {
    let since = YOUNGER.iter().find(|(younger, _)| *younger == name);
    match since {
        Some((_, since)) => format!("came with Linux {since}, and the rules are those of 5.1"),
        None => "not a call that the model has".into(),
    }
}

impl Translator<'_> {
    /// setrlimit and prlimit64, where they set a limit of the process that makes them.
    pub(super) fn limit(&mut self, event: &Event, thread: Thread) -> Result<(), Skipped> {
        let first = match event.call() {
            "prlimit64" | "prlimit" => {
                let own = event.number(0) == Some(0) || event.number(0) == Some(event.pid.into());
                if !own {
                    return Err("of another process".into());
                }
                1
            }
            _ => 0,
        };
        let new = event.arg(first + 1);
        if new == "NULL" {
            return Err("only asks for a limit".into());
        }
        has_result(event)?;
        let resource = argument(event.arg(first), Param::Resource)?;
        let resource = Resource::from_number(resource as u32);
        match resource {
            Resource::Other(number) if number < 16 => return Err("of no limit of memory's".into()),
            Resource::NoFile => return Err("of descriptors, which have other numbers here".into()),
            _ => {}
        }
        let (soft, hard) = limits(new).ok_or("with limits that the log does not tell")?;
        let call = Call::SetRlimit {
            resource,
            soft,
            hard,
        };
        self.push(event, thread.task, call, self.outcome(event));
        Ok(())
    }

    /// get_mempolicy: what it told stands behind pointers, and depends on the machine's nodes.
    pub(super) fn query(&mut self, event: &Event, thread: Thread) -> Result<(), Skipped> {
        has_result(event)?;
        let addr = argument(event.arg(3), Param::Addr)?;
        let flags = QueryFlags::from_bits_retain(argument(event.arg(4), Param::QueryFlags)? as u32);
        if flags.contains(QueryFlags::NODE) {
            return Err("of a node, and the model's pages have none".into());
        }
        if flags.contains(QueryFlags::ADDR) {
            self.check_is_known(CallKind::Mprotect, thread, addr, 1, event)?;
        }
        let call = Call::GetMempolicy { addr, flags };
        match &event.reply {
            Reply::Error(_) => self.push(event, thread.task, call, self.outcome(event)),
            Reply::Value(_) | Reply::Unknown => {
                let (file, line) = (event.file, event.line);
                let linux = Linux {
                    file,
                    line,
                    outcome: None,
                    text: "?".to_owned(),
                };
                self.push_step(thread.task, call, linux);
            }
        }
        Ok(())
    }

    /// Looks for what is younger than 5.1 in a call that is about to be taken: what the log says of
    /// it then is not what 5.1 answers.
    pub(super) fn age(
        &mut self,
        event: &Event,
        kind: CallKind,
        words: &Words,
    ) -> Result<Option<&'static Also>, Skipped> {
        let mut both = shape::params(kind).iter().zip(words);
        let found = both.find_map(|(&param, &word)| younger(param, word));
        let succeeded = matches!(event.reply, Reply::Value(_));
        let Some(also) = found.filter(|_| succeeded) else {
            return Ok(None);
        };
        let said = format!("{} came with Linux {}", also.name, also.since);
        // Advice changes no areas; anything else leaves others than 5.1 would.
        if kind != CallKind::Madvise {
            return Err(format!("with what 5.1 does not have: {said}"));
        }
        let case = &mut self.import.case;
        let said = format!("{said}: to 5.1 it is unknown");
        case.notes.push((case.program.calls.len(), said));
        Ok(Some(also))
    }
}

/// Both limits of `{rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}`.
fn limits(text: &str) -> Option<(u64, u64)> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let (soft, hard) = inside.split_once(',')?;
    Some((limit(soft)?, limit(hard)?))
}

fn limit(text: &str) -> Option<u64> {
    let text = text.trim();
    let value = text.split_once('=').map_or(text, |(_, value)| value);
    if matches!(value, "RLIM64_INFINITY" | "RLIM_INFINITY") {
        return Some(u64::MAX);
    }
    let mut factors = value.split('*').map(|factor| number(factor.trim()));
    factors.try_fold(1_u64, |product, factor| product.checked_mul(factor?))
}

#[cfg(test)]
mod tests {
    use super::limits;

    #[test]
    fn limits_are_read_as_strace_writes_them() {
        for (text, expected) in [
            (
                "{rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}",
                Some((8 << 20, u64::MAX)),
            ),
            ("{rlim_cur=0, rlim_max=4*1024}", Some((0, 4096))),
            ("{8192*1024, RLIM_INFINITY}", Some((8 << 20, u64::MAX))),
            ("0x7ffd1234", None),
            ("{rlim_cur=, rlim_max=1}", None),
        ] {
            assert_eq!(limits(text), expected, "{text}");
        }
    }
}
