//! `list`: what is in encrypted archives.

use std::io::{self, IsTerminal, Write};

use cryptstream_archive::{Kind, Limits, Member, Spool, Time, display_name};
use cryptstream_beneath::KnownFile;
use cryptstream_engine::{Engine, Parser, Progress, SandboxLevel, Summary, WorkerOptions};
use cryptstream_format::Identity;
use serde_json::{Value, json};

use super::extract::input_path;
use super::parser::Task;
use super::parser_process::{ParserProcess, combine};
use crate::args::{DecryptInputs, ReportOptions};
use crate::commands::inputs::{Inputs, PendingInput};
use crate::commands::session::{CommandResult, Session};
use crate::json::{SCHEMA, hex, insert_name};
use crate::keyring::{CachedIdentities, DecryptionKeys};
use crate::messages::{self, Context, Failure, escaped_json, inspect_verify};
use crate::progress::Meter;
use crate::report::{self, ReportWriter, Status};
use crate::request::{Input, cores, worker_options};
use crate::system;

pub(in crate::commands) fn run(args: DecryptInputs, session: &Session) -> CommandResult {
    let options = session.options;
    let is_listed = args.file_list.files_from.is_some();
    let inputs = Inputs::of(args.files, is_listed)?;
    let are_several = inputs.are_several(is_listed);
    let keys = DecryptionKeys::read(&args.decryption, session.take_key())?;
    let workers = worker_options(&args.workers);
    let mut engine = Engine::new(workers.clone(), cores());
    let parser =
        engine.parser().map_err(|error| inspect_verify::engine(error, Context::default()))?;
    let (key_files, has_passphrase) = (keys.key_files(), keys.has_passphrase());
    let (mut count, mut first) = (0, None);
    for PendingInput { input, .. } in inputs.iter() {
        count += 1;
        first.get_or_insert(input);
    }
    let name = match &first {
        Some(input) if count == 1 => report::input_label(input),
        _ => format!("{count} files"),
    };
    let cached = CachedIdentities::new(keys.identities(&name)?);
    let mut lister = Lister {
        engine,
        parser,
        workers,
        identities: cached.identities(),
        key_files,
        has_passphrase,
        options,
    };
    if !are_several {
        let input = first.unwrap_or(Input::Stdin);
        let mut listing = Listing::new(options, &input, None)?;
        let listed = lister.list(&input, &mut listing)?;
        return Ok(one(&input, listing, &listed, options));
    }
    let (mut writer, mut status) = (ReportWriter::default(), Status::default());
    let (mut files, mut failed) = (0u64, 0u64);
    for PendingInput { input, .. } in inputs.iter() {
        let heading = Heading { is_first: files == 0 };
        let mut listing = Listing::new(options, &input, Some(heading))?;
        (listing.writer, listing.status) = (writer, status);
        let listed = lister.list(&input, &mut listing);
        files += 1;
        if let Err(failure) = &listed {
            failed += 1;
            listing.status.fail(failure, options.json);
        }
        (writer, status) = listing.end(listed.as_ref());
        if writer.is_closed() {
            break;
        }
    }
    if report::wants_json(options) {
        let totals = json!({
            "files": files,
            "failed": failed,
        });
        writer.end(totals, options, &mut status);
    }
    Ok(status)
}

/// Lists one archive after the other.
struct Lister<'a> {
    engine: Engine,
    parser: Parser,
    workers: WorkerOptions,
    identities: Vec<&'a dyn Identity>,
    key_files: Vec<KnownFile>,
    has_passphrase: bool,
    options: ReportOptions,
}

/// What is reported of an archive besides its entries.
struct Listed {
    summary: Summary,
    /// The sandbox of the parser process.
    level: Option<SandboxLevel>,
}

