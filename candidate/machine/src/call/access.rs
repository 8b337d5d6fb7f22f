//! An access to memory: the processor's side, and what becomes of a fault.

use vmadiff_contract::{About, FileId, Misuse, Outcome, SegvCode, StepKind, Told};
use vmadiff_interleave::{Word, at};

use crate::core::current::Current;
use crate::core::file::File;
use crate::core::slab::{Handle, Ref};
use crate::design::Design;
use crate::page::pte::{Maps, Need, Pte};
use crate::page::table::{PGD_SHIFT, PMD_SHIFT, PUD_SHIFT, Table, index};
use crate::sites as site;

/// Faults that may be served in a row for one access, as the contract has it.
const PATIENCE: u32 = 64;

/// Why a fault was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// SIGSEGV.
    Segv(SegvCode),
    /// SIGBUS.
    Bus,
    /// No memory.
    Oom,
}

impl<D: Design> Current<'_, D> {
    /// `load`, `store` and `exec` of one byte.
    pub fn access(&self, addr: u64, need: Need, value: u8) -> Outcome {
        if addr >= self.config().task_size {
            self.mark_walk(addr, Pte::NONE, None);
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
            return Outcome::Segv(SegvCode::MapErr);
        }
        for served in 0..=PATIENCE {
            let refused = match self.touch(addr, need, value) {
                Ok(value) => return Outcome::Value(value.into()),
                Err(refused) => refused,
            };
            if served < PATIENCE
                && let Err(unserved) = self.do_page_fault(addr, need, refused)
            {
                return match unserved {
                    Unserved::Segv(code) => Outcome::Segv(code),
                    Unserved::Bus => Outcome::Bus,
                    Unserved::Oom => Outcome::Oom,
                };
            }
        }
        Outcome::Livelock
    }

    /// One try of the processor. It answers no interrupt meanwhile, so a TLB flush waits for it.
    ///
    /// # Errors
    /// The entry that refuses it.
    fn touch(&self, addr: u64, need: Need, value: u8) -> Result<u8, Pte> {
        let _irq = self.irqs.disable(site::ACCESS__IRQ);
        if !self.listens() {
            return self.walk_and_transfer(addr, need, value);
        }
        self.task.begin_access();
        let touched = self.walk_and_transfer(addr, need, value);
        self.task.end_access(self.moment());
        touched
    }

    fn walk_and_transfer(&self, addr: u64, need: Need, value: u8) -> Result<u8, Pte> {
        let flushes = self.task.flushes();
        let cached = self.task.cached(addr).filter(|pte| pte.allows(need));
        let pte = match cached {
            Some(pte) => {
                self.mark_walk(addr, pte, None);
                pte
            }
            None => {
                // What the TLB refuses is looked up again before it is a fault.
                let (pte, since) = self.walk_by_hardware(addr);
                self.mark_walk(addr, pte, since);
                if !pte.allows(need) {
                    // A page fault invalidates what the TLB has for its address (Intel SDM, volume
                    // 3, 4.10.4.1).
                    self.task.forget(addr);
                    return Err(pte);
                }
                if let Some(frame) = pte.anon() {
                    self.frame(frame).cached().init(true);
                }
                self.task.cache(addr, pte, flushes);
                pte
            }
        };
        let byte = self.transfer(pte, addr, need, value);
        at::access();
        self.mark_done(StepKind::Touch, self.touched(pte, need));
        Ok(byte)
    }

    fn mark_walk(&self, addr: u64, pte: Pte, since: Option<u64>) {
        if self.listens() {
            self.tell_pte(since, StepKind::Walk, self.mm, addr, (pte, pte));
        }
    }

    /// What an access by this entry reads or writes.
    fn touched(&self, pte: Pte, need: Need) -> About {
        match pte.maps() {
            _ if need == Need::Exec => self.tlb(),
            Some(Maps::Anon(frame)) => self.frame(frame).about(),
            Some(Maps::File(slot, page)) => match self.files.at(slot) {
                Some(file) => file.page(page),
                None => self.tlb(),
            },
            None | Some(Maps::Zero | Maps::Swap(_)) => self.tlb(),
        }
    }

    /// The task's TLB.
    pub fn tlb(&self) -> About {
        About::Tlb(self.task_id(self.task))
    }

    /// The processor's own walk: one step but for the lowest entry. Also the moment at which that was
    /// so, if the table has left its place since the processor came to it, as it may until TLBs are
    /// flushed: right before.
    fn walk_by_hardware(&self, addr: u64) -> (Pte, Option<u64>) {
        let mm = self.mm_struct();
        let down = |entry: u64| Handle::<Table>::from_word(entry).some();
        let lowest = down(mm.pgd.peek(index(addr, PGD_SHIFT)))
            .and_then(|pud| down(self.table(pud).entries().peek(index(addr, PUD_SHIFT))))
            .and_then(|pmd| down(self.table(pmd).entries().peek(index(addr, PMD_SHIFT))));
        match lowest {
            Some(table) => {
                let (table, at) = (self.table(table), index(addr, 12));
                let pte = table.pte(site::ACCESS__PTE, at);
                let here = (self.mm, addr >> PMD_SHIFT << PMD_SHIFT);
                let left = table.has_gone() || table.place() != Some(here);
                let since = table.left().shown().checked_sub(1);
                // What was cleared there since is gone now.
                (pte, since.filter(|_| left && !pte.is_none()))
            }
            None => (Pte::NONE, None),
        }
    }

    /// Moves the byte.
    fn transfer(&self, pte: Pte, addr: u64, need: Need, value: u8) -> u8 {
        let offset = addr & 4095;
        match (pte.maps(), need) {
            (_, Need::Exec) | (None | Some(Maps::Zero | Maps::Swap(_)), _) => 0,
            (Some(Maps::Anon(frame)), Need::Read) => {
                let frame = self.frame(frame);
                let byte = frame.contents().load(site::ACCESS__LOAD, offset);
                if frame.alive() { byte } else { 0 }
            }
            (Some(Maps::Anon(frame)), Need::Write) => {
                let frame = self.frame(frame);
                if frame.alive() {
                    frame.contents().store(site::ACCESS__STORE, offset, value);
                    frame.alive();
                }
                0
            }
            (Some(Maps::File(slot, page)), need) => {
                let Some(file) = self.files.at(slot) else {
                    self.misuse(Misuse::DeadFile(FileId(0)));
                    return 0;
                };
                self.task.take_in_hand(addr, pte);
                let byte = self.transfer_file(file, page << 12 | offset, need, value);
                self.task.let_go();
                byte
            }
        }
    }

    /// The same in a file's page, which is in hand: in that very page, if the file drops it first.
    fn transfer_file(&self, file: Ref<'_, File>, offset: u64, need: Need, value: u8) -> u8 {
        let dropped = || Some(self.dropped.get(self.task.dropped_in_hand()?));
        if need == Need::Read {
            let byte = file.contents().load(site::ACCESS__LOAD_FILE, offset);
            return dropped().map_or(byte, |page| page.contents().peek(offset & 4095));
        }
        let elsewhere = || {
            let page = dropped();
            page.inspect(|page| page.contents().init_byte(offset & 4095, value))
                .is_some()
        };
        let site = site::ACCESS__STORE_FILE;
        file.contents().store_unless(site, offset, value, elsewhere);
        0
    }
}
