//! How many requests may be under way, and when the next one may be sent: as many as the store
//! takes without asking for fewer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The most requests under way; more than are ever sent at once.
const MAX_UNDER_WAY: usize = 64;
/// The longest time that a store is left alone because it asks for it.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Halves the number of requests under way each time that the store has too many, and raises it by
/// one again when as many have succeeded.
#[derive(Debug)]
pub(super) struct Pace {
    state: Mutex<State>,
    /// Notified when one more may be sent.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    limit: usize,
    /// How many have succeeded since the limit was changed.
    succeeded: usize,
    /// When the next one may be sent.
    not_before: Option<Instant>,
}

/// A request under way.
pub(super) struct UnderWay<'a>(&'a Pace);

impl Default for Pace {
    fn default() -> Self {
        let state = State { under_way: 0, limit: MAX_UNDER_WAY, succeeded: 0, not_before: None };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }
}

impl Pace {
    /// Waits until a request may be sent.
    pub(super) async fn begin(&self) -> UnderWay<'_> {
        loop {
            let changed = self.changed.notified();
            let begun = self.lock().try_begin();
            match begun {
                Ok(()) => return UnderWay(self),
                Err(Some(pause)) => sleep_until(pause).await,
                Err(None) => changed.await,
            }
        }
    }

    /// The store has too many requests, and wants none for some time.
    pub(super) fn slow_down(&self, pause: Option<Duration>) {
        let mut state = self.lock();
        state.limit = (state.under_way.min(state.limit) / 2).max(1);
        state.succeeded = 0;
        let until = pause.map(|pause| Instant::now() + pause.min(MAX_PAUSE));
        state.not_before = state.not_before.max(until);
    }

    /// The store has answered as it should.
    pub(super) fn succeeded(&self) {
        let mut state = self.lock();
        state.succeeded += 1;
        if state.succeeded >= state.limit && state.limit < MAX_UNDER_WAY {
            state.limit += 1;
            state.succeeded = 0;
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins a request, or says until when none may be sent, if that is known.
    fn try_begin(&mut self) -> Result<(), Option<Instant>> {
        match self.not_before {
            Some(pause) if pause > Instant::now() => Err(Some(pause)),
            _ if self.under_way >= self.limit => Err(None),
            _ => {
                self.under_way += 1;
                Ok(())
            }
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_busy_gets_fewer_requests_and_later_more() {
        let pace = Pace::default();
        for _ in 0..8 {
            pace.lock().try_begin().unwrap();
        }
        pace.slow_down(None);
        assert_eq!(pace.lock().limit, 4);
        assert_eq!(pace.lock().try_begin(), Err(None));
        (0..4).for_each(|_| pace.succeeded());
        assert_eq!(pace.lock().limit, 5);
        (0..4).for_each(|_| drop(UnderWay(&pace)));
        pace.lock().try_begin().unwrap();
        assert_eq!(pace.lock().try_begin(), Err(None));
        (0..9).for_each(|_| pace.slow_down(None));
        assert_eq!(pace.lock().limit, 1);
    }

    #[test]
    fn nothing_is_sent_before_the_store_wants_it() {
        let pace = Pace::default();
        pace.slow_down(Some(Duration::from_secs(9999)));
        let pause = pace.lock().try_begin().unwrap_err().unwrap();
        assert!(pause <= Instant::now() + MAX_PAUSE);
        // A shorter pause does not end a longer one.
        pace.slow_down(Some(Duration::ZERO));
        assert_eq!(pace.lock().try_begin(), Err(Some(pause)));
    }
}
