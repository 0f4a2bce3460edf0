//! `verify`: opens everything, writes nothing, and looks closer at what is
//! damaged.

mod ledger;

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::ops::Range;
use std::process::ExitCode;

use cryptstream_engine::{
    CommitOptions, Destination, Engine, Error, Item, Parser, Progress, Source, Summary, Survey,
    Target, WorkerNote,
};
use cryptstream_format::Identity;
use zeroize::Zeroizing;

use super::inputs::{self, Status};
use crate::args::{Talk, Verify};
use crate::keyring::OpeningKeys;
use crate::messages::{Context, Failure, look};
use crate::progress::Meter;
use crate::report;
use crate::request::{Input, cores, worker_options};
use ledger::{Ledger, Outcome};

/// Below this several files are opened at a time. Larger ones keep all workers
/// busy by themselves, and show progress.
const SMALL: u64 = 8 << 20;

/// What is done with all files.
struct Verifier<'a> {
    identities: Vec<&'a dyn Identity>,
    context: Context,
    files: RefCell<Vec<File>>,
    meter: Meter,
    /// Who parses the files.
    parser: Parser,
    ledger: RefCell<Ledger<'a>>,
}

/// A file as it was seen before any was opened.
struct File {
    input: Input,
    size: Option<u64>,
    /// Standard input is only to be had once.
    source: Option<Source>,
    failure: Option<Failure>,
}

