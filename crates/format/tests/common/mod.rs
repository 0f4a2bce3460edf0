//! Shared by the tests: encrypting and decrypting whole files, vectors, and patterned plaintext.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::Path;

use cryptstream_format::{
    FileKey, Format, Header, Identity, Layout, PayloadCipher, Segment, Stanza, UnwrapError,
};
use serde_json::Value;

/// An identity that knows the file key.
pub(crate) struct Known(pub(crate) [u8; 16]);

impl Identity for Known {
    fn unwrap(&self, _: Format, _: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        Ok(Some(FileKey::from_bytes(self.0)))
    }
}

/// Decrypts a whole file.
pub(crate) fn open(file: &[u8], identity: &dyn Identity) -> Result<Vec<u8>, String> {
    let header = Header::parse(file)
        .map_err(|error| error.to_string())?
        .ok_or("the header is cut off".to_owned())?;
    let file_key = header.unlock(&[identity]).map_err(|error| error.to_string())?;
    open_payload(header.format(), &file[header.len()..], &file_key)
}

/// Decrypts a whole payload, segment by segment.
pub(crate) fn open_payload(
    format: Format,
    payload: &[u8],
    file_key: &FileKey,
) -> Result<Vec<u8>, String> {
    let layout =
        Layout::of_payload(format, payload.len() as u64).map_err(|error| error.to_string())?;
    open_segments(payload, file_key, &layout, layout.segments())
}

/// Decrypts some segments of a payload. The others are zeros.
pub(crate) fn open_segments(
    payload: &[u8],
    file_key: &FileKey,
    layout: &Layout,
    segments: impl Iterator<Item = Segment>,
) -> Result<Vec<u8>, String> {
    let format = layout.format();
    let cipher = PayloadCipher::from_prefix(format, file_key, &payload[..format.prefix_len()])
        .map_err(|error| error.to_string())?;
    let mut plaintext = vec![0; layout.plaintext_len() as usize];
    for segment in segments {
        let sealed = &payload[segment.payload_offset() as usize..][..segment.sealed_len()];
        let text = &mut plaintext[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        cipher.open(&segment, sealed, text).map_err(|error| error.to_string())?;
    }
    Ok(plaintext)
}

/// Encrypts a whole payload, including its prefix.
pub(crate) fn seal_payload(cipher: &PayloadCipher, plaintext: &[u8]) -> Vec<u8> {
    let layout = Layout::of_plaintext(cipher.format(), plaintext.len() as u64)
        .expect("what fits in memory is short enough");
    let mut payload = cipher.prefix().to_vec();
    payload.resize(layout.payload_len() as usize, 0);
    for segment in layout.segments() {
        let text = &plaintext[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        let sealed = &mut payload[segment.payload_offset() as usize..][..segment.sealed_len()];
        cipher.seal(&segment, text, sealed).expect("the lengths are the segment's own");
    }
    payload
}

/// The plaintext of all vectors. Its period is a prime, so no two chunks are alike.
pub(crate) fn paint(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// One file of `vectors/`.
pub(crate) fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name);
    let text = std::fs::read_to_string(path).expect("the vectors lie in the repository");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

/// A field that is text.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is text"))
}

/// A field that is a number.
pub(crate) fn number(value: &Value, field: &str) -> usize {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is a number")) as usize
}

/// A field of `N` bytes in hexadecimal.
pub(crate) fn bytes<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    unhex(text(value, field)).try_into().unwrap_or_else(|_| panic!("{field} has {N} bytes"))
}

/// Bytes from hexadecimal.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Bytes to hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
