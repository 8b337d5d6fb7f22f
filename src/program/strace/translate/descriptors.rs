//! Calls on descriptors, as far as a file is mapped some time.

use vmadiff_contract::{Call, FileKind, Outcome};

use super::{Skipped, Translator, has_result};
use crate::program::strace::files::Action;
use crate::program::strace::log::Event;
use crate::program::strace::tasks::Thread;

/// Descriptors that a program may use, when the default is too few.
const MANY_FILES: u32 = 1024;

impl Translator<'_> {
    pub(super) fn truncate(
        &mut self,
        at: usize,
        event: &Event,
        thread: Thread,
    ) -> Result<(), Skipped> {
        let Some(&Action::Use(file)) = self.files.actions(at).first() else {
            return Err("its descriptor is never mapped".into());
        };
        let fds = &self.tasks.processes[thread.process].fds;
        let fd = fds.get(&file).copied().filter(|_| thread.shares_files);
        let fd = fd.ok_or("its descriptor is never mapped")?;
        has_result(event)?;
        let size = event.number(1).ok_or("its size is no number")?;
        self.push(
            event,
            thread.task,
            Call::Ftruncate { fd, size },
            self.outcome(event),
        );
        Ok(())
    }

    /// Opens and closes as far as the file is mapped some time.
    pub(super) fn descriptors(
        &mut self,
        at: usize,
        event: &Event,
        thread: Thread,
    ) -> Result<(), Skipped> {
        let mut result = Err("its descriptor is never mapped".into());
        if !thread.shares_files {
            return Err("of a thread with descriptors of its own".into());
        }
        for i in 0..self.files.actions(at).len() {
            let process = &mut self.tasks.processes[thread.process];
            match self.files.actions(at)[i] {
                Action::Open(file) if self.files.opened[file].is_mapped => {
                    let fd = process.free_fd();
                    process.fds.insert(file, fd);
                    let config = &mut self.import.case.program.config;
                    if fd.0 as u32 >= config.rlimit_nofile {
                        config.rlimit_nofile = MANY_FILES;
                    }
                    let opened = self.files.opened[file];
                    let call = Call::Open {
                        kind: FileKind::Plain,
                        access: opened.access,
                        size: opened.size(),
                    };
                    self.push(event, thread.task, call, Some(Outcome::Value(fd.0 as u64)));
                    result = Ok(());
                }
                Action::Close(file) => {
                    if let Some(fd) = process.fds.remove(&file) {
                        let outcome = Some(Outcome::Value(0));
                        self.push(event, thread.task, Call::Close { fd }, outcome);
                        result = Ok(());
                    }
                }
                Action::Open(_) | Action::Use(_) => {}
            }
        }
        result
    }
}
