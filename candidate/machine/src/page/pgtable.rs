//! Walking, growing and pruning the page tables of an address space.

use vmadiff_contract::{Event, Misuse, StepKind, TableId};
use vmadiff_interleave::{Site, Word};

use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::slab::{Handle, Ref};
use crate::design::Design;
use crate::page::gather::Gather;
use crate::page::pte::Pte;
use crate::page::table::{Entries, PGD_SHIFT, PMD_SHIFT, PUD_SHIFT, Table, index};
use crate::sites as site;

/// A lowest table and the part of a range that it covers.
#[derive(Clone, Copy)]
pub struct PteTable<'a> {
    /// First byte of the part.
    pub addr: u64,
    /// One past its last byte.
    pub end: u64,
    /// The table.
    pub table: Ref<'a, Table>,
}

/// The first address past the entry that covers `addr`.
fn next_boundary(addr: u64, shift: u32) -> u64 {
    ((addr >> shift) + 1) << shift
}

/// A pass over the entries of a table's part, its lock held, which tells what it finds empty.
pub struct Pass<'a, D: Design> {
    machine: &'a Machine<D>,
    kind: StepKind,
    table: Ref<'a, Table>,
    next: usize,
    last: usize,
    told: usize,
}

impl<D: Design> Pass<'_, D> {
    /// Nothing was found up to here.
    #[inline]
    fn tell_gap(&mut self, at: usize) {
        let from = std::mem::replace(&mut self.told, at + 1);
        if self.machine.listens()
            && from < at
            && !self.table.is_gone(from)
            && let Some((mm, base)) = self.table.place()
        {
            let addr = |at: usize| base + (at as u64) * 4096;
            self.machine.mark_gap(self.kind, mm, addr(from), addr(at));
        }
    }
}

impl<D: Design> Iterator for Pass<'_, D> {
    /// Where in the table an entry stands.
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let next = self.table.entries().next(self.next);
        let Some(at) = next.filter(|&at| at <= self.last) else {
            self.tell_gap(self.last + 1);
            return None;
        };
        self.tell_gap(at);
        self.next = at + 1;
        Some(at)
    }
}

impl<D: Design> Machine<D> {
    /// Goes over the entries of a table's part, its lock held.
    #[inline]
    pub fn pass<'a>(&'a self, part: PteTable<'a>) -> Pass<'a, D> {
        self.seen(StepKind::Pass, part)
    }

    /// The same for steps of another kind.
    #[inline]
    pub fn seen<'a>(&'a self, kind: StepKind, part: PteTable<'a>) -> Pass<'a, D> {
        let first = index(part.addr, 12);
        Pass {
            machine: self,
            kind,
            table: part.table,
            next: first,
            last: index(part.end - 1, 12),
            told: first,
        }
    }

