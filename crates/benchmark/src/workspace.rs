//! The folder for test files. It is removed at the end and on a signal. If the benchmark is
//! killed, the next one in the same place removes it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptstream_engine::Error as EngineError;
use cryptstream_engine::program::unignored_signals;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, geteuid, kill_process, waitid};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::error::Error;

/// More folders than there will ever be at once.
const MAX_NAMES: u32 = 1000;
/// Bytes of content that are made at a time.
const BLOCK: usize = 1 << 20;

/// The beginning of the names of all such folders.
const PREFIX: &str = ".cryptstream-benchmark-";

/// The folder for test files.
pub(crate) struct Workspace {
    folder: PathBuf,
    /// Locked while the benchmark runs, so that no other one removes the folder.
    _lock: OwnedFd,
    /// Locked while the folder is removed; after a signal it stays locked. Holds the command
    /// that is running, which a signal ends too.
    removal: Arc<Mutex<Option<Pid>>>,
}

impl Workspace {
    /// Makes a folder in `parent` that only the user can enter.
    pub(crate) fn create(parent: &Path) -> Result<Self, Error> {
        remove_stale(parent);
        let failed = |source| created(parent, source);
        let (folder, lock) = (0..MAX_NAMES)
            .map(|k| parent.join(format!("{PREFIX}{}-{k}", std::process::id())))
            .find_map(|folder| match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                Err(error) => Some(Err(error)),
                // Another benchmark may have removed it already, as a stale one.
                Ok(()) => lock_folder(&folder, true).map(|lock| Ok((folder, lock))),
            })
            .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
            .map_err(failed)?;
        let workspace = Self { folder, _lock: lock, removal: Arc::default() };
        // If this fails, a signal leaves the folder behind.
        let _ = workspace.remove_on_interrupt();
        Ok(workspace)
    }

    /// Runs a command to its end. A signal kills it.
    pub(crate) fn wait(&self, mut command: Command) -> io::Result<ExitStatus> {
        let mut running = lock(&self.removal);
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        *running = Some(pid);
        drop(running);
        // Its number stays taken until `wait` below, so that a signal cannot kill another
        // process.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
        let mut running = lock(&self.removal);
        *running = None;
        child.wait()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes `count` files of `len` pseudo-random bytes.
    pub(crate) fn make_files(&self, len: u64, count: usize) -> Result<Vec<PathBuf>, Error> {
        let mut content = Content::new();
        let mut make = |index| {
            let path = self.folder.join(format!("input-{index}"));
            let mut file = File::create_new(&path).map_err(|source| created(&path, source))?;
            let mut left = len;
            while left > 0 {
                let block = content.next(left.min(BLOCK as u64) as usize);
                file.write_all(block).map_err(|source| EngineError::Write {
                    path: path.clone(),
                    offset: len - left,
                    source,
                })?;
                left -= block.len() as u64;
            }
            Ok(path)
        };
        (0..count).map(&mut make).collect()
    }

    /// Removes the folder on SIGINT and the like, and then dies of the signal.
    fn remove_on_interrupt(&self) -> io::Result<()> {
        let (folder, removal) = (self.folder.clone(), Arc::clone(&self.removal));
        let mut signals = Signals::new(unignored_signals())?;
        std::thread::Builder::new().name("interrupt".into()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Stays locked: the main thread must not report that the folder is missing.
                let running = lock(&removal);
                if let Some(pid) = *running {
                    let _ = kill_process(pid, Signal::KILL);
                }
                remove(&folder);
                let _ = emulate_default_handler(signal);
            }
        })?;
        Ok(())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _removal = lock(&self.removal);
        remove(&self.folder);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a folder and locks it. `None` if another process has locked it, if it is not the
/// user's, or if `folder` is another one by now. Some network file systems have no locks;
/// there only a new folder is used.
fn lock_folder(folder: &Path, is_new: bool) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = open(folder, flags, Mode::empty()).ok()?;
    let is_locked = match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => true,
        Err(error) => is_new && error != rustix::io::Errno::WOULDBLOCK,
    };
    let own = rustix::fs::fstat(&opened).ok()?;
    let named = fs::symlink_metadata(folder).ok()?;
    let is_same = (own.st_dev, own.st_ino) == (named.dev(), named.ino());
    (is_locked && is_same && own.st_uid == geteuid().as_raw()).then_some(opened)
}

/// Removes the folders of benchmarks that were killed.
fn remove_stale(parent: &Path) {
    let Ok(measurements) = fs::read_dir(parent) else { return };
    for measurement in measurements.flatten() {
        let is_named =
            measurement.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_named {
            continue;
        }
        let folder = measurement.path();
        if let Some(_lock) = lock_folder(&folder, false) {
            remove(&folder);
        }
    }
}

/// Tries again if a file was added meanwhile, which ends when the folder is gone.
fn remove(folder: &Path) {
    for _ in 0..MAX_NAMES {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            _ => return,
        }
    }
}

fn created(path: &Path, source: io::Error) -> EngineError {
    EngineError::Create { path: path.to_owned(), source }
}

/// Bytes that no file system and no disk can compress, from splitmix64, which is faster than
/// both.
struct Content {
    state: u64,
    block: Vec<u8>,
}

impl Content {
    fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
        Self { state: now, block: vec![0; BLOCK] }
    }

    fn next(&mut self, len: usize) -> &[u8] {
        for word in self.block[..len.next_multiple_of(8)].chunks_exact_mut(8) {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
        &self.block[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_made_and_the_folder_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(parent.path()).unwrap();
        let files = workspace.make_files((1 << 20) + 5, 2).unwrap();
        let contents: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(contents.iter().all(|content| content.len() == (1 << 20) + 5));
        assert_ne!(contents[0], contents[1]);
        assert!(contents[0][..1 << 19] != contents[0][1 << 19..1 << 20], "it repeats itself");
        drop(workspace);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
    #[test]
    fn folders_of_killed_benchmarks_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let names = || {
            let measurements = fs::read_dir(parent.path()).unwrap();
            let mut names: Vec<_> = measurements
                .map(|measurement| measurement.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let running = Workspace::create(parent.path()).unwrap();
        let stale = parent.path().join(format!("{PREFIX}1-0"));
        fs::create_dir(&stale).unwrap();
        fs::write(stale.join("input-0"), "left behind").unwrap();
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "kept").unwrap();
        std::os::unix::fs::symlink(&other, parent.path().join(format!("{PREFIX}2-0"))).unwrap();
        fs::write(parent.path().join(format!("{PREFIX}3-0")), "a file").unwrap();

        let second = Workspace::create(parent.path()).unwrap();
        assert!(!stale.exists(), "{:?}", names());
        assert!(running.folder().exists() && second.folder().exists());
        assert_eq!(fs::read(other.join("kept")).unwrap(), b"kept");
        drop((running, second));
        assert_eq!(names(), [format!("{PREFIX}2-0"), format!("{PREFIX}3-0"), "other".into()]);
    }
}
