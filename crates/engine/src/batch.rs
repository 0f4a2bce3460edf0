//! Encrypts or decrypts several files at a time. Segments of larger files go to the
//! workers, while main opens the next files and names those that are done. Small files
//! are done whole by threads of main.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use cryptstream_protection::Protection;

use crate::batch_item::BatchItem;
use crate::conversion::Conversion;
use crate::decrypt::FileDecryption;
use crate::encrypt::FileEncryption;
use crate::error_context::{ErrorContext, no_workers};
use crate::in_process::run_to_end;
use crate::job::{Job, Output};
use crate::output::Sink;
use crate::payload::Payload;
use crate::pipeline::{Pipeline, PipelineError, SegmentSink, SegmentSource};
use crate::progress::SharedProgress;
use crate::scaling::Scaling;
use crate::thread_pool::{Capacity, SmallFilePool, WorkQueue};
use crate::workers::{CHECK_INTERVAL, Stop};
use crate::{
    BatchSummary, CommitOptions, DecryptAll, EncryptAll, Engine, Error, Items, OnDone, Parser,
    Processes, Progress, Source, Summary, Target,
};

/// Larger files that are read from the list ahead of those in flight, so that small
/// files behind them are done meanwhile.
const MAX_WAITING: usize = 4096;

/// Items that main takes from the list before it checks the workers: about a
/// millisecond of work.
const ITEMS_PER_ROUND: usize = 64;
/// The longest that main waits for the workers while the pool has work: its queue
/// holds enough for several times as long.
const POOL_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What happens to all files of a run.
struct Batch<'a> {
    begin: &'a Begin<'a>,
    commit: CommitOptions,
    progress: &'a dyn Progress,
    on_done: Option<&'a mut OnDone<'a>>,
    summary: BatchSummary,
}

impl<'a> Batch<'a> {
    fn new<'b: 'a>(
        begin: &'a Begin<'a>,
        commit: CommitOptions,
        progress: &'a dyn Progress,
        on_done: Option<&'b mut OnDone<'b>>,
    ) -> Self {
        let on_done = on_done.map(|on_done| on_done as &mut OnDone<'a>);
        Self { begin, commit, progress, on_done, summary: BatchSummary::default() }
    }

    fn done(&mut self, number: usize, result: Result<Summary, Error>) {
        self.summary.add(&result);
        if let Some(on_done) = &mut self.on_done {
            on_done(number, result);
        }
    }
}

impl Engine {
    /// Encrypts many files, several at a time. A file that fails does not stop the others. If
    /// the disk was full while others were under way, it is tried once more, alone. Its error
    /// goes to [`EncryptAll::on_done`], and [`BatchSummary::failed`] counts it.
    pub fn encrypt_all(&mut self, request: EncryptAll<'_>) -> BatchSummary {
        let EncryptAll { items, format, recipients, commit, progress, on_done, in_flight } =
            request;
        let begin = |source: &mut Source, target: Option<&Target>| {
            let target = target.ok_or(Error::Internal("an encryption without a target"))?;
            let mut encryption = FileEncryption::begin(source, target, format, recipients, commit)?;
            let payload = encryption.head(recipients)?;
            Ok((Conversion::Encrypt(encryption), payload))
        };
        let may_prompt = recipients.iter().any(|recipient| recipient.may_prompt());
        let capacity = self.pool_capacity(may_prompt, in_flight);
        self.process_all(items, capacity, Batch::new(&begin, commit, progress, on_done))
    }

    /// Decrypts many files, several at a time, each with the first identity that fits. A
    /// file that fails does not stop the others. Its error goes to
    /// [`DecryptAll::on_done`], and [`BatchSummary::failed`] counts it.
    pub fn decrypt_all(&mut self, request: DecryptAll<'_>) -> BatchSummary {
        let DecryptAll { items, identities, commit, progress, on_done, in_flight } = request;
        let begin = |source: &mut Source, target: Option<&Target>| {
            let (decryption, payload) = FileDecryption::begin(source, target, identities, commit)?;
            Ok((Conversion::Decrypt(decryption), payload))
        };
        let may_prompt = identities.iter().any(|identity| identity.may_prompt());
        let capacity = self.pool_capacity(may_prompt, in_flight);
        self.process_all(items, capacity, Batch::new(&begin, commit, progress, on_done))
    }

    fn pool_capacity(&self, may_prompt: bool, in_flight: Option<usize>) -> Capacity {
        Capacity::new(self.options.processes, || self.cores(), may_prompt, in_flight)
    }

