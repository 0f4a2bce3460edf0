//! Opens folders below a root, and keeps the last one open.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cryptstream_beneath::Dir;
use rustix::fs::Mode;
use rustix::io::Errno;

/// The longest path that is opened in one call. The kernel takes less than 4,096 bytes.
const MAX_PATH: usize = 4000;

/// A root, and the folder below it that was used last. Consecutive members of an archive are
/// usually in one folder.
pub(crate) struct FolderCache<'a> {
    root: &'a Dir,
    last: Option<(Vec<u8>, Dir)>,
}

impl<'a> FolderCache<'a> {
    pub(crate) fn new(root: &'a Dir) -> Self {
        Self { root, last: None }
    }

    /// The folder at this path. With `create`, missing folders are created with the usual
    /// permission bits.
    pub(crate) fn folder(&mut self, parts: &[&[u8]], create: bool) -> Result<&Dir, Errno> {
        if parts.is_empty() {
            return Ok(self.root);
        }
        let path = parts.join(&b'/');
        if self.last.as_ref().is_none_or(|(last, _)| *last != path) {
            let (from, left) = match &self.last {
                Some((last, dir)) => match path.strip_prefix(&last[..]) {
                    Some([b'/', ..]) => (dir, parts_below(parts, last)),
                    _ => (self.root, parts),
                },
                None => (self.root, parts),
            };
            let dir = match open(from, left) {
                Err(Errno::NOENT) if create => open_or_create(from, left)?,
                opened => opened?,
            };
            self.last = Some((path, dir));
        }
        self.last.as_ref().map(|(_, dir)| dir).ok_or(Errno::NOENT)
    }
}

/// `parts` without those of the path `above`, with which they begin.
fn parts_below<'p, 'b>(parts: &'p [&'b [u8]], above: &[u8]) -> &'p [&'b [u8]] {
    &parts[above.iter().filter(|byte| **byte == b'/').count() + 1..]
}

/// Opens a folder, in several calls if its path is too long for one.
fn open(from: &Dir, mut parts: &[&[u8]]) -> Result<Dir, Errno> {
    let mut dir: Option<Dir> = None;
    loop {
        let mut path = Vec::new();
        let fits =
            |path: &Vec<u8>, part: &[u8]| path.is_empty() || path.len() + part.len() < MAX_PATH;
        while let Some((part, rest)) = parts.split_first().filter(|(part, _)| fits(&path, part)) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
            parts = rest;
        }
        let opened = dir.as_ref().unwrap_or(from).open_dir(as_path(&path))?;
        if parts.is_empty() {
            return Ok(opened);
        }
        dir = Some(opened);
    }
}

fn open_or_create(from: &Dir, parts: &[&[u8]]) -> Result<Dir, Errno> {
    let mut dir: Option<Dir> = None;
    for part in parts {
        let (above, name) = (dir.as_ref().unwrap_or(from), as_path(part));
        let opened = match above.open_dir(name) {
            Err(Errno::NOENT) => {
                match above.create_dir(name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                above.open_dir(name)
            }
            opened => opened,
        };
        dir = Some(opened?);
    }
    dir.ok_or(Errno::NOENT)
}

/// A name as a path.
pub(crate) fn as_path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}
