//! What of the machine's state may have moved: who writes what a snapshot shows says so here, so that a
//! look can leave out the rest ([`Manager::moves`](vmadiff_contract::Manager::moves)).
//!
//! Counted by thread and not by machine: cells do not know whose they are. A machine's numbers rise by
//! what another one does on the same thread, too, and then it is looked at once more than need be.

use std::cell::Cell;

use vmadiff_contract::Moves;

/// Where something stands in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Nowhere, or where every look looks.
    Nothing,
    /// In the list of areas.
    Areas,
    /// Among pages.
    Pages,
    /// Among files, descriptors and limits.
    Files,
    /// In the bytes of pages or of files.
    Contents,
    /// Everywhere.
    All,
}

thread_local! {
    static MOVES: Cell<Moves> = const {
        Cell::new(Moves { areas: 0, pages: 0, files: 0 })
    };
}

/// What shows something there may have moved.
#[inline]
pub fn moved(shows: Shows) {
    if shows == Shows::Nothing {
        return;
    }
    let all = shows == Shows::All;
    let contents = shows == Shows::Contents || all;
    let mut moves = MOVES.get();
    moves.areas += u64::from(shows == Shows::Areas || all);
    moves.pages += u64::from(shows == Shows::Pages || contents);
    moves.files += u64::from(shows == Shows::Files || contents);
    MOVES.set(moves);
}

/// How often each part may have moved, on this thread.
pub fn moves() -> Moves {
    MOVES.get()
}
