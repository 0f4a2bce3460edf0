//! Measures how fast this machine encrypts with CryptStream, beside a file copy and other
//! programs, and with how many worker processes it is fastest.
//!
//! [`run`] takes [`Options`] and returns [`Results`], which can be shown as a
//! [table](Results::table) on a terminal, as an HTML [page](Results::page) or as
//! [JSON](Results::json).
//!
//! Measurements are made in rounds: in each one, every configuration is measured once, in
//! changing order, so that a disturbance affects all alike. Every output is compared with its
//! input. Results are medians; a difference that is smaller than the spread of the runs is
//! called inconclusive.
//!
//! # Inside
//!
//! `plan` says what is measured and `workspace` holds the files. `measure` times the engine
//! (`engine_run`) and a file copy, `ceilings` the limits of the machine, `programs` CryptStream
//! as a command beside others. `stats` compares the times. The `results` are shown by `table`,
//! `json` and `page`; `advice` has the sentences that these share.

mod advice;
mod ceilings;
mod chart;
mod engine_run;
mod error;
mod file_copy;
mod json;
mod machine;
mod measure;
mod page;
mod plan;
mod programs;
mod progress;
mod results;
mod run;
mod stats;
mod table;
#[cfg(test)]
mod test_results;
mod units;
mod workspace;

pub use error::Error;
pub use progress::Progress;
pub use results::Results;
pub use run::{Options, run};
pub use table::Glyphs;
