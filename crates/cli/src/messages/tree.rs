//! Messages about folders.

use std::io;
use std::path::Path;
use std::time::Duration;

use cryptstream_engine::{BatchItem, Destination, LostAttributes, Target};
use indicatif::{HumanBytes, HumanCount};
use rustix::io::Errno;

use super::outputs::{REFUSED_NAME, is_refused_name};
use super::system::is_full;
use super::{Failure, Shared, code, quoted, reason};
use crate::counts::Counts;

/// Why something was skipped.
pub(crate) const SPECIAL: &str = "is not a file, folder or link";
pub(crate) const NOT_ENCRYPTED: &str =
    "is not an encrypted file: its name does not end in .enc or .age";
pub(crate) const NO_PATTERNS: &str = "is not a readable regular file, or is larger than 256 KiB \
                                      together with those of the folders above it";
pub(crate) const IS_KEY: &str = "is a key of this run";
pub(crate) const TEMPORARY: &str =
    "is the unfinished output of a run that was killed or is still running";
pub(crate) const FOREIGN: &str = "was not written by this program, or contains something that was \
                                  not, and was not removed";

pub(crate) fn skipped(path: &Path, reason: &str) -> String {
    format!("{}: {reason}; skipped", quoted(path))
}

pub(crate) fn bad_glob(glob: &str, error: &ignore::Error) -> Failure {
    // The error shows the pattern as it is used internally, not as it was typed.
    let reason = match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    };
    let message = format!("{glob:?} is not a pattern: {reason}");
    let help = "write patterns as in .gitignore, such as '*.jpg', 'cache/' or 'a/**/b'";
    Failure::new(code::USAGE, "usage", message, help)
}

/// Why a file that was named is skipped.
pub(crate) const LEFT_OUT: &str = "is excluded by --include, --exclude or --ignore-file";

/// The patterns leave nothing to do.
pub(crate) fn nothing_included(input: &Path) -> Failure {
    let message = "contains no file that matches --include";
    let help = "nothing was written; write patterns as in .gitignore, such as '*.jpg'";
    Failure::new(code::NO_INPUT, "input", message, help).about(input)
}

/// A folder gets a name that looks like a file.
pub(crate) fn folder_named_as_file(output: &Path) -> String {
    format!(
        "{} becomes a folder with one encrypted file per input file; for a single file use \
         --archive",
        quoted(output)
    )
}

/// How many more files failed for the reason of one that was named.
pub(crate) fn failed_alike(count: u64, are_listed: bool) -> String {
    let how = if are_listed { "; -v or --json names them" } else { "" };
    format!("{} more failed for the same reason{how}", HumanCount(count))
}

pub(crate) fn empty_glob() -> Failure {
    let help = "is a variable in a script empty? without the flag, everything is included";
    Failure::new(code::USAGE, "usage", "an empty glob matches nothing", help)
}

pub(crate) fn unread_ignore_file(file: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot be used: {}", reason(error));
    let help = "name a file with one pattern per line, as in .gitignore";
    Failure::new(code::CONFIG, "config", message, help).about(file).or_shortage(error)
}

pub(crate) fn bad_ignore_file(file: &Path, error: &ignore::Error) -> Failure {
    let help = "write one pattern per line, as in .gitignore";
    Failure::new(code::CONFIG, "config", format!("cannot be used: {error}"), help).about(file)
}

pub(crate) fn same_root(one: &Path, other: &Path, output: &Path) -> Failure {
    let message = format!("{} and {} would become the same file", quoted(one), quoted(other));
    let help = "nothing was written; rename one of them, or name other outputs";
    Failure::new(code::USAGE, "collision", message, help).about(output)
}

/// Two things in a folder that would become the same file; neither is processed.
pub(crate) fn same_output(one: &Path, other: &Path) -> Failure {
    let message = format!("{} and {} would become the same file", quoted(one), quoted(other));
    let help = "both were skipped; rename one of them, or exclude one with --exclude";
    Failure::new(code::USAGE, "collision", message, help).about(other)
}

/// The copy of something that has become a file, folder or link since.
pub(crate) fn stale(copy: &Path, original: &Path) -> Failure {
    let message = format!("is the old copy of {}, which was of another type", quoted(original));
    let help = "remove it by hand: until then, decrypting refuses both. --delete removes it too, and \
                everything else that the original no longer has; --delete --dry-run shows what";
    Failure::new(code::CANNOT_CREATE, "stale", message, help).about(copy)
}

