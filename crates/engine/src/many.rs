//! Several files at a time: different files go to different workers, while
//! main opens the next ones and names those that are done.

use std::collections::VecDeque;

use cryptstream_format::{Format, Identity, Recipient, Segment};

use crate::decrypt::Opening;
use crate::encrypt::Sealing;
use crate::engine::{FlowError, Payload, Place, clone_of};
use crate::flow::{Exit, Flow, Intake};
use crate::job::{Job, Output};
use crate::output::Sink;
use crate::workers::{Crew, Stop};
use crate::{CommitOptions, Engine, Error, Source, Summary, Target, WorkerStats};

/// Told of each file that is done, by its number in the order in which the
/// files came; not necessarily in this order.
type OnDone<'a> = dyn FnMut(usize, Result<Summary, Error>) + 'a;

impl Engine {
    /// Seals every source into its target, in this format, several at a time. What fails does
    /// not keep the others.
    pub fn encrypt_all(
        &mut self,
        format: Format,
        files: &mut dyn Iterator<Item = (Source, Target)>,
        recipients: &[&(dyn Recipient + Sync)],
        commit: CommitOptions,
        on_done: &mut OnDone<'_>,
    ) {
        let mut begin = |source: &mut Source, target: Option<&Target>| {
            let target = target.ok_or(Error::Internal("sealed for nothing"))?;
            let mut sealing = Sealing::begin(source, target, format.into(), commit)?;
            let payload = sealing.head(recipients)?;
            Ok((Ending::Seal(sealing), payload))
        };
        let files = files.map(|(source, target)| (source, Some(target)));
        self.all(&mut { files }, &mut begin, commit, on_done);
    }

    /// Opens every source into its target, several at a time. What fails does
    /// not keep the others.
    pub fn decrypt_all(
        &mut self,
        files: &mut dyn Iterator<Item = (Source, Target)>,
        identities: &[&dyn Identity],
        commit: CommitOptions,
        on_done: &mut OnDone<'_>,
    ) {
        let files = files.map(|(source, target)| (source, Some(target)));
        self.open_all(&mut { files }, identities, commit, on_done);
    }

    /// Opens every source and writes nothing, several at a time: to know that
    /// all can be opened. What fails does not keep the others. Returns what has
    /// become of the workers.
    pub fn verify_all(
        &mut self,
        files: &mut dyn Iterator<Item = Source>,
        identities: &[&dyn Identity],
        on_done: &mut OnDone<'_>,
    ) -> WorkerStats {
        let files = files.map(|source| (source, None));
        self.open_all(&mut { files }, identities, CommitOptions::default(), on_done)
    }

    fn open_all(
        &mut self,
        files: &mut dyn Iterator<Item = (Source, Option<Target>)>,
        identities: &[&dyn Identity],
        commit: CommitOptions,
        on_done: &mut OnDone<'_>,
    ) -> WorkerStats {
        let mut begin = |source: &mut Source, target: Option<&Target>| {
            let (opening, payload) = Opening::begin(source, target, identities, commit)?;
            Ok((Ending::Open(opening), payload))
        };
        self.all(files, &mut begin, commit, on_done)
    }

    fn all(
        &mut self,
        files: &mut dyn Iterator<Item = (Source, Option<Target>)>,
        begin: &mut Begin<'_>,
        commit: CommitOptions,
        on_done: &mut OnDone<'_>,
    ) -> WorkerStats {
        let allowed = self.options.allowed(self.cores);
        let mut flights: VecDeque<Box<Flight>> = VecDeque::new();
        let mut files = files.enumerate();
        let (mut is_more, mut passed) = (true, 0);
        while is_more || !flights.is_empty() {
            while is_more && flights.len() < Crew::slots(allowed) {
                let Some((number, (source, target))) = files.next() else {
                    is_more = false;
                    break;
                };
                match self.launch(number, source, target.as_ref(), begin, commit) {
                    Ok(Launched::Flies(flight)) => flights.push_back(flight),
                    Ok(Launched::Landed(summary)) => on_done(number, Ok(summary)),
                    Err(error) => on_done(number, Err(error)),
                }
            }
            if flights.is_empty() {
                continue;
            }
            if let Err(stop) = self.fly(&mut flights, passed) {
                // Nobody knows any more who has done what.
                self.dismiss();
                let mut stop = Some(stop);
                for flight in flights.drain(..) {
                    let place = flight.place();
                    let stopped = || Error::Internal("the workers were given up");
                    on_done(
                        flight.number,
                        Err(stop.take().map_or_else(stopped, |s| place.stopped(s))),
                    );
                }
            }
            let mut index = 0;
            while index < flights.len() {
                match flights[index].flow.is_over() {
                    true => {
                        let Some(flight) = flights.remove(index) else { break };
                        if let Ok(Some(crew)) = self.crew() {
                            crew.remove(flight.flow.job());
                        }
                        let (number, landed) = (flight.number, flight.land(commit));
                        passed += landed.as_ref().map_or(0, |summary| summary.bytes_in);
                        on_done(number, landed);
                    }
                    false => index += 1,
                }
            }
        }
        self.take_stats()
    }

