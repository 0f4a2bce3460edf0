//! A mutex between processes that tells its next owner when the last one died.
//!
//! **Only for processes that trust each other.** This is the robust mutex of
//! POSIX. The C library keeps the robust mutexes that a thread holds in a
//! linked list, and the links lie *in the mutexes*, in shared memory: whoever
//! can write there can make another process write to an address of its choice
//! when it unlocks. That is why [`RobustMutex`]'s constructors are unsafe, and
//! why the [queue](crate::queue) does not use one: `docs/queue.md` says what it
//! does instead.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::platform::native::{self, Locked};
use crate::region::Region;

/// A robust mutex in a region. Linux only.
#[derive(Clone, Debug)]
pub struct RobustMutex {
    region: Arc<Region>,
    /// A multiple of [`ALIGNMENT`](Self::ALIGNMENT), the mutex within the
    /// region, and initialised.
    offset: usize,
}

impl RobustMutex {
    /// Bytes in the region.
    pub const LEN: usize = native::MUTEX_LEN;

    /// What its offset must be a multiple of.
    pub const ALIGNMENT: usize = 64;

    /// Makes a mutex at `offset` of `region`.
    ///
    /// # Errors
    /// `Unsupported` where there are no robust mutexes.
    ///
    /// # Panics
    /// When it is not within the region, or not aligned.
    ///
    /// # Safety
    /// Nothing else uses these bytes: until the last process has unmapped the
    /// region, no process writes there but by way of this type, however it may
    /// be attacked; and no second mutex is made there.
    pub unsafe fn create(region: Arc<Region>, offset: usize) -> io::Result<Self> {
        let mutex = Self::at(region, offset);
        // SAFETY: within the region, aligned, and the caller's alone.
        unsafe { native::mutex_create(mutex.pointer()) }?;
        Ok(mutex)
    }

    /// The mutex that another process has made at `offset` of `region`.
    ///
    /// # Panics
    /// When it is not within the region, or not aligned.
    ///
    /// # Safety
    /// One was made there, by a program with the same C library, and what
    /// [`create`](Self::create) asks for holds.
    #[must_use]
    pub unsafe fn attach(region: Arc<Region>, offset: usize) -> Self {
        Self::at(region, offset)
    }

    fn at(region: Arc<Region>, offset: usize) -> Self {
        assert!(offset.is_multiple_of(Self::ALIGNMENT), "offset {offset} is not aligned");
        assert!(region.contains(offset, Self::LEN), "the mutex is not within the region");
        Self { region, offset }
    }

    /// Locks the mutex, sleeping until it is free.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], which carries the lock, when the last owner
    /// died with it; the others do not have it.
    pub fn lock(&self) -> Result<Guard<'_>, LockError<'_>> {
        // SAFETY: initialised, by the promise of whoever constructed `self`.
        self.locked(unsafe { native::mutex_lock(self.pointer()) })
            .map(|guard| guard.expect("a lock that was waited for is not busy"))
    }

    /// Locks the mutex if it is free; `None` if another has it.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<Guard<'_>>, LockError<'_>> {
        // SAFETY: as in `lock`.
        self.locked(unsafe { native::mutex_try_lock(self.pointer()) })
    }

    fn locked(&self, locked: io::Result<Locked>) -> Result<Option<Guard<'_>>, LockError<'_>> {
        let guard = || Guard { mutex: self, of_this_thread: PhantomData };
        match locked {
            Ok(Locked::Clean) => Ok(Some(guard())),
            Ok(Locked::Busy) => Ok(None),
            Ok(Locked::OwnerDied) => Err(LockError::OwnerDied(Inherited(guard()))),
            Ok(Locked::NotRecoverable) => Err(LockError::NotRecoverable),
            Err(error) => Err(LockError::System(error)),
        }
    }

    fn pointer(&self) -> *mut u8 {
        // The alignment is checked in `at`; whole multiples of it are enough.
        self.region.pointer(self.offset, Self::LEN)
    }
}

/// The lock. Unlocks when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it unlocks"]
pub struct Guard<'a> {
    mutex: &'a RobustMutex,
    /// Not `Send`: the thread that locks is the one that unlocks.
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised, and locked by this thread.
        let unlocked = unsafe { native::mutex_unlock(self.mutex.pointer()) };
        debug_assert!(unlocked.is_ok(), "its owner can unlock it");
    }
}

/// A lock whose last owner died with it: what it guards may be half changed.
///
/// Dropping it without [`mark_consistent`](Self::mark_consistent) gives the
/// mutex up for good, for everybody.
#[derive(Debug)]
#[must_use = "dropping it gives the mutex up for good"]
pub struct Inherited<'a>(Guard<'a>);

impl<'a> Inherited<'a> {
    /// Says that what the mutex guards is in order again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn mark_consistent(self) -> io::Result<Guard<'a>> {
        // SAFETY: initialised, and locked by this thread with `OwnerDied`.
        unsafe { native::mutex_mark_consistent(self.0.mutex.pointer()) }?;
        Ok(self.0)
    }
}

/// A mutex was not simply locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError<'a> {
    /// It is locked, and its last owner died with it.
    #[error("the last owner of the mutex died")]
    OwnerDied(Inherited<'a>),
    /// An owner died, and the next did not put things in order.
    #[error("the mutex was given up after its owner had died")]
    NotRecoverable,
    /// The system refuses.
    #[error(transparent)]
    System(io::Error),
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(portable_platform)))]
mod tests {
    use super::*;

    fn mutex() -> RobustMutex {
        let region = Arc::new(Region::create(4096).unwrap());
        // SAFETY: a region of its own.
        unsafe { RobustMutex::create(region, 64) }.unwrap()
    }

    #[test]
    fn it_excludes() {
        let mutex = mutex();
        let guard = mutex.lock().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(mutex.try_lock().unwrap().is_none()));
        });
        drop(guard);
        assert!(mutex.try_lock().unwrap().is_some());
    }

    #[test]
    fn a_mutex_that_is_not_put_in_order_is_given_up() {
        let mutex = mutex();
        // A thread that ends is a dead owner, too.
        let dies = || {
            std::thread::scope(|scope| scope.spawn(|| std::mem::forget(mutex.lock())).join())
                .unwrap();
        };
        dies();
        let Err(LockError::OwnerDied(inherited)) = mutex.lock() else { panic!("owner died") };
        drop(inherited.mark_consistent().unwrap());
        drop(mutex.lock().unwrap());
        dies();
        let Err(LockError::OwnerDied(inherited)) = mutex.try_lock() else { panic!("owner died") };
        drop(inherited);
        assert!(matches!(mutex.lock(), Err(LockError::NotRecoverable)));
        assert!(matches!(mutex.try_lock(), Err(LockError::NotRecoverable)));
    }

    #[test]
    #[should_panic(expected = "not within the region")]
    fn it_lies_within_the_region() {
        let region = Arc::new(Region::create(64 + RobustMutex::LEN - 1).unwrap());
        // SAFETY: a region of its own.
        let _ = unsafe { RobustMutex::create(region, 64) };
    }
}
