//! Keys: reads the files that flags name, and asks for passphrases.
//!
//! Keys are read before the input is opened, so that descriptor numbers mean what the caller
//! meant. Then input and output are opened, and only then is the user asked for anything. A
//! protected key asks when it is tried.

mod asked;
mod cached_identities;
mod cost;
mod files;
mod memory_check;
mod secret;
mod terminal;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cryptstream_beneath::KnownFile;
use cryptstream_engine::program::SecretScope;
use cryptstream_engine::{Source, Target};
use cryptstream_format::argon2id::{Cost, PassphraseIdentity, PassphraseRecipient, ReadLimit};
use cryptstream_format::{Format, Identity, Recipient};
use cryptstream_keys::{
    AnyIdentity, AnyRecipient, DEFAULT_LOG_N, Passphrase, ScryptIdentity, ScryptRecipient,
    SharedCallbacks, Timeout, parse_recipient, prepare_recipients,
};
use zeroize::Zeroizing;

use self::asked::AskedPassphrase;
pub(crate) use self::cached_identities::{CachedIdentities, NoMatchingKey};
use self::cost::parse_cost;
pub(crate) use self::cost::parse_encryption_cost;
pub(crate) use self::files::is_secret;
use self::files::{IdentityFileError, KeyFiles};
use self::secret::{Secret, ask_new};
use self::terminal::Terminal;
pub(crate) use self::terminal::restore as restore_terminal;
use crate::args::{self, DecryptionArgs, DefaultCost, EncryptionArgs, KeyPassphrase};
use crate::messages::{self, Failure};

/// The default time that a plugin may stay silent, in seconds.
pub(crate) const PLUGIN_TIMEOUT: u64 = 120;

/// Keys to encrypt with, before any question.
pub(crate) struct EncryptionKeys {
    passphrase: Secret,
    cost: Option<Cost>,
    log_n: Option<u8>,
    default_cost: DefaultCost,
    public: Vec<AnyRecipient>,
    /// Encrypt to their owners.
    own: Vec<AnyIdentity>,
    files: KeyFiles,
    callbacks: SharedCallbacks,
    timeout: Timeout,
}

impl EncryptionKeys {
    pub(crate) fn read(
        passphrase: &args::Passphrase,
        args: &EncryptionArgs,
        key: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, Failure> {
        Self::read_beside(passphrase, args, key, None)
    }

    /// Reads the keys after `beside`, and shares its callbacks.
    pub(crate) fn read_beside(
        passphrase: &args::Passphrase,
        args: &EncryptionArgs,
        key: Option<Zeroizing<Vec<u8>>>,
        beside: Option<&DecryptionKeys>,
    ) -> Result<Self, Failure> {
        let _secrets = SecretScope::open();
        let is_public = args.names_key();
        if is_public && passphrase.is_given() {
            return Err(messages::passphrase_and_recipients());
        }
        let mut files = KeyFiles::for_encryption();
        let passphrase = Secret::read(passphrase, key, !is_public, &mut files)?;
        let mut public = Vec::new();
        for text in &args.recipients.recipient {
            public.push(
                parse_recipient(text).map_err(|error| messages::bad_recipient(text, &error))?,
            );
        }
        let mut nobody = None;
        for path in &args.recipients.recipients_file {
            let read = files.read_recipients(path)?;
            for line in &read.passed_over {
                messages::warn(&messages::passed_over(path, line));
            }
            if read.recipients.is_empty() {
                nobody.get_or_insert(path);
            }
            public.extend(read.recipients);
        }
        let timeout = plugin_timeout(args.plugin_timeout);
        let callbacks = match beside {
            Some(keys) => SharedCallbacks::clone(&keys.callbacks),
            None => callbacks(&args.key_passphrase, &mut files)?,
        };
        let mut own = Vec::new();
        for path in &args.recipients.identity {
            let read = files.read_identities(path, &callbacks, timeout);
            own.extend(read.map_err(IdentityFileError::into_failure)?);
        }
        if let Some(path) = nobody {
            return Err(messages::no_recipient_in(path));
        }
        if public.is_empty() && own.is_empty() && matches!(passphrase, Secret::None) {
            return Err(messages::no_key_given(true));
        }
        let cost = encryption_cost(args.argon2id.as_deref())?;
        let log_n = args.scrypt;
        let default_cost = args.default_cost;
        Ok(Self { passphrase, cost, log_n, default_cost, public, own, files, callbacks, timeout })
    }

    /// Checks that no key file is read or overwritten as data.
    pub(crate) fn check(&self, source: &Source, target: &Target) -> Result<(), Failure> {
        self.files.check(source, target)
    }

    /// The files that keys were read from.
    pub(crate) fn key_files(&self) -> Vec<KnownFile> {
        self.files.known().to_vec()
    }

    /// Whether all keys are those of recipients, whose identities may be somebody else's.
    pub(crate) fn is_public_only(&self) -> bool {
        self.own.is_empty() && !self.has_passphrase()
    }

    /// Whether a passphrase is the key.
    pub(crate) fn has_passphrase(&self) -> bool {
        !matches!(self.passphrase, Secret::None)
    }

    /// Whether the user is asked for a passphrase.
    pub(crate) fn needs_prompt(&self) -> bool {
        matches!(self.passphrase, Secret::Ask)
    }

    /// The recipients in this format; asks for the passphrase if needed. `name` is what is
    /// encrypted, for the prompt.
    pub(crate) fn recipients(
        mut self,
        format: Format,
        name: &str,
    ) -> Result<Vec<Box<dyn Recipient + Sync>>, Failure> {
        self.check_cost(format)?;
        self.prepare(name)?;
        self.recipients_in(format)
    }

    /// Asks for the passphrase if needed, once for files of both formats. `name` is what is
    /// encrypted, for the prompt.
    pub(crate) fn prepare(&mut self, name: &str) -> Result<(), Failure> {
        let _secrets = SecretScope::open();
        if self.needs_prompt() {
            self.passphrase = Secret::Given(ask_new(name)?);
        }
        for identity in self.own.drain(..) {
            let recipients = identity.recipients();
            self.public.extend(recipients.map_err(|error| messages::key_failure(&error))?);
        }
        Ok(())
    }

    /// The recipients as text, for others who encrypt to them.
    pub(crate) fn recipient_texts(mut self) -> Result<Vec<String>, Failure> {
        self.prepare("")?;
        let text = |recipient: &AnyRecipient| match recipient {
            AnyRecipient::PluginOwner(_) => Err(messages::job::nameless_recipient()),
            recipient => Ok(recipient.to_string()),
        };
        self.public.iter().map(text).collect()
    }

    /// Refuses a cost for the other format.
    pub(crate) fn check_cost(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Age if self.cost.is_some() => Err(messages::cost_of_native()),
            Format::Native if self.log_n.is_some() => Err(messages::cost_of_age()),
            _ => Ok(()),
        }
    }

