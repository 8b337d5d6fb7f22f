//! Storage that only grows and never moves: what slabs and what is beside them stand in.

use std::sync::OnceLock;

use super::Handle;

/// Chunks after the first; each is as long as all before it together.
const CHUNKS: usize = 24;

/// Slots that are made when they are first asked for, and never move.
pub(super) struct Chunks<S> {
    first: Box<[S]>,
    more: [OnceLock<Box<[S]>>; CHUNKS],
}

impl<S: Default> Chunks<S> {
    pub fn new(first: usize) -> Self {
        Self {
            first: chunk(first),
            more: [const { OnceLock::new() }; CHUNKS],
        }
    }

    #[inline]
    pub fn at(&self, index: u32) -> &S {
        match self.first.get(index as usize) {
            Some(slot) => slot,
            None => self.at_of_more(index as usize),
        }
    }

    fn at_of_more(&self, index: usize) -> &S {
        // The first chunk's length is a power of two.
        let length = self.first.len();
        let chunk_number = (index.ilog2() - length.ilog2()) as usize;
        let begin = length << chunk_number;
        match self.more.get(chunk_number) {
            Some(more) => &more.get_or_init(|| chunk(begin))[index - begin],
            // More slots than memory has room for: only a torn handle gets here.
            None => &self.first[0],
        }
    }
}

fn chunk<S: Default>(length: usize) -> Box<[S]> {
    (0..length).map(|_| S::default()).collect()
}

/// What is kept beside the objects of a slab, by their slots: it outlives an object and is there
/// again for the next of its slot.
pub struct Beside<S>(Chunks<S>);

impl<S: Default> Beside<S> {
    /// For a slab whose first chunk has as many slots.
    pub fn new(first: usize) -> Self {
        Self(Chunks::new(first))
    }

    /// What is beside this object, dead or alive.
    #[inline]
    pub fn of<T>(&self, handle: Handle<T>) -> &S {
        self.0.at(handle.index())
    }
}
