//! `job run`: processes one shard.

use std::path::Path;
use std::rc::Rc;

use cryptstream_beneath::Dir;
use cryptstream_engine::program::exit_on_interrupt;
use cryptstream_job::{Job, JobFolder, Operation, Receipts, State};
use rustix::io::Errno;

use super::names::{format_of, plan_of};
use super::receipt_writer::{ReceiptWriter, is_as_written};
use super::shard_number::shard_number;
use super::tracker::Tracker;
use crate::args::{DecryptionArgs, EncryptionArgs, JobRun, Passphrase, RecipientArgs};
use crate::commands::session::{CommandResult, Session};
use crate::commands::tree::{TreeRun, decrypt_files, encrypt_files};
use crate::keyring::{DecryptionKeys, EncryptionKeys};
use crate::messages::{self, Failure, code, job::folder as failed};
use crate::report::Status;
use crate::tree::{CurrentObject, Shard, ShardObject, ShardObjects, TreeScan};

const SIGTERM: i32 = signal_hook::consts::SIGTERM;

pub(super) fn run(args: JobRun, session: &Session) -> CommandResult {
    let JobRun { name, shard, workers, decryption } = args;
    let (folder, job) = JobFolder::open(&name.job).map_err(failed)?;
    match folder.state(&job).map_err(failed)? {
        State::Open => {}
        State::Aborted => return Err(messages::job::not_open(&name.job, State::Aborted).into()),
        State::Finished => {
            if !session.options.quiet {
                messages::note(messages::job::NOTHING_TO_RUN);
            }
            return Ok(Status::default());
        }
    }
    let shard = shard_number(&shard, job.shards.len())?;
    let keys = Keys::read(&job, &decryption, session)?;
    // Without it the signal ends the process all the same.
    let _on_interrupt = exit_on_interrupt(SIGTERM, code::TRY_AGAIN).ok();
    messages::set_retried_on_term();

    let target = open_target(&job)?;
    let mut plan = plan_of(&job)?;
    let receipts = folder.receipts(&job, shard).map_err(failed)?;
    let attempt = folder.begin_attempt(&job, shard).map_err(failed)?;
    let (folder, job) = (Rc::new(folder), Rc::new(job));
    let current = CurrentObject::default();
    let (writer, notes) = ReceiptWriter::start(attempt, clone(&target, &job)?, job.target.path())?;
    let tracker = Tracker::new(Rc::clone(&current), notes);
    let left = Left { folder, job: Rc::clone(&job), shard, receipts: Rc::new(receipts), target };
    plan.shard = Some(Shard::new(move || left.objects(), current));

    let totals = job.shards.get(shard as usize).copied().unwrap_or_default();
    let scan = TreeScan::of_shard(totals.objects, totals.bytes);
    let name = format!("shard {shard} of {}", job.shards.len());
    let shard = Some((job.job.clone(), shard));
    let run = TreeRun::of_shard(plan, name, shard, &workers, session.options)?;
    let ended = match keys {
        Keys::Encrypt(keys) => encrypt_files(run, scan, *keys, format_of(&job)?, Some(&tracker)),
        Keys::Decrypt(keys) => decrypt_files(run, scan, *keys, Some(&tracker)),
    };
    let may_pass = tracker.may_pass();
    drop(tracker);
    let attempt = writer.join()?;
    let status = ended?.or_try_again(may_pass);
    attempt.end(status.code()).map_err(failed)?;
    Ok(status)
}

/// The keys of a job.
enum Keys {
    Encrypt(Box<EncryptionKeys>),
    Decrypt(Box<DecryptionKeys>),
}

impl Keys {
    fn read(job: &Job, decryption: &DecryptionArgs, session: &Session) -> Result<Self, Failure> {
        match job.operation {
            Operation::Encrypt if decryption.names_key() => Err(messages::job::needs_no_key()),
            Operation::Encrypt => {
                let recipient = job.recipients.clone();
                let recipients = RecipientArgs { recipient, ..RecipientArgs::default() };
                let args = EncryptionArgs { recipients, ..EncryptionArgs::default() };
                let keys = EncryptionKeys::read(&Passphrase::default(), &args, None)?;
                Ok(Self::Encrypt(Box::new(keys)))
            }
            Operation::Decrypt => {
                let keys = DecryptionKeys::read(decryption, session.take_key())?;
                Ok(Self::Decrypt(Box::new(keys)))
            }
        }
    }
}

/// What is left of a shard.
struct Left {
    folder: Rc<JobFolder>,
    job: Rc<Job>,
    shard: u32,
    receipts: Rc<Receipts>,
    target: Dir,
}

impl Left {
    /// All objects of the shard, and whether they are done.
    fn objects(&self) -> Result<ShardObjects, Failure> {
        let reader = self.folder.shard(&self.job, self.shard).map_err(failed)?;
        let (receipts, target) = (Rc::clone(&self.receipts), clone(&self.target, &self.job)?);
        let objects = reader.map(move |object| {
            let object = object.map_err(failed)?;
            let written = receipts.done(object.object);
            let is_done = |written| is_as_written(&target, object.output.path(), written);
            Ok(ShardObject { is_done: written.is_some_and(is_done), object })
        });
        Ok(Box::new(objects))
    }
}

/// Opens the folder for the outputs, which the plan has created: where it is missing, it is not
/// mounted.
pub(super) fn open_target(job: &Job) -> Result<Dir, Failure> {
    Dir::open(job.target.path()).map_err(|error| no_target(job.target.path(), error))
}

fn clone(target: &Dir, job: &Job) -> Result<Dir, Failure> {
    target.try_clone().map_err(|error| no_target(job.target.path(), error))
}

fn no_target(path: &Path, error: Errno) -> Failure {
    messages::unreadable(path, &error.into())
}
