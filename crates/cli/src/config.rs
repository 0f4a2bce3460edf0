//! The user's defaults, merged into the flags.
//!
//! Flags override the environment, and that overrides the file. Keys are never mixed: the first
//! source that names any counts alone, so that nothing is encrypted to a recipient that only a
//! later one names.

mod environment;
mod file;
mod settings;

use std::path::PathBuf;

use crate::args::{
    self, Cli, Command, DecryptionArgs, EncryptionArgs, Format, Reading, Talk, UsualCost, Workers,
};
use crate::initial_environment;
use crate::messages::Failure;

pub(crate) use self::settings::{Found, Origin, Setting, Settings};

/// The settings of the file and the environment.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the file is, or would be.
    pub(crate) path: Option<PathBuf>,
    pub(crate) is_there: bool,
    pub(crate) file: Settings,
    pub(crate) environment: Settings,
    /// Whether the environment has a passphrase. It is not read here.
    pub(crate) has_passphrase: bool,
}

/// Fills in flags that were not given, for commands that have defaults.
pub(crate) fn settle(cli: &mut Cli) -> Result<(), Failure> {
    let Cli { command, talk, no_config } = cli;
    match command {
        Command::Encrypt(args) => {
            let config = Config::load(*no_config)?;
            config.fill_talk(talk);
            config.fill_workers(&mut args.files.workers);
            config.fill_format(args);
            config.fill_encryption(&args.passphrase, &mut args.encryption);
        }
        Command::Decrypt(args) => {
            let config = Config::load(*no_config)?;
            config.fill_talk(talk);
            config.fill_workers(&mut args.files.workers);
            config.fill_decryption(&mut args.decryption);
        }
        Command::Verify(args) | Command::List(args) => {
            let config = Config::load(*no_config)?;
            config.fill_talk(talk);
            config.fill_workers(&mut args.workers);
            config.fill_decryption(&mut args.decryption);
        }
        Command::Rekey(args) => {
            let config = Config::load(*no_config)?;
            config.fill_talk(talk);
            config.fill_decryption(&mut args.decryption);
            config.fill_reading(&mut args.reading);
            // New keys are named by flags only.
            args.new.usual = config.usual_cost();
        }
        Command::Inspect(args) => Config::load(*no_config)?.fill_reading(&mut args.reading),
        // They have no defaults, or are about them.
        Command::Benchmark(_)
        | Command::Completions(_)
        | Command::Config
        | Command::Keygen(_)
        | Command::Man(_) => {}
    }
    Ok(())
}

impl Config {
    /// Reads the environment, and the file if there is one.
    pub(crate) fn load(ignore_file: bool) -> Result<Self, Failure> {
        let place = if ignore_file { None } else { file::place() };
        let file = place.as_ref().map(file::read).transpose()?.flatten();
        Ok(Self {
            path: place.map(|place| place.path),
            is_there: file.is_some(),
            file: file.unwrap_or_default(),
            environment: environment::read()?,
            has_passphrase: initial_environment::has_passphrase(),
        })
    }

    /// A setting other than a key, from the first source that has it.
    pub(crate) fn get<'a, T>(
        &'a self,
        setting: impl Fn(&'a Settings) -> &'a Option<Found<T>>,
    ) -> Option<&'a Found<T>> {
        setting(&self.environment).as_ref().or_else(|| setting(&self.file).as_ref())
    }

    /// The keys to encrypt with if no flag names any, from the first source that has some. A
    /// passphrase encrypts alone.
    pub(crate) fn encryption(&self) -> Option<&Settings> {
        let mut places = [&self.environment, &self.file].into_iter();
        places.find(|place| place.names_key()).filter(|_| !self.has_passphrase)
    }

    /// The keys to decrypt with if no flag names any. With a passphrase, only those from the same
    /// source.
    pub(crate) fn decryption(&self) -> Option<&Settings> {
        let mut places = [&self.environment, &self.file].into_iter();
        places.find(|place| self.has_passphrase || place.identity.is_some())
    }

    fn fill_talk(&self, talk: &mut Talk) {
        talk.progress = talk.progress.or(self.get(|it| &it.progress).map(|found| found.value));
        talk.color = talk.color.or(self.get(|it| &it.color).map(|found| found.value));
    }

    fn fill_reading(&self, reading: &mut Reading) {
        let sandbox = self.get(|it| &it.sandbox).map(|found| found.value);
        reading.sandbox = reading.sandbox.or(sandbox);
    }

    fn fill_workers(&self, workers: &mut Workers) {
        let Workers { processes, sandbox } = workers;
        *processes = processes.or(self.get(|it| &it.processes).map(|found| found.value));
        *sandbox = sandbox.or(self.get(|it| &it.sandbox).map(|found| found.value));
    }

    /// A default of `native` does not override an output name or a flag that means age. A cost on
    /// the command line asks for its format.
    fn fill_format(&self, args: &mut args::Encrypt) {
        let is_age = self.get(|it| &it.format).is_some_and(|found| found.value == Format::Age);
        if is_age && args.format.is_none() && args.encryption.argon2id.is_none() {
            args.format = Some(Format::Age);
        }
    }

    fn fill_encryption(&self, passphrase: &args::Passphrase, encryption: &mut EncryptionArgs) {
        encryption.usual = self.usual_cost();
        self.fill_patience(&mut encryption.plugin_timeout);
        if passphrase.is_given() || encryption.names_key() {
            return;
        }
        let Some(keys) = self.encryption() else { return };
        encryption.recipient = value_of(&keys.recipients);
        encryption.recipients_file = value_of(&keys.recipients_files);
        // Recipients count alone; otherwise the user encrypts to their own identity.
        if !keys.names_recipient() {
            encryption.identity = value_of(&keys.identity);
        }
    }

    fn fill_decryption(&self, decryption: &mut DecryptionArgs) {
        self.fill_patience(&mut decryption.plugin_timeout);
        if !decryption.passphrase.is_given() && decryption.identity.is_empty() {
            decryption.identity =
                self.decryption().map(|keys| value_of(&keys.identity)).unwrap_or_default();
        }
    }

    fn fill_patience(&self, seconds: &mut Option<u64>) {
        *seconds = seconds.or(self.get(|it| &it.plugin_timeout).map(|found| found.value));
    }

    fn usual_cost(&self) -> UsualCost {
        UsualCost {
            argon2id: self.get(|it| &it.argon2id).map(|found| found.value),
            scrypt: self.get(|it| &it.scrypt).map(|found| found.value),
        }
    }
}

fn value_of<T: Clone + Default>(found: &Option<Found<T>>) -> T {
    found.as_ref().map(|found| found.value.clone()).unwrap_or_default()
}
