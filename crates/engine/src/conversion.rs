//! A file of a batch that is under way.

use cryptstream_format::Segment;

use crate::decrypt::FileDecryption;
use crate::encrypt::FileEncryption;
use crate::output::Sink;
use crate::{CommitOptions, Error, Source, Summary};

/// A file that is being encrypted or decrypted.
pub(crate) enum Conversion {
    Encrypt(FileEncryption),
    Decrypt(FileDecryption),
}

impl Conversion {
    /// Where the output goes.
    pub(crate) fn sink(&mut self) -> &mut Sink {
        match self {
            Self::Encrypt(encryption) => &mut encryption.sink,
            Self::Decrypt(decryption) => &mut decryption.sink,
        }
    }

    /// Ends it: the output gets its name.
    pub(crate) fn finish(
        self,
        source: &Source,
        last: &Segment,
        commit: CommitOptions,
    ) -> Result<Summary, Error> {
        match self {
            Self::Encrypt(encryption) => encryption.finish(source, last, commit),
            Self::Decrypt(decryption) => decryption.finish(source, last, commit),
        }
    }
}