    /// The recipients in this format, after [`Self::prepare`].
    pub(crate) fn recipients_in(
        &self,
        format: Format,
    ) -> Result<Vec<Box<dyn Recipient + Sync>>, Failure> {
        let _secrets = SecretScope::open();
        self.check_cost(format)?;
        let Secret::Given(passphrase) = &self.passphrase else {
            return Ok(prepare_recipients(self.public.clone(), &self.callbacks, self.timeout));
        };
        let passphrase = passphrase.clone();
        if format == Format::Age {
            let log_n = self.log_n.or(self.default_cost.scrypt).unwrap_or(DEFAULT_LOG_N);
            let recipient = ScryptRecipient::new(passphrase.into_bytes(), log_n);
            return Ok(vec![Box::new(memory_check::recipient(recipient, 1 << log_n))]);
        }
        let cost = self.cost.or(self.default_cost.argon2id).unwrap_or(Cost::DEFAULT);
        if !ReadLimit::DEFAULT.allows(cost) {
            messages::note(&messages::high_cost_note(cost));
        }
        let recipient = PassphraseRecipient::new(passphrase.into_bytes(), cost)
            .map_err(|error| messages::internal(&error.to_string()))?;
        Ok(vec![Box::new(memory_check::recipient(recipient, cost.memory_kib))])
    }
}

/// The callbacks of keys that ask.
fn callbacks(args: &KeyPassphrase, files: &mut KeyFiles) -> Result<SharedCallbacks, Failure> {
    let KeyPassphrase { identity_passphrase_file, identity_passphrase_fd } = args;
    let given = files.read_passphrase(
        identity_passphrase_file.as_deref(),
        ("--identity-passphrase-fd", *identity_passphrase_fd),
    )?;
    let key_passphrase = given.map(|(_, passphrase)| passphrase);
    if let Some(kind) = key_passphrase.as_ref().and_then(Passphrase::warning) {
        messages::remember_passphrase_warning(kind);
    }
    Ok(Arc::new(Terminal { key_passphrase }))
}

/// The time that a plugin may stay silent.
fn plugin_timeout(seconds: Option<u64>) -> Timeout {
    let seconds = seconds.unwrap_or(PLUGIN_TIMEOUT);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn encryption_cost(text: Option<&str>) -> Result<Option<Cost>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let flag = "--argon2id";
    match (parse_encryption_cost(text), parse_cost(text)) {
        (Some(cost), _) => Ok(Some(cost)),
        (None, Some(_)) => Err(messages::weak_cost(flag, text)),
        (None, None) => Err(messages::bad_cost(flag, text)),
    }
}

fn warn_of(unusable: &Failure) {
    messages::warn(&messages::identity_passed_over(unusable));
}

