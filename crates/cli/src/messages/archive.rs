//! Messages about archives.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use cryptstream_archive::{
    Differences, Error, FOLDER_BUDGET, LimitExceeded, Limits, MAX_DEPTH, PackError, Packed,
    Refusal, SPOOL_BUDGET, ZstdFailure, short_name,
};
use cryptstream_engine::SandboxLevel;
use indicatif::{HumanBytes, HumanCount};

use super::system::make_room;
use super::text::guess;
use super::{Failure, code, quoted, reason};
use crate::file_type;

pub(crate) fn stdin_is_no_folder() -> Failure {
    let message = "--archive packs a folder, and standard input is not one";
    Failure::new(code::USAGE, "usage", message, "name the folder as INPUT")
}

pub(crate) fn no_folder(path: &Path) -> Failure {
    let message = "is not a folder, and --archive packs folders";
    let help =
        "leave out --archive to encrypt a file; to pack it with others, put them into a folder";
    Failure::new(code::USAGE, "usage", message, help).about(path)
}

pub(crate) fn no_folder_named() -> Failure {
    let message = "--extract needs a folder to write";
    let help = "name it as OUTPUT; without --extract, the archive itself goes to standard output";
    Failure::new(code::USAGE, "usage", message, help)
}

// ---- Packing --------------------------------------------------------------

/// Errors of the packer about something in `folder`.
pub(crate) fn pack(folder: &Path, error: PackError) -> Failure {
    match error {
        PackError::Unreadable { path, source } => {
            let message = format!("cannot be read: {}", reason(&source));
            let help = "no archive was made; make it readable, or leave it out with --exclude";
            Failure::new(code::NO_INPUT, "input", message, help)
                .about(&folder.join(path))
                .or_shortage(&source)
        }
        PackError::Write(error) if ZstdFailure::of(&error) == Some(ZstdFailure::OutOfMemory) => {
            let message = "there is not enough memory to compress";
            let help = "no archive was made; raise the limit, or use a lower level: --zstd=22 \
                        needs 1 GiB for each core, --zstd=19 about 100 MiB, --zstd a few MiB";
            Failure::new(code::TRY_AGAIN, "memory", message, help)
        }
        PackError::Changed { path } => {
            let help = "no archive was made; try again when nothing writes to it, encrypt a \
                        snapshot, or leave it out with --exclude";
            Failure::new(code::TRY_AGAIN, "changed", "changed while it was being read", help)
                .about(&folder.join(path))
        }
        PackError::IsOutput { path } => {
            super::tree::output_in_input(folder, &folder.join(path), false)
        }
        PackError::TooDeep { path } => {
            let message = format!("is more than {MAX_DEPTH} folders deep");
            let help = "no archive was made; leave it out with --exclude";
            Failure::new(code::NO_INPUT, "input", message, help).about(&folder.join(path))
        }
        other => super::internal(&other.to_string()),
    }
}

pub(crate) fn more_skipped(count: u64) -> String {
    format!("{} more skipped", HumanCount(count))
}

pub(crate) fn links_out(count: u64) -> String {
    format!(
        "symbolic links that are absolute or lead out of the folder: {}; unpacking the archive \
         needs --any-links",
        HumanCount(count)
    )
}

/// The name of a compressed archive looks like that of a plain one.
pub(crate) fn hides_zstd(path: &Path, plain: &Path) -> String {
    let mut right = plain.as_os_str().to_owned();
    right.push(".zst.");
    right.push(path.extension().unwrap_or_default());
    format!(
        "{} is compressed, but its name does not say so: without --extract it is decrypted to {}; \
         {} would be right",
        quoted(path),
        quoted(plain),
        quoted(Path::new(&right))
    )
}

/// The file that was decrypted to this name is compressed.
pub(crate) fn is_zstd(path: &Path) -> String {
    let path = quoted(path);
    format!(
        "{path} is compressed with zstd: `mkdir NEW && tar --zstd -xf {path} -C NEW` unpacks it; \
         other programs expect the name {path}.zst"
    )
}

