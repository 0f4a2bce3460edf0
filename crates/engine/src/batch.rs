//! Several files at a time. Segments of larger ones go to the workers, while
//! main opens the next files and names those that are done; small ones are done
//! whole by threads of main.

use std::collections::VecDeque;
use std::time::Duration;

use cryptstream_format::{Identity, Recipient, Segment};
use cryptstream_protection::Protection;

use crate::batch_item::BatchItem;
use crate::decrypt::Opening;
use crate::encrypt::Sealing;
use crate::error_context::{ErrorContext, lack};
use crate::file_io::clone_of;
use crate::in_process::pass_alone;
use crate::job::{Job, Output};
use crate::output::Sink;
use crate::payload::Payload;
use crate::pipeline::{Exit, Flow, FlowError, Intake};
use crate::thread_pool::{Hands, Pile};
use crate::workers::{Coordinator, LOOK_EVERY, Stop};
use crate::{
    CommitOptions, Engine, Error, Form, Parser, Processes, Progress, Source, Summary, Target,
    WorkerStats,
};

/// Up to this length a file is small: 64 KiB.
const SMALL: u64 = 64 << 10;
/// Larger files that are looked at beyond those that workers are at work on, so
/// that small ones behind them are done meanwhile.
const MAX_WAITING: usize = 4096;
/// More threads would only wait for each other in the file system.
const MAX_HANDS: usize = 16;

/// Files that are taken in a row before main looks after the workers: about a
/// millisecond, for which they have enough to do.
const AT_A_TIME: usize = 64;
/// The longest that main waits for the workers while the threads may run out of
/// small files: they are given enough for several times as long.
const HANDS_EVERY: Duration = Duration::from_millis(1);

/// Told of each file that is done, by its number in the order in which the
/// files came; not necessarily in this order.
type OnDone<'a> = dyn FnMut(usize, Result<Summary, Error>) + 'a;

impl Engine {
    /// Seals every item into its target, in this form, several at a time. What
    /// fails does not keep the others. Returns what has become of the workers.
    pub fn encrypt_all(
        &mut self,
        form: impl Into<Form>,
        items: &mut dyn Iterator<Item = BatchItem>,
        recipients: &[&(dyn Recipient + Sync)],
        commit: CommitOptions,
        progress: &dyn Progress,
        on_done: &mut OnDone<'_>,
    ) -> WorkerStats {
        let form = form.into();
        let begin = |source: &mut Source, target: Option<&Target>| {
            let target = target.ok_or(Error::Internal("sealed for nothing"))?;
            let mut sealing = Sealing::begin(source, target, form, commit)?;
            let payload = sealing.head(recipients)?;
            Ok((Ending::Seal(sealing), payload))
        };
        let hands = self.hands(recipients.iter().any(|recipient| recipient.may_ask()));
        self.all(items, &begin, hands, commit, progress, on_done)
    }

    /// Opens every item into its target, several at a time; those that have none
    /// only to know that they can be opened. What fails does not keep the others.
    /// Returns what has become of the workers.
    pub fn decrypt_all(
        &mut self,
        items: &mut dyn Iterator<Item = BatchItem>,
        identities: &[&dyn Identity],
        commit: CommitOptions,
        progress: &dyn Progress,
        on_done: &mut OnDone<'_>,
    ) -> WorkerStats {
        let begin = |source: &mut Source, target: Option<&Target>| {
            let (opening, payload) = Opening::begin(source, target, identities, commit)?;
            Ok((Ending::Open(opening), payload))
        };
        let hands = self.hands(identities.iter().any(|identity| identity.may_ask()));
        self.all(items, &begin, hands, commit, progress, on_done)
    }

    /// How many threads do small files.
    fn hands(&self, may_ask: bool) -> usize {
        match self.options.processes {
            // Nobody can answer several questions at a time.
            _ if may_ask => 0,
            Processes::Exactly(0) => 0,
            Processes::Exactly(count) => usize::from(count).min(self.cores),
            // On a single one nothing would be gained.
            Processes::Auto if self.cores < 2 => 0,
            Processes::Auto => self.cores.min(MAX_HANDS),
        }
    }

