//! Operands: 64-bit words in four classes, three of which fall where operands can meet.
//!
//! | class | address | length, offset | node mask |
//! |---|---|---|---|
//! | 0 | a page of the window | 1 to 8 pages | below 16 |
//! | 1 | a page above the window, where the heap is | 0 to 32 pages | below 16 |
//! | 2 | a byte of either | bytes, up to 33 pages | below 16 |
//! | 3 | the word itself | the word itself | the word itself |

use vmadiff_contract::{Config, PAGE_SIZE};

use crate::program::shape::Param;

const WINDOW: u64 = Config::WINDOW;
const PAGES: u64 = Config::WINDOW_PAGES;

/// The heap's side begins where the window ends, and is as large.
const HEAP_SIDE: u64 = WINDOW + PAGES * PAGE_SIZE;

/// Pages that a small length can have at most, and bytes.
const SMALL_PAGES: u64 = PAGES + 1;
const SMALL_BYTES: u64 = SMALL_PAGES * PAGE_SIZE;

/// Node masks below it are small.
const SMALL_NODES: u64 = 16;

/// The word that a parameter gets from an operand of this class.
#[inline]
pub(super) fn unpack(param: Param, class: u8, raw: u64) -> u64 {
    match (param, class) {
        (_, 3) => raw,
        (Param::Addr, 0) => WINDOW + raw % PAGES * PAGE_SIZE,
        (Param::Addr, 1) => HEAP_SIDE + raw % PAGES * PAGE_SIZE,
        (Param::Addr, _) => WINDOW + raw % (2 * PAGES * PAGE_SIZE),
        (Param::Nodes, _) => raw % SMALL_NODES,
        (_, 0) => (1 + raw % 8) * PAGE_SIZE,
        (_, 1) => raw % SMALL_PAGES * PAGE_SIZE,
        (_, _) => raw % SMALL_BYTES,
    }
}

/// The first class and operand that give this word.
#[inline]
pub(super) fn pack(param: Param, word: u64) -> (u8, u64) {
    let (pages, aligned) = (word / PAGE_SIZE, word.is_multiple_of(PAGE_SIZE));
    match param {
        Param::Addr => {
            let offset = word.wrapping_sub(WINDOW);
            match offset / PAGE_SIZE {
                page if aligned && page < PAGES => (0, page),
                page if aligned && page < 2 * PAGES => (1, page - PAGES),
                page if page < 2 * PAGES => (2, offset),
                _ => (3, word),
            }
        }
        Param::Nodes if word < SMALL_NODES => (0, word),
        Param::Nodes => (3, word),
        _ if aligned && (1..=8).contains(&pages) => (0, pages - 1),
        _ if aligned && pages < SMALL_PAGES => (1, pages),
        _ if word < SMALL_BYTES => (2, word),
        _ => (3, word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back() {
        let edges = [
            0,
            1,
            15,
            16,
            4095,
            4096,
            4097,
            SMALL_BYTES,
            SMALL_BYTES - 1,
            WINDOW - 1,
        ];
        let more = [
            WINDOW,
            WINDOW + 1,
            HEAP_SIDE - 1,
            HEAP_SIDE,
            HEAP_SIDE + PAGES * PAGE_SIZE,
        ];
        for param in [Param::Addr, Param::Len, Param::Off, Param::Nodes] {
            for word in edges
                .into_iter()
                .chain(more)
                .chain([u64::MAX, u64::MAX - 4095])
            {
                let (class, raw) = pack(param, word);
                assert_eq!(unpack(param, class, raw), word, "{param:?} {word:#x}");
            }
        }
    }

    #[test]
    fn random_operands_meet() {
        let near = |param, class, raw| match param {
            Param::Addr => (WINDOW..WINDOW + 64 * PAGE_SIZE).contains(&unpack(param, class, raw)),
            _ => unpack(param, class, raw) < SMALL_BYTES,
        };
        for raw in [0x0123_4567_89ab_cdef_u64, u64::MAX, 1 << 63] {
            for param in [Param::Addr, Param::Len, Param::Off, Param::Nodes] {
                assert!(
                    (0..3).all(|class| near(param, class, raw)),
                    "{param:?} {raw:#x}"
                );
            }
        }
    }
}
