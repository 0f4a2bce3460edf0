//! The engine, called as a command calls it.

use std::path::PathBuf;

use cryptstream_engine::{
    BatchItem, DecryptAll, Destination, EncryptAll, Engine, EngineOptions, Items, OnDone, Origin,
    Processes, Target, WorkerProgram,
};
use cryptstream_format::x25519::{PublicKey, SecretKey};
use cryptstream_format::{Identity, Recipient};

use crate::error::Error;

/// A key pair made for the benchmark.
pub(crate) struct TestKey {
    secret: SecretKey,
    public: PublicKey,
}

impl TestKey {
    pub(crate) fn generate() -> Result<Self, Error> {
        let secret = SecretKey::generate().map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self { public: secret.to_public(), secret })
    }

    /// The public key as a command line argument.
    pub(crate) fn recipient(&self) -> String {
        self.public.to_string()
    }
}

/// One run of the program, with its worker processes.
pub(crate) struct EngineRun<'a> {
    key: &'a TestKey,
    engine: Engine,
}

impl<'a> EngineRun<'a> {
    /// Starts nothing yet. With 0 processes there are no workers.
    pub(crate) fn new(
        key: &'a TestKey,
        processes: u16,
        cores: usize,
        program: Option<WorkerProgram>,
    ) -> Self {
        let processes = Processes::Exactly(processes);
        let workers = EngineOptions { processes, program, ..EngineOptions::default() };
        Self { key, engine: Engine::new(workers, cores) }
    }

    /// Starts all workers and waits until they are ready.
    pub(crate) fn warm_up(&mut self) -> Result<(), Error> {
        Ok(self.engine.warm_up()?)
    }

    /// Encrypts each input to its output.
    pub(crate) fn encrypt_files(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), Error> {
        let recipients = [&self.key.public as &(dyn Recipient + Sync)];
        work(files, true, |items, on_done| {
            let request = EncryptAll::items(items).recipients(&recipients).on_done(on_done);
            let _ = self.engine.encrypt_all(request);
        })
    }

    /// Decrypts each input to its output.
    pub(crate) fn decrypt_files(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), Error> {
        self.open_files(files, true)
    }

    /// Decrypts each input and discards the plaintext.
    pub(crate) fn verify_files(&mut self, files: &[(PathBuf, PathBuf)]) -> Result<(), Error> {
        self.open_files(files, false)
    }

    fn open_files(&mut self, files: &[(PathBuf, PathBuf)], writes: bool) -> Result<(), Error> {
        let identities = [&self.key.secret as &dyn Identity];
        work(files, writes, |items, on_done| {
            let request = DecryptAll::items(items).identities(&identities).on_done(on_done);
            let _ = self.engine.decrypt_all(request);
        })
    }
}

/// Calls `work` with all files, each an input and its output, and returns the first error.
fn work(
    files: &[(PathBuf, PathBuf)],
    writes: bool,
    work: impl FnOnce(Items<'_>, &mut OnDone<'_>),
) -> Result<(), Error> {
    let mut items = files.iter().map(|(input, output)| BatchItem {
        input: input.clone(),
        origin: Origin::Path,
        // A missing file fails when it is opened.
        len: std::fs::metadata(input).map_or(0, |metadata| metadata.len()),
        output: match writes {
            true => Destination::Named(Target::Path { path: output.clone(), force: false }),
            false => Destination::Nowhere,
        },
        guard: None,
    });
    let mut failure = None;
    work(&mut items, &mut |_, result| {
        if let Err(error) = result {
            failure.get_or_insert(error);
        }
    });
    failure.map_or(Ok(()), |error| Err(error.into()))
}
