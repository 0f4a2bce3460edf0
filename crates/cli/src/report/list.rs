//! Reports about the content of archives, for `list`.

use std::io::{self, Write};

use cryptstream_archive::{Kind, Member, Spool, Time, display_name};
use cryptstream_engine::{SandboxLevel, Summary};
use serde_json::{Value, json};

use super::{ReportWriter, Status, format_name, input_label, name_file_event, wants_json};
use crate::args::ReportOptions;
use crate::json::{SCHEMA, hex, insert_name};
use crate::messages::{self, Failure, escaped_json};
use crate::request::Input;

/// The report of one archive, or of several.
pub(crate) struct ListReport {
    options: ReportOptions,
    are_several: bool,
    writer: ReportWriter,
    status: Status,
    files: u64,
    failed: u64,
}

/// What is reported of an archive besides its entries.
pub(crate) struct Listed {
    pub(crate) summary: Summary,
    /// The sandbox of the parser process.
    pub(crate) level: Option<SandboxLevel>,
}

impl ListReport {
    pub(crate) fn new(options: ReportOptions, are_several: bool) -> Self {
        let (writer, status) = Default::default();
        Self { options, are_several, writer, status, files: 0, failed: 0 }
    }

    /// Begins the list of one archive.
    pub(crate) fn begin<'a>(&'a mut self, input: &'a Input) -> Result<EntryList<'a>, Failure> {
        let path = input.path_for_messages();
        let spool = || Spool::new().map_err(|error| messages::archive::internal(path, &error));
        let entries = self.options.json.then(spool).transpose()?;
        let has_heading = !self.are_several;
        Ok(EntryList { report: self, input, entries, has_heading, is_first: true })
    }

    /// Whether nobody reads the report any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Reports the totals of several archives.
    pub(crate) fn end(mut self) -> Status {
        if self.are_several && wants_json(self.options) {
            let totals = json!({ "files": self.files, "failed": self.failed });
            self.writer.end(totals, self.options, &mut self.status);
        }
        self.status
    }
}

/// The list of one archive.
pub(crate) struct EntryList<'a> {
    report: &'a mut ListReport,
    input: &'a Input,
    /// For programs, which get the entries after all of the archive is verified.
    entries: Option<Spool>,
    /// Whether the name stands above the entries, as with ls(1) for several archives.
    has_heading: bool,
    is_first: bool,
}

impl EntryList<'_> {
    pub(crate) fn take(&mut self, member: &Member) -> Result<(), Failure> {
        let is_first = std::mem::take(&mut self.is_first);
        let Some(spool) = &mut self.entries else {
            self.print_heading();
            self.report.writer.print(&line(member), &mut self.report.status);
            return Ok(());
        };
        let comma = if is_first { "" } else { "," };
        let entry = format!("{comma}{}", escaped_json(&entry(member)));
        match spool.push(entry.as_bytes()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(messages::archive::list_too_long(self.input.path_for_messages())),
            Err(error) => Err(messages::archive::internal(self.input.path_for_messages(), &error)),
        }
    }

    /// Whether entries were printed.
    pub(crate) fn has_printed(&self) -> bool {
        self.entries.is_none() && !self.is_first
    }

    fn print_heading(&mut self) {
        if !std::mem::replace(&mut self.has_heading, true) {
            let gap = if self.report.files == 0 { "" } else { "\n" };
            let text = format!("{gap}{}:\n", input_label(self.input));
            self.report.writer.print(&text, &mut self.report.status);
        }
    }

    /// Ends the list. The failure of the only archive is returned.
    pub(crate) fn end(mut self, listed: Result<Listed, Failure>) -> Result<(), Failure> {
        if !self.report.are_several {
            self.end_single(&listed?);
            return Ok(());
        }
        if let Err(failure) = &listed {
            self.report.failed += 1;
            self.report.status.fail(failure, self.report.options.json);
        }
        match (self.entries.take(), &listed) {
            (Some(entries), Ok(listed)) => {
                let mut object = listed.object();
                name_file_event(&mut object, "list", self.input);
                // A closed pipe is not a failure.
                let _ = print_entries(&object, entries);
            }
            (Some(_), Err(failure)) => {
                let mut object = json!({});
                name_file_event(&mut object, "list", self.input);
                object["error"] = failure.json();
                self.report.writer.print_object(&object, &mut self.report.status);
            }
            // Also for an empty archive.
            (None, Ok(_)) => self.print_heading(),
            (None, Err(_)) => {}
        }
        self.report.files += 1;
        Ok(())
    }

    fn end_single(self, listed: &Listed) {
        if !wants_json(self.report.options) {
            return;
        }
        let mut object = listed.object();
        messages::mark_ended();
        insert_name(&mut object, "input", self.input.path_for_messages());
        if let Some(entries) = self.entries {
            // A closed pipe is not a failure.
            let _ = print_entries(&object, entries);
        }
        if messages::wants_json_events() {
            messages::print_event("end", object);
        }
    }
}

impl Listed {
    /// For programs; the entries replace `null`.
    fn object(&self) -> Value {
        json!({
            "schema": SCHEMA,
            "command": "list",
            "format": format_name(self.summary.format),
            "bytes_in": self.summary.bytes_in,
            "bytes_out": self.summary.bytes_out,
            "unpacking_sandbox": messages::archive::level(self.level),
            "entries": null,
        })
    }
}

/// Prints the object with the entries in place of `null`. Quotes in strings are escaped, so this
/// finds the field.
fn print_entries(object: &Value, entries: Spool) -> io::Result<()> {
    let object = escaped_json(object);
    let (before, after) = object.split_once("\"entries\":null").unwrap_or((&object, ""));
    let mut stdout = io::stdout().lock();
    write!(stdout, "{before}\"entries\":[")?;
    io::copy(&mut entries.into_reader()?, &mut stdout)?;
    writeln!(stdout, "]{after}")?;
    stdout.flush()
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

fn entry(member: &Member) -> Value {
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
