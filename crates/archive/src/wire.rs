//! The reports of a sandboxed process that reads an archive to the process that started it.
//!
//! An event is its length (4 bytes, little-endian), its type (1 byte) and its fields: numbers are
//! little-endian, byte strings follow their length. The receiver does not trust the sender:
//! lengths are limited, and control characters are removed from texts.

mod fields;

use std::io::{self, Read, Write};

use crate::error::Error;
use crate::member::Member;
use crate::time::Time;
use crate::unpack::Unpacked;
use fields::{Fields, Writer};

/// The longest event in bytes. A member with a name and a target of 1 MiB each fits.
const MAX_LEN: usize = 4 << 20;

/// A report, or a request for an operation on a path.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The process has started, with a sandbox of this level.
    Ready(u8),
    /// A member, while an archive is listed.
    Member(Member),
    /// Asks to set the time of a symbolic link.
    LinkTime {
        /// The path, relative to the folder.
        path: Vec<u8>,
        /// The time.
        time: Time,
    },
    /// Asks to remove the file at this path, relative to the folder. The answer is one byte, 1 if
    /// it was removed.
    Remove(Vec<u8>),
    /// Asks for one byte once all requests before this one are done.
    Wait,
    /// The archive was unpacked or listed, with these totals; and whether it was compressed.
    Done(Unpacked, bool),
    /// The archive could not be unpacked or listed.
    Failed(Error),
}

/// Writes an event.
///
/// # Errors
/// The errors of `to`; `InvalidData` if the event is too long.
pub fn write_event(to: &mut impl Write, event: &Event) -> io::Result<()> {
    let mut writer = Writer::default();
    match event {
        Event::Ready(level) => writer.byte(0).byte(*level),
        Event::Member(member) => writer.byte(1).member(member),
        Event::LinkTime { path, time } => writer.byte(2).bytes(path).time(*time),
        Event::Wait => writer.byte(3),
        Event::Done(unpacked, is_zstd) => {
            writer.byte(4).number(unpacked.entries).number(unpacked.bytes);
            match unpacked.folder {
                Some((mode, time)) => writer.byte(1).number(mode.into()).time(time),
                None => writer.byte(0),
            };
            writer.differences(&unpacked.differences).byte(u8::from(*is_zstd))
        }
        Event::Failed(error) => writer.byte(5).error(error),
        Event::Remove(path) => writer.byte(6).bytes(path),
    };
    let bytes = writer.into_bytes();
    if bytes.len() > MAX_LEN {
        return Err(io::ErrorKind::InvalidData.into());
    }
    to.write_all(&(bytes.len() as u32).to_le_bytes())?;
    to.write_all(&bytes)
}