    /// Begins a file. Where there are no workers, or it is not known how long
    /// it is, it is also ended.
    fn launch(
        &mut self,
        number: usize,
        mut source: Source,
        target: Option<&Target>,
        begin: &mut Begin<'_>,
        commit: CommitOptions,
    ) -> Result<Launched, Error> {
        let (mut ending, payload) = begin(&mut source, target)?;
        let is_in_order = ending.sink().is_in_order();
        let allowed = self.options.allowed(self.cores);
        let may_fly = !is_in_order && allowed > 0 && self.has_crew()?;
        let Some(layout) = payload.layout.filter(|_| may_fly) else {
            // The workers may be at work on other files, whose segments would
            // come in between.
            let last = self.pass_alone(payload, &mut source, ending.sink(), &())?;
            return ending.finish(&source, &last, commit).map(Launched::Landed);
        };
        let Payload { operation, start, cipher, .. } = payload;
        let output = match ending.sink() {
            Sink::File(pending) => Output::File(clone_of(pending.file(), pending.path())?),
            Sink::Stream(_) | Sink::Armored(_) | Sink::Nowhere => Output::Nowhere,
        };
        let input = Some(clone_of(source.file(), source.path())?);
        let job =
            Job { operation, layout: Some(layout), payload_start: start, cipher, input, output };
        let Ok(Some(crew)) = self.crew() else { return Err(Error::NoSandbox) };
        let flow = Flow::new(crew.add(job), Intake::of_file(layout, 0), Exit::ByWorkers, allowed);
        Ok(Launched::Flies(Box::new(Flight { number, source, ending, flow, start })))
    }

    /// Moves all files on by a step. When `passed` bytes are through, as many
    /// again are likely to come.
    fn fly(&mut self, flights: &mut VecDeque<Box<Flight>>, passed: u64) -> Result<(), Stop> {
        let left = passed + flights.iter().map(|flight| flight.flow.left()).sum::<u64>();
        let target = self.options.target(left, self.cores);
        let Some(crew) = self.crew()? else { return Err(Stop::NoSandbox) };
        for flight in &mut *flights {
            // Of files nothing is read here, so nothing can fail.
            let _ = flight.flow.publish(crew);
        }
        if crew.outstanding() > 0 {
            crew.step(left, target)?;
        }
        while let Some(finished) = crew.finished(false)? {
            let Some(flight) = flights.iter_mut().find(|f| f.flow.job() == finished.job) else {
                crew.retire(finished);
                continue;
            };
            let _ = flight.flow.take(crew, finished, &());
        }
        Ok(())
    }
}

type Begin<'a> = dyn FnMut(&mut Source, Option<&Target>) -> Result<(Ending, Payload), Error> + 'a;

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
    source: Source,
    ending: Ending,
    flow: Flow<'static>,
    /// Where the payload begins in the sealed file.
    start: u64,
}

impl Flight {
    fn place(&self) -> Place {
        let output_path = match &self.ending {
            Ending::Seal(sealing) => sealing.sink.path().to_owned(),
            Ending::Open(opening) => opening.sink.path().to_owned(),
        };
        Place { path: self.source.path().to_owned(), output_path, start: self.start }
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
