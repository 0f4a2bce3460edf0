//! Folders: what is in them ([`walk`]), what it is to become ([`plan`]), in what
//! order ([`work_items`]), the folders and links of the copy ([`copy_structure`]), what is right
//! there already ([`compare`]), and what the original does not have any more ([`prune`]).
//!
//! A tree is gone through three times: to count and to find what cannot be, then
//! to work, then to give the folders their times. So nothing is kept in memory
//! but the names of the largest files and of those under way.

mod case_collisions;
mod compare;
mod copy_structure;
mod counts;
mod event;
mod existing;
mod first_file;
mod gitignore;
mod plan;
mod prune;
mod root;
mod scan;
mod walk;
mod work_items;

pub(crate) use counts::Counts;
pub(crate) use event::Event;
pub(crate) use first_file::first_file;
pub(crate) use plan::{Naming, Plan};
pub(crate) use prune::Prune;
pub(crate) use root::{is_name_too_long, lies_in};
pub(crate) use scan::TreeScan;
pub(crate) use walk::{Rules, encrypted_files};
pub(crate) use work_items::WorkItems;
