//! What an [`Engine`](crate::Engine) is asked to do: one struct for each verb.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use cryptstream_format::{Format, Identity, Recipient};

use crate::{
    BatchItem, CommitOptions, Error, LockedFile, OutputFormat, Parser, Progress, RekeyObject,
    Source, Summary, Target,
};

/// Methods that several requests have.
macro_rules! methods {
    (input) => {
        /// Reads the file, pipe or device at `path`.
        pub fn file(path: impl Into<PathBuf>) -> Self {
            Self::new(Input::Path(path.into()))
        }

        /// Reads an input that is open.
        pub fn source(source: &'a mut Source) -> Self {
            Self::new(Input::Source(source))
        }
    };
    (input without output) => {
        /// Reads the file, pipe or device at `path`.
        pub fn file(path: impl Into<PathBuf>) -> NeedsOutput<'a, Self> {
            NeedsOutput { input: Input::Path(path.into()), build: Self::new }
        }

        /// Reads an input that is open.
        pub fn source(source: &'a mut Source) -> NeedsOutput<'a, Self> {
            NeedsOutput { input: Input::Source(source), build: Self::new }
        }
    };
    (format) => {
        /// The format of the result, and whether it is text. By default [`Format::Native`].
        pub fn format(self, format: impl Into<OutputFormat>) -> Self {
            Self { format: format.into(), ..self }
        }
    };
    (recipients) => {
        /// Who can decrypt the result: at least one recipient.
        pub fn recipients(self, recipients: &'a [&'a (dyn Recipient + Sync)]) -> Self {
            Self { recipients, ..self }
        }
    };
    (identities) => {
        /// The identities to try, in this order.
        pub fn identities(self, identities: &'a [&'a dyn Identity]) -> Self {
            Self { identities, ..self }
        }
    };
    (commit) => {
        /// How the result gets its name.
        pub fn commit(self, commit: CommitOptions) -> Self {
            Self { commit, ..self }
        }
    };
    (progress) => {
        /// Who is told how much is done.
        pub fn progress(self, progress: &'a dyn Progress) -> Self {
            Self { progress, ..self }
        }
    };
    (in_flight) => {
        /// Works on so many files at once, each in one thread: for objects in stores, which are
        /// mostly waited for.
        pub fn in_flight(self, count: Option<usize>) -> Self {
            Self { in_flight: count, ..self }
        }
    };
    (on_done) => {
        /// Called for each file that is done, with its number in the order of the items,
        /// from 0. Files are not always done in this order. Only here are the errors of
        /// single files reported.
        pub fn on_done(self, on_done: &'a mut OnDone<'a>) -> Self {
            Self { on_done: Some(on_done), ..self }
        }
    };
}

/// A request that has no output yet. Each method names one, and returns the request.
#[must_use = "it does nothing until it has an output, and an engine gets it"]
pub struct NeedsOutput<'a, Request> {
    input: Input<'a>,
    build: fn(Input<'a>, Target) -> Request,
}

impl<Request> NeedsOutput<'_, Request> {
    /// Writes a new file at `path`. Fails if there is one.
    pub fn to(self, path: impl Into<PathBuf>) -> Request {
        self.target(Target::Path { path: path.into(), force: false })
    }

    /// Writes to standard output, even if that is a terminal.
    pub fn to_stdout(self) -> Request {
        self.target(Target::Stdout { only_text: false })
    }

    /// Writes to any target.
    pub fn target(self, target: Target) -> Request {
        (self.build)(self.input, target)
    }
}

impl<'a> NeedsOutput<'a, Decrypt<'a>> {
    /// Writes verified segments to a pipe. Its reader must make nothing final before
    /// decrypting has succeeded.
    pub fn to_pipe(self, pipe: OwnedFd) -> Decrypt<'a> {
        Decrypt::with_output(self.input, Output::Pipe(pipe))
    }
}

