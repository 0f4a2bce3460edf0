//! What is said about folders.

use std::io;
use std::path::Path;
use std::time::Duration;

use cryptstream_engine::{BatchItem, Destination, Dropped, Target};
use indicatif::{HumanBytes, HumanCount};
use rustix::io::Errno;

use super::outputs::{REFUSED_NAME, is_refused_name};
use super::system::is_full;
use super::{Failure, Shared, code, quoted, reason};
use crate::tree::{Counts, Event};

/// Why something was skipped.
pub(crate) const SPECIAL: &str = "is neither file nor folder nor link";
pub(crate) const NOT_SEALED: &str = "is not sealed, as its name does not end in .enc or .age";
pub(crate) const NO_PATTERNS: &str = "is no plain file that can be read, or has, with those of \
                                      the folders above it, more than 256 KiB";
pub(crate) const IS_KEY: &str = "is a key of this run";
pub(crate) const FOREIGN: &str = "is not what this program has written, or holds such a thing, and \
                                  was not removed";

pub(crate) fn skipped(path: &Path, reason: &str) -> String {
    format!("{}: {reason}; skipped", quoted(path))
}

pub(crate) fn bad_glob(glob: &str, error: &ignore::Error) -> Failure {
    // The error names the pattern as it is used, which is not as it was typed.
    let reason = match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    };
    let message = format!("{glob:?} is not a pattern: {reason}");
    let help = "write patterns as in .gitignore, such as '*.jpg', 'cache/' or 'a/**/b'";
    Failure::new(code::USAGE, "usage", message, help)
}

/// Why a file that was named is skipped.
pub(crate) const LEFT_OUT: &str = "is left out by --include, --exclude or --ignore-file";

/// The patterns have left nothing to be done.
pub(crate) fn nothing_included(input: &str) -> Failure {
    let message = "no file there matches --include";
    let help = "nothing was written; a pattern is written as in .gitignore, such as '*.jpg'";
    Failure::new(code::NO_INPUT, "input", message, help).about(Path::new(input))
}

/// A folder gets a name that belongs to a file.
pub(crate) fn folder_named_as_file(output: &Path) -> String {
    format!(
        "{} becomes a folder, with an encrypted file in it for each file; for one file use --archive",
        quoted(output)
    )
}

/// Of many files that failed since the disk is full one was told.
pub(crate) fn failed_alike(count: u64) -> String {
    format!("{} more failed for the same reason", HumanCount(count))
}

pub(crate) fn empty_glob() -> Failure {
    let help = "is a variable of the script empty? leave the flag out to mean everything";
    Failure::new(code::USAGE, "usage", "a glob is empty, which would match nothing", help)
}

pub(crate) fn unread_ignore_file(file: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot be used: {}", reason(error));
    let help = "name a file with one pattern a line, as in .gitignore";
    Failure::new(code::CONFIG, "config", message, help).about(file).or_shortage(error)
}

pub(crate) fn bad_ignore_file(file: &Path, error: &ignore::Error) -> Failure {
    let help = "write one pattern a line, as in .gitignore";
    Failure::new(code::CONFIG, "config", format!("cannot be used: {error}"), help).about(file)
}

pub(crate) fn same_root(one: &Path, other: &Path, output: &Path) -> Failure {
    let message = format!("{} and {} would become the same file", quoted(one), quoted(other));
    let help = "nothing was written; rename one of them, or name other outputs";
    Failure::new(code::USAGE, "collision", message, help).about(output)
}

/// Two things in a folder, of which neither is done.
pub(crate) fn same_output(one: &Path, other: &Path) -> Failure {
    let message = format!("{} and {} would become the same file", quoted(one), quoted(other));
    let help = "both were left out; rename one of them, or leave one out with --exclude";
    Failure::new(code::USAGE, "collision", message, help).about(other)
}

/// The copy of what is of another kind in the original by now.
pub(crate) fn stale(copy: &Path, original: &Path) -> Failure {
    let message =
        format!("is a copy of what {} was before: a file, folder or link", quoted(original));
    let help = "remove it, or call again with --delete; until then decrypting refuses both";
    Failure::new(code::CANNOT_CREATE, "stale", message, help).about(copy)
}

