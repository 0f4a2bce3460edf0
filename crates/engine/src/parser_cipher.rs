//! What main does to parts: it encrypts them itself, and has them decrypted by the parser of
//! the input, which may be a process in a sandbox.

use cryptstream_format::{ChunkCipher, Segment};

use crate::error_context::damaged;
use crate::transform::{Operation, PartCipher};
use crate::{Error, Source};

/// Encrypts or decrypts parts of `source`.
pub(crate) struct ParserCipher<'a> {
    pub(crate) operation: Operation,
    pub(crate) cipher: &'a ChunkCipher,
    pub(crate) source: &'a Source,
    /// Where the payload begins in the encrypted file.
    pub(crate) start: u64,
}

impl PartCipher<Error> for ParserCipher<'_> {
    fn apply(&mut self, part: &Segment, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        if self.operation == Operation::Encrypt {
            let sealed = self.cipher.seal(part, input, output);
            return sealed.map_err(|_| Error::Internal("a buffer of the wrong length"));
        }
        let (parser, path) = (self.source.parser(), self.source.path());
        match parser.open(path, self.cipher, part, input, output)? {
            Some(chunk) => Err(damaged(path, self.start, part, chunk)),
            None => Ok(()),
        }
    }
}
