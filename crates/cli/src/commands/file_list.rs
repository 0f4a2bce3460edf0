//! Reads the names of inputs from a file, as tar and rsync do.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::args::{FileList, Files, Tree, is_dash};
use crate::messages::{Failure, inspect_verify};

/// The longest path that the system takes, in bytes (`PATH_MAX`, with its NUL byte).
const MAX_NAME_LEN: u64 = 4_095;
/// The longest list, in bytes: millions of names.
const MAX_LIST_LEN: usize = 256 << 20;

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
    let mut list: Box<dyn BufRead> = match is_dash(path.as_os_str()) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).map_err(unreadable)?)),
    };
    let end = if file_list.null { 0 } else { b'\n' };
    let (mut names, mut total) = (Vec::new(), 0);
    loop {
        let mut name = Vec::new();
        let read = list.by_ref().take(MAX_NAME_LEN + 1).read_until(end, &mut name);
        let read = read.map_err(unreadable)?;
        if read == 0 {
            return Ok(names);
        }
        total += read;
        if name.last() == Some(&end) {
            name.pop();
        }
        if !file_list.null && name.contains(&0) {
            return Err(inspect_verify::list_has_nul(path));
        }
        if name.len() as u64 > MAX_NAME_LEN {
            return Err(inspect_verify::list_has_long_name(path, MAX_NAME_LEN, file_list.null));
        }
        if total > MAX_LIST_LEN {
            return Err(inspect_verify::list_too_long(path, MAX_LIST_LEN as u64));
        }
        if !name.is_empty() {
            names.push(name_of(name));
        }
    }
}

/// In a list, a hyphen is the name of a file.
fn name_of(bytes: Vec<u8>) -> PathBuf {
    let name = OsString::from_vec(bytes);
    if is_dash(&name) { Path::new(".").join(name) } else { name.into() }
}
