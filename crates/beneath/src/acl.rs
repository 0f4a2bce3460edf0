//! The permission bits of files with a POSIX access control list.

use std::os::fd::AsFd;

use rustix::fs::fgetxattr;
use rustix::io::Errno;

use crate::Dir;

/// The extended attribute that holds an access control list (acl(5)).
pub const ACL: &str = "system.posix_acl_access";
/// The version in the first four bytes of a list (linux/posix_acl_xattr.h).
const VERSION: u32 = 2;
/// The length of an entry in bytes: type (2), permissions (2), user or group (4).
const ENTRY_LEN: usize = 8;
/// Types of entries.
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
/// Permission to read.
const READ: u32 = 4;

/// The permission bits for a copy of `file` that does not get its access control list, and whether
/// there is a list. `mode` has the bits of the file itself: if there is a list, its group bits are
/// the mask, which may allow more than the group has.
#[must_use]
pub fn mode_without_acl(file: impl AsFd, mode: u32) -> (u32, bool) {
    let mut buffer = [0; 1024];
    match fgetxattr(file, ACL, &mut buffer[..]) {
        Ok(0) => (mode & 0o777, false),
        Ok(len) => (mode & (0o700 | group_and_others(&buffer[..len])), true),
        // The list is too long for the buffer.
        Err(Errno::RANGE) => (mode & 0o700, true),
        Err(_) => (mode & 0o777, false),
    }
}

/// Like [`mode_without_acl`] for a directory. Bits other than permission bits are kept.
#[must_use]
pub fn dir_mode_without_acl(dir: &Dir, mode: u32) -> (u32, bool) {
    // If there is a list, its mask is empty, and it gives users and groups nothing.
    if mode & 0o070 == 0 {
        return (mode, false);
    }
    let Ok(file) = dir.open_self() else { return (mode, false) };
    let (bits, has_acl) = mode_without_acl(&file, mode);
    (mode & !0o777 | bits, has_acl)
}

/// Whether the file has an access control list beyond its permission bits.
#[must_use]
pub fn has_acl(file: impl AsFd) -> bool {
    match fgetxattr(file, ACL, &mut [0; 256][..]) {
        Ok(len) => len > 0,
        Err(error) => error == Errno::RANGE,
    }
}

/// The bits for the group and for others that give nobody more than this list does. The group gets
/// its own entry within the mask. If an entry denies reading to a user or a group, only the owner
/// may read.
fn group_and_others(list: &[u8]) -> u32 {
    let Some((version, entries)) = list.split_first_chunk() else { return 0 };
    if u32::from_le_bytes(*version) != VERSION || entries.len() % ENTRY_LEN != 0 {
        return 0;
    }
    let (mut group, mut others, mut mask, mut named) = (0, 0, 7, 7);
    for entry in entries.chunks_exact(ENTRY_LEN) {
        let rights = u32::from(u16::from_le_bytes([entry[2], entry[3]])) & 7;
        match u16::from_le_bytes([entry[0], entry[1]]) {
            USER | GROUP => named &= rights,
            GROUP_OBJ => group = rights,
            MASK => mask = rights,
            OTHER => others = rights,
            _ => {}
        }
    }
    let has_named = entries
        .chunks_exact(ENTRY_LEN)
        .any(|entry| matches!(u16::from_le_bytes([entry[0], entry[1]]), USER | GROUP));
    let withheld = if has_named { READ & !(named & mask) } else { 0 };
    let (group, others) = (group & mask & !withheld, others & !withheld);
    group << 3 | others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (kind, rights) in entries {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&rights.to_le_bytes());
            bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn the_group_gets_its_own_entry_within_the_mask() {
        const USER_OBJ: (u16, u16) = (1, 6);
        let bits = |entries: &[(u16, u16)]| group_and_others(&list(entries));
        assert_eq!(bits(&[USER_OBJ, (USER, 7), (GROUP_OBJ, 4), (MASK, 7), (OTHER, 0)]), 0o40);
        assert_eq!(bits(&[USER_OBJ, (USER, 7), (GROUP_OBJ, 0), (MASK, 7), (OTHER, 4)]), 0o04);
        assert_eq!(bits(&[USER_OBJ, (USER, 6), (GROUP_OBJ, 6), (MASK, 4), (OTHER, 4)]), 0o44);
        assert_eq!(bits(&[USER_OBJ, (GROUP_OBJ, 5), (OTHER, 4)]), 0o54);
        // Who may not read the file by name might be in the group.
        assert_eq!(bits(&[USER_OBJ, (USER, 0), (GROUP_OBJ, 6), (MASK, 6), (OTHER, 4)]), 0o20);
    }

    #[test]
    fn what_is_no_list_gives_nothing() {
        assert_eq!(group_and_others(&[]), 0);
        assert_eq!(group_and_others(&[2, 0, 0, 0, 4]), 0);
        assert_eq!(group_and_others(&[3, 0, 0, 0]), 0);
    }
}