    fn process_all(
        &mut self,
        items: Items<'_>,
        capacity: Capacity,
        mut batch: Batch<'_>,
    ) -> BatchSummary {
        let parser = self.parser();
        let (begin, commit) = (batch.begin, batch.commit);
        let done = SharedProgress::default();
        let progress: &(dyn Progress + Sync) = if capacity.is_for_objects { &done } else { &() };
        let work = |item: &BatchItem| process_small(item, &parser, begin, commit, progress);
        let queue = WorkQueue::default();
        std::thread::scope(|scope| {
            let may_scale = !capacity.is_for_objects && self.options.processes == Processes::Auto;
            let scaling = Scaling::new(self.cores(), may_scale);
            let pool = SmallFilePool::start(scope, capacity, scaling, &queue, &work);
            let mut in_flight = InFlight::default();
            self.run_all(&mut items.enumerate(), pool, &mut in_flight, &done, &mut batch);
        });
        BatchSummary { workers: self.take_stats(), ..batch.summary }
    }

    /// Starts every item, and collects the results.
    fn run_all(
        &mut self,
        items: &mut dyn Iterator<Item = (usize, BatchItem)>,
        mut pool: SmallFilePool<'_, '_>,
        in_flight: &mut InFlight,
        done: &SharedProgress,
        batch: &mut Batch<'_>,
    ) {
        let mut is_more = true;
        while is_more || !in_flight.is_empty() || !pool.is_idle() {
            // No more at a time, so that transfers in flight are not kept waiting, and
            // never more than the queues take: the rest would have to be kept in memory.
            for _ in 0..ITEMS_PER_ROUND {
                let has_capacity = match pool.has_threads() {
                    _ if in_flight.is_exclusive() => false,
                    true => pool.has_capacity() && in_flight.waiting.len() < MAX_WAITING,
                    false => in_flight.waiting.is_empty(),
                };
                if !is_more || !has_capacity {
                    break;
                }
                match items.next() {
                    None => is_more = false,
                    Some((number, item)) if pool.takes(&item) => {
                        pool.submit(number, item);
                    }
                    Some(item) => in_flight.waiting.push_back(item),
                }
            }
            if !is_more || in_flight.is_exclusive() {
                pool.flush();
            }
            while let Some((number, item, is_alone)) =
                in_flight.next(self.capacity(), pool.is_idle())
            {
                let has_company = !in_flight.transfers.is_empty() || !pool.is_idle();
                match self.start(number, item.clone(), batch) {
                    Ok(Started::Running(transfer)) => {
                        in_flight.transfers.push(FileTransfer { is_alone, ..*transfer });
                    }
                    Ok(Started::Done(summary)) => batch.done(number, Ok(summary)),
                    Err(error) => in_flight.failed((number, item), has_company, error, batch),
                }
            }
            in_flight.note_company(!pool.is_idle());
            let is_taking = is_more && pool.has_capacity() && !in_flight.is_exclusive();
            let may_wait = in_flight.transfers.is_empty() && !is_taking;
            while let Some(results) = pool.results(may_wait && !pool.is_idle()) {
                for (number, item, result) in results {
                    match result {
                        Ok(summary) => {
                            if !pool.is_for_objects() {
                                batch.progress.advance(summary.bytes_in);
                            }
                            batch.done(number, Ok(summary));
                        }
                        Err(error) => in_flight.failed((number, item), true, error, batch),
                    }
                }
                if pool.has_capacity() {
                    break;
                }
            }
            batch.progress.advance(done.take());
            if !in_flight.transfers.is_empty() {
                let longest = if pool.is_idle() { CHECK_INTERVAL } else { POOL_POLL_INTERVAL };
                self.advance(in_flight, longest, batch);
            }
        }
    }

    /// Polls the transfers in flight once, and finishes those that are complete.
    fn advance(&mut self, in_flight: &mut InFlight, longest: Duration, batch: &mut Batch<'_>) {
        if let Err(stop) =
            self.poll(&mut in_flight.transfers, in_flight.bytes_done, longest, batch.progress)
        {
            // It is not known any more which segments are done.
            self.drop_workers();
            let stopped = std::mem::take(&mut in_flight.transfers);
            // One file may have killed the workers, or made them misbehave. Each is
            // started again with new workers and no other file, to find out which.
            let is_known = stopped.len() == 1 || stop.is_for_all();
            for transfer in stopped {
                if is_known {
                    let error = transfer.place().stopped(stop.clone());
                    batch.done(transfer.number, Err(error));
                } else {
                    in_flight.alone.push((transfer.number, transfer.item));
                }
            }
        }
        for transfer in &mut in_flight.transfers {
            if transfer.pipeline.is_over() && !transfer.is_removed {
                transfer.is_removed = true;
                if let Ok(Some(coordinator)) = self.coordinator() {
                    coordinator.remove(transfer.pipeline.job());
                }
            }
        }
        let is_complete =
            |transfer: &mut FileTransfer| transfer.is_removed && self.may_be_named(transfer);
        let completed: Vec<_> = in_flight.transfers.extract_if(.., is_complete).collect();
        for transfer in completed {
            let (file, had_company) =
                ((transfer.number, transfer.item.clone()), transfer.had_company);
            match transfer.finish(batch.commit) {
                Ok(summary) => {
                    in_flight.bytes_done += summary.bytes_in;
                    batch.done(file.0, Ok(summary));
                }
                Err(error) => in_flight.failed(file, had_company, error, batch),
            }
        }
    }

