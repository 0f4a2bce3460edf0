//! Messages for the errors of the engine: its words, with an exit status and a help line.

use std::io::ErrorKind;
use std::path::Path;

use cryptstream_engine::Error;
use cryptstream_engine::program::{MemoryLimit, available_memory};
use cryptstream_format::argon2id::Cost;
use cryptstream_format::{
    Format, KeyDerivation, Layout, LayoutError, UnlockError, UnwrapError, WrapError,
};

use super::system::{is_full, make_room};
use super::text::guess;
use super::{Failure, code, inputs_outputs, internal, key_failure, outputs, quoted, range, reason};
use crate::file_type;
use crate::verb::Verb;

/// What a message depends on besides the error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) verb: Verb,
    /// Whether a passphrase was given.
    pub(crate) has_passphrase: bool,
    /// Whether the output is a stream, from which nothing can be taken back.
    pub(crate) is_stream: bool,
    /// Whether the input is armored.
    pub(crate) is_armored: bool,
}

impl From<Verb> for Context {
    fn from(verb: Verb) -> Self {
        Self { verb, has_passphrase: false, is_stream: false, is_armored: false }
    }
}

/// What the engine reports.
pub(crate) fn engine(error: Error, context: impl Into<Context>) -> Failure {
    let context = context.into();
    // Bytes are counted in the armored content too.
    let place = match error {
        _ if !context.is_armored => "",
        Error::Header { .. } => "in the armor, ",
        Error::NotEncrypted { .. }
        | Error::CutInHeader { .. }
        | Error::Damaged { .. }
        | Error::CutInPayload { .. } => "what is in the armor ",
        _ => "",
    };
    let source = std::error::Error::source(&error).and_then(|it| it.downcast_ref());
    let shortage = source.and_then(super::shortage);
    let of_store = super::objects::of_store(&error);
    let mut failure = of_store.unwrap_or_else(|| failure(&error, context));
    failure.file = error.path().map(Path::to_owned);
    if let Some((kind, help)) = shortage {
        return Failure { code: code::TRY_AGAIN, kind, help: help.into(), ..failure };
    }
    failure.message.insert_str(0, place);
    failure
}

/// What the error says of itself, without the file, and with the system's reason as it is
/// given everywhere.
fn error_text(error: &Error) -> String {
    let message = error.message();
    match std::error::Error::source(error).and_then(|it| it.downcast_ref::<std::io::Error>()) {
        Some(source) => message.replace(&source.to_string(), &reason(source)),
        None => message,
    }
}

