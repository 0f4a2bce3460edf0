//! Every word that is said to the user.
//!
//! The rules: one line says what happened, to which file, and where; the next
//! line says what to do about it. Plain words, no blame, no exclamation mark,
//! no secret. A file name that could confuse a terminal is shown escaped.

pub(crate) mod archive;
mod benchmark;
pub(crate) mod config;
mod engine;
pub(crate) mod habits;
mod key_files;
mod keys;
pub(crate) mod look;
pub(crate) mod manual;
mod range;
pub(crate) mod rekey;
pub(crate) mod tree;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use cryptstream_engine::{Error, SandboxLevel, WorkerNote};
use serde_json::{Value, json};

use crate::report::{self, SCHEMA, print_json};
use crate::system;

pub(crate) use benchmark::{no_room, not_measurable, nothing_fits, output_differs, report_written};
pub(crate) use engine::{Context, costly, engine};
pub(crate) use key_files::{identities_invalid, recipients_invalid};
pub(crate) use keys::*;
pub(crate) use range::{range_of_stdin, range_opened};

/// Exit statuses, after sysexits.h.
pub(crate) mod code {
    pub(crate) const OK: u8 = 0;
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const DATA: u8 = 65;
    pub(crate) const NO_INPUT: u8 = 66;
    pub(crate) const INTERNAL: u8 = 70;
    pub(crate) const CANNOT_CREATE: u8 = 73;
    pub(crate) const IO: u8 = 74;
    pub(crate) const TRY_AGAIN: u8 = 75;
    pub(crate) const NO_KEY: u8 = 77;
    pub(crate) const CONFIG: u8 = 78;
}

/// Something went wrong: what to say and how to exit.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// A word for programs; stable.
    kind: &'static str,
    file: Option<PathBuf>,
    message: String,
    help: String,
    shared: Option<Shared>,
}

/// A reason for which other files of a run fail as well; it is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    /// There is no room.
    NoRoom,
    /// The file system of the outputs has no symbolic links.
    NoLinks,
}

impl Failure {
    fn new(
        code: u8,
        kind: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { code, kind, file: None, message, help, shared: None }
    }

    fn full(self, is_full: bool) -> Self {
        Self { shared: is_full.then_some(Shared::NoRoom), ..self }
    }

    pub(crate) fn shared(&self) -> Option<Shared> {
        self.shared
    }

    fn about(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let mut object = json!({
            "code": self.code,
            "kind": self.kind,
            "file": null,
            "message": self.message,
            "help": self.help,
        });
        if let Some(file) = &self.file {
            report::put_name(&mut object, "file", file);
        }
        object
    }
}

/// Says what went wrong, in two lines on standard error.
pub(crate) fn print_error(failure: &Failure) {
    use anstream::stream::IsTerminal;
    if failure.code == code::OK {
        return;
    }
    if is_for_programs() {
        return print_event("error", failure.json());
    }
    let (red, cyan, off) = ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m");
    let mut stderr = anstream::stderr().lock();
    // A line of progress may stand there.
    let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
    let file = failure.file.as_deref().map_or(String::new(), |file| format!("{}: ", quoted(file)));
    // Nobody may be reading; there is nobody else to tell.
    let _ = writeln!(stderr, "{clear}{red}error:{off} {file}{}", failure.message);
    if !failure.help.is_empty() {
        let _ = writeln!(stderr, "{cyan}help:{off} {}", failure.help);
    }
}

/// Says the same to a program.
pub(crate) fn print_json_error(failure: &Failure, is_stdout_data: bool) {
    if failure.code == code::OK {
        return;
    }
    if is_in_events() {
        print_event("error", failure.json());
        // It would be said twice at one place.
        if is_stdout_data {
            return;
        }
    }
    print_json(&json_error(failure), is_stdout_data);
}

/// A failure, for a program that reads one object about a run.
pub(crate) fn json_error(failure: &Failure) -> Value {
    json!({ "schema": SCHEMA, "command": command(), "error": failure.json() })
}

