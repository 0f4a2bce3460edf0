//! Recognizes and removes the temporaries of killed runs.
//!
//! A temporary is abandoned when its process is gone. One with another tag, such as that of
//! another machine on a network file system, is abandoned when nothing was written to it for
//! a day. A lock alone is not enough: some file systems do not share locks between machines.
//!
//! A name proves nothing, since anyone can give it to a file. So only files of this
//! user are removed; for folders see [`container`].

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use cryptstream_beneath::Dir;
use cryptstream_protection::Protection;
use rustix::fs::{FileType, FlockOperation, flock, fstat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::container;
use super::temporary::{Owner, parse_owner, prefix, tag};

/// No run works on a file for this long without writing to it.
const FOREIGN_AGE: Duration = Duration::from_secs(24 * 3600);
/// The same for a folder, whose own time does not change when files deep in it do.
const FOREIGN_FOLDER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes the abandoned temporaries of outputs that are to be called `name`.
pub(crate) fn remove_abandoned(folder: &Dir, name: &OsStr) {
    each_abandoned(folder, name, FOREIGN_AGE, remove_file);
}

/// The same for outputs that are folders.
pub(crate) fn remove_abandoned_folders(folder: &Dir, name: &OsStr) {
    each_abandoned(folder, name, FOREIGN_FOLDER_AGE, container::remove_abandoned);
}

fn each_abandoned(
    folder: &Dir,
    name: &OsStr,
    foreign_age: Duration,
    remove: impl Fn(&Dir, &OsStr),
) {
    let Ok(entries) = folder.entries() else { return };
    let prefix = prefix(name);
    for (entry, _) in entries.flatten() {
        let owner = entry.as_bytes().strip_prefix(prefix.as_slice()).and_then(parse_owner);
        if owner.is_some_and(|owner| is_abandoned(folder, &entry, owner, foreign_age)) {
            remove(folder, &entry);
        }
    }
}

/// Removes a temporary, unless another user has put it there, it has several other names,
/// or a process has locked it. One other name is what a run leaves that is killed after it
/// has linked the file and before it has removed this name. Whoever can rename a file to
/// this name could remove it as well, so between the look and the removal nothing is to be
/// gained.
fn remove_file(folder: &Dir, name: &OsStr) {
    let Ok(file) = folder.open_file(name) else { return };
    let Ok(stat) = fstat(&file) else { return };
    let is_plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_ours = is_plain && stat.st_nlink <= 2 && container::is_own(&stat);
    let is_locked =
        || flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
    if !Protection::OwnTemporaries.is_on() || (is_ours && !is_locked()) {
        let _ = folder.remove_file(name);
    }
}

fn is_abandoned(folder: &Dir, entry: &OsStr, owner: Owner, foreign_age: Duration) -> bool {
    let tag = tag();
    if tag != 0 && owner.tag == tag {
        let pid = Pid::from_raw(owner.pid);
        let answer = pid.map_or(Err(Errno::SRCH), rustix::process::test_kill_process);
        return answer == Err(Errno::SRCH);
    }
    let Ok(stat) = folder.stat(entry) else { return false };
    let written = u64::try_from(stat.st_mtime).unwrap_or(0);
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
        let (tag, living, dead) = (tag(), std::process::id(), child.id());
        let random = "0123456789abcdef";
        let make = |name: &str| fs::write(folder.path().join(name), "x").unwrap();
        let abandoned = format!(".out.cryptstream-{tag:08x}-{dead}-{random}.tmp");
        let kept = [
            format!(".out.cryptstream-{tag:08x}-{living}-{random}.tmp"),
            format!(".out.cryptstream-{:08x}-{dead}-{random}.tmp", tag ^ 1),
            format!(".other.cryptstream-{tag:08x}-{dead}-{random}.tmp"),
            format!(".out.cryptstream-{tag:08x}-{dead}-{random}"),
            ".out.cryptstream-0.tmp".to_owned(),
            "out".to_owned(),
        ];
        make(&abandoned);
        kept.iter().for_each(|name| make(name));
        // Another machine's, from long ago.
        let old = format!(".out.cryptstream-{:08x}-1-{random}.tmp", tag ^ 2);
        make(&old);
        let file = fs::File::options().write(true).open(folder.path().join(&old)).unwrap();
        file.set_modified(SystemTime::now() - 2 * FOREIGN_AGE).unwrap();

        remove_abandoned(&dir, OsStr::new("out"));
        assert!(!folder.path().join(abandoned).exists());
        assert!(!folder.path().join(old).exists());
        for name in kept {
            assert!(folder.path().join(&name).exists(), "{name}");
        }
    }
}
