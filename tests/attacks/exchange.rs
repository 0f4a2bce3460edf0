//! An attacker who exchanges two names in a loop.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{RenameFlags, renameat_with};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

/// A user without any rights.
pub(crate) const NOBODY: u32 = 65_534;

/// Exchanges two names all the time while `act` is done, as user `uid` where one is
/// given; returns what `act` has. In the end both are as they were.
pub(crate) fn exchanging<T>(
    one: &Path,
    other: &Path,
    uid: Option<u32>,
    act: impl FnOnce() -> T,
) -> T {
    let (one, other) = (FolderEntry::of(one), FolderEntry::of(other));
    repeating(
        uid,
        || one.exchange(&other),
        act,
        |is_odd| {
            if is_odd {
                one.exchange(&other);
            }
        },
    )
}

/// Does `attack` all the time while `act` is done. `attack` says whether it has
/// succeeded, and `end` is told whether it has an odd number of times.
pub(crate) fn repeating<T>(
    uid: Option<u32>,
    attack: impl Fn() -> bool + Sync,
    act: impl FnOnce() -> T,
    end: impl FnOnce(bool),
) -> T {
    let is_over = AtomicBool::new(false);
    let (done, is_odd) = thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            if let Some(uid) = uid {
                let uid = Uid::from_raw(uid);
                // Of this thread alone.
                set_thread_res_uid(uid, uid, uid).unwrap();
            }
            let mut count = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                count += u64::from(attack());
                // Sometimes at once, sometimes after a while.
                let pause = Duration::from_micros(count % 7 * count % 11 * 10);
                let start = Instant::now();
                while start.elapsed() < pause {
                    std::hint::spin_loop();
                }
            }
            count % 2 == 1
        });
        let done = act();
        is_over.store(true, Ordering::Relaxed);
        (done, attacker.join().unwrap())
    });
    end(is_odd);
    done
}

/// A name in a folder that is open.
struct FolderEntry {
    folder: File,
    name: Box<OsStr>,
}

impl FolderEntry {
    fn of(path: &Path) -> Self {
        let folder = File::open(path.parent().unwrap()).unwrap();
        Self { folder, name: path.file_name().unwrap().into() }
    }

    fn exchange(&self, other: &Self) -> bool {
        let (a, b) = (&*self.name, &*other.name);
        renameat_with(&self.folder, a, &other.folder, b, RenameFlags::EXCHANGE).is_ok()
    }
}