fn failure(error: &Error, context: Context) -> Failure {
    let (code, kind, help) = match error {
        Error::Open { .. } => (code::NO_INPUT, "input", "check the name and the permissions"),
        Error::InputIsDirectory { path } => return inputs_outputs::is_folder(path, context.verb),
        Error::Read { .. } => {
            return incomplete(
                error,
                context,
                code::IO,
                "read",
                "check the disk or the connection",
            );
        }
        Error::OutOfMemory { .. } => (
            code::TRY_AGAIN,
            "memory",
            "free some memory or raise the limit (ulimit -v); nothing was left behind",
        ),
        Error::InputChanged { .. } => {
            let help = match context.verb.encrypts() {
                true => "try again when nothing writes to it, or encrypt a snapshot",
                false => "try again when nothing writes to it",
            };
            return incomplete(error, context, code::TRY_AGAIN, "changed", help);
        }
        Error::SameFile { input, .. } => {
            let message = format!("is the same file as the input {}", quoted(input));
            let help = match context.verb {
                Verb::Encrypt | Verb::Decrypt => {
                    "name another output; --remove-source deletes the input once that is safe"
                }
                _ => "name another output",
            };
            return Failure::new(code::CANNOT_CREATE, "same-file", message, help);
        }
        Error::OutputExists { .. } => {
            (code::CANNOT_CREATE, "exists", "choose another name, or replace it with --force")
        }
        Error::OldOutputExists { .. } => {
            (code::CANNOT_CREATE, "exists", "rename it, or name another OUTPUT")
        }
        Error::OutputPlanted { path, owner } => return outputs::output_planted(path, *owner),
        Error::OwnedByOther { .. } => (
            code::CANNOT_CREATE,
            "output",
            match context.verb {
                Verb::Rekey => {
                    "nothing was done; ask that user to remove it, or rekey a copy of the file in \
                     a folder of your own"
                }
                _ => {
                    "nothing was written; name another OUTPUT, or leave --remove-source out if it \
                     is the input"
                }
            },
        ),
        Error::OutputIsHere { .. } => (
            code::CANNOT_CREATE,
            "exists",
            "name a folder that does not exist yet, such as one inside it",
        ),
        Error::OutputIsDirectory { .. } => (
            code::CANNOT_CREATE,
            "output",
            "name a file in it, or use the folder with --output-dir",
        ),
        Error::Create { path, source } => {
            return cannot_create(error, path, source, context.verb);
        }
        Error::Write { source, .. } => return cannot_write(error, source, context),
        Error::NoRoom { source, .. } => {
            let help = make_room(source).unwrap_or("make room or choose another disk");
            let kept = if context.verb == Verb::Rekey { OLD_FILE_KEPT } else { "" };
            let help = format!("{kept}{help}");
            return Failure::new(code::IO, "write", error_text(error), help).full(is_full(source));
        }
        Error::NotDurable { .. } => {
            let help = match context.verb {
                Verb::Rekey => "check the disk; the file has its new keys",
                _ => "check the disk; the input was kept",
            };
            (code::IO, "durable", help)
        }
        Error::NoOtherName { .. } => {
            let command = if context.verb.encrypts() { "encrypt" } else { "decrypt" };
            let help = format!(
                "write it as a stream: use - as OUTPUT and redirect it, as in \
                 `cryptstream {command} F - > OUT`"
            );
            return Failure::new(code::CANNOT_CREATE, "output", error_text(error), help);
        }
        Error::OutputReplaced { .. } => (
            code::TRY_AGAIN,
            "replaced",
            "look at what is there now; the input was kept, so you can run it again",
        ),
        Error::BrokenPipe { .. } => return Failure::new(code::OK, "broken-pipe", "", ""),
        Error::BinaryToTerminal { shown: 0 } => return outputs::binary_to_terminal(),
        Error::BinaryToTerminal { shown } => return outputs::no_text_to_terminal(*shown),
        Error::OutputDiffers { .. } => (
            code::IO,
            "verify",
            "the output was discarded and the input kept; check the disk and the memory, then try \
             again",
        ),
        Error::NotVerifiable { .. } => (
            code::USAGE,
            "usage",
            "--verify-output needs a file as the input, and an output that can be read back",
        ),
        Error::NotRemovable { .. } => {
            let message = "--remove-source needs a regular file as input (not a link or a pipe), or \
                 an object that its store can recognize, and an output that can be read back";
            return Failure::new(code::USAGE, "usage", message, "leave --remove-source out");
        }
        Error::Remove { .. } => {
            (code::IO, "remove", "compare it with the output before you remove it by hand")
        }
        Error::NotAFile { path } => return outputs::salvage_needs_file(path),
        Error::WorkersDied { .. } => (
            code::TRY_AGAIN,
            "workers",
            "the system kills processes when memory is short (see its log): try again when there \
             is more, or with --processes 0",
        ),
        Error::WorkerMisbehaved { .. } => (
            code::TRY_AGAIN,
            "workers",
            "try again; if it happens again, do not trust this input, and report it as a bug",
        ),
        Error::OutputLength { .. } => (
            code::IO,
            "output-length",
            "try again; if it happens again, check the disk, and report it as a bug",
        ),
        Error::NoSandbox => (
            code::CONFIG,
            "sandbox",
            "--sandbox require refuses to run like this; use --sandbox auto to go as far as the \
             system can",
        ),
        Error::NoProcess { .. } => (
            code::TRY_AGAIN,
            "processes",
            "raise the limit on processes (ulimit -u, pids.max of a container) or on memory, or \
             use --sandbox auto, which needs no other process",
        ),
        Error::NoWorkers => (
            code::TRY_AGAIN,
            "processes",
            "the system kills processes when memory is short (see its log): try again when there \
             is more, or use --sandbox auto, which needs no other process",
        ),
        Error::ParserKilled { .. } => (
            code::TRY_AGAIN,
            "processes",
            "the system kills processes when memory is short (see its log): try again when there \
             is more",
        ),
        Error::ParserDied { .. } => (
            code::DATA,
            "reader",
            "do not trust this file; if it comes from a source that you trust, report this as a \
             bug",
        ),
        Error::Unlock { source, format, recipients, recipient_types, .. } => {
            return unlock(error, source, *format, (*recipients, recipient_types), context);
        }
        Error::Wrap(error) => return wrap(error),
        Error::Random(_) => (code::INTERNAL, "random", ""),
        Error::Internal(text) => return internal(text),
        Error::NotSeekable { is_armored, .. } => {
            return range::not_seekable(*is_armored, context.verb);
        }
        Error::RangeAfterEnd { .. } => {
            (code::USAGE, "range", "bytes are counted from 0; -LAST counts from the end")
        }
        Error::TooLong { source, .. } => {
            let help = match source {
                LayoutError::TooLong(len) if *len <= Layout::max_plaintext_len(Format::Age) => {
                    "encrypt it in parts, or with --format age"
                }
                _ => "encrypt it in parts",
            };
            (code::NO_INPUT, "too-long", help)
        }
        Error::NotEncrypted { head, .. } => return not_encrypted(error, head),
        Error::Armor { .. }
        | Error::Header { .. }
        | Error::CutInHeader { .. }
        | Error::Commitment { .. }
        | Error::Layout { .. }
        | Error::Damaged { .. }
        | Error::CutInPayload { .. } => {
            return incomplete(error, context, code::DATA, "damaged", ANOTHER_COPY);
        }
        Error::NotRegular { .. } => (
            code::NO_INPUT,
            "input",
            "name the file itself; for a pipe, use `decrypt - | encrypt - OUTPUT`",
        ),
        Error::NotChangeable { source, .. } => {
            let help = "check its permissions, and whether its file system can change files; else \
                        decrypt it and encrypt it again";
            let failure = Failure::new(code::CANNOT_CREATE, "output", error_text(error), help);
            return failure.or_shortage(source);
        }
        Error::Busy { .. } => {
            (code::TRY_AGAIN, "busy", "it may be another rekey: try again when that is done")
        }
        Error::Armored { .. } => (
            code::USAGE,
            "armored",
            "only binary files can be rekeyed: decrypt it, and encrypt it again to the new keys",
        ),
        Error::JournalInTheWay { .. } => (
            code::CANNOT_CREATE,
            "journal",
            "move it away, unless it belongs to a file that was renamed and no longer decrypts",
        ),
        _ => return internal(&error.message()),
    };
    Failure::new(code, kind, error_text(error), help)
}