/// Whether nothing but errors is to be said.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// From now on says nothing but errors, or everything.
pub(crate) fn set_quiet(is_quiet: bool) {
    IS_QUIET.store(is_quiet, Ordering::Relaxed);
}

/// Whether a report is wanted (--json).
static HAS_REPORT: AtomicBool = AtomicBool::new(false);

/// Whether events are wanted (--progress json).
static IS_IN_EVENTS: AtomicBool = AtomicBool::new(false);

/// From now on reports to a program, says everything as events, or both.
pub(crate) fn speak_to_programs(has_report: bool, is_in_events: bool) {
    HAS_REPORT.store(has_report, Ordering::Relaxed);
    IS_IN_EVENTS.store(is_in_events, Ordering::Relaxed);
}

/// Whether a report is wanted.
pub(crate) fn has_report() -> bool {
    HAS_REPORT.load(Ordering::Relaxed)
}

/// Whether events are wanted.
pub(crate) fn is_in_events() -> bool {
    IS_IN_EVENTS.load(Ordering::Relaxed)
}

/// Whether a program reads standard error: then every line of it is JSON.
fn is_for_programs() -> bool {
    has_report() || is_in_events()
}

/// Whether standard output is the data, as far as that is known.
static IS_STDOUT_DATA: AtomicBool = AtomicBool::new(false);

/// The data goes to standard output.
pub(crate) fn keep_off_stdout() {
    IS_STDOUT_DATA.store(true, Ordering::Relaxed);
}

pub(crate) fn is_stdout_data() -> bool {
    IS_STDOUT_DATA.load(Ordering::Relaxed)
}

/// The command that is run, for reports.
static COMMAND: OnceLock<String> = OnceLock::new();

/// Says in every report from now on which command is run.
pub(crate) fn set_command(name: &str) {
    let _ = COMMAND.set(name.to_owned());
}

fn command() -> Option<&'static str> {
    COMMAND.get().map(String::as_str)
}

/// One event, as it is written.
pub(crate) fn event(event: &str, mut fields: Value) -> Value {
    fields["schema"] = json!(SCHEMA);
    fields["command"] = json!(command());
    fields["event"] = json!(event);
    fields
}

