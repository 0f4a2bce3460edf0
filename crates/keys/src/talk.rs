//! Keys that need somebody: to enter a passphrase, to touch a token.

use std::sync::Arc;

use zeroize::Zeroizing;

/// Whoever can be asked. `None` means that nobody can be.
pub trait Talk: Send + Sync {
    /// Shows a message.
    fn say(&self, message: &str);
    /// Asks for one of two answers: `Some(true)` for `yes`.
    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool>;
    /// Asks for a text that is no secret.
    fn ask(&self, message: &str) -> Option<String>;
    /// Asks for a passphrase.
    fn ask_secret(&self, message: &str) -> Option<Zeroizing<String>>;
}

/// Shared by all keys of a run.
pub type Talker = Arc<dyn Talk>;

/// Nobody is there.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Talk for Silent {
    fn say(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn ask(&self, _: &str) -> Option<String> {
        None
    }

    fn ask_secret(&self, _: &str) -> Option<Zeroizing<String>> {
        None
    }
}