impl Lister<'_> {
    fn list(&mut self, input: &Input, listing: &mut Listing<'_>) -> Result<Listed, Failure> {
        let failed = |error| inspect_verify::engine(error, Context::default());
        let mut source = input.open().map_err(failed)?.parsed_by(&self.parser);
        let known = source.known();
        if let Some(path) = input.path()
            && self.key_files.iter().any(|key| key.is(&known))
        {
            return Err(messages::key_is_data(path));
        }
        // Not on the terminal that shows the list.
        let meter = Meter::new(report::input_label(input), self.options);
        let progress: &dyn Progress = match self.options.json || !io::stdout().is_terminal() {
            true => &meter,
            false => &(),
        };
        let task = Task { unpack: None, limits: Limits::NONE, sandbox: self.workers.sandbox };
        let parser = ParserProcess::new(&task, system::own_program());
        let (engine, identities) = (&mut self.engine, &self.identities);
        let (decrypted, listed, level) =
            parser.run(None, &mut |member| listing.take(&member), |pipe| {
                engine.decrypt(
                    cryptstream_engine::Decrypt::source(&mut source)
                        .to_pipe(pipe)
                        .identities(identities)
                        .progress(progress),
                )
            })?;
        meter.clear();
        let is_armored = source.is_armored();
        let context = Context { has_passphrase: self.has_passphrase, is_stream: false, is_armored };
        let (summary, _) = combine(decrypted, listed).map_err(|error| {
            let failure = error.into_failure(
                &input_path(input),
                |error| inspect_verify::engine(error, context),
                |error| messages::archive::list(&input_path(input), error),
            );
            messages::archive::of_list(failure, !self.options.json && !listing.is_first)
        })?;
        Ok(Listed { summary, level })
    }
}

impl Listed {
    /// For programs; the entries replace `null`.
    fn object(&self) -> Value {
        json!({
            "schema": SCHEMA,
            "command": "list",
            "format": report::format_name(self.summary.format),
            "bytes_in": self.summary.bytes_in,
            "bytes_out": self.summary.bytes_out,
            "unpacking_sandbox": messages::archive::level(self.level),
            "entries": null,
        })
    }
}

/// Ends the list of a single archive.
fn one(input: &Input, listing: Listing<'_>, listed: &Listed, options: ReportOptions) -> Status {
    let Listing { entries, status, .. } = listing;
    if report::wants_json(options) {
        let mut object = listed.object();
        messages::mark_ended();
        insert_name(&mut object, "input", input_path(input));
        if let Some(entries) = entries {
            // A closed pipe is not a failure.
            let _ = print_entries(&escaped_json(&object), entries);
        }
        if messages::wants_json_events() {
            messages::print_event("end", object);
        }
    }
    status
}

/// Prints the object with the entries in place of `null`. Quotes in strings are escaped, so this
/// finds the field.
fn print_entries(object: &str, entries: Spool) -> io::Result<()> {
    let (before, after) = object.split_once("\"entries\":null").unwrap_or((object, ""));
    let mut stdout = io::stdout().lock();
    write!(stdout, "{before}\"entries\":[")?;
    io::copy(&mut entries.into_reader()?, &mut stdout)?;
    writeln!(stdout, "]{after}")?;
    stdout.flush()
}

struct Listing<'a> {
    input: &'a Input,
    writer: ReportWriter,
    status: Status,
    /// For programs, which get the entries after all of the archive is verified.
    entries: Option<Spool>,
    /// Printed above the entries of each of several archives, as with ls(1).
    heading: Option<Heading>,
    is_first: bool,
}

struct Heading {
    /// Whether this is the first archive.
    is_first: bool,
}

impl<'a> Listing<'a> {
    fn new(
        options: ReportOptions,
        input: &'a Input,
        heading: Option<Heading>,
    ) -> Result<Self, Failure> {
        let spool = || Spool::new().map_err(|error| messages::archive::internal(&error));
        let entries = options.json.then(spool).transpose()?;
        let (writer, status) = Default::default();
        Ok(Self { input, writer, status, entries, heading, is_first: true })
    }

    fn take(&mut self, member: &Member) -> Result<(), Failure> {
        let is_first = std::mem::take(&mut self.is_first);
        let Some(spool) = &mut self.entries else {
            self.print_heading();
            self.writer.print(&line(member), &mut self.status);
            return Ok(());
        };
        let comma = if is_first { "" } else { "," };
        let entry = format!("{comma}{}", escaped_json(&json(member)));
        match spool.push(entry.as_bytes()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(messages::archive::list_too_long(&input_path(self.input))),
            Err(error) => Err(messages::archive::internal(&error)),
        }
    }

    fn print_heading(&mut self) {
        if let Some(Heading { is_first }) = self.heading.take() {
            let gap = if is_first { "" } else { "\n" };
            let text = format!("{gap}{}:\n", report::input_label(self.input));
            self.writer.print(&text, &mut self.status);
        }
    }

