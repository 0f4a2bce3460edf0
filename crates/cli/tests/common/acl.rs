//! POSIX access control lists in the form of extended attributes (linux/posix_acl_xattr.h).

pub const ACCESS: &str = "system.posix_acl_access";
pub const DEFAULT: &str = "system.posix_acl_default";

/// Kinds of entries.
pub const USER_OBJ: u16 = 1;
pub const USER: u16 = 2;
pub const GROUP_OBJ: u16 = 4;
pub const MASK: u16 = 0x10;
pub const OTHER: u16 = 0x20;

/// An access control list of kinds and permission bits; [`USER`] means `user`.
pub fn list(user: u32, entries: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (kind, rights) in entries {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        let id = if *kind == USER { user } else { u32::MAX };
        bytes.extend(id.to_le_bytes());
    }
    bytes
}
