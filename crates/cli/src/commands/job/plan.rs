//! `job plan`: lists what is to be done, in shards of about the same size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cryptstream_beneath::{Dir, KnownFile};
use cryptstream_format::Format;
use cryptstream_job::{
    EncodedPath, Error, Job, JobFolder, Object, Operation, Packing, Replace, ShardTotals,
    ShardWriter, Time, TreeEntry, weight_of,
};
use rustix::fs::Stat;

use crate::args::{self, EncryptionArgs, JobPlan, Passphrase};
use crate::commands::session::{CommandResult, Session};
use crate::file_names::{AGE_SUFFIX, SUFFIX, suffix_of};
use crate::keyring::EncryptionKeys;
use crate::messages::{self, Failure, inspect_verify, job::folder as failed};
use crate::objects;
use crate::report::format_name;
use crate::report::job::PlanReport;
use crate::tree::{
    Naming, Plan, Planned, PlannedItems, Rules, TreeScan, check_outside, prepare_target,
};

/// The size of a shard if none is asked for.
const SHARD_SIZE: u64 = 64 << 30;
/// The most shards: engines have arrays of 1,000 to 10,000 tasks.
const MAX_SHARDS: u64 = 100_000;

pub(super) fn run(args: &JobPlan, session: &Session) -> CommandResult {
    let (source, target) = (absolute(&args.source)?, absolute(&args.target)?);
    let format = match args.format {
        Some(args::Format::Age) => Format::Age,
        Some(args::Format::Native) | None => Format::Native,
    };
    let naming = match args.decrypt {
        true => Naming::TakeOff([SUFFIX, AGE_SUFFIX]),
        false => Naming::Add(suffix_of(format)),
    };
    let plan = Plan::one(source, Some(target), naming, Rules::new(&args.filters.as_tree()))?;
    if let Some(failure) = plan.unusable.into_iter().next() {
        return Err(failure.1.into());
    }
    let plan = Plan { unusable: Vec::new(), ..plan };
    plan.check_folder()?;
    let (recipients, key_files) = if args.decrypt { Default::default() } else { keys(args)? };
    let root = plan.roots.first().ok_or_else(|| messages::internal("a job without a root"))?;
    check_outside(&absolute(&args.name.job)?, &open(&root.input)?, &root.input)?;

    let scan = TreeScan::of(&plan)?;
    if scan.files == 0 && plan.rules.include_nothing() {
        return Err(messages::tree::nothing_included(&root.input).into());
    }
    if scan.files == 0 && scan.not_encrypted > 0 {
        return Err(inspect_verify::nothing_encrypted(&root.input).into());
    }
    let shards = shards(args, scan.bytes);
    let folder = JobFolder::create(&args.name.job).map_err(failed)?;
    let id = folder.new_id().map_err(failed)?;
    let mut job = Job {
        job: id.clone(),
        planned: Time::now(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        operation: if args.decrypt { Operation::Decrypt } else { Operation::Encrypt },
        source: EncodedPath(root.input.clone()),
        target: EncodedPath(root.output.clone()),
        format: format_name(format).to_owned(),
        recipients,
        replace: match (args.force, args.newer) {
            (true, _) => Replace::All,
            (false, true) => Replace::Different,
            (false, false) => Replace::Never,
        },
        folders: 0,
        links: 0,
        shards: Vec::new(),
    };
    folder.begin_plan(&id).map_err(failed)?;
    let mut report = PlanReport::new(session.options);
    let is_key = |stat: &Stat, path: &dyn Fn() -> Option<PathBuf>| {
        key_files.iter().any(|key| key.is_at(stat, path))
    };
    let packing = Packing::new(shards, weight_of(scan.files, scan.bytes));
    let items = PlannedItems::new(&plan, scan, &is_key);
    let written = write(&folder, items, packing, &mut report, &mut job);
    let root_entry = match (written, report.is_clean()) {
        (Ok(root_entry), true) => root_entry,
        (Ok(_), false) => {
            folder.drop_plan(&id);
            return Ok(report.failed());
        }
        (Err(failure), _) => {
            folder.drop_plan(&id);
            return Err(failure.into());
        }
    };
    let like = root_entry.map_or(root.stat, |entry| entry.applied_to(root.stat));
    let ended = prepare_target(&root.output, like, plan.encrypts())
        .and_then(|()| folder.end_plan(job.clone()).map_err(failed));
    if let Err(failure) = ended {
        folder.drop_plan(&id);
        return Err(failure.into());
    }
    Ok(report.end(&job, &args.name.job))
}

/// The recipients as text, and the files that they were read from.
fn keys(args: &JobPlan) -> Result<(Vec<String>, Vec<KnownFile>), Failure> {
    let encryption = EncryptionArgs {
        recipients: args.recipients.clone(),
        key_passphrase: args.key_passphrase.clone(),
        ..EncryptionArgs::default()
    };
    if !encryption.names_key() {
        return Err(messages::job::needs_recipients());
    }
    let keys = EncryptionKeys::read(&Passphrase::default(), &encryption, None)?;
    let key_files = keys.key_files();
    Ok((keys.recipient_texts()?, key_files))
}

/// The number of shards for this many bytes.
fn shards(args: &JobPlan, bytes: u64) -> u32 {
    let size = args.shard_size.unwrap_or(SHARD_SIZE);
    let shards = bytes.div_ceil(size).clamp(1, MAX_SHARDS);
    args.shards.unwrap_or_else(|| u32::try_from(shards).unwrap_or(1))
}

/// Writes the manifest, and counts in `job` what is in it. Returns the entry of the root.
fn write(
    folder: &JobFolder,
    items: PlannedItems<'_>,
    packing: Packing,
    report: &mut PlanReport,
    job: &mut Job,
) -> Result<Option<TreeEntry>, Failure> {
    let mut tree = folder.write_tree(&job.job).map_err(failed)?;
    let mut shards = Shards::new(folder, &job.job, packing);
    let mut root_entry = None;
    for planned in items {
        match planned {
            Planned::Event(event) => report.record(event),
            Planned::Object(object, true) => shards.add_large(object),
            Planned::Object(object, false) => shards.add(object).map_err(failed)?,
            Planned::Entry(entry) => {
                match &entry {
                    TreeEntry::Folder { .. } => job.folders += 1,
                    TreeEntry::Link { .. } => job.links += 1,
                }
                tree.add(&entry).map_err(failed)?;
                root_entry.get_or_insert(entry);
            }
        }
    }
    tree.end().map_err(failed)?;
    job.shards = shards.end().map_err(failed)?;
    Ok(root_entry)
}

/// Writes the shards one after another.
struct Shards<'a> {
    folder: &'a JobFolder,
    id: String,
    packing: Packing,
    /// The largest objects, whose number is bounded, by shard.
    large: BTreeMap<u32, Vec<Object>>,
    /// The shard that is being written.
    writer: Option<ShardWriter>,
    /// Those that are complete.
    totals: Vec<ShardTotals>,
}

