//! Messages about benchmarks that fail.

use std::path::Path;

use cryptstream_benchmark::Error;

use super::{Failure, code, engine, internal, quoted};
use crate::verb::Verb;

/// Errors of the benchmark.
pub(crate) fn benchmark(error: Error) -> Failure {
    let message = error.to_string();
    match error {
        Error::Engine(error) => engine(error, Verb::Benchmark),
        Error::NoRoom { folder, .. } => {
            let help = "make room, or name another folder with --folder";
            Failure::new(code::IO, "no-room", message, help).about(&folder)
        }
        Error::NothingFits { .. } => {
            let message = format!("--max-size: {message}");
            Failure::new(code::USAGE, "usage", message, "choose a larger size")
        }
        Error::NotAPlainFile(path) | Error::Empty(path) => {
            let help = "name a regular file that is not empty";
            Failure::new(code::NO_INPUT, "input", message, help).about(&path)
        }
        Error::OutputDiffers { input, .. } => Failure::new(
            code::INTERNAL,
            "output-differs",
            message,
            "this is a bug in cryptstream, or this machine makes mistakes; please report it with \
             this line",
        )
        .about(&input),
        _ => internal(&message),
    }
}

pub(crate) fn report_written(path: &Path) -> String {
    format!("Report: {}", quoted(path))
}
