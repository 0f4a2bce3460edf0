//! The exit status of a run.

use std::process::ExitCode;

use crate::messages::{self, Failure};

/// The exit status of a run: that of the first failure, in the order of the inputs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    /// Its position, and its exit status.
    first: Option<(u64, u8)>,
}

impl Status {
    /// Counts a failure, and prints it unless it is reported as JSON.
    pub(crate) fn fail(&mut self, failure: &Failure, is_json: bool) {
        self.fail_at(u64::MAX, failure, is_json);
    }

    /// The same if failures are not in the order of their inputs: files are processed in
    /// parallel, and the status must not depend on which is faster.
    pub(crate) fn fail_at(&mut self, place: u64, failure: &Failure, is_json: bool) {
        if self.first.is_none_or(|(first, _)| place < first) {
            self.first = Some((place, failure.code));
        }
        if !is_json {
            messages::print_error(failure);
        }
    }

    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The exit status as a number.
    pub(crate) fn code(self) -> u8 {
        self.first.map_or(messages::code::OK, |(_, code)| code)
    }

    /// The status that asks for another try, if that may help.
    pub(crate) fn or_try_again(self, may_help: bool) -> Self {
        match may_help {
            true => Self { first: Some((0, messages::code::TRY_AGAIN)) },
            false => self,
        }
    }
}

/// Failures that end a run, and are still to be reported.
#[derive(Debug)]
pub(crate) struct Failures(pub(crate) Vec<Failure>);

impl From<Failure> for Failures {
    fn from(failure: Failure) -> Self {
        Self(vec![failure])
    }
}

impl Failures {
    /// Prints all of them, or the first one as JSON. `is_stdout_data` tells whether standard
    /// output carries the data.
    pub(crate) fn report(&self, is_json: bool, is_stdout_data: bool) -> Status {
        let mut status = Status::default();
        if let (true, Some(first)) = (is_json, self.0.first()) {
            messages::print_json_error(first, is_stdout_data);
        }
        self.0.iter().for_each(|failure| status.fail(failure, is_json));
        status
    }
}
