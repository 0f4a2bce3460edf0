//! What is said about the engine's errors.

use std::io::ErrorKind;
use std::path::Path;

use cryptstream_engine::{Error, MemoryLimit, available_memory};
use cryptstream_format::argon2id::Cost;
use cryptstream_format::{KeyDerivation, UnlockError, UnwrapError, WrapError};

use super::system::{is_full, is_shortage, no_descriptors};
use super::{Failure, code, internal, key_failure, outputs, quoted, range, reason};
use crate::file_type;

/// What a message depends on besides the error.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    /// Whether a passphrase was given.
    pub(crate) has_passphrase: bool,
    /// Whether the output is a stream, from which nothing can be taken back.
    pub(crate) is_stream: bool,
    /// Whether the input is armored.
    pub(crate) is_armored: bool,
}

/// What the engine reports.
pub(crate) fn engine(error: Error, context: Context) -> Failure {
    // Bytes are counted there too.
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
    let mut failure = engine_to_file(error, context);
    if let Some((kind, help)) = shortage {
        return Failure { code: code::TRY_AGAIN, kind, help: help.into(), ..failure };
    }
    failure.message.insert_str(0, place);
    if context.is_stream && matches!(failure.kind, "damaged" | "write" | "read" | "changed") {
        let help = "what has left already is only a beginning, and must not be used as a whole";
        return Failure { help: help.into(), ..failure };
    }
    failure
}

