//! `benchmark`: what this machine can do, how much of it CryptStream reaches,
//! and with how many processes.
//!
//! [`plan`] says what is measured and [`workspace`] holds the files.
//! [`mod@measure`] times the engine ([`subject`]) and a file copy, [`ceilings`]
//! what the machine can do at best, [`programs`] CryptStream as a command beside
//! others. [`stats`] compares the times. The [`results`] are shown as a
//! [`mod@table`], as [`mod@json`] or as a [`mod@page`]; [`advice`] has the
//! sentences that these share.

mod advice;
mod ceilings;
mod chart;
mod json;
mod machine;
mod measure;
mod page;
mod plan;
mod programs;
mod results;
#[cfg(test)]
mod sample;
mod stats;
mod steps;
mod subject;
mod table;
mod units;
mod workspace;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use cryptstream_engine::{Error, Source, Target, write_public};

use crate::args::{Benchmark, Talk};
use crate::messages::{self, Context, Failure};
use crate::report;
use ceilings::Ceilings;
use machine::{FileSystem, Machine};
use measure::Measuring;
use results::{Results, Rung, Skipped};
use steps::Steps;
use subject::Key;
use workspace::Workspace;

/// The largest size, unless `--max-size` says otherwise.
const MAX_SIZE: u64 = 1 << 30;

/// Measures, and shows what came out.
pub(crate) fn run(args: &Benchmark, talk: Talk) -> Result<(), Failure> {
    if let Some(report) = &args.report {
        check_report(report, args).map_err(failed)?;
    }
    let results = measure(args, talk)?;
    if let Some(report) = &args.report {
        write_public(report, page::page(&results).as_bytes(), args.force).map_err(failed)?;
    }
    if report::is_for_programs(talk) {
        report::end(json::object(&results, args.report.as_deref()), talk, false);
    }
    if !talk.json && !talk.quiet {
        let text = table::table(&results, table::Glyphs::of_locale());
        // A reader that has gone is no failure.
        let _ = io::stdout().write_all(text.as_bytes());
        if let Some(report) = &args.report {
            messages::note(&messages::report_written(report));
        }
    }
    Ok(())
}

fn measure(args: &Benchmark, talk: Talk) -> Result<Results, Failure> {
    let (started, when) = (Instant::now(), SystemTime::now());
    let machine = Machine::look();
    let parent = folder(args);
    let file_system = FileSystem::of(&parent)
        .map_err(|source| failed(Error::Create { path: parent.clone(), source }))?;
    let (rungs, mut skipped) = rungs(args, &machine, &parent, &file_system)?;
    let most = args.processes.unwrap_or_else(|| plan::default_processes(machine.cores));
    let processes = plan::process_counts(most);
    let contestants = plan::contestants(&processes);

    let workspace = Workspace::create(&parent)?;
    let total = Measuring::steps(args.runs, contestants.len()) * rungs.len() as u64;
    let steps = Steps::new(total + programs::MOST * (u64::from(args.runs) + 1), talk);
    let key = Key::generate()?;
    let commands = programs::Setting {
        workspace: &workspace,
        steps: &steps,
        key: &key,
        runs: args.runs,
        with_age_format: machine.lacks_aes,
    };
    let programs = match &args.file {
        Some(file) => commands.measure(&absolute(file))?,
        None => {
            let largest = rungs.last().map_or(0, |rung| rung.bytes);
            let input = workspace.make_files(programs::size(largest), 1)?;
            let programs = input.first().map(|input| commands.measure(input)).transpose()?;
            input.iter().for_each(|input| drop(fs::remove_file(input)));
            programs.unwrap_or_default()
        }
    };
    let mut measuring = Measuring {
        key: &key,
        cores: machine.cores,
        runs: args.runs,
        contestants: &contestants,
        folder: workspace.folder(),
        steps: &steps,
        outputs_verified: 0,
    };
    let ceilings = Ceilings::measure(args.runs, machine.cores)?;
    let mut sizes = Vec::new();
    for rung in rungs {
        // Others may have written to the disk meanwhile.
        let free = FileSystem::of(&parent).map_or(0, |now| now.free);
        if let Some(shortage) = plan::shortage(rung, free, u64::MAX) {
            skipped.push(shortage);
            continue;
        }
        steps.begin(rung);
        sizes.push(match &args.file {
            // One file, again and again.
            Some(file) => measuring.size(rung, &vec![file.clone(); rung.files])?,
            None => {
                let inputs = workspace.make_files(rung.bytes, rung.files)?;
                let size = measuring.size(rung, &inputs)?;
                inputs.iter().for_each(|input| drop(fs::remove_file(input)));
                size
            }
        });
    }
    if sizes.is_empty()
        && let Some(first) = skipped.first()
    {
        return Err(messages::no_room(&parent, first.needed, first.available));
    }
    let outputs_verified = measuring.outputs_verified;
    Ok(Results {
        machine,
        folder: fs::canonicalize(&parent).unwrap_or(parent),
        file_system: file_system.name,
        file: args.file.clone(),
        when: humantime::format_rfc3339_seconds(when).to_string(),
        took: started.elapsed(),
        runs: args.runs,
        processes,
        ceilings,
        programs,
        sizes,
        skipped,
        outputs_verified,
    })
}