    /// Ends the list of one archive of several.
    fn end(mut self, listed: Result<&Listed, &Failure>) -> (ReportWriter, Status) {
        let Some(entries) = self.entries.take() else {
            // Also for an empty archive.
            if listed.is_ok() {
                self.print_heading();
            }
            return (self.writer, self.status);
        };
        let mut object = listed.map_or_else(|_| json!({}), Listed::object);
        report::name_file_event(&mut object, "list", self.input);
        match listed {
            // A closed pipe is not a failure.
            Ok(_) => drop(print_entries(&escaped_json(&object), entries)),
            Err(failure) => {
                object["error"] = failure.json();
                self.writer.print_object(&object, &mut self.status);
            }
        }
        (self.writer, self.status)
    }
}

fn letter(kind: &Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Folder => 'd',
        Kind::Symlink(_) => 'l',
        Kind::HardLink(_) => 'h',
        Kind::Fifo => 'p',
        Kind::BlockDevice => 'b',
        Kind::CharDevice => 'c',
        Kind::Unknown(_) => '?',
    }
}

/// The permissions in the form of `ls -l` and `tar -tv`.
fn permissions(mode: u32) -> String {
    let bits = "rwxrwxrwx".chars().enumerate();
    let mut text: Vec<char> =
        bits.map(|(at, letter)| if mode & (0o400 >> at) == 0 { '-' } else { letter }).collect();
    for (bit, at, letters) in
        [(0o4000, 2, ['s', 'S']), (0o2000, 5, ['s', 'S']), (0o1000, 8, ['t', 'T'])]
    {
        if mode & bit != 0 {
            text[at] = letters[usize::from(text[at] == '-')];
        }
    }
    text.into_iter().collect()
}

/// In UTC; as a number of seconds if the year has more than four digits.
fn time(time: Time) -> String {
    /// The end of the year 9999.
    const MOST: u64 = 253_402_300_799;
    match u64::try_from(time.seconds) {
        Ok(seconds) if seconds <= MOST => {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => format!("{:>20}", format!("@{}", time.seconds)),
    }
}

fn line(member: &Member) -> String {
    let Member { name, kind, mode, mtime, size, .. } = member;
    let link = match kind {
        Kind::Symlink(target) => format!(" -> {}", display_name(target)),
        Kind::HardLink(target) => format!(" link to {}", display_name(target)),
        _ => String::new(),
    };
    let (letter, permissions) = (letter(kind), permissions(*mode));
    format!("{letter}{permissions} {size:>12} {} {}{link}\n", time(*mtime), display_name(name))
}

fn json(member: &Member) -> Value {
    let Member { name, kind, mode, mtime, size, .. } = member;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut entry = json!({
        "name": text(name),
        "type": match kind {
            Kind::File => "file",
            Kind::Folder => "folder",
            Kind::Symlink(_) => "symlink",
            Kind::HardLink(_) => "hardlink",
            Kind::Fifo => "fifo",
            Kind::BlockDevice => "block-device",
            Kind::CharDevice => "char-device",
            Kind::Unknown(_) => "unknown",
        },
        "mode": format!("{mode:04o}"),
        "size": size,
        "mtime": mtime.seconds,
        "mtime_nanoseconds": mtime.nanoseconds,
        "leads_out": member.leads_out(),
    });
    if let Kind::Symlink(target) | Kind::HardLink(target) = kind {
        entry["target"] = text(target).into();
    }
    // What the text cannot show.
    if std::str::from_utf8(name).is_err() {
        entry["name_hex"] = hex(name).into();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_look_as_usual() {
        for (mode, text) in [
            (0o644, "rw-r--r--"),
            (0o4755, "rwsr-xr-x"),
            (0o2640, "rw-r-S---"),
            (0o1777, "rwxrwxrwt"),
            (0o1000, "--------T"),
        ] {
            assert_eq!(permissions(mode), text);
        }
    }

    #[test]
    fn no_time_is_too_strange() {
        let shown = |seconds| time(Time { seconds, nanoseconds: 5 });
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(shown(-1).trim(), "@-1");
        assert_eq!(shown(i64::MAX).trim(), "@9223372036854775807");
        assert_eq!(shown(i64::MIN).trim(), "@-9223372036854775808");
    }
}
