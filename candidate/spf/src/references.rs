//! Who keeps an area: its count of references, from birth to the last put (series patches 20 and 21).

use vmadiff_contract::{Breach, Event, Misuse};
use vmadiff_interleave::{Kref, KrefError, RefCount, RefError, Site};
use vmadiff_machine::{Died, Machine, Ref, Vma};

use crate::defects::defect;
use crate::info::{GET_FROM_ZERO, PUT_BELOW_ZERO, SATURATED};
use crate::sites as site;
use crate::{Spf, brackets};

/// How an area's references are counted: as v12 does, or as its reviewer wished (J. Glisse).
pub trait References: Default + Send + Sync + 'static {
    /// A lookup asks whether there is a reference left; otherwise it takes one as if there were.
    const MAY_FAIL: bool;

    /// Takes a reference; answers the count afterwards.
    ///
    /// # Errors
    /// What the count warns of; none was taken.
    fn get(&self, site: Site) -> Result<u32, &'static Breach>;

    /// Takes one if there is any left.
    fn get_unless_zero(&self, site: Site) -> Option<u32>;

    /// Puts a reference, and has the last release the area; answers the count afterwards.
    ///
    /// # Errors
    /// What the count warns of; none was put.
    fn put(&self, site: Site, release: impl FnOnce()) -> Result<u32, &'static Breach>;

    /// Reads the count for reports.
    fn peek(&self) -> u32;

    /// Sets it, of an area that nobody else can see.
    fn init(&self, count: u32);
}

/// v12's: a plain atomic. Where it would be raised from zero or put below, which v12 does not notice,
/// that is reported here, and not done, so that a run ends where it went wrong.
impl References for RefCount {
    const MAY_FAIL: bool = false;

    fn get(&self, site: Site) -> Result<u32, &'static Breach> {
        self.get(site).map_err(|_| &GET_FROM_ZERO)
    }

    fn get_unless_zero(&self, site: Site) -> Option<u32> {
        self.get_unless_zero(site)
    }

    fn put(&self, site: Site, release: impl FnOnce()) -> Result<u32, &'static Breach> {
        let put = self.put(site).map_err(|error| match error {
            RefError::BelowZero | RefError::FromZero => &PUT_BELOW_ZERO,
        });
        if put.is_ok_and(|refs| refs == 0) {
            release();
        }
        put
    }

    fn peek(&self) -> u32 {
        self.peek()
    }

    fn init(&self, count: u32) {
        self.init(count);
    }
}

/// The wish: a kref. It is never raised from zero, which a lookup takes for not found, and one that
/// would wrap stays where it is.
impl References for Kref {
    const MAY_FAIL: bool = true;

    fn get(&self, site: Site) -> Result<u32, &'static Breach> {
        self.get(site).map_err(breach)
    }

    fn get_unless_zero(&self, site: Site) -> Option<u32> {
        self.get_unless_zero(site)
    }

    fn put(&self, site: Site, release: impl FnOnce()) -> Result<u32, &'static Breach> {
        self.put(site, release).map_err(breach)
    }

    fn peek(&self) -> u32 {
        self.peek()
    }

    fn init(&self, count: u32) {
        self.init(count);
    }
}

fn breach(error: KrefError) -> &'static Breach {
    match error {
        KrefError::FromZero => &GET_FROM_ZERO,
        KrefError::Underflow => &PUT_BELOW_ZERO,
        KrefError::Saturated => &SATURATED,
    }
}

/// What sets up a fresh area (INIT_VMA): one reference, the sequence count even. A piece of an area
/// that is held closed is closed from the start.
pub fn init_vma<R: References>(
    m: &Machine<Spf<R>>,
    vma: Ref<'_, Vma>,
    copy_of: Option<Ref<'_, Vma>>,
) {
    let area = m.area(vma);
    if let Some(orig) = copy_of
        && defect!(m, NotInitialised)
    {
        let orig = m.area(orig);
        area.vm_ref_count.init(orig.vm_ref_count.peek());
        area.vm_sequence.init(orig.vm_sequence.peek());
        area.held.init(false);
        return;
    }
    let held = copy_of.is_some_and(|orig| brackets::is_held(m, orig));
    area.vm_ref_count.init(1);
    area.vm_sequence.init(held.into());
    area.held.init(held);
}

