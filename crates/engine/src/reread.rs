//! The output read again before it gets its name, and before its source goes.
//!
//! Workers write their segments themselves, so that they are done says nothing about
//! what is in the file. Here this process opens every chunk of the encrypted file
//! again, and compares what is in it with the plaintext file: when encrypting, the
//! output with the input, when decrypting, the input with the output. It has written
//! none of the workers' segments itself, and before it begins the workers are gone.
//!
//! The system answers from its memory what has just been written. That the disk keeps
//! it is what `fsync` is for.

use cryptstream_format::{ChunkCipher, Header, Layout, Segment};
use zeroize::Zeroizing;

use crate::decrypt::read_header;
use crate::memory::zeroed;
use crate::workers::Beginning;
use crate::{Error, Source};

/// Opened at once: it stays in the processor's cache.
const PART_LEN: usize = 64 << 10;

/// Why two files do not belong together.
enum Mismatch {
    /// A chunk does not open, the encrypted file is cut or has something behind its end.
    Sealed(u64),
    /// The plaintext file has something else from this byte on.
    Plain(u64),
    /// A file cannot be read.
    Error(Error),
}

impl From<Error> for Mismatch {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Checks an encrypted output against its source.
pub(crate) fn check_sealed(
    output: &mut Source,
    source: &Source,
    header: &[u8],
    prefix: &[u8],
    cipher: &ChunkCipher,
    last: &Segment,
) -> Result<(), Error> {
    let path = output.path().to_owned();
    let differs = || Error::OutputDiffers { path: path.clone(), offset: 0 };
    let expected = match output.parser().begin(&path, header, false)? {
        Beginning::Header(outline) => Header::new(header.to_vec(), &outline),
        _ => None,
    };
    match read_header(output) {
        Ok(written) if Some(&written) == expected.as_ref() => {}
        Err(error @ Error::Read { .. }) => return Err(error),
        _ => return Err(differs()),
    }
    let mut written = vec![0; prefix.len()];
    if output.fill(&mut written)? < prefix.len() || written != prefix {
        return Err(differs());
    }
    compare(output, &mut source.again()?, cipher, last).map_err(|mismatch| match mismatch {
        Mismatch::Sealed(offset) | Mismatch::Plain(offset) => Error::OutputDiffers { path, offset },
        Mismatch::Error(error) => error,
    })
}

/// Checks a decrypted output against its source, whose payload `cipher` opens.
pub(crate) fn check_opened(
    output: &mut Source,
    source: &Source,
    cipher: &ChunkCipher,
    start: u64,
    last: &Segment,
) -> Result<(), Error> {
    let mut sealed = source.again()?;
    let prefix_len = cipher.format().prefix_len();
    if !sealed.go_to(start + prefix_len as u64) || source.is_armored() {
        // Nothing stands at its place in an armor.
        sealed = source.again()?;
        read_header(&mut sealed)?;
        sealed.fill(&mut vec![0; prefix_len])?;
    }
    let path = output.path().to_owned();
    compare(&mut sealed, output, cipher, last).map_err(|mismatch| match mismatch {
        // That the source's chunk does not open means that whoever has written the output
        // has not opened it either.
        Mismatch::Sealed(offset) | Mismatch::Plain(offset) => Error::OutputDiffers { path, offset },
        Mismatch::Error(error) => error,
    })
}

/// Opens all chunks, from where `sealed` stands, and compares them with all of `plain`.
fn compare(
    sealed: &mut Source,
    plain: &mut Source,
    cipher: &ChunkCipher,
    last: &Segment,
) -> Result<(), Mismatch> {
    let len = last.plaintext_offset() + last.plaintext_len() as u64;
    let layout = Layout::of_plaintext(cipher.format(), len)
        .map_err(|_| Error::Internal("a payload of an impossible length"))?;
    let longest = layout.segment(0).map_or(0, |first| first.sealed_len());
    let mut sealed_bytes = zeroed(longest).map_err(Error::from)?;
    let mut plain_bytes = Zeroizing::new(zeroed(longest).map_err(Error::from)?);
    let mut opened = Zeroizing::new(zeroed(PART_LEN).map_err(Error::from)?);
    for segment in layout.segments() {
        let at = segment.plaintext_offset();
        let sealed_bytes = &mut sealed_bytes[..segment.sealed_len()];
        if sealed.fill(sealed_bytes)? < sealed_bytes.len() {
            return Err(Mismatch::Sealed(at));
        }
        let plain_bytes = &mut plain_bytes[..segment.plaintext_len()];
        if plain.fill(plain_bytes)? < plain_bytes.len() {
            return Err(Mismatch::Plain(at));
        }
        let (mut from, mut done) = (0, 0);
        for part in segment.split(PART_LEN) {
            let part_at = part.plaintext_offset();
            let to = &mut opened[..part.plaintext_len()];
            let sealed_part = &sealed_bytes[from..from + part.sealed_len()];
            let (parser, path) = (sealed.parser(), sealed.path());
            if parser.open(path, cipher, &part, sealed_part, to)?.is_some() {
                return Err(Mismatch::Sealed(part_at));
            }
            if *to != plain_bytes[done..done + to.len()] {
                return Err(Mismatch::Plain(part_at));
            }
            from += part.sealed_len();
            done += to.len();
        }
    }
    let mut more = [0];
    if sealed.fill(&mut more)? > 0 {
        return Err(Mismatch::Sealed(len));
    }
    if plain.fill(&mut more)? > 0 { Err(Mismatch::Plain(len)) } else { Ok(()) }
}
