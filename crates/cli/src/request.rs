//! The command line as it was meant: defaults settled, contradictions found.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

use cryptstream_beneath::FileEntry;
use cryptstream_engine::{
    CommitOptions, Encrypt, Engine, Error, Form, Parser, Processes, Progress, SandboxMode, Source,
    Summary, Target, WorkerOptions, leftover_of,
};
use cryptstream_format::argon2id::Cost;
use cryptstream_format::{Format, Recipient};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::args::{self, Files, Sandbox, descriptor, is_stdin, is_stdout};
use crate::messages::{self, Context, Failure};
use crate::system;

/// What a sealed file's name ends in.
pub(crate) const SUFFIX: &str = ".enc";
pub(crate) const AGE_SUFFIX: &str = ".age";

/// Where the data comes from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Stdin,
    /// As the user has named it.
    Path(PathBuf),
    /// A file that was found in a folder, and its path.
    Entry(FileEntry, PathBuf),
    /// Something in a folder that could not be looked at.
    Unreadable(PathBuf, Errno),
    /// A pipe or a device that was found in a folder.
    Special(PathBuf),
}

impl Input {
    pub(crate) fn open(&self) -> Result<Source, Error> {
        match self {
            Self::Stdin if system::is_input_closed() => Err(Error::Open {
                path: "standard input".into(),
                source: io::Error::other("it is closed"),
            }),
            Self::Stdin => Source::stdin(),
            Self::Path(path) => Source::open(path),
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
            | Self::Entry(_, path)
            | Self::Unreadable(path, _)
            | Self::Special(path) => Some(path),
        }
    }
}

/// A file on its way: from where, to where, and how it ends.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) input: Input,
    pub(crate) target: Target,
    pub(crate) commit: CommitOptions,
    /// What is to be written.
    pub(crate) form: Form,
    pub(crate) workers: WorkerOptions,
}

impl Transfer {
    /// What `encrypt` was told.
    pub(crate) fn encrypt(
        files: Files,
        format: Option<args::Format>,
        armor: bool,
    ) -> Result<Self, Failure> {
        let form = output_form(format, armor)?;
        let suffix = suffix_of(form.format());
        let transfer = Self::new(files, |input| Ok(with_suffix(input, suffix).into()))?;
        let form = match (form, &transfer.target) {
            (Form::Binary(Format::Native), Target::Path { path, .. })
                if format.is_none() && ends_with(path, AGE_SUFFIX) =>
            {
                Form::Binary(Format::Age)
            }
            (form, _) => form,
        };
        match transfer.target {
            Target::Stdout { only_text: true } if !armor => Err(messages::binary_to_terminal()),
            _ => Ok(Self { form, ..transfer }),
        }
    }

    /// What `decrypt` was told.
    pub(crate) fn decrypt(files: Files) -> Result<Self, Failure> {
        Self::new(files, without_suffix)
    }

    /// What `decrypt --range` was told. A part must not stand under the name of
    /// the whole, so without OUTPUT it goes to standard output.
    pub(crate) fn decrypt_range(files: Files) -> Result<Self, Failure> {
        let has_output = files.output.is_some();
        // Standard input by this name may be a file, any part of which can be read.
        let named = files.input.clone().filter(|path| descriptor(path) == Some(0));
        let mut transfer = Self::new(files, |input| Ok(input.to_owned()))?;
        if let Some(path) = named {
            transfer.input = Input::Path(path);
        }
        match transfer.input.path() {
            None => Err(messages::range_of_stdin()),
            Some(_) if has_output => Ok(transfer),
            Some(_) => {
                if system::is_output_closed() {
                    return Err(messages::closed_output());
                }
                let target = Target::Stdout { only_text: io::stdout().is_terminal() };
                Ok(Self { target, ..transfer })
            }
        }
    }