/// Reads the next event; `None` at the end of the stream.
///
/// # Errors
/// The errors of `from`; `InvalidData` if the bytes are not an event.
pub fn read_event(from: &mut impl Read) -> io::Result<Option<Event>> {
    let mut len = [0; 4];
    loop {
        match from.read(&mut len) {
            Ok(0) => return Ok(None),
            Ok(read) => break from.read_exact(&mut len[read..])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_LEN {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    let mut fields = Fields(&bytes);
    let event = decode(&mut fields).filter(|_| fields.0.is_empty());
    event.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn decode(fields: &mut Fields<'_>) -> Option<Event> {
    Some(match fields.byte()? {
        0 => Event::Ready(fields.byte()?),
        1 => Event::Member(fields.member()?),
        2 => Event::LinkTime { path: fields.bytes()?, time: fields.time()? },
        3 => Event::Wait,
        4 => {
            let (entries, bytes) = (fields.number()?, fields.number()?);
            let folder = match fields.byte()? {
                0 => None,
                _ => Some((u32::try_from(fields.number()?).ok()?, fields.time()?)),
            };
            let differences = fields.differences()?;
            Event::Done(Unpacked { entries, bytes, folder, differences }, fields.byte()? != 0)
        }
        5 => Event::Failed(fields.error()?),
        6 => Event::Remove(fields.bytes()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{LimitExceeded, Refusal, ZstdFailure};
    use crate::member::Kind;
    use crate::unpack::Differences;

    fn again(event: &Event) -> Event {
        let mut bytes = Vec::new();
        write_event(&mut bytes, event).unwrap();
        let read = read_event(&mut &bytes[..]).unwrap().unwrap();
        for cut in 1..bytes.len() {
            assert!(read_event(&mut &bytes[..cut]).is_err(), "{cut}");
        }
        read
    }

    #[test]
    fn events_come_back() {
        let time = Time { seconds: -5, nanoseconds: 7 };
        let kinds = [
            Kind::File,
            Kind::Folder,
            Kind::Symlink(b"to".to_vec()),
            Kind::HardLink(b"to".to_vec()),
            Kind::Fifo,
            Kind::BlockDevice,
            Kind::CharDevice,
            Kind::Unknown(b'x'),
        ];
        let members = kinds.into_iter().map(|kind| {
            let (name, extents) = (b"a\n/\xff".to_vec(), Vec::new());
            Event::Member(Member { name, kind, mode: 0o4755, mtime: time, size: 1 << 40, extents })
        });
        let member = || b"m".to_vec();
        let os = || io::Error::from_raw_os_error(28);
        let errors = [
            Error::Read(os()),
            Error::Decompress { reason: ZstdFailure::Dictionary, source: io::Error::other("bad") },
            Error::NotTar { head: vec![1, 2] },
            Error::Malformed { member: member(), offset: 7, reason: "why".into() },
            Error::Refused { member: member(), reason: Refusal::LinkLeavesFolder },
            Error::LimitExceeded { member: member(), reason: LimitExceeded::Growth(9) },
            Error::Write { member: member(), source: os() },
            Error::Report(os()),
            Error::TrailingData { offset: 9 },
        ];
        let special_names = vec![b"a".to_vec(), b"\xff".to_vec()];
        let differences =
            Differences { special: 5, special_names, absolute: 6, replaced: 7, unset: 8 };
        let folder = Some((0o700, time));
        let unpacked = Unpacked { entries: 1, bytes: 2, folder, differences };
        let others = [
            Event::Ready(2),
            Event::LinkTime { path: member(), time },
            Event::Wait,
            Event::Remove(member()),
            Event::Done(unpacked, true),
            Event::Done(Unpacked::default(), false),
        ];
        for event in members.chain(errors.into_iter().map(Event::Failed)).chain(others) {
            assert_eq!(format!("{event:?}"), format!("{:?}", again(&event)));
        }
    }

    #[test]
    fn errors_keep_their_kind_and_cannot_control_a_terminal() {
        let full = Event::Failed(Error::Write {
            member: Vec::new(),
            source: io::Error::from_raw_os_error(28),
        });
        let Event::Failed(Error::Write { source, .. }) = again(&full) else { panic!() };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        let (member, reason) = (b"\x1b[2J".to_vec(), "\x1b[31mred\n".into());
        let evil = Event::Failed(Error::Malformed { member, offset: 0, reason });
        let Event::Failed(error) = again(&evil) else { panic!() };
        assert!(!error.to_string().contains(char::is_control), "{error}");
        let evil = Event::Failed(Error::Decompress {
            reason: ZstdFailure::Other,
            source: io::Error::other("\x1b[31m".repeat(9999)),
        });
        let Event::Failed(error) = again(&evil) else { panic!() };
        assert!(!error.to_string().contains(char::is_control), "{error}");
        assert!(error.to_string().len() < 1000);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        assert!(read_event(&mut &[][..]).unwrap().is_none());
        for bytes in
            [&b"\x01\0\0\0\x09"[..], b"\xff\xff\xff\xff", b"\x02\0\0\0\x03\x03", b"\0\0\0\0"]
        {
            assert!(read_event(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }
}
