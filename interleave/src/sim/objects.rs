//! What a simulation knows of each shared object. Objects are told apart by their addresses and
//! named by the order in which they first appear, so that the same run gives the same names.

use std::cell::Cell;

use crate::Site;

/// Counts how often something was seen.
pub(super) type Counter = Cell<u8>;

/// No task: nobody holds it, nobody has written it.
pub(super) const NOBODY: u8 = u8::MAX;

/// A shared object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Who holds it for himself.
    pub(super) owner: u8,
    /// Who shares it, a bit for each task.
    pub(super) sharers: u32,
    /// How many shares there are.
    pub(super) shares: u16,
    /// Where it was taken last.
    pub(super) taken_at: Option<Site>,
    /// How often it has been written.
    pub(super) version: u32,
    /// The number of the site that wrote it last, and who did.
    pub(super) written_at: u32,
    pub(super) writer: u8,
}

const FRESH: Object = Object {
    owner: NOBODY,
    sharers: 0,
    shares: 0,
    taken_at: None,
    version: 0,
    written_at: 0,
    writer: NOBODY,
};

impl Object {
    #[inline]
    pub(super) fn write(&mut self, task: u8, site: Site) {
        self.version += 1;
        self.written_at = site.number();
        self.writer = task;
    }

    /// Counts that a read at this site meets the last write, if that was another task's.
    pub(super) fn count_pair(&self, pairs: &[Counter], task: u8, site: Site) {
        if self.writer == task || self.writer == NOBODY || pairs.is_empty() {
            return;
        }
        let pair = u64::from(self.written_at) << 32 | u64::from(site.number());
        let index = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let counter = &pairs[index as usize % pairs.len()];
        counter.set(counter.get().saturating_add(1));
    }

    pub(super) fn is_free(&self) -> bool {
        self.owner == NOBODY && self.shares == 0
    }
}

/// A place in the hash table; of this run only if the generation is.
#[derive(Clone, Copy, Default)]
struct Slot {
    address: usize,
    generation: u32,
    ordinal: u32,
}

/// Slots that a run begins with.
const SLOTS: usize = 256;

/// All objects of a run.
pub(super) struct Objects {
    slots: Vec<Slot>,
    /// The slots in use are those of this many low bits of a hash. Each run begins with the fewest, so that
    /// it takes the same steps however many objects earlier runs had.
    mask: usize,
    /// Memory of the slots before the last growth, for the next one.
    spare: Vec<Slot>,
    generation: u32,
    /// By ordinal; the first place stays empty, since 0 means no object.
    objects: Vec<Object>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            mask: SLOTS - 1,
            spare: Vec::new(),
            generation: 0,
            objects: vec![FRESH],
        }
    }
}

impl Objects {
    /// Forgets all objects and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.objects.truncate(1);
        self.mask = SLOTS - 1;
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.slots.fill(Slot::default());
            self.generation = 1;
        }
    }

    /// The ordinal of the object at this address, from 1.
    #[inline]
    pub(super) fn ordinal(&mut self, address: usize) -> u32 {
        let mask = self.mask;
        let mut at = hash(address) & mask;
        loop {
            let slot = &self.slots[at];
            if slot.generation != self.generation {
                return self.insert(at, address);
            }
            if slot.address == address {
                return slot.ordinal;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, at: usize, address: usize) -> u32 {
        let ordinal = self.objects.len() as u32;
        self.objects.push(FRESH);
        self.slots[at] = Slot {
            address,
            generation: self.generation,
            ordinal,
        };
        if self.objects.len() * 2 > self.mask {
            self.grow();
        }
        ordinal
    }

    /// Uses twice as many slots.
    fn grow(&mut self) {
        let used = self.mask + 1;
        self.mask = used * 2 - 1;
        std::mem::swap(&mut self.slots, &mut self.spare);
        if self.slots.len() <= self.mask {
            self.slots.resize(used * 2, Slot::default());
        }
        self.slots[..used * 2].fill(Slot::default());
        for slot in &self.spare[..used] {
            if slot.generation != self.generation {
                continue;
            }
            let mut at = hash(slot.address) & self.mask;
            while self.slots[at].generation == self.generation {
                at = (at + 1) & self.mask;
            }
            self.slots[at] = *slot;
        }
    }

    pub(super) fn get(&self, ordinal: u32) -> &Object {
        &self.objects[ordinal as usize]
    }

    pub(super) fn get_mut(&mut self, ordinal: u32) -> &mut Object {
        &mut self.objects[ordinal as usize]
    }

    /// Objects that this task holds, for itself or with others.
    pub(super) fn held_by(&self, task: u8) -> impl Iterator<Item = (u32, &Object)> {
        (0_u32..)
            .zip(&self.objects)
            .filter(move |(_, object)| object.owner == task || object.sharers & (1 << task) != 0)
    }
}

/// Spreads an address over the low bits. Decides where a slot is, and nothing that can be seen.
fn hash(address: usize) -> usize {
    (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 40
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses of objects, spread as those of words are.
    fn addresses(count: usize) -> impl Iterator<Item = usize> {
        (1..=count).map(|n| 0x7f00_0000_1000 + n * 40)
    }

    /// Runs with `count` objects, each met twice, and answers how many slots it came to use.
    fn run(objects: &mut Objects, count: usize) -> usize {
        objects.clear();
        for _ in 0..2 {
            let met: Vec<_> = addresses(count).map(|at| objects.ordinal(at)).collect();
            assert!(met.into_iter().eq(1..=count as u32));
        }
        objects.mask + 1
    }

    #[test]
    fn a_run_uses_as_many_slots_as_alone_whatever_ran_before() {
        let counts = [100, 5000, 100, 300, 20_000, 127, 128, 5000, 0, 300];
        let mut objects = Objects::default();
        for count in counts {
            let alone = run(&mut Objects::default(), count);
            assert_eq!(run(&mut objects, count), alone, "{count} objects");
            assert!(count < alone, "{count} objects in {alone} slots");
        }
    }

    #[test]
    fn slots_of_a_generation_that_comes_again_are_empty() {
        let mut objects = Objects::default();
        run(&mut objects, 300);
        objects.generation = u32::MAX - 1;
        for _ in 0..4 {
            run(&mut objects, 300);
        }
    }
}
