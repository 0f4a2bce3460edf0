//! The output: a file that gets its name last, or a stream; as it is or as the
//! text of an armor.

mod abandoned;
mod armored;
pub(crate) mod attributes;
mod container;
mod durable;
mod naming;
mod object;
mod options;
mod pending;
mod permissions;
mod probe;
mod reread;
mod sink;
mod staging;
mod stream;
mod target;
mod temporary;
mod text;
mod unnamed;
mod write_file;

pub use abandoned::{is_temporary, remove_abandoned};
pub(crate) use durable::{remove_durably, sync_content};
pub(crate) use object::OutputObject;
pub use options::{CommitOptions, LostAttributes};
pub(crate) use pending::PendingFile;
pub(crate) use permissions::Permissions;
pub(crate) use sink::Sink;
pub use staging::StagingFolder;
pub use target::Target;
pub use write_file::{write_private, write_public};
