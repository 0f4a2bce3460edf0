//! `encrypt` and `decrypt` of folders, and of several files at once.

mod shard;
mod track;
mod urls;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cryptstream_beneath::KnownFile;
use cryptstream_engine::program::SecretScope;
use cryptstream_engine::{
    BatchItem, CommitOptions, DecryptAll, EncryptAll, Engine, OutputFormat, Progress, Summary,
    WorkerStats,
};
use cryptstream_format::{Format, Recipient};
use rustix::fs::Stat;

pub(super) use self::track::{Settled, Track};
use self::urls::UrlUse;
use super::lookahead::{Lookahead, LookaheadFn};
use super::session::{CommandResult, Session};
use crate::args::{Decrypt, Encrypt, Files, ReportOptions, Tree, descriptor, is_dash};
use crate::file_names::{AGE_SUFFIX, SUFFIX, ends_with, suffix_of};
use crate::keyring::{CachedIdentities, DecryptionKeys, EncryptionKeys, NoMatchingKey};
use crate::messages::{self, Context, Failure, inspect_verify};
use crate::objects;
use crate::progress::Meter;
use crate::report::Status;
use crate::report::tree::{TreeReport, TreeRunNames};
use crate::request::{engine_options, output_format};
use crate::tree::{
    Event, Items, Naming, Plan, Rules, TreeScan, first_file, is_name_too_long, max_in_flight, prune,
};
use crate::verb::Verb;

/// Whether folders or several files are meant, and not a single file or stream.
pub(super) fn is_tree_run(files: &Files, tree: &Tree) -> bool {
    let is_folder = |path: &PathBuf| !is_dash(path.as_os_str()) && path.is_dir();
    let is_several = |path: &PathBuf| {
        is_folder(path) || objects::url(path).is_some_and(|url| url.is_ok_and(|it| it.is_prefix()))
    };
    tree.is_given() || !files.more.is_empty() || files.input.as_ref().is_some_and(is_several)
}

pub(super) fn encrypt(args: Encrypt, session: &Session) -> CommandResult {
    let Encrypt { files, passphrase, encryption, format, armor, tree, delete, packing: _ } = args;
    let output_format = match output_format(format, armor)? {
        // The output's name asks for it; of a folder, only its files' names would.
        OutputFormat::Binary(Format::Native) if format.is_none() && names_age(&files, &tree) => {
            OutputFormat::Binary(Format::Age)
        }
        output_format => output_format,
    };
    let naming = Naming::Add(suffix_of(output_format.format()));
    let mut run = TreeRun::new("encrypt", files, &tree, naming, session.options)?;
    run.plan.delete = delete;
    if delete {
        urls::check_delete(&run.plan)?;
        run.plan.check_folders()?;
    }
    if tree.dry_run {
        return run.dry_run();
    }
    if run.is_over() {
        return Ok(run.refuse(None));
    }
    let keys = EncryptionKeys::read(&passphrase, &encryption, session.take_key())?;
    let scan = run.scan()?;
    encrypt_files(run, scan, keys, output_format, None)
}

