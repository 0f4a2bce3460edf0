//! `verify`: decrypts files without writing anything, and looks closer at damaged ones.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::iter::Peekable;

use cryptstream_beneath::KnownFile;
use cryptstream_engine::{
    BatchItem, DamageScan, DecryptAll, Engine, Error, Parser, Progress, Summary, WorkerNote,
};
use cryptstream_format::Identity;

use super::inputs::{Inputs, PendingInput, no_key_fits, try_keys};
use super::lookahead::{Lookahead, LookaheadFn};
use super::session::{CommandResult, Session};
use crate::args::DecryptInputs;
use crate::keyring::{CachedIdentities, DecryptionKeys};
use crate::messages::{self, Context, Failure, inspect_verify};
use crate::progress::Meter;
use crate::report;
use crate::report::verify::{Outcome, VerifyReport};
use crate::request::{Input, engine_options};
use crate::tree::max_in_flight;
use crate::verb::Verb;

/// Smaller files are decrypted several at a time. Larger ones keep all workers busy, and show
/// progress.
const SMALL: u64 = 8 << 20;

/// Verifies the files.
struct Verifier<'a> {
    identities: Vec<&'a dyn Identity>,
    context: Context,
    /// The files that keys were read from.
    key_files: Vec<KnownFile>,
    meter: Meter,
    /// Parses the files.
    parser: Parser,
    /// Set if a key should be asked about several files at once.
    look: Option<LookaheadFn<'a>>,
    report: RefCell<VerifyReport>,
    /// The number of files, and of those begun.
    count: u64,
    begun: Cell<usize>,
    /// How many objects are fetched at once, if there are any.
    in_flight: Option<usize>,
}

/// A file and its number.
type Numbered = (usize, PendingInput);

pub(super) fn run(args: DecryptInputs, session: &Session) -> CommandResult {
    let options = session.options;
    let inputs = Inputs::of(args.files, args.file_list.files_from.is_some())?;
    let keys = DecryptionKeys::read(&args.decryption, session.take_key())?;
    let context = Context { has_passphrase: keys.has_passphrase(), ..Verb::Verify.into() };
    let (mut count, mut total, mut first, mut can_be_tried) = (0u64, 0u64, None, true);
    for pending in inputs.iter() {
        count += 1;
        // What can be read only once must be verified in the one pass.
        let is_absent = matches!(pending.input, Input::Unreadable(..) | Input::Unlisted(..));
        can_be_tried &= pending.len.is_some() || is_absent;
        total += pending.len.unwrap_or(0);
        first.get_or_insert(pending.input);
    }
    // For a folder, a terminal shows only problems and the total. Otherwise each file has its
    // line, as with sha256sum -c, for programs to read.
    let is_folder = count > inputs.count().max(1) as u64;
    let is_brief = is_folder && io::stdout().is_terminal() && !options.verbose;
    let name = match first {
        Some(input) if count == 1 => report::input_label(&input),
        _ => format!("{count} files"),
    };
    let key_files = keys.key_files();
    // Nobody is asked for a key if no file can be decrypted.
    let identities = match inputs.iter().any(|pending| check(&pending, &key_files).is_ok()) {
        true => keys.identities(&name)?,
        false => Vec::new(),
    };
    let mut engine = Engine::with_options(engine_options(&args.workers));
    let parser = engine.parser().map_err(|error| messages::engine(error, context))?;
    let cached = CachedIdentities::new(identities);
    if is_folder
        && can_be_tried
        && let Some(no_match) = try_keys(&inputs, &cached, &parser, &key_files)
    {
        return Err(no_key_fits(no_match, &inputs, context));
    }
    let look_ahead = |items: &[BatchItem]| cached.look_ahead(items, &parser);
    let verifier = Verifier {
        parser: parser.clone(),
        look: cached.prefers_batch().then_some(&look_ahead),
        identities: cached.identities(),
        context,
        key_files,
        meter: Meter::new(name, options),
        report: RefCell::new(VerifyReport::new(options, is_brief)),
        count,
        in_flight: inputs.has_prefix().then(max_in_flight),
        begun: Cell::new(0),
    };
    verifier.meter.start(Some(total).filter(|total| *total > 0));
    verifier.verify(&mut engine, &mut inputs.iter().peekable());
    verifier.meter.clear();
    Ok(verifier.report.into_inner().end())
}

/// Checks that a file can be opened and is not a key of this run. Pipes are not opened, since
/// that could block, and objects are not, since that costs a request.
fn check(pending: &PendingInput, key_files: &[KnownFile]) -> Result<(), Failure> {
    pending.check_key(key_files)?;
    if let Input::Path(path) = &pending.input
        && std::fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir())
    {
        return Ok(());
    }
    if matches!(pending.input, Input::Object(..)) {
        return Ok(());
    }
    let opened = pending.input.open();
    opened.map(drop).map_err(|error| messages::engine(error, Verb::Verify))
}

/// Whether a file is verified together with others.
fn is_small(pending: &PendingInput) -> bool {
    pending.len.is_some_and(|len| len < SMALL)
}

