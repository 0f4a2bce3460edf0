//! `list`: what is in a sealed archive.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use cryptstream_archive::{Contents, Kind, Limits, Member, Time, show};
use cryptstream_engine::{Engine, Progress, Target};
use cryptstream_format::Identity;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Either, beside, both, input_path, report_all};
use crate::args::{List, Talk};
use crate::commands::inputs::{self, Lines, Status};
use crate::keyring::OpeningKeys;
use crate::messages::{Context, Failure, archive as words, look};
use crate::progress::Meter;
use crate::report::{self, SCHEMA, print_json};
use crate::request::{cores, worker_options};

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
    let inputs = inputs::inputs(args.file.into_iter().collect())?;
    let input = &inputs[0];
    let keys = OpeningKeys::read(&args.opening, key)?;
    let failed = |error| look::engine(error, Context::default());
    let mut source = input.open().map_err(failed)?;
    keys.check(&source, &Target::Stdout { only_text: false })?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities()?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();

    // Not where the lines of the list come.
    let meter = Meter::new(report::input_label(input), talk);
    let progress: &dyn Progress = match talk.json || !io::stdout().is_terminal() {
        true => &meter,
        false => &(),
    };
    let work = |pipe: File| {
        let mut listing = Listing::default();
        let mut contents = Contents::new(pipe, Limits::NONE)?;
        while let Some(member) = contents.next()? {
            listing.take(&member, talk);
        }
        Ok(listing)
    };
    let mut engine = Engine::new(worker_options(&args.workers), cores());
    let (opened, listed) =
        beside(work, |pipe| engine.decrypt_to_pipe(&mut source, pipe, &identities, progress))?;
    meter.clear();
    let is_armored = source.is_armored();
    let context = Context { has_passphrase, is_stream: false, is_armored };
    let (summary, listing) = both(opened, listed).map_err(|error| match error {
        Either::Engine(error) => words::of_list(look::engine(error, context)),
        Either::Archive(error) => words::of_list(words::list(&input_path(input), error)),
    })?;
    if talk.json {
        print_json(
            &json!({
                "schema": SCHEMA,
                "command": "list",
                "input": report::input_name(input),
                "format": report::format_name(summary.format),
                "bytes_in": summary.bytes_in,
                "bytes_out": summary.bytes_out,
                "entries": listing.entries,
            }),
            false,
        );
    }
    Ok(listing.status)
}

#[derive(Default)]
struct Listing {
    lines: Lines,
    status: Status,
    /// For programs, which are told when all of it is known to be true.
    entries: Vec<Value>,
}

impl Listing {
    fn take(&mut self, member: &Member, talk: Talk) {
        if talk.json {
            self.entries.push(json(member));
        } else {
            self.lines.print(&line(member), &mut self.status);
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
        entry["name_hex"] =
            name.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
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
