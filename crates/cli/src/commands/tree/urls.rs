//! Which inputs and outputs may be in a store.

use std::path::{Path, PathBuf};

use cryptstream_remote::{ObjectUrl, may_share_bucket};

use crate::args::is_dash;
use crate::messages::{self, Failure};
use crate::objects;
use crate::tree::{Plan, Store};

/// What a command line names.
pub(super) struct UrlUse<'a> {
    pub(super) input: Option<&'a Path>,
    pub(super) output: Option<&'a Path>,
    pub(super) more: &'a [PathBuf],
    pub(super) output_dir: Option<&'a Path>,
    /// Whether `--gitignore` was given, which needs folders to read.
    pub(super) gitignore: bool,
}

/// The prefix that is the only input; `None` if all inputs are local.
pub(super) fn input_prefix(names: &UrlUse<'_>) -> Result<Option<ObjectUrl>, Failure> {
    let UrlUse { input, output, more, output_dir, gitignore } = names;
    let more = more.iter().map(PathBuf::as_path);
    let is_url = |name: &&Path| objects::url(name).is_some();
    let is_web =
        |name: &&Path| objects::url(name).is_some_and(|url| url.is_ok_and(|it| it.is_web()));
    let outputs = output.filter(|_| output_dir.is_none()).into_iter().chain(*output_dir);
    if let Some(url) = outputs.into_iter().find(is_web) {
        return Err(messages::objects::read_only(url));
    }
    let output = output.filter(|_| output_dir.is_some());
    let inputs: Vec<_> = input.iter().copied().chain(output).chain(more).collect();
    let Some(first) = inputs.iter().find(|name| is_url(name)) else { return Ok(None) };
    if *gitignore {
        return Err(messages::objects::flag_needs_files(first, "--gitignore"));
    }
    match objects::url(first) {
        Some(Err(error)) => Err(messages::objects::bad_url(first, &error)),
        Some(Ok(url)) if url.is_prefix() && inputs.len() == 1 && output_dir.is_none() => {
            match names.output.is_some_and(|output| is_dash(output.as_os_str())) {
                true => Err(messages::objects::is_prefix(first)),
                false => Ok(Some(url)),
            }
        }
        _ => Err(messages::objects::no_folders(first)),
    }
}

/// Refuses `--delete` where a store has the original.
pub(super) fn check_delete(plan: &Plan) -> Result<(), Failure> {
    match &plan.store {
        Some(Store::From { input, .. }) => {
            Err(messages::objects::flag_needs_files(&objects::shown(input), "--delete"))
        }
        Some(Store::To) | None => Ok(()),
    }
}

/// Refuses a prefix that contains the input, or lies in it: outputs would become inputs.
pub(super) fn check_overlap(input: &ObjectUrl, output: &Path) -> Result<(), Failure> {
    let Some(url) = objects::url(output) else { return Ok(()) };
    let url = url.map_err(|error| messages::objects::bad_url(output, &error))?.to_prefix();
    let lies_in = |one: &ObjectUrl, other: &ObjectUrl| one.key().starts_with(other.key());
    if may_share_bucket(input, &url) && (lies_in(input, &url) || lies_in(&url, input)) {
        return Err(messages::objects::overlap(output));
    }
    Ok(())
}
