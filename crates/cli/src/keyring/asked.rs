//! A passphrase that is asked for once a file needs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptstream_engine::program::SecretScope;
use cryptstream_format::argon2id::{PassphraseIdentity, ReadLimit};
use cryptstream_format::{
    FileKey, Format, Identity, KeyFailure, KeyFailureKind, Stanza, UnwrapError,
};
use cryptstream_keys::{Passphrase, ScryptIdentity, TRIES};

use super::secret::ask;
use crate::messages;

/// Asks at the first file that is encrypted with a passphrase, and reuses the answer for others
/// that it fits.
pub(super) struct AskedPassphrase {
    limit: ReadLimit,
    /// What is to be decrypted, for the prompt.
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<Arc<Keys>>,
    /// The user has had all tries, or entered nothing.
    is_over: bool,
}

/// A passphrase, for either format.
struct Keys {
    age: ScryptIdentity,
    native: PassphraseIdentity,
}

impl Keys {
    fn new(passphrase: Passphrase, limit: ReadLimit) -> Self {
        let _secrets = SecretScope::open();
        let age = ScryptIdentity::new(passphrase.clone().into_bytes());
        Self { age, native: PassphraseIdentity::new(passphrase.into_bytes(), limit) }
    }

    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        match self.age.unwrap(format, stanzas)? {
            Some(file_key) => Ok(Some(file_key)),
            None => self.native.unwrap(format, stanzas),
        }
    }
}

impl AskedPassphrase {
    pub(super) fn new(name: &str, limit: ReadLimit) -> Self {
        Self { limit, name: name.to_owned(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// It may ask, but several threads may use it: only one of them asks at a time.
impl Identity for AskedPassphrase {
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        if !stanzas.iter().any(|stanza| stanza.key_derivation().is_some()) {
            return Ok(None);
        }
        let mut tried: Option<Arc<Keys>> = None;
        let mut state = loop {
            let state = self.lock();
            // Another thread may have asked meanwhile.
            let known = match (&state.known, &tried) {
                (Some(known), Some(tried)) if Arc::ptr_eq(known, tried) => break state,
                (Some(known), _) => Arc::clone(known),
                (None, _) => break state,
            };
            drop(state);
            if let Some(file_key) = known.unwrap(format, stanzas)? {
                return Ok(Some(file_key));
            }
            tried = Some(known);
        };
        let mut is_again = false;
        for _ in 0..TRIES {
            if state.is_over {
                break;
            }
            let answer = match ask(&messages::ask_passphrase(&self.name, is_again)) {
                Ok(answer) => answer,
                Err(failure) => {
                    state.is_over = true;
                    let message = failure.message().to_owned();
                    let kind = KeyFailureKind::CannotAsk;
                    return Err(UnwrapError::Key(KeyFailure { kind, message }));
                }
            };
            is_again = true;
            // An empty passphrase decrypts nothing.
            let Ok(passphrase) = Passphrase::new(answer) else { continue };
            if let Some(kind) = passphrase.warning() {
                messages::remember_passphrase_warning(kind);
            }
            let keys = Keys::new(passphrase, self.limit);
            if let Some(file_key) = keys.unwrap(format, stanzas)? {
                state.known = Some(Arc::new(keys));
                return Ok(Some(file_key));
            }
        }
        state.is_over = true;
        Ok(None)
    }
}
