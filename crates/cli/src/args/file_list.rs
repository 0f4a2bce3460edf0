//! Inputs that are named in a file.

use std::path::PathBuf;

use clap::Args;

/// The flags that name the file.
#[derive(Args, Debug, Default)]
pub(crate) struct FileList {
    /// Read more names from FILE, one per line; - for standard input
    #[arg(short = 'T', long, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    /// Names in --files-from end with NUL bytes, as written by `find -print0`
    #[arg(short = '0', long, visible_alias = "from0", requires = "files_from")]
    pub(crate) null: bool,
}