/// What to do about a damaged file.
const ANOTHER_COPY: &str = "fetch the file again or use another copy";

/// A failure that ends the work on a file: the help says what was written, and what to do.
fn incomplete(
    error: &Error,
    context: Context,
    code: u8,
    kind: &'static str,
    help: &str,
) -> Failure {
    // Before the content, nothing can have been written.
    let is_before_content = matches!(
        error,
        Error::Header { .. }
            | Error::CutInHeader { .. }
            | Error::Unlock { .. }
            | Error::Commitment { .. }
            | Error::Layout { .. }
    ) || matches!(error, Error::Damaged { chunk: 0, .. } if context.verb != Verb::Range);
    let written = match context.verb {
        verb if verb.is_read_only() => "",
        Verb::Rekey => "nothing was done; ",
        _ if !context.is_stream => "the output was not written; ",
        _ if is_before_content => "nothing was written; ",
        _ => PARTLY_WRITTEN,
    };
    Failure::new(code, kind, error_text(error), format!("{written}{help}"))
}

/// What became of an output that is a stream.
const PARTLY_WRITTEN: &str =
    "anything already written is only the beginning and must not be used; ";

const OLD_FILE_KEPT: &str = "the old file is still there; ";

fn cannot_write(error: &Error, source: &std::io::Error, context: Context) -> Failure {
    let what = make_room(source).unwrap_or("check the disk or the connection");
    let help = match context.verb {
        Verb::Rekey => format!("{OLD_FILE_KEPT}{what}"),
        _ if context.is_stream => format!("{PARTLY_WRITTEN}{what}"),
        _ => format!("{what}; no partial output was left"),
    };
    Failure::new(code::IO, "write", error_text(error), help).full(is_full(source))
}

fn cannot_create(error: &Error, path: &Path, source: &std::io::Error, verb: Verb) -> Failure {
    if source.kind() == ErrorKind::InvalidFilename && verb != Verb::Rekey {
        return outputs::name_too_long(path);
    }
    if let Some(help) = make_room(source) {
        let kept = if verb == Verb::Rekey { OLD_FILE_KEPT } else { "" };
        let help = format!("{kept}{help}");
        return Failure::new(code::IO, "output", error_text(error), help).full(true);
    }
    let help = match source.kind() {
        _ if verb == Verb::Rekey => {
            "its folder must be writable, since a copy or a journal is kept beside it for a moment"
        }
        _ if outputs::is_refused_name(path, source) => outputs::REFUSED_NAME,
        ErrorKind::NotFound => "create the folder first, or check its name",
        ErrorKind::PermissionDenied => "check the permissions of the folder",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose another place",
        _ => "check that the folder exists and is writable",
    };
    Failure::new(code::CANNOT_CREATE, "output", error_text(error), help)
}

/// The input does not begin like an encrypted file.
fn not_encrypted(error: &Error, head: &[u8]) -> Failure {
    let help = match file_type::looks_like(head) {
        Some("a PGP (gpg) file" | "a PGP (gpg) file in ASCII armor") => "use `gpg -d`",
        Some("a file of `openssl enc`") => {
            "use `openssl enc -d` with the options it was written with"
        }
        None if head.is_empty() => "is this the right file, and was it written to its end?",
        _ => "is this the right file?",
    };
    let message = format!("{}; {}", error.message(), guess(head));
    Failure::new(code::DATA, "foreign", message, help)
}

