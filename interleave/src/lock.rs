//! The kernel's sleeping reader-writer semaphore and its spin lock.

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Site;
use crate::point::{Kind, point};

/// A reader-writer semaphore (`mmap_sem`): many readers or one writer, who may downgrade.
#[derive(Debug, Default)]
pub struct RwSem {
    native: RwLock<()>,
}

/// Holds a [`RwSem`] for reading.
pub struct ReadGuard<'a> {
    sem: &'a RwSem,
    site: Site,
    _native: RwLockReadGuard<'a, ()>,
}

/// Holds a [`RwSem`] for writing.
pub struct WriteGuard<'a> {
    sem: &'a RwSem,
    site: Site,
    native: Option<RwLockWriteGuard<'a, ()>>,
}

impl RwSem {
    /// A free semaphore.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes it for reading (`down_read`).
    #[inline]
    pub fn read(&self, site: Site) -> ReadGuard<'_> {
        point(site, self, Kind::Lock);
        ReadGuard {
            sem: self,
            site,
            _native: self.native.read(),
        }
    }

    /// Takes it for writing (`down_write`).
    #[inline]
    pub fn write(&self, site: Site) -> WriteGuard<'_> {
        point(site, self, Kind::Lock);
        WriteGuard {
            sem: self,
            site,
            native: Some(self.native.write()),
        }
    }
}

impl<'a> WriteGuard<'a> {
    /// Lets other readers in and goes on as a reader (`downgrade_write`).
    pub fn downgrade(mut self, site: Site) -> ReadGuard<'a> {
        point(site, self.sem, Kind::Unlock);
        let native = self
            .native
            .take()
            .expect("held until dropped or downgraded");
        ReadGuard {
            sem: self.sem,
            site,
            _native: RwLockWriteGuard::downgrade(native),
        }
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        point(self.site, self.sem, Kind::Unlock);
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        if self.native.is_some() {
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
pub struct SpinGuard<'a> {
    lock: &'a SpinLock,
    site: Site,
    _native: MutexGuard<'a, ()>,
}

impl SpinLock {
    /// A free lock.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes it (`spin_lock`).
    #[inline]
    pub fn lock(&self, site: Site) -> SpinGuard<'_> {
        point(site, self, Kind::Lock);
        SpinGuard {
            lock: self,
            site,
            _native: self.native.lock(),
        }
    }

    /// Takes it if it is free (`spin_trylock`).
    #[inline]
    pub fn try_lock(&self, site: Site) -> Option<SpinGuard<'_>> {
        point(site, self, Kind::TryLock);
        self.native.try_lock().map(|native| SpinGuard {
            lock: self,
            site,
            _native: native,
        })
    }

    /// Waits a moment for its holder, between two tries (`cpu_relax`). In a simulation the caller
    /// does not run again before the lock was given back.
    #[inline]
    pub fn relax(&self, site: Site) {
        point(site, self, Kind::Wait);
        std::hint::spin_loop();
    }
}

impl Drop for SpinGuard<'_> {
    fn drop(&mut self) {
        point(self.site, self.lock, Kind::Unlock);
    }
}
