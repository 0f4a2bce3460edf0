//! Small files that are encrypted with a passphrase, such as identity files.

use cryptstream_format::argon2id::{PassphraseIdentity, ReadLimit};
use cryptstream_format::armor::{Decoder, is_armored};
use cryptstream_format::{
    Format, Header, KeyFailure, KeyFailureKind, Layout, PayloadCipher, UnlockError,
};
use zeroize::Zeroizing;

use crate::prompt::{SharedCallbacks, decrypt_protected};
use crate::scrypt::ScryptIdentity;
use crate::text::without_mark;

/// An encrypted file in memory.
pub(crate) struct EncryptedFile {
    ciphertext: Vec<u8>,
    /// The name that prompts and messages use.
    pub(crate) name: String,
    pub(crate) callbacks: SharedCallbacks,
}

impl EncryptedFile {
    /// Takes the content of a file if it starts like an encrypted one.
    pub(crate) fn recognize(
        content: &[u8],
        name: &str,
        callbacks: &SharedCallbacks,
    ) -> Option<Self> {
        let content = without_mark(content);
        let is_armored = is_armored(content);
        let is_encrypted = |format: &Format| content.starts_with(format.version_line());
        (is_armored || Format::ALL.iter().any(is_encrypted)).then(|| Self {
            ciphertext: if is_armored { without_armor(content) } else { content.to_vec() },
            name: name.to_owned(),
            callbacks: SharedCallbacks::clone(callbacks),
        })
    }

    /// Asks for the passphrase, and decrypts the file.
    pub(crate) fn decrypt(&self) -> Result<Zeroizing<Vec<u8>>, KeyFailure> {
        decrypt_protected(&self.callbacks, &self.label(), |passphrase| {
            decrypt_in_memory(&self.ciphertext, passphrase)
                .map_err(|(kind, what)| self.failure(kind, &what))
        })
    }

    pub(crate) fn failure(&self, kind: KeyFailureKind, what: &str) -> KeyFailure {
        KeyFailure { kind, message: format!("{} {what}", self.label()) }
    }

    fn label(&self) -> String {
        format!("the identity file {}", self.name)
    }
}

/// The bytes in the armor; none if it is damaged.
fn without_armor(text: &[u8]) -> Vec<u8> {
    let (mut decoder, mut bytes) = (Decoder::new(), Vec::new());
    let decoded = decoder.decode(text, &mut bytes).and_then(|()| decoder.finish());
    if decoded.is_ok() { bytes } else { Vec::new() }
}

/// Decrypts a small file.
fn decrypt_in_memory(
    ciphertext: &[u8],
    passphrase: &[u8],
) -> Result<Zeroizing<Vec<u8>>, (KeyFailureKind, String)> {
    let damaged = || (KeyFailureKind::Unusable, "is damaged".to_owned());
    let header = Header::parse(ciphertext).ok().flatten().ok_or_else(damaged)?;
    let format = header.format();
    if !header.stanzas().iter().any(|stanza| stanza.key_derivation().is_some()) {
        let what =
            "is encrypted, but not with a passphrase: decrypt it first with `cryptstream decrypt`";
        return Err((KeyFailureKind::Unusable, what.to_owned()));
    }
    let secret = || Zeroizing::new(passphrase.to_vec());
    let argon2id = PassphraseIdentity::new(secret(), ReadLimit::DEFAULT);
    let file_key = header.unlock(&[&argon2id, &ScryptIdentity::new(secret())]).map_err(
        |error| match error {
            UnlockError::NoMatch => {
                (KeyFailureKind::WrongPassphrase, "is protected by another passphrase".to_owned())
            }
            error => (KeyFailureKind::Unusable, format!("cannot be decrypted: {error}")),
        },
    )?;
    let payload = &ciphertext[header.len()..];
    let layout = Layout::of_payload(format, payload.len() as u64).map_err(|_| damaged())?;
    let prefix = payload.get(..format.prefix_len()).ok_or_else(damaged)?;
    let cipher = PayloadCipher::from_prefix(format, &file_key, prefix).map_err(|_| damaged())?;
    let mut plaintext = Zeroizing::new(vec![0; layout.plaintext_len() as usize]);
    for segment in layout.segments() {
        let from = &payload[segment.payload_offset() as usize..][..segment.sealed_len()];
        let to = &mut plaintext[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        cipher.open(&segment, from, to).map_err(|_| damaged())?;
    }
    Ok(plaintext)
}
