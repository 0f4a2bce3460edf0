//! The layout of the memory that main shares with its workers.

use std::io;
use std::sync::Arc;

use cryptstream_shm::{FutexTokens, Region, Shape};

use crate::job::Room;

/// Where everything lies in the region: two semaphores, the queue, then two
/// buffers for each slot.
#[derive(Clone, Copy)]
pub(super) struct RegionLayout {
    pub(super) shape: Shape,
}

impl RegionLayout {
    const TASKS: usize = 0;
    const DONE: usize = 128;
    pub(super) const QUEUE: usize = 256;
    const PAGE: usize = 4096;
    /// Bytes from one buffer to the next.
    const STRIDE: usize = Room::LEN.next_multiple_of(Self::PAGE);

    pub(super) fn new(shape: Shape) -> Self {
        Self { shape }
    }

    /// Where buffer `number` begins.
    fn buffer(self, number: usize) -> usize {
        let buffers = (Self::QUEUE + 8 * self.shape.words()).next_multiple_of(Self::PAGE);
        buffers + number * Self::STRIDE
    }

    /// The buffers of slot `slot`.
    pub(super) fn room(self, region: &Region, slot: usize) -> Room<'_> {
        Room { region, input: self.buffer(2 * slot), output: self.buffer(2 * slot + 1) }
    }

    /// Bytes of the whole region.
    pub(super) fn len(self) -> usize {
        self.buffer(2 * self.shape.capacity())
    }

    /// The semaphores: tasks that are ready, and tasks that are done.
    pub(super) fn tokens(self, region: &Arc<Region>) -> io::Result<(FutexTokens, FutexTokens)> {
        let tokens = |place| FutexTokens::new(Arc::clone(region), place);
        Ok((tokens(Self::TASKS)?, tokens(Self::DONE)?))
    }
}
