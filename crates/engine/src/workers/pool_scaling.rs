//! Measures whether storage makes the workers wait, and says how many there should be.

use std::time::{Duration, Instant};

use crate::scaling::{MIN_DONE, MIN_INTERVAL, Scaling, Usage};

/// The [`Scaling`] of the workers, and what is measured for it.
pub(super) struct PoolScaling {
    scaling: Scaling,
    start: Instant,
    /// The number of workers that were ready at the start, and for how long they had been busy.
    ready: usize,
    busy: Option<Duration>,
    /// Number of segments done since.
    done: usize,
    /// Whether all workers had something to do all the time.
    is_valid: bool,
}

impl PoolScaling {
    /// With `is_on` false no more workers are wanted.
    pub(super) fn new(cores: usize, is_on: bool) -> Self {
        Self {
            scaling: Scaling::new(cores, is_on),
            start: Instant::now(),
            ready: 0,
            busy: None,
            done: 0,
            is_valid: false,
        }
    }

    /// How many workers there should be at least.
    pub(super) fn wanted(&self) -> usize {
        self.scaling.wanted()
    }

    /// Counts a segment that is done.
    pub(super) fn count(&mut self) {
        self.done += 1;
    }

    /// Decides anew if enough was measured. `ready` workers are at work now, and `is_fed` says
    /// whether all of them have something to do. `busy` tells for how long they were busy since
    /// they were started.
    pub(super) fn update(
        &mut self,
        ready: usize,
        is_fed: bool,
        busy: impl FnOnce() -> Option<Duration>,
    ) {
        if self.scaling.is_decided() {
            return;
        }
        self.is_valid &= is_fed && ready > 0 && ready == self.ready;
        let elapsed = self.start.elapsed();
        if elapsed < MIN_INTERVAL || (self.is_valid && self.done < MIN_DONE * ready) {
            return;
        }
        let (busy, before) = (busy(), self.busy);
        if let (true, Some(before), Some(now)) = (self.is_valid, before, busy) {
            self.scaling.observe(Usage {
                workers: ready,
                elapsed,
                occupied: elapsed * ready as u32,
                busy: now.saturating_sub(before),
                done: self.done,
            });
        }
        (self.start, self.ready, self.busy) = (Instant::now(), ready, busy);
        (self.done, self.is_valid) = (0, true);
    }
}
