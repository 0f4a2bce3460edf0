//! Identity files that are sealed with a passphrase themselves.

use std::sync::OnceLock;

use cryptstream_format::argon2id::{PassphraseIdentity, ReadLimit};
use cryptstream_format::armor::{Decoder, is_armored};
use cryptstream_format::{
    FileKey, Format, Header, Identity, KeyFailure, KeyFailureKind, Layout, PayloadCipher, Stanza,
    UnlockError, UnwrapError,
};
use zeroize::Zeroizing;

use crate::identity::{AnyIdentity, parse_identities};
use crate::prompt::{SharedCallbacks, open_protected};
use crate::scrypt::ScryptIdentity;
use crate::{Timeout, without_mark};

/// A sealed identity file. It is opened when it is needed, and its passphrase
/// asked for then.
pub struct ProtectedIdentities {
    sealed: Vec<u8>,
    /// Where it comes from, for asking.
    name: String,
    callbacks: SharedCallbacks,
    timeout: Timeout,
    /// What came of asking, which is done once.
    opened: OnceLock<Result<Vec<AnyIdentity>, KeyFailure>>,
}

impl ProtectedIdentities {
    /// Takes the content of a file if it begins like a sealed one.
    pub(crate) fn recognize(
        content: &[u8],
        name: &str,
        callbacks: &SharedCallbacks,
        timeout: Timeout,
    ) -> Option<Self> {
        let content = without_mark(content);
        let is_armored = is_armored(content);
        let is_sealed = |format: &Format| content.starts_with(format.version_line());
        (is_armored || Format::ALL.iter().any(is_sealed)).then(|| Self {
            sealed: if is_armored { without_armor(content) } else { content.to_vec() },
            name: name.to_owned(),
            callbacks: SharedCallbacks::clone(callbacks),
            timeout,
            opened: OnceLock::new(),
        })
    }

    /// The identities within; asks for the passphrase the first time.
    ///
    /// # Errors
    /// When nobody can be asked, the passphrase is wrong, or the content is
    /// damaged or no identity file.
    pub fn open(&self) -> Result<&[AnyIdentity], KeyFailure> {
        self.opened.get_or_init(|| self.ask()).as_deref().map_err(Clone::clone)
    }

    /// Opens it, and brings what costs little to try to the front.
    fn ask(&self) -> Result<Vec<AnyIdentity>, KeyFailure> {
        let key = format!("the identity file {}", self.name);
        let failure = |kind, what: &str| KeyFailure { kind, message: format!("{key} {what}") };
        let content = open_protected(&self.callbacks, &key, |passphrase| {
            open_in_memory(&self.sealed, passphrase).map_err(|(kind, what)| failure(kind, &what))
        })?;
        let identities = parse_identities(&content, &self.name, &self.callbacks, self.timeout);
        let mut identities = identities.map_err(|error| {
            failure(KeyFailureKind::Unusable, &format!("has a bad content: {error}"))
        })?;
        if identities.iter().any(|identity| matches!(identity, AnyIdentity::Protected(_))) {
            return Err(failure(KeyFailureKind::Unusable, "holds another sealed file"));
        }
        identities.sort_by_key(AnyIdentity::effort);
        Ok(identities)
    }
}

impl Identity for ProtectedIdentities {
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let mut unusable = None;
        for identity in self.open()? {
            match identity.unwrap(format, stanzas) {
                Ok(Some(file_key)) => return Ok(Some(file_key)),
                Ok(None) => {}
                // One whose plugin is missing hides none of those after it.
                Err(UnwrapError::Key(failure)) => {
                    unusable.get_or_insert(failure);
                }
                Err(error) => return Err(error),
            }
        }
        unusable.map_or(Ok(None), |failure| Err(failure.into()))
    }

    fn may_ask(&self) -> bool {
        true
    }
}

/// What is in the armor; nothing, which is no sealed file either, where that is
/// damaged.
fn without_armor(text: &[u8]) -> Vec<u8> {
    let (mut decoder, mut bytes) = (Decoder::new(), Vec::new());
    let decoded = decoder.decode(text, &mut bytes).and_then(|()| decoder.finish());
    if decoded.is_ok() { bytes } else { Vec::new() }
}

type Problem = (KeyFailureKind, String);

/// Opens a small sealed file.
fn open_in_memory(sealed: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let damaged = || (KeyFailureKind::Unusable, "is damaged".to_owned());
    let header = Header::parse(sealed).ok().flatten().ok_or_else(damaged)?;
    let format = header.format();
    if !header.stanzas().iter().any(|stanza| stanza.key_derivation().is_some()) {
        let what = "is sealed, but not with a passphrase: open it first with `cryptstream decrypt`";
        return Err((KeyFailureKind::Unusable, what.to_owned()));
    }
    let secret = || Zeroizing::new(passphrase.to_vec());
    let argon2id = PassphraseIdentity::new(secret(), ReadLimit::DEFAULT);
    let file_key = header.unlock(&[&argon2id, &ScryptIdentity::new(secret())]).map_err(
        |error| match error {
            UnlockError::NoMatch => {
                (KeyFailureKind::WrongPassphrase, "is protected by another passphrase".to_owned())
            }
            error => (KeyFailureKind::Unusable, format!("cannot be opened: {error}")),
        },
    )?;
    let payload = &sealed[header.len()..];
    let layout = Layout::of_payload(format, payload.len() as u64).map_err(|_| damaged())?;
    let prefix = payload.get(..format.prefix_len()).ok_or_else(damaged)?;
    let cipher = PayloadCipher::from_prefix(format, &file_key, prefix).map_err(|_| damaged())?;
    let mut opened = Zeroizing::new(vec![0; layout.plaintext_len() as usize]);
    for segment in layout.segments() {
        let from = &payload[segment.payload_offset() as usize..][..segment.sealed_len()];
        let to = &mut opened[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        cipher.open(&segment, from, to).map_err(|_| damaged())?;
    }
    Ok(opened)
}
