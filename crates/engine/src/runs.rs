//! Decrypts runs of chunks at their offsets in a file.

use cryptstream_format::{ChunkCipher, Segment};

use crate::error_context::{ErrorContext, WithErrorContext};
use crate::memory::grow;
use crate::parser_cipher::ParserCipher;
use crate::part_io::CiphertextReader;
use crate::transform::{Operation, PartWriter, transform};
use crate::{Error, Source};

/// The bytes of plaintext that are decrypted at once: 256 KiB.
pub(crate) const RUN_LEN: usize = 256 << 10;

/// Decrypts one run. `buffer` grows to the length of its ciphertext.
pub(crate) fn decrypt_run(
    run: &Segment,
    source: &Source,
    cipher: &ChunkCipher,
    context: &ErrorContext,
    buffer: &mut Vec<u8>,
    writer: &mut impl PartWriter<Error>,
) -> Result<(), Error> {
    let start = context.start;
    grow(buffer, run.sealed_len())?;
    let reader = CiphertextReader { file: source.file(), start, buffer };
    let mut reader = WithErrorContext { reader, context };
    let mut cipher = ParserCipher { operation: Operation::Decrypt, cipher, source, start };
    transform(run, RUN_LEN, &mut reader, &mut cipher, writer)
}