fn engine_to_file(error: Error, context: Context) -> Failure {
    let text = |prefix: &str, source: &std::io::Error| format!("{prefix}: {}", reason(source));
    match error {
        Error::Open { path, source } | Error::Create { path, source } if is_shortage(&source) => {
            no_descriptors().about(&path)
        }
        Error::Open { path, source } => {
            Failure::new(code::NO_INPUT, "input", text("cannot be opened", &source), "check the name and the permissions").about(&path)
        }
        Error::InputIsDirectory { path } => Failure::new(
            code::NO_INPUT,
            "input",
            "is a folder, where a file is needed",
            "name a file; `cryptstream encrypt --help` and `decrypt --help` say how folders go",
        )
        .about(&path),
        Error::Read { path, offset, source } => Failure::new(
            code::IO,
            "read",
            text(&format!("reading failed at byte {offset}"), &source),
            "nothing was written under the output's name; check the disk or the connection",
        )
        .about(&path),
        Error::OutOfMemory => Failure::new(
            code::TRY_AGAIN,
            "memory",
            "the system gives no more memory",
            "free some memory or raise the limit (ulimit -v); nothing was left behind",
        ),
        Error::InputChanged { path } => Failure::new(
            code::TRY_AGAIN,
            "changed",
            "changed while it was being read",
            "the output was not created; try again when nothing writes to it, or seal a snapshot",
        )
        .about(&path),
        Error::SameFile { input, output } => Failure::new(
            code::CANNOT_CREATE,
            "same-file",
            format!("is the same file as the input {}", quoted(&input)),
            "name another output; with --remove-source the input goes when it is safe",
        )
        .about(&output),
        Error::OutputExists { path } => {
            Failure::new(code::CANNOT_CREATE, "exists", "exists already", "choose another name, or replace it with --force").about(&path)
        }
        Error::OutputPlanted { path, owner } => outputs::output_planted(&path, owner),
        Error::Unfinished { path } => {
            internal("what was to be sealed could not be made whole").about(&path)
        }
        Error::OutputIsHere { path } => super::archive::output_is_here(&path),
        Error::OutputIsDirectory { path } => {
            Failure::new(code::CANNOT_CREATE, "output", "is a folder", "name a file in it, or the folder with --output-dir").about(&path)
        }
        Error::Create { path, source } => {
            if source.kind() == ErrorKind::InvalidFilename {
                return outputs::name_too_long(&path);
            }
            let code = if is_full(&source) { code::IO } else { code::CANNOT_CREATE };
            let help = match source.kind() {
                _ if is_full(&source) => "make room or choose another disk",
                _ if outputs::is_refused_name(&path, &source) => outputs::REFUSED_NAME,
                ErrorKind::NotFound => "make the folder first, or check its name",
                ErrorKind::PermissionDenied => "check the permissions of the folder",
                ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose another place",
                _ => "check that the folder exists and may be written",
            };
            Failure::new(code, "output", text("cannot be created", &source), help)
                .full(is_full(&source))
                .about(&path)
        }
        Error::Write { path, offset, source } => {
            let help = if source.kind() == std::io::ErrorKind::FileTooLarge {
                "make room: raise the limit on the length of files (ulimit -f), or choose a file system for longer ones; no partial output was left"
            } else if is_full(&source) {
                "make room or choose another disk; no partial output was left"
            } else {
                "no partial output was left; check the disk or the connection"
            };
            Failure::new(code::IO, "write", text(&format!("writing failed at byte {offset}"), &source), help)
                .full(is_full(&source))
                .about(&path)
        }
        Error::NoRoom { path, len, source } => {
            let what = text(&format!("takes {len} bytes, for which there is no room"), &source);
            Failure::new(code::IO, "write", what, "make room or choose another disk")
                .full(is_full(&source))
                .about(&path)
        }
        Error::NotDurable { path, source } => Failure::new(
            code::IO,
            "durable",
            text("is complete, but the system could not make it durable", &source),
            "check the disk; the input was kept",
        )
        .about(&path),
        Error::NoOtherName { path, source } => {
            let what = text("the file system there neither renames nor links files", &source);
            let help = "write it as a stream: use - as OUTPUT and redirect it, as in `cryptstream encrypt F - > OUT`";
            Failure::new(code::CANNOT_CREATE, "output", what, help).about(&path)
        }
        Error::OutputReplaced { path } => Failure::new(
            code::TRY_AGAIN,
            "replaced",
            "was finished, and at that moment another program put something else under its name",
            "look at what stands there; the input was kept, so it can be done again",
        )
        .about(&path),
        Error::BrokenPipe { path } => Failure::new(code::OK, "broken-pipe", "", "").about(&path),
        Error::BinaryToTerminal { shown: 0 } => outputs::binary_to_terminal(),
        Error::BinaryToTerminal { shown } => outputs::no_text_to_terminal(shown),
        Error::OutputDiffers { path, offset } => Failure::new(
            code::IO,
            "verify",
            format!("was read again and is not what was to be written, from byte {offset} of the content on"),
            "it was not given its name, and the input was kept; check the disk and the memory, then try again",
        )
        .about(&path),
        Error::NotVerifiable { path } => Failure::new(
            code::USAGE,
            "usage",
            "its output cannot be read again and compared with it",
            "--verify-output needs a file as the input, and an output that can be read again",
        )
        .about(&path),
        Error::NotRemovable { path } => Failure::new(
            code::USAGE,
            "usage",
            "--remove-source needs a plain file as input (not a link or a pipe) and a file as output",
            "leave --remove-source out",
        )
        .about(&path),
        Error::Remove { path, source } => Failure::new(
            code::IO,
            "remove",
            text("the output is complete, but this input could not be removed", &source),
            "compare it with the output before you remove it by hand",
        )
        .about(&path),
        Error::NotAFile { path } => outputs::salvage_needs_file(&path),
        Error::WorkersDied { path, segment } => Failure::new(
            code::TRY_AGAIN,
            "workers",
            format!("three worker processes were killed over segment {segment}, and the output was not created"),
            "the system kills processes when memory is short (see its log): try again when there is more, or with --processes 0",
        )
        .about(&path),
        Error::WorkerMisbehaved { path } => Failure::new(
            code::TRY_AGAIN,
            "workers",
            "a worker process reported something impossible; the output was not created",
            "try again; if it happens again, do not trust this input, and report it as a bug",
        )
        .about(&path),
        Error::OutputLength { path, expected, found } => Failure::new(
            code::IO,
            "output-length",
            format!("the output has {found} bytes instead of {expected}, and was not created"),
            "try again; if it happens again, check the disk, and report it as a bug",
        )
        .about(&path),
        Error::NoSandbox => Failure::new(
            code::CONFIG,
            "sandbox",
            "no process can be sandboxed fully on this system, as --sandbox require asks for",
            "use --sandbox auto to go as far as the system can",
        ),
        Error::NoProcess { source } => Failure::new(
            code::TRY_AGAIN,
            "processes",
            text("no process can be started, which --sandbox require needs", &source),
            "raise the limit on processes (ulimit -u, pids.max of a container) or on memory, or use --sandbox auto, which does without",
        ),
        Error::NoWorkers => Failure::new(
            code::TRY_AGAIN,
            "processes",
            "the sandboxed processes, which --sandbox require needs, were killed or do not answer",
            "the system kills processes when memory is short (see its log): try again when there is more, or use --sandbox auto, which does without",
        ),
        Error::ReaderKilled { path } => Failure::new(
            code::TRY_AGAIN,
            "processes",
            "the sandboxed process that reads it was killed, or has too little memory",
            "the system kills processes when memory is short (see its log): try again when there is more",
        )
        .about(&path),
        Error::ReaderDied { path } => Failure::new(
            code::DATA,
            "reader",
            "the sandboxed process that reads it died, or answered nonsense",
            "do not trust this file; if it comes from a source that you trust, report this as a bug",
        )
        .about(&path),
        Error::Unlock { path, source, recipients, recipient_types } => {
            unlock(&source, recipients, &recipient_types, context.has_passphrase).about(&path)
        }
        Error::Wrap(error) => wrap(&error),
        Error::Random(error) => Failure::new(code::INTERNAL, "random", error.to_string(), ""),
        Error::Internal(text) => internal(text),
        Error::NotSeekable { path, is_armored } => range::not_seekable(is_armored).about(&path),
        Error::RangeAfterEnd { path, start, len } => range::after_end(start, len).about(&path),
        damage => damaged(damage),
    }
}