pub(crate) fn output_newer(output: &Path) -> Failure {
    let message = "is newer than its encrypted file, and may hold later changes";
    let help = "compare the two; --force replaces it, and all other existing outputs";
    Failure::new(code::CANNOT_CREATE, "exists", message, help).about(output)
}

pub(crate) fn remove_failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot be removed: {}", reason(error));
    Failure::new(code::CANNOT_CREATE, "remove", message, "check the permissions there")
        .about(path)
        .or_shortage(error)
}

/// An empty original, which may only not be mounted.
pub(crate) fn nothing_left(input: &Path, output: &Path) -> Failure {
    let message = format!("is empty, so nothing was removed from {}", quoted(output));
    let help = "is it mounted? if it is meant to be empty, remove the copy by hand";
    Failure::new(code::NO_INPUT, "input", message, help).about(input)
}

pub(crate) fn not_removed() -> &'static str {
    "nothing was removed from the copy, because something failed"
}

pub(crate) fn delete_needs_folder(input: &Path) -> Failure {
    let help = "leave --delete out, or name a folder";
    Failure::new(code::USAGE, "usage", "--delete is for copies of folders", help).about(input)
}

/// An input that stays despite `--remove-source`, because this run did not write its output.
pub(crate) fn source_kept(input: &Path, output: &Path, encrypts: bool) -> Failure {
    let message = format!(
        "was not removed: {} exists already, and only what this run writes is compared with its \
         input",
        quoted(output)
    );
    let help = match encrypts {
        true => {
            "to encrypt it again and then remove it, use --force, which replaces all existing \
             outputs"
        }
        false => {
            "to decrypt it again and then remove it, use --force, which replaces all existing \
             outputs, also those that were changed since"
        }
    };
    let failure = Failure::new(code::CANNOT_CREATE, "exists", message, help).about(input);
    Failure { shared: Some(Shared::SourceKept), ..failure }
}

/// What the outputs could not take over from their inputs.
pub(crate) fn dropped(dropped: LostAttributes, output: &Path) -> Vec<String> {
    let LostAttributes { times, mode, acl } = dropped;
    let lost = [
        (
            times,
            "the file system does not store times, so later runs cannot tell what is up to date",
        ),
        (mode, "the file system does not store all permission bits"),
        (acl, "access control lists are not copied; the copies' permission bits allow nobody more"),
    ];
    let lost = lost.into_iter().filter(|(is_lost, _)| *is_lost);
    lost.map(|(_, text)| format!("{}: {text}", quoted(output))).collect()
}

/// The names of these for programs.
pub(crate) fn dropped_names(dropped: LostAttributes) -> Vec<&'static str> {
    let LostAttributes { times, mode, acl } = dropped;
    let names = [(times, "times"), (mode, "permissions"), (acl, "access-lists")];
    names.into_iter().filter(|(is_lost, _)| *is_lost).map(|(_, name)| name).collect()
}

/// An output below an input, or that input itself.
pub(crate) fn output_in_input(input: &Path, output: &Path, is_itself: bool) -> Failure {
    let message = match is_itself {
        true => format!("is the same folder as the input {}", quoted(input)),
        false => format!("is inside {}, which is an input", quoted(input)),
    };
    let help = "nothing was written; choose a place outside of it";
    Failure::new(code::USAGE, "usage", message, help).about(output)
}

/// The output, which another program has moved into the input.
pub(crate) fn output_moved_in(output: &Path) -> Failure {
    let message = "is the output of this run, and was moved into the input";
    let help = "it was left out; move it out of the input, and run again";
    Failure::new(code::USAGE, "usage", message, help).about(output)
}

/// No key fits any of the `files` below `input`; `first` is the failure of the first of them. The
/// passphrase was not tried on `untried` others.
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
            "{}; the passphrase was not tried on {} other files, since each needs its own key \
             derivation: name those that it fits, or choose them with --include",
            first.help,
            HumanCount(untried)
        ),
    };
    Failure { message, help, file: input.map(Path::to_owned), ..first }
}

