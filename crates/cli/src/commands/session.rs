//! What is settled before a command begins.

use std::cell::Cell;

use zeroize::Zeroizing;

use crate::args::ReportOptions;
use crate::report::{Failures, Status};

/// What all commands need to know.
pub(super) struct Session {
    /// What to report, and in which form.
    pub(super) options: ReportOptions,
    /// Whether the configuration file is ignored.
    pub(super) no_config: bool,
    /// The passphrase of `--key`, until a command takes it.
    key: Cell<Option<Zeroizing<Vec<u8>>>>,
}

/// How a command ends: with the status of what it has reported itself, or with failures that
/// are still to be reported.
pub(super) type CommandResult = Result<Status, Failures>;

impl Session {
    pub(super) fn new(
        options: ReportOptions,
        no_config: bool,
        key: Option<Zeroizing<Vec<u8>>>,
    ) -> Self {
        Self { options, no_config, key: Cell::new(key) }
    }

    /// Takes the passphrase of `--key`.
    pub(super) fn take_key(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.key.take()
    }
}
