//! Asks the user for passphrases, PINs and answers to a plugin's questions.

use std::sync::Arc;

use cryptstream_format::{KeyFailure, KeyFailureKind};
use zeroize::Zeroizing;

/// How many times the user may try a passphrase, as with age and sudo.
pub const TRIES: usize = 3;

/// How keys reach the user. The program implements it; see [`NoCallbacks`] for jobs where
/// nobody can answer.
///
/// `None` means that there is no answer.
pub trait Callbacks: Send + Sync {
    /// Shows a message.
    fn say(&self, message: &str);
    /// Asks for one of two answers: `Some(true)` for `yes`.
    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool>;
    /// Asks for text that is not secret.
    fn ask(&self, message: &str) -> Option<String>;
    /// Asks for a passphrase, which may be any bytes.
    ///
    /// # Errors
    /// Why there is no answer.
    fn ask_secret(&self, message: &str) -> Result<Zeroizing<Vec<u8>>, NoAnswer>;
    /// The passphrase of protected keys, if it is known already. The user is not asked then.
    fn key_passphrase(&self) -> Option<&[u8]> {
        None
    }
}

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// There is no terminal.
    NoTerminal,
    /// The user ended the input (Ctrl-D).
    NothingEntered,
}

impl NoAnswer {
    /// The end of a message about a protected key.
    fn of_key(self) -> &'static str {
        match self {
            Self::NoTerminal => {
                "is protected by a passphrase, and there is no terminal to ask for it"
            }
            Self::NothingEntered => "is protected by a passphrase, and none was entered",
        }
    }
}

/// Callbacks that all keys of a run share.
pub type SharedCallbacks = Arc<dyn Callbacks>;

/// Callbacks for runs without a user: nothing is shown, and no question is answered.
#[derive(Clone, Copy, Debug)]
pub struct NoCallbacks;

impl Callbacks for NoCallbacks {
    fn say(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn ask(&self, _: &str) -> Option<String> {
        None
    }

    fn ask_secret(&self, _: &str) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        Err(NoAnswer::NoTerminal)
    }
}

/// Decrypts a protected key with the passphrase that is known, or asks for it, up to
/// [`TRIES`] times. `key` names the key in prompts.
pub(crate) fn decrypt_protected<T>(
    callbacks: &SharedCallbacks,
    key: &str,
    mut open: impl FnMut(&[u8]) -> Result<T, KeyFailure>,
) -> Result<T, KeyFailure> {
    if let Some(passphrase) = callbacks.key_passphrase() {
        return open(passphrase);
    }
    let mut prompt = format!("Passphrase of {key}: ");
    let mut tries = 1;
    loop {
        let passphrase = callbacks.ask_secret(&prompt).map_err(|why| KeyFailure {
            kind: KeyFailureKind::CannotAsk,
            message: format!("{key} {}", why.of_key()),
        })?;
        match open(&passphrase) {
            Err(KeyFailure { kind: KeyFailureKind::WrongPassphrase, .. }) if tries < TRIES => {
                tries += 1;
                prompt = format!("Wrong passphrase. Passphrase of {key}: ");
            }
            result => return result,
        }
    }
}