/// A file to encrypt, for [`Engine::encrypt`](crate::Engine::encrypt).
#[must_use = "it does nothing until an engine gets it"]
pub struct Encrypt<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) target: Target,
    pub(crate) format: OutputFormat,
    pub(crate) recipients: &'a [&'a (dyn Recipient + Sync)],
    pub(crate) commit: CommitOptions,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> Encrypt<'a> {
    methods!(input without output);
    methods!(format);
    methods!(recipients);
    methods!(commit);
    methods!(progress);

    fn new(input: Input<'a>, target: Target) -> Self {
        Self {
            input,
            target,
            format: BINARY,
            recipients: &[],
            commit: CommitOptions::default(),
            progress: &(),
        }
    }
}

/// A file to decrypt, for [`Engine::decrypt`](crate::Engine::decrypt) and
/// [`Engine::decrypt_range`](crate::Engine::decrypt_range).
#[must_use = "it does nothing until an engine gets it"]
pub struct Decrypt<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) output: Output,
    pub(crate) identities: &'a [&'a dyn Identity],
    pub(crate) commit: CommitOptions,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> Decrypt<'a> {
    methods!(input without output);
    methods!(identities);
    methods!(commit);
    methods!(progress);

    fn new(input: Input<'a>, target: Target) -> Self {
        Self::with_output(input, Output::Target(target))
    }

    fn with_output(input: Input<'a>, output: Output) -> Self {
        Self { input, output, identities: &[], commit: CommitOptions::default(), progress: &() }
    }
}

/// A file to verify, for [`Engine::verify`](crate::Engine::verify).
#[must_use = "it does nothing until an engine gets it"]
pub struct Verify<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) identities: &'a [&'a dyn Identity],
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> Verify<'a> {
    methods!(input);
    methods!(identities);
    methods!(progress);

    fn new(input: Input<'a>) -> Self {
        Self { input, identities: &[], progress: &() }
    }
}

/// A file of which to read the header, for [`Engine::inspect`](crate::Engine::inspect).
#[must_use = "it does nothing until an engine gets it"]
pub struct Inspect<'a> {
    pub(crate) input: Input<'a>,
}

impl<'a> Inspect<'a> {
    methods!(input);

    fn new(input: Input<'a>) -> Self {
        Self { input }
    }
}

/// A damaged file to look through, for
/// [`Engine::scan_for_damage`](crate::Engine::scan_for_damage).
#[must_use = "it does nothing until an engine gets it"]
pub struct DamageScan<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) identities: &'a [&'a dyn Identity],
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> DamageScan<'a> {
    methods!(input);
    methods!(identities);
    methods!(progress);

    fn new(input: Input<'a>) -> Self {
        Self { input, identities: &[], progress: &() }
    }
}

/// A damaged file of which to keep what is intact, for
/// [`Engine::salvage`](crate::Engine::salvage). Its output must be a file.
#[must_use = "it does nothing until an engine gets it"]
pub struct Salvage<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) target: Target,
    pub(crate) identities: &'a [&'a dyn Identity],
    pub(crate) commit: CommitOptions,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> Salvage<'a> {
    methods!(input without output);
    methods!(identities);
    methods!(commit);
    methods!(progress);

    fn new(input: Input<'a>, target: Target) -> Self {
        let commit = CommitOptions::default();
        Self { input, target, identities: &[], commit, progress: &() }
    }
}

