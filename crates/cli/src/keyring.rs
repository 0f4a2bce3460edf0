//! From flags to keys: reads the files, asks the questions.
//!
//! In this order: keys are read before the input is opened (so that an open
//! descriptor's number means what the caller meant by it), then the input and
//! the output are looked at, and only then is anybody asked for anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cryptstream_engine::{Source, Target};
use cryptstream_format::argon2id::{Cost, PassphraseIdentity, PassphraseRecipient, ReadLimit};
use cryptstream_format::x25519::{PublicKey, SecretKey};
use cryptstream_format::{Identity, Recipient};
use cryptstream_keys::{
    IdentityError, Passphrase, parse_identities, parse_recipient, parse_recipients,
};
use zeroize::Zeroizing;

use crate::args::{self, Decrypt, Encrypt, is_dash};
use crate::messages::{self, Failure};
use crate::request::parse_cost;

/// The environment variable that is asked when no flag names a passphrase.
const ENVIRONMENT: &str = "CRYPTSTREAM_PASSPHRASE";
/// The largest file of keys that is read.
const MAX_KEY_FILE_LEN: usize = 1 << 20;

/// Keys to seal with, as far as they need no question.
pub(crate) struct SealingKeys {
    passphrase: Secret,
    cost: Cost,
    public: Vec<PublicKey>,
    files: KeyFiles,
}

impl SealingKeys {
    pub(crate) fn read(args: &Encrypt, key: Option<Zeroizing<Vec<u8>>>) -> Result<Self, Failure> {
        let is_public = !(args.recipient.is_empty()
            && args.recipients_file.is_empty()
            && args.identity.is_empty());
        if is_public && args.passphrase.is_given() {
            return Err(messages::passphrase_and_recipients());
        }
        let mut files = KeyFiles::default();
        let passphrase = Secret::read(&args.passphrase, key, !is_public, &mut files)?;
        let mut public = Vec::new();
        for text in &args.recipient {
            public
                .push(parse_recipient(text).map_err(|error| messages::bad_recipient(text, error))?);
        }
        for path in &args.recipients_file {
            let text = files.read_text(path)?;
            public.extend(
                parse_recipients(&text)
                    .map_err(|error| messages::key_file_invalid(path, &error))?,
            );
        }
        for path in &args.identity {
            public.extend(files.read_identities(path)?.iter().map(SecretKey::to_public));
        }
        if public.is_empty() && matches!(passphrase, Secret::None) {
            return Err(messages::no_key_given(true));
        }
        Ok(Self { passphrase, cost: sealing_cost(args.argon2id.as_deref())?, public, files })
    }

    /// Whether it is a passphrase.
    pub(crate) fn has_passphrase(&self) -> bool {
        !matches!(self.passphrase, Secret::None)
    }

    /// Sees to it that no key is read or overwritten as data.
    pub(crate) fn check(&self, source: &Source, target: &Target) -> Result<(), Failure> {
        self.files.check(source, target)
    }

    /// Whom to seal for; asks for the passphrase, if that was wanted.
    pub(crate) fn recipients(self) -> Result<Vec<Box<dyn Recipient + Sync>>, Failure> {
        let passphrase = match self.passphrase {
            Secret::None => {
                let boxed = |key| Box::new(key) as Box<dyn Recipient + Sync>;
                return Ok(self.public.into_iter().map(boxed).collect());
            }
            Secret::Given(passphrase) => passphrase,
            Secret::Ask => ask_new()?,
        };
        if !ReadLimit::DEFAULT.allows(self.cost) {
            messages::note(&messages::costly(self.cost));
        }
        let recipient = PassphraseRecipient::new(passphrase.into_bytes(), self.cost)
            .map_err(|error| messages::internal(&error.to_string()))?;
        Ok(vec![Box::new(recipient)])
    }
}

