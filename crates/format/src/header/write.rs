//! Writing a header: wrap the file key, encode, pad, sign.

use base64ct::{Base64Unpadded, Encoding};

use super::grammar::{BODY_COLUMNS, STANZA_MARK};
use super::{MAC_LEN, MAC_MARK, MAX_HEADER_LEN, MAX_STANZAS, mac_key};
use crate::stanza::{self, Recipient, Stanza, WrapError};
use crate::{FileKey, Format, crypto};

/// Bytes of the last line: the mark, a space, the MAC in base64, a line feed.
const END_LEN: usize = MAC_MARK.len() + 1 + (MAC_LEN * 4).div_ceil(3) + 1;

/// Whether the header is filled up by a `pad` stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As short as it can be.
    None,
    /// To the next multiple of this many bytes, at least 64, so that the
    /// payload starts there and recipients can be exchanged without moving it.
    Multiple(usize),
}

/// Builds a header that wraps `file_key` for every recipient. age has no
/// padding: its headers get none.
///
/// # Errors
/// When a recipient cannot wrap; when a passphrase is given beside another
/// recipient; when the header would pass 1 MiB or 1,024 stanzas.
pub fn seal_header(
    format: Format,
    file_key: &FileKey,
    recipients: &[&dyn Recipient],
    padding: Padding,
) -> Result<Vec<u8>, WrapError> {
    let mut stanzas = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        stanzas.extend(recipient.wrap(format, file_key)?);
    }
    stanza::check_together(format, &stanzas)?;
    if stanzas.is_empty() {
        return Err(WrapError::NoRecipient);
    }

    let mut header = [format.version_line(), b"\n"].concat();
    for stanza in &stanzas {
        encode(stanza, &mut header);
    }
    if let (Format::Native, Padding::Multiple(multiple)) = (format, padding) {
        let pad = pad_stanza(header.len() + END_LEN, multiple);
        encode(&pad, &mut header);
        stanzas.push(pad);
    }
    if header.len() + END_LEN > MAX_HEADER_LEN || stanzas.len() > MAX_STANZAS {
        return Err(WrapError::TooLong);
    }
    header.extend_from_slice(MAC_MARK);
    let mac = crypto::hmac_sha256(&mac_key(format, file_key), &header);
    header.push(b' ');
    header.extend_from_slice(Base64Unpadded::encode_string(&mac).as_bytes());
    header.push(b'\n');
    Ok(header)
}

fn encode(stanza: &Stanza, out: &mut Vec<u8>) {
    out.extend_from_slice(STANZA_MARK);
    out.extend_from_slice(stanza.args().join(" ").as_bytes());
    out.push(b'\n');
    let body = Base64Unpadded::encode_string(stanza.body());
    for line in body.as_bytes().chunks(BODY_COLUMNS) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    // The last line is always shorter than a full one.
    if body.len() % BODY_COLUMNS == 0 {
        out.push(b'\n');
    }
}

/// The `pad` stanza that makes a header of `len` bytes end at a multiple.
///
/// A body of any length cannot give every total: base64 skips one length in
/// four, and a full line brings an empty one after it. An argument of one to
/// four characters bridges the gaps.
fn pad_stanza(len: usize, multiple: usize) -> Stanza {
    let bare = STANZA_MARK.len() + stanza::PAD.len() + 1;
    let room = (len + bare + 1).next_multiple_of(multiple) - len - bare;
    // Where the room is too small even for an empty body, the multiple after
    // the next is reached.
    let tries = (0..).flat_map(|rounds| (0..=4).map(move |argument_len| (rounds, argument_len)));
    tries
        .map(|(rounds, argument_len)| (room + rounds * multiple, argument_len))
        .find_map(|(room, argument_len)| {
            let space = usize::from(argument_len > 0);
            let body_len = body_len_of(room.checked_sub(space + argument_len)?)?;
            let argument = (argument_len > 0).then(|| "-".repeat(argument_len));
            let args = std::iter::once(stanza::PAD.to_owned()).chain(argument).collect();
            Some(Stanza::from_parts(args, vec![0; body_len]))
        })
        .expect("one of five argument lengths fits, once there is room for it")
}

/// How many bytes encode to exactly `room` bytes of body lines, if any do.
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
        fn wrap(&self, _: Format, _: &FileKey) -> Result<Vec<Stanza>, WrapError> {
            Ok(vec![Stanza::new("bulky", &[&"x".repeat(self.0)], vec![]).unwrap()])
        }
    }

    #[test]
    fn padding_reaches_the_multiple_from_every_length() {
        let file_key = FileKey::generate().unwrap();
        for multiple in [64, 219, 512, 4096] {
            for bulk in 1..=2 * multiple {
                let header = seal_header(
                    Format::Native,
                    &file_key,
                    &[&Bulky(bulk)],
                    Padding::Multiple(multiple),
                )
                .unwrap();
                assert_eq!(header.len() % multiple, 0, "{bulk} {multiple}");
                let parsed = Header::parse(&header).unwrap().unwrap();
                assert_eq!(parsed.len(), header.len());
                assert!(
                    parsed.stanzas()[1].args()[1..].iter().all(|arg| (1..=4).contains(&arg.len()))
                );
            }
        }
    }

    #[test]
    fn a_header_beyond_the_limits_is_not_written() {
        let file_key = FileKey::generate().unwrap();
        let write = |recipients: &[&dyn Recipient]| {
            seal_header(Format::Native, &file_key, recipients, Padding::None)
        };
        assert!(matches!(write(&[&Bulky(MAX_HEADER_LEN)]), Err(WrapError::TooLong)));
        let many = vec![&Bulky(1) as &dyn Recipient; MAX_STANZAS + 1];
        assert!(matches!(write(&many), Err(WrapError::TooLong)));
        assert!(write(&many[1..]).is_ok());
        assert!(matches!(write(&[]), Err(WrapError::NoRecipient)));
    }
}
