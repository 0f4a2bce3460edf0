//! Runs a whole benchmark.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use cryptstream_engine::{Error as EngineError, WorkerProgram};

use crate::ceilings::Ceilings;
use crate::engine_run::TestKey;
use crate::error::Error;
use crate::machine::{FileSystem, Machine};
use crate::measure::Harness;
use crate::progress::Progress;
use crate::results::{Results, SizeClass, SkippedSize};
use crate::workspace::Workspace;
use crate::{plan, programs};

/// The default of [`Options::max_size`].
const MAX_SIZE: u64 = 1 << 30;

/// What to measure, and where.
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
    /// CryptStream's program, which is compared with others.
    pub program: PathBuf,
    /// The program that the engine starts as a worker.
    pub worker_program: Option<WorkerProgram>,
    /// How to show a path to the user.
    pub show_path: fn(&Path) -> String,
    /// Receives the progress of the benchmark.
    pub progress: &'a dyn Progress,
}

/// Runs a benchmark. With the default sizes it takes minutes, and 3 GiB of disk.
///
/// # Errors
///
/// Fails if a file cannot be read, written, encrypted or decrypted, if nothing fits on the
/// disk, and if an output differs from its input.
pub fn run(options: &Options<'_>) -> Result<Results, Error> {
    let (started, when) = (Instant::now(), SystemTime::now());
    let machine = Machine::detect();
    let parent = folder(options);
    let file_system = FileSystem::of(&parent)
        .map_err(|source| EngineError::Create { path: parent.clone(), source })?;
    let (size_classes, mut skipped) = size_classes(options, &machine, &parent, &file_system)?;
    let max_processes = options.processes.unwrap_or_else(|| plan::default_processes(machine.cores));
    let processes = plan::process_counts(max_processes);
    let configurations = plan::configurations(&processes);

    let workspace = Workspace::create(&parent)?;
    let total = Harness::steps(options.runs, configurations.len()) * size_classes.len() as u64;
    options.progress.begin(total + programs::MAX_PROGRAMS * (u64::from(options.runs) + 1));
    let key = TestKey::generate()?;
    let commands = programs::ProgramRunner {
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
            let largest = size_classes.last().map_or(0, |size_class| size_class.bytes);
            let input = workspace.make_files(programs::size(largest), 1)?;
            let programs = input.first().map(|input| commands.measure(input));
            input.iter().for_each(|input| drop(fs::remove_file(input)));
            programs.unwrap_or_default()
        }
    };
    let mut harness = Harness {
        key: &key,
        worker_program: options.worker_program.as_ref(),
        cores: machine.cores,
        runs: options.runs,
        configurations: &configurations,
        folder: workspace.folder(),
        progress: options.progress,
        outputs_verified: 0,
    };
    let ceilings = Ceilings::measure(options.runs, machine.cores)?;
    let mut sizes = Vec::new();
    for size_class in size_classes {
        // Other programs may have written to the disk since the plan was made.
        let free = FileSystem::of(&parent).map_or(0, |now| now.free);
        if let Some(shortage) = plan::shortage(size_class, free, u64::MAX) {
            skipped.push(shortage);
            continue;
        }
        options.progress.begin_size(&size_class.label());
        sizes.push(match &options.file {
            // The same file, again and again.
            Some(file) => {
                harness.measure_size(size_class, &vec![file.clone(); size_class.files])?
            }
            None => {
                let inputs = workspace.make_files(size_class.bytes, size_class.files)?;
                let size = harness.measure_size(size_class, &inputs)?;
                inputs.iter().for_each(|input| drop(fs::remove_file(input)));
                size
            }
        });
    }
    if sizes.is_empty()
        && let Some(first) = skipped.first()
    {
        return Err(not_enough_space(&parent, first.needed, first.available));
    }
    let outputs_verified = harness.outputs_verified;
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

/// The sizes to measure, and those that there is no room for.
fn size_classes(
    options: &Options<'_>,
    machine: &Machine,
    parent: &Path,
    file_system: &FileSystem,
) -> Result<(Vec<SizeClass>, Vec<SkippedSize>), Error> {
    // Files in memory take it away from everything else.
    let free = match file_system.is_memory {
        true => file_system.free.min(machine.available_memory),
        false => file_system.free,
    };
    let Some(file) = &options.file else {
        let max_size = options.max_size.unwrap_or(MAX_SIZE);
        let (size_classes, skipped) =
            plan::size_classes_up_to(max_size, free, machine.available_memory);
        return match (size_classes.is_empty(), skipped.first()) {
            (true, Some(first)) => Err(not_enough_space(parent, first.needed, first.available)),
            (true, None) => Err(Error::NothingFits { smallest: plan::smallest() }),
            (false, _) => Ok((size_classes, skipped)),
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
    let size_class = plan::size_class_of_file(metadata.len());
    match plan::needed(size_class) {
        needed if needed > free => Err(not_enough_space(parent, needed, free)),
        _ => Ok((vec![size_class], Vec::new())),
    }
}

/// The folder for the test files: that of the user's file, where a command would write too;
/// else one for large temporary files, which `/tmp` is not on every system.
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

/// An absolute path, which no program takes for an option.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn not_enough_space(folder: &Path, needed: u64, free: u64) -> Error {
    Error::NoRoom { folder: folder.to_owned(), needed, free }
}
