//! The process that parses untrusted input. It is sandboxed before the first byte. It parses
//! headers, decodes armor, and decrypts chunks. Main sends one request at a time over the control
//! socket. Bytes pass through shared memory: the input from main comes first, and the output to
//! main starts at [`INPUT_LEN`].

use std::io;
use std::os::fd::OwnedFd;

use cryptstream_format::armor::{self, Decoder};
use cryptstream_format::payload::MAX_SEALED_SEGMENT_LEN;
use cryptstream_format::{
    ArmorError, ChunkCipher, ChunkError, Format, HeaderError, HeaderOffsets, Segment,
};
use cryptstream_shm::{Channel, Message, Region};
use zeroize::Zeroizing;

use super::protocol::Fields;
use super::sandbox::{self, Profile, SandboxLevel, SandboxMode};
use crate::memory::{grow, zeroed};

/// Distinguishes this process from a worker and from other versions.
const VERSION: &[u8; 24] = b"cryptstream parser 0.1.0";

/// Bytes for the longest header that is read.
pub(super) const INPUT_LEN: usize = Format::Age.max_header_len();
/// Bytes for a segment or for the table of any header.
pub(super) const OUTPUT_LEN: usize = MAX_SEALED_SEGMENT_LEN;

const _: () = assert!(OUTPUT_LEN > 9 + 8 * Format::Age.max_stanzas());

/// What the process must know before it enters the sandbox. The descriptor of the memory is
/// attached.
pub(super) struct Start {
    /// The process id that its parent must still have.
    pub(super) parent: u32,
    pub(super) sandbox: SandboxMode,
}

impl Start {
    pub(super) fn encode(&self) -> Vec<u8> {
        [VERSION.as_slice(), &self.parent.to_le_bytes(), &[self.sandbox as u8]].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Fields(bytes.strip_prefix(VERSION)?);
        let parent = u32::from_le_bytes(rest.take()?);
        let sandbox = SandboxMode::from_byte(rest.take::<1>()?[0])?;
        rest.0.is_empty().then_some(Self { parent, sandbox })
    }
}

/// The sandbox level that the process reports.
pub(super) fn level_of(ready: &Message) -> Option<SandboxLevel> {
    match ready.bytes.strip_prefix(VERSION)? {
        [level] => SandboxLevel::from_byte(*level),
        _ => None,
    }
}

/// A request from main.
pub(super) enum Request<'a> {
    /// Recognize the first bytes of a file.
    Begin { len: usize, may_be_armor: bool },
    /// Decrypt a run of chunks.
    Open { cipher: &'a ChunkCipher, part: Segment },
    /// Prepare for an armored text.
    ArmorBegin,
    /// Decode more of it.
    ArmorText { len: usize },
    /// Check its end.
    ArmorEnd,
    /// Compute the length of an armor's content from the beginning and the end of its text.
    ContentLen { size: u64, head: usize, tail: usize },
}

impl Request<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(80);
        let number = |bytes: &mut Vec<u8>, number: u64| {
            bytes.extend_from_slice(&number.to_le_bytes());
        };
        match self {
            Self::Begin { len, may_be_armor } => {
                bytes.extend_from_slice(&[0, u8::from(*may_be_armor)]);
                number(&mut bytes, *len as u64);
            }
            Self::Open { cipher, part } => {
                let is_age = part.format() == Format::Age;
                bytes.extend_from_slice(&[1, u8::from(is_age), u8::from(part.is_last())]);
                number(&mut bytes, part.first_chunk());
                number(&mut bytes, part.plaintext_len() as u64);
                bytes.extend_from_slice(cipher.expose_secret());
            }
            Self::ArmorBegin => bytes.push(2),
            Self::ArmorText { len } => {
                bytes.push(3);
                number(&mut bytes, *len as u64);
            }
            Self::ArmorEnd => bytes.push(4),
            Self::ContentLen { size, head, tail } => {
                bytes.push(5);
                for value in [*size, *head as u64, *tail as u64] {
                    number(&mut bytes, value);
                }
            }
        }
        bytes
    }
}

/// An answer of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Incomplete,
    Armor,
    /// This many bytes were written to the output.
    Bytes {
        len: usize,
    },
    Header(HeaderError),
    ArmorError(ArmorError),
    Done,
    Damaged(u64),
    Length(Option<u64>),
}