pub(crate) fn output_newer(output: &Path) -> Failure {
    let message = "is newer than its encrypted file, and may have been changed since";
    let help = "compare the two; --force replaces it";
    Failure::new(code::CANNOT_CREATE, "exists", message, help).about(output)
}

pub(crate) fn remove_failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot be removed: {}", reason(error));
    Failure::new(code::CANNOT_CREATE, "remove", message, "check the permissions there")
        .about(path)
        .or_shortage(error)
}

/// An original without anything, which may only not be mounted.
pub(crate) fn nothing_left(input: &Path, output: &Path) -> Failure {
    let message = format!("is empty, so nothing was removed from {}", quoted(output));
    let help = "is it mounted? if it is right, remove the copy by hand";
    Failure::new(code::NO_INPUT, "input", message, help).about(input)
}

pub(crate) fn not_removed() -> &'static str {
    "nothing was removed from the copy, as not everything went well"
}

pub(crate) fn delete_needs_folder(input: &Path) -> Failure {
    let help = "leave --delete out, or name a folder";
    Failure::new(code::USAGE, "usage", "--delete is for copies of folders", help).about(input)
}

/// Sources that stay with `--remove-source`, since this run has not encrypted them.
pub(crate) fn sources_kept(count: u64) -> String {
    let noun = if count == 1 { "input was" } else { "inputs were" };
    format!(
        "{} {noun} not removed: an earlier run has done them, and only what this run writes is \
         compared with its input; --force does them again",
        HumanCount(count)
    )
}

/// What the outputs have not got of their inputs.
pub(crate) fn dropped(dropped: Dropped, output: &str) -> Vec<String> {
    let Dropped { times, mode, acl } = dropped;
    let lost = [
        (times, "the file system takes no times: later runs cannot tell what is up to date"),
        (mode, "the file system does not take all permission bits"),
        (acl, "access control lists are not copied; the copies' permission bits give nobody more"),
    ];
    let lost = lost.into_iter().filter(|(is_lost, _)| *is_lost);
    lost.map(|(_, text)| format!("{}: {text}", quoted(Path::new(output)))).collect()
}

/// The same for programs.
pub(crate) fn dropped_names(dropped: Dropped) -> Vec<&'static str> {
    let Dropped { times, mode, acl } = dropped;
    let names = [(times, "times"), (mode, "permissions"), (acl, "access-lists")];
    names.into_iter().filter(|(is_lost, _)| *is_lost).map(|(_, name)| name).collect()
}

pub(crate) fn output_in_input(input: &Path, output: &Path) -> Failure {
    let message = format!("lies in {}, which is an input", quoted(input));
    let help = "nothing was written; choose a folder beside it";
    Failure::new(code::USAGE, "usage", message, help).about(output)
}

/// No key fits any of so many files, below the folder `input` if all are in one; `first` is what is wrong with the first
/// of them. The passphrase was not tried on `untried` others.
pub(crate) fn no_key_fits(
    input: Option<&Path>,
    files: u64,
    untried: u64,
    first: Failure,
) -> Failure {
    if files == 1 {
        return first;
    }
    let name = first.file.as_deref().map_or(String::new(), quoted);
    let message = format!(
        "no key fits any of {} files; the first is {name}: {}",
        HumanCount(files),
        first.message
    );
    let help = match untried {
        0 => first.help.clone(),
        _ => format!(
            "{}; the passphrase was not tried on {} other files, each of which takes a key \
             derivation of its own: name those that it fits, or choose them with --include",
            first.help,
            HumanCount(untried)
        ),
    };
    Failure { message, help, file: input.map(Path::to_owned), ..first }
}

pub(crate) fn not_a_folder(path: &Path) -> Failure {
    let help = "nothing was written there; name another OUTPUT, or remove it first";
    Failure::new(code::CANNOT_CREATE, "exists", "exists, and is not a folder", help).about(path)
}

