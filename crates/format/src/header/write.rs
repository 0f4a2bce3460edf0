//! Builds a header: wraps the file key, encodes the stanzas, adds padding and the MAC.

use base64ct::{Base64Unpadded, Encoding};

use super::mac;
use super::offsets::STANZA_MARK;
use crate::stanza::{self, BODY_COLUMNS, Recipient, Stanza, StanzaError, WrapError, Wrapped, tag};
use crate::{FileKey, Format};

/// How a header is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// No padding.
    None,
    /// To a multiple of this many bytes, at least 64, so that recipients can be changed without
    /// moving the payload. Headers of age files get no padding.
    Multiple(usize),
    /// To exactly this many bytes, to replace a header of this length. An age header is padded with
    /// a stanza of a type that readers ignore.
    Exactly(usize),
}

/// Builds a header that wraps `file_key` for every recipient.
///
/// # Errors
/// Those of [`WrappedKey::wrap`] and [`WrappedKey::header`].
pub fn build_header(
    format: Format,
    file_key: &FileKey,
    recipients: &[&dyn Recipient],
    padding: Padding,
) -> Result<Vec<u8>, WrapError> {
    WrappedKey::wrap(format, file_key, recipients)?.header(file_key, padding)
}

/// A file key that is wrapped for every recipient: a header without padding and MAC.
///
/// Wrapping may be slow or ask the user. [`WrappedKey::header`] is fast, so several lengths can be
/// tried.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    format: Format,
    stanzas: Vec<Stanza>,
}

impl WrappedKey {
    /// Wraps `file_key` for every recipient.
    ///
    /// # Errors
    /// If there is no recipient; if a recipient fails; if a passphrase is not the only recipient;
    /// if recipients have different labels.
    pub fn wrap(
        format: Format,
        file_key: &FileKey,
        recipients: &[&dyn Recipient],
    ) -> Result<Self, WrapError> {
        let mut stanzas = Vec::with_capacity(recipients.len());
        let mut common = None;
        for recipient in recipients {
            let Wrapped { stanzas: more, labels } = recipient.wrap(format, file_key)?;
            if *common.get_or_insert_with(|| labels.clone()) != labels {
                return Err(WrapError::Mixed);
            }
            // Plugins return stanzas too. If a stanza could not be parsed again, nobody could
            // decrypt the file.
            for stanza in &more {
                if stanza.is_padding() {
                    return Err(StanzaError::Malformed(tag::PAD).into());
                }
                stanza::check(format, stanza.text())?;
            }
            stanzas.extend(more);
        }
        stanza::check_together(format, stanzas.iter().map(Stanza::text))?;
        if stanzas.is_empty() {
            return Err(WrapError::NoRecipient);
        }
        Ok(Self { format, stanzas })
    }

    /// Encodes the header with padding and the MAC. `file_key` is the key that was wrapped.
    ///
    /// # Errors
    /// [`WrapError::TooLong`] if it exceeds a limit of the format; [`WrapError::NoFit`] if it
    /// cannot have exactly the given length.
    pub fn header(&self, file_key: &FileKey, padding: Padding) -> Result<Vec<u8>, WrapError> {
        let format = self.format;
        let mut header = [format.version_line(), b"\n"].concat();
        for stanza in &self.stanzas {
            encode(stanza, &mut header);
        }
        let len = header.len() + mac::LINE_LEN;
        let pad = match (format, padding) {
            (Format::Native, Padding::Multiple(multiple)) => Some(pad_stanza(len, multiple)),
            (_, Padding::Exactly(wanted)) if wanted != len => {
                let room = wanted.checked_sub(len).ok_or(WrapError::NoFit)?;
                let pad = padding_stanza(pad_tag(format), room).ok_or(WrapError::NoFit)?;
                let all = self.stanzas.iter().chain([&pad]).map(Stanza::text);
                // In an age file nothing may stand beside a passphrase.
                stanza::check_together(format, all).map_err(|_| WrapError::NoFit)?;
                Some(pad)
            }
            _ => None,
        };
        if let Some(pad) = &pad {
            encode(pad, &mut header);
        }
        let stanzas = self.stanzas.len() + usize::from(pad.is_some());
        if header.len() + mac::LINE_LEN > format.max_header_len() || stanzas > format.max_stanzas()
        {
            return Err(WrapError::TooLong);
        }
        header.extend_from_slice(mac::MARK);
        let mac = mac::compute(format, file_key, &header);
        header.push(b' ');
        header.extend_from_slice(Base64Unpadded::encode_string(&mac).as_bytes());
        header.push(b'\n');
        Ok(header)
    }
}

