//! An access to one byte: what the processor allows, and what a signal says (section 19).

use vmadiff_contract::{Note, Outcome, PAGE_SIZE, SegvCode, VmFlags};

use crate::area::{ACCESS, page_down};
use crate::page::{Entry, Page, byte_at, set_byte};
use crate::world::World;

/// How often an access is tried again after its fault was served.
const TRIES: u32 = 64;

/// What an access wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Load,
    Store(u8),
    Exec,
}

/// How a fault was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    Minor,
    Major,
}

/// Why a fault was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No area.
    NoArea,
    /// The area refuses.
    Refused,
    /// No such page.
    NoPage,
    /// No memory.
    NoMemory,
}

impl From<crate::world::NoMemory> for Trouble {
    fn from(_: crate::world::NoMemory) -> Self {
        Self::NoMemory
    }
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoArea => Self::Segv(SegvCode::MapErr),
            Trouble::Refused => Self::Segv(SegvCode::AccErr),
            Trouble::NoPage => Self::Bus,
            Trouble::NoMemory => Self::Oom,
        }
    }
}

impl Page {
    /// Whether the processor lets this access through.
    fn allows(&self, want: Want) -> bool {
        self.is_present()
            && !self.hinting
            && match want {
                Want::Load => self.readable,
                Want::Store(_) => self.writable,
                Want::Exec => self.executable,
            }
    }
}

impl World {
    /// Reads, writes or executes one byte for task `t`.
    pub fn access(&mut self, t: usize, addr: u64, want: Want) -> Outcome {
        let m = self.tasks[t].mm;
        for _ in 0..TRIES {
            if let Ok(page) = self.page_at(m, addr)
                && self.mms[m].pages[page].allows(want)
            {
                return Outcome::Value(self.touch(m, page, addr, want));
            }
            match self.fault(m, addr, want) {
                Ok(served) => self.count_fault(t, served),
                Err(trouble) => return trouble.into(),
            }
        }
        Outcome::Livelock
    }

    /// Counts a served fault for the task.
    pub fn count_fault(&mut self, t: usize, served: Served) {
        match served {
            Served::Minor => self.tasks[t].minor += 1,
            Served::Major => self.tasks[t].major += 1,
        }
        self.note(Note::Classic);
    }

    /// The byte of a load; does a store.
    fn touch(&mut self, m: usize, page: usize, addr: u64, want: Want) -> u64 {
        let offset = (addr % PAGE_SIZE) as u16;
        match (self.mms[m].pages[page].entry, want) {
            (Entry::Anon(frame), Want::Load) => {
                u64::from(byte_at(&self.frame(frame).bytes, offset))
            }
            (Entry::Anon(frame), Want::Store(value)) => {
                set_byte(&mut self.frame(frame).bytes, offset, value);
                0
            }
            (Entry::File, Want::Load | Want::Store(_)) => self.touch_file(m, addr, want),
            _ => 0,
        }
    }

    fn touch_file(&mut self, m: usize, addr: u64, want: Want) -> u64 {
        let mm = &self.mms[m];
        let area = &mm.areas[mm.find(addr)];
        let offset = area.pgoff_at(addr).wrapping_mul(PAGE_SIZE) + addr % PAGE_SIZE;
        let Some(id) = area.file else {
            return 0;
        };
        match want {
            Want::Store(value) => {
                self.file(id).set_byte(offset, value);
                0
            }
            Want::Load | Want::Exec => u64::from(self.file(id).byte(offset)),
        }
    }

    /// A fault: finds the area, asks whether it allows the access, and serves it
    /// (`do_user_addr_fault`).
    pub fn fault(&mut self, m: usize, addr: u64, want: Want) -> Result<Served, Trouble> {
        if addr >= self.config.task_size {
            return Err(Trouble::NoArea);
        }
        let i = self.mms[m].find(addr);
        let area = self.mms[m].areas.get(i).ok_or(Trouble::NoArea)?;
        let (start, flags) = (area.start, area.flags);
        if addr < start {
            if !flags.contains(VmFlags::GROWSDOWN) {
                return Err(Trouble::NoArea);
            }
            self.grow_stack(m, i, page_down(addr))
                .map_err(|_| Trouble::NoArea)?;
        }
        let store = matches!(want, Want::Store(_));
        let allowed = if store {
            flags.contains(VmFlags::WRITE)
        } else {
            // What allows it by now was mapped after the access found that it does not.
            let refused = self.page_at(m, addr).is_ok_and(|page| {
                let page = &self.mms[m].pages[page];
                page.is_readable() && !page.allows(want)
            });
            !refused && flags.intersects(ACCESS)
        };
        if !allowed {
            return Err(Trouble::Refused);
        }
        self.handle_fault(m, i, page_down(addr), store)
    }
}
