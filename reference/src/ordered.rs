//! A list in order that grows at either end without moving the rest: most areas are placed below all
//! others, and a program may have tens of thousands.

use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut, Index, IndexMut, Range};
use std::slice::SliceIndex;
use std::vec::Drain;

/// Elements side by side, as a slice, with room before the first one.
#[derive(Clone, Debug)]
pub(crate) struct Ordered<T> {
    /// Room, filled with copies that nobody sees, and behind it the elements.
    all: Vec<T>,
    room: usize,
    /// This many elements at the end are as they were when `note` was written.
    unchanged: usize,
    note: u64,
    /// How often it may have changed.
    moves: u64,
}

/// Shorter lists have no room: to move them costs nothing.
const SHORT: usize = 32;

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            room: 0,
            unchanged: 0,
            note: 0,
            moves: 0,
        }
    }
}

impl<T: Clone> Ordered<T> {
    /// Puts an element at this place, by moving those of the shorter side.
    pub fn insert(&mut self, at: usize, new: T) {
        let len = self.len();
        self.keep_note(len - at);
        if len < SHORT || at > len / 2 {
            self.all.insert(self.room + at, new);
            return;
        }
        if self.room == 0 {
            // Twice as long each time, so that all moves together are as many as the elements.
            let copies = vec![self.all[0].clone(); len];
            self.all.splice(0..0, copies);
            self.room = len;
        }
        self.room -= 1;
        let (from, place) = (self.room, self.room + at);
        self.all[from..=place].rotate_left(1);
        self.all[place] = new;
    }

    /// Takes out the elements of a range.
    pub fn drain(&mut self, range: Range<usize>) -> Drain<'_, T> {
        self.keep_note(self.len() - range.end);
        self.all
            .drain(self.room + range.start..self.room + range.end)
    }

    /// Moves all elements behind those of a list.
    pub fn move_to(&mut self, list: &mut Vec<T>) {
        let all = 0..self.len();
        list.extend(self.drain(all));
    }

    /// Takes out all elements, and keeps the memory.
    pub fn clear(&mut self) {
        self.all.clear();
        self.room = 0;
        self.keep_note(0);
    }
}

impl<T> Ordered<T> {
    /// Notes something about this many elements at the end and how they lie.
    pub fn note(&mut self, last: usize, note: u64) {
        self.unchanged = last;
        self.note = note;
    }

    /// How many elements at the end are as they were when the note was written, and the note.
    pub fn noted(&self) -> (usize, u64) {
        (self.unchanged, self.note)
    }

    /// How often it may have changed.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// All but the last elements may change.
    fn keep_note(&mut self, last: usize) {
        self.moves += 1;
        self.unchanged = self.unchanged.min(last);
    }
}

impl<T> Deref for Ordered<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all[self.room..]
    }
}

impl<T> DerefMut for Ordered<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.keep_note(0);
        &mut self.all[self.room..]
    }
}

impl<T, I: SliceIndex<[T]>> Index<I> for Ordered<T> {
    type Output = I::Output;

    fn index(&self, at: I) -> &I::Output {
        &(**self)[at]
    }
}

impl<T> IndexMut<usize> for Ordered<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        // A place beyond the end is an error below.
        self.keep_note(self.len().saturating_sub(at + 1));
        &mut self.all[self.room + at]
    }
}

impl<'a, T> IntoIterator for &'a Ordered<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Hash> Hash for Ordered<T> {
    /// The elements alone: neither room nor note is part of what the list is.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::Ordered;

    /// As a plain vector does it, whatever the places.
    #[test]
    fn an_ordered_list_is_what_a_vector_is() {
        let (mut list, mut plain) = (Ordered::default(), Vec::new());
        let mut seed = 1_u64;
        for step in 0..3000_u64 {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(step);
            let at = |len: usize| (seed >> 33) as usize % (len + 1);
            match step % 7 {
                // Mostly in front, as areas come.
                0..3 => (list.insert(0, step), plain.insert(0, step)),
                3..6 => {
                    let at = at(plain.len());
                    (list.insert(at, step), plain.insert(at, step))
                }
                _ => {
                    let from = at(plain.len());
                    let to = plain.len().min(from + 3);
                    let gone: Vec<u64> = list.drain(from..to).collect();
                    assert_eq!(gone, plain.drain(from..to).collect::<Vec<_>>());
                    ((), ())
                }
            };
            assert_eq!(*list, plain[..]);
        }
        let mut moved = vec![7];
        list.move_to(&mut moved);
        assert!(list.is_empty() && moved[1..] == plain[..]);
    }

    #[test]
    fn a_note_is_of_what_has_not_changed_since() {
        let mut list = Ordered::default();
        (0..10).for_each(|number| list.insert(number, number));
        list.note(6, 7);
        list.insert(0, 10);
        assert_eq!(list.noted(), (6, 7));
        list[3] += 1;
        assert_eq!(list.noted(), (6, 7));
        list[6] += 1;
        assert_eq!(list.noted(), (4, 7));
        list.drain(6..8);
        assert_eq!(list.noted(), (3, 7));
        list.insert(7, 11);
        assert_eq!(list.noted(), (2, 7));
        list.reverse();
        assert_eq!(list.noted(), (0, 7));
    }
}