    /// The table of this name.
    #[inline]
    pub fn table(&self, table: Handle<Table>) -> Ref<'_, Table> {
        self.tables.get(table)
    }

    /// The middle table that covers an address, if there is one.
    pub fn pmd_table(&self, mm: &Mm, addr: u64) -> Option<Ref<'_, Table>> {
        let pud = mm.pgd.get(site::WALK__PGD, index(addr, PGD_SHIFT));
        let pud = self.table(Handle::<Table>::from_word(pud).some()?);
        let pmd = pud.lower(site::WALK__PUD, index(addr, PUD_SHIFT));
        Some(self.table(pmd.some()?))
    }

    /// The lowest table that covers an address, if there is one.
    pub fn pte_table(&self, mm: &Mm, addr: u64) -> Option<Ref<'_, Table>> {
        let pmd = self.pmd_table(mm, addr)?;
        let table = pmd.lower(site::WALK__PMD, index(addr, PMD_SHIFT));
        Some(self.table(table.some()?))
    }

    /// The middle table that covers an address, made if need be (`pud_alloc`, `pmd_alloc`).
    pub fn pmd_alloc(&self, mm: &Mm, addr: u64) -> Ref<'_, Table> {
        let pud = self.lower_or_alloc(mm, &mm.pgd, addr, PUD_SHIFT, site::PUD_ALLOC__PGD);
        self.lower_or_alloc(mm, pud.entries(), addr, PMD_SHIFT, site::PMD_ALLOC__PUD)
    }

    /// The lowest table that covers an address, made if need be (`pte_alloc`).
    pub fn pte_alloc(&self, mm: &Mm, pmd: Ref<'_, Table>, addr: u64) -> Ref<'_, Table> {
        self.lower_or_alloc(mm, pmd.entries(), addr, 12, site::PTE_ALLOC__PMD)
    }

    fn lower_or_alloc(
        &self,
        mm: &Mm,
        upper: &Entries,
        addr: u64,
        shift: u32,
        site: Site,
    ) -> Ref<'_, Table> {
        let at = index(addr, if shift == 12 { PMD_SHIFT } else { shift + 9 });
        if let Some(table) = Handle::from_word(upper.get(site, at)).some() {
            return self.table(table);
        }
        let new = self.alloc_table(shift);
        let _lock = mm.page_table_lock.lock(site::PTE_ALLOC__LOCK);
        if let Some(table) = Handle::from_word(upper.peek(at)).some() {
            // Another fault was faster.
            self.free_table(new);
            return self.table(table);
        }
        upper.set(site::PTE_ALLOC__POPULATE, at, new.handle().to_word());
        new.hang(mm.name(), addr);
        new
    }

    /// A table without entries, each of which covers `1 << shift` bytes.
    pub fn alloc_table(&self, shift: u32) -> Ref<'_, Table> {
        let table = self.tables.alloc();
        table.shift().init(shift);
        table.ptl_gone().init(false);
        table.unhang();
        table.left().init(0);
        table.entries().clear();
        self.raise(Event::TableAlloc {
            table: TableId(table.ordinal()),
        });
        table
    }

    /// Frees a table that nothing names any more and no TLB knows.
    pub fn free_table(&self, table: Ref<'_, Table>) {
        let id = TableId(table.ordinal());
        if self.some_task_walks(table.handle()) {
            self.misuse(Misuse::FreedTableInUse(id));
        }
        if self.tables.free(table.handle()) {
            self.raise(Event::TableFree { table: id });
        }
    }

    /// The live tables that an upper table names, with their places.
    fn tables_in<'a>(&'a self, upper: &'a Entries) -> impl Iterator<Item = (usize, &'a Entries)> {
        upper.iter().filter_map(|(at, word)| {
            let table = self.tables.find(Handle::from_word(word))?;
            Some((at, table.entries()))
        })
    }

    /// Shows each entry of an address space that is set, by address, without scheduling points.
    pub fn each_page(&self, mm: &Mm, mut see: impl FnMut(u64, Pte)) {
        for (pud_at, pud) in self.tables_in(&mm.pgd) {
            for (pmd_at, pmd) in self.tables_in(pud) {
                for (table_at, table) in self.tables_in(pmd) {
                    let first = ((pud_at << 9 | pmd_at) << 9 | table_at) << 9;
                    for (at, pte) in table.iter() {
                        see(((first | at) as u64) << 12, Pte::from_word(pte));
                    }
                }
            }
        }
    }

    /// The first lowest table in a range, with the part of the range that it covers. What is empty
    /// is skipped, however large it is.
    pub fn next_pte_table(&self, mm: &Mm, addr: u64, end: u64) -> Option<PteTable<'_>> {
        self.next_part(mm, addr, end, |_, _| {})
    }

    /// The same for a pass, which tells what it finds empty.
    pub fn pass_table(&self, mm: &Mm, addr: u64, end: u64) -> Option<PteTable<'_>> {
        self.seen_table(StepKind::Pass, mm, addr, end, |_, _| {})
    }

    /// The same for steps of another kind; `skipped` is shown each stretch that is told.
    pub fn seen_table(
        &self,
        kind: StepKind,
        mm: &Mm,
        addr: u64,
        end: u64,
        skipped: impl Fn(u64, u64),
    ) -> Option<PteTable<'_>> {
        self.next_part(mm, addr, end, |from, to| {
            let to = to.min(end);
            self.mark_gap(kind, mm.name(), from, to);
            skipped(from, to);
        })
    }

    /// `skipped` is shown each stretch without tables, at the moment at which it was seen.
    #[inline]
    fn next_part(
        &self,
        mm: &Mm,
        mut addr: u64,
        end: u64,
        skipped: impl Fn(u64, u64),
    ) -> Option<PteTable<'_>> {
        while addr < end {
            let Some((pud, at)) = self.next_lower(&mm.pgd, addr, end, PGD_SHIFT) else {
                skipped(addr, end);
                return None;
            };
            let from = addr;
            addr = addr.max(at);
            let Some((pmd, at)) = self.next_lower(pud.entries(), addr, end, PUD_SHIFT) else {
                addr = next_boundary(addr, PGD_SHIFT);
                skipped(from, addr);
                continue;
            };
            addr = addr.max(at);
            let Some((table, at)) = self.next_lower(pmd.entries(), addr, end, PMD_SHIFT) else {
                addr = next_boundary(addr, PUD_SHIFT);
                skipped(from, addr);
                continue;
            };
            addr = addr.max(at);
            skipped(from, addr);
            // The entry may be read while a fault elsewhere in the table's range fills another.
            if pmd.lower(site::WALK__PMD, index(addr, PMD_SHIFT)) == table.handle() {
                let end = end.min(next_boundary(addr, PMD_SHIFT));
                return Some(PteTable { addr, end, table });
            }
            let from = addr;
            addr = next_boundary(addr, PMD_SHIFT);
            skipped(from, addr);
        }
        None
    }

    /// The first table below `upper` in a range, and the address where it begins. What lies beyond
    /// the range is not looked at: it is others', who may be freeing it.
    fn next_lower(
        &self,
        upper: &Entries,
        addr: u64,
        end: u64,
        shift: u32,
    ) -> Option<(Ref<'_, Table>, u64)> {
        let at = upper.next(index(addr, shift))?;
        let covers = addr >> (shift + 9) << (shift + 9);
        let begin = covers | (at as u64) << shift;
        (begin < end).then(|| (self.table(Handle::from_word(upper.peek(at))), begin))
    }

    /// Frees the tables that cover nothing but this range, up to what its neighbours need
    /// (`free_pgd_range`). A ceiling of 0 is the end of all addresses.
    pub fn free_pgd_range(
        &self,
        gather: &mut Gather<'_, D>,
        addr: u64,
        end: u64,
        floor: u64,
        ceiling: u64,
    ) {
        let size = 1u64 << PMD_SHIFT;
        let mut addr = addr & !(size - 1);
        if addr < floor {
            addr += size;
        }
        let mut end = end;
        if ceiling != 0 {
            if ceiling & !(size - 1) == 0 {
                return;
            }
            if end > ceiling & !(size - 1) {
                end -= end.min(size);
            }
        }
        if addr < end {
            let bounds = Bounds { floor, ceiling };
            let mm = gather.mm();
            self.free_lower(gather, &mm.pgd, PGD_SHIFT, addr, end, bounds);
        }
    }

    /// Frees what hangs below a table's entries for a range.
    fn free_lower(
        &self,
        gather: &mut Gather<'_, D>,
        upper: &Entries,
        shift: u32,
        addr: u64,
        end: u64,
        bounds: Bounds,
    ) {
        let mut from = addr;
        while from < end {
            let Some((lower, begin)) = self.next_lower(upper, from, end, shift) else {
                return;
            };
            from = from.max(begin);
            let to = end.min(next_boundary(from, shift));
            let free = shift == PMD_SHIFT || {
                self.free_lower(gather, lower.entries(), shift - 9, from, to, bounds);
                bounds.cover_only(from, to, shift)
            };
            if free {
                let mm = gather.mm();
                {
                    let _lock = mm.page_table_lock.lock(site::FREE_PTE_RANGE__LOCK);
                    upper.set(site::FREE_PTE_RANGE__CLEAR, index(from, shift), 0);
                }
                gather.free_table(lower);
            }
            from = next_boundary(from, shift);
        }
    }
}