/// Writes an event with these fields as one line of JSON on standard error.
pub(crate) fn print_event(name: &str, fields: Value) {
    let line = escaped_json(&event(name, fields));
    // Nobody may be reading; there is nobody else to tell.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Says something that is no error, but that nobody should miss.
pub(crate) fn warn(text: &str) {
    let (yellow, off) = ("\x1b[1;33m", "\x1b[0m");
    if IS_QUIET.load(Ordering::Relaxed) {
        return;
    }
    if is_for_programs() {
        print_event("warning", json!({ "message": text }));
    } else {
        // Nobody may be reading; there is nobody else to tell.
        let _ = writeln!(anstream::stderr().lock(), "{yellow}warning:{off} {text}");
    }
}

/// Says something that is no error.
pub(crate) fn note(text: &str) {
    if is_for_programs() {
        return print_event("note", json!({ "message": text }));
    }
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// What is to be said of workers. What one has said itself may be anything: a
/// stranger's bytes may have taken it over.
pub(crate) fn worker_note(note: &WorkerNote) {
    match note {
        WorkerNote::Died { words } => {
            warn(&format!(
                "a worker process died, and its work is done again: {}",
                harmless(words)
            ));
        }
        WorkerNote::Sandbox { level } => {
            let missing = match level {
                SandboxLevel::None => "Landlock and system call filters (seccomp) are",
                SandboxLevel::FilterOnly => "Landlock is",
                SandboxLevel::LandlockOnly => "system call filters (seccomp) are",
                SandboxLevel::Full => return,
            };
            warn(&format!(
                "worker processes are not fully sandboxed: {missing} not available here; \
                 --sandbox require refuses to run like this"
            ));
        }
    }
}

/// Whether a character could change a terminal, or the order of what is read, or is not
/// to be seen: controls, direction marks, zero-width characters, separators, tags.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Text without what could deceive its reader.
fn harmless(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON in one line, in which what could deceive its reader on a terminal is escaped: such
/// characters stand in strings only, and JSON itself leaves some as they are.
pub(crate) fn escaped_json(object: &Value) -> String {
    let mut text = String::new();
    for c in object.to_string().chars() {
        if is_deceptive(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// A run was interrupted that had done so many of so many files.
pub(crate) fn interrupted(files: Option<(u64, u64)>, is_stdout_data: bool) -> String {
    match files {
        Some((done, total)) => format!(
            "interrupted: {done} of {total} files are done, and no partial file was left; run it \
             again for the rest"
        ),
        None if is_stdout_data => {
            "interrupted: what was written to standard output is only a beginning".to_owned()
        }
        None => "interrupted: no partial file was left".to_owned(),
    }
}

/// The same for programs. `signal` has ended the run.
pub(crate) fn interruption(
    signal: i32,
    files: Option<(u64, u64)>,
    is_stdout_data: bool,
) -> Failure {
    let code = u8::try_from(128 + signal).unwrap_or(u8::MAX);
    let text = interrupted(files, is_stdout_data);
    let (message, help) = text.split_once(": ").unwrap_or((&text, ""));
    Failure::new(code, "interrupted", message, help)
}

/// A file name as it can be shown: as it is, or escaped and in quotes.
pub(crate) fn quoted(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.is_empty() && !text.chars().any(is_deceptive) => text.to_owned(),
        _ => format!("{path:?}"),
    }
}

// ---- Usage ----------------------------------------------------------------

/// What clap says about the arguments of `command`.
pub(crate) fn usage(text: &str, command: Option<&str>) -> Failure {
    // What clap says has a first line, perhaps with a list below it, perhaps
    // tips, and the usage once more.
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let list = lines.clone().take_while(|line| !line.is_empty());
    let message = list.fold(first, |message, line| format!("{message} {line}"));
    let help = lines.find_map(|line| {
        // That a flag could be meant as a name hardly ever helps.
        line.strip_prefix("tip: ").filter(|tip| !tip.starts_with("to pass"))
    });
    let command = command.map_or(String::new(), |command| format!(" {command}"));
    let help = help
        .map_or_else(|| format!("`cryptstream{command} --help` has the usage"), ToOwned::to_owned);
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn no_command() -> Failure {
    let help = "`cryptstream --help` lists the commands";
    Failure::new(code::USAGE, "usage", "no command was given", help)
}

pub(crate) fn no_input() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "there is no input: no INPUT was given and standard input is a terminal",
        "name a file, or `-` to type the input",
    )
}

/// There is no such input. A name that is there, and may be what was meant, is shown.
pub(crate) fn missing(input: &Path) -> Failure {
    let near = near_names(input).into_iter().find(|name| name.exists());
    let help = match near {
        Some(name) => format!("there is {}", quoted(&name)),
        None => "check the name".to_owned(),
    };
    Failure::new(code::NO_INPUT, "input", "no such file or folder", help).about(input)
}

/// The same name with the end of an encrypted file's, or with the rest of one.
fn near_names(input: &Path) -> Vec<PathBuf> {
    let Some(name) = input.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let suffixes = ["enc", "age"];
    let begun = suffixes.iter().filter(|suffix| suffix.starts_with(end));
    let completed = begun.map(|suffix| format!("{stem}.{suffix}"));
    let appended = suffixes.iter().map(|suffix| format!("{name}.{suffix}"));
    let without = suffixes.contains(&end).then(|| stem.to_owned());
    completed.chain(appended).chain(without).map(|name| input.with_file_name(name)).collect()
}

pub(crate) fn no_default_name(input: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "the name does not end in .enc or .age, so the output's name cannot be told from it",
        "name the OUTPUT too, or `-` for standard output",
    )
    .about(input)
}

/// What is said of a pipe or a device that has the name of an encrypted file.
pub(crate) const SPECIAL_IN_FOLDER: &str =
    "it is a pipe or a device, and in folders only files are read; name it to have it read";

/// An input that is a descriptor, without a name for its output.
pub(crate) fn nameless(input: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is a pipe or an open file that has no name of its own, so its output would have none",
        "use it by itself and name the OUTPUT, or `-` for standard output",
    )
    .about(input)
}

pub(crate) fn binary_to_terminal() -> Failure {
    Failure::new(
        code::USAGE,
        "terminal",
        "the output is binary and standard output is a terminal",
        "name an OUTPUT, redirect with `>`, or force it with the output `-`",
    )
}

/// The output was text at first.
pub(crate) fn no_text_to_terminal(shown: u64) -> Failure {
    Failure::new(
        code::USAGE,
        "terminal",
        format!("after {shown} bytes the content is not text any more, and was not shown"),
        "what was shown before is the content's beginning; name an OUTPUT, redirect with `>`, \
         or force it with the output `-`",
    )
}

pub(crate) fn armor_is_age() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "--armor writes the age format, and --format native was asked for",
        "leave one of them out",
    )
}

