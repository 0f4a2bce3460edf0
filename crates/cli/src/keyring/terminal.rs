//! Asks the user on the terminal, for plugins, protected keys and the program itself.

mod lock;
mod session;

use cryptstream_keys::{Callbacks, NoAnswer, Passphrase};
use zeroize::Zeroizing;

pub(crate) use self::session::restore;
pub(super) use self::session::{Answer, Session};
use crate::messages;

/// The process's controlling terminal, wherever the standard streams go.
#[derive(Default)]
pub(super) struct Terminal {
    /// The passphrase of protected keys; if set, the user is not asked for it.
    pub(super) key_passphrase: Option<Passphrase>,
}

impl Callbacks for Terminal {
    fn say(&self, message: &str) {
        messages::note(&messages::from_key(message));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        loop {
            let answer = self.ask(&messages::choice(message, yes, no))?;
            match answer.trim().to_lowercase().as_str() {
                "1" | "y" | "yes" => return Some(true),
                "2" | "n" | "no" | "" => return Some(false),
                _ => {}
            }
        }
    }

    fn ask(&self, message: &str) -> Option<String> {
        let prompt = format!("{} ", messages::from_key(message));
        match Session::open().and_then(|session| session.ask_shown(&prompt)) {
            Ok(Answer::Line(line)) => Some(String::from_utf8_lossy(&line).into_owned()),
            Ok(Answer::End) | Err(_) => None,
        }
    }

    fn ask_secret(&self, message: &str) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        let prompt = format!("{} ", messages::from_key(message).trim_end());
        match Session::open().and_then(|session| session.ask_hidden(&prompt)) {
            Ok(Answer::Line(line)) => Ok(line),
            Ok(Answer::End) => Err(NoAnswer::NothingEntered),
            Err(_) => Err(NoAnswer::NoTerminal),
        }
    }

    fn key_passphrase(&self) -> Option<&[u8]> {
        self.key_passphrase.as_ref().map(Passphrase::expose)
    }
}

/// Whether the process has a controlling terminal.
pub(super) fn is_there() -> bool {
    session::open_terminal().is_ok()
}
