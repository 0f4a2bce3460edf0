//! Shared memory for processes that trust each other little and may be killed at any moment.
//!
//! One process, called *main* here, plans work and gives it to *workers*, which are separate
//! processes. This crate provides what lies between them:
//!
//! | module | what it is |
//! |---|---|
//! | [`region`] | memory that all processes map, and that none can shrink |
//! | [`slot`] | the 64-bit word that holds the whole state of one task |
//! | [`queue`] | a circular queue: one producer, many consumers, and one reaper that takes back the tasks of dead consumers |
//! | [`memory`] | the memory that the queue is built on: words in a region, on the heap, or in a model checker |
//! | [`semaphore`] | counting semaphores on which processes sleep |
//! | [`private_buffer`] | memory that one process writes, and another reads after its death |
//! | [`secrets`] | an allocator that wipes freed memory, and locked memory for secrets |
//! | [`descriptors`] | which descriptors programs inherit, and who else can write to a file |
//! | [`fd_channel`] | messages with descriptors over a Unix socket |
//! | [`stdio`] | which standard streams were closed when the program was started |
//! | `openssl` | OpenSSL's ChaCha20-Poly1305, from the system's library, with the feature `openssl` |
//!
//! # Rules
//!
//! - **No process holds a reference into memory that another process may write**,
//!   except to an atomic. Bytes are copied in and out by [`Region::copy_in`]
//!   and [`Region::copy_out`], or moved by the kernel between a descriptor and
//!   the region.
//! - **What comes out of shared memory is a claim, not a fact.** The producer
//!   keeps its own table and compares; nothing that a worker writes decides
//!   where main reads, writes or jumps.
//! - **A death is believed only when it is certain.** The queue takes back what
//!   a worker held only when it is told to. It has no timers.
//!
//! # A task from end to end
//!
//! ```
//! # #[cfg(not(loom))] {
//! use std::sync::Arc;
//! use cryptstream_shm::{Bytes, Consumer, Producer, Region, RegionWords, QueueLayout, WorkerId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Both sides: one region, four slots at its beginning.
//! let layout = QueueLayout::new(4)?;
//! let region = Arc::new(Region::create(64 * 1024)?);
//! let words = || RegionWords::new(region.clone(), 0, layout.words());
//!
//! // Main publishes a task.
//! let mut producer = Producer::new(words(), layout)?;
//! let slot = producer.free_slot().ok_or("the queue is full")?;
//! producer.publish(slot, &[7, 0, 0, 0, 0, 0, 0, 0], Bytes::Absent);
//!
//! // A worker claims it, says when its input is in the slot's buffer, and
//! // completes it.
//! let consumer = Consumer::new(words(), layout, WorkerId::new(1))?;
//! let mut claim = consumer.claim().ok_or("nothing to do")?;
//! assert_eq!(claim.task()[0], 7);
//! claim.mark_loaded()?;
//! claim.complete(&[49, 0, 0, 0])?;
//!
//! // Main collects the result and frees the slot.
//! let completed = producer.first_done()?.ok_or("not done")?;
//! assert_eq!(completed.result()[0], 49);
//! producer.retire(completed);
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! # Platforms
//!
//! This crate is written for Linux and tested there. Differences between systems are in one folder,
//! `platform/`. The replacements for features that only Linux has can be selected on Linux too, and
//! are tested there. Other Unix systems should compile, but the crate has been neither compiled nor
//! run on them.

pub mod memory;
pub mod queue;
pub mod slot;

#[cfg(not(loom))]
pub mod descriptors;
#[cfg(not(loom))]
pub mod fd_channel;
#[cfg(all(feature = "openssl", not(loom)))]
mod openssl;
#[cfg(not(loom))]
mod platform;
#[cfg(not(loom))]
pub mod private_buffer;
#[cfg(all(feature = "probe", target_os = "linux", not(loom)))]
pub mod probe;
#[cfg(not(loom))]
pub mod region;
#[cfg(not(loom))]
pub mod secrets;
#[cfg(not(loom))]
pub mod semaphore;
#[cfg(not(loom))]
pub mod stdio;

pub use memory::{HeapWords, Memory};
pub use queue::{
    Bytes, Claim, Completed, Consumer, CorruptSlot, HeldTask, Producer, QueueLayout, TaskRevoked,
};
pub use slot::WorkerId;

#[cfg(not(loom))]
pub use fd_channel::{Channel, Message};
#[cfg(all(feature = "openssl", not(loom)))]
pub use openssl::OpensslChaCha20Poly1305;
#[cfg(not(loom))]
pub use private_buffer::{PostMortemReader, PrivateBuffer};
#[cfg(not(loom))]
pub use region::{Region, RegionWords};
#[cfg(not(loom))]
pub use secrets::{SecretScope, WipingAllocator};
#[cfg(not(loom))]
pub use semaphore::{FutexSemaphore, PipeSemaphore, Semaphore};
