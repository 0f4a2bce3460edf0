//! What the commands can be told that only look.

use std::path::PathBuf;

use clap::Args;

use super::{Listed, Opening, Reading, Workers};

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Files to look at, or folders in which all are meant whose names end in .enc
    /// or .age; - or nothing: standard input, of which only the header
    /// is read
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) listed: Listed,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Files to open, or folders in which all are meant whose names end in .enc or
    /// .age; - or nothing: standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) listed: Listed,
    #[command(flatten)]
    pub(crate) opening: Opening,
    #[command(flatten)]
    pub(crate) workers: Workers,
}
