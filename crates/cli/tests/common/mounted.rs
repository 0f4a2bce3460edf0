//! File systems of their own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Dir;

/// A file system in a file, mounted on `mnt` until it is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// `args` are those of mkfs(8). `None` if this cannot be done here.
    pub fn new(dir: &Dir, args: &[&str]) -> Option<Self> {
        let (image, place) = (dir.path("image"), dir.path("mnt"));
        File::create(&image).unwrap().set_len(8 << 20).unwrap();
        fs::create_dir(&place).unwrap();
        let succeeds = |program: &str, args: &[&str], paths: &[&Path]| {
            let done = Command::new(program).args(args).args(paths).output();
            done.is_ok_and(|done| done.status.success())
        };
        let is_mounted = succeeds("mkfs", args, &[&image])
            && succeeds("mount", &["-o", "loop"], &[&image, &place]);
        is_mounted.then_some(Self(place))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
