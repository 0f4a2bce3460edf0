//! The flags about folders.

use std::path::PathBuf;

use clap::Args;

/// Which files in folders to process, and what happens to existing outputs.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Folders")]
pub(crate) struct Tree {
    /// Write into DIR, each INPUT under its own name; allows any number of INPUTs
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Process only files that match GLOB, such as '*.jpg'; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Skip what matches GLOB, such as 'cache/'; repeatable, and wins over --include
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Exclude patterns from FILE (.gitignore syntax); repeatable
    #[arg(long, visible_alias = "exclude-from", value_name = "FILE")]
    pub(crate) ignore_file: Vec<PathBuf>,
    /// Respect .gitignore files in the folders
    #[arg(long)]
    pub(crate) gitignore: bool,
    /// Replace outputs that differ from their input in time or length, even if they are newer.
    /// decrypt does not replace newer outputs, since they may hold later changes
    #[arg(long)]
    pub(crate) newer: bool,
    /// Show what would be done, without doing it
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Continue with the other files after a failure (the default)
    #[arg(long, overrides_with = "fail_fast")]
    pub(crate) keep_going: bool,
    /// Stop at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

impl Tree {
    /// Whether --dry-run was given, and no other flag that makes sense for folders only.
    pub(crate) fn is_dry_run_only(&self) -> bool {
        self.dry_run && !self.is_given_but_dry_run()
    }

    /// Whether any flag was given that makes sense for folders only.
    pub(crate) fn is_given(&self) -> bool {
        self.dry_run || self.is_given_but_dry_run()
    }

    fn is_given_but_dry_run(&self) -> bool {
        let Self {
            output_dir,
            include,
            exclude,
            ignore_file,
            gitignore,
            newer,
            dry_run: _,
            keep_going,
            fail_fast,
        } = self;
        output_dir.is_some()
            || !(include.is_empty() && exclude.is_empty() && ignore_file.is_empty())
            || *gitignore
            || *newer
            || *keep_going
            || *fail_fast
    }
}