/// Takes a reference (`get_vma`), as one who holds the area may; false, and reported, if there was
/// none left.
pub fn get_vma<R: References>(m: &Machine<Spf<R>>, site: Site, vma: Ref<'_, Vma>) -> bool {
    let got = m.area(vma).vm_ref_count.get(site);
    if !vma.alive() {
        return false;
    }
    match got {
        Ok(refs) => {
            taken(m, vma, refs);
            true
        }
        Err(breach) => {
            m.misuse(Misuse::Breach(vma.id(), breach));
            false
        }
    }
}

/// Takes a reference inside the read section that found the area; false: it counts as not found.
pub fn get_found_vma<R: References>(m: &Machine<Spf<R>>, site: Site, vma: Ref<'_, Vma>) -> bool {
    if !R::MAY_FAIL {
        return get_vma(m, site, vma);
    }
    let got = m.area(vma).vm_ref_count.get_unless_zero(site);
    if !vma.alive() {
        return false;
    }
    if let Some(refs) = got {
        taken(m, vma, refs);
    }
    got.is_some()
}

fn taken<R: References>(m: &Machine<Spf<R>>, vma: Ref<'_, Vma>, refs: u32) {
    let vma = vma.id();
    m.raise(Event::VmaGet { vma, refs });
}

/// Puts a reference and frees the area with the last (`put_vma`).
pub fn put_vma<R: References>(m: &Machine<Spf<R>>, site: Site, vma: Ref<'_, Vma>) {
    if !vma.alive() {
        return;
    }
    let mut last = false;
    let put = m.area(vma).vm_ref_count.put(site, || last = true);
    if !vma.alive() {
        return;
    }
    match put {
        Ok(refs) => {
            let vma = vma.id();
            m.raise(Event::VmaPut { vma, refs });
        }
        Err(breach) => m.misuse(Misuse::Breach(vma.id(), breach)),
    }
    if last {
        m.free_vma(vma);
    }
}

/// What follows the removal from the tree (`__vma_rb_erase`): the node is cleared, so that whoever
/// holds the area sees that it is gone, and the tree's reference is put after a grace period
/// (`vm_rcu_put`), since lookups may be about to take theirs. At exit the tree goes as a whole and
/// nobody is left to look: its reference is put at once (`__remove_vma`).
pub fn erased<R: References>(m: &Machine<Spf<R>>, vma: Ref<'_, Vma>, how: Died) {
    if how == Died::Exit {
        if !vma.rb_empty(site::REMOVE_VMA_OF_EXIT__RB_EMPTY_NODE) {
            vma.rb_clear(site::REMOVE_VMA_OF_EXIT__RB_CLEAR_NODE);
            if !defect!(m, ExitKeepsTreeReference) {
                put_vma(m, site::REMOVE_VMA_OF_EXIT__PUT_TREE, vma);
            }
        }
        return;
    }
    if !defect!(m, NodeNotCleared) {
        vma.rb_clear(site::VMA_RB_ERASE__RB_CLEAR_NODE);
    }
    brackets::vm_write_release(m, site::VMA_RB_ERASE__RELEASE, vma);
    if how == Died::Merged && defect!(m, FreedAtOnce) {
        return;
    }
    if defect!(m, PutWithoutGracePeriod) {
        put_vma(m, site::VM_RCU_PUT__PUT, vma);
    } else {
        m.call_rcu(site::VM_RCU_PUT__CALL_RCU, vma);
    }
}

/// Drops the reference of the allocation (`remove_vma`, `__vma_adjust`).
pub fn removed<R: References>(m: &Machine<Spf<R>>, vma: Ref<'_, Vma>, how: Died) {
    if how != Died::Merged {
        put_vma(m, site::REMOVE_VMA__PUT_VMA, vma);
    } else if defect!(m, FreedAtOnce) {
        m.free_vma(vma);
    } else {
        put_vma(m, site::VMA_ADJUST__PUT_VMA, vma);
    }
}
