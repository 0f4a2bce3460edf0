//! Differences between systems, and the system calls that need unsafe code. Only this module has
//! `cfg(target_os)`.
//!
//! - `unix.rs`: mapping memory, and descriptor I/O through raw pointers. It is the same on every
//!   Unix.
//! - `linux.rs`: memfd and seals, futexes between processes, robust mutexes,
//!   close-on-exec in one step.
//! - `portable.rs`: the replacements on other systems. It is also compiled and tested on Linux;
//!   with `--cfg portable_platform` it replaces `linux.rs` there (`ci/portable.sh`).

pub(crate) mod portable;
pub(crate) mod unix;

#[cfg(all(target_os = "linux", not(portable_platform)))]
pub(crate) mod linux;
#[cfg(all(target_os = "linux", not(portable_platform)))]
pub(crate) use linux as native;
#[cfg(not(all(target_os = "linux", not(portable_platform))))]
pub(crate) use portable as native;
