//! The user's defaults, merged into the flags.
//!
//! Flags override the environment, which overrides the file. Keys of several sources are never
//! combined: only the first source that names keys counts, so that nothing is encrypted to a
//! recipient that only a later source names.

mod environment;
mod file;
mod settings;

use std::path::PathBuf;

use cryptstream_remote::StoreOptions;

use crate::args::{
    self, CacheMode, Cli, Command, DecryptionArgs, DefaultCost, EncryptionArgs, Format, General,
    JobAction, JobPlan, Reading, RecipientArgs, ReportOptions, Workers,
};
use crate::initial_environment;
use crate::messages::Failure;

pub(crate) use self::settings::{ConfigValue, Origin, Setting, Settings};

/// The settings of the file and the environment.
#[derive(Debug)]
pub(crate) struct Config {
    /// The path of the file, which may not exist.
    pub(crate) path: Option<PathBuf>,
    pub(crate) is_there: bool,
    pub(crate) file: Settings,
    pub(crate) environment: Settings,
    /// Whether the environment has a passphrase. It is not read here.
    pub(crate) has_passphrase: bool,
}

/// Fills in flags that were not given, for commands that have defaults. Returns what the file says
/// of object stores.
pub(crate) fn apply_defaults(cli: &mut Cli) -> Result<StoreOptions, Failure> {
    let Cli { command, general: General { options, no_config } } = cli;
    let config = match command {
        // These have no defaults, or show them.
        Command::Benchmark(_)
        | Command::Completions(_)
        | Command::Config
        | Command::Keygen(_)
        | Command::Man(_) => return Ok(StoreOptions::default()),
        _ => Config::load(*no_config)?,
    };
    match command {
        Command::Encrypt(args) => {
            config.fill_report_options(options);
            config.fill_workers(&mut args.files.workers);
            config.fill_format(args);
            config.fill_encryption(&args.passphrase, &mut args.encryption);
        }
        Command::Decrypt(args) => {
            config.fill_report_options(options);
            config.fill_workers(&mut args.files.workers);
            config.fill_decryption(&mut args.decryption);
        }
        Command::Verify(args) | Command::List(args) => {
            config.fill_report_options(options);
            config.fill_workers(&mut args.workers);
            config.fill_decryption(&mut args.decryption);
        }
        Command::Rekey(args) => {
            config.fill_report_options(options);
            config.fill_decryption(&mut args.decryption);
            config.fill_reading(&mut args.reading);
            config.fill_cache(&mut args.cache);
            // Only flags name new keys.
            args.new.default_cost = config.default_cost();
        }
        Command::Job(args) => {
            config.fill_report_options(options);
            match &mut args.action {
                JobAction::Plan(args) if !args.decrypt => config.fill_plan(args),
                JobAction::Run(args) => config.fill_workers(&mut args.workers),
                _ => {}
            }
        }
        Command::Inspect(args) => config.fill_reading(&mut args.reading),
        _ => {}
    }
    Ok(config.file.storage.options)
}

impl Config {
    /// Reads the environment, and the file if there is one.
    pub(crate) fn load(ignore_file: bool) -> Result<Self, Failure> {
        let config_path = if ignore_file { None } else { file::config_path() };
        let file = config_path.as_ref().map(file::read).transpose()?.flatten();
        Ok(Self {
            path: config_path.map(|config_path| config_path.path),
            is_there: file.is_some(),
            file: file.unwrap_or_default(),
            environment: environment::read()?,
            has_passphrase: initial_environment::has_passphrase(),
        })
    }