impl Verifier<'_> {
    fn verify(
        &self,
        engine: &mut Engine,
        inputs: &mut Peekable<impl Iterator<Item = PendingInput>>,
    ) {
        // All files are verified even if nobody reads the report, since they determine the exit
        // status.
        while let Some(pending) = inputs.peek() {
            if self.count > 1 && is_small(pending) {
                self.verify_small(engine, inputs);
            } else if let Some(pending) = inputs.next() {
                self.verify_one(engine, self.number(pending));
            }
        }
    }

    fn number(&self, pending: PendingInput) -> Numbered {
        let number = self.begun.get();
        self.begun.set(number + 1);
        (number, pending)
    }

    fn verify_one(&self, engine: &mut Engine, (number, pending): Numbered) {
        let opened = pending.check_key(&self.key_files).and_then(|()| {
            pending.input.open().map_err(|error| messages::engine(error, self.context))
        });
        let mut source = match opened {
            Ok(source) => source.parsed_by(&self.parser),
            Err(failure) => return self.record(number, pending.input, Outcome::Failed(failure)),
        };
        let progress = FileProgress(&self.meter);
        let request = cryptstream_engine::Verify::source(&mut source);
        let result = engine.verify(request.identities(&self.identities).progress(&progress));
        let stats = match &result {
            Ok(summary) => summary.workers,
            Err(_) => engine.take_stats(),
        };
        self.report.borrow_mut().add(stats);
        self.close((number, pending), result);
    }

    /// The small files that come next, several at a time.
    fn verify_small(
        &self,
        engine: &mut Engine,
        inputs: &mut Peekable<impl Iterator<Item = PendingInput>>,
    ) {
        // By the engine's numbers.
        let under_way = RefCell::new((0usize, HashMap::new()));
        let items = std::iter::from_fn(|| {
            loop {
                let pending = inputs.next_if(is_small)?;
                let (number, pending) = self.number(pending);
                let Some(item) = pending.item() else { continue };
                if let Err(failure) = pending.check_key(&self.key_files) {
                    self.record(number, pending.input, Outcome::Failed(failure));
                    continue;
                }
                let (count, files) = &mut *under_way.borrow_mut();
                files.insert(*count, (number, pending));
                *count += 1;
                return Some(item);
            }
        });
        let mut items = Lookahead::new(items, self.look);
        let mut on_done = |number: usize, result| {
            let Some(file) = under_way.borrow_mut().1.remove(&number) else { return };
            self.meter.advance(file.1.len.unwrap_or(0));
            self.close(file, result);
        };
        let request = DecryptAll::items(&mut items).identities(&self.identities);
        let request = request.in_flight(self.in_flight);
        let summary = engine.decrypt_all(request.on_done(&mut on_done));
        self.report.borrow_mut().add(summary.workers);
    }

    /// Reports the result; scans a damaged file for intact parts.
    fn close(&self, (number, pending): Numbered, result: Result<Summary, Error>) {
        let outcome = match result {
            Ok(summary) => Outcome::Intact(summary),
            Err(error) if error.is_damaged_payload() => self.scan(&pending.input, error),
            Err(error) => Outcome::Failed(messages::engine(error, self.context)),
        };
        self.record(number, pending.input, outcome);
    }

    fn scan(&self, input: &Input, error: Error) -> Outcome {
        let failure = messages::engine(error, self.context);
        let Some(path) = input.path() else { return Outcome::Failed(failure) };
        let meter = (self.count == 1).then(|| {
            self.meter.clear();
            Meter::new(report::input_label(input), self.report.borrow().options)
        });
        let progress: &dyn Progress = match &meter {
            Some(meter) => meter,
            None => &(),
        };
        let scan =
            input.open().map(|source| source.parsed_by(&self.parser)).and_then(|mut source| {
                let request = DamageScan::source(&mut source).identities(&self.identities);
                Engine::builder().build().scan_for_damage(request.progress(progress))
            });
        if let Some(meter) = &meter {
            meter.clear();
        }
        match scan {
            Ok(scan) if scan.is_intact() => Outcome::Failed(inspect_verify::unsteady(path)),
            Ok(scan) if scan.chunks_intact > 0 => {
                Outcome::Damaged(scan, inspect_verify::partly_damaged(failure))
            }
            Ok(scan) => Outcome::Damaged(scan, failure),
            // As the file is damaged, no matching key was looked for.
            Err(Error::NotAFile { .. } | Error::NotSeekable { .. } | Error::Unlock { .. }) => {
                Outcome::Failed(failure)
            }
            Err(error) => Outcome::Failed(messages::engine(error, self.context)),
        }
    }

    fn record(&self, number: usize, input: Input, outcome: Outcome) {
        self.meter.suspend(|| self.report.borrow_mut().record(number, input, outcome));
    }
}

/// The progress of one file among several.
struct FileProgress<'a>(&'a Meter);

impl Progress for FileProgress<'_> {
    fn start(&self, _total: Option<u64>) {}

    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn workers(&self, alive: usize) {
        self.0.workers(alive);
    }

    fn worker_note(&self, note: &WorkerNote) {
        self.0.worker_note(note);
    }
}
