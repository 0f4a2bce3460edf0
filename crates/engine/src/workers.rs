//! Worker processes: more cores for large files, and nothing but payload keys in the
//! processes that parse untrusted bytes.
//!
//! Main publishes segments in a queue in shared memory ([`cryptstream_shm`]).
//! It works on them itself from the start; while enough is left to be worth a
//! process, it starts workers ([`pool`]), which enter a
//! [`sandbox`] before they touch anything. What a worker held when it died is
//! done again, from the bytes that it had loaded ([`coordinator`]).

mod coordinator;
mod options;
mod parser;
mod pool;
mod protocol;
mod reader;
mod region_layout;
mod sandbox;
mod start;
mod stop;
mod task;
mod worker;

pub(crate) use coordinator::{CHECK_INTERVAL, Coordinator, Finished};
pub(crate) use options::WORTH;
pub use options::{
    Processes, WORKER_ARGUMENT, WorkerNote, WorkerOptions, WorkerProgram, WorkerStats,
};
pub use parser::Parser;
pub(crate) use parser::{Beginning, Unarmor};
pub(crate) use sandbox::die_with_parent;
#[cfg(feature = "fault-hooks")]
pub use sandbox::enter_sandbox;
pub use sandbox::{Profile, SandboxLevel, SandboxMode, restrict_process};
pub(crate) use start::sandboxed;
pub(crate) use stop::Stop;
pub use worker::init_worker;