pub(crate) fn no_key_given(is_encrypting: bool) -> Failure {
    let help = if is_encrypting {
        "use -p to be asked for a passphrase, --passphrase-file FILE, or -r RECIPIENT"
    } else {
        "use -p to be asked for the passphrase, --passphrase-file FILE, or -i FILE"
    };
    Failure::new(code::USAGE, "usage", "no key was given", help)
}

pub(crate) fn passphrase_and_recipients() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "a passphrase cannot be combined with recipients or identities when encrypting",
        "choose one: whoever has the passphrase must be sure that nobody else could write the file",
    )
}

pub(crate) fn stdin_twice() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "standard input cannot be both the data and a key",
        "read one of them from a file",
    )
}

pub(crate) fn bad_cost(flag: &str, text: &str) -> Failure {
    let (memory, rest) = text.split_once(',').map_or((text, ""), |(memory, rest)| (memory, rest));
    let comma = if rest.is_empty() { "" } else { "," };
    let help = match with_binary_unit(memory) {
        Some(memory) => format!("write {flag} {memory}{comma}{rest}"),
        None => "write MEMORY[,PASSES[,LANES]], such as 256MiB,3,4".to_owned(),
    };
    Failure::new(code::USAGE, "usage", format!("{flag} {text}: is not a cost"), help)
}

/// The same amount with the unit that is meant, where another program's stands there.
pub(crate) fn with_binary_unit(text: &str) -> Option<String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let letter = text[digits.len()..].chars().next()?.to_ascii_uppercase();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && "KMGT".contains(letter)).then(|| format!("{digits}{letter}iB"))
}

/// A cost that can be read, and is not enough for a new file.
pub(crate) fn weak_cost(flag: &str, text: &str) -> Failure {
    let message = format!("{flag} {text}: protects too little");
    Failure::new(code::USAGE, "usage", message, "use 64MiB,3,4 or more")
}

pub(crate) fn output_planted(path: &Path, owner: u32) -> Failure {
    Failure::new(
        code::CANNOT_CREATE,
        "output",
        format!("belongs to another user (id {owner}) and is a link, a pipe or a device"),
        "name an output in a folder that only you may write to; to write there all the same, \
         use -o - and redirect standard output with the shell",
    )
    .about(path)
}

pub(crate) fn internal(text: &str) -> Failure {
    Failure::new(
        code::INTERNAL,
        "internal",
        text.replace('\n', " "),
        "this is a bug in cryptstream: please report it with this line; the output was not created",
    )
}

/// The cost of another format's derivation.
pub(crate) fn cost_of_native() -> Failure {
    let message =
        "--argon2id is for native files; in files of age a passphrase is put through scrypt";
    Failure::new(code::USAGE, "usage", message, "use --scrypt, or leave the age format")
}

/// The cost of another format's derivation.
pub(crate) fn cost_of_age() -> Failure {
    let message =
        "--scrypt is for files of age; in native ones a passphrase is put through Argon2id";
    Failure::new(code::USAGE, "usage", message, "use --argon2id, or the age format")
}

