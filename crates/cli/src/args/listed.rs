//! Names of inputs that stand in a file.

use std::path::PathBuf;

use clap::Args;

/// Where more names are.
#[derive(Args, Debug, Default)]
pub(crate) struct Listed {
    /// Read more INPUTs from this file, one a line; - for standard input
    #[arg(short = 'T', long, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    /// The names in --files-from end with NUL bytes, as `find -print0` writes them
    #[arg(short = '0', long, visible_alias = "from0", requires = "files_from")]
    pub(crate) null: bool,
}