/// The flags needed to unpack the archive, or another way to do it.
pub(crate) fn needs_more(packed: &Packed, is_compressed: bool) -> Vec<String> {
    let Limits { entries, growth, ratio, .. } = Limits::DEFAULT;
    let mut lines = Vec::new();
    let times = packed.bytes.checked_div(packed.written).unwrap_or_default();
    if is_compressed && times >= ratio {
        lines.push(format!(
            "the archive is {} times smaller than its content: unpacking it needs --max-ratio {}",
            HumanCount(times),
            times.saturating_add(1)
        ));
    }
    if packed.content.saturating_sub(packed.written) > growth {
        lines.push(format!(
            "the files, holes included, are {} larger than the archive: unpacking it needs \
             --max-size {}",
            HumanBytes(packed.content - packed.written),
            packed.content
        ));
    }
    if packed.entries > entries {
        lines.push(format!(
            "the archive has {} entries: unpacking it needs --max-entries {}",
            HumanCount(packed.entries),
            packed.entries
        ));
    }
    if packed.folders > FOLDER_BUDGET {
        lines.push(
            "the archive has more folders than --extract allows: `mkdir NEW && cryptstream decrypt \
             ARCHIVE - | tar -x -C NEW` unpacks it"
                .to_owned(),
        );
    }
    lines
}

/// Added to the line that says what was done.
pub(crate) fn packed(packed: &Packed) -> String {
    let ratio = packed.bytes as f64 / packed.written.max(1) as f64;
    let ratio = if ratio > 1.0 { format!(", compressed to 1/{ratio:.1}") } else { String::new() };
    format!("; {} entries{ratio}", HumanCount(packed.entries))
}

/// Says that access control lists are not in the archive.
pub(crate) fn without_acls(packed: &Packed) -> Option<String> {
    (packed.acls > 0).then(|| {
        format!(
            "the access control lists of {} files and folders are not packed; their permission \
             bits in the archive allow nobody more",
            HumanCount(packed.acls)
        )
    })
}

// ---- Unpacking ------------------------------------------------------------

const NOTHING: &str = "nothing was written";

/// Errors of the unpacker about the archive in `input`.
pub(crate) fn unpack(input: &Path, output: &Path, error: Error) -> Failure {
    if let Some(failure) = lack_of_memory(input, &error) {
        return failure;
    }
    if let Error::Write { member, source } = error {
        let message = format!("{} cannot be written: {}", short_name(&member), reason(&source));
        let help = make_room(&source).unwrap_or("check the disk, and which names it allows");
        let help = format!("{help}; no partial output was left");
        return Failure::new(code::IO, "write", message, help).or_shortage(&source).about(output);
    }
    let help = match &error {
        Error::Refused { reason: Refusal::LinkLeavesFolder, .. } => {
            format!("{NOTHING}; if you trust the archive, --any-links creates such links too")
        }
        Error::LimitExceeded { reason: LimitExceeded::Folders(_), .. } => {
            format!("{NOTHING}; {}", pipe_help(input, "tar -x"))
        }
        Error::LimitExceeded { reason, .. } => {
            let flag = match reason {
                LimitExceeded::Bytes(_) | LimitExceeded::Growth(_) => "--max-size",
                LimitExceeded::Ratio(_) => "--max-ratio",
                _ => "--max-entries",
            };
            format!("{NOTHING}; if you trust the archive, raise the limit with {flag}")
        }
        Error::Refused { .. } => {
            let by = unpack_help(input, &error);
            format!("{NOTHING}; `cryptstream list` shows what is in it; if you trust it, {by}")
        }
        _ => format!("{NOTHING}; {}", unpack_help(input, &error)),
    };
    unusable(input, &error, help)
}

/// How to unpack it with other programs.
fn unpack_help(input: &Path, error: &Error) -> String {
    match error {
        Error::Refused { reason: Refusal::Concatenated, .. } => pipe_help(input, "tar -xi"),
        Error::Refused { reason: Refusal::MultiVolume, .. } => {
            "decrypt all volumes without --extract, then `mkdir NEW && tar -xM -C NEW -f FIRST -f \
             SECOND` unpacks them"
                .to_owned()
        }
        Error::Decompress { reason, .. } => match reason {
            ZstdFailure::WindowTooLarge => pipe_help(input, "zstd -d --long=31 | tar -x"),
            ZstdFailure::Dictionary => pipe_help(input, "zstd -d -D DICTIONARY | tar -x"),
            _ => "without --extract, the compressed file itself is written".to_owned(),
        },
        Error::NotTar { head } => match file_type::unpack_command(head) {
            Some(by) => pipe_help(input, by),
            None => "without --extract, the file itself is decrypted".to_owned(),
        },
        Error::TrailingData { .. }
        | Error::Refused { reason: Refusal::TooDeep | Refusal::UnknownType, .. } => {
            pipe_help(input, "tar -x")
        }
        // tar fails too, or at that member.
        _ => format!("{} unpacks what tar can", unpacking_pipe(input, "tar -x")),
    }
}

fn pipe_help(input: &Path, by: &str) -> String {
    format!("{} unpacks it", unpacking_pipe(input, by))
}