pub(super) fn encode(stanza: &Stanza, out: &mut Vec<u8>) {
    out.extend_from_slice(STANZA_MARK);
    out.extend_from_slice(stanza.as_bytes());
}

/// Bytes of a stanza in a header.
pub(super) fn encoded_len(stanza: &Stanza) -> usize {
    STANZA_MARK.len() + stanza.as_bytes().len()
}

/// The `pad` stanza that extends a header of `len` bytes to a multiple: the next one at which there
/// is room for the stanza.
fn pad_stanza(len: usize, multiple: usize) -> Stanza {
    let shortest = STANZA_MARK.len() + tag::PAD.len() + 2;
    let room = (len + shortest).next_multiple_of(multiple) - len;
    (0..)
        .find_map(|rounds| padding_stanza(tag::PAD, room + rounds * multiple))
        .expect("one of five argument lengths fits, once there is room for it")
}

/// The type of the stanza that pads a header.
fn pad_tag(format: Format) -> &'static str {
    match format {
        Format::Native => tag::PAD,
        Format::Age => tag::AGE_PAD,
    }
}

/// The padding stanza of exactly `room` bytes, if there is one.
///
/// The length of the body alone cannot reach every total: base64 skips one length in four, and a
/// full line is followed by an empty one. An argument of one to four characters fills the gaps.
pub(super) fn padding_stanza(tag: &str, room: usize) -> Option<Stanza> {
    let room = room.checked_sub(STANZA_MARK.len() + tag.len() + 1)?;
    (0..=4).find_map(|argument_len| {
        let space = usize::from(argument_len > 0);
        let body_len = body_len_of(room.checked_sub(space + argument_len)?)?;
        let argument = (argument_len > 0).then(|| "-".repeat(argument_len));
        let args: Vec<_> = std::iter::once(tag).chain(argument.as_deref()).collect();
        Some(Stanza::from_parts(&args, &vec![0; body_len]))
    })
}

