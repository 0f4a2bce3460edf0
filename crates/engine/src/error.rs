//! The error type: what went wrong, in which file and where.

mod accessors;

use std::io;
use std::path::{Path, PathBuf};

use cryptstream_format::{
    ArmorError, CommitmentError, Format, HeaderError, LayoutError, RandomError, UnlockError,
    WrapError,
};

/// Why an operation on a file failed.
///
/// Unless the variant says otherwise, the output was not created, and a file that had its
/// name before is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is missing or may not be read.
    #[error("{}: cannot be opened: {source}", path.display())]
    Open {
        /// The input.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is not enough memory for the buffers.
    #[error("{}not enough memory", prefix(path.as_deref()))]
    OutOfMemory {
        /// The input, if it is known.
        path: Option<PathBuf>,
    },
    /// The input is a folder.
    #[error("{}: is a folder, not a file", path.display())]
    InputIsDirectory {
        /// The input.
        path: PathBuf,
    },
    /// A range was asked for, but the input can only be read from front to back.
    #[error("{}: cannot be read at arbitrary offsets", path.display())]
    NotSeekable {
        /// The input.
        path: PathBuf,
        /// Whether it is a file in text form, and not a pipe or a device.
        is_armored: bool,
    },
    /// The range begins after the end of the plaintext, whose length is verified.
    #[error("{}: the range begins at byte {start}, but the content has only {len} bytes", path.display())]
    RangeAfterEnd {
        /// The input.
        path: PathBuf,
        /// First byte of the range.
        start: u64,
        /// Length of the plaintext in bytes.
        len: u64,
    },
    /// Reading failed midway.
    #[error("{}: read failed at byte {offset}: {source}", path.display())]
    Read {
        /// The input.
        path: PathBuf,
        /// Position in the input, in bytes.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// Size, times or identity of the input changed while it was read.
    #[error("{}: changed while it was being read", path.display())]
    InputChanged {
        /// The input.
        path: PathBuf,
    },
    /// The thread that writes the input gave up before its end.
    #[error("{}: was not produced to its end", path.display())]
    Unfinished {
        /// The input.
        path: PathBuf,
    },
    /// Input and output are the same file.
    #[error("{}: is the same file as the input {}", output.display(), input.display())]
    SameFile {
        /// The input as it was named.
        input: PathBuf,
        /// The output as it was named.
        output: PathBuf,
    },
    /// The output exists and may not be replaced.
    #[error("{}: already exists", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// The folder that is to be replaced would keep its content under this name, which exists.
    #[error("{}: already exists, and the folder that is replaced would get this name", path.display())]
    OldOutputExists {
        /// The name of the output with `.old`.
        path: PathBuf,
    },
    /// Another user has created a link, a pipe or a device with the output's name, in a
    /// folder that others can write to.
    #[error("{}: belongs to another user (id {owner}) and is a link, a pipe or a device", path.display())]
    OutputPlanted {
        /// The output.
        path: PathBuf,
        /// The user's id.
        owner: u32,
    },
    /// Another user owns what is to be replaced or removed, and the sticky bit of its folder leaves
    /// that to its owner.
    #[error(
        "{}: belongs to another user (id {owner}), and only that user may replace or remove it in \
         this folder", path.display()
    )]
    OwnedByOther {
        /// The file.
        path: PathBuf,
        /// The user's id.
        owner: u32,
    },
    /// The output's name is that of a folder.
    #[error("{}: is a folder", path.display())]
    OutputIsDirectory {
        /// The output.
        path: PathBuf,
    },
    /// The output is the current folder or one above it.
    #[error("{}: is the current folder, or contains it, and would be replaced", path.display())]
    OutputIsHere {
        /// The output.
        path: PathBuf,
    },
    /// The output cannot be created.
    #[error("{}: cannot be created: {source}", path.display())]
    Create {
        /// The output.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Writing failed midway, or the result could not be given its name.
    #[error("{}: write failed at byte {offset}: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// Position in the output, in bytes.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The output does not fit on the disk, or exceeds a quota or a limit.
    #[error("{}: there is no room for {len} bytes: {source}", path.display())]
    NoRoom {
        /// The output.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The output is complete and has its name, but `fsync` failed: it may be lost in a
    /// power failure.
    #[error("{}: is complete, but could not be flushed to disk: {source}", path.display())]
    NotDurable {
        /// The output.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The output is complete and has its name, but could not be read back. The source was kept.
    #[error("{}: is complete, but could not be read back: {source}", path.display())]
    NotReadBack {
        /// The output.
        path: PathBuf,
        /// The store's reason.
        source: io::Error,
    },
    /// The file system cannot rename files, so a finished output could not get its name.
    #[error("{}: the file system can neither rename nor link files: {source}", path.display())]
    NoOtherName {
        /// The output.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The output got its name, and another program has replaced it immediately.
    #[error("{}: another program replaced it at the moment it was completed", path.display())]
    OutputReplaced {
        /// The output.
        path: PathBuf,
    },
    /// The reader of the output pipe has closed it.
    #[error("{}: its reader has closed it", path.display())]
    BrokenPipe {
        /// The output.
        path: PathBuf,
    },
    /// Binary data would have gone to a terminal.
    #[error("the output is binary and standard output is a terminal")]
    BinaryToTerminal {
        /// Bytes of text that the terminal had shown before.
        shown: u64,
    },
    /// The output was read again and differs from what was written. It was not given its
    /// name, and the source was kept.
    #[error(
        "{}: was read back, and differs from what was to be written from byte {offset} \
         of the content on",
        path.display()
    )]
    OutputDiffers {
        /// The output.
        path: PathBuf,
        /// First byte of the plaintext that differs or is missing.
        offset: u64,
    },
    /// The source was to be removed, but source or output is not a regular file.
    #[error("{}: cannot be removed afterwards", path.display())]
    NotRemovable {
        /// The source.
        path: PathBuf,
    },
    /// The output was to be compared with its source, but one of them is not a regular file.
    #[error("{}: its output cannot be read back and compared with it", path.display())]
    NotVerifiable {
        /// The source.
        path: PathBuf,
    },
    /// The output is complete, but the source could not be removed afterwards.
    #[error("{}: the output is complete, but this input could not be removed: {source}", path.display())]
    Remove {
        /// The source.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The input does not begin like an encrypted file.
    #[error("{}: is neither a CryptStream nor an age file", path.display())]
    NotEncrypted {
        /// The input.
        path: PathBuf,
        /// The first bytes, at most 512.
        head: Vec<u8>,
    },
    /// The armor around the content is malformed.
    #[error("{}: the armor is damaged: {source}", path.display())]
    Armor {
        /// The input.
        path: PathBuf,
        /// What is wrong and where.
        source: ArmorError,
    },
    /// The header is malformed.
    #[error("{}: the header is damaged: {source}", path.display())]
    Header {
        /// The input.
        path: PathBuf,
        /// What is wrong and where.
        source: HeaderError,
    },
    /// The file ends within the header or the payload's first bytes.
    #[error("{}: ends after {len} bytes, before its content begins: it was cut off", path.display())]
    CutInHeader {
        /// The input.
        path: PathBuf,
        /// Length of the input in bytes.
        len: u64,
    },
    /// No key fits, or the header was altered.
    #[error("{}: {source}", path.display())]
    Unlock {
        /// The input.
        path: PathBuf,
        /// Why.
        source: UnlockError,
        /// The format of the file.
        format: Format,
        /// Number of recipients in the header.
        recipients: usize,
        /// Their types, each once; if there are many, only the first.
        recipient_types: Vec<String>,
    },
    /// The payload does not belong to this header.
    #[error("{}: {source}", path.display())]
    Commitment {
        /// The input.
        path: PathBuf,
        /// Why.
        source: CommitmentError,
    },
    /// The input is longer than a file of the format can hold.
    #[error("{}: {source}", path.display())]
    TooLong {
        /// The input.
        path: PathBuf,
        /// Its length.
        source: LayoutError,
    },
    /// The payload has an impossible length.
    #[error("{}: {source}", path.display())]
    Layout {
        /// The input.
        path: PathBuf,
        /// Why.
        source: LayoutError,
    },
    /// A chunk does not verify.
    #[error("{}: {}", path.display(), damaged(*chunk, *offset, *is_last))]
    Damaged {
        /// The input.
        path: PathBuf,
        /// Number of the chunk, from 0.
        chunk: u64,
        /// Byte of the input at which the chunk begins.
        offset: u64,
        /// Whether it is the last one going by the input's length. Then the input may also
        /// have been cut off or added to.
        is_last: bool,
    },
    /// A stream ended in the middle of the payload.
    #[error("{}: ends at byte {offset}, within chunk {chunk}: it was cut off", path.display())]
    CutInPayload {
        /// The input.
        path: PathBuf,
        /// Number of the chunk that is missing or incomplete, from 0.
        chunk: u64,
        /// Length of the input in bytes.
        offset: u64,
    },
    /// Input or output is a pipe or a device, where a file is required.
    #[error("{}: cannot be read or written at arbitrary offsets", path.display())]
    NotAFile {
        /// Input or output.
        path: PathBuf,
    },
    /// Three workers died while working on the same segment.
    #[error(
        "{}: three worker processes were killed over segment {segment}; the output was not created",
        path.display()
    )]
    WorkersDied {
        /// The input.
        path: PathBuf,
        /// Number of the segment, from 0: that many MiB into the plaintext.
        segment: u64,
    },
    /// The sandboxed process that parses the file died, or sent an invalid answer.
    #[error("{}: the sandboxed process that parses it died or gave an invalid answer", path.display())]
    ParserDied {
        /// The input.
        path: PathBuf,
    },
    /// The sandboxed process that parses the file was killed from outside, or ran out of
    /// memory.
    #[error("{}: the sandboxed process that parses it was killed, or ran out of memory", path.display())]
    ParserKilled {
        /// The input.
        path: PathBuf,
    },
    /// A worker has sent a message, or written to shared memory, what no intact worker
    /// would.
    #[error(
        "{}: a worker process reported something impossible; the output was not created",
        path.display()
    )]
    WorkerMisbehaved {
        /// The input.
        path: PathBuf,
    },
    /// The output has another length than what was written to it.
    #[error("{}: the output has {found} bytes instead of {expected}, and was not created", path.display())]
    OutputLength {
        /// The output.
        path: PathBuf,
        /// Bytes that were written.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The file is not a regular file.
    #[error("{}: is not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be written to.
    #[error("{}: cannot be changed: {source}", path.display())]
    NotChangeable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another program has locked the file.
    #[error("{}: is locked by another program", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is armored, so its header cannot be replaced.
    #[error("{}: is armored", path.display())]
    Armored {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not a journal of this file has the journal's name.
    #[error("{}: is where the rekey journal must be, and is not a journal of this file", path.display())]
    JournalInTheWay {
        /// The journal's path.
        path: PathBuf,
    },
    /// The sandbox is required, and this system cannot provide it.
    #[error("processes cannot be fully sandboxed on this system")]
    NoSandbox,
    /// A required process cannot be started.
    #[error("no sandboxed process can be started: {source}")]
    NoProcess {
        /// The system's reason.
        source: io::Error,
    },
    /// The required processes were killed, each time they were started.
    #[error("the sandboxed processes were killed, or do not answer")]
    NoWorkers,
    /// The file key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The operating system provides no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The caller has given the run up, by
    /// [`Progress::is_cancelled`](crate::Progress::is_cancelled).
    #[error("was cancelled")]
    Cancelled,
    /// A bug.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

fn prefix(path: Option<&Path>) -> String {
    path.map_or(String::new(), |path| format!("{}: ", path.display()))
}

/// What is said of a chunk that fails authentication.
fn damaged(chunk: u64, offset: u64, is_last: bool) -> String {
    if is_last {
        format!(
            "is damaged at its end: chunk {chunk}, the last one, at byte {offset} of the encrypted \
             file, was cut off, extended or altered"
        )
    } else {
        format!(
            "is damaged in chunk {chunk}, at byte {offset} of the encrypted file: authentication failed"
        )
    }
}
