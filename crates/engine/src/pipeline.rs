//! Sends a payload through the queue: publishes segments as they come, and collects those
//! that are done.

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{Format, Layout, Segment};
use cryptstream_shm::Bytes;

use crate::failure::Failure;
use crate::input::InputObject;
use crate::output::{OutputObject, Sink};
use crate::payload::{Read, segment_read};
use crate::progress::check_cancelled;
use crate::transform::Operation;
use crate::workers::{CHECK_INTERVAL, Coordinator, Finished, Stop};
use crate::{Error, Progress, Source};

/// Where the segments come from.
pub(crate) enum SegmentSource<'a> {
    /// Workers read them. Only the next one must be known.
    File { object: Option<InputObject>, layout: Layout, next: u64 },
    /// Main reads them, in order, into the buffers of slots.
    Stream {
        format: Format,
        operation: Operation,
        source: &'a mut Source,
        next: u64,
        /// The slot that is being filled, and how far.
        filling: Option<(usize, usize)>,
        is_over: bool,
    },
}

/// Where the results go.
pub(crate) enum SegmentSink<'a> {
    /// Workers write them at their offsets, in any order.
    ByWorkers(Option<OutputObject>),
    /// Main writes them, in order.
    InOrder(&'a mut Sink),
}

/// Why a pipeline ended early.
pub(crate) enum PipelineError {
    /// A segment failed; all others are done.
    Segment(Segment, Failure),
    /// All work stopped.
    Stop(Stop),
    /// Main could not read or write.
    Error(Error),
}

/// One job's segments.
pub(crate) struct Pipeline<'a> {
    job: u32,
    input: SegmentSource<'a>,
    output: SegmentSink<'a>,
    /// The most workers that are worth it.
    target: usize,
    /// Number of published segments of this job.
    outstanding: usize,
    last: Option<Segment>,
    /// The first of the segments that failed.
    failed: Option<(Segment, Failure)>,
}

impl<'a> SegmentSource<'a> {
    pub(crate) fn of_file(object: Option<InputObject>, layout: Layout, first: u64) -> Self {
        Self::File { object, layout, next: first }
    }

    pub(crate) fn of_stream(
        format: Format,
        operation: Operation,
        source: &'a mut Source,
        first: u64,
    ) -> Self {
        Self::Stream { format, operation, source, next: first, filling: None, is_over: false }
    }

    /// Whether everything is published.
    fn is_over(&self) -> bool {
        match self {
            Self::File { layout, next, .. } => *next >= layout.segment_count(),
            Self::Stream { is_over, .. } => *is_over,
        }
    }

    /// Expected number of bytes that are not published yet; for a stream, as many as there
    /// have been.
    fn left(&self) -> u64 {
        match self {
            Self::File { layout, next, .. } => (layout.segment_count() - next) * SEGMENT_LEN as u64,
            Self::Stream { is_over: true, .. } => 0,
            Self::Stream { next, .. } => next * SEGMENT_LEN as u64,
        }
    }

    /// Publishes the next segment in `slot`, if there is one and, unless
    /// `may_wait`, neither it nor room for its output has to be waited for. Returns it.
    fn publish(
        &mut self,
        coordinator: &mut Coordinator,
        job: u32,
        slot: Option<usize>,
        output: &SegmentSink<'_>,
        may_wait: bool,
    ) -> Result<Option<Segment>, Error> {
        match self {
            Self::File { object, layout, next } => {
                let (Some(segment), Some(slot)) = (layout.segment(*next), slot) else {
                    return Ok(None);
                };
                let Some(known) = coordinator.job(job) else {
                    return Err(Error::Internal("a job was forgotten"));
                };
                if let Some(object) = object {
                    let (offset, len) = known.input_of(&segment);
                    if !object.fetch(offset, len, may_wait)? {
                        return Ok(None);
                    }
                }
                if let SegmentSink::ByWorkers(Some(object)) = output {
                    let (offset, len) = known.output_of(&segment);
                    if !object.reserve(offset, len, may_wait)? {
                        return Ok(None);
                    }
                }
                coordinator.publish(slot, job, &segment, Bytes::Absent);
                *next += 1;
                Ok(Some(segment))
            }
            Self::Stream { is_over: true, .. } => Ok(None),
            Self::Stream { format, operation, source, next, filling, is_over } => {
                let Some((slot, filled)) = filling.or(slot.map(|slot| (slot, 0))) else {
                    return Ok(None);
                };
                let len = operation.full_len(*format);
                let buffers = coordinator.slot_buffers(slot);
                let (more, must_wait) = source.fill_region(
                    buffers.region,
                    buffers.input + filled,
                    len - filled,
                    may_wait,
                )?;
                let filled = filled + more;
                let is_end = match filled == len && format.final_chunk_may_be_full() {
                    _ if must_wait => None,
                    true => source.is_over(may_wait)?,
                    false => Some(filled < len),
                };
                let Some(is_end) = is_end else {
                    *filling = Some((slot, filled));
                    return Ok(None);
                };
                *filling = None;
                let read = Read { format: *format, operation: *operation, len: filled, is_end };
                let segment = segment_read(read, None, *next, source)?;
                coordinator.publish(slot, job, &segment, Bytes::Present);
                *next += 1;
                *is_over = segment.is_last();
                Ok(Some(segment))
            }
        }
    }
}

