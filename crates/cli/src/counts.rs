//! The totals of a run over folders.

/// The totals of a run over folders.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) files: u64,
    /// The number of these whose output existed and differed.
    pub(crate) replaced: u64,
    pub(crate) kept: u64,
    /// Existing files and links whose bits, target or time were corrected.
    pub(crate) updated: u64,
    pub(crate) removed: u64,
    pub(crate) folders: u64,
    pub(crate) links: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    /// Files that were not tried, as the run was stopped.
    pub(crate) left: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}