impl Answer {
    fn encode(&self) -> Vec<u8> {
        let with = |code: u8, number: u64| [&[code][..], &number.to_le_bytes()].concat();
        match self {
            Self::Incomplete => vec![0],
            Self::Armor => vec![1],
            Self::Bytes { len } => with(2, *len as u64),
            Self::Header(error) => [&[3][..], &error.encode()].concat(),
            Self::ArmorError(error) => [&[4][..], &error.encode()].concat(),
            Self::Done => vec![5],
            Self::Damaged(chunk) => with(6, *chunk),
            Self::Length(Some(len)) => with(7, *len),
            Self::Length(None) => vec![8],
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (code, rest) = bytes.split_first()?;
        let number = || rest.try_into().ok().map(u64::from_le_bytes);
        match code {
            0 => Some(Self::Incomplete),
            1 => Some(Self::Armor),
            2 => Some(Self::Bytes { len: usize::try_from(number()?).ok()? }),
            3 => HeaderError::decode(rest).map(Self::Header),
            4 => ArmorError::decode(rest).map(Self::ArmorError),
            5 => Some(Self::Done),
            6 => number().map(Self::Damaged),
            7 => Some(Self::Length(Some(number()?))),
            8 => Some(Self::Length(None)),
            _ => None,
        }
    }
}

/// Whether the first message of a process is for a parser process.
pub(super) fn is_start(message: &Message) -> bool {
    message.bytes.starts_with(VERSION)
}

/// Runs the process until it is killed or main is gone.
pub(super) fn serve(channel: &Channel, message: Message) -> io::Result<()> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let start = Start::decode(&message.bytes).ok_or_else(malformed)?;
    let [memory] = <[OwnedFd; 1]>::try_from(message.fds).map_err(|_| malformed())?;
    if std::os::unix::process::parent_id() != start.parent {
        return Ok(());
    }
    let region = Region::attach(memory)?;
    if !region.contains(0, INPUT_LEN + OUTPUT_LEN) {
        return Err(malformed());
    }
    let level = sandbox::restrict_process(start.sandbox, Profile::Worker);
    channel.send(&[VERSION.as_slice(), &[level as u8]].concat(), &[])?;
    if start.sandbox == SandboxMode::Require && level != SandboxLevel::Full {
        return Ok(());
    }
    cryptstream_protection::confined();
    let mut state = State { region, input: Vec::new(), output: Vec::new(), armor: None };
    while let Some(message) = channel.receive()? {
        let request = Zeroizing::new(message.bytes);
        let answer = state.answer(&request)?.ok_or_else(malformed)?;
        channel.send(&answer.encode(), &[])?;
    }
    Ok(())
}

/// What the process keeps from one request to the next.
struct State {
    region: Region,
    input: Vec<u8>,
    output: Vec<u8>,
    armor: Option<Decoder>,
}

impl State {
    /// The answer to a request; `None` if the request is invalid.
    fn answer(&mut self, request: &[u8]) -> io::Result<Option<Answer>> {
        let mut rest = Fields(request);
        let Some([code]) = rest.take() else { return Ok(None) };
        match code {
            0 => self.begin(&mut rest),
            1 => self.open(&mut rest),
            2 => {
                self.armor = Some(Decoder::new());
                Ok(Some(Answer::Done))
            }
            3 => self.armor_text(&mut rest),
            4 => Ok(self.armor.take().map(|decoder| match decoder.finish() {
                Ok(()) => Answer::Done,
                Err(error) => Answer::ArmorError(error),
            })),
            5 => self.content_len(&mut rest),
            _ => Ok(None),
        }
    }

    fn begin(&mut self, rest: &mut Fields<'_>) -> io::Result<Option<Answer>> {
        let (Some([may_be_armor]), Some(len)) = (rest.take(), length(rest, INPUT_LEN)) else {
            return Ok(None);
        };
        self.load(0, len)?;
        if may_be_armor != 0 && armor::is_armored(&self.input[..len]) {
            return Ok(Some(Answer::Armor));
        }
        let parsed = HeaderOffsets::parse(&self.input[..len]);
        // The memory of a 16 MiB header is not kept for small ones.
        self.input.truncate(MAX_SEALED_SEGMENT_LEN);
        self.input.shrink_to(MAX_SEALED_SEGMENT_LEN);
        Ok(Some(match parsed {
            Ok(None) => Answer::Incomplete,
            Ok(Some(offsets)) => {
                let table = offsets.encode();
                self.region.copy_in(INPUT_LEN, &table);
                Answer::Bytes { len: table.len() }
            }
            Err(error) => Answer::Header(error),
        }))
    }