    fn new(
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
        } = files;
        if !more.is_empty() {
            return Err(messages::tree::no_output_dir());
        }
        let input = match input {
            Some(path) if !is_stdin(&path) => Input::Path(path),
            Some(_) => Input::Stdin,
            None if io::stdin().is_terminal() => return Err(messages::no_input()),
            None => Input::Stdin,
        };
        let target = match (output, input.path()) {
            (Some(path), _) if !is_stdout(&path) => Target::Path { path, force },
            (Some(_), _) => Target::Stdout { only_text: false },
            (None, Some(path)) if descriptor(path).is_some() => {
                return Err(messages::nameless(path));
            }
            (None, Some(path)) => Target::Path { path: default_name(path)?, force },
            (None, None) => Target::Stdout { only_text: io::stdout().is_terminal() },
        };
        if matches!(target, Target::Stdout { .. }) && system::is_output_closed() {
            return Err(messages::closed_output());
        }
        if matches!(target, Target::Stdout { .. }) {
            messages::keep_off_stdout();
        }
        let commit = CommitOptions { sync, remove_source, verify, ..CommitOptions::default() };
        let workers = worker_options(&workers);
        let form = Form::Binary(Format::Native);
        Ok(Self { input, target, commit, form, workers })
    }

    /// Opens the input, and sees to it that the output is not in the way.
    pub(crate) fn begin(&self) -> Result<Source, Failure> {
        let parser = self.parser()?;
        let source = self.input.open().map_err(|error| match &error {
            Error::Open { path, source } if source.kind() == io::ErrorKind::NotFound => {
                match leftover_of(path) {
                    Some(aside) => messages::tree::left_aside(path, &aside),
                    None => messages::missing(path),
                }
            }
            _ => messages::engine(error, Context::default()),
        })?;
        let source = source.parsed_by(&parser);
        let checked = self.target.check(&source);
        checked.map_err(|error| messages::engine(error, Context::default()))?;
        Ok(source)
    }

    /// Who parses the input.
    pub(crate) fn parser(&self) -> Result<Parser, Failure> {
        let parser = Parser::new(&self.workers);
        parser.map_err(|error| messages::engine(error, Context::default()))
    }

    /// What is typed at a terminal is read to its end before anything is done
    /// with it, so that it does not mix with what comes out; and the end counts
    /// once, though reading on would be possible.
    pub(crate) fn take_typed(&self, source: Source) -> Result<Source, Failure> {
        let stdin = io::stdin();
        if !matches!(self.input, Input::Stdin) || !stdin.is_terminal() {
            return Ok(source);
        }
        let failed = |source| Error::Read { path: "standard input".into(), offset: 0, source };
        let failed = |error| messages::engine(failed(error), Context::default());
        let mut typed = Zeroizing::new(Vec::new());
        stdin.lock().read_to_end(&mut typed).map_err(failed)?;
        let null = File::open("/dev/null").map_err(failed)?;
        let (mut pipe, source) = Source::piped("standard input".into(), &null)
            .map_err(|error| messages::engine(error, Context::default()))?;
        let writer = thread::Builder::new().name("typed".to_owned());
        let write = move || {
            // The other side may have seen enough.
            if pipe.write_all(&typed).is_ok() {
                pipe.finish();
            }
        };
        writer.spawn(write).map_err(failed)?;
        Ok(source)
    }

    /// What does the work.
    pub(crate) fn engine(&self) -> Engine {
        Engine::new(self.workers.clone(), cores())
    }

    /// Encrypts `source`, which is the input or what was made of it.
    pub(crate) fn encrypt_from(
        &self,
        source: &mut Source,
        recipients: &[&(dyn Recipient + Sync)],
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        self.engine().encrypt(
            Encrypt::source(source)
                .target(self.target.clone())
                .form(self.form)
                .recipients(recipients)
                .commit(self.commit)
                .progress(progress),
        )
    }

    /// What messages about this transfer depend on.
    pub(crate) fn context(&self, has_passphrase: bool) -> Context {
        // Pipes and devices get what is written at once.
        let is_special = |path: &Path| fs::metadata(path).is_ok_and(|it| !it.is_file());
        let is_stream = self.is_stdout_data() || self.target.path().is_some_and(is_special);
        Context { has_passphrase, is_stream, is_armored: false }
    }

    /// The output's name as it can be shown.
    pub(crate) fn output_label(&self) -> String {
        self.target.path().map_or_else(|| "standard output".to_owned(), messages::quoted)
    }

    /// Whether standard output carries the data.
    pub(crate) fn is_stdout_data(&self) -> bool {
        matches!(self.target, Target::Stdout { .. })
    }
}

/// What is to be written, as far as flags say.
pub(crate) fn output_form(format: Option<args::Format>, armor: bool) -> Result<Form, Failure> {
    match format {
        Some(args::Format::Native) if armor => Err(messages::armor_is_age()),
        _ if armor => Ok(Form::Armored),
        Some(args::Format::Age) => Ok(Form::Binary(Format::Age)),
        Some(args::Format::Native) | None => Ok(Form::Binary(Format::Native)),
    }
}