    /// Whether every worker has dropped the key and the descriptors of a file whose
    /// segments are all done.
    fn may_be_named(&mut self, transfer: &mut FileTransfer) -> bool {
        let Ok(Some(coordinator)) = self.coordinator() else { return true };
        if !coordinator.is_released(transfer.pipeline.job()) {
            return false;
        }
        if Protection::JobRevoked.is_on()
            && let Sink::File(pending) = transfer.conversion.sink()
            && pending.has_other_writers() == Some(true)
        {
            // All workers claim to have dropped it, and one of them lies.
            return coordinator.replace_workers().is_ok();
        }
        true
    }

    /// Starts a file. Without workers, or if its length is unknown, the file is done
    /// here to its end.
    fn start(
        &mut self,
        number: usize,
        item: BatchItem,
        batch: &Batch<'_>,
    ) -> Result<Started, Error> {
        let &Batch { begin, commit, progress, .. } = batch;
        let mut source = item.open(&self.parser()?)?;
        let (mut conversion, mut payload) = begin(&mut source, item.target()?.as_ref())?;
        self.set_caching(&mut source, conversion.sink(), commit);
        source.read_ahead();
        let is_in_order = conversion.sink().is_in_order();
        let allowed = self.options.allowed(self.cores());
        let may_queue = !is_in_order && allowed > 0 && self.has_coordinator()?;
        let Some(layout) = payload.layout.filter(|_| may_queue) else {
            // A queue shared with other files would mix their segments with these.
            let last =
                run_to_end(payload, self.threads(), &mut source, conversion.sink(), progress)?;
            return conversion.finish(&source, &last, commit).map(Started::Done);
        };
        payload.put_head(conversion.sink())?;
        let Payload { operation, start, cipher, .. } = payload;
        let output = match conversion.sink() {
            Sink::File(pending) => Output::File(pending.open_for_workers()?),
            Sink::Object(object) => Output::File(object.file()?),
            Sink::Stream(_) | Sink::Armored(_) | Sink::Nowhere => Output::Nowhere,
        };
        let input = Some(source.file().duplicate(source.path())?);
        let job =
            Job { operation, layout: Some(layout), payload_start: start, cipher, input, output };
        let Some(coordinator) = self.coordinator().map_err(no_workers)? else {
            return Err(Error::Internal("the workers are gone"));
        };
        let pipeline = Pipeline::new(
            coordinator.add(job),
            SegmentSource::of_file(source.as_object(), layout, 0),
            SegmentSink::by_workers(conversion.sink()),
            allowed,
        );
        Ok(Started::Running(Box::new(FileTransfer {
            number,
            item,
            source,
            conversion,
            pipeline,
            start,
            is_removed: false,
            is_alone: false,
            had_company: false,
        })))
    }

