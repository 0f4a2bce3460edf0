//! What the program `cryptstream` uses besides the engine: memory for secrets, interruptions,
//! sandboxed processes and output files of other kinds.
//!
//! It is public only because the program is another crate. It may change in any version.

pub use cryptstream_shm::descriptors::keep_from_programs;
pub use cryptstream_shm::secrets::{lock as lock_memory, refused as memory_refused};
pub use cryptstream_shm::stdio::was_closed;
pub use cryptstream_shm::{SecretScope, WipingAllocator};

pub use crate::input::{is_leftover, leftover_of};
pub use crate::interrupt::{
    InterruptGuard, Interrupts, OnInterrupt, defer_interrupts, exit_on_interrupt, on_interrupt,
    pending as pending_signal, report_on_interrupt, unignored_signals,
};
pub use crate::memory::{MemoryLimit, available_memory};
pub use crate::output::{
    StagingFolder, is_temporary, remove_abandoned, write_private, write_public,
};
pub use crate::path_resolution::open_folder;
pub use crate::sandboxed_process::{SandboxedProcess, SandboxedTask, Stream};
pub use crate::umask::{keep_owner_bits, umask};
pub use crate::workers::{Profile, WORKER_ARGUMENT, forbid_network, restrict_process};
