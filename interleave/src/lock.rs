//! The kernel's sleeping reader-writer semaphore and its spin lock.

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Site;
use crate::point::{Kind, point, try_point};

/// A reader-writer semaphore (`mmap_sem`): many readers or one writer, who may downgrade.
///
/// In a simulation whoever asks for it may get it, in any order that exclusion allows: there is no
/// queue, so a schedule can overtake a writer that waits.
#[derive(Debug, Default)]
pub struct RwSem {
    native: RwLock<()>,
}

/// Holds a [`RwSem`] for reading.
#[must_use = "the semaphore is given back as soon as this is dropped"]
pub struct ReadGuard<'a> {
    sem: &'a RwSem,
    site: Site,
    /// None in a simulation, which keeps books of its own.
    native: Option<RwLockReadGuard<'a, ()>>,
}

/// Holds a [`RwSem`] for writing.
#[must_use = "the semaphore is given back as soon as this is dropped"]
pub struct WriteGuard<'a> {
    sem: &'a RwSem,
    site: Site,
    held: Held<'a>,
}

/// How a writer holds its semaphore.
enum Held<'a> {
    Native(RwLockWriteGuard<'a, ()>),
    Simulated,
    /// No longer: it was downgraded.
    Downgraded,
}

impl RwSem {
    /// A free semaphore.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes it for reading (`down_read`).
    #[inline]
    pub fn read(&self, site: Site) -> ReadGuard<'_> {
        let simulated = point(site, self, Kind::LockShared);
        ReadGuard {
            sem: self,
            site,
            native: (!simulated).then(|| self.native.read()),
        }
    }

    /// Takes it for reading if no writer has it (`down_read_trylock`).
    #[inline]
    pub fn try_read(&self, site: Site) -> Option<ReadGuard<'_>> {
        let native = match try_point(site, self, Kind::TryLockShared) {
            Some(true) => None,
            Some(false) => return None,
            None => Some(self.native.try_read()?),
        };
        Some(ReadGuard {
            sem: self,
            site,
            native,
        })
    }

    /// Takes it for writing (`down_write`).
    #[inline]
    pub fn write(&self, site: Site) -> WriteGuard<'_> {
        let held = if point(site, self, Kind::Lock) {
            Held::Simulated
        } else {
            Held::Native(self.native.write())
        };
        WriteGuard {
            sem: self,
            site,
            held,
        }
    }
}

impl<'a> WriteGuard<'a> {
    /// Lets other readers in and goes on as a reader (`downgrade_write`).
    pub fn downgrade(mut self, site: Site) -> ReadGuard<'a> {
        let held = std::mem::replace(&mut self.held, Held::Downgraded);
        let native = match held {
            Held::Native(guard) => Some(RwLockWriteGuard::downgrade(guard)),
            Held::Simulated | Held::Downgraded => {
                point(site, self.sem, Kind::Downgrade);
                None
            }
        };
        ReadGuard {
            sem: self.sem,
            site,
            native,
        }
    }
}

impl Drop for ReadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.native.is_none() {
            point(self.site, self.sem, Kind::UnlockShared);
        }
    }
}

impl Drop for WriteGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.held, Held::Simulated) {
            point(self.site, self.sem, Kind::Unlock);
        }
    }
}

/// A spin lock (page-table locks, `page_table_lock`).
#[derive(Debug, Default)]
pub struct SpinLock {
    native: Mutex<()>,
}

/// Holds a [`SpinLock`].
#[must_use = "the lock is given back as soon as this is dropped"]
pub struct SpinGuard<'a> {
    lock: &'a SpinLock,
    site: Site,
    /// None in a simulation, which keeps books of its own.
    native: Option<MutexGuard<'a, ()>>,
}

impl SpinLock {
    /// A free lock.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes it (`spin_lock`).
    #[inline]
    pub fn lock(&self, site: Site) -> SpinGuard<'_> {
        let simulated = point(site, self, Kind::Lock);
        SpinGuard {
            lock: self,
            site,
            native: (!simulated).then(|| self.native.lock()),
        }
    }

    /// Takes it if it is free (`spin_trylock`).
    #[inline]
    pub fn try_lock(&self, site: Site) -> Option<SpinGuard<'_>> {
        let native = match try_point(site, self, Kind::TryLock) {
            Some(true) => None,
            Some(false) => return None,
            None => Some(self.native.try_lock()?),
        };
        Some(SpinGuard {
            lock: self,
            site,
            native,
        })
    }

    /// Waits a moment for its holder, between two tries (`cpu_relax`). In a simulation the caller
    /// does not run again before the lock is free.
    #[inline]
    pub fn relax(&self, site: Site) {
        if !point(site, self, Kind::Relax) {
            breathe(0);
        }
    }
}

impl Drop for SpinGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.native.is_none() {
            point(self.site, self.lock, Kind::Unlock);
        }
    }
}

/// Spins once. Whoever has spun for long lets another thread have the processor: the one it waits
/// for may need it.
#[inline]
pub(crate) fn breathe(spins: u32) {
    if spins > 64 {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}
