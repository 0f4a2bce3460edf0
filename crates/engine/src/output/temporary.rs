//! The names of temporaries, and how those are found that a killed run left.
//!
//! `.NAME.cryptstream-TAG-PID-RANDOM.tmp`, where TAG stands for this boot of
//! this machine (and this container). A temporary is abandoned when its process
//! is gone; one of another tag, such as of another machine on a network file
//! system, when nobody has written to it for a day. A lock alone would not do:
//! there are file systems that do not share locks between all who see the file.
//!
//! A name proves nothing, since anybody may give it to a file. So only files of this
//! user are removed; for folders see [`container`].

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, SystemTime};

use cryptstream_beneath::Dir;
use cryptstream_protection::Protection;
use rustix::fs::{FileType, FlockOperation, flock, fstat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::container;

/// Of a longer name only the beginning goes into the temporary's.
const MAX_NAME_PART: usize = 150;
const MARK: &str = ".cryptstream-";
const SUFFIX: &str = ".tmp";
/// Nobody works on a file for so long without writing to it.
const FOREIGN_AGE: Duration = Duration::from_secs(24 * 3600);
/// Nor on a folder, whose own time does not tell of what is written deep in it.
const FOREIGN_FOLDER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A fresh temporary name for an output that is to be called `name`.
pub(super) fn name(name: &OsStr) -> Result<OsString, Errno> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
    let (tag, pid, random) = (tag(), std::process::id(), u64::from_ne_bytes(random));
    let rest = format!("{tag:08x}-{pid}-{random:016x}{SUFFIX}");
    Ok(OsString::from_vec([prefix(name).as_slice(), rest.as_bytes()].concat()))
}

/// Removes the abandoned temporaries of outputs that are to be called `name`.
pub(super) fn remove_abandoned(folder: &Dir, name: &OsStr) {
    each_abandoned(folder, name, FOREIGN_AGE, remove_file);
}

/// The same for outputs that are folders.
pub(super) fn remove_abandoned_folders(folder: &Dir, name: &OsStr) {
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

fn prefix(name: &OsStr) -> Vec<u8> {
    // Not within a character: some file systems take nothing but UTF-8.
    let mut len = name.len().min(MAX_NAME_PART);
    while len < name.len() && len > 0 && name.as_bytes()[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    [b".", &name.as_bytes()[..len], MARK.as_bytes()].concat()
}

/// Who made a temporary.
#[derive(Clone, Copy)]
struct Owner {
    tag: u32,
    pid: i32,
}

fn parse_owner(rest: &[u8]) -> Option<Owner> {
    let mut parts = std::str::from_utf8(rest).ok()?.strip_suffix(SUFFIX)?.split('-');
    let (tag, pid, random) = (parts.next()?, parts.next()?, parts.next()?);
    let is_ours = tag.len() == 8 && random.len() == 16 && parts.next().is_none();
    u64::from_str_radix(random, 16).ok().filter(|_| is_ours)?;
    Some(Owner { tag: u32::from_str_radix(tag, 16).ok()?, pid: pid.parse().ok()? })
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

/// This boot of this machine, and this set of process numbers; 0 if unknown.
fn tag() -> u32 {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id");
    let namespace = std::fs::read_link("/proc/self/ns/pid");
    let (Ok(boot), Ok(namespace)) = (boot, namespace) else { return 0 };
    let mut hasher = DefaultHasher::new();
    hasher.write(&boot);
    hasher.write(namespace.as_os_str().as_bytes());
    (hasher.finish() as u32).max(1)
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

    #[test]
    fn names_fit_and_are_recognized() {
        for output in ["o".to_owned(), "n".repeat(255), "ä".repeat(127)] {
            let temporary = name(OsStr::new(&output)).unwrap();
            assert!(temporary.len() <= 255);
            let text = temporary.to_str().expect("not cut within a character");
            let rest = text.as_bytes().strip_prefix(prefix(OsStr::new(&output)).as_slice());
            let owner = rest.and_then(parse_owner).unwrap();
            assert_eq!((owner.tag, owner.pid as u32), (tag(), std::process::id()));
            assert_ne!(name(OsStr::new(&output)).unwrap(), temporary);
        }
    }
}
