//! Encrypting and decrypting files.

use std::path::PathBuf;

use cryptstream_engine::{
    CommitOptions, Decrypt, Encrypt, Engine, Inspect, OutputFormat, Processes, Rekey, Source,
    Target, Verify,
};
use cryptstream_format::Format;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::Failure;
use crate::keys::{Identity, IdentityList, Recipient, RecipientList};
use crate::operation::{Operation, Outcome, Shared, start};
use crate::pipes::{InputPipe, OutputPipe};

/// An input: a path, or a pipe that Python writes.
#[derive(FromPyObject)]
pub(crate) enum Input {
    Pipe(Py<InputPipe>),
    Path(PathBuf),
}

/// An output: a path, or a pipe that Python reads.
#[derive(FromPyObject)]
pub(crate) enum Output {
    Pipe(Py<OutputPipe>),
    Path(PathBuf),
}

/// An input that another thread can open.
enum Opened {
    Source(Box<Source>),
    Path(PathBuf),
}

impl Input {
    fn take(self) -> PyResult<Opened> {
        Ok(match self {
            Self::Pipe(pipe) => Opened::Source(Box::new(pipe.get().take_source()?)),
            Self::Path(path) => Opened::Path(path),
        })
    }
}

impl Opened {
    fn source(self) -> Result<Source, Failure> {
        Ok(match self {
            Self::Source(source) => *source,
            Self::Path(path) => Source::open(&path)?,
        })
    }
}

impl Output {
    fn target(self, force: bool) -> PyResult<Target> {
        Ok(match self {
            Self::Pipe(pipe) => {
                Target::Pipe { pipe: pipe.get().take_writer()?, path: "the output".into() }
            }
            Self::Path(path) => Target::Path { path, force },
        })
    }
}

/// The program that becomes a worker, and how many of them there may be.
type Workers = (Option<PathBuf>, Option<u16>);

fn engine((program, processes): Workers) -> Engine {
    let processes = processes.map_or(Processes::Auto, Processes::Exactly);
    let builder = Engine::builder().workers(processes);
    match program {
        Some(program) => builder.worker_program(program).build(),
        None => builder.build(),
    }
}

pub(crate) fn format_of(name: &str) -> PyResult<Format> {
    match name {
        "native" => Ok(Format::Native),
        "age" => Ok(Format::Age),
        _ => Err(PyValueError::new_err("format: must be 'native' or 'age'")),
    }
}

fn commit(sync: bool) -> CommitOptions {
    CommitOptions { sync, ..CommitOptions::default() }
}

/// Starts to encrypt a file.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "called by the package's own Python code only")]
pub(crate) fn start_encrypt(
    py: Python<'_>,
    input: Input,
    output: Output,
    recipients: Vec<Py<Recipient>>,
    identities: Vec<Py<Identity>>,
    passphrase: Option<Vec<u8>>,
    format: &str,
    armor: bool,
    overwrite: bool,
    sync: bool,
    workers: Workers,
) -> PyResult<Operation> {
    let recipients = RecipientList::new(py, &recipients, &identities, passphrase)?;
    let format = match armor {
        true => OutputFormat::Armored,
        false => OutputFormat::Binary(format_of(format)?),
    };
    let (input, target) = (input.take()?, output.target(overwrite)?);
    start(move |progress: &Shared| {
        let ready = recipients.prepare(format.format())?;
        let ready: Vec<_> = ready.iter().map(|one| &**one).collect();
        let mut source = input.source()?;
        let request = Encrypt::source(&mut source).target(target).format(format);
        let request = request.recipients(&ready).commit(commit(sync)).progress(progress);
        Ok(Outcome::Summary(engine(workers).encrypt(request)?))
    })
}

/// Starts to decrypt a file.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "called by the package's own Python code only")]
pub(crate) fn start_decrypt(
    py: Python<'_>,
    input: Input,
    output: Output,
    identities: Vec<Py<Identity>>,
    passphrase: Option<Vec<u8>>,
    overwrite: bool,
    sync: bool,
    workers: Workers,
) -> PyResult<Operation> {
    let identities = IdentityList::new(py, &identities, passphrase)?;
    let (input, target) = (input.take()?, output.target(overwrite)?);
    start(move |progress: &Shared| {
        let mut source = input.source()?;
        let decrypted = identities.with(|tried| {
            let request = Decrypt::source(&mut source).target(target).identities(tried);
            engine(workers).decrypt(request.commit(commit(sync)).progress(progress))
        });
        Ok(Outcome::Summary(decrypted?))
    })
}

/// Starts to verify a file.
#[pyfunction]
pub(crate) fn start_verify(
    py: Python<'_>,
    input: Input,
    identities: Vec<Py<Identity>>,
    passphrase: Option<Vec<u8>>,
    workers: Workers,
) -> PyResult<Operation> {
    let identities = IdentityList::new(py, &identities, passphrase)?;
    let input = input.take()?;
    start(move |progress: &Shared| {
        let mut source = input.source()?;
        let verified = identities.with(|tried| {
            let request = Verify::source(&mut source).identities(tried);
            engine(workers).verify(request.progress(progress))
        });
        Ok(Outcome::Summary(verified?))
    })
}

/// Starts to read the header of a file.
#[pyfunction]
pub(crate) fn start_inspect(input: Input) -> PyResult<Operation> {
    let input = input.take()?;
    start(move |_| {
        let mut source = input.source()?;
        let inspection = Engine::builder().build().inspect(Inspect::source(&mut source))?;
        Ok(Outcome::Inspected(Box::new(inspection)))
    })
}

/// Starts to change who can decrypt a file.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "called by the package's own Python code only")]
pub(crate) fn start_rekey(
    py: Python<'_>,
    path: PathBuf,
    identities: Vec<Py<Identity>>,
    passphrase: Option<Vec<u8>>,
    new_recipients: Vec<Py<Recipient>>,
    new_identities: Vec<Py<Identity>>,
    new_passphrase: Option<Vec<u8>>,
    reencrypt: bool,
) -> PyResult<Operation> {
    let identities = IdentityList::new(py, &identities, passphrase)?;
    let recipients = RecipientList::new(py, &new_recipients, &new_identities, new_passphrase)?;
    start(move |progress: &Shared| {
        let mut engine = Engine::builder().build();
        let header = engine.inspect(Inspect::file(&path))?.header;
        let ready = recipients.prepare(header.format())?;
        let ready: Vec<_> = ready.iter().map(|one| &**one).collect();
        let rekeyed = identities.with(|tried| {
            let request = Rekey::file(&path).identities(tried).recipients(&ready);
            engine.rekey(request.reencrypt(reencrypt).progress(progress))
        });
        Ok(Outcome::Rekeyed(rekeyed?))
    })
}