    fn all(
        &mut self,
        items: &mut dyn Iterator<Item = BatchItem>,
        begin: &Begin<'_>,
        hands: usize,
        commit: CommitOptions,
        progress: &dyn Progress,
        on_done: &mut OnDone<'_>,
    ) -> WorkerStats {
        let parser = self.parser();
        let work = |item: &BatchItem| whole(item, &parser, begin, commit);
        let pile = Pile::default();
        std::thread::scope(|scope| {
            let hands = Hands::start(scope, hands, &pile, &work);
            let mut air = Air::default();
            self.direct(&mut items.enumerate(), hands, &mut air, begin, commit, progress, on_done);
        });
        self.take_stats()
    }

    /// Sends every item on its way, and collects what has arrived.
    #[allow(clippy::too_many_arguments, reason = "they are what a run consists of")]
    fn direct(
        &mut self,
        items: &mut dyn Iterator<Item = (usize, BatchItem)>,
        mut hands: Hands<'_>,
        air: &mut Air,
        begin: &Begin<'_>,
        commit: CommitOptions,
        progress: &dyn Progress,
        on_done: &mut OnDone<'_>,
    ) {
        let slots = Coordinator::slots(self.options.allowed(self.cores));
        let mut is_more = true;
        while is_more || !air.is_clear() || !hands.are_idle() {
            // No more at a time, so that what flies is not kept waiting, and never
            // more than can be handed over: it would all have to be remembered.
            for _ in 0..AT_A_TIME {
                let has_room = match hands.is_any() {
                    true => hands.have_room() && air.waiting.len() < MAX_WAITING,
                    false => air.waiting.is_empty(),
                };
                if !is_more || !has_room {
                    break;
                }
                match items.next() {
                    None => is_more = false,
                    Some((number, item)) if item.len <= SMALL && hands.is_any() => {
                        hands.give(number, item);
                    }
                    Some(item) => air.waiting.push_back(item),
                }
            }
            if !is_more {
                hands.flush();
            }
            while let Some((number, item, is_suspect)) = air.next(slots) {
                match self.launch(number, item, begin, commit, progress) {
                    Ok(Launched::Flies(flight)) => {
                        air.flights.push(Flight { is_suspect, ..*flight });
                    }
                    Ok(Launched::Landed(summary)) => on_done(number, Ok(summary)),
                    Err(error) => on_done(number, Err(error)),
                }
            }
            let may_wait = air.flights.is_empty() && (!hands.have_room() || !is_more);
            while let Some(results) = hands.results(may_wait && !hands.are_idle()) {
                for (number, result) in results {
                    progress.advance(result.as_ref().map_or(0, |summary| summary.bytes_in));
                    on_done(number, result);
                }
                if hands.have_room() {
                    break;
                }
            }
            if !air.flights.is_empty() {
                let longest = if hands.are_idle() { LOOK_EVERY } else { HANDS_EVERY };
                self.move_on(air, longest, commit, progress, on_done);
            }
        }
    }

    /// Moves what flies on by a step, and ends what has arrived.
    fn move_on(
        &mut self,
        air: &mut Air,
        longest: Duration,
        commit: CommitOptions,
        progress: &dyn Progress,
        on_done: &mut OnDone<'_>,
    ) {
        if let Err(stop) = self.fly(&mut air.flights, air.passed, longest, progress) {
            // Nobody knows any more who has done what.
            self.dismiss();
            let stopped = std::mem::take(&mut air.flights);
            // One file may have led the workers astray, or have killed them. Each is begun
            // again, with new workers and no other file beside it: then it is known which.
            let is_known = stopped.len() == 1 || stop.is_for_all();
            for flight in stopped {
                match is_known {
                    true => on_done(flight.number, Err(flight.place().stopped(stop.clone()))),
                    false => air.suspects.push_back((flight.number, flight.item)),
                }
            }
        }
        for flight in &mut air.flights {
            if flight.flow.is_over() && !flight.is_removed {
                flight.is_removed = true;
                if let Ok(Some(coordinator)) = self.coordinator() {
                    coordinator.remove(flight.flow.job());
                }
            }
        }
        let has_arrived = |flight: &mut Flight| flight.is_removed && self.may_be_named(flight);
        let arrived: Vec<_> = air.flights.extract_if(.., has_arrived).collect();
        for flight in arrived {
            let (number, landed) = (flight.number, flight.land(commit));
            air.passed += landed.as_ref().map_or(0, |summary| summary.bytes_in);
            on_done(number, landed);
        }
    }