    /// A setting other than a key, from the first source that has it.
    pub(crate) fn get<'a, T>(
        &'a self,
        setting: impl Fn(&'a Settings) -> &'a Option<ConfigValue<T>>,
    ) -> Option<&'a ConfigValue<T>> {
        setting(&self.environment).as_ref().or_else(|| setting(&self.file).as_ref())
    }

    /// The keys to encrypt with if no flag names any, from the first source that has some. A
    /// passphrase encrypts alone.
    pub(crate) fn encryption(&self) -> Option<&Settings> {
        let mut places = [&self.environment, &self.file].into_iter();
        places.find(|config_path| config_path.names_key()).filter(|_| !self.has_passphrase)
    }

    /// The keys to decrypt with if no flag names any. With a passphrase, only those from the same
    /// source.
    pub(crate) fn decryption(&self) -> Option<&Settings> {
        let mut places = [&self.environment, &self.file].into_iter();
        places.find(|config_path| self.has_passphrase || config_path.identity.is_some())
    }

    fn fill_report_options(&self, options: &mut ReportOptions) {
        options.progress =
            options.progress.or(self.get(|it| &it.progress).map(|value| value.value));
        options.color = options.color.or(self.get(|it| &it.color).map(|value| value.value));
    }

    fn fill_reading(&self, reading: &mut Reading) {
        let sandbox = self.get(|it| &it.sandbox).map(|value| value.value);
        reading.sandbox = reading.sandbox.or(sandbox);
    }

    fn fill_workers(&self, workers: &mut Workers) {
        let Workers { processes, sandbox, cache } = workers;
        *processes = processes.or(self.get(|it| &it.processes).map(|value| value.value));
        *sandbox = sandbox.or(self.get(|it| &it.sandbox).map(|value| value.value));
        self.fill_cache(cache);
    }

    fn fill_cache(&self, cache: &mut Option<CacheMode>) {
        *cache = cache.or(self.get(|it| &it.cache).map(|value| value.value));
    }

    /// A default of `native` does not override an output name or a flag that means age. A cost on
    /// the command line asks for its format.
    fn fill_format(&self, args: &mut args::Encrypt) {
        let is_age = self.get(|it| &it.format).is_some_and(|value| value.value == Format::Age);
        if is_age && args.format.is_none() && args.encryption.argon2id.is_none() {
            args.format = Some(Format::Age);
        }
    }

    fn fill_encryption(&self, passphrase: &args::Passphrase, encryption: &mut EncryptionArgs) {
        encryption.default_cost = self.default_cost();
        self.fill_plugin_timeout(&mut encryption.plugin_timeout);
        if !passphrase.is_given() {
            self.fill_recipients(&mut encryption.recipients);
        }
    }

    fn fill_recipients(&self, recipients: &mut RecipientArgs) {
        if recipients.names_key() {
            return;
        }
        let Some(keys) = self.encryption() else { return };
        recipients.recipient = value_of(&keys.recipients);
        recipients.recipients_file = value_of(&keys.recipients_files);
        // Recipients count alone; otherwise the user encrypts to their own identity.
        if !keys.names_recipient() {
            recipients.identity = value_of(&keys.identity);
        }
    }

    /// The recipients of a job, and its format.
    fn fill_plan(&self, args: &mut JobPlan) {
        args.format = args.format.or(self.get(|it| &it.format).map(|value| value.value));
        self.fill_recipients(&mut args.recipients);
    }

    fn fill_decryption(&self, decryption: &mut DecryptionArgs) {
        self.fill_plugin_timeout(&mut decryption.plugin_timeout);
        if !decryption.passphrase.is_given() && decryption.identity.is_empty() {
            decryption.identity =
                self.decryption().map(|keys| value_of(&keys.identity)).unwrap_or_default();
        }
    }

    fn fill_plugin_timeout(&self, seconds: &mut Option<u64>) {
        *seconds = seconds.or(self.get(|it| &it.plugin_timeout).map(|value| value.value));
    }

    fn default_cost(&self) -> DefaultCost {
        DefaultCost {
            argon2id: self.get(|it| &it.argon2id).map(|value| value.value),
            scrypt: self.get(|it| &it.scrypt).map(|value| value.value),
        }
    }
}

fn value_of<T: Clone + Default>(value: &Option<ConfigValue<T>>) -> T {
    value.as_ref().map(|value| value.value.clone()).unwrap_or_default()
}