/// Encrypts the files of a run.
pub(super) fn encrypt_files(
    run: TreeRun,
    scan: TreeScan,
    keys: EncryptionKeys,
    output_format: OutputFormat,
    track: Option<&dyn Track>,
) -> CommandResult {
    if keys.has_passphrase() && output_format.format() == Format::Age && scan.files > 1 {
        messages::warn(&messages::tree::key_derivation_for_each(scan.files));
    }
    let key_files = keys.key_files();
    let recipients = keys.recipients(output_format.format(), &run.names.1)?;
    let recipients: Vec<&(dyn Recipient + Sync)> = recipients.iter().map(AsRef::as_ref).collect();
    let context = Context { has_passphrase: true, ..Verb::Encrypt.into() };
    // One plugin recipient prepares several files at once; the others use what it has prepared.
    let plugin = recipients.iter().find(|recipient| recipient.may_prompt());
    let expect = |items: &[BatchItem]| {
        let _secrets = SecretScope::open();
        plugin.iter().for_each(|plugin| plugin.expect_files(items.len()));
    };
    let look = plugin.map(|_| &expect as LookaheadFn<'_>);
    let in_flight = run.plan.store.is_some().then(max_in_flight);
    let keys = RunKeys { files: &key_files, context, look };
    run.work(scan, &keys, track, |engine, items, commit, progress, on_done| {
        let request = EncryptAll::items(items).format(output_format).recipients(&recipients);
        let request = request.commit(commit).progress(progress).in_flight(in_flight);
        engine.encrypt_all(request.on_done(on_done)).workers
    })
}

fn names_age(files: &Files, tree: &Tree) -> bool {
    tree.output_dir.is_none()
        && files.output.as_ref().is_some_and(|path| ends_with(path, AGE_SUFFIX))
}

pub(super) fn decrypt(args: Decrypt, session: &Session) -> CommandResult {
    let Decrypt { files, decryption, tree, .. } = args;
    let naming = Naming::TakeOff([SUFFIX, AGE_SUFFIX]);
    let run = TreeRun::new("decrypt", files, &tree, naming, session.options)?;
    if tree.dry_run {
        return run.dry_run();
    }
    if run.is_over() {
        return Ok(run.refuse(None));
    }
    let keys = DecryptionKeys::read(&decryption, session.take_key())?;
    let scan = run.scan()?;
    decrypt_files(run, scan, keys, None)
}

/// Decrypts the files of a run.
pub(super) fn decrypt_files(
    run: TreeRun,
    scan: TreeScan,
    keys: DecryptionKeys,
    track: Option<&dyn Track>,
) -> CommandResult {
    let key_files = keys.key_files();
    let context = Context { has_passphrase: keys.has_passphrase(), ..Verb::Decrypt.into() };
    let cached = CachedIdentities::new(keys.identities(&run.names.0)?);
    if let Some(no_match) = run.try_keys(&cached, &key_files)? {
        return Ok(run.refuse(Some((no_match, context))));
    }
    let identities = cached.identities();
    let parser = run.plan.parser.clone();
    let look_ahead = |items: &[BatchItem]| cached.look_ahead(items, &parser);
    let look = cached.prefers_batch().then_some(&look_ahead as LookaheadFn<'_>);
    let in_flight = run.plan.store.is_some().then(max_in_flight);
    let keys = RunKeys { files: &key_files, context, look };
    run.work(scan, &keys, track, |engine, items, commit, progress, on_done| {
        let request = DecryptAll::items(items).identities(&identities).commit(commit);
        let request = request.progress(progress).in_flight(in_flight);
        engine.decrypt_all(request.on_done(on_done)).workers
    })
}

type OnDone<'a> = dyn FnMut(usize, Result<Summary, cryptstream_engine::Error>) + 'a;

/// What keys mean for a run.
struct RunKeys<'a> {
    /// The files that they were read from.
    files: &'a [KnownFile],
    context: Context,
    look: Option<LookaheadFn<'a>>,
}

/// What is known before keys are read.
pub(super) struct TreeRun {
    plan: Plan,
    commit: CommitOptions,
    engine: Engine,
    is_fail_fast: bool,
    options: ReportOptions,
    /// Input and output for messages; for several inputs, their number.
    names: (String, String),
    report_names: TreeRunNames,
}

impl TreeRun {
    fn new(
        command: &'static str,
        files: Files,
        tree: &Tree,
        naming: Naming,
        options: ReportOptions,
    ) -> Result<Self, Failure> {
        let Files {
            input,
            output,
            named_output: _,
            more,
            file_list,
            force,
            remove_source,
            verify_output: verify,
            sync,
            workers,
            storage: _,
        } = files;
        let rules = Rules::new(tree);
        let names = input.iter().chain(&output).chain(&more);
        let from_store = urls::input_prefix(&UrlUse {
            input: input.as_deref(),
            output: output.as_deref(),
            more: &more,
            output_dir: tree.output_dir.as_deref(),
            gitignore: tree.gitignore,
        })?;
        if let Some(name) = names.clone().find(|name| is_dash(name.as_os_str())) {
            let is_input = tree.output_dir.is_some() || Some(name) == input.as_ref();
            return Err(messages::tree::no_stream(is_input));
        }
        if let Some(name) = names.clone().find(|name| descriptor(name).is_some()) {
            return Err(messages::nameless(name));
        }
        let shown = |path: &PathBuf| messages::quoted(path);
        let (input, output, mut plan, names) = match (&tree.output_dir, input, from_store) {
            (_, None, _) if file_list.files_from.is_none() => return Err(messages::no_input()),
            (None, None, _) | (_, None, Some(_)) => return Err(messages::tree::no_output_dir()),
            // A list may be empty: then there is nothing to do.
            (Some(folder), input, None) => {
                let inputs: Vec<_> = input.into_iter().chain(output).chain(more).collect();
                let name = match &inputs[..] {
                    [input] => shown(input),
                    inputs => format!("{} inputs", inputs.len()),
                };
                let one = (inputs.len() == 1).then(|| inputs[0].clone());
                let plan = Plan::several(inputs, folder, naming, rules)?;
                (one, folder.clone(), plan, (name, shown(folder)))
            }
            (None, Some(_), None) if !more.is_empty() => {
                return Err(messages::tree::no_output_dir());
            }
            (_, Some(path), Some(prefix)) => {
                let output = output.ok_or_else(|| messages::tree::no_name(&path))?;
                urls::check_overlap(&prefix, &output)?;
                let names = (shown(&path), shown(&output));
                let plan = Plan::from_store(prefix, output.clone(), naming, rules)?;
                (Some(path), output, plan, names)
            }
            (None, Some(input), None) => {
                let name = shown(&input);
                let is_named = output.is_some();
                let plan = Plan::one(input.clone(), output.clone(), naming, rules)?;
                let root = plan.roots.first();
                if let (Naming::Add(_), true, Some(root)) = (naming, is_named, root)
                    && root.is_folder_named_as_file()
                {
                    messages::warn(&messages::tree::folder_named_as_file(&root.output));
                }
                let output = root.map(|root| root.output.clone()).or(output).unwrap_or_default();
                let shown = shown(&output);
                (Some(input), output, plan, (name, shown))
            }
        };
        (plan.force, plan.newer) = (force, tree.newer);
        if remove_source {
            plan.check_removable()?;
        }
        // Before any file is read.
        let mut engine = Engine::with_options(engine_options(&workers));
        let parser = engine.parser();
        plan.parser = parser.map_err(|error| messages::engine(error, plan.verb()))?;
        (plan.removes_source, plan.rules.may_vanish) = (remove_source, remove_source);
        let follow_mode = plan.encrypts();
        Ok(Self {
            plan,
            commit: CommitOptions {
                sync,
                remove_source,
                verify,
                keep_times: true,
                keep_mode: true,
                follow_mode,
            },
            engine,
            is_fail_fast: tree.fail_fast,
            options,
            names,
            report_names: TreeRunNames { command, input, output, shard: None },
        })
    }

    /// Scans the inputs; fails if there is nothing to do although that was not intended.
    fn scan(&self) -> Result<TreeScan, Failure> {
        let scan = TreeScan::of(&self.plan)?;
        let named = self.report_names.input.as_deref();
        let input = named.unwrap_or(Path::new(&self.names.0));
        if scan.files == 0 && self.plan.rules.include_nothing() {
            return Err(messages::tree::nothing_included(input));
        }
        if scan.files == 0 && scan.not_encrypted > 0 {
            return Err(inspect_verify::nothing_encrypted(input));
        }
        Ok(scan)
    }

    fn report(&self, is_dry: bool) -> TreeReport {
        let mut report = TreeReport::new(self.report_names.clone(), self.options, is_dry);
        for path in &self.plan.left_out {
            report.skip(path, messages::tree::LEFT_OUT);
        }
        report
    }

    /// Tries the keys on the files until one fits, before anything is created.
    fn try_keys(
        &self,
        cached: &CachedIdentities,
        key_files: &[KnownFile],
    ) -> Result<Option<NoMatchingKey>, Failure> {
        let Self { plan, is_fail_fast, .. } = self;
        // Usually the first file.
        if first_file(plan).is_none_or(|item| cached.fits(&item, &plan.parser)) {
            return Ok(None);
        }
        let is_key = |stat: &Stat, path: &dyn Fn() -> Option<PathBuf>| {
            key_files.iter().any(|key| key.is_at(stat, path))
        };
        let mut on_event = |_| {};
        let scan = TreeScan::default();
        let work_items = Items::new(plan, scan, Vec::new(), true, &is_key, &mut on_event)?;
        Ok(cached.none_fits(work_items, &plan.parser, *is_fail_fast))
    }

    /// Whether the run ends at once: no input can be used, or the first one cannot and
    /// `--fail-fast` was given.
    fn is_over(&self) -> bool {
        let is_first = |(place, _): &(usize, Failure)| *place == 0;
        let is_stopped = self.is_fail_fast && self.plan.unusable.first().is_some_and(is_first);
        is_stopped || (self.plan.roots.is_empty() && !self.plan.unusable.is_empty())
    }

    /// Ends a run in which nothing can be done.
    fn refuse(mut self, no_match: Option<(NoMatchingKey, Context)>) -> Status {
        let mut report = self.report(false);
        let unusable = std::mem::take(&mut self.plan.unusable);
        let told = if self.is_fail_fast { 1 } else { usize::MAX };
        for (_, failure) in unusable.into_iter().take(told) {
            report.record(Event::Failed(failure));
        }
        if let Some((NoMatchingKey { files, untried, first, others }, context)) = no_match {
            let first = messages::engine(first, context);
            let input = self.report_names.input.as_deref();
            let failure = messages::tree::no_key_fits(input, files, untried, first);
            report.fail_all(files, &failure);
            for error in others {
                report.record(Event::Failed(messages::engine(error, context)));
            }
        }
        report.end(WorkerStats::default())
    }

    /// Reports what would be done.
    fn dry_run(mut self) -> CommandResult {
        let scan = self.scan()?;
        let report = RefCell::new(self.report(true));
        let unusable = std::mem::take(&mut self.plan.unusable);
        let mut on_event = |event| report.borrow_mut().record(event);
        let is_key = |_: &Stat, _: &dyn Fn() -> Option<PathBuf>| false;
        let mut work_items = Items::new(&self.plan, scan, unusable, true, &is_key, &mut on_event)?;
        for item in work_items.by_ref() {
            let mut report = report.borrow_mut();
            if let Some(output) = messages::tree::output_of(&item)
                && objects::url(output).is_none()
                && is_name_too_long(output)
            {
                report.record(Event::Failed(messages::name_too_long(output)));
                continue;
            }
            report.would_do(&item);
            if report.is_closed() {
                break;
            }
        }
        drop(work_items);
        if !report.borrow().is_closed() {
            let is_clean = report.borrow().is_clean();
            prune(&self.plan, is_clean, true, &is_key, &mut on_event);
        }
        Ok(report.into_inner().end(WorkerStats::default()))
    }

    fn work(
        mut self,
        scan: TreeScan,
        keys: &RunKeys<'_>,
        track: Option<&dyn Track>,
        with: impl FnOnce(
            &mut Engine,
            &mut dyn Iterator<Item = BatchItem>,
            CommitOptions,
            &dyn Progress,
            &mut OnDone<'_>,
        ) -> WorkerStats,
    ) -> CommandResult {
        let report = RefCell::new(self.report(false));
        let unusable = std::mem::take(&mut self.plan.unusable);
        let all = scan.files + unusable.len() as u64;
        let meter = Meter::of_many(self.names.0.clone(), all, self.options);
        meter.start(Some(scan.bytes));
        let (is_over, begun) = (Cell::new(false), Cell::new(0u64));
        let is_fail_fast = self.is_fail_fast;
        let mut on_event = |event: Event| {
            match &event {
                Event::Kept(bytes) => {
                    meter.advance(*bytes);
                    meter.file_done();
                    track.iter().for_each(|track| track.kept());
                }
                // On a full disk all others would fail too.
                Event::Failed(failure) => {
                    track.iter().for_each(|track| track.refused(failure));
                    let is_full = failure.code == messages::code::IO;
                    is_over.set(is_over.get() || is_fail_fast || is_full);
                }
                _ => {}
            }
            meter.suspend(|| report.borrow_mut().record_before(begun.get(), event));
        };
        let is_key = |stat: &Stat, path: &dyn Fn() -> Option<PathBuf>| {
            keys.files.iter().any(|key| key.is_at(stat, path))
        };
        let mut work_items = Items::new(&self.plan, scan, unusable, false, &is_key, &mut on_event)?;
        // Files in progress that replace an output, by number.
        let replacing = RefCell::new(HashSet::new());
        let mut number = 0;
        let items = work_items.by_ref().inspect(|item| {
            begun.set(begun.get() + 1);
            track.iter().for_each(|track| track.begun(item));
        });
        let mut upcoming = Lookahead::new(items, keys.look);
        let mut items = std::iter::from_fn(|| {
            let item = if is_over.get() { None } else { upcoming.next() };
            if let Some(item) = &item {
                meter.begin_file(&item.input);
                if item.replaces() {
                    replacing.borrow_mut().insert(number);
                }
                number += 1;
            }
            item
        });
        let mut on_done = |number: usize, result: Result<Summary, cryptstream_engine::Error>| {
            meter.end_file(number);
            let replaces = replacing.borrow_mut().remove(&number);
            let result = match track {
                Some(track) => match track.settle(number, result, &self.plan, keys.context) {
                    Settled::Kept(bytes) => {
                        meter.file_done();
                        return report.borrow_mut().record(Event::Kept(bytes));
                    }
                    Settled::Failed(failure) => {
                        let is_full = failure.code == messages::code::IO;
                        is_over.set(is_over.get() || is_full);
                        return meter.suspend(|| report.borrow_mut().failed(number, failure));
                    }
                    Settled::Unchanged(result) => result,
                },
                None => result,
            };
            match result {
                Ok(summary) => {
                    let mut report = report.borrow_mut();
                    report.done(&summary);
                    if replaces {
                        report.replaced();
                    }
                }
                Err(error) => {
                    let is_full = error.is_full();
                    is_over.set(is_over.get() || is_fail_fast || is_full);
                    let failure = match error {
                        // It appeared after this file was begun.
                        cryptstream_engine::Error::OutputExists { path } => {
                            messages::tree::output_appeared(&path)
                        }
                        error => messages::engine(error, keys.context),
                    };
                    meter.suspend(|| report.borrow_mut().failed(number, failure));
                }
            }
        };
        let stats = with(&mut self.engine, &mut items, self.commit, &meter, &mut on_done);
        work_items.finish(|| !report.borrow().is_clean());
        let is_clean = report.borrow().is_clean() && !is_over.get();
        prune(&self.plan, is_clean, false, &is_key, &mut on_event);
        meter.clear();
        let mut report = report.into_inner();
        if is_over.get() {
            report.stopped(all);
        }
        Ok(report.end(stats))
    }
}
