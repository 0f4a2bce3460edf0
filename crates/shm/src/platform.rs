//! What differs between systems, and the system calls that need unsafe code.
//! The only place with `cfg(target_os)`.
//!
//! - `unix.rs`: mapping memory, and descriptor I/O through raw pointers. The
//!   same everywhere.
//! - `linux.rs`: memfd and seals, futexes between processes, robust mutexes,
//!   close-on-exec in one step.
//! - `portable.rs`: what stands in elsewhere. It is compiled on Linux as well,
//!   and tested there; `--cfg portable_platform` has it take Linux's place
//!   altogether (`ci/portable.sh`).

pub(crate) mod portable;
pub(crate) mod unix;

#[cfg(all(target_os = "linux", not(portable_platform)))]
pub(crate) mod linux;
#[cfg(all(target_os = "linux", not(portable_platform)))]
pub(crate) use linux as native;
#[cfg(not(all(target_os = "linux", not(portable_platform))))]
pub(crate) use portable as native;