impl<'a> Shards<'a> {
    fn new(folder: &'a JobFolder, id: &str, packing: Packing) -> Self {
        let (large, writer, totals) = (BTreeMap::new(), None, Vec::new());
        Self { folder, id: id.to_owned(), packing, large, writer, totals }
    }

    fn add_large(&mut self, object: Object) {
        let shard = self.packing.place_large(weight_of(1, object.size));
        self.large.entry(shard).or_default().push(object);
    }

    fn add(&mut self, object: Object) -> Result<(), Error> {
        let shard = self.packing.place_next(weight_of(1, object.size));
        while self.next() < shard {
            self.end_shard()?;
        }
        let mut writer = self.begun()?;
        writer.add(object)?;
        self.writer = Some(writer);
        Ok(())
    }

    /// The number of the shard that is being written.
    fn next(&self) -> u32 {
        u32::try_from(self.totals.len()).unwrap_or(u32::MAX)
    }

    /// The present shard, with its large objects.
    fn begun(&mut self) -> Result<ShardWriter, Error> {
        if let Some(writer) = self.writer.take() {
            return Ok(writer);
        }
        let shard = self.next();
        let mut writer = self.folder.write_shard(&self.id, shard)?;
        for object in self.large.remove(&shard).into_iter().flatten() {
            writer.add(object)?;
        }
        Ok(writer)
    }

    fn end_shard(&mut self) -> Result<(), Error> {
        let totals = self.begun()?.end()?;
        self.totals.push(totals);
        Ok(())
    }

    fn end(mut self) -> Result<Vec<ShardTotals>, Error> {
        while self.next() < self.packing.shards() {
            self.end_shard()?;
        }
        Ok(self.totals)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if objects::url(path).is_some() {
        return Err(messages::job::no_urls(path));
    }
    std::path::absolute(path).map_err(|error| messages::job::no_absolute(path, &error))
}

fn open(path: &Path) -> Result<Dir, Failure> {
    Dir::open(path).map_err(|error| messages::unreadable(path, &error.into()))
}
