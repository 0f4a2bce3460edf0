//! The names of temporaries: `.NAME.cryptstream-TAG-PID-RANDOM.tmp`, where TAG stands
//! for this boot of this machine (and this container).

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::io::Errno;

/// Of a longer name only the beginning goes into the temporary's.
const MAX_NAME_PART: usize = 150;
const MARK: &str = ".cryptstream-";
const SUFFIX: &str = ".tmp";
/// A fresh temporary name for an output that is to be called `name`.
pub(super) fn name(name: &OsStr) -> Result<OsString, Errno> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
    let (tag, pid, random) = (tag(), std::process::id(), u64::from_ne_bytes(random));
    let rest = format!("{tag:08x}-{pid}-{random:016x}{SUFFIX}");
    Ok(OsString::from_vec([prefix(name).as_slice(), rest.as_bytes()].concat()))
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
pub(super) struct Owner {
    pub(super) tag: u32,
    pub(super) pid: i32,
}

/// The owner that the name of a temporary contains; `None` for any other name.
pub(super) fn owner(name: &OsStr) -> Option<Owner> {
    let name = name.as_bytes().strip_prefix(b".")?;
    let is_mark = |bytes: &[u8]| bytes == MARK.as_bytes();
    let mark = name.windows(MARK.len()).rposition(is_mark).filter(|len| *len > 0)?;
    parse_owner(&name[mark + MARK.len()..])
}

fn parse_owner(rest: &[u8]) -> Option<Owner> {
    let mut parts = std::str::from_utf8(rest).ok()?.strip_suffix(SUFFIX)?.split('-');
    let (tag, pid, random) = (parts.next()?, parts.next()?, parts.next()?);
    let is_ours = tag.len() == 8 && random.len() == 16 && parts.next().is_none();
    u64::from_str_radix(random, 16).ok().filter(|_| is_ours)?;
    Some(Owner { tag: u32::from_str_radix(tag, 16).ok()?, pid: pid.parse().ok()? })
}

/// This boot of this machine, and this set of process numbers; 0 if unknown.
pub(super) fn tag() -> u32 {
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

    #[test]
    fn names_fit_and_are_recognized() {
        for output in ["o".to_owned(), "n".repeat(255), "ä".repeat(127)] {
            let temporary = name(OsStr::new(&output)).unwrap();
            assert!(temporary.len() <= 255);
            let text = temporary.to_str().expect("not cut within a character");
            assert!(text.as_bytes().starts_with(&prefix(OsStr::new(&output))));
            let owner = owner(&temporary).unwrap();
            assert_eq!((owner.tag, owner.pid as u32), (tag(), std::process::id()));
            assert_ne!(name(OsStr::new(&output)).unwrap(), temporary);
        }
    }
}
