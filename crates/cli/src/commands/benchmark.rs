//! `benchmark`: measures, and shows the results.

mod steps;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use cryptstream_benchmark::{Glyphs, Options};
use cryptstream_engine::program::write_public;
use cryptstream_engine::{Error, Source, Target};

use super::session::{CommandResult, Session};
use crate::args::Benchmark;
use crate::messages::{self, Context, Failure};
use crate::report::Status;
use crate::{json, report, system};
use steps::Steps;

/// Measures, and shows the results.
pub(super) fn run(args: &Benchmark, session: &Session) -> CommandResult {
    let options = session.options;
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
    if report::wants_json(options) {
        let mut object = results.json();
        object["schema"] = json::SCHEMA.into();
        object["command"] = "benchmark".into();
        object["version"] = env!("CARGO_PKG_VERSION").into();
        object["report"] = args.report.as_deref().map(Path::to_string_lossy).into();
        report::end(object, options, false);
    }
    if !options.json && !options.quiet {
        let text = results.table(Glyphs::of_locale());
        // A closed pipe is not a failure.
        let _ = io::stdout().write_all(text.as_bytes());
        if let Some(report) = &args.report {
            messages::note(&messages::report_written(report));
        }
    }
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
    messages::engine(error, Context::default())
}
