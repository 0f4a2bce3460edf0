//! Whether the standard streams were open when the program was started.
//!
//! Before `main`, Rust's runtime opens /dev/null in place of a closed standard stream, so output is
//! lost without an error. So this is checked earlier.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering};

/// One bit for each descriptor that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Whether the descriptor, one of 0 to 2, was closed when the program was started. Returns `false`
/// if that is unknown.
#[must_use]
pub fn was_closed(descriptor: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << descriptor) != 0
}

#[cfg(target_os = "linux")]
extern "C" fn look() {
    for descriptor in 0..3u8 {
        // SAFETY: F_GETFD takes no argument and reads no memory of ours; for a
        // descriptor that is not open it fails. Nothing of Rust's runtime is needed.
        let flags = unsafe { libc::fcntl(i32::from(descriptor), libc::F_GETFD) };
        if flags == -1 {
            CLOSED.fetch_or(1 << descriptor, Ordering::Relaxed);
        }
    }
}

// SAFETY: the C library calls each function that this section points to once, on the
// only thread, before `main`. It passes arguments that a function without parameters
// ignores under the C calling convention; it returns nothing; and it neither needs
// Rust's runtime nor panics.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;