/// A file to give to other recipients, for [`Engine::rekey`](crate::Engine::rekey). Only
/// its header is replaced, unless [`reencrypt`](Self::reencrypt) is set.
#[must_use = "it does nothing until an engine gets it"]
pub struct Rekey<'a> {
    pub(crate) file: RekeyInput,
    pub(crate) identities: &'a [&'a dyn Identity],
    pub(crate) recipients: &'a [&'a (dyn Recipient + Sync)],
    pub(crate) reencrypt: bool,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> Rekey<'a> {
    methods!(identities);
    methods!(recipients);
    methods!(progress);

    /// Changes the file at `path`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(RekeyInput::Path(path.into()))
    }

    /// Changes a file that is open and locked, so that its format is known before there
    /// are recipients.
    pub fn locked(file: LockedFile) -> Self {
        Self::new(RekeyInput::Locked(Box::new(file)))
    }

    /// Replaces an object by one with another header.
    pub fn object(object: RekeyObject) -> Self {
        Self::new(RekeyInput::Object(Box::new(object)))
    }

    fn new(file: RekeyInput) -> Self {
        Self { file, identities: &[], recipients: &[], reencrypt: false, progress: &() }
    }

    /// Encrypts the content again with a new file key. The old file key does not decrypt the
    /// new file.
    pub fn reencrypt(self, reencrypt: bool) -> Self {
        Self { reencrypt, ..self }
    }
}

/// Many files to encrypt, for [`Engine::encrypt_all`](crate::Engine::encrypt_all).
#[must_use = "it does nothing until an engine gets it"]
pub struct EncryptAll<'a> {
    pub(crate) items: Items<'a>,
    pub(crate) format: OutputFormat,
    pub(crate) recipients: &'a [&'a (dyn Recipient + Sync)],
    pub(crate) commit: CommitOptions,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) on_done: Option<&'a mut OnDone<'a>>,
    pub(crate) in_flight: Option<usize>,
}

impl<'a> EncryptAll<'a> {
    methods!(in_flight);
    methods!(format);
    methods!(recipients);
    methods!(commit);
    methods!(progress);
    methods!(on_done);

    /// Encrypts every item into its own output.
    pub fn items(items: Items<'a>) -> Self {
        let commit = CommitOptions::default();
        Self {
            items,
            format: BINARY,
            recipients: &[],
            commit,
            progress: &(),
            on_done: None,
            in_flight: None,
        }
    }
}

/// Many files to decrypt, for [`Engine::decrypt_all`](crate::Engine::decrypt_all).
#[must_use = "it does nothing until an engine gets it"]
pub struct DecryptAll<'a> {
    pub(crate) items: Items<'a>,
    pub(crate) identities: &'a [&'a dyn Identity],
    pub(crate) commit: CommitOptions,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) on_done: Option<&'a mut OnDone<'a>>,
    pub(crate) in_flight: Option<usize>,
}

impl<'a> DecryptAll<'a> {
    methods!(in_flight);
    methods!(identities);
    methods!(commit);
    methods!(progress);
    methods!(on_done);

    /// Decrypts every item into its own output. Those whose output is
    /// [`Nowhere`](crate::Destination::Nowhere) are verified.
    pub fn items(items: Items<'a>) -> Self {
        let commit = CommitOptions::default();
        let (progress, on_done, in_flight) = (&(), None, None);
        Self { items, identities: &[], commit, progress, on_done, in_flight }
    }
}

const BINARY: OutputFormat = OutputFormat::Binary(Format::Native);

/// The files of a batch. Each is taken when its turn comes, so that there may be any
/// number of them.
pub type Items<'a> = &'a mut (dyn Iterator<Item = BatchItem> + 'a);

/// Called for each file of a batch that is done, with its number.
pub type OnDone<'a> = dyn FnMut(usize, Result<Summary, Error>) + 'a;

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
            Self::Path(path) => {
                let result = run(&mut Source::open(&path)?.parsed_by(parser));
                result.map_err(|error| error.about(&path))
            }
            Self::Source(source) => run(source).map_err(|error| error.about(source.path())),
        }
    }
}

/// Where the plaintext goes.
pub(crate) enum Output {
    Target(Target),
    Pipe(OwnedFd),
}

/// The file that is changed.
pub(crate) enum RekeyInput {
    Path(PathBuf),
    Locked(Box<LockedFile>),
    Object(Box<RekeyObject>),
}