impl<D: Design> Current<'_, D> {
    /// The lowest table that covers an address, looked for with interrupts off. Each table on the
    /// way is noted, since nobody may free it meanwhile.
    pub fn pte_table_irqs_off(&self, mm: &Mm, addr: u64) -> Option<Ref<'_, Table>> {
        let pgd = mm.pgd.get(site::WALK__PGD, index(addr, PGD_SHIFT));
        let mut table = Handle::<Table>::from_word(pgd).some()?;
        for (site, shift) in [(site::WALK__PUD, PUD_SHIFT), (site::WALK__PMD, PMD_SHIFT)] {
            self.task.walking.init(table);
            table = self.table(table).lower(site, index(addr, shift)).some()?;
        }
        self.task.walking.init(table);
        Some(self.table(table))
    }
}

/// What the neighbours of a range need.
#[derive(Clone, Copy)]
struct Bounds {
    floor: u64,
    ceiling: u64,
}

impl Bounds {
    /// Whether the entry that covers a range covers nothing that they need.
    fn cover_only(self, addr: u64, end: u64, shift: u32) -> bool {
        let size = 1u64 << shift;
        let ceiling = self.ceiling & !(size - 1);
        addr & !(size - 1) >= self.floor && (self.ceiling == 0 || (ceiling != 0 && end <= ceiling))
    }
}
