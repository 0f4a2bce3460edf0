//! What a run through trees has come to.

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) files: u64,
    /// Of these: outputs that were there and differed.
    pub(crate) replaced: u64,
    pub(crate) kept: u64,
    /// Files that were kept and links whose bits, target or time were put right.
    pub(crate) updated: u64,
    pub(crate) removed: u64,
    pub(crate) folders: u64,
    pub(crate) links: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    /// Files whose turn never came, as the run was stopped.
    pub(crate) left: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}
