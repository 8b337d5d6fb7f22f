//! Which pages of a file the page cache lacks (`i_pages`): none, until a step of the kernel takes one
//! out. A page that was never touched counts as cached, so it is the missing ones that are listed.
//!
//! Written under the lock of the file's pages; whoever looks without it sees one moment of it.

use parking_lot::Mutex;
use vmadiff_interleave::{Cell, Site};

use crate::core::moves::{Shows, moved};

/// Pages of a file that are not in the page cache, by their index.
#[derive(Default)]
pub struct Absent {
    /// How many there are. An access to it stands for the access to the page cache.
    count: Cell<u64>,
    /// Their indexes, ascending.
    pages: Mutex<Vec<u64>>,
    /// Where the pages end that a truncation has yet to drop; 0 if there are none.
    beyond: Cell<u64>,
}

impl Absent {
    /// None are missing, while nobody else can see the file.
    pub fn init(&self) {
        moved(Shows::Files);
        self.pages.lock().clear();
        self.count.init(0);
        self.beyond.init(0);
    }

    /// The size is about to be set to less than these pages: they stay until they are dropped
    /// (`truncate_inode_pages_range`). No scheduling point: it goes with the size.
    pub fn keep_to(&self, end: u64) {
        self.beyond.init(self.beyond.peek().max(end));
    }

    /// Pages beyond the size are dropped, none of which is missed; those from `first` on are there. No
    /// scheduling point: the caller holds the pages' lock.
    pub fn truncate(&self, first: u64) {
        self.beyond.init(0);
        self.read_in(first, u64::MAX);
    }

    /// Where the pages end that can be in the page cache of a file of this many pages.
    pub fn end(&self, pages: u64) -> u64 {
        pages.max(self.beyond.peek())
    }

    /// Whether the page cache lacks this page (`find_get_page` finds none).
    pub fn lacks(&self, page: u64) -> bool {
        self.count.peek() != 0 && self.pages.lock().binary_search(&page).is_ok()
    }

    /// The page leaves the page cache (`__delete_from_page_cache`).
    pub fn delete(&self, site: Site, page: u64) {
        self.count.set(site, self.count.peek());
        moved(Shows::Files);
        let mut pages = self.pages.lock();
        if let Err(at) = pages.binary_search(&page) {
            pages.insert(at, page);
        }
        self.count.init(pages.len() as u64);
    }

    /// The pages from `first` on, up to `end`, are in the page cache from now on: they were read in,
    /// or are holes. Whether one was missing. No scheduling point: the caller holds the pages' lock.
    pub fn read_in(&self, first: u64, end: u64) -> bool {
        if self.count.peek() == 0 {
            return false;
        }
        moved(Shows::Files);
        let mut pages = self.pages.lock();
        let before = pages.len();
        pages.retain(|page| !(first..end).contains(page));
        self.count.init(pages.len() as u64);
        pages.len() != before
    }

    /// The missing pages from `first` on, up to `end`, ascending.
    pub fn among(&self, first: u64, end: u64) -> Vec<u64> {
        if self.count.peek() == 0 {
            return Vec::new();
        }
        let pages = self.pages.lock();
        let inside = pages.iter().filter(|page| (first..end).contains(page));
        inside.copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmadiff_interleave::sites! { HERE = "test.here"; }

    #[test]
    fn what_was_deleted_is_lacked_until_it_is_read_in() {
        let absent = Absent::default();
        for page in [7, 3, 5, 3] {
            absent.delete(HERE, page);
        }
        assert_eq!(absent.among(0, u64::MAX), [3, 5, 7]);
        assert_eq!(absent.among(4, 7), [5]);
        assert!(absent.lacks(3) && !absent.lacks(4));
        assert!(!absent.read_in(0, 3) && absent.read_in(3, 6));
        assert_eq!(absent.among(0, u64::MAX), [7]);
        absent.init();
        assert!(!absent.lacks(7));
    }

    #[test]
    fn pages_beyond_the_size_stay_until_they_are_dropped() {
        let absent = Absent::default();
        assert_eq!(absent.end(2), 2);
        absent.keep_to(5);
        absent.delete(HERE, 4);
        assert_eq!((absent.end(2), absent.end(7)), (5, 7));
        absent.truncate(2);
        assert_eq!(absent.end(2), 2);
        assert!(!absent.lacks(4));
    }
}