fn sealing_cost(text: Option<&str>) -> Result<Cost, Failure> {
    let Some(text) = text else { return Ok(Cost::DEFAULT) };
    parse_cost(text)
        .filter(|cost| {
            cost.memory_kib >= Cost::MIN.memory_kib
                && cost.passes >= Cost::MIN.passes
                && cost.lanes >= Cost::MIN.lanes
        })
        .ok_or_else(|| messages::bad_cost("--argon2id", text))
}

/// Keys to open with, as far as they need no question.
pub(crate) struct OpeningKeys {
    passphrase: Secret,
    limit: ReadLimit,
    secret: Vec<SecretKey>,
    files: KeyFiles,
}

impl OpeningKeys {
    pub(crate) fn read(args: &Decrypt, key: Option<Zeroizing<Vec<u8>>>) -> Result<Self, Failure> {
        let mut files = KeyFiles::default();
        let passphrase = Secret::read(&args.passphrase, key, true, &mut files)?;
        let mut secret = Vec::new();
        for path in &args.identity {
            secret.extend(files.read_identities(path)?);
        }
        if secret.is_empty() && matches!(passphrase, Secret::None) {
            return Err(messages::no_key_given(false));
        }
        let limit = match &args.argon2id_limit {
            None => ReadLimit::DEFAULT,
            Some(text) => parse_cost(text)
                .map(ReadLimit::up_to)
                .ok_or_else(|| messages::bad_cost("--argon2id-limit", text))?,
        };
        Ok(Self { passphrase, limit, secret, files })
    }

    /// Sees to it that no key is read or overwritten as data.
    pub(crate) fn check(&self, source: &Source, target: &Target) -> Result<(), Failure> {
        self.files.check(source, target)
    }

    /// Whether a passphrase is among the keys.
    pub(crate) fn has_passphrase(&self) -> bool {
        !matches!(self.passphrase, Secret::None)
    }

    /// What to open with; asks for the passphrase, if that was wanted. Secret
    /// keys come first: trying them costs nothing.
    pub(crate) fn identities(self) -> Result<Vec<Box<dyn Identity>>, Failure> {
        let boxed = |key| Box::new(key) as Box<dyn Identity>;
        let mut keys: Vec<_> = self.secret.into_iter().map(boxed).collect();
        let passphrase = match self.passphrase {
            Secret::None => return Ok(keys),
            Secret::Given(passphrase) => passphrase,
            Secret::Ask => ask(messages::ASK).and_then(|answer| {
                Passphrase::new(answer)
                    .map_err(|error| messages::bad_passphrase("the passphrase", error))
            })?,
        };
        keys.push(Box::new(PassphraseIdentity::new(passphrase.into_bytes(), self.limit)));
        Ok(keys)
    }
}

/// The identities in a file.
pub(crate) fn read_identities(path: &Path) -> Result<Vec<SecretKey>, Failure> {
    KeyFiles::default().read_identities(path)
}

/// A passphrase, or the wish to be asked for one.
enum Secret {
    None,
    Given(Passphrase),
    Ask,
}

impl Secret {
    /// With `ask_environment` a variable will do where no flag names a
    /// passphrase. (When sealing for recipients it must not: a variable left
    /// over would get in the way. When opening it does no harm.)
    fn read(
        args: &args::Passphrase,
        key: Option<Zeroizing<Vec<u8>>>,
        ask_environment: bool,
        files: &mut KeyFiles,
    ) -> Result<Self, Failure> {
        let (origin, passphrase) = if args.passphrase {
            return Ok(Self::Ask);
        } else if let (Some(_), Some(key)) = (&args.key, key) {
            ("--key".to_owned(), Passphrase::new(key))
        } else if let Some(path) = &args.passphrase_file {
            let content = files.read(path, Passphrase::READ_LEN)?;
            (messages::quoted(path), Passphrase::from_file_content(content))
        } else if let Some(number) = args.passphrase_fd {
            // Opened anew by its name: a descriptor's number alone says nothing
            // about who owns it.
            let path = PathBuf::from(format!("/dev/fd/{number}"));
            let content = files.read(&path, Passphrase::READ_LEN)?;
            (messages::quoted(&path), Passphrase::from_file_content(content))
        } else if ask_environment && let Some(value) = std::env::var_os(ENVIRONMENT) {
            let content = Zeroizing::new(value.into_vec());
            (ENVIRONMENT.to_owned(), Passphrase::from_file_content(content))
        } else {
            return Ok(Self::None);
        };
        passphrase.map(Self::Given).map_err(|error| messages::bad_passphrase(&origin, error))
    }
}