/// A pipe into a program that unpacks into a new folder, so that it replaces no files.
fn unpacking_pipe(input: &Path, by: &str) -> String {
    let into = if by.starts_with("cpio") { "-D" } else { "-C" };
    pipe(input, "mkdir NEW && ", &format!("{by} {into} NEW"))
}

/// A pipe into another program, which the user completes by the keys.
fn pipe(input: &Path, before: &str, by: &str) -> String {
    let name = match input.exists() {
        true => quoted(input),
        false => "-".to_owned(),
    };
    format!("with your keys, `{before}cryptstream decrypt {name} - | {by}`")
}

/// What differs in an archive that was unpacked from its description.
pub(crate) fn differences(differences: &Differences) -> Vec<String> {
    let Differences { special, special_names, absolute, replaced, unset } = differences;
    let names = special_names
        .iter()
        .map(|name| format!("{}: is a device or a named pipe; skipped", short_name(name)));
    let mut lines: Vec<_> = names.collect();
    let more = special.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(more_skipped(more));
    }
    if *absolute > 0 {
        lines.push(format!(
            "members with absolute names: {}; they were unpacked below the output, as tar does",
            HumanCount(*absolute)
        ));
    }
    if *replaced > 0 {
        lines.push(format!(
            "members that occur more than once in the archive: {}; the last of each was kept, as \
             tar does",
            HumanCount(*replaced)
        ));
    }
    if *unset > 0 {
        lines.push(format!(
            "the file system cannot store the times or permission bits of {} members",
            HumanCount(*unset)
        ));
    }
    lines
}

/// Errors about an archive that is only listed.
pub(crate) fn list(input: &Path, error: Error) -> Failure {
    if let Some(failure) = lack_of_memory(input, &error) {
        return failure;
    }
    let help = match &error {
        Error::NotTar { head } => Some(match file_type::unpack_command(head) {
            Some(by) => pipe_help(input, by),
            None => "is this the right file? `cryptstream decrypt` decrypts it".to_owned(),
        }),
        Error::Decompress { .. } => Some(unpack_help(input, &error)),
        Error::TrailingData { .. } => Some(format!(
            "only what comes before it was listed; if part of the archive was lost, {} finds more",
            pipe(input, "", "tar -tvi")
        )),
        Error::Refused { reason: Refusal::Concatenated, .. } => {
            Some(format!("only the first was listed; {} lists both", pipe(input, "", "tar -tvi")))
        }
        _ => None,
    };
    unusable(input, &error, help.unwrap_or_default())
}

/// The archive was compressed with a window larger than the memory there is.
fn lack_of_memory(input: &Path, error: &Error) -> Option<Failure> {
    let is_lacking = match error {
        Error::Decompress { reason: ZstdFailure::OutOfMemory, .. } => true,
        Error::Decompress { source, .. } | Error::Read(source) => super::shortage(source).is_some(),
        _ => false,
    };
    is_lacking.then(|| {
        let message = "there is not enough memory to decompress";
        let help = "nothing was written; raise the limit: an archive made with --zstd=22 needs 140 \
                    MiB, with --zstd=19 or lower 20 MiB";
        Failure::new(code::TRY_AGAIN, "memory", message, help).about(input)
    })
}

/// What was listed before a failure is incomplete, and perhaps not authentic.
pub(crate) fn of_list(failure: Failure, has_listed: bool) -> Failure {
    match failure.code {
        code::DATA if has_listed => {
            Failure { help: "what was listed is only the beginning".to_owned(), ..failure }
        }
        _ => failure,
    }
}

/// The process that reads the archive ended before it reported the content.
pub(crate) fn parser_died(input: &Path, status: ExitStatus) -> Failure {
    use signal_hook::consts::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};
    const NOTHING_LEFT: &str = "no partial output was left";
    match (status.signal(), status.code()) {
        // The sandbox stopped it, or it was led astray, most likely by the archive.
        (Some(signal @ (SIGSYS | SIGSEGV | SIGBUS | SIGILL | SIGFPE)), _) => {
            let message = match signal {
                SIGSYS => {
                    "the process that read the archive tried something that its sandbox forbids, \
                           and was stopped"
                        .to_owned()
                }
                _ => format!("the process that read the archive was stopped by signal {signal}"),
            };
            let help = format!(
                "{NOTHING_LEFT}; do not trust the archive; if it comes from a source that you \
                 trust, please report this as a bug"
            );
            Failure::new(code::DATA, "hostile", message, help).about(input)
        }
        // Killed from outside, such as for memory; or without memory (SIGABRT).
        (Some(signal), _) => {
            let message = format!("the process that read the archive was ended by signal {signal}");
            let help = format!("{NOTHING_LEFT}; memory may be short: try again when there is more");
            Failure::new(code::TRY_AGAIN, "shortage", message, help).about(input)
        }
        // The status of a process that is refused a descriptor, memory or the like before it can
        // answer.
        (None, Some(1)) => {
            let message = "the process that reads the archive could not start";
            let help = format!(
                "{NOTHING_LEFT}; memory or descriptors may be short: try again when there are more"
            );
            Failure::new(code::TRY_AGAIN, "shortage", message, help).about(input)
        }
        (None, status) => {
            let status = status.unwrap_or_default();
            super::internal(&format!("the process that reads archives ended with status {status}"))
        }
    }
}