    /// Whether every worker has dropped the key and the descriptors of a file that
    /// is through.
    fn may_be_named(&mut self, flight: &mut Flight) -> bool {
        let Ok(Some(coordinator)) = self.coordinator() else { return true };
        if !coordinator.is_released(flight.flow.job()) {
            return false;
        }
        if Protection::JobRevoked.is_on()
            && let Sink::File(pending) = flight.ending.sink()
            && pending.has_other_writers() == Some(true)
        {
            // They have all said that they do not have it any more.
            return coordinator.replace_workers().is_ok();
        }
        true
    }

    /// Begins a file. Where there are no workers, or it is not known how long
    /// it is, it is also ended.
    fn launch(
        &mut self,
        number: usize,
        item: BatchItem,
        begin: &Begin<'_>,
        commit: CommitOptions,
        progress: &dyn Progress,
    ) -> Result<Launched, Error> {
        let mut source = item.open(&self.parser()?)?;
        let (mut ending, payload) = begin(&mut source, item.target()?.as_ref())?;
        let is_in_order = ending.sink().is_in_order();
        let allowed = self.options.allowed(self.cores);
        let may_fly = !is_in_order && allowed > 0 && self.has_coordinator()?;
        let Some(layout) = payload.layout.filter(|_| may_fly) else {
            // The workers may be at work on other files, whose segments would
            // come in between.
            let last = pass_alone(payload, &mut source, ending.sink(), progress)?;
            return ending.finish(&source, &last, commit).map(Launched::Landed);
        };
        let Payload { operation, start, cipher, .. } = payload;
        let output = match ending.sink() {
            Sink::File(pending) => Output::File(pending.open_for_workers()?),
            Sink::Stream(_) | Sink::Armored(_) | Sink::Nowhere => Output::Nowhere,
        };
        let input = Some(clone_of(source.file(), source.path())?);
        let job =
            Job { operation, layout: Some(layout), payload_start: start, cipher, input, output };
        let Some(coordinator) = self.coordinator().map_err(lack)? else {
            return Err(Error::Internal("the workers are gone"));
        };
        let flow =
            Flow::new(coordinator.add(job), Intake::of_file(layout, 0), Exit::ByWorkers, allowed);
        Ok(Launched::Flies(Box::new(Flight {
            number,
            item,
            source,
            ending,
            flow,
            start,
            is_removed: false,
            is_suspect: false,
        })))
    }

    /// Moves all files on by a step. When `passed` bytes are through, as many
    /// again are likely to come.
    fn fly(
        &mut self,
        flights: &mut [Flight],
        passed: u64,
        longest: Duration,
        progress: &dyn Progress,
    ) -> Result<(), Stop> {
        let left = passed + flights.iter().map(|flight| flight.flow.left()).sum::<u64>();
        let target = self.options.target(left, self.cores);
        let Some(coordinator) = self.coordinator()? else { return Err(Stop::NoWorkers) };
        for flight in &mut *flights {
            // Of files nothing is read here, so nothing can fail.
            let _ = flight.flow.publish(coordinator);
        }
        if coordinator.outstanding() > 0 {
            let stepped = coordinator.step(left, target, longest);
            coordinator.tell(progress);
            stepped?;
        } else {
            // What flies waits for nothing but the workers to let it go.
            coordinator.wait_for_release(longest)?;
        }
        while let Some(finished) = coordinator.finished(false)? {
            let Some(flight) = flights.iter_mut().find(|f| f.flow.job() == finished.job) else {
                coordinator.retire(finished);
                continue;
            };
            let _ = flight.flow.take(coordinator, finished, progress);
        }
        Ok(())
    }
}

