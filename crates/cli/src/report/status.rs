//! The exit status of a run.

use std::process::ExitCode;

use crate::messages::{self, Failure};

/// The exit status of a run: that of the first failure, in the order of the inputs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    /// Its place, and its status.
    first: Option<(u64, u8)>,
}

impl Status {
    /// Takes a failure into account, and says it unless a program reads it
    /// elsewhere.
    pub(crate) fn fail(&mut self, failure: &Failure, is_json: bool) {
        self.fail_at(u64::MAX, failure, is_json);
    }

    /// The same where failures become known in another order than that of their inputs:
    /// several are worked on at a time, and the status must not depend on which is faster.
    pub(crate) fn fail_at(&mut self, place: u64, failure: &Failure, is_json: bool) {
        if self.first.is_none_or(|(first, _)| place < first) {
            self.first = Some((place, failure.code));
        }
        if !is_json {
            messages::print_error(failure);
        }
    }

    /// The end of a run that could not begin.
    pub(crate) fn refused(failure: &Failure, is_json: bool) -> ExitCode {
        match is_json {
            true => messages::print_json_error(failure, false),
            false => messages::print_error(failure),
        }
        ExitCode::from(failure.code)
    }

    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(self.first.map_or(messages::code::OK, |(_, code)| code))
    }
}
