//! What a reader has made of lines: events, threads that live, and what could not be read.

use std::collections::HashSet;
use std::mem;

use vmadiff_contract::PAGE_SIZE;

use super::{MIXED, NO_CALL, Pending, Reader};
use crate::program::strace::body::Notice;
use crate::program::strace::log::{Event, Unread, canonical};
use crate::program::strace::reply::{Answer, Reply, number};
use crate::program::strace::time::Nanos;

impl Reader {
    /// In a log with output of the program, digits of it may stand right behind the last number of
    /// a call: `4096` and `17` are `409617`. What is no number of pages is sure only if the log maps
    /// just that.
    pub(super) fn drop_doubtful(&mut self) {
        let is_output = |unread: &Unread| [NO_CALL, MIXED].contains(&unread.why);
        if !self.log.unread.iter().any(is_output) {
            return;
        }
        let maps = self
            .log
            .events
            .iter()
            .filter(|event| event.call() == "mmap");
        let mapped: HashSet<_> = maps.map(|event| (event.value(), event.number(1))).collect();
        let is_doubtful = |event: &Event| {
            let last = match event.call() {
                "munmap" if mapped.contains(&(event.number(0), event.number(1))) => return false,
                "munmap" | "mlock" | "munlock" => 1,
                // Old versions write the offset of mmap2 in pages.
                "mmap" if event.name == "mmap2" => return false,
                "mmap" => 5,
                "brk" if event.value() == event.number(0) => return false,
                "brk" => 0,
                _ => return false,
            };
            let text = event.arg(last);
            let is_padded = text.len() > 1 && text.starts_with('0') && !text.starts_with("0x");
            is_padded || number(text).is_some_and(|last| !last.is_multiple_of(PAGE_SIZE))
        };
        for event in mem::take(&mut self.log.events) {
            if is_doubtful(&event) {
                let text = format!("{}({}", event.name, event.args.join(", "));
                self.unread(event.line, &event.name, MIXED, &text);
            } else {
                self.log.events.push(event);
            }
        }
    }

    /// The event of a call; a new one if this is its first part.
    pub(super) fn place(&mut self, call: &Pending) -> usize {
        match call.of {
            Some(at) => at,
            None => {
                let event = self.event(call.line, call.pid, &call.name, call.time);
                self.log.events.push(event);
                self.log.events.len() - 1
            }
        }
    }

    pub(super) fn begin(&mut self, call: &Pending, pid: u32, part: String) {
        let at = self.place(call);
        self.log.events[at].becomes = Some(pid).filter(|pid| *pid != call.pid);
        // A thread that dies in a call leaves it open; a later one replaces it.
        self.open.insert(pid, (at, part));
    }

    pub(super) fn finish(&mut self, call: &Pending, args: Vec<String>, answer: Answer) {
        // The explanation of an error may be in the next line.
        self.ending =
            (!answer.is_certain && matches!(answer.reply, Reply::Error(_))).then_some(")");
        let at = self.place(call);
        let event = &mut self.log.events[at];
        event.end = call.line;
        event.args = args;
        event.reply = answer.reply;
        event.took = answer.took;
        if matches!(event.name.as_str(), "mmap2" | "old_mmap") {
            self.log.is_32_bit = true;
        }
        if is_end(&event.name) {
            self.live.retain(|live| *live != call.pid);
        }
    }

    pub(super) fn event(&self, line: usize, pid: u32, name: &str, time: Option<Nanos>) -> Event {
        Event {
            file: self.file,
            line,
            begin: line,
            end: line,
            pid,
            name: name.to_owned(),
            args: Vec::new(),
            reply: Reply::Unknown,
            becomes: None,
            time,
            took: None,
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Attached(pid, threads) => {
                self.log.attached.push((pid, threads));
                self.thread(Some(pid));
            }
            Notice::Detached(pid) => self.live.retain(|live| *live != pid),
            Notice::Mode(_, is_32_bit) => self.log.is_32_bit |= is_32_bit,
            Notice::Other => {}
        }
    }

    /// Without a name it is the only one that lives; before any is named, the first.
    pub(super) fn thread(&mut self, named: Option<u32>) -> u32 {
        match (named, self.live.as_slice()) {
            (Some(pid), live) => {
                if !live.contains(&pid) {
                    self.live.push(pid);
                }
                pid
            }
            (None, [only]) => *only,
            (None, _) => 0,
        }
    }

    pub(super) fn drop_pending(&mut self, why: &'static str) {
        if let Some(call) = self.pending.take() {
            self.unread_call(&call, why);
        }
    }

    pub(super) fn unread_call(&mut self, call: &Pending, why: &'static str) {
        let text = format!("{}({}", call.name, call.text);
        self.unread(call.line, &call.name, why, &text);
    }

    pub(super) fn unread(&mut self, line: usize, name: &str, why: &'static str, text: &str) {
        self.log.unread.push(Unread {
            file: self.file,
            line,
            name: name.to_owned(),
            why,
            text: text.trim().chars().take(60).collect(),
        });
    }
}

fn is_end(name: &str) -> bool {
    matches!(canonical(name), "exit" | "exit_group")
}
