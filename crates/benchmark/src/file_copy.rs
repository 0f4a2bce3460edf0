//! The file copy that everything is compared with.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cryptstream_engine::Error;

/// Bytes that are copied at a time, as in `cp`.
const COPY_BUFFER: usize = 256 << 10;

/// Copies a file to a new name, like `cp --reflink=never` when it copies without help from the
/// kernel.
pub(crate) fn copy_file(from: &Path, to: &Path, buffer: &mut Vec<u8>) -> Result<(), Error> {
    buffer.resize(COPY_BUFFER, 0);
    let open = |source| Error::Open { path: from.to_owned(), source };
    let create = |source| Error::Create { path: to.to_owned(), source };
    let mut input = File::open(from).map_err(open)?;
    let mut output = OpenOptions::new().write(true).create_new(true).open(to).map_err(create)?;
    let mut offset = 0;
    loop {
        let len = match input.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(Error::Read { path: from.to_owned(), offset, source });
            }
        };
        output.write_all(&buffer[..len]).map_err(|source| Error::Write {
            path: to.to_owned(),
            offset,
            source,
        })?;
        offset += len as u64;
    }
}

/// Smaller inputs need no memory that a host may have taken back.
const MIN_WARM: u64 = 16 << 20;

/// Writes and removes two copies of the inputs, as much as is written next. A virtual machine
/// gives free memory back to its host after some seconds, and the next measurement would
/// include the time to get it again.
pub(crate) fn warm_memory(folder: &Path, inputs: &[PathBuf]) {
    let bytes: u64 = inputs.iter().filter_map(|input| Some(fs::metadata(input).ok()?.len())).sum();
    if bytes < MIN_WARM {
        return;
    }
    let copies = ["warm-0", "warm-1"].map(|name| folder.join(name));
    let mut buffer = Vec::new();
    for copy in &copies {
        for (index, input) in inputs.iter().enumerate() {
            // If this fails, the measurement fails too and reports why.
            let _ = copy_file(input, &copy.with_extension(index.to_string()), &mut buffer);
        }
    }
    for copy in &copies {
        (0..inputs.len()).for_each(|index| {
            drop(fs::remove_file(copy.with_extension(index.to_string())));
        });
    }
}
