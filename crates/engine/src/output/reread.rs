//! Reading an output again.

use crate::{Error, Source};

/// Compares an output, which is read again, with its source.
pub(crate) type Reread<'a> = &'a dyn Fn(&mut Source) -> Result<(), Error>;
