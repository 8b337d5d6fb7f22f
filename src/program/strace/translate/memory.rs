//! Calls on memory, whose places must be the same in the program as they were in the log.

use vmadiff_contract::{CallKind, Fail, MapFlags, MoveFlags, PAGE_SIZE, TaskId};

use super::{Skipped, Translator, argument};
use crate::program::Step;
use crate::program::shape::{self, MAX_PARAMS, Param};
use crate::program::strace::files::Action;
use crate::program::strace::log::{Event, Reply};
use crate::program::strace::tasks::Thread;

impl Translator {
    /// What execve mapped is not in the log. A call that succeeds on it would fail in the program.
    pub(super) fn check_is_known(
        &self,
        task: TaskId,
        kind: CallKind,
        addr: u64,
        len: u64,
        event: &Event,
    ) -> Result<(), Skipped> {
        let takes_a_range = shape::params(kind).starts_with(&[Param::Addr, Param::Len]);
        if !takes_a_range || event.value().is_none() {
            return Ok(());
        }
        let space = self.world.space(task);
        let start = addr - addr % PAGE_SIZE;
        let end = addr.saturating_add(len);
        let is_known = match kind {
            CallKind::Munmap => !space.is_free(start, end),
            _ => space.covers(start, end),
        };
        if is_known {
            return Ok(());
        }
        Err("on memory that the log does not map".into())
    }

    pub(super) fn mmap(&mut self, at: usize, event: &Event, thread: Thread) -> Result<(), Skipped> {
        if event.reply == Reply::Unknown {
            return Err("it did not return".into());
        }
        let mut words = [0; MAX_PARAMS];
        for (i, &param) in shape::params(CallKind::Mmap).iter().enumerate() {
            words[i] = match param {
                Param::Fd => u64::MAX,
                _ => argument(event.arg(i), param)?,
            };
        }
        let flags = MapFlags::from_bits_retain(words[3] as u32);
        if !flags.contains(MapFlags::ANONYMOUS) {
            let used = self
                .files
                .actions(at)
                .iter()
                .find_map(|action| match action {
                    Action::Use(file) => Some(*file),
                    _ => None,
                });
            let fds = &self.tasks.processes[thread.process].fds;
            let fd = used
                .filter(|_| thread.shares_files)
                .and_then(|file| fds.get(&file));
            let fd = fd.ok_or("of a descriptor that the log does not open, or of a device")?;
            words[4] = i64::from(fd.0) as u64;
        }
        let outcome = self.outcome(event);
        let step = Step {
            task: thread.task,
            call: shape::build(CallKind::Mmap, &words),
            fail: Fail::NONE,
        };
        let fixed = flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
        if let Some(place) = event.value().filter(|_| !fixed)
            && self.world.placed(&step) != Some(place)
        {
            // Later calls name this place, so it becomes a hint.
            words[0] = place;
            self.import.summary.placed += 1;
        }
        self.push(
            event,
            thread.task,
            shape::build(CallKind::Mmap, &words),
            outcome,
        );
        Ok(())
    }

    pub(super) fn mremap(&mut self, event: &Event, thread: Thread) -> Result<(), Skipped> {
        let mut words = [0; MAX_PARAMS];
        for (i, &param) in shape::params(CallKind::Mremap)
            .iter()
            .enumerate()
            .take(event.args.len())
        {
            words[i] = argument(event.arg(i), param)?;
        }
        let task = thread.task;
        self.check_is_known(task, CallKind::Mprotect, words[0], words[1], event)?;
        let call = shape::build(CallKind::Mremap, &words);
        let step = Step {
            task,
            call,
            fail: Fail::NONE,
        };
        if let Some(place) = event.value()
            && self.world.placed(&step) != Some(place)
        {
            words[3] |= u64::from((MoveFlags::MAYMOVE | MoveFlags::FIXED).bits());
            words[4] = place;
            self.import.summary.placed += 1;
        }
        let call = shape::build(CallKind::Mremap, &words);
        self.push(event, task, call, self.outcome(event));
        Ok(())
    }
}