/// What is measured, as far as there is room for it.
fn rungs(
    args: &Benchmark,
    machine: &Machine,
    parent: &Path,
    file_system: &FileSystem,
) -> Result<(Vec<Rung>, Vec<Skipped>), Failure> {
    // What lies in memory takes it away from everything else.
    let free = match file_system.is_memory {
        true => file_system.free.min(machine.available_memory),
        false => file_system.free,
    };
    let Some(file) = &args.file else {
        let max_size = args.max_size.unwrap_or(MAX_SIZE);
        let (rungs, skipped) = plan::ladder(max_size, free, machine.available_memory);
        return match (rungs.is_empty(), skipped.first()) {
            (true, Some(first)) => Err(messages::no_room(parent, first.needed, first.available)),
            (true, None) => Err(messages::nothing_fits(plan::smallest())),
            (false, _) => Ok((rungs, skipped)),
        };
    };
    let opened = |source| failed(Error::Open { path: file.clone(), source });
    let metadata = fs::metadata(file).map_err(opened)?;
    if !metadata.is_file() {
        return Err(messages::not_measurable(file, "is not a plain file"));
    }
    if metadata.len() == 0 {
        return Err(messages::not_measurable(file, "is empty, so there is nothing to measure"));
    }
    let rung = plan::rung_of_file(metadata.len());
    match plan::needed(rung) {
        needed if needed > free => Err(messages::no_room(parent, needed, free)),
        _ => Ok((vec![rung], Vec::new())),
    }
}

/// Where the files go: beside the user's, since that is where a command would
/// put them; else where large temporary files go, which /tmp is not everywhere.
fn folder(args: &Benchmark) -> PathBuf {
    let beside = args.file.as_deref().and_then(Path::parent).map(|parent| {
        if parent.as_os_str().is_empty() { Path::new(".") } else { parent }.to_owned()
    });
    let for_temporary = || match std::env::var_os("TMPDIR") {
        None if Path::new("/var/tmp").is_dir() => PathBuf::from("/var/tmp"),
        _ => std::env::temp_dir(),
    };
    args.folder.clone().or(beside).unwrap_or_else(for_temporary)
}

/// A path that no program takes for an option, as `-x` would be.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Looks whether something is in the report's way: before minutes of work.
fn check_report(path: &Path, args: &Benchmark) -> Result<(), Error> {
    let target = Target::Path { path: path.to_owned(), force: args.force };
    // It must not replace the file that is measured; on the ladder there is none.
    let file = args.file.as_deref().unwrap_or(Path::new("/dev/null"));
    target.check(&Source::open(file)?)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match fs::metadata(folder.unwrap_or(Path::new("."))) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Create { path: path.to_owned(), source }),
    }
}

fn failed(error: Error) -> Failure {
    messages::engine(error, Context::default())
}
