//! What callers ask of an error: the file that it is about, its text, and what follows from it.

use std::io;
use std::path::Path;

use super::Error;

impl Error {
    /// The file that the error is about, which its text begins with.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::SameFile { output: path, .. }
            | Self::Open { path, .. }
            | Self::InputIsDirectory { path }
            | Self::NotSeekable { path, .. }
            | Self::RangeAfterEnd { path, .. }
            | Self::Read { path, .. }
            | Self::InputChanged { path }
            | Self::Unfinished { path }
            | Self::OutputExists { path }
            | Self::OldOutputExists { path }
            | Self::OutputPlanted { path, .. }
            | Self::OwnedByOther { path, .. }
            | Self::OutputIsDirectory { path }
            | Self::OutputIsHere { path }
            | Self::Create { path, .. }
            | Self::Write { path, .. }
            | Self::NoRoom { path, .. }
            | Self::NotDurable { path, .. }
            | Self::NotReadBack { path, .. }
            | Self::NoOtherName { path, .. }
            | Self::OutputReplaced { path }
            | Self::BrokenPipe { path }
            | Self::OutputDiffers { path, .. }
            | Self::NotRemovable { path }
            | Self::NotVerifiable { path }
            | Self::Remove { path, .. }
            | Self::NotEncrypted { path, .. }
            | Self::Armor { path, .. }
            | Self::Header { path, .. }
            | Self::CutInHeader { path, .. }
            | Self::Unlock { path, .. }
            | Self::Commitment { path, .. }
            | Self::TooLong { path, .. }
            | Self::Layout { path, .. }
            | Self::Damaged { path, .. }
            | Self::CutInPayload { path, .. }
            | Self::NotAFile { path }
            | Self::WorkersDied { path, .. }
            | Self::ParserDied { path }
            | Self::ParserKilled { path }
            | Self::WorkerMisbehaved { path }
            | Self::OutputLength { path, .. }
            | Self::NotRegular { path }
            | Self::NotChangeable { path, .. }
            | Self::Busy { path }
            | Self::Armored { path }
            | Self::JournalInTheWay { path } => Some(path),
            Self::OutOfMemory { path } => path.as_deref(),
            Self::BinaryToTerminal { .. }
            | Self::NoSandbox
            | Self::NoProcess { .. }
            | Self::NoWorkers
            | Self::Wrap(_)
            | Self::Random(_)
            | Self::Cancelled
            | Self::Internal(_) => None,
        }
    }

    /// Names the input if the error names no file, where the file makes a difference.
    pub(crate) fn about(self, input: &Path) -> Self {
        match self {
            Self::OutOfMemory { path: None } => Self::OutOfMemory { path: Some(input.to_owned()) },
            error => error,
        }
    }

    /// What happened, without the file's name, for a caller that shows the name separately.
    #[must_use]
    pub fn message(&self) -> String {
        let text = self.to_string();
        let name = self.path().map(|path| format!("{}: ", path.display()));
        match name.and_then(|name| text.strip_prefix(&name)) {
            Some(message) => message.to_owned(),
            None => text,
        }
    }

    /// Whether the disk or quota is full, so that other outputs there will fail as well.
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

    /// Whether the payload is damaged. Other parts of it may be intact, which
    /// [`Engine::scan_for_damage`](crate::Engine::scan_for_damage) finds out.
    #[must_use]
    pub fn is_damaged_payload(&self) -> bool {
        matches!(self, Self::Layout { .. } | Self::Damaged { .. } | Self::CutInPayload { .. })
    }
}