pub(crate) fn not_a_folder(path: &Path) -> Failure {
    let help = "nothing was written there; name another OUTPUT";
    Failure::new(code::CANNOT_CREATE, "exists", "already exists, and is not a folder", help)
        .about(path)
}

pub(crate) fn foreign_folder(path: &Path, owner: u32, was_made: bool) -> Failure {
    let message = match was_made {
        true => format!("was replaced by a folder of user {owner} while it was being created"),
        false => format!("belongs to user {owner}, who does not own the folder above it"),
    };
    let help = "nothing was written there; choose a folder that only you may change";
    Failure::new(code::CANNOT_CREATE, "foreign", message, help).about(path)
}

/// A folder that another program has replaced during the walk.
pub(crate) fn changed(path: &Path) -> Failure {
    let help = "try again when nothing writes to it";
    Failure::new(code::TRY_AGAIN, "changed", "changed while it was being read", help).about(path)
}

pub(crate) fn exchanged_folder(path: &Path) -> Failure {
    let message = "is no longer the folder that this run opened";
    let help =
        "another program is changing this folder; nothing was written elsewhere; run it again";
    Failure::new(code::CANNOT_CREATE, "changed", message, help).about(path)
}

/// A killed run left this.
pub(crate) fn leftover(path: &Path) -> String {
    format!(
        "{}: was left behind by a run with --remove-source that was killed while removing it; the \
         file and its output are complete: verify the output before you remove the file",
        quoted(path)
    )
}

/// A killed run left this, and the input is asked for by its former name.
pub(crate) fn renamed_for_removal(path: &Path, suspend: &Path) -> Failure {
    let message = format!(
        "no such file; a run that was killed while removing it left it as {}",
        quoted(suspend)
    );
    let help = "its output is complete; rename it back to use it again";
    Failure::new(code::NO_INPUT, "input", message, help).about(path)
}

pub(crate) fn no_name(input: &Path) -> Failure {
    let help = "name the OUTPUT";
    let message = "has no name to derive the name of the output from";
    Failure::new(code::USAGE, "usage", message, help).about(input)
}

pub(crate) fn linked_root(input: &Path) -> Failure {
    let message = "is a link to a folder, and --remove-source deletes nothing behind a link";
    let help = "nothing was written; name the folder itself, or leave --remove-source out";
    Failure::new(code::USAGE, "usage", message, help).about(input)
}

pub(crate) fn no_stream(is_input: bool) -> Failure {
    let message = match is_input {
        true => {
            "standard input cannot be a folder, one of several inputs, or the input with a flag \
             for folders"
        }
        false => {
            "standard output cannot be the output for a folder, or with a flag for folders, such \
             as --dry-run"
        }
    };
    let help = "for a folder as one stream, use `encrypt --archive`, or a pipe from or to `tar`; \
                for a single file, leave the flags for folders out";
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn no_output_dir() -> Failure {
    let message = "too many arguments after INPUT and OUTPUT";
    let help = "for several inputs, name the folder for the outputs with --output-dir";
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn exists(output: &Path) -> Failure {
    Failure::new(
        code::CANNOT_CREATE,
        "exists",
        "already exists, and does not match the current input",
        "--newer replaces outputs that differ from their input, --force replaces everything",
    )
    .about(output)
}

pub(crate) fn not_a_file(output: &Path) -> Failure {
    let message = "already exists, and is not a file that can be replaced";
    Failure::new(code::CANNOT_CREATE, "exists", message, "rename it, or name another OUTPUT")
        .about(output)
}

/// An output that another program created after this run had found none.
pub(crate) fn output_appeared(output: &Path) -> Failure {
    let message = "was created by another program during this run, and was left as it is";
    let help = "another run may be writing to the same folder; run again when it is done";
    Failure::new(code::TRY_AGAIN, "exists", message, help).about(output)
}

pub(crate) fn case_collision(output: &Path) -> Failure {
    let message = "is the name of another file too, which differs only in upper and lower case";
    let help = "this file system cannot tell them apart: rename one, or write elsewhere";
    Failure::new(code::CANNOT_CREATE, "exists", message, help).about(output)
}

/// A folder for outputs that exists.
pub(crate) fn folder_unusable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("the folder cannot be opened: {}", reason(error));
    Failure { message, ..folder_failed(path, error) }
}

pub(crate) fn folder_failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("the folder cannot be created: {}", reason(error));
    let help = match is_refused_name(path, error) {
        true => REFUSED_NAME,
        false => {
            "check the permissions and the free space, then run again: finished files are kept"
        }
    };
    Failure::new(code_of(error), "create", message, help)
        .full(is_full(error))
        .about(path)
        .or_shortage(error)
}

