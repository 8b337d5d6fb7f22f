//! Contents of pages and files: bytes of which almost all are zero.

use parking_lot::Mutex;
use vmadiff_interleave::{Cell, Site};

use crate::core::moves::{Shows, moved};

/// Bytes by offset; those not listed are zero.
#[derive(Default)]
pub struct Sparse {
    /// How many are not zero. An access to it stands for the access to the contents.
    used: Cell<u64>,
    /// Those that are not zero, by offset.
    bytes: Mutex<Vec<(u64, u8)>>,
}

impl Sparse {
    /// Reads a byte.
    pub fn load(&self, site: Site, offset: u64) -> u8 {
        if self.used.get(site) == 0 {
            return 0;
        }
        self.peek(offset)
    }

    /// Reads a byte without a scheduling point.
    pub fn peek(&self, offset: u64) -> u8 {
        let bytes = self.bytes.lock();
        match bytes.binary_search_by_key(&offset, |&(at, _)| at) {
            Ok(at) => bytes[at].1,
            Err(_) => 0,
        }
    }

    /// Writes a byte.
    pub fn store(&self, site: Site, offset: u64, value: u8) {
        self.change(site, |bytes| put(bytes, offset, value));
    }

    /// The same, unless it is said when it comes to it that it goes elsewhere.
    pub fn store_unless(
        &self,
        site: Site,
        offset: u64,
        value: u8,
        elsewhere: impl FnOnce() -> bool,
    ) {
        self.change(site, |bytes| {
            if !elsewhere() {
                put(bytes, offset, value);
            }
        });
    }

    /// Writes a byte without a scheduling point.
    pub fn init_byte(&self, offset: u64, value: u8) {
        moved(Shows::Contents);
        let mut bytes = self.bytes.lock();
        put(&mut bytes, offset, value);
        self.used.init(bytes.len() as u64);
    }

    /// Zeroes all from an offset on, up to another; shows, when it comes to it, what was there.
    pub fn clear_range(&self, site: Site, from: u64, to: u64, see: impl FnOnce(&[(u64, u8)])) {
        self.change(site, |bytes| {
            see(bytes);
            bytes.retain(|&(at, _)| at < from || at >= to);
        });
    }

    fn change(&self, site: Site, how: impl FnOnce(&mut Vec<(u64, u8)>)) {
        // A write even where nothing changes: others must see that it happened.
        self.used.set(site, self.used.peek());
        moved(Shows::Contents);
        let mut bytes = self.bytes.lock();
        how(&mut bytes);
        self.used.init(bytes.len() as u64);
    }

    /// Zeroes all, while nobody else can see it. Takes the same steps whatever was there: engines that
    /// guide by coverage would take what an earlier run left for a doing of this one.
    pub fn init(&self) {
        moved(Shows::Contents);
        self.bytes.lock().clear();
        self.used.init(0);
    }

    /// Puts these there, by offset, while nobody else can see it.
    pub fn init_with(&self, contents: impl Iterator<Item = (u64, u8)>) {
        moved(Shows::Contents);
        let mut bytes = self.bytes.lock();
        bytes.clear();
        bytes.extend(contents);
        self.used.init(bytes.len() as u64);
    }

    /// Copies a page of another, from its byte `offset` on, while nobody else can see this one.
    pub fn init_page(&self, site: Site, other: &Self, offset: u64) {
        if other.used.get(site) == 0 {
            return self.init();
        }
        moved(Shows::Contents);
        let theirs = other.bytes.lock();
        let mut ours = self.bytes.lock();
        ours.clear();
        ours.extend(page_of(&theirs, offset));
        self.used.init(ours.len() as u64);
    }

    /// Shows each byte that is not zero, by offset.
    pub fn each(&self, mut see: impl FnMut(u64, u8)) {
        if self.used.peek() != 0 {
            for &(at, value) in self.bytes.lock().iter() {
                see(at, value);
            }
        }
    }
}

/// Writes a byte.
fn put(bytes: &mut Vec<(u64, u8)>, offset: u64, value: u8) {
    match (bytes.binary_search_by_key(&offset, |&(at, _)| at), value) {
        (Ok(at), 0) => drop(bytes.remove(at)),
        (Ok(at), value) => bytes[at].1 = value,
        (Err(_), 0) => {}
        (Err(at), value) => bytes.insert(at, (offset, value)),
    }
}

/// A page of these, from the byte `offset` on.
pub fn page_of(bytes: &[(u64, u8)], offset: u64) -> impl Iterator<Item = (u64, u8)> {
    let page = bytes
        .iter()
        .filter(move |(at, _)| at.wrapping_sub(offset) < 4096);
    page.map(move |&(at, value)| (at - offset, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    vmadiff_interleave::sites! { HERE = "test.here"; }

    #[test]
    fn a_store_may_go_elsewhere() {
        let page = Sparse::default();
        page.init_byte(3, 2);
        page.store_unless(HERE, 3, 4, || true);
        assert_eq!((page.load(HERE, 3), bytes(&page)), (2, vec![(3, 2)]));
        page.store_unless(HERE, 3, 4, || false);
        assert_eq!(page.load(HERE, 3), 4);
    }

    fn bytes(sparse: &Sparse) -> Vec<(u64, u8)> {
        let mut all = Vec::new();
        sparse.each(|at, value| all.push((at, value)));
        all
    }

    #[test]
    fn what_is_stored_is_loaded_and_zero_is_nothing() {
        let page = Sparse::default();
        for (at, value) in [(9, 1), (3, 2), (9, 3), (3, 0), (4, 0)] {
            page.store(HERE, at, value);
            assert_eq!(page.load(HERE, at), value);
        }
        assert_eq!(bytes(&page), [(9, 3)]);
    }

    #[test]
    fn a_page_is_cut_out_of_a_file() {
        let (file, page) = (Sparse::default(), Sparse::default());
        file.init_with([(4095, 1), (4096, 2), (8191, 3), (8192, 4)].into_iter());
        page.init_page(HERE, &file, 4096);
        assert_eq!(bytes(&page), [(0, 2), (4095, 3)]);
        let mut seen = 0;
        file.clear_range(HERE, 4096, u64::MAX, |bytes| seen = bytes.len());
        assert_eq!(seen, 4);
        assert_eq!(bytes(&file), [(4095, 1)]);
        page.init_page(HERE, &Sparse::default(), 0);
        assert_eq!(bytes(&page), []);
    }
}
