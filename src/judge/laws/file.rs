//! The references to files: one for each descriptor, one for each VMA, and gone with the last.

use vmadiff_contract::{FileId, Snapshot, VmaId};

use super::vma::{Vmas, about};
use super::{Broken, Obeyed, broken};
use crate::judge::{Object, Rule};

/// More files than any program can make: no event announces a file, so a name is checked by size.
const MAX_FILES: u32 = 1 << 16;

/// All files of a run, as far as they were seen; the one with ordinal `n` is at `n - 1`.
#[derive(Default)]
pub struct Files {
    seen: Vec<Seen>,
    live: usize,
    /// References by the state's own descriptors and areas, while a state is checked; otherwise
    /// zeros.
    refs: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    Live,
    Freed,
}

impl Files {
    pub fn reset(&mut self) {
        let Self { seen, live, refs } = self;
        seen.clear();
        *live = 0;
        refs.clear();
    }

    pub fn put(&mut self, file: FileId) -> Obeyed {
        match self.slot(file)? {
            Seen::Freed => Err(file_broken(
                Rule::FileUsedAfterFree,
                file,
                "was put after it was freed",
            )),
            Seen::Not | Seen::Live => Ok(()),
        }
    }

    pub fn free(&mut self, file: FileId) -> Obeyed {
        match std::mem::replace(self.slot(file)?, Seen::Freed) {
            Seen::Freed => Err(file_broken(Rule::FileFreedOnce, file, "was freed twice")),
            Seen::Live => {
                self.live -= 1;
                Ok(())
            }
            Seen::Not => Ok(()),
        }
    }

    pub fn settle(&mut self, state: &Snapshot) -> Obeyed {
        for f in &state.files {
            match self.slot(f.file)? {
                Seen::Live => {}
                seen @ Seen::Not => {
                    *seen = Seen::Live;
                    self.live += 1;
                }
                Seen::Freed => {
                    let what = "was freed and is still there";
                    return Err(file_broken(Rule::FileUsedAfterFree, f.file, what));
                }
            }
        }
        if self.live != state.files.len() {
            return Err(self.vanished(state));
        }
        self.settle_refs(state)
    }

    fn vanished(&self, state: &Snapshot) -> Box<Broken> {
        let shown = |file| state.files.iter().any(|f| f.file == file);
        let live = self
            .seen
            .iter()
            .enumerate()
            .filter(|(_, seen)| **seen == Seen::Live);
        let mut names = live.map(|(i, _)| FileId(i as u32 + 1));
        let file = names.find(|&file| !shown(file)).unwrap_or_default();
        file_broken(Rule::FileFreedOnce, file, "is gone and was not freed")
    }

    fn settle_refs(&mut self, state: &Snapshot) -> Obeyed {
        self.refs.resize(self.seen.len() + 1, 0);
        let mut uncounted = 0;
        let by_areas = state.vmas.iter().filter_map(|v| v.file);
        for file in state.fds.iter().map(|d| d.file).chain(by_areas) {
            match self.refs.get_mut(file.0 as usize) {
                Some(refs) => *refs += 1,
                None => {
                    return Err(file_broken(
                        Rule::FileReferences,
                        file,
                        "is held and unknown",
                    ));
                }
            }
            uncounted += 1;
        }
        for f in &state.files {
            let held = std::mem::take(&mut self.refs[f.file.0 as usize]);
            if f.refs != held {
                let what = format!("counts {} references and has {held}", f.refs);
                return Err(file_broken(Rule::FileReferences, f.file, &what));
            }
            uncounted -= held;
        }
        if uncounted != 0 {
            return Err(self.gone());
        }
        Ok(())
    }

    /// A file is held that is not among those of the state.
    #[cold]
    fn gone(&self) -> Box<Broken> {
        let held = self.refs.iter().position(|&refs| refs != 0).unwrap_or(0);
        let file = FileId(held as u32);
        file_broken(Rule::FileReferences, file, "is held and not there")
    }

    fn slot(&mut self, file: FileId) -> Result<&mut Seen, Box<Broken>> {
        if file.0 == 0 || file.0 > MAX_FILES {
            return Err(file_broken(
                Rule::Ordinal,
                file,
                "is named and cannot exist",
            ));
        }
        let at = file.0 as usize - 1;
        if self.seen.len() <= at {
            self.seen.resize(at + 1, Seen::Not);
        }
        Ok(&mut self.seen[at])
    }
}

impl Vmas {
    pub fn put_file(&mut self, vma: VmaId, file: FileId) -> Obeyed {
        let record = self.live_record(vma)?;
        if record.put {
            return Err(about(Rule::FilePut, vma, "put its file twice"));
        }
        record.put = true;
        if record.has_close && !record.closed {
            return Err(about(
                Rule::VmaClose,
                vma,
                "put its file before it was closed",
            ));
        }
        match record.file {
            Some(held) if held != file => Err(about(
                Rule::FilePut,
                vma,
                &format!("put {file} and holds {held}"),
            )),
            _ => Ok(()),
        }
    }
}

#[cold]
fn file_broken(rule: Rule, file: FileId, what: &str) -> Box<Broken> {
    broken(rule, Object::File(file), format!("{file} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::{FdState, FileState};

    /// One file, opened once.
    fn opened() -> Snapshot {
        let file = FileId(1);
        let mut state = Snapshot::default();
        state.fds.push(FdState {
            mm: Default::default(),
            fd: Default::default(),
            file,
        });
        state.files.push(FileState {
            file,
            kind: None,
            refs: 1,
            size: 0,
        });
        state
    }

    #[test]
    fn a_held_file_is_among_the_files() {
        let (mut files, mut state) = (Files::default(), opened());
        assert!(files.settle(&state).is_ok());
        assert!(files.free(FileId(1)).is_ok());
        state.files.clear();
        let rule = files.settle(&state).map_err(|broken| broken.rule);
        assert_eq!(rule, Err(Rule::FileReferences));
    }

    #[test]
    fn counts_start_at_zero_for_each_state() {
        let (mut files, state) = (Files::default(), opened());
        for _ in 0..3 {
            assert!(files.settle(&state).is_ok());
        }
    }
}
