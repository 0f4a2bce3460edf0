//! Folders: [`walk`] finds what is in them, [`plan`] decides what it becomes, [`steps`] is what
//! is to be done, in order. [`work_items`] applies the steps: it hands files to the engine, and
//! creates folders and links ([`copy_structure`]). [`compare`] recognizes what is up to date, and
//! [`prune`] removes what the original no longer has. [`objects`] takes the place of [`work_items`]
//! where one side or both are in a store.
//!
//! A tree is walked twice: to count and to find errors, and to do the work. `--delete` walks the
//! copy as well. So only the names of the largest files and of those in progress are kept in
//! memory.

mod case_collisions;
mod compare;
mod complete;
mod copy_structure;
mod event;
mod existing;
mod first_file;
mod gitignore;
mod items;
mod named_folders;
mod objects;
mod plan;
mod planned;
mod prune;
mod root;
mod scan;
mod shard;
mod steps;
mod walk;
mod work_items;

pub(crate) use compare::is_up_to_date;
pub(crate) use complete::{Completion, prepare_target};
pub(crate) use event::Event;
pub(crate) use first_file::first_file;
pub(crate) use items::{Items, prune};
pub(crate) use objects::{encrypted_objects, max_in_flight};
pub(crate) use plan::{Naming, Plan, Store, is_temporary};
pub(crate) use planned::{Planned, PlannedItems};
pub(crate) use root::{check_outside, is_name_too_long};
pub(crate) use scan::TreeScan;
pub(crate) use shard::{CurrentObject, Shard, ShardObject, ShardObjects};
pub(crate) use walk::{Rules, encrypted_files};