fn unlock(
    error: &Error,
    source: &UnlockError,
    format: Format,
    (recipients, recipient_types): (usize, &[String]),
    context: Context,
) -> Failure {
    // In the other format, no passphrase fits.
    let passphrase = if format == Format::Age { "scrypt" } else { "argon2id" };
    let by_passphrase = recipient_types.iter().any(|tag| tag == passphrase);
    let no_key = |message: &str, help: &str| Failure::new(code::NO_KEY, "no-key", message, help);
    match source {
        UnlockError::NoMatch if by_passphrase && context.has_passphrase => {
            no_key("the passphrase is wrong", super::check_passphrase())
        }
        UnlockError::NoMatch if by_passphrase => no_key(
            "it is encrypted with a passphrase, and none was given",
            "use -p to be asked for it, or --passphrase-file FILE",
        ),
        UnlockError::NoMatch => no_key(
            &format!(
                "no key fits: it is encrypted to {} ({})",
                count(recipients, "recipient"),
                summary(recipient_types)
            ),
            "use -i with the identity file of one of them",
        ),
        UnlockError::Unwrap(UnwrapError::TooExpensive(cost)) => Failure::new(
            code::DATA,
            "too-expensive",
            format!("needs a key derivation of {cost}, more than is allowed"),
            match cost {
                KeyDerivation::Argon2id(cost) => {
                    format!(
                        "if you trust the file, raise the limit with --argon2id-limit {}",
                        flag(*cost)
                    )
                }
                _ => "no program writes such files; do not trust this one".to_owned(),
            },
        ),
        UnlockError::Unwrap(UnwrapError::OutOfMemory(kib)) => {
            out_of_memory(*kib, "free some memory or raise the limit")
        }
        UnlockError::Unwrap(UnwrapError::Key(failure)) => key_failure(failure),
        UnlockError::Mac | UnlockError::Unwrap(_) => {
            incomplete(error, context, code::DATA, "damaged", ANOTHER_COPY)
        }
    }
}

fn wrap(error: &WrapError) -> Failure {
    match error {
        WrapError::OutOfMemory(kib) => out_of_memory(
            *kib,
            "free some memory or raise the limit; --argon2id 64MiB needs less, and recipients \
             (-r, -i) hardly any",
        ),
        WrapError::Key(failure) => key_failure(failure),
        WrapError::Random(error) => Failure::new(code::INTERNAL, "random", error.to_string(), ""),
        WrapError::WeakRecipient => {
            Failure::new(code::USAGE, "recipient", error.to_string(), "ask for another key")
        }
        _ => Failure::new(code::USAGE, "recipient", error.to_string(), "check the recipients"),
    }
}

fn out_of_memory(kib: u32, help: &str) -> Failure {
    Failure::new(
        code::TRY_AGAIN,
        "memory",
        format!(
            "the key derivation needs {} MiB of memory, {}",
            kib.div_ceil(1024),
            available(kib)
        ),
        help,
    )
}

/// How much memory there is instead, and what limits it.
fn available(kib: u32) -> String {
    let (mib, limit) = match available_memory() {
        Some((bytes, limit)) if bytes >> 10 < u64::from(kib) => (bytes >> 20, limit),
        _ => return "more than the system allows".to_owned(),
    };
    let limit = match limit {
        MemoryLimit::Machine => "are free",
        MemoryLimit::ControlGroup => {
            "are left in its control group (of a container, a service or a job)"
        }
        MemoryLimit::AddressSpace => "are left of its address space (ulimit -v)",
    };
    format!("and {mib} MiB {limit}")
}

/// A cost as it is written behind a flag.
fn flag(cost: Cost) -> String {
    let Cost { memory_kib, passes, lanes } = cost;
    match memory_kib % 1024 {
        0 => format!("{}MiB,{passes},{lanes}", memory_kib / 1024),
        _ => format!("{memory_kib}KiB,{passes},{lanes}"),
    }
}

/// Printed for a new file that cannot be decrypted with the default limit.
pub(crate) fn high_cost_note(cost: Cost) -> String {
    format!("note: decrypting this file needs --argon2id-limit {}", flag(cost))
}

/// "1 recipient", "2 recipients".
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The types of stanzas, shortened, since they are text from the file.
fn summary(types: &[String]) -> String {
    let short = |word: &String| word.chars().take(32).collect::<String>();
    types.iter().map(short).collect::<Vec<_>>().join(", ")
}
