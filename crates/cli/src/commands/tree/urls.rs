//! Which inputs and outputs may be in a store.

use std::path::{Path, PathBuf};

use cryptstream_remote::ObjectUrl;

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
    /// Flags that need local files, and whether they were given.
    pub(super) flags: [(bool, &'static str); 3],
}

/// The prefix that is the only input; `None` if all inputs are local.
pub(super) fn input_prefix(names: &UrlUse<'_>) -> Result<Option<ObjectUrl>, Failure> {
    let UrlUse { input, output, more, output_dir, flags } = names;
    let more = more.iter().map(PathBuf::as_path);
    let is_url = |name: &&Path| objects::url(name).is_some();
    let all = input.iter().chain(output).copied().chain(more.clone()).chain(*output_dir);
    let Some(url) = all.clone().find(is_url) else { return Ok(None) };
    if let Some((_, flag)) = flags.iter().find(|(is_given, _)| *is_given) {
        return Err(messages::objects::flag_needs_files(url, flag));
    }
    let is_web =
        |name: &&Path| objects::url(name).is_some_and(|url| url.is_ok_and(|it| it.is_web()));
    let outputs = output.filter(|_| output_dir.is_none()).into_iter().chain(*output_dir);
    if let Some(url) = outputs.into_iter().find(is_web) {
        return Err(messages::objects::read_only(url));
    }
    let output = output.filter(|_| output_dir.is_some());
    let inputs: Vec<_> = input.iter().copied().chain(output).chain(more).collect();
    let Some(first) = inputs.iter().find(|name| is_url(name)) else { return Ok(None) };
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

/// Refuses `--delete` where a store has the original, or decides together with the copy what is
/// excluded.
pub(super) fn check_delete(plan: &Plan, gitignore: bool, output: &Path) -> Result<(), Failure> {
    match plan.store {
        None => Ok(()),
        Some(Store::To) if !gitignore => Ok(()),
        Some(Store::To) => Err(messages::objects::flag_needs_files(output, "--gitignore --delete")),
        Some(Store::From { .. }) => Err(messages::objects::flag_needs_files(output, "--delete")),
    }
}

/// Refuses a prefix that contains the input, or lies in it: outputs would become inputs.
pub(super) fn check_overlap(input: &ObjectUrl, output: &Path) -> Result<(), Failure> {
    let Some(url) = objects::url(output) else { return Ok(()) };
    let url = url.map_err(|error| messages::objects::bad_url(output, &error))?.to_prefix();
    let is_same_bucket = (input.scheme(), input.bucket()) == (url.scheme(), url.bucket());
    let lies_in = |one: &ObjectUrl, other: &ObjectUrl| one.key().starts_with(other.key());
    if is_same_bucket && (lies_in(input, &url) || lies_in(&url, input)) {
        return Err(messages::objects::overlap(output));
    }
    Ok(())
}
