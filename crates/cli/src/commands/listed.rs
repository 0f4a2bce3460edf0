//! Reads the names of inputs from a file, as tar and rsync do.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::args::{Files, Listed, Tree, is_dash};
use crate::messages::{Failure, look};

/// Adds the names to those that were typed.
pub(super) fn add_to(files: &mut Files, tree: &Tree) -> Result<(), Failure> {
    if files.listed.files_from.is_some() && tree.output_dir.is_none() {
        return Err(look::list_without_output_dir());
    }
    let mut names = read(&files.listed)?.into_iter();
    if files.input.is_none() {
        files.input = names.next();
    }
    files.more.extend(names);
    Ok(())
}

/// The names that a file has; none where no file was named.
pub(super) fn read(listed: &Listed) -> Result<Vec<PathBuf>, Failure> {
    let Some(path) = &listed.files_from else { return Ok(Vec::new()) };
    let unreadable = |error: io::Error| look::list_unreadable(path, &error);
    let mut bytes = Vec::new();
    match is_dash(path.as_os_str()) {
        true => io::stdin().lock().read_to_end(&mut bytes),
        false => File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    }
    .map_err(unreadable)?;
    if !listed.null && bytes.contains(&0) {
        return Err(look::list_has_nul(path));
    }
    let end = if listed.null { 0 } else { b'\n' };
    let names = bytes.split(|byte| *byte == end).filter(|name| !name.is_empty());
    Ok(names.map(|name| name_of(name.to_vec())).collect())
}

/// In a list a hyphen is a file's name.
fn name_of(bytes: Vec<u8>) -> PathBuf {
    let name = OsString::from_vec(bytes);
    if is_dash(&name) { Path::new(".").join(name) } else { name.into() }
}