/// The process that is to read the archive was killed while it started, and so was another one.
pub(crate) fn parser_killed(signal: i32) -> Failure {
    let message = format!(
        "the process that reads archives was ended by signal {signal} while it started, and so was \
         a second one"
    );
    let help = "nothing was written; memory may be short: try again when there is more";
    Failure::new(code::TRY_AGAIN, "shortage", message, help)
}

pub(crate) fn parser_answer_invalid(input: &Path) -> Failure {
    let message = "the process that read the archive gave an invalid answer";
    let help = "no partial output was left; do not trust the archive";
    Failure::new(code::DATA, "hostile", message, help).about(input)
}

pub(crate) fn list_too_long(input: &Path) -> Failure {
    let budget = HumanBytes(SPOOL_BUDGET);
    let message = format!("the list is too long for --json: it exceeds {budget} compressed");
    let help = "leave out --json: then each line is printed as it is found";
    Failure::new(code::DATA, "too-much", message, help).about(input)
}

/// What the archive is read through could not be created, which only a shortage explains.
pub(crate) fn internal(input: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the archive cannot be read: {}", reason(error));
    super::internal(&message).about(input).or_shortage(error)
}

// ---- The sandbox ----------------------------------------------------------

const AUTO: &str = "use --sandbox auto to go as far as the system can";

pub(crate) fn no_sandbox(level: SandboxLevel) -> Failure {
    let message = format!(
        "the process that reads archives cannot be fully sandboxed on this system, as --sandbox \
         require demands: its sandbox is {}",
        level.name()
    );
    Failure::new(code::CONFIG, "sandbox", message, AUTO)
}

pub(crate) fn no_parser(error: &std::io::Error) -> Failure {
    let what = "the process that reads archives, which --sandbox require demands,";
    if error.kind() == std::io::ErrorKind::WouldBlock {
        return super::cannot_start(what, error);
    }
    let message = format!("{what} cannot be started: {}", reason(error));
    Failure::new(code::CONFIG, "sandbox", message, AUTO).or_shortage(error)
}

pub(crate) fn no_parser_process(error: &std::io::Error) -> String {
    format!(
        "no process can be started to read the archive ({}); it is read without a sandbox",
        reason(error)
    )
}

pub(crate) fn weak_sandbox(level: SandboxLevel) -> String {
    format!(
        "the process that reads the archive is not fully sandboxed, since this system lacks \
         Landlock or seccomp: its sandbox is {}",
        level.name()
    )
}

/// The word for reports; `None` if no process had to be sandboxed.
pub(crate) fn level(level: Option<SandboxLevel>) -> &'static str {
    level.unwrap_or(SandboxLevel::None).name()
}

fn unusable(input: &Path, error: &Error, help: String) -> Failure {
    let (kind, message) = match error {
        // A whole header.
        Error::NotTar { head } if head.len() == 512 && file_type::is_tar(head) => {
            ("malformed", "the archive is malformed at byte 0: the checksum is wrong".to_owned())
        }
        Error::NotTar { head } => {
            ("foreign", format!("the content is not a tar archive; {}", guess(head)))
        }
        Error::Refused { member, reason } => {
            ("hostile", format!("in the archive, {} {reason}", short_name(member)))
        }
        Error::LimitExceeded { member, reason } => {
            ("too-much", format!("in the archive, {reason}, at {}", short_name(member)))
        }
        other => ("malformed", format!("the archive {other}")),
    };
    Failure::new(code::DATA, kind, message, help).about(input)
}

pub(crate) fn old_name_kept(output: &Path, old: &Path) -> String {
    format!("the folder that was {} is now {}", quoted(output), quoted(old))
}

/// Added to the line that says what was done.
pub(crate) fn unpacked(entries: u64, bytes: u64, sandbox: Option<SandboxLevel>) -> String {
    let by = match sandbox {
        Some(level) => format!("in a separate process (sandbox: {})", level.name()),
        None => "in this process".to_owned(),
    };
    format!("; {} entries, {} of content, {by}", HumanCount(entries), HumanBytes(bytes))
}