pub(super) fn run(args: Verify, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> ExitCode {
    match verify(args, key, talk) {
        Ok(exit_code) => exit_code,
        Err(failure) => Status::refused(&failure, talk.json),
    }
}

fn verify(args: Verify, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> Result<ExitCode, Failure> {
    let named = args.files.len();
    let inputs = inputs::inputs(args.files)?;
    // Of a folder, a terminal shows what is not intact, and the total. Elsewhere every
    // file has its line, as with sha256sum -c, for programs to read.
    let is_brief = inputs.len() > named.max(1) && io::stdout().is_terminal() && !talk.verbose;
    let keys = OpeningKeys::read(&args.opening, key)?;
    let context =
        Context { has_passphrase: keys.has_passphrase(), is_stream: false, is_armored: false };
    let files: Vec<File> = inputs.iter().map(|input| see(input, &keys)).collect();
    let name = match &inputs[..] {
        [input] => report::input_label(input),
        inputs => format!("{} files", inputs.len()),
    };
    // Nobody is asked for a key that there is nothing to open with.
    let identities = match files.iter().any(|file| file.failure.is_none()) {
        true => keys.identities(&name)?,
        false => Vec::new(),
    };
    let mut engine = Engine::new(worker_options(&args.workers), cores());
    let parser = engine.parser().map_err(|error| look::engine(error, context))?;
    let verifier = Verifier {
        parser,
        identities: identities.iter().map(AsRef::as_ref).collect(),
        context,
        meter: Meter::new(name, talk),
        ledger: RefCell::new(Ledger::new(&inputs, talk, is_brief)),
        files: RefCell::new(files),
    };
    verifier.verify(&mut engine);
    verifier.meter.clear();
    Ok(verifier.ledger.into_inner().end())
}

/// Looks at a file, if that is possible without waiting for somebody to write
/// to it.
fn see(input: &Input, keys: &OpeningKeys) -> File {
    let file = |size, source, failure| File { input: input.clone(), size, source, failure };
    if let Input::Path(path) = input
        && std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    {
        return file(None, None, None);
    }
    let failed = |error| look::engine(error, Context::default());
    let source = match input.open() {
        Ok(source) => source,
        Err(error) => return file(None, None, Some(failed(error))),
    };
    let checked = keys.check(&source, &Target::Stdout { only_text: false });
    let size = source.expected_len();
    file(size, matches!(input, Input::Stdin).then_some(source), checked.err())
}

impl Verifier<'_> {
    fn verify(&self, engine: &mut Engine) {
        let count = self.files.borrow().len();
        // What cannot be opened takes no time.
        let total = self
            .files
            .borrow()
            .iter()
            .filter(|file| file.failure.is_none())
            .map(|file| file.size)
            .sum();
        self.meter.start(total);
        let mut next = 0;
        while next < count && !self.ledger.borrow().is_unread() {
            let is_small = |file: &File| {
                let is_path = file.input.path().is_some();
                is_path && file.size.is_some_and(|size| size < SMALL)
            };
            let files = self.files.borrow();
            let small = files[next..].iter().take_while(|file| is_small(file)).count();
            drop(files);
            if small > 1 {
                self.verify_small(engine, next..next + small);
            } else {
                self.verify_one(engine, next);
            }
            next += small.max(1);
        }
    }

    fn verify_one(&self, engine: &mut Engine, number: usize) {
        let Some(mut source) = self.open(number) else { return };
        let result = engine.verify(&mut source, &self.identities, &Part(&self.meter));
        let stats = match &result {
            Ok(summary) => summary.workers,
            Err(_) => engine.take_stats(),
        };
        self.ledger.borrow_mut().add(stats);
        self.close(number, result);
    }

    /// Files that are small, several at a time.
    fn verify_small(&self, engine: &mut Engine, range: Range<usize>) {
        let listed = RefCell::new(Vec::new());
        let mut items = range.filter_map(|number| {
            let item = self.list(number)?;
            listed.borrow_mut().push(number);
            Some(item)
        });
        let mut on_done = |number: usize, result| {
            let number = listed.borrow()[number];
            self.meter.advance(self.files.borrow()[number].size.unwrap_or(0));
            self.close(number, result);
        };
        let commit = CommitOptions::default();
        let stats = engine.decrypt_all(&mut items, &self.identities, commit, &(), &mut on_done);
        self.ledger.borrow_mut().add(stats);
    }

    /// A small file; or puts down why there is none.
    fn list(&self, number: usize) -> Option<Item> {
        if self.ledger.borrow().is_unread() {
            return None;
        }
        let mut files = self.files.borrow_mut();
        let file = &mut files[number];
        if let Some(failure) = file.failure.take() {
            drop(files);
            self.put_down(number, Outcome::Failed(failure));
            return None;
        }
        let entry = match &file.input {
            Input::Entry(entry, _) => Some(entry.clone()),
            _ => None,
        };
        let (input, len) = (file.input.path()?.to_owned(), file.size.unwrap_or(0));
        Some(Item { input, entry, len, output: Destination::Nowhere, guard: None })
    }

    /// Opens a file, or puts down why not.
    fn open(&self, number: usize) -> Option<Source> {
        if self.ledger.borrow().is_unread() {
            return None;
        }
        let mut files = self.files.borrow_mut();
        let file = &mut files[number];
        let failure = match (file.failure.take(), file.source.take()) {
            (Some(failure), _) => failure,
            (None, Some(source)) => return Some(source.parsed_by(&self.parser)),
            (None, None) => match file.input.open() {
                Ok(source) => return Some(source.parsed_by(&self.parser)),
                Err(error) => look::engine(error, self.context),
            },
        };
        drop(files);
        self.put_down(number, Outcome::Failed(failure));
        None
    }

    /// Puts down how it went; looks closer at what is damaged.
    fn close(&self, number: usize, result: Result<Summary, Error>) {
        let outcome = match result {
            Ok(summary) => Outcome::Intact(summary),
            Err(error) if error.is_damaged_payload() => self.survey(number, error),
            Err(error) => Outcome::Failed(look::engine(error, self.context)),
        };
        self.put_down(number, outcome);
    }

    fn survey(&self, number: usize, error: Error) -> Outcome {
        let input = self.files.borrow()[number].input.clone();
        let failure = look::engine(error, self.context);
        let Some(path) = input.path() else { return Outcome::Failed(failure) };
        let is_alone = self.files.borrow().len() == 1;
        let meter = is_alone.then(|| {
            self.meter.clear();
            Meter::new(report::input_label(&input), self.ledger.borrow().talk)
        });
        let progress: &dyn Progress = match &meter {
            Some(meter) => meter,
            None => &(),
        };
        let survey = input
            .open()
            .map(|source| source.parsed_by(&self.parser))
            .and_then(|mut source| Survey::of(&mut source, &self.identities, progress));
        if let Some(meter) = &meter {
            meter.clear();
        }
        match survey {
            Ok(survey) if survey.is_intact() => Outcome::Failed(look::unsteady(path)),
            Ok(survey) if survey.chunks > 0 => {
                Outcome::Damaged(survey, look::partly_damaged(failure))
            }
            Ok(survey) => Outcome::Damaged(survey, failure),
            // As it is damaged, it was not looked for a key that fits.
            Err(Error::NotAFile { .. } | Error::NotSeekable { .. } | Error::Unlock { .. }) => {
                Outcome::Failed(failure)
            }
            Err(error) => Outcome::Failed(look::engine(error, self.context)),
        }
    }

    fn put_down(&self, number: usize, outcome: Outcome) {
        self.meter.aside(|| self.ledger.borrow_mut().put_down(number, outcome));
    }
}

/// One file of several under one meter.
struct Part<'a>(&'a Meter);

impl Progress for Part<'_> {
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
