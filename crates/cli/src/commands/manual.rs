//! `man`: generates the manual from the definitions of the command line.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use cryptstream_engine::program::write_public;
use roff::{Inline, Roff, bold, roman};
use rustix::fs::OFlags;

use super::session::CommandResult;
use crate::args::{Cli, Manual};
use crate::messages::{self, Failure, Printed};
use crate::report::Status;
use crate::verb::Verb;

/// The manual section of commands.
const SECTION: &str = "1";

pub(super) fn run(args: &Manual) -> CommandResult {
    let mut main = Cli::command().disable_help_subcommand(true);
    // Propagates global flags to each command.
    main.build();
    let names: Vec<String> = commands(&main).into_iter().map(name_of).collect();
    let Some(folder) = &args.folder else {
        messages::print_output(&page(&main, &names)?, Printed::Text)?;
        return Ok(Status::default());
    };
    fs::create_dir_all(folder).map_err(|error| messages::tree::folder_failed(folder, &error))?;
    for command in commands(&main) {
        let path = folder.join(format!("{}.{SECTION}", name_of(command)));
        write(&path, &page(command, &names)?, args.force)?;
    }
    Ok(Status::default())
}

/// The program, each of its commands, and each of theirs.
fn commands(main: &clap::Command) -> Vec<&clap::Command> {
    let below = main.get_subcommands().filter(|command| !command.is_hide_set());
    std::iter::once(main).chain(below.flat_map(commands)).collect()
}

fn name_of(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// Writes a page, unless it exists and is the same.
fn write(path: &Path, page: &[u8], force: bool) -> Result<(), Failure> {
    // Another user may have put a pipe there, which opening would wait for.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let mut there = Vec::new();
    let is_read = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .and_then(|file| file.take(page.len() as u64 + 1).read_to_end(&mut there));
    if is_read.is_ok() && there == page {
        return Ok(());
    }
    write_public(path, page, force).map_err(|error| messages::engine(error, Verb::Man))
}

fn page(command: &clap::Command, names: &[String]) -> Result<Vec<u8>, Failure> {
    render(command, names).map_err(|error| messages::internal(&error.to_string()))
}

fn render(command: &clap::Command, names: &[String]) -> io::Result<Vec<u8>> {
    let name = name_of(command);
    let man = Man::new(command.clone()).section(SECTION);
    // Written by hand, since clap_mangen drops an empty date and shifts the other fields. A date
    // would make builds differ.
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    let head = format!(
        ".TH {title} {SECTION} \"\" \"cryptstream {version}\" \"{}\"\n",
        messages::manual::TITLE
    );
    let mut page = head.into_bytes();
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    let mut rest = Roff::new();
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    sections(&mut rest, &help);
    see_also(&mut rest, names.iter().filter(|other| **other != name));
    rest.to_writer(&mut page)?;
    Ok(ascii(&String::from_utf8_lossy(&page)).into_bytes())
}

/// The usage as in `--help`. The options have their own section.
fn synopsis(command: &clap::Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let mut roff = Roff::new();
    roff.control("SH", [messages::manual::SYNOPSIS]);
    roff.text([bold(usage.strip_prefix("Usage: ").unwrap_or(&usage))]);
    roff
}

/// Replaces other characters by their names, which every troff knows in any locale.
fn ascii(page: &str) -> String {
    page.chars().fold(String::new(), |mut ascii, letter| {
        match letter.is_ascii() {
            true => ascii.push(letter),
            false => ascii += &format!("\\[u{:04X}]", u32::from(letter)),
        }
        ascii
    })
}

/// Renders the text of `--help` below the flags, see [`crate::args::help`].
fn sections(roff: &mut Roff, text: &str) {
    let mut is_table = false;
    // Whether text may follow without a new paragraph.
    let mut is_open = false;
    let mut is_noted = false;
    for line in text.lines() {
        let content = line.trim_start();
        let is_row = line.len() - content.len() >= 4;
        if is_row != is_table {
            roff.control(if is_row { "RS" } else { "fi" }, if is_row { vec!["4"] } else { vec![] });
            roff.control(if is_row { "nf" } else { "RE" }, []);
            is_table = is_row;
        }
        match line.strip_suffix(':') {
            Some(heading) if !line.starts_with(' ') => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
                is_open = true;
                is_noted = false;
                continue;
            }
            _ => {}
        }
        if content.is_empty() {
            is_open = false;
        } else if is_row {
            roff.text([roman(content)]);
            is_open = false;
        } else {
            if !line.starts_with(' ') && !is_noted {
                roff.control("SH", [messages::manual::NOTES]);
                is_noted = true;
            } else if !is_open {
                roff.control("PP", []);
            }
            is_open = true;
            roff.text([roman(content)]);
        }
    }
    if is_table {
        roff.control("fi", []);
        roff.control("RE", []);
    }
}

fn see_also<'a>(roff: &mut Roff, names: impl Iterator<Item = &'a String>) {
    roff.control("SH", [messages::manual::SEE_ALSO]);
    let mut line: Vec<Inline> = Vec::new();
    for name in names {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.push(bold(name));
        line.push(roman(format!("({SECTION})")));
    }
    roff.text(line);
}
