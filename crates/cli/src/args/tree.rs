//! What can be said about folders.

use std::path::PathBuf;

use clap::Args;

/// Which of the files in folders, and what becomes of what is there already.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Folders")]
pub(crate) struct Tree {
    /// Write into this folder, each INPUT under its own name; any number of INPUTs
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Only files that match this glob, such as '*.jpg'; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Not what matches this glob, such as 'cache/'; repeatable, and stronger
    /// than --include
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Exclude patterns from this file (.gitignore syntax); repeatable
    #[arg(long, visible_alias = "exclude-from", value_name = "FILE")]
    pub(crate) ignore_file: Vec<PathBuf>,
    /// Not what .gitignore files in the folders name
    #[arg(long)]
    pub(crate) gitignore: bool,
    /// Replace outputs that differ from their inputs in time or length, also newer ones;
    /// decrypt refuses those, which may have been changed since
    #[arg(long)]
    pub(crate) newer: bool,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Go on with the others when a file fails, which is the default
    #[arg(long, overrides_with = "fail_fast")]
    pub(crate) keep_going: bool,
    /// Stop at the first file that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

impl Tree {
    /// Whether anything was said that makes sense for folders only.
    pub(crate) fn is_given(&self) -> bool {
        let Self {
            output_dir,
            include,
            exclude,
            ignore_file,
            gitignore,
            newer,
            dry_run,
            keep_going,
            fail_fast,
        } = self;
        output_dir.is_some()
            || !(include.is_empty() && exclude.is_empty() && ignore_file.is_empty())
            || *gitignore
            || *newer
            || *dry_run
            || *keep_going
            || *fail_fast
    }
}
