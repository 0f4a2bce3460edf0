//! The layout of the memory that main shares with its workers.

use std::io;
use std::sync::Arc;

use cryptstream_shm::{FutexSemaphore, QueueLayout, Region};

use crate::job::SlotBuffers;

/// The offsets in the region: two semaphores, the queue, then two buffers for each slot.
#[derive(Clone, Copy)]
pub(super) struct RegionLayout {
    pub(super) queue: QueueLayout,
}

impl RegionLayout {
    const TASKS: usize = 0;
    const DONE: usize = 128;
    pub(super) const QUEUE: usize = 256;
    const PAGE: usize = 4096;
    /// The distance in bytes from one buffer to the next.
    const STRIDE: usize = SlotBuffers::LEN.next_multiple_of(Self::PAGE);

    pub(super) fn new(queue: QueueLayout) -> Self {
        Self { queue }
    }

    /// The offset of buffer `number`.
    fn buffer(self, number: usize) -> usize {
        let buffers = (Self::QUEUE + 8 * self.queue.words()).next_multiple_of(Self::PAGE);
        buffers + number * Self::STRIDE
    }

    /// The buffers of slot `slot`.
    pub(super) fn slot_buffers(self, region: &Region, slot: usize) -> SlotBuffers<'_> {
        SlotBuffers { region, input: self.buffer(2 * slot), output: self.buffer(2 * slot + 1) }
    }

    /// The length of the whole region in bytes.
    pub(super) fn len(self) -> usize {
        self.buffer(2 * self.queue.capacity())
    }

    /// The semaphores: tasks that are ready, and tasks that are done.
    pub(super) fn semaphores(
        self,
        region: &Arc<Region>,
    ) -> io::Result<(FutexSemaphore, FutexSemaphore)> {
        let semaphore = |place| FutexSemaphore::new(Arc::clone(region), place);
        Ok((semaphore(Self::TASKS)?, semaphore(Self::DONE)?))
    }
}