/// Standard output could not be written. With data, a reader that has seen
/// enough is no failure.
pub(crate) fn stdout_failed(source: std::io::Error, is_data: bool) -> Failure {
    if system::is_output_closed() {
        return closed_output();
    }
    let path = PathBuf::from("standard output");
    let error = match source.kind() {
        std::io::ErrorKind::BrokenPipe => Error::BrokenPipe { path },
        _ => Error::Write { path, offset: 0, source },
    };
    engine(error, Context { is_stream: is_data, ..Context::default() })
}

/// A report for programs could not be written.
pub(crate) fn report_lost(error: &std::io::Error) -> Failure {
    let message = match system::is_output_closed() {
        true => "is closed, so the report is lost".to_owned(),
        false => format!("the report cannot be written: {}", reason(error)),
    };
    let help =
        "only the report is lost: what it is about was done as far as no error says otherwise";
    Failure::new(code::IO, "write", message, help).about(Path::new("standard output"))
}

/// The program was started with standard output closed.
pub(crate) fn closed_output() -> Failure {
    Failure::new(
        code::IO,
        "write",
        "is closed, so the output would be lost",
        "name an OUTPUT, or redirect with `>`; to discard the output, use `> /dev/null`",
    )
    .about(Path::new("standard output"))
}

/// An input that the system does not let us look at.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let source = match error.raw_os_error() {
        Some(number) => std::io::Error::from_raw_os_error(number),
        None => std::io::Error::new(error.kind(), reason(error)),
    };
    let is_too_long = source.kind() == std::io::ErrorKind::InvalidFilename;
    let failure = engine(Error::Open { path: path.to_owned(), source }, Context::default());
    match is_too_long {
        true => {
            let help = "the system takes paths of up to 4,095 bytes: move the folder up, or leave it \
                        out with --exclude";
            Failure { help: help.to_owned(), ..failure }
        }
        false => failure,
    }
}

/// What the system is short of, and what can be done about that.
fn shortage(error: &std::io::Error) -> Option<(&'static str, &'static str)> {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => Some((
            "descriptors",
            "raise the limit on open files (ulimit -n); --processes 0 needs the fewest",
        )),
        Some(Errno::NFILE) => Some((
            "descriptors",
            "the whole system has no open files left: close programs, or raise fs.file-max",
        )),
        Some(Errno::NOMEM) => Some(("memory", MORE_MEMORY)),
        _ if error.kind() == std::io::ErrorKind::OutOfMemory => Some(("memory", MORE_MEMORY)),
        _ => None,
    }
}

const MORE_MEMORY: &str = "free some memory or raise the limit (ulimit -v, or that of the \
                           container or job); --processes 0 needs the least";

impl Failure {
    /// The same, unless it is that the system is short of something: then it is no fault of
    /// a file, and worth another try.
    fn or_shortage(self, error: &std::io::Error) -> Self {
        match shortage(error) {
            Some((kind, help)) => Self { code: code::TRY_AGAIN, kind, help: help.into(), ..self },
            None => self,
        }
    }
}

/// No thread or process can be started, or no pipe be made.
pub(crate) fn cannot_start(what: &str, error: &std::io::Error) -> Failure {
    let message = format!("{what} cannot be started: {}", reason(error));
    let help = "raise the limit on processes (ulimit -u, or pids.max of a container) or on memory";
    Failure::new(code::TRY_AGAIN, "processes", message, help).or_shortage(error)
}

/// The system's reason without Rust's "(os error N)".
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_a_terminal_is_escaped() {
        let name = "a\u{9b}31m\u{7f}\u{202e}\u{200b}\u{e0041}ä😀\n";
        let text = escaped_json(&json!({ "file": name }));
        assert!(!text.chars().any(is_deceptive), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["file"], name);
        assert!(!quoted(Path::new(name)).chars().any(is_deceptive));
        assert_eq!(quoted(Path::new("ä 😀")), "ä 😀");
    }
}
