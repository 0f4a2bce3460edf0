//! Passphrases from flags, the environment or the terminal.

use cryptstream_keys::Passphrase;
use zeroize::Zeroizing;

use super::files::KeyFiles;
use super::terminal::{Answer, Session};
use crate::args;
use crate::initial_environment;
use crate::messages::{self, Failure};

/// A passphrase, or the wish to be asked for one.
pub(super) enum Secret {
    None,
    Given(Passphrase),
    Ask,
}

impl Secret {
    /// With `ask_environment` the environment variable is used if no flag names a passphrase.
    /// When encrypting to recipients it must not be: a leftover variable would get in the way.
    /// When decrypting it does no harm.
    pub(super) fn read(
        args: &args::Passphrase,
        key: Option<Zeroizing<Vec<u8>>>,
        ask_environment: bool,
        files: &mut KeyFiles,
    ) -> Result<Self, Failure> {
        let (origin, passphrase) = if args.passphrase {
            return Ok(Self::Ask);
        } else if let (Some(_), Some(key)) = (&args.key, key) {
            ("--key".to_owned(), Passphrase::new(key))
        } else if let Some(given) = files.read_passphrase(
            args.passphrase_file.as_deref(),
            ("--passphrase-fd", args.passphrase_fd),
        )? {
            (given.0, Ok(given.1))
        } else if ask_environment && let Some(content) = initial_environment::take_passphrase() {
            (initial_environment::PASSPHRASE.to_owned(), Passphrase::from_file_content(content))
        } else {
            return Ok(Self::None);
        };
        let passphrase = passphrase.map_err(|error| messages::bad_passphrase(&origin, error))?;
        if let Some(kind) = passphrase.warning() {
            let warning = messages::passphrase_warning(&origin, kind);
            match warning.filter(|_| files.is_for_encryption()) {
                Some(warning) => messages::warn(&warning),
                None => messages::remember_passphrase_warning(kind),
            }
        }
        Ok(Self::Given(passphrase))
    }
}

/// Asks for a new passphrase, twice. An empty answer has one generated, which is
/// shown on the terminal or not used. `name` is what it is for.
pub(super) fn ask_new(name: &str) -> Result<Passphrase, Failure> {
    let session = Session::open().map_err(|error| messages::cannot_ask(&error))?;
    let ask = |prompt: &str| match session.ask_hidden(prompt) {
        Ok(Answer::Line(answer)) => Ok(answer),
        Ok(Answer::End) => Err(messages::nothing_entered()),
        Err(error) => Err(messages::cannot_ask(&error)),
    };
    let answer = ask(&messages::ask_new(name))?;
    if answer.is_empty() {
        let made =
            Passphrase::generate().map_err(|error| messages::internal(&error.to_string()))?;
        let line = Zeroizing::new(messages::generated_passphrase(made.expose()));
        session.show(&line).map_err(|error| messages::cannot_ask(&error))?;
        return Ok(made);
    }
    if *answer != *ask(&messages::ask_again(name))? {
        return Err(messages::passphrases_differ());
    }
    Passphrase::new(answer).map_err(|error| messages::bad_passphrase("the passphrase", error))
}

/// Asks on the terminal.
pub(super) fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match Session::open().and_then(|session| session.ask_hidden(prompt)) {
        Ok(Answer::Line(answer)) => Ok(answer),
        Ok(Answer::End) => Err(messages::nothing_entered()),
        Err(error) => Err(messages::cannot_ask(&error)),
    }
}
