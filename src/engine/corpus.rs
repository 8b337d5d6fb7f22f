//! A job's corpus: what its folder has goes to libFuzzer in the place of mutations, and what
//! libFuzzer keeps goes into the folder.

use std::path::Path;

use anyhow::{Context, Result};

use super::folder::Folder;
use super::novelty::{Novelty, Worth};

/// The inputs that libFuzzer keeps, and where they are written.
pub struct Corpus {
    folder: Folder,
    novelty: Novelty,
    /// The input that is executed next came out of the folder, or is libFuzzer's own first one.
    is_known: bool,
}

impl Corpus {
    /// With the inputs in a folder, of which so many bytes may be held back for lack of room; libFuzzer
    /// looks at so many counters.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn open(
        folder: &Path,
        is_shared: bool,
        held_bytes_most: usize,
        counters: usize,
    ) -> Result<Self> {
        let opened = Folder::open(folder, is_shared, held_bytes_most);
        Ok(Self {
            folder: opened.with_context(|| folder.display().to_string())?,
            novelty: Novelty::new(counters),
            is_known: true,
        })
    }

    /// Takes note that libFuzzer is about to mutate an input; answers the one that it gets instead.
    pub fn instead_of(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let next = self.folder.next();
        self.is_known = next.is_some();
        if !self.is_known {
            self.novelty.mutates(input);
        }
        next
    }

    /// Takes note of an input that was executed and not rejected, with its counters.
    pub fn executed(&mut self, input: &[u8], counters: &[u8]) {
        let worth = self.novelty.executed(input, counters);
        if self.is_known || worth == Worth::None {
            return;
        }
        let file = self.folder.add(input);
        self.novelty.written(file);
        if let Worth::Shorter(Some(longer)) = worth {
            self.folder.remove(&longer);
        }
    }

    /// The folder.
    pub fn folder(&mut self) -> &mut Folder {
        &mut self.folder
    }
}