/// The number of body bytes that encode to exactly `room` bytes of lines, if there is one.
fn body_len_of(room: usize) -> Option<usize> {
    let full_lines = room.checked_sub(1)? / (BODY_COLUMNS + 1);
    let characters = full_lines * BODY_COLUMNS + (room - 1) % (BODY_COLUMNS + 1);
    let is_reachable = (room - 1) % (BODY_COLUMNS + 1) < BODY_COLUMNS && characters % 4 != 1;
    is_reachable.then_some(characters * 3 / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Header;

    /// A recipient with a stanza of any length.
    struct Bulky(usize);

    impl Recipient for Bulky {
        fn wrap(&self, _: Format, _: &FileKey) -> Result<Wrapped, WrapError> {
            Ok(Stanza::new("bulky", &[&"x".repeat(self.0)], vec![]).unwrap().into())
        }
    }

    fn write(file_key: &FileKey, bulk: usize) -> Vec<u8> {
        build_header(Format::Native, file_key, &[&Bulky(bulk)], Padding::None).unwrap()
    }

    #[test]
    fn padding_reaches_the_multiple_from_every_length() {
        let file_key = FileKey::generate().unwrap();
        for multiple in [64, 219, 512, 4096] {
            for bulk in 1..=2 * multiple {
                let header = build_header(
                    Format::Native,
                    &file_key,
                    &[&Bulky(bulk)],
                    Padding::Multiple(multiple),
                )
                .unwrap();
                assert_eq!(header.len() % multiple, 0, "{bulk} {multiple}");
                let parsed = Header::parse(&header).unwrap().unwrap();
                assert_eq!(parsed.key_stanzas().count(), 1);
                let bare = write(&file_key, bulk).len();
                assert_eq!(parsed.padding_len(), header.len() - bare);
                assert_eq!(parsed.len(), header.len());
                let mut args = parsed.stanzas()[1].args().skip(1);
                assert!(args.all(|arg| (1..=4).contains(&arg.len())));
            }
        }
    }

    #[test]
    fn a_header_gets_exactly_the_length_that_another_had() {
        let file_key = FileKey::generate().unwrap();
        for format in Format::ALL {
            let wrapped = WrappedKey::wrap(format, &file_key, &[&Bulky(9)]).unwrap();
            let shortest = wrapped.header(&file_key, Padding::None).unwrap().len();
            let mut unreached = Vec::new();
            for len in shortest - 2..shortest + 5000 {
                match wrapped.header(&file_key, Padding::Exactly(len)) {
                    Ok(header) => {
                        assert_eq!(header.len(), len);
                        assert_eq!(Header::parse(&header).unwrap().unwrap().len(), len);
                    }
                    Err(WrapError::NoFit) => unreached.push(len - shortest.min(len)),
                    Err(error) => panic!("{error}"),
                }
            }
            // Too short, or too little room for a stanza; then all but one.
            let shortest_pad = STANZA_MARK.len() + pad_tag(format).len() + 2;
            let mut expected = vec![0, 0];
            expected.extend(1..shortest_pad);
            expected.push(shortest_pad + 1);
            assert_eq!(unreached, expected);
        }
    }

    #[test]
    fn nothing_is_put_beside_a_passphrase_of_ages() {
        let stanza = Stanza::new("scrypt", &[&"A".repeat(22), "10"], vec![0; 32]).unwrap();
        let wrapped = WrappedKey { format: Format::Age, stanzas: vec![stanza] };
        let file_key = FileKey::generate().unwrap();
        let shortest = wrapped.header(&file_key, Padding::None).unwrap().len();
        assert!(wrapped.header(&file_key, Padding::Exactly(shortest)).is_ok());
        let longer = wrapped.header(&file_key, Padding::Exactly(shortest + 100));
        assert!(matches!(longer, Err(WrapError::NoFit)));
    }

    /// A recipient with stanzas of its own making, as a plugin is.
    struct Odd(Stanza);

    impl Recipient for Odd {
        fn wrap(&self, _: Format, _: &FileKey) -> Result<Wrapped, WrapError> {
            Ok(self.0.clone().into())
        }
    }

    #[test]
    fn what_would_not_be_read_back_is_not_written() {
        let file_key = FileKey::generate().unwrap();
        for format in Format::ALL {
            for (tag, args, body_len) in [
                ("X25519", &["foo"][..], 0),
                ("X25519", &["foo"], 32),
                ("ssh-rsa", &["zz"], 256),
                ("mlkem768x25519", &["AAAA"], 32),
                ("pad", &[], 10),
            ] {
                let odd = Odd(Stanza::new(tag, args, vec![0; body_len]).unwrap());
                let written = build_header(format, &file_key, &[&odd, &Bulky(1)], Padding::None);
                assert!(matches!(written, Err(WrapError::Stanza(_))), "{format:?} {tag}");
            }
        }
    }

    #[test]
    fn a_header_beyond_the_limits_is_not_written() {
        let file_key = FileKey::generate().unwrap();
        let write = |recipients: &[&dyn Recipient]| {
            build_header(Format::Native, &file_key, recipients, Padding::None)
        };
        let too_long = Bulky(Format::Native.max_header_len());
        assert!(matches!(write(&[&too_long]), Err(WrapError::TooLong)));
        let many = vec![&Bulky(1) as &dyn Recipient; Format::Native.max_stanzas() + 1];
        assert!(matches!(write(&many), Err(WrapError::TooLong)));
        assert!(write(&many[1..]).is_ok());
        assert!(matches!(write(&[]), Err(WrapError::NoRecipient)));
    }
}
