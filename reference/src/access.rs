//! An access to one byte: what the processor allows, and what a signal says (section 19).

use vmadiff_contract::{About, Choice, Outcome, PAGE_SIZE, TaskId};

use crate::area::page_down;
use crate::fault::Fault;
use crate::job::{Flow, List, Step, rows};
use crate::page::{Bytes, Entry, Page, byte_at, set_byte};
use crate::world::World;

/// How often an access is tried again after its fault was served.
const TRIES: u32 = 64;

/// What an access wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    Load,
    Store(u8),
    Exec,
}

impl Page {
    /// Whether the processor lets this access through.
    pub fn allows(&self, want: Want) -> bool {
        self.is_present()
            && !self.hinting
            && !self.clearing
            && match want {
                Want::Load => self.readable,
                Want::Store(_) => self.writable,
                Want::Exec => self.executable,
            }
    }
}

/// An access.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Access {
    m: usize,
    addr: u64,
    want: Want,
    tries: u32,
    by: Option<Page>,
}

const WALK: u8 = 0;
const TOUCH: u8 = 1;

impl List for Access {
    rows! { "load, store, exec"
        Walk None "the processor reads the entry, into its TLB"
            walk or ways: "is there an entry that allows the access? Else a fault, and again";
        Touch None "the processor's access, by its TLB"
            touch: "the byte is read or written; again from the walk, if the TLB was flushed between";
    }
}

impl Access {
    pub fn new(m: usize, addr: u64, want: Want) -> Self {
        let (tries, by) = (0, None);
        Self {
            m,
            addr,
            want,
            tries,
            by,
        }
    }

    /// The TLB may hold an entry that is no longer in the table, or there with fewer rights.
    fn ways(world: &World, it: &Self, into: &mut Vec<Choice>) {
        if it.stale(world).is_some() {
            into.push(Choice::Stale);
        }
    }

    fn stale(&self, world: &World) -> Option<Page> {
        let held = *world.translation(world.now, page_down(self.addr))?;
        let now = world.page_at(self.m, self.addr);
        let same = now.is_ok_and(|at| world.mms[self.m].pages[at] == held);
        (held.allows(self.want) && !same).then_some(held)
    }

    fn walk(world: &mut World, it: &mut Self) -> Step {
        world.about_entry(it.m, page_down(it.addr));
        if world.choice == Choice::Stale {
            it.by = it.stale(world);
            return Ok(Flow::To(TOUCH));
        }
        let found = world.page_at(it.m, it.addr);
        let found = found.ok().map(|at| world.mms[it.m].pages[at]);
        if let Some(by) = found.filter(|page| page.allows(it.want)) {
            if world.driven {
                world.fill_tlb(by);
            }
            it.by = Some(by);
            return it.go(world, TOUCH);
        }
        it.tries += 1;
        if it.tries > TRIES {
            world.returned = Outcome::Livelock;
            return Ok(Flow::Ended);
        }
        if world.driven {
            // A processor that has to walk holds no entry of the page.
            let (t, addr) = (world.now, page_down(it.addr));
            world.tlbs[t].retain(|held| held.addr != addr);
        }
        let store = matches!(it.want, Want::Store(_));
        let refused = !store && found.is_some_and(|page| page.is_readable());
        world.call(Fault::new(it.m, it.addr, store, refused), WALK)
    }

    fn touch(world: &mut World, it: &mut Self) -> Step {
        let mut by = it.by.expect("it was walked to");
        if world.driven {
            let held = world.translation(world.now, by.addr).copied();
            // The file may have dropped the page since.
            by.dropped = held.and_then(|held| held.dropped);
            if held != Some(by) {
                return Ok(Flow::To(WALK));
            }
            world.about(About::Tlb(TaskId(world.now as u8 + 1)));
        }
        let offset = it.addr % PAGE_SIZE;
        let value = match (by.entry, it.want) {
            (Entry::Anon(frame), want) => {
                world.about(About::Frame(frame));
                let bytes = &mut world.frame(frame).bytes;
                touch_bytes(bytes, offset as u16, want)
            }
            (Entry::File(file, index), want) if let Some(place) = by.dropped => {
                world.about(About::FilePage { file, index });
                let bytes = &mut world.dropped[place as usize].bytes;
                touch_bytes(bytes, offset as u16, want)
            }
            (Entry::File(file, index), want) => {
                world.about(About::FilePage { file, index });
                let offset = index.wrapping_mul(PAGE_SIZE) + offset;
                match want {
                    Want::Store(value) => world.file(file).set_byte(offset, value),
                    Want::Load => {
                        return Ok(Flow::Done(u64::from(world.file(file).byte(offset))));
                    }
                    Want::Exec => {}
                }
                0
            }
            _ => 0,
        };
        Ok(Flow::Done(value))
    }
}

fn touch_bytes(bytes: &mut Bytes, offset: u16, want: Want) -> u64 {
    match want {
        Want::Load => return u64::from(byte_at(bytes, offset)),
        Want::Store(value) => set_byte(bytes, offset, value),
        Want::Exec => {}
    }
    0
}
