//! What the command line means: resolves defaults and finds contradictions.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;

use cryptstream_beneath::FileEntry;
use cryptstream_engine::program::leftover_of;
use cryptstream_engine::{
    Cache, CommitOptions, Encrypt, Engine, EngineOptions, Error, ObjectError, OutputFormat, Parser,
    Processes, Progress, SandboxMode, Source, Summary, Target,
};
use cryptstream_format::{Format, Recipient};
use cryptstream_remote::ObjectUrl;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::args::{self, Files, Sandbox, descriptor, is_stdin, is_stdout};
use crate::file_names::{AGE_SUFFIX, ends_with, suffix_of, with_suffix, without_suffix};
use crate::messages::{self, Context, Failure, Printed};
use crate::verb::Verb;
use crate::{objects, system};

/// Where the data comes from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Stdin,
    /// As the user has named it.
    Path(PathBuf),
    /// An object in a store, and its URL as it is shown.
    Object(ObjectUrl, PathBuf),
    /// All objects below a URL.
    Prefix(ObjectUrl, PathBuf),
    /// Something in a store that could not be listed, or has a key that cannot be used.
    Unlisted(PathBuf, ObjectError),
    /// A file that was found in a folder, and its path.
    Entry(FileEntry, PathBuf),
    /// Something in a folder that could not be looked at.
    Unreadable(PathBuf, Errno),
    /// A pipe or a device that was found in a folder.
    Special(PathBuf),
}

impl Input {
    /// What the user has named.
    pub(crate) fn named(path: PathBuf) -> Result<Self, Failure> {
        match objects::url(&path) {
            _ if is_stdin(&path) => Ok(Self::Stdin),
            None => Ok(Self::Path(path)),
            Some(Ok(url)) if url.is_prefix() => Err(messages::objects::is_prefix(&path)),
            Some(Ok(url)) => {
                let shown = url.to_string().into();
                Ok(Self::Object(url, shown))
            }
            Some(Err(error)) => Err(messages::objects::bad_url(&path, &error)),
        }
    }

    /// What the user has named, which may be a prefix.
    pub(crate) fn named_or_prefix(path: PathBuf) -> Result<Self, Failure> {
        match objects::url(&path) {
            Some(Ok(url)) if url.is_prefix() => Ok(Self::Prefix(url, path)),
            _ => Self::named(path),
        }
    }

    /// Whether it is on a web server, which can only be read.
    pub(crate) fn is_web(&self) -> bool {
        matches!(self, Self::Object(url, _) if url.is_web())
    }

    /// Refuses an object as its own output.
    fn check_other_than(&self, output: &Path, verb: Verb) -> Result<(), Failure> {
        match self {
            Self::Object(url, input)
                if objects::url(output).is_some_and(|it| it.as_ref() == Ok(url)) =>
            {
                let error = Error::SameFile { input: input.clone(), output: output.to_owned() };
                Err(messages::engine(error, verb))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn open(&self) -> Result<Source, Error> {
        match self {
            Self::Stdin if system::is_input_closed() => Err(Error::Open {
                path: "standard input".into(),
                source: io::Error::other("it is closed"),
            }),
            Self::Stdin => Source::stdin(),
            Self::Path(path) => Source::open(path),
            Self::Object(url, _) => objects::open(url),
            // It is opened if nothing is below it.
            Self::Prefix(_, path) => Err(Error::InputIsDirectory { path: path.clone() }),
            Self::Unlisted(path, error) => {
                Err(Error::Open { path: path.clone(), source: error.clone().into() })
            }
            Self::Entry(entry, path) => Source::open_entry(entry, path),
            Self::Special(path) => Err(Error::Open {
                path: path.clone(),
                source: io::Error::other(messages::SPECIAL_IN_FOLDER),
            }),
            Self::Unreadable(path, Errno::STALE) => Err(Error::InputChanged { path: path.clone() }),
            Self::Unreadable(path, error) => {
                Err(Error::Open { path: path.clone(), source: (*error).into() })
            }
        }
    }

    /// Its path; `None` for standard input.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::Path(path)
            | Self::Object(_, path)
            | Self::Prefix(_, path)
            | Self::Unlisted(path, _)
            | Self::Entry(_, path)
            | Self::Unreadable(path, _)
            | Self::Special(path) => Some(path),
        }
    }

    /// Its path for messages about its content.
    pub(crate) fn path_for_messages(&self) -> &Path {
        self.path().unwrap_or(Path::new("standard input"))
    }
}

/// The encryption or decryption of one file.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) verb: Verb,
    pub(crate) input: Input,
    pub(crate) target: Target,
    pub(crate) commit: CommitOptions,
    /// The format to write.
    pub(crate) output_format: OutputFormat,
    pub(crate) workers: EngineOptions,
}

