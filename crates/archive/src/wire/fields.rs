//! Encodes and decodes the fields of an event.

use std::io;

use crate::error::{Error, LimitExceeded, Refusal, ZstdFailure};
use crate::member::{Kind, Member};
use crate::time::Time;
use crate::unpack::Differences;

/// The longest error text, in characters.
const MAX_TEXT: usize = 200;

#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn time(&mut self, time: Time) -> &mut Self {
        self.number(time.seconds as u64).number(time.nanoseconds.into())
    }

    pub(super) fn member(&mut self, member: &Member) -> &mut Self {
        let Member { name, kind, mode, mtime, size, .. } = member;
        self.bytes(name).number((*mode).into()).time(*mtime).number(*size);
        match kind {
            Kind::File => self.byte(0),
            Kind::Folder => self.byte(1),
            Kind::Symlink(target) => self.byte(2).bytes(target),
            Kind::HardLink(target) => self.byte(3).bytes(target),
            Kind::Fifo => self.byte(4),
            Kind::BlockDevice => self.byte(5),
            Kind::CharDevice => self.byte(6),
            Kind::Unknown(letter) => self.byte(7).byte(*letter),
        }
    }

    pub(super) fn error(&mut self, error: &Error) -> &mut Self {
        match error {
            Error::Read(source) => self.byte(0).io(source),
            Error::Decompress { reason, source } => {
                let code = ZSTD_FAILURES.iter().position(|failure| failure == reason);
                self.byte(1).byte(code.unwrap_or_default() as u8).io(source)
            }
            Error::NotTar { head } => self.byte(2).bytes(head),
            Error::Malformed { member, offset, reason } => {
                self.byte(3).bytes(member).number(*offset).bytes(reason.as_bytes())
            }
            Error::Refused { member, reason } => {
                let code = REFUSALS.iter().position(|refusal| refusal == reason);
                self.byte(4).bytes(member).byte(code.unwrap_or_default() as u8)
            }
            Error::LimitExceeded { member, reason } => {
                let (code, limit) = match *reason {
                    LimitExceeded::Entries(limit) => (0, limit),
                    LimitExceeded::Bytes(limit) => (1, limit),
                    LimitExceeded::Folders(limit) => (2, limit),
                    LimitExceeded::Ratio(limit) => (3, limit),
                    LimitExceeded::Growth(limit) => (4, limit),
                };
                self.byte(5).bytes(member).byte(code).number(limit)
            }
            Error::Write { member, source } => self.byte(6).bytes(member).io(source),
            Error::Report(source) => self.byte(7).io(source),
            Error::TrailingData { offset } => self.byte(8).number(*offset),
        }
    }

    pub(super) fn differences(&mut self, differences: &Differences) -> &mut Self {
        let Differences { special, special_names, absolute, replaced, unset } = differences;
        self.number(*special).number(*absolute).number(*replaced).number(*unset);
        self.number(special_names.len() as u64);
        for name in special_names {
            self.bytes(name);
        }
        self
    }

    /// The error number of the system, or the text of another error.
    fn io(&mut self, error: &io::Error) -> &mut Self {
        match error.raw_os_error().and_then(|number| u64::try_from(number).ok()) {
            Some(number) => self.number(number),
            None => self.number(0).bytes(error.to_string().as_bytes()),
        }
    }
}

/// All failures of zstd, in the order of their codes.
const ZSTD_FAILURES: [ZstdFailure; 4] = [
    ZstdFailure::Other,
    ZstdFailure::WindowTooLarge,
    ZstdFailure::Dictionary,
    ZstdFailure::OutOfMemory,
];

/// All refusals, in the order of their codes.
const REFUSALS: [Refusal; 13] = [
    Refusal::ParentComponent,
    Refusal::Nul,
    Refusal::NoName,
    Refusal::TooDeep,
    Refusal::NotAFolder,
    Refusal::DuplicateName,
    Refusal::LinkLeavesFolder,
    Refusal::MissingLinkTarget,
    Refusal::LinkTargetNotFile,
    Refusal::UnknownType,
    Refusal::NameTooLong,
    Refusal::MultiVolume,
    Refusal::Concatenated,
];

pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    pub(super) fn time(&mut self) -> Option<Time> {
        let seconds = self.number()? as i64;
        let nanoseconds = u32::try_from(self.number()?).ok()?;
        (nanoseconds < 1_000_000_000).then_some(Time { seconds, nanoseconds })
    }

    pub(super) fn member(&mut self) -> Option<Member> {
        let name = self.bytes()?;
        let mode = u32::try_from(self.number()?).ok()? & 0o7777;
        let (mtime, size) = (self.time()?, self.number()?);
        let kind = match self.byte()? {
            0 => Kind::File,
            1 => Kind::Folder,
            2 => Kind::Symlink(self.bytes()?),
            3 => Kind::HardLink(self.bytes()?),
            4 => Kind::Fifo,
            5 => Kind::BlockDevice,
            6 => Kind::CharDevice,
            7 => Kind::Unknown(self.byte()?),
            _ => return None,
        };
        Some(Member { name, kind, mode, mtime, size, extents: Vec::new() })
    }

    pub(super) fn error(&mut self) -> Option<Error> {
        Some(match self.byte()? {
            0 => Error::Read(self.io()?),
            1 => Error::Decompress {
                reason: *ZSTD_FAILURES.get(usize::from(self.byte()?))?,
                source: self.io()?,
            },
            2 => Error::NotTar { head: self.bytes()? },
            3 => Error::Malformed {
                member: self.bytes()?,
                offset: self.number()?,
                reason: self.text()?.into(),
            },
            4 => Error::Refused {
                member: self.bytes()?,
                reason: *REFUSALS.get(usize::from(self.byte()?))?,
            },
            5 => {
                let (member, code, limit) = (self.bytes()?, self.byte()?, self.number()?);
                let reason = match code {
                    0 => LimitExceeded::Entries(limit),
                    1 => LimitExceeded::Bytes(limit),
                    2 => LimitExceeded::Folders(limit),
                    3 => LimitExceeded::Ratio(limit),
                    4 => LimitExceeded::Growth(limit),
                    _ => return None,
                };
                Error::LimitExceeded { member, reason }
            }
            6 => Error::Write { member: self.bytes()?, source: self.io()? },
            7 => Error::Report(self.io()?),
            8 => Error::TrailingData { offset: self.number()? },
            _ => return None,
        })
    }

    pub(super) fn differences(&mut self) -> Option<Differences> {
        let (special, absolute, replaced) = (self.number()?, self.number()?, self.number()?);
        let unset = self.number()?;
        let mut special_names = Vec::new();
        for _ in 0..self.number()? {
            special_names.push(self.bytes()?);
        }
        Some(Differences { special, special_names, absolute, replaced, unset })
    }

    fn io(&mut self) -> Option<io::Error> {
        Some(match i32::try_from(self.number()?).ok()? {
            0 => io::Error::other(self.text()?),
            number => io::Error::from_raw_os_error(number),
        })
    }

    /// A text without control characters.
    fn text(&mut self) -> Option<String> {
        let bytes = self.bytes()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect())
    }
}
