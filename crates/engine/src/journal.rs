//! The undo journal for replacing a header in place.
//!
//! It is the file `.NAME.cryptstream-rekey` in the file's folder. It is complete and durable
//! before the header is changed, and is removed once the new header is durable. So if there
//! is one, a run was interrupted. The header in the file is used as long as it is valid.
//! Only if it is not, and is neither the journal's old nor its new header, the old one
//! is used instead. Creating such a journal gives an attacker nothing: it contains a header,
//! which is checked like any other.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileId, times_of};
use cryptstream_format::journal::HeaderState;
use cryptstream_format::{Format, Header, Journal, UnlockError, UnwrapError};
use rustix::fs::{FileType, Timestamps};
use rustix::io::Errno;

use crate::data_file::DataFile;
use crate::header::read_header;
use crate::output::attributes::keep_access;
use crate::output::{PendingFile, Permissions, remove_durably};
use crate::path_resolution::{Resolution, ResolvedPath, refuse_if_owned_by_other};
use crate::workers::Beginning;
use crate::{Error, Source};

const SUFFIX: &[u8] = b".cryptstream-rekey";
/// The longest name that file systems allow.
const MAX_NAME_LEN: usize = 255;

/// The journal of a file.
pub(crate) struct UndoJournal {
    folder: Arc<Dir>,
    name: OsString,
    journal: Journal,
    /// The old header. Not set in a journal that was just created.
    header: Option<Header>,
    present: HeaderState,
    /// Those that the file had before.
    times: Timestamps,
}

/// A file whose header is about to be replaced.
pub(crate) struct Journaled<'a> {
    /// Its folder, and its name there.
    pub(crate) folder: &'a Arc<Dir>,
    pub(crate) name: &'a OsStr,
    pub(crate) source: &'a Source,
    pub(crate) file: &'a DataFile,
    pub(crate) len: u64,
}

impl UndoJournal {
    /// Looks for the journal of `file`, which has this name in `folder` and is the input
    /// `source`.
    pub(crate) fn find(
        folder: &Arc<Dir>,
        name: &OsStr,
        file: &DataFile,
        source: &Source,
    ) -> Option<Self> {
        let name = name_beside(name);
        let (journal, header, times) = read(folder, &name, source)?;
        let mut head = crate::memory::zeroed(journal.head_len()).ok()?;
        let head = file.read_up_to(&mut head, 0).ok()?;
        let present = journal.header_state(file.metadata().ok()?.len(), head)?;
        let (folder, header) = (Arc::clone(folder), Some(header));
        Some(Self { folder, name, journal, header, present, times })
    }

    /// Creates a journal and makes it durable, before the header is replaced. Returns it and
    /// its length in bytes.
    pub(crate) fn create(
        journaled: &Journaled<'_>,
        old_header: &[u8],
        prefix: &[u8],
        new_header: &[u8],
    ) -> Result<(Self, u64), Error> {
        let (folder, name) = (Arc::clone(journaled.folder), name_beside(journaled.name));
        let path = journaled.source.path().with_file_name(&name);
        let journal = Journal::new(journaled.len, old_header, prefix, new_header);
        let bytes = journal.encode();
        let in_the_way = |error| match error {
            Error::OutputExists { path } => Error::JournalInTheWay { path },
            error => error,
        };
        let pending = PendingFile::create(
            Arc::clone(&folder),
            name.clone(),
            &path,
            false,
            Permissions::Private,
        )
        .map_err(in_the_way)?;
        pending.write_at(0, &bytes)?;
        // Users who may read the file may read its header, and must be able to decrypt the
        // file after an interruption too.
        let metadata = journaled.file.metadata().map_err(|source| Error::Read {
            path: journaled.source.path().to_owned(),
            offset: 0,
            source,
        })?;
        let mode = keep_access(pending.file(), journaled.file, &metadata);
        let times = journaled.source.times();
        pending.set_times(&times)?;
        pending.commit_with_mode(mode, true).map_err(in_the_way)?;
        let present = HeaderState::Old;
        Ok((Self { folder, name, journal, header: None, present, times }, bytes.len() as u64))
    }

    /// Fails if it may not be removed. `path` is the file's.
    pub(crate) fn check_removable(&self, path: &Path) -> Result<(), Error> {
        let Ok(stat) = self.folder.stat(&self.name) else { return Ok(()) };
        refuse_if_owned_by_other(&self.folder, &stat, &path.with_file_name(&self.name))
    }