/// The input is not, or not any more, what was once written.
fn damaged(error: Error) -> Failure {
    let data = |message: String, help: &str, path: &Path| {
        Failure::new(code::DATA, "damaged", message, help).about(path)
    };
    let restore =
        "nothing was written under the output's name; fetch the file again or take another copy";
    match error {
        Error::NotEncrypted { path, head } => {
            let (what, help) = match file_type::looks_like(&head) {
                Some(what @ ("a PGP (gpg) file" | "a PGP (gpg) file in ASCII armor")) => {
                    (what, "use `gpg -d`")
                }
                Some(what @ "a file of `openssl enc`") => {
                    (what, "use `openssl enc -d` with the options it was written with")
                }
                Some(what) => (what, "is this the right file?"),
                None => ("something else", "is this the right file?"),
            };
            let message = format!("is neither a CryptStream nor an age file; it looks like {what}");
            Failure::new(code::DATA, "foreign", message, help).about(&path)
        }
        Error::Armor { path, source } => {
            data(format!("the armor is damaged: {source}"), restore, &path)
        }
        Error::Header { path, source } => {
            data(format!("the header is damaged: {source}"), restore, &path)
        }
        Error::CutInHeader { path, len } => data(
            format!("ends after {len} bytes, before its content begins: it was cut off"),
            restore,
            &path,
        ),
        Error::Commitment { path, source } => data(source.to_string(), restore, &path),
        Error::Layout { path, source } => data(source.to_string(), restore, &path),
        Error::Damaged { path, chunk, offset, is_last: true } => data(
            format!(
                "does not end as it was sealed: chunk {chunk}, the last one, at byte {offset}, was \
                 cut off, added to, or damaged"
            ),
            restore,
            &path,
        ),
        Error::Damaged { path, chunk, offset, .. } => data(
            format!("is damaged in chunk {chunk}, at byte {offset}: its seal does not fit"),
            restore,
            &path,
        ),
        Error::CutInPayload { path, chunk, offset } => data(
            format!("ends at byte {offset}, within chunk {chunk}: it was cut off"),
            restore,
            &path,
        ),
        other => internal(&other.to_string()),
    }
}

