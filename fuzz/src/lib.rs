//! What the fuzz targets share: whole files through the product.

use cryptstream_format::{
    FileKey, Format, Header, Identity, Layout, PayloadCipher, Stanza, UnwrapError,
};

mod keys;

pub use keys::{FILE_KEY, SECRET};

/// An identity that already has the file key.
pub struct Known(pub [u8; 16]);

impl Identity for Known {
    fn unwrap(&self, _: Format, _: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        Ok(Some(FileKey::from_bytes(self.0)))
    }
}

/// Opens a whole file with the product.
pub fn open(file: &[u8], identity: &dyn Identity) -> Result<Vec<u8>, String> {
    let header = Header::parse(file)
        .map_err(|error| error.to_string())?
        .ok_or("the header is cut off".to_owned())?;
    let file_key = header.unlock(&[identity]).map_err(|error| error.to_string())?;
    let payload = &file[header.len()..];
    let format = header.format();
    let layout =
        Layout::of_payload(format, payload.len() as u64).map_err(|error| error.to_string())?;
    let cipher = PayloadCipher::from_prefix(format, &file_key, &payload[..format.prefix_len()])
        .map_err(|error| error.to_string())?;
    let mut plaintext = vec![0; layout.plaintext_len() as usize];
    for segment in layout.segments() {
        let sealed = &payload[segment.payload_offset() as usize..][..segment.sealed_len()];
        let text = &mut plaintext[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        cipher.open(&segment, sealed, text).map_err(|error| error.to_string())?;
    }
    Ok(plaintext)
}

/// Seals a whole payload with the product.
pub fn seal_payload(cipher: &PayloadCipher, plaintext: &[u8]) -> Vec<u8> {
    let layout = Layout::of_plaintext(cipher.format(), plaintext.len() as u64)
        .expect("what fits in memory is short enough");
    let mut payload = cipher.prefix().to_vec();
    for segment in layout.segments() {
        let start = payload.len();
        payload.resize(start + segment.sealed_len(), 0);
        let text = &plaintext[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        cipher.seal(&segment, text, &mut payload[start..]).expect("the lengths are right");
    }
    payload
}