/// Keys to decrypt with, before any question.
pub(crate) struct DecryptionKeys {
    passphrase: Secret,
    limit: ReadLimit,
    own: Vec<AnyIdentity>,
    files: KeyFiles,
    callbacks: SharedCallbacks,
}

impl DecryptionKeys {
    pub(crate) fn read(
        args: &DecryptionArgs,
        key: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, Failure> {
        let _secrets = SecretScope::open();
        let mut files = KeyFiles::for_decryption();
        let passphrase = Secret::read(&args.passphrase, key, true, &mut files)?;
        let callbacks = callbacks(&args.key_passphrase, &mut files)?;
        let (mut own, mut unusable) = (Vec::new(), Vec::new());
        for path in &args.identity {
            match files.read_identities(path, &callbacks, plugin_timeout(args.plugin_timeout)) {
                Ok(identities) => own.extend(identities),
                Err(IdentityFileError::Unusable(failure)) => unusable.push(failure),
                Err(error) => return Err(error.into_failure()),
            }
        }
        // Other identities may fit; without any, the first failure counts.
        if own.is_empty() && !unusable.is_empty() && matches!(passphrase, Secret::None) {
            let first = unusable.remove(0);
            unusable.iter().for_each(warn_of);
            return Err(first);
        }
        unusable.iter().for_each(warn_of);
        let passphrase = match passphrase {
            // As age does, but only where the user can see the prompt.
            Secret::None if io::stderr().is_terminal() && terminal::is_there() => Secret::Ask,
            Secret::None if own.is_empty() => return Err(messages::no_key_given(false)),
            passphrase => passphrase,
        };
        let limit = match &args.argon2id_limit {
            None => ReadLimit::DEFAULT,
            Some(text) => parse_cost(text)
                .map(ReadLimit::up_to)
                .ok_or_else(|| messages::bad_cost("--argon2id-limit", text))?,
        };
        Ok(Self { passphrase, limit, own, files, callbacks })
    }

    /// Checks that no key file is read or overwritten as data.
    pub(crate) fn check(&self, source: &Source, target: &Target) -> Result<(), Failure> {
        self.files.check(source, target)
    }

    /// The files that keys were read from.
    pub(crate) fn key_files(&self) -> Vec<KnownFile> {
        self.files.known().to_vec()
    }

    /// Whether a passphrase is among the keys.
    pub(crate) fn has_passphrase(&self) -> bool {
        !matches!(self.passphrase, Secret::None)
    }

    /// Whether trying the identities on another file may ask the user again.
    pub(crate) fn may_ask_again(&self) -> bool {
        // The only one has been tried on the first file.
        let is_only = self.own.len() == 1 && !matches!(self.passphrase, Secret::Given(_));
        let asks = |identity: &AnyIdentity| identity.may_prompt() && !is_only;
        self.own.iter().any(|identity| identity.prefers_batch() || asks(identity))
    }

    /// The identities: first those that cost nothing to try, then those that may ask. A
    /// passphrase is asked for when the first file needs it. `name` is what is decrypted, for the
    /// prompt.
    pub(crate) fn identities(self, name: &str) -> Result<Vec<Box<dyn Identity>>, Failure> {
        let _secrets = SecretScope::open();
        let mut own = self.own;
        own.sort_by_key(AnyIdentity::effort);
        let boxed = |identity| Box::new(identity) as Box<dyn Identity>;
        let mut keys: Vec<_> = own.into_iter().map(boxed).collect();
        let passphrase = match self.passphrase {
            Secret::None => return Ok(keys),
            Secret::Given(passphrase) => passphrase,
            Secret::Ask => {
                let asked = AskedPassphrase::new(name, self.limit);
                keys.push(Box::new(memory_check::identity(asked, self.limit)));
                return Ok(keys);
            }
        };
        let scrypt = ScryptIdentity::new(passphrase.clone().into_bytes());
        let argon2id = PassphraseIdentity::new(passphrase.into_bytes(), self.limit);
        keys.push(Box::new(memory_check::identity(scrypt, self.limit)));
        keys.push(Box::new(memory_check::identity(argon2id, self.limit)));
        Ok(keys)
    }
}

/// The recipients of the identities in a file.
pub(crate) fn recipients_of(
    path: &Path,
    key_passphrase: &KeyPassphrase,
) -> Result<Vec<AnyRecipient>, Failure> {
    let _secrets = SecretScope::open();
    let mut files = KeyFiles::for_encryption();
    let callbacks = callbacks(key_passphrase, &mut files)?;
    let identities =
        files.read_identities(path, &callbacks, None).map_err(IdentityFileError::into_failure)?;
    let mut recipients = Vec::new();
    for identity in &identities {
        recipients.extend(identity.recipients().map_err(|error| messages::key_failure(&error))?);
    }
    Ok(recipients)
}
