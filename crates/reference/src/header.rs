//! The header: version line, stanzas, MAC.

use crate::primitives::{base64_decode, base64_encode, hkdf_sha256, hmac_sha256, refuse};
use crate::stanza::{RefStanza, encode_stanza, pad_stanza, parse_argon2id, parse_x25519};

/// The first line of a file, without its line feed.
pub const VERSION: &[u8] = b"cryptstream/v1";
/// The longest header in bytes.
pub const MAX_HEADER_LEN: usize = 1 << 20;
/// The most stanzas in a header.
pub const MAX_STANZAS: usize = 1024;

/// The header's last line: `--- `, 43 characters of base64, a line feed.
pub(crate) const END_LEN: usize = 4 + 43 + 1;

/// A header that follows the grammar; its MAC has not been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefHeader {
    /// The stanzas in their order.
    pub stanzas: Vec<RefStanza>,
    /// The MAC that the last line carries.
    pub mac: [u8; 32],
    /// Length of the header in bytes.
    pub len: usize,
}

/// Writes a header with these stanzas.
pub fn build_header(file_key: [u8; 16], stanzas: &[RefStanza]) -> Vec<u8> {
    let mut text = [VERSION, b"\n"].concat();
    for stanza in stanzas {
        text.extend(encode_stanza(stanza));
    }
    finish_header(file_key, text)
}

/// Appends the last line with a valid MAC to any text, which need not be a header.
pub fn finish_header(file_key: [u8; 16], mut text: Vec<u8>) -> Vec<u8> {
    text.extend(b"---");
    let mac = header_mac(file_key, &text);
    text.extend(format!(" {}\n", base64_encode(&mac)).into_bytes());
    text
}

/// Parses the header at the start of a file.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse_header(file: &[u8]) -> Result<RefHeader, String> {
    let mut position = 0;
    if next_line(file, &mut position)? != VERSION {
        return refuse("the first line is not the version line");
    }
    let mut stanzas = Vec::new();
    loop {
        let line = next_line(file, &mut position)?;
        if let Some(arguments) = line.strip_prefix(b"-> ") {
            let args = parse_arguments(arguments)?;
            let body = parse_body(file, &mut position)?;
            stanzas.push(RefStanza { args, body });
        } else if let Some(mac) = line.strip_prefix(b"--- ") {
            let Ok(mac) = <[u8; 32]>::try_from(base64_decode(mac)?) else {
                return refuse("the MAC is not 32 bytes long");
            };
            check_stanzas(&stanzas)?;
            return Ok(RefHeader { stanzas, mac, len: position });
        } else {
            return refuse("a line is neither a stanza nor the end");
        }
    }
}

/// The line at `position` without its line feed. Moves `position` to the next line.
fn next_line<'a>(file: &'a [u8], position: &mut usize) -> Result<&'a [u8], String> {
    let start = *position;
    while *position < file.len() && *position < MAX_HEADER_LEN {
        *position += 1;
        if file[*position - 1] == b'\n' {
            return Ok(&file[start..*position - 1]);
        }
    }
    refuse("the header is cut off or longer than 1 MiB")
}

/// Words of bytes 0x21 to 0x7e, separated by single spaces.
fn parse_arguments(text: &[u8]) -> Result<Vec<String>, String> {
    let text = str::from_utf8(text).map_err(|_| "an argument is not ASCII".to_owned())?;
    let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for arg in &args {
        if arg.is_empty() || !arg.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
            return refuse("an argument is empty or has a byte outside 0x21 to 0x7e");
        }
    }
    Ok(args)
}

/// Lines of 64 characters, then a shorter one, which may be empty.
fn parse_body(file: &[u8], position: &mut usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let line = next_line(file, position)?;
        if line.len() > 64 {
            return refuse("a line of a body is longer than 64 characters");
        }
        body.extend(base64_decode(line)?);
        if line.len() < 64 {
            return Ok(body);
        }
    }
}

/// The smallest pad stanza with which a header of these stanzas ends at a
/// multiple of `multiple` bytes, found by trying them all.
///
/// # Panics
/// When `multiple` is smaller than 64, where there may be none.
pub fn pad_to_multiple(stanzas: &[RefStanza], multiple: usize) -> RefStanza {
    let len_without = build_header([0; 16], stanzas).len();
    for body_len in 0..2 * multiple {
        for argument in [None, Some("-"), Some("--"), Some("---"), Some("----")] {
            let pad = pad_stanza(argument, body_len);
            if (len_without + encode_stanza(&pad).len()).is_multiple_of(multiple) {
                return pad;
            }
        }
    }
    panic!("no pad stanza reaches a multiple of {multiple}");
}

/// Checks the rules for all stanzas of a header.
fn check_stanzas(stanzas: &[RefStanza]) -> Result<(), String> {
    if stanzas.is_empty() {
        return refuse("there is no stanza");
    }
    if stanzas.len() > MAX_STANZAS {
        return refuse("there are more than 1,024 stanzas");
    }
    let (mut pads, mut passphrases) = (0, 0);
    for stanza in stanzas {
        match stanza.args[0].as_str() {
            "pad" => {
                pads += 1;
                if stanza.args.len() > 2 || stanza.args.get(1).is_some_and(|arg| arg.len() > 4) {
                    return refuse("a pad stanza has more than one argument of 4 characters");
                }
            }
            "argon2id" => {
                passphrases += 1;
                parse_argon2id(stanza)?;
            }
            "X25519" => {
                parse_x25519(stanza)?;
            }
            _ => {}
        }
    }
    if pads > 1 {
        return refuse("there are two pad stanzas");
    }
    if passphrases > 0 && stanzas.len() - pads > 1 {
        return refuse("a passphrase stanza is not the only one that carries the key");
    }
    Ok(())
}

pub(crate) fn header_mac(file_key: [u8; 16], authenticated: &[u8]) -> [u8; 32] {
    let mac_key = hkdf_sha256(&file_key, b"", b"cryptstream/v1 header");
    hmac_sha256(&mac_key, authenticated)
}
