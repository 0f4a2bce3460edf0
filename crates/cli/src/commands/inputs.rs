//! The inputs of a command that takes several and goes on when one fails.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::is_dash;
use crate::messages::{self, Failure, look};
use crate::request::Input;
use crate::tree::sealed_files;

/// What was named, and the sealed files in folders that were named; standard input
/// where nothing was.
pub(super) fn inputs(files: Vec<PathBuf>) -> Result<Vec<Input>, Failure> {
    if files.is_empty() {
        return match io::stdin().is_terminal() {
            true => Err(messages::no_input()),
            false => Ok(vec![Input::Stdin]),
        };
    }
    if files.iter().filter(|path| is_dash(path.as_os_str())).count() > 1 {
        return Err(look::one_stdin());
    }
    let mut inputs = Vec::new();
    for path in files {
        if is_dash(path.as_os_str()) {
            inputs.push(Input::Stdin);
            continue;
        }
        // A folder without any stays, and is refused when it is opened.
        let sealed = sealed_files(&path);
        match sealed.is_empty() {
            true => inputs.push(Input::Path(path)),
            false => inputs.extend(sealed),
        }
    }
    Ok(inputs)
}

/// The exit status of a run: that of the first failure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Status(Option<u8>);

impl Status {
    /// Takes a failure into account, and says it unless a program reads it
    /// elsewhere.
    pub(super) fn fail(&mut self, failure: &Failure, is_json: bool) {
        self.0.get_or_insert(failure.code);
        if !is_json {
            messages::print_error(failure);
        }
    }

    /// The end of a run that could not begin.
    pub(super) fn refused(failure: &Failure, is_json: bool) -> ExitCode {
        match is_json {
            true => messages::print_json_error(failure, false),
            false => messages::print_error(failure),
        }
        ExitCode::from(failure.code)
    }

    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(self.0.unwrap_or(messages::code::OK))
    }
}

/// Standard output for as long as it can be written.
#[derive(Debug, Default)]
pub(super) struct Lines {
    is_closed: bool,
}

impl Lines {
    /// Writes `text` at once, so that errors stand after what they belong to.
    /// That nobody reads any more is no failure.
    pub(super) fn print(&mut self, text: &str, status: &mut Status) {
        if self.is_closed {
            return;
        }
        let mut stdout = io::stdout().lock();
        if let Err(source) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            self.is_closed = true;
            if source.kind() != io::ErrorKind::BrokenPipe {
                status.fail(&messages::stdout_failed(source, false), false);
            }
        }
    }

    /// Whether going on would be for nothing.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }
}