    /// Publishes, waits and collects once for all transfers. After `bytes_done` bytes, as
    /// many again are likely to come, which says how many workers are worth starting.
    fn poll(
        &mut self,
        transfers: &mut [FileTransfer],
        bytes_done: u64,
        longest: Duration,
        progress: &dyn Progress,
    ) -> Result<(), Stop> {
        let left =
            bytes_done + transfers.iter().map(|transfer| transfer.pipeline.left()).sum::<u64>();
        let target = self.options.target(left, self.cores());
        let Some(coordinator) = self.coordinator()? else { return Err(Stop::NoWorkers) };
        for transfer in &mut *transfers {
            // Main reads nothing of files, so nothing can fail.
            let _ = transfer.pipeline.publish(coordinator);
        }
        if coordinator.outstanding() > 0 {
            let stepped = coordinator.step(left, target, longest);
            coordinator.report(progress);
            stepped?;
        } else {
            // The transfers only wait for the workers to release them.
            coordinator.wait_for_release(longest)?;
        }
        while let Some(finished) = coordinator.finished(false)? {
            let Some(transfer) = transfers.iter_mut().find(|it| it.pipeline.job() == finished.job)
            else {
                coordinator.retire(finished);
                continue;
            };
            let _ = transfer.pipeline.take(coordinator, finished, progress);
        }
        Ok(())
    }
}

type Begin<'a> =
    dyn Fn(&mut Source, Option<&Target>) -> Result<(Conversion, Payload), Error> + Sync + 'a;

/// Encrypts or decrypts a whole file in this thread.
fn process_small(
    item: &BatchItem,
    parser: &Result<Parser, Error>,
    begin: &Begin<'_>,
    commit: CommitOptions,
    progress: &dyn Progress,
) -> Result<Summary, Error> {
    let Ok(parser) = parser else { return Err(Error::NoWorkers) };
    let mut source = item.open(parser)?;
    let (mut conversion, payload) = begin(&mut source, item.target()?.as_ref())?;
    source.read_ahead();
    let last = run_to_end(payload, 1, &mut source, conversion.sink(), progress)?;
    conversion.finish(&source, &last, commit)
}

/// The larger files: those that workers work on, and those that wait.
#[derive(Default)]
struct InFlight {
    transfers: Vec<FileTransfer>,
    waiting: VecDeque<(usize, BatchItem)>,
    /// Files that are started again, each with no other: those of which one has made the
    /// workers fail, and those for which the disk was full while others were under way.
    alone: Vec<(usize, BatchItem)>,
    /// Bytes of the files that are done.
    bytes_done: u64,
}

impl InFlight {
    fn is_empty(&self) -> bool {
        self.transfers.is_empty() && self.waiting.is_empty() && self.alone.is_empty()
    }

    /// Whether no other file may be started, since one runs alone or is going to.
    fn is_exclusive(&self) -> bool {
        !self.alone.is_empty() || self.transfers.iter().any(|transfer| transfer.is_alone)
    }

    /// The next file to start, and whether it runs alone. At most `slots` files are in flight.
    fn next(&mut self, slots: usize, is_pool_idle: bool) -> Option<(usize, BatchItem, bool)> {
        if self.is_exclusive() {
            if !self.transfers.is_empty() || !is_pool_idle {
                return None;
            }
            // The smallest first, so that as many as possible fit on a full disk.
            self.alone.sort_by_key(|(number, item)| Reverse((item.len, *number)));
            return self.alone.pop().map(|(number, item)| (number, item, true));
        }
        // Transfers that only wait for their release do not hold up others, within
        // bounds.
        let busy = self.transfers.iter().filter(|transfer| !transfer.is_removed).count();
        if busy >= slots || self.transfers.len() >= 2 * slots {
            return None;
        }
        self.waiting.pop_front().map(|(number, item)| (number, item, false))
    }

    fn note_company(&mut self, is_pool_busy: bool) {
        let has_company = is_pool_busy || self.transfers.len() > 1;
        self.transfers.iter_mut().for_each(|transfer| transfer.had_company |= has_company);
    }

    /// A file has failed. If the disk was full, and it was not alone, it is tried again when the
    /// others have finished, or have failed and left their room.
    fn failed(
        &mut self,
        (number, item): (usize, BatchItem),
        had_company: bool,
        error: Error,
        batch: &mut Batch<'_>,
    ) {
        match had_company && error.is_full() {
            true => self.alone.push((number, item)),
            false => batch.done(number, Err(error.about(&item.input))),
        }
    }
}

/// What became of a file that was started.
enum Started {
    Running(Box<FileTransfer>),
    Done(Summary),
}

/// A file of which segments are on their way.
struct FileTransfer {
    number: usize,
    /// To begin it again. Its guard is dropped when the file is done.
    item: BatchItem,
    source: Source,
    conversion: Conversion,
    pipeline: Pipeline<'static>,
    /// Where the payload begins in the encrypted file.
    start: u64,
    /// Whether the workers were told to drop it: all of it is done.
    is_removed: bool,
    /// Whether it was started again, with no other file.
    is_alone: bool,
    /// Whether other files were under way beside it.
    had_company: bool,
}

impl FileTransfer {
    fn place(&self) -> ErrorContext {
        let output_path = match &self.conversion {
            Conversion::Encrypt(encryption) => encryption.sink.path().to_owned(),
            Conversion::Decrypt(decryption) => decryption.sink.path().to_owned(),
        };
        ErrorContext { path: self.source.path().to_owned(), output_path, start: self.start }
    }

    fn finish(self, commit: CommitOptions) -> Result<Summary, Error> {
        let place = self.place();
        match self.pipeline.end() {
            Ok(last) => self.conversion.finish(&self.source, &last, commit),
            Err(PipelineError::Segment(segment, failure)) => Err(place.error(&segment, failure)),
            Err(PipelineError::Stop(stop)) => Err(place.stopped(stop)),
            Err(PipelineError::Error(error)) => Err(error),
        }
    }
}
