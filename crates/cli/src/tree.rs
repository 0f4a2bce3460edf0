//! Folders: what is in them ([`walk`]), what it is to become ([`plan`]), in what
//! order ([`supply`]), the folders and links of the copy ([`mirror`]), what is right
//! there already ([`compare`]), and what the original does not have any more ([`prune`]).
//!
//! A tree is gone through three times: to count and to find what cannot be, then
//! to work, then to give the folders their times. So nothing is kept in memory
//! but the names of the largest files and of those under way.

mod compare;
mod counts;
mod event;
mod existing;
mod gitignore;
mod mirror;
mod plan;
mod prune;
mod root;
mod supply;
mod survey;
mod trial;
mod twins;
mod walk;

pub(crate) use counts::Counts;
pub(crate) use event::Event;
pub(crate) use plan::{Naming, Plan};
pub(crate) use prune::Prune;
pub(crate) use root::{is_name_too_long, lies_in};
pub(crate) use supply::Supply;
pub(crate) use survey::Survey;
pub(crate) use trial::first_file;
pub(crate) use walk::{Rules, encrypted_files};
