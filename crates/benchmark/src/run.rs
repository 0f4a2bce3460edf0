//! The order of a benchmark.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use cryptstream_engine::{Error as EngineError, WorkerProgram};

use super::ceilings::Ceilings;
use super::error::Error;
use super::machine::{FileSystem, Machine};
use super::measure::Measuring;
use super::progress::Progress;
use super::results::{Results, Rung, Skipped};
use super::subject::Key;
use super::workspace::Workspace;
use super::{plan, programs, units};

/// The largest size, unless `--max-size` says otherwise.
const MAX_SIZE: u64 = 1 << 30;

/// What is measured, and where.
pub struct Options<'a> {
    /// Measure with this file, which is only read, instead of files of several sizes.
    pub file: Option<PathBuf>,
    /// Most worker processes to measure with; `None`: one for each core, at least 2, at most 8.
    pub processes: Option<u16>,
    /// How often everything is measured. With fewer than 3 runs nothing is concluded.
    pub runs: u16,
    /// The largest size to measure, in bytes; `None`: 1 GiB.
    pub max_size: Option<u64>,
    /// Where the test files are made; `None`: in the file's folder, else in `TMPDIR` or
    /// `/var/tmp`. They are removed at the end.
    pub folder: Option<PathBuf>,
    /// CryptStream's program, which is measured beside others.
    pub program: PathBuf,
    /// The program that the engine starts as a worker.
    pub worker_program: Option<WorkerProgram>,
    /// Paths in the results are shown as this returns them.
    pub show_path: fn(&Path) -> String,
    /// Is told how far the benchmark has come.
    pub progress: &'a dyn Progress,
}

/// Measures. It takes minutes, and as much room as three copies of the largest size.
///
/// # Errors
///
/// [`Error`] says of what.
pub fn run(options: &Options<'_>) -> Result<Results, Error> {
    let (started, when) = (Instant::now(), SystemTime::now());
    let machine = Machine::look();
    let parent = folder(options);
    let file_system = FileSystem::of(&parent)
        .map_err(|source| EngineError::Create { path: parent.clone(), source })?;
    let (rungs, mut skipped) = rungs(options, &machine, &parent, &file_system)?;
    let most = options.processes.unwrap_or_else(|| plan::default_processes(machine.cores));
    let processes = plan::process_counts(most);
    let contestants = plan::contestants(&processes);

    let workspace = Workspace::create(&parent)?;
    let total = Measuring::steps(options.runs, contestants.len()) * rungs.len() as u64;
    options.progress.begin(total + programs::MOST * (u64::from(options.runs) + 1));
    let key = Key::generate()?;
    let commands = programs::Setting {
        workspace: &workspace,
        progress: options.progress,
        key: &key,
        program: &options.program,
        runs: options.runs,
        with_age_format: machine.lacks_aes,
    };
    let programs = match &options.file {
        Some(file) => commands.measure(&absolute(file)),
        None => {
            let largest = rungs.last().map_or(0, |rung| rung.bytes);
            let input = workspace.make_files(programs::size(largest), 1)?;
            let programs = input.first().map(|input| commands.measure(input));
            input.iter().for_each(|input| drop(fs::remove_file(input)));
            programs.unwrap_or_default()
        }
    };
    let mut measuring = Measuring {
        key: &key,
        worker_program: options.worker_program.as_ref(),
        cores: machine.cores,
        runs: options.runs,
        contestants: &contestants,
        folder: workspace.folder(),
        progress: options.progress,
        outputs_verified: 0,
    };
    let ceilings = Ceilings::measure(options.runs, machine.cores)?;
    let mut sizes = Vec::new();
    for rung in rungs {
        // Others may have written to the disk meanwhile.
        let free = FileSystem::of(&parent).map_or(0, |now| now.free);
        if let Some(shortage) = plan::shortage(rung, free, u64::MAX) {
            skipped.push(shortage);
            continue;
        }
        options.progress.begin_size(&units::rung(rung));
        sizes.push(match &options.file {
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
        return Err(no_room(&parent, first.needed, first.available));
    }
    let outputs_verified = measuring.outputs_verified;
    let folder = fs::canonicalize(&parent).unwrap_or(parent);
    Ok(Results {
        machine,
        folder_name: (options.show_path)(&folder),
        folder,
        file_system: file_system.name,
        file_name: options.file.as_deref().map(options.show_path),
        file: options.file.clone(),
        when: humantime::format_rfc3339_seconds(when).to_string(),
        took: started.elapsed(),
        runs: options.runs,
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
    options: &Options<'_>,
    machine: &Machine,
    parent: &Path,
    file_system: &FileSystem,
) -> Result<(Vec<Rung>, Vec<Skipped>), Error> {
    // What lies in memory takes it away from everything else.
    let free = match file_system.is_memory {
        true => file_system.free.min(machine.available_memory),
        false => file_system.free,
    };
    let Some(file) = &options.file else {
        let max_size = options.max_size.unwrap_or(MAX_SIZE);
        let (rungs, skipped) = plan::ladder(max_size, free, machine.available_memory);
        return match (rungs.is_empty(), skipped.first()) {
            (true, Some(first)) => Err(no_room(parent, first.needed, first.available)),
            (true, None) => Err(Error::NothingFits { smallest: plan::smallest() }),
            (false, _) => Ok((rungs, skipped)),
        };
    };
    let opened = |source| EngineError::Open { path: file.clone(), source };
    let metadata = fs::metadata(file).map_err(opened)?;
    if !metadata.is_file() {
        return Err(Error::NotAPlainFile(file.clone()));
    }
    if metadata.len() == 0 {
        return Err(Error::Empty(file.clone()));
    }
    let rung = plan::rung_of_file(metadata.len());
    match plan::needed(rung) {
        needed if needed > free => Err(no_room(parent, needed, free)),
        _ => Ok((vec![rung], Vec::new())),
    }
}

/// Where the files go: beside the user's, since that is where a command would
/// put them; else where large temporary files go, which /tmp is not everywhere.
fn folder(options: &Options<'_>) -> PathBuf {
    let beside = options.file.as_deref().and_then(Path::parent).map(|parent| {
        if parent.as_os_str().is_empty() { Path::new(".") } else { parent }.to_owned()
    });
    let for_temporary = || match std::env::var_os("TMPDIR") {
        None if Path::new("/var/tmp").is_dir() => PathBuf::from("/var/tmp"),
        _ => std::env::temp_dir(),
    };
    options.folder.clone().or(beside).unwrap_or_else(for_temporary)
}

/// A path that no program takes for an option, as `-x` would be.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn no_room(folder: &Path, needed: u64, free: u64) -> Error {
    Error::NoRoom { folder: folder.to_owned(), needed, free }
}
