//! Recognizes and removes the temporaries of killed runs.
//!
//! A temporary is abandoned when its process is gone. One with another tag, such as that of
//! another machine on a network file system, is abandoned when nothing was written to it for
//! a day. A lock alone is not enough: some file systems do not share locks between machines.
//!
//! A name proves nothing, since anyone can give it to a file. So only files of this
//! user are removed; for folders see [`container`].
//!
//! Every run does this in the folders that it writes into, whatever its output is called.

use std::ffi::OsStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cryptstream_beneath::{Dir, FileId};
use cryptstream_protection::Protection;
use rustix::fs::{FileType, FlockOperation, Stat, flock, fstat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::temporary::Owner;
use super::{container, temporary};

/// No run works on a file for this long without writing to it.
const FOREIGN_AGE: Duration = Duration::from_secs(24 * 3600);
/// The same for a folder, whose own time does not change when files deep in it do.
const FOREIGN_FOLDER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most names of a folder that are looked at for the sake of one file, which takes some
/// 0.1 ms. Runs on folders and archives look at all of them.
const MAX_NAMES_FOR_FILE: usize = 200;

/// Removes the abandoned temporaries in a folder.
pub fn remove_abandoned(folder: &Dir) {
    remove_abandoned_of(folder, usize::MAX);
}

/// Looks at no more than `names` names.
fn remove_abandoned_of(folder: &Dir, names: usize) {
    let Ok(entries) = folder.entries() else { return };
    for (name, _) in entries.take(names).flatten() {
        let Some(owner) = temporary::owner(&name) else { continue };
        let Ok(stat) = folder.stat(&name) else { continue };
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let foreign_age = if is_folder { FOREIGN_FOLDER_AGE } else { FOREIGN_AGE };
        match is_abandoned(owner, &stat, foreign_age) {
            false => {}
            true if is_folder => container::remove_abandoned(folder, &name),
            true => remove_file(folder, &name),
        }
    }
}

/// Does the same for the sake of one file: in the beginning of a large folder, and only once for
/// outputs that go to the same folder one after another.
pub(crate) fn remove_abandoned_once(folder: &Dir) {
    static LAST: Mutex<Option<FileId>> = Mutex::new(None);
    let Ok(id) = folder.own_stat().map(|stat| FileId::of(&stat)) else { return };
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).replace(id);
    if last != Some(id) {
        remove_abandoned_of(folder, MAX_NAMES_FOR_FILE);
    }
}

/// Whether a file or folder is a temporary of this program, abandoned or not. The name of a
/// folder proves nothing: it must contain the mark, too.
#[must_use]
pub fn is_temporary(parent: &Dir, name: &OsStr, is_folder: bool) -> bool {
    temporary::owner(name).is_some() && (!is_folder || container::is_container(parent, name))
}

/// Removes a temporary, unless another user has put it there, it has several other names,
/// or a process has locked it. One other name is what a run leaves that is killed after it
/// has linked the file and before it has removed this name. Whoever can rename a file to
/// this name could remove it as well, so between the look and the removal nothing is to be
/// gained.
fn remove_file(folder: &Dir, name: &OsStr) {
    let Ok(file) = container::open_to_lock(folder, name) else { return };
    let Ok(stat) = fstat(&file) else { return };
    let is_plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_ours = is_plain && stat.st_nlink <= 2 && container::is_own(&stat);
    let is_locked =
        || flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
    if !Protection::OwnTemporaries.is_on() || (is_ours && !is_locked()) {
        let _ = folder.remove_file(name);
    }
}

fn is_abandoned(owner: Owner, stat: &Stat, foreign_age: Duration) -> bool {
    let tag = temporary::tag();
    if tag != 0 && owner.tag == tag {
        let pid = Pid::from_raw(owner.pid);
        let answer = pid.map_or(Err(Errno::SRCH), rustix::process::test_kill_process);
        return answer == Err(Errno::SRCH);
    }
    // Before it gets its name, a file gets the modification time of its input.
    let written = u64::try_from(stat.st_mtime.max(stat.st_ctime)).unwrap_or(0);
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written);
    SystemTime::now().duration_since(written).is_ok_and(|age| age > foreign_age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn only_what_is_certainly_abandoned_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (tag, living, dead) = (temporary::tag(), std::process::id(), child.id());
        let random = "0123456789abcdef";
        let make = |name: &str| fs::write(folder.path().join(name), "x").unwrap();
        let abandoned = ["out", "other", "a.cryptstream-b"]
            .map(|name| format!(".{name}.cryptstream-{tag:08x}-{dead}-{random}.tmp"));
        let kept = [
            format!(".out.cryptstream-{tag:08x}-{living}-{random}.tmp"),
            format!(".out.cryptstream-{:08x}-{dead}-{random}.tmp", tag ^ 1),
            format!("out.cryptstream-{tag:08x}-{dead}-{random}.tmp"),
            format!(".cryptstream-{tag:08x}-{dead}-{random}.tmp"),
            format!(".out.cryptstream-{tag:08x}-{dead}-{random}"),
            ".out.cryptstream-0.tmp".to_owned(),
            "out".to_owned(),
        ];
        abandoned.iter().for_each(|name| make(name));
        kept.iter().for_each(|name| make(name));

        remove_abandoned(&dir);
        for name in &abandoned {
            assert!(!folder.path().join(name).exists(), "{name}");
        }
        for name in kept {
            assert!(folder.path().join(&name).exists(), "{name}");
        }
    }
    #[test]
    fn what_another_machine_left_is_abandoned_when_it_has_not_changed_for_long() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let old = (now - 2 * FOREIGN_AGE).as_secs() as i64;
        let now = now.as_secs() as i64;
        let mut stat = fstat(tempfile::tempfile().unwrap()).unwrap();
        let foreign = || Owner { tag: temporary::tag() ^ 1, pid: 1 };
        // A file gets the modification time of its input just before it gets its name.
        for (modified, changed, is_left) in [(old, old, true), (old, now, false), (now, old, false)]
        {
            (stat.st_mtime, stat.st_ctime) = (modified, changed);
            assert_eq!(is_abandoned(foreign(), &stat, FOREIGN_AGE), is_left);
        }
    }
}
