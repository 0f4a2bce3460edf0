//! The input: a regular file that is read at offsets, or a stream that is
//! read in order. An armored file is a stream too, of what is in the armor.

mod armor;
mod object;
mod pipe;
mod read;
mod removal;
mod source;
mod state;

pub(crate) use object::InputObject;
pub(crate) use pipe::PIPE_SIZE;
pub use pipe::PipeWriter;
pub use removal::{is_leftover, leftover_of};
pub use source::Source;