type Begin<'a> =
    dyn Fn(&mut Source, Option<&Target>) -> Result<(Ending, Payload), Error> + Sync + 'a;

/// A file from its beginning to its end, in this thread.
fn whole(
    item: &BatchItem,
    parser: &Result<Parser, Error>,
    begin: &Begin<'_>,
    commit: CommitOptions,
) -> Result<Summary, Error> {
    let Ok(parser) = parser else { return Err(Error::NoWorkers) };
    let mut source = item.open(parser)?;
    let (mut ending, payload) = begin(&mut source, item.target()?.as_ref())?;
    let last = pass_alone(payload, &mut source, ending.sink(), &())?;
    ending.finish(&source, &last, commit)
}

/// Larger files: those that workers are at work on, and those to come.
#[derive(Default)]
struct Air {
    flights: Vec<Flight>,
    waiting: VecDeque<(usize, BatchItem)>,
    /// Files over one of which the workers were given up.
    suspects: VecDeque<(usize, BatchItem)>,
    /// Bytes that have arrived.
    passed: u64,
}

impl Air {
    fn is_clear(&self) -> bool {
        self.flights.is_empty() && self.waiting.is_empty() && self.suspects.is_empty()
    }

    /// The file that is to be begun now, and whether it is suspected: such a file is alone
    /// in the air. At most as many as there are `slots` are worked on.
    fn next(&mut self, slots: usize) -> Option<(usize, BatchItem, bool)> {
        if !self.suspects.is_empty() || self.flights.iter().any(|flight| flight.is_suspect) {
            return match self.flights.is_empty() {
                true => self.suspects.pop_front().map(|(number, item)| (number, item, true)),
                false => None,
            };
        }
        // Those that only wait for workers to let go of them keep no other waiting,
        // within bounds.
        let busy = self.flights.iter().filter(|flight| !flight.is_removed).count();
        if busy >= slots || self.flights.len() >= 2 * slots {
            return None;
        }
        self.waiting.pop_front().map(|(number, item)| (number, item, false))
    }
}

/// How a file ends whose payload is through.
enum Ending {
    Seal(Sealing),
    Open(Opening),
}

impl Ending {
    fn sink(&mut self) -> &mut Sink {
        match self {
            Self::Seal(sealing) => &mut sealing.sink,
            Self::Open(opening) => &mut opening.sink,
        }
    }

    fn finish(
        self,
        source: &Source,
        last: &Segment,
        commit: CommitOptions,
    ) -> Result<Summary, Error> {
        match self {
            Self::Seal(sealing) => sealing.finish(source, last, commit),
            Self::Open(opening) => opening.finish(source, last, commit),
        }
    }
}

/// What became of a file that was begun.
enum Launched {
    Flies(Box<Flight>),
    Landed(Summary),
}

/// A file of which segments are on their way.
struct Flight {
    number: usize,
    /// To begin it again. Its guard is dropped when the file is done.
    item: BatchItem,
    source: Source,
    ending: Ending,
    flow: Flow<'static>,
    /// Where the payload begins in the sealed file.
    start: u64,
    /// Whether the workers were told to drop it: all of it is done.
    is_removed: bool,
    /// Whether workers were given up over this file or one beside it.
    is_suspect: bool,
}

impl Flight {
    fn place(&self) -> ErrorContext {
        let output_path = match &self.ending {
            Ending::Seal(sealing) => sealing.sink.path().to_owned(),
            Ending::Open(opening) => opening.sink.path().to_owned(),
        };
        ErrorContext { path: self.source.path().to_owned(), output_path, start: self.start }
    }

    fn land(self, commit: CommitOptions) -> Result<Summary, Error> {
        let place = self.place();
        match self.flow.end() {
            Ok(last) => self.ending.finish(&self.source, &last, commit),
            Err(FlowError::Segment(segment, failure)) => Err(place.error(&segment, failure)),
            Err(FlowError::Stop(stop)) => Err(place.stopped(stop)),
            Err(FlowError::Error(error)) => Err(error),
        }
    }
}
