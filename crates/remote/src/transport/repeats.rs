//! When requests are repeated that `object_store` does not send.

use std::time::{Duration, Instant};

use object_store::client::{HttpError, HttpResponse};
use tokio::time::sleep;

use super::settings::RetryLimits;

/// The pause before a request is repeated for the first time. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// The tries that are left for a request.
pub(super) struct Repeats {
    limits: RetryLimits,
    begun: Instant,
    count: usize,
    pause: Duration,
}

impl Repeats {
    pub(super) fn new(limits: RetryLimits) -> Self {
        Self { limits, begun: Instant::now(), count: 0, pause: FIRST_PAUSE }
    }

    /// Whether the request is to be sent again: the server may answer otherwise soon, and it was
    /// not asked too often. Waits before that.
    pub(super) async fn are_due(&mut self, result: &Result<HttpResponse, HttpError>) -> bool {
        let is_passing = match result {
            Ok(response) => {
                response.status().is_server_error()
                    || matches!(response.status().as_u16(), 408 | 429)
            }
            Err(_) => true,
        };
        if !is_passing
            || self.count >= self.limits.max_retries
            || self.begun.elapsed() > self.limits.time
        {
            return false;
        }
        sleep(self.pause).await;
        self.count += 1;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        true
    }
}
