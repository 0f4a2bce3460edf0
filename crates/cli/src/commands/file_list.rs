//! Reads the names of inputs from a file, as tar and rsync do.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::args::{FileList, Files, Tree, is_dash};
use crate::messages::{Failure, inspect_verify};

/// Adds the names in the list to those on the command line.
pub(super) fn add_to(files: &mut Files, tree: &Tree) -> Result<(), Failure> {
    if files.file_list.files_from.is_some() && tree.output_dir.is_none() {
        return Err(inspect_verify::list_without_output_dir());
    }
    let mut names = read(&files.file_list)?.into_iter();
    if files.input.is_none() {
        files.input = names.next();
    }
    files.more.extend(names);
    Ok(())
}

/// The names in the list; none without a list.
pub(super) fn read(file_list: &FileList) -> Result<Vec<PathBuf>, Failure> {
    let Some(path) = &file_list.files_from else { return Ok(Vec::new()) };
    let unreadable = |error: io::Error| inspect_verify::list_unreadable(path, &error);
    let mut bytes = Vec::new();
    match is_dash(path.as_os_str()) {
        true => io::stdin().lock().read_to_end(&mut bytes),
        false => File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    }
    .map_err(unreadable)?;
    if !file_list.null && bytes.contains(&0) {
        return Err(inspect_verify::list_has_nul(path));
    }
    let end = if file_list.null { 0 } else { b'\n' };
    let names = bytes.split(|byte| *byte == end).filter(|name| !name.is_empty());
    Ok(names.map(|name| name_of(name.to_vec())).collect())
}

/// In a list, a hyphen is the name of a file.
fn name_of(bytes: Vec<u8>) -> PathBuf {
    let name = OsString::from_vec(bytes);
    if is_dash(&name) { Path::new(".").join(name) } else { name.into() }
}
