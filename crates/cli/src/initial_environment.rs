//! Removes from the environment what other programs must not get.
//!
//! A passphrase in the environment is visible in `/proc/PID/environ`, and age plugins that this
//! program starts would inherit it. So it is overwritten in place, like `--key` among the
//! arguments. Relative folders are removed from `PATH`: plugins are searched for there, and the
//! current folder may belong to anyone.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Mutex, PoisonError};

use cryptstream_engine::program::SecretScope;
use cryptstream_protection::Protection;
use zeroize::Zeroizing;

use crate::initial_memory::InitialMemory;

/// The environment variable with the passphrase, used if no flag names one.
pub(crate) const PASSPHRASE: &str = "CRYPTSTREAM_PASSPHRASE";

const PATH: &str = "PATH";

/// The passphrase, from [`clean`] until [`take_passphrase`].
static TAKEN: Mutex<Option<Zeroizing<Vec<u8>>>> = Mutex::new(None);

/// Removes the passphrase from the environment, and relative folders from `PATH`. Changes nothing
/// if there is neither.
pub(crate) fn clean() {
    if !Protection::PluginEnvironment.is_on() {
        return;
    }
    let secrets = SecretScope::open();
    let passphrase = std::env::var_os(PASSPHRASE).map(|value| Zeroizing::new(value.into_vec()));
    drop(secrets);
    let path = std::env::var_os(PATH).and_then(|path| absolute_only(path.as_bytes()));
    if passphrase.is_some() || path.is_some() {
        // Without /proc this fails, but then nothing shows the passphrase either, and starting a
        // plugin still checks PATH.
        let _ = overwrite(path.as_deref());
    }
    *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = passphrase;
}

/// Whether the environment has a passphrase.
pub(crate) fn has_passphrase() -> bool {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        || std::env::var_os(PASSPHRASE).is_some()
}

/// Takes the passphrase from the environment. Only the first call returns it.
pub(crate) fn take_passphrase() -> Option<Zeroizing<Vec<u8>>> {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.or_else(|| std::env::var_os(PASSPHRASE).map(OsString::into_vec).map(Zeroizing::new))
}

/// `path` without its relative folders; `None` if it has none.
fn absolute_only(path: &[u8]) -> Option<Vec<u8>> {
    let folders = || path.split(|byte| *byte == b':');
    let is_absolute = |folder: &&[u8]| folder.starts_with(b"/");
    if folders().all(|folder| is_absolute(&folder)) {
        return None;
    }
    Some(folders().filter(is_absolute).collect::<Vec<_>>().join(&b':'))
}

/// Overwrites each passphrase with zeros, and `PATH` with the shorter `path`.
fn overwrite(path: Option<&[u8]>) -> io::Result<()> {
    let memory = InitialMemory::open()?;
    let secrets = SecretScope::open();
    let environment = Zeroizing::new(fs::read("/proc/self/environ")?);
    drop(secrets);
    let mut at = memory.environment;
    for entry in environment.split(|byte| *byte == 0) {
        if value(entry, PASSPHRASE).is_some() {
            memory.write(at, &vec![0; entry.len()])?;
        } else if let (Some(path), Some(old)) = (path, value(entry, PATH)) {
            let mut new = path.get(..path.len().min(old.len())).unwrap_or_default().to_vec();
            new.resize(old.len(), 0);
            memory.write(at + (entry.len() - old.len()) as u64, &new)?;
        }
        at += entry.len() as u64 + 1;
    }
    Ok(())
}

fn value<'a>(entry: &'a [u8], name: &str) -> Option<&'a [u8]> {
    entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_folders_stay_in_the_path() {
        for (path, left) in [
            ("/bin:/usr/bin", None),
            ("/bin:", Some("/bin")),
            ("", Some("")),
            ("::/bin::.:sub:/sbin", Some("/bin:/sbin")),
            ("./bin", Some("")),
        ] {
            let found = absolute_only(path.as_bytes());
            assert_eq!(found.as_deref(), left.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn values_are_told_by_the_whole_name() {
        assert_eq!(value(b"PATH=/bin", PATH), Some(&b"/bin"[..]));
        assert_eq!(value(b"PATH2=/bin", PATH), None);
        assert_eq!(value(b"PATH", PATH), None);
    }
}
