//! Everything that can go wrong, with the file and the place.

use std::io;
use std::path::PathBuf;

use cryptstream_format::{
    ArmorError, CommitmentError, HeaderError, LayoutError, RandomError, UnlockError, WrapError,
};

/// Why a file was not sealed or opened. Whatever it is, nothing stands under
/// the output's name that did not stand there before.
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
    /// The system does not give the memory for the buffers.
    #[error("the system gives no more memory")]
    OutOfMemory,
    /// The input is a folder.
    #[error("{}: is a folder", path.display())]
    InputIsDirectory {
        /// The input.
        path: PathBuf,
    },
    /// A part was asked for, and the input cannot be read at any place.
    #[error("{}: cannot be read at any place", path.display())]
    NotSeekable {
        /// The input.
        path: PathBuf,
        /// Whether it is a file in text form, and not a pipe or a device.
        is_armored: bool,
    },
    /// A part was asked for that begins where the plaintext has ended. (That
    /// it ends there was verified.)
    #[error("{}: has {len} bytes of plaintext, and none from byte {start} on", path.display())]
    RangeAfterEnd {
        /// The input.
        path: PathBuf,
        /// Where the part begins.
        start: u64,
        /// The plaintext's length.
        len: u64,
    },
    /// Reading failed midway.
    #[error("{}: reading failed at byte {offset}: {source}", path.display())]
    Read {
        /// The input.
        path: PathBuf,
        /// Byte of the input.
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
    /// What makes the input in this process gave up before it was whole.
    #[error("{}: could not be made whole", path.display())]
    Unfinished {
        /// The input.
        path: PathBuf,
    },
    /// Input and output are one file.
    #[error("{} and {}: are the same file", input.display(), output.display())]
    SameFile {
        /// The input as it was named.
        input: PathBuf,
        /// The output as it was named.
        output: PathBuf,
    },
    /// The output exists and may not be replaced.
    #[error("{}: exists already", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// Another user has put a link, a pipe or a device under the output's name, or
    /// could have.
    #[error("{}: was put there by another user (id {owner})", path.display())]
    OutputPlanted {
        /// The output.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// The output's name is that of a folder.
    #[error("{}: is a folder", path.display())]
    OutputIsDirectory {
        /// The output.
        path: PathBuf,
    },
    /// The output's name is that of the present folder, or of one above it.
    #[error("{}: is the present folder, or above it", path.display())]
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
    #[error("{}: writing failed at byte {offset}: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// Byte of the output.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk, the quota or a limit has no room for the output.
    #[error("{}: takes {len} bytes, for which there is no room: {source}", path.display())]
    NoRoom {
        /// The output.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The output stands under its name, complete; but the system has failed
    /// to make sure that it still will after a power failure.
    #[error("{}: is complete, but may not be durable: {source}", path.display())]
    NotDurable {
        /// The output.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The output would be written under a temporary name, and its file system gives a
    /// file no other name afterwards.
    #[error("{}: could get no name when it is finished: {source}", path.display())]
    NoOtherName {
        /// The output.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The output was finished and got its name, under which something else stands now.
    #[error("{}: was replaced by another program when it was finished", path.display())]
    OutputReplaced {
        /// The output.
        path: PathBuf,
    },
    /// Whoever read the output pipe has closed it.
    #[error("{}: nobody reads it any more", path.display())]
    BrokenPipe {
        /// The output.
        path: PathBuf,
    },
    /// Binary data would have gone to a terminal.
    #[error("the output is binary and standard output is a terminal")]
    BinaryToTerminal {
        /// Bytes of text that the terminal has shown before.
        shown: u64,
    },
    /// The output, read again, is not what was to be written. It was not given its
    /// name, and the source was kept.
    #[error("{}: is not what was to be written, from byte {offset} on", path.display())]
    OutputDiffers {
        /// The output.
        path: PathBuf,
        /// Byte of the plaintext from which on it differs, or is cut.
        offset: u64,
    },
    /// The source is to be removed, but it is no plain file, or the output is
    /// none that could take its place.
    #[error("{}: cannot be removed when all is done", path.display())]
    NotRemovable {
        /// The source.
        path: PathBuf,
    },
    /// The output is to be read again and compared with its source, and one of them is
    /// no file.
    #[error("{}: can be read only once, or its output only written", path.display())]
    NotVerifiable {
        /// The source.
        path: PathBuf,
    },
    /// The output is complete, but the source could not be removed afterwards.
    #[error("{}: cannot be removed: {source}", path.display())]
    Remove {
        /// The source.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The input does not begin like a sealed file.
    #[error("{}: is neither a CryptStream nor an age file", path.display())]
    NotSealed {
        /// The input.
        path: PathBuf,
        /// The first bytes, up to 512, for guessing what it is.
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
    #[error("{}: ends after {len} bytes, before its content begins", path.display())]
    CutInHeader {
        /// The input.
        path: PathBuf,
        /// Bytes that there are.
        len: u64,
    },
    /// No key fits, or the header was altered.
    #[error("{}: {source}", path.display())]
    Unlock {
        /// The input.
        path: PathBuf,
        /// Why.
        source: UnlockError,
        /// How many recipients the file is sealed for.
        recipients: usize,
        /// Their types, each once; of many only the first.
        sealed_for: Vec<String>,
    },
    /// The payload was not sealed under this header.
    #[error("{}: {source}", path.display())]
    Commitment {
        /// The input.
        path: PathBuf,
        /// Why.
        source: CommitmentError,
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
    #[error("{}: chunk {chunk} at byte {offset} is damaged", path.display())]
    Damaged {
        /// The input.
        path: PathBuf,
        /// Number of the chunk, from 0.
        chunk: u64,
        /// Byte of the input at which the chunk begins.
        offset: u64,
        /// Whether it is the last one, by the input's length: then the input
        /// may have been cut off or added to as well.
        is_last: bool,
    },
    /// A stream ended where no payload can end.
    #[error("{}: ends within chunk {chunk}, at byte {offset}", path.display())]
    CutInPayload {
        /// The input.
        path: PathBuf,
        /// Number of the chunk that is missing or incomplete, from 0.
        chunk: u64,
        /// Bytes that there are.
        offset: u64,
    },
    /// A pipe or a device, where only a file will do.
    #[error("{}: is not a file that can be read or written at any place", path.display())]
    NotAFile {
        /// Input or output.
        path: PathBuf,
    },
    /// One segment has killed every worker that tried it.
    #[error("{}: three workers died over segment {segment}", path.display())]
    WorkersDied {
        /// The input.
        path: PathBuf,
        /// Number of the segment, from 0: that many MiB into the plaintext.
        segment: u64,
    },
    /// The locked-in process that was to read the file died over it, or answered
    /// nonsense.
    #[error("{}: the sandboxed process that reads it died", path.display())]
    ReaderDied {
        /// The input.
        path: PathBuf,
    },
    /// The locked-in process that was to read the file was killed from outside, or lacked
    /// memory.
    #[error("{}: the sandboxed process that reads it was killed", path.display())]
    ReaderKilled {
        /// The input.
        path: PathBuf,
    },
    /// A worker has said, or written into shared memory, what no worker of this
    /// program would.
    #[error("{}: a worker process reported something impossible", path.display())]
    WorkerMisbehaved {
        /// The input.
        path: PathBuf,
    },
    /// The output has another length than what was written to it.
    #[error("{}: has {found} bytes instead of {expected}", path.display())]
    OutputLength {
        /// The output.
        path: PathBuf,
        /// Bytes that were to be written.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The file is no plain file.
    #[error("{}: is not a plain file", path.display())]
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
    /// Another program is at the file.
    #[error("{}: another program has locked it", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is armored: nothing stands at its place in it.
    #[error("{}: is armored", path.display())]
    Armored {
        /// The file.
        path: PathBuf,
    },
    /// Where the journal of an exchange of headers must stand there is
    /// something else.
    #[error("{}: is in the way, and no journal of this file", path.display())]
    JournalInTheWay {
        /// The journal's name.
        path: PathBuf,
    },
    /// Workers could not be locked in as was required.
    #[error("worker processes cannot be sandboxed fully on this system")]
    NoSandbox,
    /// A process that is required cannot be started.
    #[error("no process can be started: {source}")]
    NoProcess {
        /// The system's reason.
        source: io::Error,
    },
    /// The processes that are required were killed before they were ready, or as often as
    /// they were started.
    #[error("the worker processes were killed")]
    NoWorkers,
    /// The file key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The operating system has no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A bug.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Error {
    /// Whether there is no room for the output: others there will fail as well.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let (Self::Create { source, .. }
        | Self::Write { source, .. }
        | Self::NoRoom { source, .. }) = self
        else {
            return false;
        };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether it is the payload that is damaged, so that other parts of it may
    /// be intact.
    #[must_use]
    pub fn is_damaged_payload(&self) -> bool {
        matches!(self, Self::Layout { .. } | Self::Damaged { .. } | Self::CutInPayload { .. })
    }
}
