//! `list`: what is in a sealed archive.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use cryptstream_archive::{Kind, Limits, Member, Spool, Time, show};
use cryptstream_engine::{Engine, Progress, Target};
use cryptstream_format::Identity;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::confined::{Reading, both};
use super::extract::input_path;
use super::reader::Task;
use super::report_all;
use crate::args::{List, Talk};
use crate::commands::inputs::{Inputs, Lines, Status};
use crate::keyring::OpeningKeys;
use crate::messages::{self, Context, Failure, archive as words, escaped_json, look};
use crate::progress::Meter;
use crate::report::{self, SCHEMA};
use crate::request::{Input, cores, worker_options};

pub(in crate::commands) fn run(
    args: List,
    key: Option<Zeroizing<Vec<u8>>>,
    talk: Talk,
) -> ExitCode {
    match list(args, key, talk) {
        Ok(status) => status.exit_code(),
        Err(failure) => report_all(&[failure], talk, false),
    }
}

fn list(args: List, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> Result<Status, Failure> {
    let inputs = Inputs::of(args.file.into_iter().collect(), false)?;
    let input = &inputs.iter().next().map_or(Input::Stdin, |seen| seen.input);
    let keys = OpeningKeys::read(&args.opening, key)?;
    let failed = |error| look::engine(error, Context::default());
    let workers = worker_options(&args.workers);
    let mut engine = Engine::new(workers.clone(), cores());
    let parser = engine.parser().map_err(failed)?;
    let mut source = input.open().map_err(failed)?.parsed_by(&parser);
    keys.check(&source, &Target::Stdout { only_text: false })?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities(&report::input_label(input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();

    // Not where the lines of the list come.
    let meter = Meter::new(report::input_label(input), talk);
    let progress: &dyn Progress = match talk.json || !io::stdout().is_terminal() {
        true => &meter,
        false => &(),
    };
    let task = Task { unpack: None, limits: Limits::NONE, sandbox: workers.sandbox };
    let reading = Reading::new(&task, &workers.program);
    let mut listing = Listing::new(talk, input)?;
    let (opened, listed, level) =
        reading.run(None, &mut |member| listing.take(&member), |pipe| {
            engine.decrypt_to_pipe(&mut source, pipe, &identities, progress)
        })?;
    meter.clear();
    let is_armored = source.is_armored();
    let context = Context { has_passphrase, is_stream: false, is_armored };
    let (summary, _) = both(opened, listed).map_err(|trouble| {
        let failure = trouble.into_failure(
            &input_path(input),
            |error| look::engine(error, context),
            |error| words::list(&input_path(input), error),
        );
        words::of_list(failure, !talk.json && !listing.is_first)
    })?;
    let Listing { entries, status, .. } = listing;
    if report::is_for_programs(talk) {
        let mut object = json!({
            "schema": SCHEMA,
            "command": "list",
            "format": report::format_name(summary.format),
            "bytes_in": summary.bytes_in,
            "bytes_out": summary.bytes_out,
            "unpacking_sandbox": words::level(level),
            "entries": null,
        });
        report::is_ending();
        report::put_name(&mut object, "input", input_path(input));
        if let Some(entries) = entries {
            // Nobody may be reading; that is no failure.
            let _ = print_entries(&escaped_json(&object), entries);
        }
        if messages::is_in_events() {
            messages::print_event("end", object);
        }
    }
    Ok(status)
}

/// Puts the entries into the object, in place of `null`. A quote in a string is escaped.
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
    lines: Lines,
    status: Status,
    /// For programs, which are told when all of it is known to be true.
    entries: Option<Spool>,
    is_first: bool,
}

impl<'a> Listing<'a> {
    fn new(talk: Talk, input: &'a Input) -> Result<Self, Failure> {
        let spool = || Spool::new().map_err(|error| words::internal(&error));
        let entries = talk.json.then(spool).transpose()?;
        let (lines, status) = Default::default();
        Ok(Self { input, lines, status, entries, is_first: true })
    }

    fn take(&mut self, member: &Member) -> Result<(), Failure> {
        let is_first = std::mem::take(&mut self.is_first);
        let Some(spool) = &mut self.entries else {
            self.lines.print(&line(member), &mut self.status);
            return Ok(());
        };
        let comma = if is_first { "" } else { "," };
        let entry = format!("{comma}{}", escaped_json(&json(member)));
        match spool.push(entry.as_bytes()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(words::list_too_long(&input_path(self.input))),
            Err(error) => Err(words::internal(&error)),
        }
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

/// As `ls -l` and `tar -tv` show them.
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

/// In UTC; of years that cannot be written so, the number of seconds.
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
        Kind::Symlink(target) => format!(" -> {}", show(target)),
        Kind::HardLink(target) => format!(" link to {}", show(target)),
        _ => String::new(),
    };
    let (letter, permissions) = (letter(kind), permissions(*mode));
    format!("{letter}{permissions} {size:>12} {} {}{link}\n", time(*mtime), show(name))
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
        entry["name_hex"] = report::hex(name).into();
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