impl<'a> SegmentSink<'a> {
    /// To where the results go that are meant for `sink`.
    pub(crate) fn new(sink: &'a mut Sink) -> Self {
        if sink.is_in_order() { Self::InOrder(sink) } else { Self::by_workers(sink) }
    }

    /// To where workers write.
    pub(crate) fn by_workers(sink: &Sink) -> Self {
        match sink {
            Sink::Object(object) => Self::ByWorkers(Some(object.clone())),
            _ => Self::ByWorkers(None),
        }
    }
}

impl<'a> Pipeline<'a> {
    /// The pipeline of job `job`.
    pub(crate) fn new(
        job: u32,
        input: SegmentSource<'a>,
        output: SegmentSink<'a>,
        target: usize,
    ) -> Self {
        Self { job, input, output, target, outstanding: 0, last: None, failed: None }
    }

    /// Runs to the end. Returns the last segment.
    pub(crate) fn run(
        mut self,
        coordinator: &mut Coordinator,
        progress: &dyn Progress,
    ) -> Result<Segment, PipelineError> {
        let is_ordered = matches!(self.output, SegmentSink::InOrder(_));
        loop {
            check_cancelled(progress).map_err(PipelineError::Error)?;
            self.publish(coordinator).map_err(PipelineError::Error)?;
            if self.is_over() {
                coordinator.remove(self.job);
                return self.end();
            }
            // Nothing was published, so it waited for the input.
            if self.outstanding > 0 {
                let stepped = coordinator.step(self.left(), self.target, CHECK_INTERVAL);
                coordinator.report(progress);
                stepped.map_err(PipelineError::Stop)?;
            }
            while let Some(finished) =
                coordinator.finished(is_ordered).map_err(PipelineError::Stop)?
            {
                self.take(coordinator, finished, progress).map_err(PipelineError::Error)?;
            }
        }
    }

    /// Fills the queue, unless something has failed.
    pub(crate) fn publish(&mut self, coordinator: &mut Coordinator) -> Result<(), Error> {
        while self.failed.is_none() {
            let may_wait = self.outstanding == 0;
            let is_through_buffers = matches!(self.input, SegmentSource::Stream { .. })
                || matches!(self.output, SegmentSink::InOrder(_));
            let slot = if is_through_buffers {
                coordinator.free_buffers(self.target)
            } else {
                coordinator.free_slot()
            };
            let published =
                self.input.publish(coordinator, self.job, slot, &self.output, may_wait)?;
            let Some(segment) = published else {
                break;
            };
            self.outstanding += 1;
            self.last = Some(segment);
        }
        Ok(())
    }

    /// Collects a finished segment of this job.
    pub(crate) fn take(
        &mut self,
        coordinator: &mut Coordinator,
        finished: Finished,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        self.outstanding -= 1;
        let job = coordinator.job(finished.job).ok_or(Error::Internal("a job was forgotten"))?;
        let segment = finished.segment;
        let (start, read) = job.input_of(&segment);
        match (finished.result, &mut self.output) {
            (Err(failure), _) => {
                let is_first = |(other, _): &(Segment, Failure)| segment.index() < other.index();
                if self.failed.as_ref().is_none_or(is_first) {
                    self.failed = Some((segment, failure));
                }
            }
            (Ok(()), SegmentSink::InOrder(sink)) if self.failed.is_none() => {
                let (offset, len) = job.output_of(&segment);
                let buffers = coordinator.buffers_of(&finished);
                sink.put_from(offset, buffers.region, buffers.output, len)?;
            }
            (Ok(()), SegmentSink::ByWorkers(Some(object))) if self.failed.is_none() => {
                let (offset, len) = job.output_of(&segment);
                object.written(offset, len)?;
            }
            (Ok(()), _) => {}
        }
        if let SegmentSource::File { object: Some(object), .. } = &self.input {
            object.release(start, read);
        }
        coordinator.retire(finished);
        progress.advance(read as u64);
        Ok(())
    }

    pub(crate) fn job(&self) -> u32 {
        self.job
    }

    /// Bytes that are not published yet.
    pub(crate) fn left(&self) -> u64 {
        if self.failed.is_some() { 0 } else { self.input.left() }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.outstanding == 0 && (self.failed.is_some() || self.input.is_over())
    }

    /// How it ended.
    pub(crate) fn end(self) -> Result<Segment, PipelineError> {
        match (self.failed, self.last) {
            (Some((segment, failure)), _) => Err(PipelineError::Segment(segment, failure)),
            (None, Some(segment)) => Ok(segment),
            (None, None) => {
                Err(PipelineError::Error(Error::Internal("a payload without segments")))
            }
        }
    }
}
