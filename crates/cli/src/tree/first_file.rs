//! A file to try the keys on.

use std::path::PathBuf;

use cryptstream_engine::{BatchItem, Destination, Origin};
use rustix::fs::{FileType, Stat};

use super::objects::first_object;
use super::plan::{Action, Plan, Store};
use super::walk::{entry, join, len};

/// The first file that could be decrypted, whether or not its output exists.
pub(crate) fn first_file(plan: &Plan) -> Option<BatchItem> {
    if let Some(store @ Store::From { .. }) = &plan.store {
        return first_object(plan, store);
    }
    let mut files = plan.roots.iter().flat_map(|root| {
        let tree = root.folder.as_ref().and_then(|it| plan.rules.walk(it, &root.input).ok());
        let is_file = FileType::from_raw_mode(root.stat.st_mode) == FileType::RegularFile;
        let named = is_file.then(|| item(root.input.clone(), Origin::Path, &root.stat));
        let found = tree.into_iter().flatten().filter_map(|found| {
            let found = found.ok().filter(|found| matches!(plan.action(found), Action::File(_)))?;
            let (path, stat) = (join(&root.input, &found.relative), found.stat);
            Some(item(path, Origin::Entry(entry(found)), &stat))
        });
        named.into_iter().chain(found)
    });
    files.next()
}

fn item(input: PathBuf, origin: Origin, stat: &Stat) -> BatchItem {
    let (output, len) = (Destination::Nowhere, len(stat.st_size));
    BatchItem { input, origin, len, output, guard: None }
}
