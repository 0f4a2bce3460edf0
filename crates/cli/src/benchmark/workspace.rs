//! The folder for test files, which is gone at the end, whatever the end.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptstream_engine::{Error, unignored_signals};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::messages::{self, Context, Failure};

/// More than there will ever be at once.
const MAX_NAMES: u32 = 1000;
/// How much content is made in one go.
const BLOCK: usize = 1 << 20;

/// See the module's description.
pub(super) struct Workspace {
    folder: PathBuf,
    /// Held by whoever removes the folder; on an interruption for good.
    removal: Arc<Mutex<()>>,
}

impl Workspace {
    /// Makes a folder of its own in `parent`, which nobody else may look into.
    pub(super) fn create(parent: &Path) -> Result<Self, Failure> {
        let failed = |source| created(parent, source);
        let folder = (0..MAX_NAMES)
            .map(|k| parent.join(format!(".cryptstream-benchmark-{}-{k}", std::process::id())))
            .find_map(|folder| match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                result => Some(result.map(|()| folder)),
            })
            .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
            .map_err(failed)?;
        let workspace = Self { folder, removal: Arc::default() };
        // Without the thread only an interruption leaves the folder behind.
        let _ = workspace.remove_on_interrupt();
        Ok(workspace)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes `count` files of `len` bytes that look random.
    pub(super) fn make_files(&self, len: u64, count: usize) -> Result<Vec<PathBuf>, Failure> {
        let mut content = Content::new();
        let mut make = |index| {
            let path = self.folder.join(format!("input-{index}"));
            let mut file = File::create_new(&path).map_err(|source| created(&path, source))?;
            let mut left = len;
            while left > 0 {
                let block = content.next(left.min(BLOCK as u64) as usize);
                file.write_all(block).map_err(|source| {
                    let error = Error::Write { path: path.clone(), offset: len - left, source };
                    messages::engine(error, Context::default())
                })?;
                left -= block.len() as u64;
            }
            Ok(path)
        };
        (0..count).map(&mut make).collect()
    }

    /// Removes the folder on Ctrl-C and the like, and then dies of it.
    fn remove_on_interrupt(&self) -> io::Result<()> {
        let (folder, removal) = (self.folder.clone(), Arc::clone(&self.removal));
        let mut signals = Signals::new(unignored_signals())?;
        std::thread::Builder::new().name("interrupt".into()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // The lock is kept: the main thread, to which the missing
                // folder is an error, must not come to say so.
                let _removal = lock(&removal);
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

fn lock(removal: &Mutex<()>) -> MutexGuard<'_, ()> {
    removal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Again where a file came to it meanwhile; that ends when the folder has gone.
fn remove(folder: &Path) {
    for _ in 0..MAX_NAMES {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            _ => return,
        }
    }
}

fn created(path: &Path, source: io::Error) -> Failure {
    messages::engine(Error::Create { path: path.to_owned(), source }, Context::default())
}

/// Bytes that no file system and no disk can make smaller: splitmix64, which
/// is faster than they are.
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
}