pub(crate) fn foreign_folder(path: &Path, owner: u32, was_made: bool) -> Failure {
    let message = match was_made {
        true => format!("was exchanged for a folder of user {owner} while it was made"),
        false => format!("belongs to user {owner}, who does not own the folder above it"),
    };
    let help = "nothing was written there; write to a folder that only you may change";
    Failure::new(code::CANNOT_CREATE, "foreign", message, help).about(path)
}

pub(crate) fn exchanged_folder(path: &Path) -> Failure {
    let message = "is not the folder any more that this run has opened";
    let help = "another program changes this tree; nothing was written elsewhere, call again";
    Failure::new(code::CANNOT_CREATE, "changed", message, help).about(path)
}

/// A run that was killed has left this.
pub(crate) fn leftover(path: &Path) -> String {
    format!(
        "{}: was left by a run with --remove-source that was killed while removing it; its \
         output is complete, and the file is whole: verify the output before you remove it",
        quoted(path)
    )
}

/// The same, where the input is asked for by the name that it had.
pub(crate) fn left_aside(path: &Path, aside: &Path) -> Failure {
    let message = format!(
        "no such file; a run that was killed while removing it has left it as {}",
        quoted(aside)
    );
    let help = "its output is complete; rename it back to use it again";
    Failure::new(code::NO_INPUT, "input", message, help).about(path)
}

pub(crate) fn no_name(input: &Path) -> Failure {
    let help = "name the OUTPUT too";
    let message = "has no name from which the output's could be made";
    Failure::new(code::USAGE, "usage", message, help).about(input)
}

pub(crate) fn linked_root(input: &Path) -> Failure {
    let message = "is a link to a folder, and --remove-source removes nothing behind a link";
    let help = "nothing was written; name the folder itself, or leave --remove-source out";
    Failure::new(code::USAGE, "usage", message, help).about(input)
}

pub(crate) fn no_stream(is_input: bool) -> Failure {
    let message = match is_input {
        true => "standard input is no folder, and not one of several files",
        false => "a folder cannot be written to standard output",
    };
    let help = "for one stream of a whole folder: `encrypt --archive`, or a pipe from or to `tar`";
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn no_output_dir() -> Failure {
    let message = "more than an INPUT and an OUTPUT are named";
    let help = "name the folder for the outputs of several inputs with --output-dir";
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn exists(output: &Path) -> Failure {
    Failure::new(
        code::CANNOT_CREATE,
        "exists",
        "exists, and is not what an earlier run has made of this input as it is now",
        "--newer replaces what differs from its input, --force replaces everything",
    )
    .about(output)
}

pub(crate) fn not_a_file(output: &Path) -> Failure {
    let message = "exists, and is no file that could be replaced";
    Failure::new(code::CANNOT_CREATE, "exists", message, "remove it first").about(output)
}

/// An output that somebody else has made since this run found that there was none.
pub(crate) fn appeared(output: &Path) -> Failure {
    let message = "appeared while this run was at work, and was left as it is";
    let help = "another run may write to the same folder; run again when it has ended";
    Failure::new(code::TRY_AGAIN, "exists", message, help).about(output)
}

pub(crate) fn case_collision(output: &Path) -> Failure {
    let message = "is taken by another file, whose name differs in upper and lower case only";
    let help = "this file system does not tell them apart: rename one, or write elsewhere";
    Failure::new(code::CANNOT_CREATE, "exists", message, help).about(output)
}

pub(crate) fn folder_failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("the folder cannot be made: {}", reason(error));
    let help = match is_refused_name(path, error) {
        true => REFUSED_NAME,
        false => "check the permissions and the room there, then call again: what is done is kept",
    };
    Failure::new(code_of(error), "create", message, help)
        .full(is_full(error))
        .about(path)
        .or_shortage(error)
}

pub(crate) fn link_failed(path: &Path, error: &io::Error) -> Failure {
    if matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)) {
        let message = "the link cannot be made: the file system there has no symbolic links";
        let help = "the files are not affected; an archive keeps links (--archive), or leave them \
                    out with --exclude";
        let failure = Failure::new(code::CANNOT_CREATE, "create", message, help).about(path);
        return Failure { shared: Some(Shared::NoLinks), ..failure };
    }
    let message = format!("the link cannot be made: {}", reason(error));
    let help = "check the permissions and the file system there";
    Failure::new(code_of(error), "create", message, help)
        .full(is_full(error))
        .about(path)
        .or_shortage(error)
}

