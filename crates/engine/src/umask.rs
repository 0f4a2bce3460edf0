//! The umask of this process.

use std::sync::OnceLock;

use rustix::fs::Mode;

/// What the owner may do.
pub(crate) const OWNER: u32 = 0o700;

/// The umask: permission bits that new files do not get.
pub fn umask() -> u32 {
    *UMASK.get_or_init(|| from_status().unwrap_or_else(by_setting))
}

static UMASK: OnceLock<u32> = OnceLock::new();

/// Lets the process use the folders and files that it creates even if the umask takes bits
/// away from the owner. Finished outputs still get the bits that the umask leaves, as with
/// cp(1). Call it before there are other threads.
pub fn keep_owner_bits() {
    let umask = *UMASK.get_or_init(by_setting);
    if umask & OWNER != 0 {
        rustix::process::umask(Mode::from_raw_mode(umask & !OWNER));
    }
}

fn from_status() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// Without /proc it can only be read by setting it: for an instant files of other
/// threads get fewer bits.
fn by_setting() -> u32 {
    let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(umask);
    umask.as_raw_mode()
}