impl Transfer {
    /// From the flags of `encrypt`.
    pub(crate) fn encrypt(
        verb: Verb,
        files: Files,
        format: Option<args::Format>,
        armor: bool,
    ) -> Result<Self, Failure> {
        let output_format = output_format(format, armor)?;
        let suffix = suffix_of(output_format.format());
        let transfer = Self::new(verb, files, |input| Ok(with_suffix(input, suffix).into()))?;
        let output_format = match (output_format, &transfer.target) {
            (OutputFormat::Binary(Format::Native), Target::Path { path, .. })
                if format.is_none() && ends_with(path, AGE_SUFFIX) =>
            {
                OutputFormat::Binary(Format::Age)
            }
            (output_format, target) => {
                if let (OutputFormat::Binary(Format::Native), Target::Path { path, .. }) =
                    (output_format, target)
                    && ends_with(path, AGE_SUFFIX)
                {
                    messages::warn(&messages::native_named_as_age(path));
                }
                output_format
            }
        };
        match transfer.target {
            Target::Stdout { only_text: true } if !armor => Err(messages::binary_to_terminal()),
            _ => Self { output_format, ..transfer }.with_object(),
        }
    }

    /// From the flags of `decrypt`.
    pub(crate) fn decrypt(verb: Verb, files: Files) -> Result<Self, Failure> {
        messages::check_is_file(files.input.as_deref(), verb)?;
        Self::new(verb, files, without_suffix)?.with_object()
    }

    /// From the flags of `decrypt --range`. A part must not get the name of the whole, so it goes
    /// to standard output by default.
    pub(crate) fn decrypt_range(files: Files) -> Result<Self, Failure> {
        messages::check_is_file(files.input.as_deref(), Verb::Range)?;
        let has_output = files.output.is_some();
        // A descriptor's path may lead to a regular file, any part of which can be read.
        let named = files.input.clone().filter(|path| descriptor(path) == Some(0));
        let mut transfer = Self::new(Verb::Range, files, |input| Ok(input.to_owned()))?;
        if let Some(path) = named {
            transfer.input = Input::Path(path);
        }
        match transfer.input.path() {
            None => Err(messages::range_of_stdin()),
            Some(_) if has_output => transfer.with_object(),
            Some(_) => {
                if system::is_output_closed() {
                    return Err(messages::closed_output(Printed::Data));
                }
                let target = Target::Stdout { only_text: io::stdout().is_terminal() };
                Ok(Self { target, ..transfer })
            }
        }
    }

    fn new(
        verb: Verb,
        files: Files,
        default_name: impl Fn(&Path) -> Result<PathBuf, Failure>,
    ) -> Result<Self, Failure> {
        let Files {
            input,
            output,
            named_output: _,
            more,
            file_list: _,
            force,
            remove_source,
            verify_output: verify,
            sync,
            workers,
            storage: _,
        } = files;
        if !more.is_empty() {
            return Err(messages::tree::no_output_dir());
        }
        let input = match input {
            Some(path) => Input::named(path)?,
            None if io::stdin().is_terminal() => return Err(messages::no_input()),
            None => Input::Stdin,
        };
        if let Some(path) = input.path().filter(|_| input.is_web() && (remove_source || verify)) {
            let flag = if remove_source { "--remove-source" } else { "--verify-output" };
            return Err(messages::objects::flag_needs_files(path, flag));
        }
        let target = match (output, input.path()) {
            (Some(path), _) if !is_stdout(&path) => Target::Path { path, force },
            (Some(_), _) => Target::Stdout { only_text: false },
            (None, Some(path)) if descriptor(path).is_some() => {
                return Err(messages::nameless(path));
            }
            (None, Some(path)) if input.is_web() && verb != Verb::Range => {
                return Err(messages::objects::read_only(path));
            }
            (None, Some(path)) => Target::Path { path: default_name(path)?, force },
            (None, None) => Target::Stdout { only_text: io::stdout().is_terminal() },
        };
        if let Target::Path { path, .. } = &target
            && verb != Verb::Extract
            && path.as_os_str().as_bytes().ends_with(b"/")
            && objects::url(path).is_none()
            && !path.is_dir()
        {
            return Err(messages::output_no_folder(path));
        }
        if matches!(target, Target::Stdout { .. }) && system::is_output_closed() {
            return Err(messages::closed_output(Printed::Data));
        }
        let commit = CommitOptions { sync, remove_source, verify, ..CommitOptions::default() };
        let workers = engine_options(&workers);
        let output_format = OutputFormat::Binary(Format::Native);
        Ok(Self { verb, input, target, commit, output_format, workers })
    }

    /// Begins to write an object, if the output is one. Comes last, since the store is asked.
    fn with_object(self) -> Result<Self, Failure> {
        let target = match self.target {
            Target::Path { path, force } => {
                self.input.check_other_than(&path, self.verb)?;
                object_target(path, force, self.verb)?
            }
            target => target,
        };
        Ok(Self { target, ..self })
    }

    /// Opens the input, and checks the output against it.
    pub(crate) fn begin(&self) -> Result<Source, Failure> {
        let parser = self.parser()?;
        let source = self.input.open().map_err(|error| match &error {
            Error::Open { path, source }
                if source.kind() == io::ErrorKind::NotFound && !self.is_object() =>
            {
                match leftover_of(path) {
                    Some(temporary) => messages::tree::renamed_for_removal(path, &temporary),
                    None => messages::missing(path),
                }
            }
            _ => messages::engine(error, self.verb),
        })?;
        let source = source.parsed_by(&parser);
        self.target.check(&source).map_err(|error| messages::engine(error, self.verb))?;
        Ok(source)
    }