fn unlock(
    error: &UnlockError,
    recipients: usize,
    recipient_types: &[String],
    has_passphrase: bool,
) -> Failure {
    let by_passphrase = recipient_types.iter().any(|tag| tag == "argon2id" || tag == "scrypt");
    let no_key = |message: &str, help: &str| Failure::new(code::NO_KEY, "no-key", message, help);
    match error {
        UnlockError::NoMatch if by_passphrase && has_passphrase => {
            no_key("the passphrase is wrong", super::check_passphrase())
        }
        UnlockError::NoMatch if by_passphrase => no_key(
            "it is sealed with a passphrase, and none was given",
            "use -p to be asked for it, or --passphrase-file FILE",
        ),
        UnlockError::NoMatch => no_key(
            &format!(
                "no key fits: it is sealed for {} ({})",
                count(recipients, "recipient"),
                summary(recipient_types)
            ),
            "give the identity file of one of them with -i",
        ),
        UnlockError::Unwrap(UnwrapError::TooExpensive(cost)) => Failure::new(
            code::DATA,
            "too-expensive",
            format!("asks for a key derivation of {cost}, more than is allowed"),
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
        UnlockError::Unwrap(UnwrapError::OutOfMemory(kib)) => out_of_memory(*kib),
        UnlockError::Unwrap(UnwrapError::Key(failure)) => key_failure(failure),
        UnlockError::Mac | UnlockError::Unwrap(_) => Failure::new(
            code::DATA,
            "damaged",
            error.to_string(),
            "nothing was written under the output's name; fetch the file again or take another copy",
        ),
    }
}

fn wrap(error: &WrapError) -> Failure {
    match error {
        WrapError::OutOfMemory(kib) => out_of_memory(*kib),
        WrapError::Key(failure) => key_failure(failure),
        WrapError::Random(error) => Failure::new(code::INTERNAL, "random", error.to_string(), ""),
        WrapError::WeakRecipient => {
            Failure::new(code::USAGE, "recipient", error.to_string(), "ask for another key")
        }
        _ => Failure::new(code::USAGE, "recipient", error.to_string(), "check the recipients"),
    }
}

fn out_of_memory(kib: u32) -> Failure {
    Failure::new(
        code::TRY_AGAIN,
        "memory",
        format!(
            "the key derivation needs {} MiB of memory, {}",
            kib.div_ceil(1024),
            available(kib)
        ),
        "free some memory or raise the limit; when encrypting, --argon2id 64MiB needs less, and a recipient (-r, -i) hardly any",
    )
}

/// How much memory there is instead, and what limits it.
fn available(kib: u32) -> String {
    let (mib, limit) = match available_memory() {
        Some((bytes, limit)) if bytes >> 10 < u64::from(kib) => (bytes >> 20, limit),
        _ => return "which the system does not give".to_owned(),
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
    format!("{}MiB,{passes},{lanes}", memory_kib.div_ceil(1024))
}

/// Said when a file is sealed that others will not open just so.
pub(crate) fn costly(cost: Cost) -> String {
    format!("note: to open this file, --argon2id-limit {} must be given", flag(cost))
}

/// "1 recipient", "2 recipients".
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The types of stanzas, which are the file's own text, of which only a little is
/// repeated.
fn summary(types: &[String]) -> String {
    let short = |word: &String| word.chars().take(32).collect::<String>();
    types.iter().map(short).collect::<Vec<_>>().join(", ")
}