pub(crate) fn link_failed(path: &Path, error: &io::Error) -> Failure {
    if matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)) {
        let message = "the link cannot be created: the file system has no symbolic links";
        let help = "the files are not affected; use --archive to keep links, or --exclude to leave \
                    them out";
        let failure = Failure::new(code::CANNOT_CREATE, "create", message, help).about(path);
        return Failure { shared: Some(Shared::NoLinks), ..failure };
    }
    let message = format!("the link cannot be created: {}", reason(error));
    let help = "check the permissions and the file system there";
    Failure::new(code_of(error), "create", message, help)
        .full(is_full(error))
        .about(path)
        .or_shortage(error)
}

/// The folder that an output is to be created in is missing.
pub(crate) fn no_parent(output: &Path, parent: &Path) -> Failure {
    let message = format!("cannot be created: the folder {} does not exist", quoted(parent));
    let help = "nothing was written; mount the disk that belongs there, or create the folder first \
                (mkdir -p)";
    Failure::new(code::CANNOT_CREATE, "create", message, help).about(output)
}

/// The exit status for what cannot be created.
fn code_of(error: &io::Error) -> u8 {
    if is_full(error) { code::IO } else { code::CANNOT_CREATE }
}

pub(crate) fn link_exists(path: &Path) -> Failure {
    let message = "already exists, and is not the same link";
    let help = "remove it, or use --force if it is another link";
    Failure::new(code::CANNOT_CREATE, "exists", message, help).about(path)
}

pub(crate) fn key_derivation_for_each(files: u64) -> String {
    format!(
        "with a passphrase, each of these {} age files needs its own key derivation, which takes \
         about a second; recipients (-r, -i) and the native format avoid that",
        HumanCount(files)
    )
}

/// The output of an item.
pub(crate) fn output_of(item: &BatchItem) -> Option<&Path> {
    match &item.output {
        Destination::Named(Target::Path { path, .. })
        | Destination::Beneath { path, .. }
        | Destination::Object { path, .. } => Some(path),
        _ => None,
    }
}

/// One line of a dry run, for a file.
pub(crate) fn dry_run_line(command: &str, item: &BatchItem) -> String {
    let output = output_of(item).map_or("-".to_owned(), quoted);
    let replaces = if item.replaces() { " (replaces it)" } else { "" };
    format!("{command} {} -> {output}{replaces}\n", quoted(&item.input))
}

/// One line of a dry run, for an output that would get other permission bits.
pub(crate) fn dry_run_mode(path: &Path, mode: u32) -> String {
    format!("chmod {mode:o} {}\n", quoted(path))
}

/// One line of a dry run, for a link that would be replaced.
pub(crate) fn dry_run_link(path: &Path) -> String {
    format!("link {} (replaces it)\n", quoted(path))
}

/// One line of a dry run, for what would be removed from the copy.
pub(crate) fn dry_run_removal(path: &Path) -> String {
    format!("remove {}\n", quoted(path))
}

/// Says that not everything is listed.
pub(crate) fn more_not_listed(count: u64, what: &str) -> String {
    format!("{} more {what} are not listed here; --json lists 1,000", HumanCount(count))
}

/// The total of a run.
pub(crate) fn summary(command: &str, counts: &Counts, took: Duration, is_dry: bool) -> String {
    let Counts { files, replaced, kept, updated, removed, skipped, failed, left, .. } = *counts;
    let bytes_in = counts.bytes_in;
    let done = match (command, is_dry) {
        ("encrypt", false) => "encrypted",
        ("encrypt", true) => "to encrypt",
        (_, false) => "decrypted",
        (_, true) => "to decrypt",
    };
    let noun = if files == 1 { "file" } else { "files" };
    let mut text = format!("{} {noun} {done}", HumanCount(files));
    if replaced > 0 {
        text += &format!(" ({} of them again)", HumanCount(replaced));
    }
    for (count, what) in [
        (kept, "up to date"),
        (updated, "with new permissions or links"),
        (removed, if is_dry { "to remove" } else { "removed" }),
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
