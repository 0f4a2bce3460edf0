//! Worker processes. Large files use more cores, and the processes that handle untrusted bytes hold
//! no secrets but payload keys.
//!
//! Main publishes segments in a queue in shared memory ([`cryptstream_shm`]). Main processes
//! segments itself from the start, and starts workers ([`pool`]) while enough work is left to be
//! worth a process. A worker enters a [`sandbox`] before it reads any input. If it dies, its
//! segments are done again from the bytes that it had loaded ([`coordinator`]).

mod coordinator;
mod options;
mod parser;
mod parser_process;
mod pool;
mod pool_scaling;
mod protocol;
mod region_layout;
mod sandbox;
mod start;
mod stop;
mod task;
mod worker;

pub(crate) use coordinator::{CHECK_INTERVAL, Coordinator, Finished};
pub(crate) use options::WORTH;
pub use options::{
    EngineOptions, Processes, WORKER_ARGUMENT, WorkerNote, WorkerProgram, WorkerStats,
};
pub use parser::Parser;
pub(crate) use parser::{Beginning, Unarmor};
pub(crate) use sandbox::die_with_parent;
pub use sandbox::{Profile, SandboxLevel, SandboxMode, forbid_network, restrict_process};
pub(crate) use start::sandboxed;
pub(crate) use stop::Stop;
pub use worker::init_worker;