    fn is_object(&self) -> bool {
        matches!(self.input, Input::Object(..))
    }

    /// The parser of the input.
    pub(crate) fn parser(&self) -> Result<Parser, Failure> {
        let parser = Parser::new(&self.workers);
        parser.map_err(|error| messages::engine(error, self.verb))
    }

    /// Reads all input from a terminal first, so that it is not mixed with the output, and so
    /// that one end of file is enough.
    pub(crate) fn take_typed(&self, source: Source) -> Result<Source, Failure> {
        let stdin = io::stdin();
        if !matches!(self.input, Input::Stdin) || !stdin.is_terminal() {
            return Ok(source);
        }
        let failed = |source| Error::Read { path: "standard input".into(), offset: 0, source };
        let failed = |error| messages::engine(failed(error), self.verb);
        let mut typed = Zeroizing::new(Vec::new());
        stdin.lock().read_to_end(&mut typed).map_err(failed)?;
        let null = File::open("/dev/null").map_err(failed)?;
        let (mut pipe, source) = Source::piped("standard input".into(), &null)
            .map_err(|error| messages::engine(error, self.verb))?;
        let writer = thread::Builder::new().name("typed".to_owned());
        let write = move || {
            // The reader may have stopped early.
            if pipe.write_all(&typed).is_ok() {
                pipe.finish();
            }
        };
        writer.spawn(write).map_err(failed)?;
        Ok(source)
    }

    /// The engine.
    pub(crate) fn engine(&self) -> Engine {
        Engine::with_options(self.workers.clone())
    }

    /// Encrypts `source`, which stands for the input.
    pub(crate) fn encrypt_from(
        &self,
        source: &mut Source,
        recipients: &[&(dyn Recipient + Sync)],
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        self.engine().encrypt(
            Encrypt::source(source)
                .target(self.target.clone())
                .format(self.output_format)
                .recipients(recipients)
                .commit(self.commit)
                .progress(progress),
        )
    }

    /// The context of messages about this transfer.
    pub(crate) fn context(&self, has_passphrase: bool) -> Context {
        // Pipes and devices receive data before all of it is verified.
        let is_special = |path: &Path| fs::metadata(path).is_ok_and(|it| !it.is_file());
        let is_stream = self.is_stdout_data() || self.target.path().is_some_and(is_special);
        Context { has_passphrase, is_stream, ..self.verb.into() }
    }

    /// The output's name for messages.
    pub(crate) fn output_label(&self) -> String {
        self.target.path().map_or_else(|| "standard output".to_owned(), messages::quoted)
    }

    /// Whether standard output carries the data.
    pub(crate) fn is_stdout_data(&self) -> bool {
        matches!(self.target, Target::Stdout { .. })
    }
}

/// The output at `path`, which may be the URL of an object.
fn object_target(path: PathBuf, force: bool, verb: Verb) -> Result<Target, Failure> {
    match objects::url(&path) {
        None => Ok(Target::Path { path, force }),
        Some(Ok(url)) if url.is_prefix() => Err(messages::objects::is_prefix(&path)),
        Some(Ok(url)) if url.is_web() => Err(messages::objects::read_only(&path)),
        Some(Ok(_)) if matches!(verb, Verb::Extract | Verb::Salvage) => {
            Err(messages::objects::needs_file(&path))
        }
        Some(Ok(url)) => {
            objects::create(&url, force).map_err(|error| messages::engine(error, verb))
        }
        Some(Err(error)) => Err(messages::objects::bad_url(&path, &error)),
    }
}

/// The format to write, as far as flags determine it.
pub(crate) fn output_format(
    format: Option<args::Format>,
    armor: bool,
) -> Result<OutputFormat, Failure> {
    match format {
        Some(args::Format::Native) if armor => Err(messages::armor_is_age()),
        _ if armor => Ok(OutputFormat::Armored),
        Some(args::Format::Age) => Ok(OutputFormat::Binary(Format::Age)),
        Some(args::Format::Native) | None => Ok(OutputFormat::Binary(Format::Native)),
    }
}

/// The worker options from the flags.
pub(crate) fn engine_options(workers: &args::Workers) -> EngineOptions {
    EngineOptions {
        processes: workers.processes.unwrap_or(Processes::Auto),
        sandbox: sandbox_mode(workers.sandbox),
        program: system::worker_program(),
        cache: workers.cache.map_or(Cache::Auto, Cache::from),
    }
}

/// The mode of the sandbox from its flag.
pub(crate) fn sandbox_mode(sandbox: Option<Sandbox>) -> SandboxMode {
    match sandbox {
        Some(Sandbox::Require) => SandboxMode::Require,
        Some(Sandbox::Auto) | None => SandboxMode::Auto,
        Some(Sandbox::Off) => SandboxMode::Off,
    }
}

/// The cores that this process may use, within its affinity and quota.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
