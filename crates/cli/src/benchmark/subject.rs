//! What is measured: the engine, as a command uses it. Nothing else of the
//! benchmark knows how it is called.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use cryptstream_engine::{
    CommitOptions, Engine, Error, Processes, Source, Summary, Target, WorkerOptions,
};
use cryptstream_format::x25519::{PublicKey, SecretKey};
use cryptstream_format::{Format, Identity, Recipient};

use crate::messages::{self, Context, Failure};

/// A key that is nobody's.
pub(super) struct Key {
    secret: SecretKey,
    public: PublicKey,
}

impl Key {
    pub(super) fn generate() -> Result<Self, Failure> {
        let secret =
            SecretKey::generate().map_err(|error| messages::internal(&error.to_string()))?;
        Ok(Self { public: secret.to_public(), secret })
    }
}

/// One run of the program, with its pool of workers.
pub(super) struct Subject<'a> {
    key: &'a Key,
    engine: Engine,
}

impl<'a> Subject<'a> {
    /// Starts nothing yet. 0 processes: without workers.
    pub(super) fn new(key: &'a Key, processes: u16, cores: usize) -> Self {
        let processes = Processes::Exactly(processes);
        let workers = WorkerOptions { processes, ..WorkerOptions::default() };
        Self { key, engine: Engine::new(workers, cores) }
    }

    /// Starts all workers and waits until they are ready.
    pub(super) fn warm_up(&mut self) -> Result<(), Failure> {
        self.engine.warm_up().map_err(failed)
    }

    /// Seals each input to the output beside it.
    pub(super) fn encrypt_files(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), Failure> {
        let recipients = [&self.key.public as &(dyn Recipient + Sync)];
        let (engine, commit) = (&mut self.engine, CommitOptions::default());
        work(files, |files, done| {
            let mut files = files.map(|(source, output)| (source, target(output)));
            engine.encrypt_all(Format::Native, &mut files, &recipients, commit, done);
        })
    }

    /// Opens each input to the output beside it.
    pub(super) fn decrypt_files(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), Failure> {
        let identities = [&self.key.secret as &dyn Identity];
        let (engine, commit) = (&mut self.engine, CommitOptions::default());
        work(files, |files, done| {
            let mut files = files.map(|(source, output)| (source, target(output)));
            engine.decrypt_all(&mut files, &identities, commit, done);
        })
    }

    /// Opens each input and writes nothing.
    pub(super) fn verify_files(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), Failure> {
        let identities = [&self.key.secret as &dyn Identity];
        let engine = &mut self.engine;
        work(files, |files, done| {
            engine.verify_all(&mut files.map(|(source, _)| source), &identities, done);
        })
    }
}

fn target(output: &Path) -> Target {
    Target::Path { path: output.to_owned(), force: false }
}

/// Inputs that are opened as they are needed, each with its output.
type Files<'f> = dyn Iterator<Item = (Source, &'f Path)> + 'f;
type OnDone<'f> = dyn FnMut(usize, Result<Summary, Error>) + 'f;

/// Has `work` done on all files; the first error of any.
fn work(
    files: &[(PathBuf, PathBuf)],
    work: impl FnOnce(&mut Files<'_>, &mut OnDone<'_>),
) -> Result<(), Failure> {
    let (unopened, failed_file) = (Cell::new(None), Cell::new(None));
    let mut sources = files.iter().map_while(|(input, output)| match Source::open(input) {
        Ok(source) => Some((source, output.as_path())),
        Err(error) => {
            unopened.set(Some(error));
            None
        }
    });
    work(&mut sources, &mut |_, result| {
        if let Err(error) = result {
            failed_file.set(Some(error));
        }
    });
    match failed_file.into_inner().or(unopened.into_inner()) {
        Some(error) => Err(failed(error)),
        None => Ok(()),
    }
}

fn failed(error: Error) -> Failure {
    messages::engine(error, Context::default())
}
