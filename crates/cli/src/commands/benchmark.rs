//! `benchmark`: measures, and shows the results.

mod steps;

use std::fs;
use std::path::Path;

use cryptstream_benchmark::Options;
use cryptstream_engine::program::write_public;
use cryptstream_engine::{Error, Source, Target};

use super::session::{CommandResult, Session};
use crate::args::Benchmark;
use crate::messages::{self, Failure, Printed};
use crate::report::{self, Status};
use crate::system;
use crate::verb::Verb;
use steps::Steps;

/// Measures, and shows the results.
pub(super) fn run(args: &Benchmark, session: &Session) -> CommandResult {
    let options = session.options;
    // Before minutes of work.
    if system::is_output_closed() && (options.json || !options.quiet) {
        return Err(messages::closed_output(Printed::Text).into());
    }
    if let Some(report) = &args.report {
        check_report(report, args).map_err(failed)?;
    }
    let program = std::env::current_exe()
        .map_err(|error| messages::internal(&format!("its own program: {error}")))?;
    let steps = Steps::new(options);
    let results = cryptstream_benchmark::run(&Options {
        file: args.file.clone(),
        processes: args.processes,
        runs: args.runs,
        max_size: args.max_size,
        folder: args.folder.clone(),
        program,
        worker_program: system::worker_program(),
        show_path: messages::quoted,
        progress: &steps,
    });
    drop(steps);
    let results = results.map_err(messages::benchmark)?;
    if let Some(report) = &args.report {
        write_public(report, results.page().as_bytes(), args.force).map_err(failed)?;
    }
    report::benchmark::done(&results, args.report.as_deref(), options);
    Ok(Status::default())
}

/// Refuses a report that cannot be written, before minutes of work.
fn check_report(path: &Path, args: &Benchmark) -> Result<(), Error> {
    let target = Target::Path { path: path.to_owned(), force: args.force };
    // It must not replace the file that is measured, if there is one.
    let file = args.file.as_deref().unwrap_or(Path::new("/dev/null"));
    target.check(&Source::open(file)?)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match fs::metadata(folder.unwrap_or(Path::new("."))) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Create { path: path.to_owned(), source }),
    }
}

fn failed(error: Error) -> Failure {
    messages::engine(error, Verb::Benchmark)
}
