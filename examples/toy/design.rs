//! A design in the making: a fault finds its area under RCU, copies what it needs of it, and lets the
//! area go. See `docs/designs.md`, which comes to this text step by step.

use std::sync::Arc;

use vmadiff_contract::{Config, DesignInfo, EventSink, Frees, Manager, Reason, VmFlags};
use vmadiff_interleave::SeqCount;
use vmadiff_machine::call::fault::refused_by_code;
use vmadiff_machine::defects::listed;
use vmadiff_machine::page::pte::Pte;
use vmadiff_machine::{
    Copied, Current, Design, Died, Fault, Found, Handle, Machine, Mm, Need, Ops, PageProt, Ref,
    Vma, Vmf, WalkSites, aims, defects, reasons, sites,
};

/// Forgets to ask again (`MENDED` is false), or does.
pub struct Toy<const MENDED: bool>;

/// The toy that goes wrong, and the one that was mended.
const NAMES: [&str; 2] = ["toy-wrong", "toy-mended"];

fn boot<const MENDED: bool>(
    config: &Config,
    events: Arc<dyn EventSink>,
    defects: &[&str],
) -> Box<dyn Manager> {
    Machine::<Toy<MENDED>>::boxed(config, events, defects)
}

mod site {
    vmadiff_interleave::sites! {
        BEGIN = "toy.begin";
        END = "toy.end";
        FOUND = "toy.found";
        RCU = "toy.rcu";
        START = "toy.vm_start";
        STOP = "toy.vm_end";
        FLAGS = "toy.vm_flags";
        PROT = "toy.vm_page_prot";
        OPS = "toy.vm_ops";
        ANON = "toy.anon_vma";
        POLICY = "toy.vm_policy";
        PGOFF = "toy.vm_pgoff";
        STILL = "toy.still";
        IRQ = "toy.irq";
        PGD = "toy.pgd";
        PUD = "toy.pud";
        PMD = "toy.pmd";
        PTE = "toy.pte";
        GRACE = "toy.call_rcu";
    }
}

mod reason {
    vmadiff_machine::reasons! {
        WRITER 0 "Writer" false "A writer has mmap_sem.";
        NO_AREA 1 "NoArea" true "No area at the address, or one that the toy does not serve.";
        CHANGED 2 "Changed" false "A writer had mmap_sem meanwhile.";
    }
}

/// Beside an address space: odd while mmap_sem is held for writing.
#[derive(Default)]
pub struct Space {
    writes: SeqCount,
}

impl<const MENDED: bool> Design for Toy<MENDED> {
    const INFO: &'static DesignInfo = &DesignInfo {
        what: "Faults work on a copy of their area; one count for each address space.",
        source: "docs/designs.md",
        sites: &[sites::NAMES, site::NAMES],
        defects: &[listed(defects::DEFECTS)],
        reasons: &[reasons::REASONS, reason::REASONS],
        frees: Frees::AfterReaders,
        aims: &[aims::AIMS],
        ..DesignInfo::plain(NAMES[MENDED as usize], boot::<MENDED>)
    };
    type Area = ();
    type Space = Space;
    /// The count when the fault began.
    type Hold<'a> = u32;

    fn fault(cx: &Current<'_, Self>, addr: u64, need: Need, refused: Pte) -> Fault {
        let mm = cx.mm_struct();
        let count = cx.space(mm).writes.read(site::FOUND);
        let moment = cx.moment();
        if count & 1 == 1 {
            return cx.give_up(&reason::WRITER);
        }
        let found = {
            let _rcu = cx.rcu.read_lock(site::RCU);
            let vma = cx.tree(mm).find(addr);
            vma.and_then(|vma| copy(vma, addr, need, (count, moment)))
        };
        let Some(found) = found.filter(|_| !refused_by_code(need, refused)) else {
            return cx.give_up(&reason::NO_AREA);
        };
        let mut vmf = Vmf::new(cx, found, addr, need == Need::Write);
        if let Err(fault) = cx.walk_irqs_off(&mut vmf, &WALK) {
            return fault;
        }
        // Was all that was copied of one moment?
        match Self::still(cx, &vmf, false) {
            Ok(()) => cx.handle_pte_fault(&mut vmf),
            Err(changed) => cx.give_up(changed),
        }
    }

    fn still(
        cx: &Current<'_, Self>,
        vmf: &Vmf<'_, Self>,
        locked: bool,
    ) -> Result<(), &'static Reason> {
        // The mistake: a writer may have come and gone while this fault waited for the lock.
        if locked && !MENDED {
            return Ok(());
        }
        let writes = &cx.space(cx.mm_struct()).writes;
        if writes.changed(site::STILL, vmf.hold.unwrap_or_default()) {
            return Err(&reason::CHANGED);
        }
        Ok(())
    }

    fn space_init(space: &Space) {
        space.writes.init(0);
    }

    fn write_begin(m: &Machine<Self>, mm: &Mm) {
        let _ = m.space(mm).writes.write_begin(site::BEGIN);
    }

    fn write_end(m: &Machine<Self>, mm: &Mm) {
        let _ = m.space(mm).writes.write_end(site::END);
    }

    fn removed(m: &Machine<Self>, vma: Ref<'_, Vma>, how: Died) {
        match how {
            Died::Exit => m.free_vma(vma),
            Died::Unmapped | Died::Merged => m.call_rcu(site::GRACE, vma),
        }
    }

    fn grace(m: &Machine<Self>, vma: Ref<'_, Vma>) {
        m.free_vma(vma);
    }
}

const WALK: WalkSites = WalkSites {
    irq: site::IRQ,
    pgd: site::PGD,
    pud: site::PUD,
    pmd: site::PMD,
    pte: site::PTE,
};

/// What a fault needs of an area, if the toy serves it: private memory that was stored to before,
/// without a policy, a userfaultfd or a stack's habit to grow.
fn copy<const MENDED: bool>(
    vma: Ref<'_, Vma>,
    addr: u64,
    need: Need,
    (count, moment): (u32, u64),
) -> Option<Found<'_, Toy<MENDED>>> {
    let start = vma.vm_start().get(site::START);
    let inside = start <= addr && addr < vma.vm_end().get(site::STOP);
    let flags = vma.read_flags(site::FLAGS);
    let asked = match need {
        Need::Read => VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC,
        Need::Write => VmFlags::WRITE,
        Need::Exec => VmFlags::EXEC,
    };
    let refused = VmFlags::GROWSDOWN | VmFlags::UFFD_MISSING;
    let anonymous = Ops::from_number(vma.vm_ops().get(site::OPS)) == Ops::Anonymous;
    let anon_vma = vma.anon_vma().get(site::ANON);
    let plain = vma.vm_policy().get(site::POLICY).is_null();
    let served = inside && flags.intersects(asked) && !flags.intersects(refused);
    if !served || !anonymous || anon_vma.is_null() || !plain || !vma.alive() {
        return None;
    }
    let pages = addr.wrapping_sub(start) >> 12;
    let page_prot = PageProt::from_bits(vma.vm_page_prot().get(site::PROT));
    Some(Found {
        vma,
        hold: count,
        copied: Some(Copied {
            anonymous,
            anon_vma,
        }),
        flags,
        page_prot,
        pgoff: pages.wrapping_add(vma.vm_pgoff().get(site::PGOFF)),
        policy: Handle::NULL,
        moment,
    })
}