/// Asks for a new passphrase, twice. An empty answer has one made up, which is
/// shown on the terminal or not used.
fn ask_new() -> Result<Passphrase, Failure> {
    let answer = ask(messages::ASK_NEW)?;
    if answer.is_empty() {
        let made =
            Passphrase::generate().map_err(|error| messages::internal(&error.to_string()))?;
        let line = Zeroizing::new(messages::generated_passphrase(made.expose()));
        OpenOptions::new()
            .write(true)
            .open("/dev/tty")
            .and_then(|mut terminal| terminal.write_all(&line))
            .map_err(|error| messages::cannot_ask(&error))?;
        return Ok(made);
    }
    if *answer != *ask(messages::ASK_AGAIN)? {
        return Err(messages::passphrases_differ());
    }
    Passphrase::new(answer).map_err(|error| messages::bad_passphrase("the passphrase", error))
}

/// Asks on the terminal.
fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match rpassword::prompt_password(prompt) {
        Ok(answer) => Ok(Zeroizing::new(answer.into_bytes())),
        Err(error) => Err(messages::cannot_ask(&error)),
    }
}

/// Which files and pipes keys were read from.
#[derive(Default)]
struct KeyFiles {
    /// Device and inode.
    ids: Vec<(u64, u64)>,
    is_stdin_read: bool,
}

impl KeyFiles {
    fn read_text(&mut self, path: &Path) -> Result<Zeroizing<String>, Failure> {
        let mut bytes = self.read(path, MAX_KEY_FILE_LEN + 1)?;
        if bytes.len() > MAX_KEY_FILE_LEN {
            return Err(messages::key_file_too_large(path));
        }
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                let failure = messages::key_file_invalid(path, &error.utf8_error());
                drop(Zeroizing::new(error.into_bytes()));
                Err(failure)
            }
        }
    }

    fn read_identities(&mut self, path: &Path) -> Result<Vec<SecretKey>, Failure> {
        let text = self.read_text(path)?;
        parse_identities(&text).map_err(|error| match error.error {
            IdentityError::Empty => messages::no_identity_in(path),
            _ => messages::key_file_invalid(path, &error),
        })
    }

    /// Reads at most `limit` bytes of a file, or of standard input for `-`.
    fn read(&mut self, path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let failed = |error: io::Error| messages::key_file_unreadable(path, &error);
        let file = if is_dash(path.as_os_str()) {
            if std::mem::replace(&mut self.is_stdin_read, true) {
                return Err(messages::stdin_twice());
            }
            File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?)
        } else {
            File::open(path).map_err(failed)?
        };
        self.ids.push(id(&file).map_err(failed)?);
        read_secret(file.take(limit as u64)).map_err(failed)
    }

    fn check(&self, source: &Source, target: &Target) -> Result<(), Failure> {
        if self.ids.contains(&source.id()) {
            return Err(messages::key_is_data(source.path()));
        }
        if let Target::Path { path, .. } = target
            && let Ok(file) = std::fs::metadata(path)
            && !std::os::unix::fs::FileTypeExt::is_char_device(&file.file_type())
            && self.ids.contains(&(file.dev(), file.ino()))
        {
            return Err(messages::key_is_output(path));
        }
        Ok(())
    }
}

/// Device and inode of an open file.
fn id(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Reads to the end without leaving copies behind in memory: a buffer that
/// becomes too small is wiped, not moved.
fn read_secret(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; 4096]);
    let mut len = 0;
    loop {
        match from.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if len == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; 4 * len]);
            larger[..len].copy_from_slice(&bytes);
            bytes = larger;
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