    fn open(&mut self, rest: &mut Fields<'_>) -> io::Result<Option<Answer>> {
        let parsed = (|| {
            let [is_age, is_last] = rest.take()?;
            let format = if is_age == 0 { Format::Native } else { Format::Age };
            let first = u64::from_le_bytes(rest.take()?);
            let len = length(rest, OUTPUT_LEN)?;
            let part = Segment::of_chunks(format, first, len, is_last != 0)?;
            let secret = Zeroizing::new(rest.take()?);
            Some((ChunkCipher::from_secret(format, secret), part))
        })();
        let Some((cipher, part)) = parsed else { return Ok(None) };
        let (sealed_len, len) = (part.sealed_len(), part.plaintext_len());
        self.load(0, sealed_len)?;
        grow(&mut self.output, len)?;
        let opened = cipher.open(&part, &self.input[..sealed_len], &mut self.output[..len]);
        Ok(match opened {
            Ok(()) => {
                self.region.copy_in(INPUT_LEN, &self.output[..len]);
                Some(Answer::Done)
            }
            Err(ChunkError::Damaged { chunk, .. }) => Some(Answer::Damaged(chunk)),
            Err(ChunkError::BufferLength { .. }) => None,
        })
    }

    fn armor_text(&mut self, rest: &mut Fields<'_>) -> io::Result<Option<Answer>> {
        let Some(len) = length(rest, OUTPUT_LEN) else { return Ok(None) };
        self.load(0, len)?;
        let Some(decoder) = &mut self.armor else { return Ok(None) };
        let mut bytes = Vec::new();
        if let Err(error) = decoder.decode(&self.input[..len], &mut bytes) {
            return Ok(Some(Answer::ArmorError(error)));
        }
        if bytes.len() > OUTPUT_LEN {
            return Ok(None);
        }
        self.region.copy_in(INPUT_LEN, &bytes);
        Ok(Some(Answer::Bytes { len: bytes.len() }))
    }

    fn content_len(&mut self, rest: &mut Fields<'_>) -> io::Result<Option<Answer>> {
        let Some(size) = rest.take().map(u64::from_le_bytes) else { return Ok(None) };
        let (Some(head), Some(tail)) = (length(rest, OUTPUT_LEN), length(rest, OUTPUT_LEN)) else {
            return Ok(None);
        };
        self.load(0, head + tail)?;
        let (head, tail) = self.input[..head + tail].split_at(head);
        Ok(Some(Answer::Length(armor::content_len(size, head, tail))))
    }

    /// Copies `len` bytes out of the memory, which main can change at any time.
    fn load(&mut self, offset: usize, len: usize) -> io::Result<()> {
        if self.input.is_empty() {
            self.input = zeroed(len)?;
        }
        grow(&mut self.input, len)?;
        self.region.copy_out(offset, &mut self.input[..len]);
        Ok(())
    }
}

/// A length of at most `most`.
fn length(rest: &mut Fields<'_>, most: usize) -> Option<usize> {
    let len = usize::try_from(u64::from_le_bytes(rest.take()?)).ok()?;
    (len <= most).then_some(len)
}

#[cfg(test)]
mod tests {
    use cryptstream_format::armor::ArmorErrorKind;
    use cryptstream_format::header::HeaderErrorKind;
    use cryptstream_format::stanza::StanzaError;

    use super::*;

    #[test]
    fn answers_survive_their_bytes() {
        let header = |kind| Answer::Header(HeaderError { offset: 1 << 20, kind });
        for answer in [
            Answer::Incomplete,
            Answer::Armor,
            Answer::Bytes { len: 77 },
            header(HeaderErrorKind::Version),
            header(HeaderErrorKind::TooManyStanzas(1024)),
            header(HeaderErrorKind::TooLong(16 << 20)),
            header(HeaderErrorKind::Stanza(StanzaError::NotAlone)),
            header(HeaderErrorKind::Stanza(StanzaError::Malformed("scrypt"))),
            Answer::ArmorError(ArmorError { offset: 1 << 40, kind: ArmorErrorKind::Whitespace }),
            Answer::Done,
            Answer::Damaged(1 << 37),
            Answer::Length(Some(5)),
            Answer::Length(None),
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        assert_eq!(Answer::decode(&[99]), None);
        assert_eq!(Answer::decode(&[2, 0]), None);
    }
}