    /// Removes it, and makes that durable. `near` is any file of the file
    /// system.
    pub(crate) fn remove(&self, near: &File) -> Result<(), Errno> {
        remove_durably(&self.folder, &self.name, near)
    }

    /// The times of the file before its header was touched. The journal has them too.
    pub(crate) fn times(&self) -> Timestamps {
        self.times.clone()
    }

    pub(crate) fn old_header(&self) -> &[u8] {
        self.journal.old_header()
    }

    pub(crate) fn format(&self) -> Format {
        self.header.as_ref().map_or(Format::default(), Header::format)
    }

    /// The old header, if the file has neither this nor the new one.
    pub(crate) fn header_if_torn(&self) -> Option<Header> {
        self.header.clone().filter(|_| self.present == HeaderState::Torn)
    }

    /// Whether `header` is the old one.
    pub(crate) fn is_header(&self, header: &Header) -> bool {
        self.header.as_ref() == Some(header)
    }
}

/// Reads the header of `source` and calls `open` with it. If that fails because replacing the
/// header was interrupted, calls it again with the old header.
pub(crate) fn open_header<T>(
    source: &mut Source,
    mut open: impl FnMut(&mut Source, Header) -> Result<T, Error>,
) -> Result<T, Error> {
    let own = read_header(source).and_then(|header| open(source, header));
    let error = match own {
        Err(error) if concerns_header(&error) => error,
        result => return result,
    };
    let journal = match ResolvedPath::find(source.path()) {
        Ok(Resolution::Existing(resolved, stat))
            if source.id().may_be(FileId::of(&stat), &resolved.folder) =>
        {
            UndoJournal::find(&resolved.folder, &resolved.name, source.file(), source)
        }
        _ => None,
    };
    let Some(header) = journal.as_ref().and_then(UndoJournal::header_if_torn) else {
        return Err(error);
    };
    if !source.go_to(header.len() as u64) {
        return Err(error);
    }
    open(source, header)
}

/// Whether an error can come from a header that was partly written.
pub(crate) fn concerns_header(error: &Error) -> bool {
    match error {
        Error::Header { .. }
        | Error::CutInHeader { .. }
        | Error::NotEncrypted { .. }
        | Error::Commitment { .. }
        | Error::Layout { .. } => true,
        Error::Unlock { source, .. } => !matches!(
            source,
            UnlockError::Unwrap(UnwrapError::OutOfMemory(_) | UnwrapError::Key(_))
        ),
        _ => false,
    }
}

/// The name of the journal of a file with this name.
fn name_beside(name: &OsStr) -> OsString {
    let name = name.as_bytes();
    let fits = name.len() + 1 + SUFFIX.len() <= MAX_NAME_LEN;
    let shown = if fits { name.to_vec() } else { shortened(name) };
    OsString::from_vec([b".", shown.as_slice(), SUFFIX].concat())
}

/// The beginning of a long name, and a hash that distinguishes it from others.
fn shortened(name: &[u8]) -> Vec<u8> {
    let mut len = MAX_NAME_LEN - 1 - SUFFIX.len() - 17;
    // Not within a character: some file systems take nothing but UTF-8.
    while len > 0 && name[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    // FNV-1a, which must stay the same in all versions.
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    [&name[..len], format!("-{hash:016x}").as_bytes()].concat()
}

/// Reads a journal and its old header, if a plain file of that name is one; also its
/// times.
fn read(folder: &Dir, name: &OsStr, source: &Source) -> Option<(Journal, Header, Timestamps)> {
    let file = folder.open_file(name).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || stat.st_size > Journal::MAX_LEN as i64 {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(Journal::MAX_LEN as u64).read_to_end(&mut bytes).ok()?;
    let parsed = Journal::parse_with(&bytes, |header| {
        let beginning = source.parser().begin(source.path(), header, false);
        let Ok(Beginning::Header(offsets)) = beginning else { return None };
        Header::new(header.get(..offsets.len())?.to_vec(), &offsets)
    });
    parsed.map(|(journal, header)| (journal, header, times_of(&stat)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let beside = |name: &str| name_beside(OsStr::new(name));
        assert_eq!(beside("a.enc"), ".a.enc.cryptstream-rekey");
        for len in [235, 236, 237, 254, 255] {
            let names: Vec<_> =
                ["x", "y"].map(|end| beside(&format!("{}{end}", "n".repeat(len - 1)))).into();
            assert_ne!(names[0], names[1]);
            assert!(names.iter().all(|name| name.len() <= MAX_NAME_LEN));
        }
        let wide = beside(&"ä".repeat(127));
        assert!(wide.to_str().is_some(), "not cut within a character");
    }
}