/// The workers as they were asked for.
pub(crate) fn worker_options(workers: &args::Workers) -> WorkerOptions {
    WorkerOptions {
        processes: workers.processes.unwrap_or(Processes::Auto),
        sandbox: match workers.sandbox {
            Some(Sandbox::Require) => SandboxMode::Require,
            Some(Sandbox::Auto) | None => SandboxMode::Auto,
            Some(Sandbox::Off) => SandboxMode::Off,
        },
        program: system::worker_program(),
    }
}

/// Cores that this process may use, affinity and quota included.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A name, or a path, with a suffix.
pub(crate) fn with_suffix(name: impl AsRef<OsStr>, suffix: &str) -> OsString {
    let mut name = name.as_ref().to_owned();
    name.push(suffix);
    name
}

fn without_suffix(input: &Path) -> Result<PathBuf, Failure> {
    match input.file_stem() {
        Some(stem) if is_encrypted_name(input) => Ok(input.with_file_name(stem)),
        _ => Err(no_default_name(input)),
    }
}

/// Why there is no name for the output of `input`: it is not there itself, perhaps.
pub(crate) fn no_default_name(input: &Path) -> Failure {
    match input.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => messages::missing(input),
        _ => messages::no_default_name(input),
    }
}

/// What names of sealed files end in.
pub(crate) fn suffix_of(format: Format) -> &'static str {
    if format == Format::Age { AGE_SUFFIX } else { SUFFIX }
}

/// Whether a name is that of a sealed file.
pub(crate) fn is_encrypted_name(path: &Path) -> bool {
    ends_with(path, SUFFIX) || ends_with(path, AGE_SUFFIX)
}

/// Whether a name ends in one of the suffixes above, with something before it.
pub(crate) fn ends_with(path: &Path, suffix: &str) -> bool {
    path.extension().is_some_and(|extension| extension == &suffix[1..])
}

/// Reads `MEM[,T[,P]]`, such as `256MiB,3,4`; what is left out is taken from
/// [`Cost::DEFAULT`].
pub(crate) fn parse_cost(text: &str) -> Option<Cost> {
    let default = Cost::DEFAULT;
    let mut parts = text.split(',');
    let memory_kib = parse_memory_kib(parts.next()?)?;
    let mut number = |default| parts.next().map_or(Some(default), |part| part.parse().ok());
    let cost = Cost { memory_kib, passes: number(default.passes)?, lanes: number(default.lanes)? };
    parts.next().is_none().then_some(cost)
}

/// Reads the same for a new file: what protects too little is refused.
pub(crate) fn parse_encryption_cost(text: &str) -> Option<Cost> {
    parse_cost(text).filter(|cost| {
        cost.memory_kib >= Cost::MIN.memory_kib
            && cost.passes >= Cost::MIN.passes
            && cost.lanes >= Cost::MIN.lanes
    })
}

fn parse_memory_kib(text: &str) -> Option<u32> {
    [("GiB", 1 << 20), ("MiB", 1 << 10), ("KiB", 1)].iter().find_map(|(unit, kib)| {
        text.strip_suffix(unit)?.trim_end().parse::<u32>().ok()?.checked_mul(*kib)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_names_add_and_take_off_the_suffix() {
        assert_eq!(with_suffix(Path::new("dir/a.tar"), SUFFIX), Path::new("dir/a.tar.enc"));
        let plain = |name| without_suffix(Path::new(name)).ok();
        assert_eq!(plain("dir/a.tar.enc"), Some("dir/a.tar".into()));
        assert_eq!(plain("a.age"), Some("a".into()));
        assert_eq!(plain("a.txt"), None);
        assert_eq!(plain("dir/.enc"), None);
        assert_eq!(plain("dir/x.enc/"), Some("dir/x".into()));
    }

    #[test]
    fn costs_are_read() {
        let cost = parse_cost;
        assert_eq!(cost("64MiB"), Some(Cost { memory_kib: 65536, passes: 3, lanes: 4 }));
        assert_eq!(cost("1GiB,5,8"), Some(Cost { memory_kib: 1 << 20, passes: 5, lanes: 8 }));
        assert_eq!(cost("70000KiB,4"), Some(Cost { memory_kib: 70_000, passes: 4, lanes: 4 }));
        for wrong in ["", "64", "64MB", "MiB", "-1MiB", "64MiB,", "64MiB,3,4,5", "9999999GiB"] {
            assert_eq!(cost(wrong), None, "{wrong:?}");
        }
    }
}