/// The folder that an output is to be created in is missing.
pub(crate) fn no_parent(output: &Path, parent: &Path) -> Failure {
    let message = format!("cannot be created: there is no folder {}", quoted(parent));
    let help = "nothing was written; mount the disk that belongs there, or create the folder first \
                (mkdir -p)";
    Failure::new(code::CANNOT_CREATE, "create", message, help).about(output)
}

/// The exit status for what cannot be created.
fn code_of(error: &io::Error) -> u8 {
    if is_full(error) { code::IO } else { code::CANNOT_CREATE }
}

pub(crate) fn link_exists(path: &Path) -> Failure {
    let message = "exists, and is not the same link";
    let help = "remove it, or use --force where it is another link";
    Failure::new(code::CANNOT_CREATE, "exists", message, help).about(path)
}

pub(crate) fn scrypt_for_each(files: u64) -> String {
    format!(
        "with a passphrase each of these {} files of age needs a key derivation of its own, of about \
         a second; with a recipient (-r, -i) or in the native format that would not be so",
        HumanCount(files)
    )
}

/// What an item is to become.
pub(crate) fn output_of(item: &BatchItem) -> Option<&Path> {
    match &item.output {
        Destination::Named(Target::Path { path, .. }) | Destination::Beneath { path, .. } => {
            Some(path)
        }
        _ => None,
    }
}

/// One line of what would be done.
pub(crate) fn would(command: &str, item: &BatchItem) -> String {
    let output = output_of(item).map_or("-".to_owned(), quoted);
    let replaces = if item.replaces() { " (replaces it)" } else { "" };
    format!("{command} {} -> {output}{replaces}\n", quoted(&item.input))
}

/// One line of what else would happen to the copy.
pub(crate) fn would_change(event: &Event) -> Option<String> {
    match event {
        Event::Mode(path, mode) => Some(format!("chmod {mode:o} {}\n", quoted(path))),
        Event::Relinked(path) => Some(format!("link {} (replaces it)\n", quoted(path))),
        Event::Removed(path) => Some(format!("remove {}\n", quoted(path))),
        _ => None,
    }
}

/// That not everything was named.
pub(crate) fn untold(count: u64, what: &str) -> String {
    format!("{} more {what} are not named here; --json lists 1,000", HumanCount(count))
}

/// All together.
pub(crate) fn summary(command: &str, counts: &Counts, took: Duration, is_dry: bool) -> String {
    let Counts { files, replaced, kept, updated, removed, skipped, failed, left, .. } = *counts;
    let bytes_in = counts.bytes_in;
    let done = match (command, is_dry) {
        ("encrypt", false) => "sealed",
        ("encrypt", true) => "to be sealed",
        (_, false) => "opened",
        (_, true) => "to be opened",
    };
    let noun = if files == 1 { "file" } else { "files" };
    let mut text = format!("{} {noun} {done}", HumanCount(files));
    if replaced > 0 {
        text += &format!(" ({} of them again)", HumanCount(replaced));
    }
    for (count, what) in [
        (kept, "already there"),
        (updated, "with other permissions or links"),
        (removed, if is_dry { "to be removed" } else { "removed" }),
        (skipped, "skipped"),
        (failed, "failed"),
        (left, "not tried"),
    ] {
        if count > 0 {
            text += &format!(", {} {what}", HumanCount(count));
        }
    }
    let seconds = took.as_secs_f64();
    text += &format!(": {}", HumanBytes(bytes_in));
    if !is_dry {
        let rate = HumanBytes((bytes_in as f64 / seconds.max(1e-9)) as u64);
        text += &format!(" in {seconds:.2} s ({rate}/s)");
    }
    text
}
