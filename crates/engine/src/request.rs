//! What an [`Engine`](crate::Engine) is asked to do: one struct for each verb.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use cryptstream_format::{Format, Identity, Recipient};

use crate::{CommitOptions, Error, Form, Parser, Progress, Source, Target};

/// A file to encrypt, and for whom. Without [`to`](Self::to) the result goes to standard
/// output.
#[must_use = "it does nothing until an engine gets it"]
pub struct Encrypt<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) target: Target,
    pub(crate) form: Form,
    pub(crate) recipients: &'a [&'a (dyn Recipient + Sync)],
    pub(crate) commit: CommitOptions,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> Encrypt<'a> {
    /// Encrypts the file, pipe or device at `path`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Input::Path(path.into()))
    }

    /// Encrypts an input that is open.
    pub fn source(source: &'a mut Source) -> Self {
        Self::new(Input::Source(source))
    }

    fn new(input: Input<'a>) -> Self {
        Self {
            input,
            target: STDOUT,
            form: Form::Binary(Format::Native),
            recipients: &[],
            commit: CommitOptions::default(),
            progress: &(),
        }
    }

    /// Writes a new file at `path`. Where there is one, encrypting fails.
    pub fn to(self, path: impl Into<PathBuf>) -> Self {
        self.target(Target::Path { path: path.into(), force: false })
    }

    /// Writes to any target.
    pub fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// Who can decrypt the result: at least one recipient.
    pub fn recipients(self, recipients: &'a [&'a (dyn Recipient + Sync)]) -> Self {
        Self { recipients, ..self }
    }

    /// The format of the result, and whether it is text. [`Format::Native`] without.
    pub fn form(self, form: impl Into<Form>) -> Self {
        Self { form: form.into(), ..self }
    }

    /// How the result gets its name.
    pub fn commit(self, commit: CommitOptions) -> Self {
        Self { commit, ..self }
    }

    /// Who is told how far it has come.
    pub fn progress(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }
}

/// A file to decrypt, and the keys to try. Without [`to`](Self::to) the result goes to
/// standard output.
#[must_use = "it does nothing until an engine gets it"]
pub struct Decrypt<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) output: Output,
    pub(crate) identities: &'a [&'a dyn Identity],
    pub(crate) commit: CommitOptions,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> Decrypt<'a> {
    /// Decrypts the file, pipe or device at `path`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Input::Path(path.into()))
    }

    /// Decrypts an input that is open.
    pub fn source(source: &'a mut Source) -> Self {
        Self::new(Input::Source(source))
    }

    fn new(input: Input<'a>) -> Self {
        let output = Output::Target(STDOUT);
        Self { input, output, identities: &[], commit: CommitOptions::default(), progress: &() }
    }

    /// Writes a new file at `path`, which gets its name when all of it is verified. Where
    /// there is one, decrypting fails.
    pub fn to(self, path: impl Into<PathBuf>) -> Self {
        self.target(Target::Path { path: path.into(), force: false })
    }

    /// Writes to any target.
    pub fn target(self, target: Target) -> Self {
        Self { output: Output::Target(target), ..self }
    }

    /// Writes verified segments to a pipe. Its reader must make nothing final before
    /// decrypting has succeeded.
    pub fn to_pipe(self, pipe: OwnedFd) -> Self {
        Self { output: Output::Pipe(pipe), ..self }
    }

    /// Writes nothing: only verifies everything.
    pub fn to_nowhere(self) -> Self {
        Self { output: Output::Nowhere, ..self }
    }

    /// The keys to try, in this order.
    pub fn identities(self, identities: &'a [&'a dyn Identity]) -> Self {
        Self { identities, ..self }
    }

    /// How the result gets its name.
    pub fn commit(self, commit: CommitOptions) -> Self {
        Self { commit, ..self }
    }

    /// Who is told how far it has come.
    pub fn progress(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }
}

const STDOUT: Target = Target::Stdout { only_text: false };

/// What is read.
pub(crate) enum Input<'a> {
    Path(PathBuf),
    Source(&'a mut Source),
}

impl Input<'_> {
    /// Calls `run` with the input, which is opened if it is not yet.
    pub(crate) fn with<T>(
        self,
        parser: &Parser,
        run: impl FnOnce(&mut Source) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self {
            Self::Path(path) => run(&mut Source::open(&path)?.parsed_by(parser)),
            Self::Source(source) => run(source),
        }
    }
}

/// Where the plaintext goes.
pub(crate) enum Output {
    Target(Target),
    Pipe(OwnedFd),
    Nowhere,
}
