//! The attributes that a file takes over from the one that it replaces.

use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, fchown};

use cryptstream_beneath::{ACL, has_acl, mode_without_acl};
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};

/// The longest attribute value on Linux, and the longest list of names (xattr(7)).
const MAX_LEN: usize = 64 << 10;

/// Gives `file` the owner, the group and the access control list of `old`, as far as that is
/// allowed. Returns the permission bits that it may have: those of `old`. With another group, the
/// group gets no more than everyone; without the list, it gets what [`mode_without_acl`] allows, or
/// nothing if the file keeps the list of its folder.
pub(crate) fn keep_access(file: &File, old: &File, of: &Metadata) -> u32 {
    let is_owned = file.metadata().is_ok_and(|own| (own.uid(), own.gid()) == (of.uid(), of.gid()))
        || fchown(file, Some(of.uid()), Some(of.gid())).is_ok()
        || fchown(file, None, Some(of.gid())).is_ok();
    let mode = match copy(ACL, old, file) {
        true => of.mode() & 0o777,
        false if without_acl(file) => mode_without_acl(old, of.mode()).0,
        // The group bits would apply to users that the folder's list names.
        false => mode_without_acl(old, of.mode()).0 & 0o707,
    };
    if is_owned { mode } else { mode & (0o707 | (mode & 0o007) << 3) }
}

/// Removes the access control list of the file, such as one inherited from its folder. Returns
/// whether it has none.
fn without_acl(file: &File) -> bool {
    !has_acl(file) || (fremovexattr(file, ACL).is_ok() && !has_acl(file))
}

/// Copies the attributes that users and programs have set. Those that cannot be copied are left
/// out.
pub(crate) fn copy_user_attributes(file: &File, old: &File) {
    let mut names = vec![0; MAX_LEN];
    let len = flistxattr(old, &mut names[..]).unwrap_or(0);
    let names = names[..len].split(|byte| *byte == 0).filter_map(|name| str::from_utf8(name).ok());
    for name in names.filter(|name| name.starts_with("user.")) {
        copy(name, old, file);
    }
}

/// Copies one attribute. Returns whether `to` now has it.
fn copy(name: &str, from: &File, to: &File) -> bool {
    let mut value = vec![0; MAX_LEN];
    match fgetxattr(from, name, &mut value[..]) {
        Ok(len) => fsetxattr(to, name, &value[..len], XattrFlags::empty()).is_ok(),
        Err(_) => false,
    }
}
