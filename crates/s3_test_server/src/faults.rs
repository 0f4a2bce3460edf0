//! The faults that a test asks for.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use crate::error::ErrorCode;
use crate::operation::Operation;
use crate::request::Request;
use crate::store::content_hash;

/// What goes wrong. Positions in bodies are in bytes; one beyond the end means the last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is refused with this error.
    Error(ErrorCode),
    /// The request is refused with [`ErrorCode::SlowDown`] and the header `Retry-After`.
    SlowDown {
        /// In seconds.
        retry_after: u64,
    },
    /// The request is refused with [`ErrorCode::PermanentRedirect`] to this region.
    WrongRegion(String),
    /// The request is refused with [`ErrorCode::RequestTimeTooSkewed`], by a clock that is ahead.
    Skewed {
        /// In seconds.
        ahead: u64,
    },
    /// The request is refused with [`ErrorCode::AccessDenied`] and this text.
    Denied(&'static str),
    /// The request is refused, but with status 200: the error is in the body, as S3 may answer
    /// CompleteMultipartUpload and the copying operations.
    ErrorWithStatus200(ErrorCode),

    /// The connection is reset when the request has been read, before it has any effect.
    Reset,
    /// The connection is reset when this much of the body of the request has been read.
    ResetWhileReading {
        /// The position.
        after: usize,
    },
    /// The request has its effect, but the connection is reset instead of an answer.
    LoseAnswer,
    /// The connection is reset in the middle of the body of the answer.
    ResetBody {
        /// The position.
        after: usize,
    },
    /// The connection is closed in the middle of the body of the answer.
    CutBody {
        /// The position.
        after: usize,
    },

    /// The request is read and answered later.
    Delay(Duration),
    /// The body of the answer stops for a time.
    StallBody {
        /// The position.
        after: usize,
        /// How long.
        time: Duration,
    },
    /// The body of the answer comes slowly.
    DripBody {
        /// The length of a piece.
        piece: usize,
        /// The time after each.
        pause: Duration,
    },

    /// A bit in the middle of the body of the answer is wrong.
    CorruptBody,
    /// The answer announces and has a body that is shorter than it should be, by this much. With
    /// HeadObject: it tells a length that is smaller.
    ShortenBody {
        /// In bytes.
        by: usize,
    },
    /// More bytes follow the body than the answer announces. The connection is closed after them.
    LengthenBody {
        /// In bytes.
        by: usize,
    },
    /// The ETag in the answer, in a header or in XML, is that of other content.
    WrongEtag,
    /// The ETag is missing in the answer.
    NoEtag,
    /// This header is missing in the answer.
    NoHeader(&'static str),
    /// The client is sent elsewhere: to this URL, with status 302.
    Redirect(String),

    /// `If-Match` and `If-None-Match` do not count.
    IgnoreConditions,
    /// `Range` does not count: the whole object comes, with status 200.
    IgnoreRange,

    /// Another client replaces the object by one with this content, before the request is done.
    Replace(Vec<u8>),
    /// Another client does so while the body of the answer is sent. What remains of it is still
    /// that of the old object.
    ReplaceDuringBody {
        /// The position.
        after: usize,
        /// The new content.
        content: Vec<u8>,
    },
}

/// A fault, and the requests that it happens to.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    operation: Option<Operation>,
    key: Option<String>,
    which: Which,
}

#[derive(Clone, Debug)]
enum Which {
    All,
    /// By their numbers among those that match, which start with 0.
    Numbers(Range<u64>),
    Random(f64),
}

impl Rule {
    /// The fault happens to all requests.
    #[must_use]
    pub fn all(fault: Fault) -> Self {
        Self { fault, operation: None, key: None, which: Which::All }
    }

    /// The fault happens to the first `count` requests.
    #[must_use]
    pub fn first(count: u64, fault: Fault) -> Self {
        Self { which: Which::Numbers(0..count), ..Self::all(fault) }
    }

    /// The fault happens to one request: the first is number 1.
    #[must_use]
    pub fn nth(number: u64, fault: Fault) -> Self {
        Self { which: Which::Numbers(number.saturating_sub(1)..number), ..Self::all(fault) }
    }

    /// The fault happens at random, with a probability from 0 to 1.
    ///
    /// Whether it does depends on the seed, on the operation, key, part number and range of the
    /// request, and on how often this request was made before: not on the order in which requests
    /// arrive from several connections.
    #[must_use]
    pub fn random(probability: f64, fault: Fault) -> Self {
        Self { which: Which::Random(probability), ..Self::all(fault) }
    }

    /// Only requests for this operation match, and count.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only requests for this key match, and count.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }
}

/// All faults of a server. If several rules apply to a request, all their faults happen to it, as
/// far as they go together.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    seed: u64,
    rules: Vec<Rule>,
}

impl Faults {
    /// No faults yet. The seed is for [`Rule::random`].
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, rules: Vec::new() }
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

impl From<Rule> for Faults {
    fn from(rule: Rule) -> Self {
        Self::default().rule(rule)
    }
}

/// Decides which faults happen to a request.
#[derive(Default)]
pub(crate) struct FaultState {
    faults: Faults,
    /// How many requests each rule has matched.
    matched: Vec<u64>,
    /// How often each request was made.
    made: HashMap<String, u64>,
}

impl FaultState {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { matched: vec![0; faults.rules.len()], faults, made: HashMap::new() }
    }

    pub(crate) fn next(&mut self, operation: Operation, request: &Request) -> Vec<Fault> {
        if self.faults.rules.is_empty() {
            return Vec::new();
        }
        let identity = format!(
            "{operation:?} {}/{} {:?} {:?}",
            request.bucket,
            request.key,
            request.parameter("partNumber"),
            request.header("range")
        );
        let made = self.made.entry(identity.clone()).or_default();
        let (before, seed) = (*made, self.faults.seed);
        *made += 1;

        let mut faults = Vec::new();
        for (index, (rule, matched)) in self.faults.rules.iter().zip(&mut self.matched).enumerate()
        {
            let is_match = rule.operation.is_none_or(|wanted| wanted == operation)
                && rule.key.as_ref().is_none_or(|wanted| *wanted == request.key);
            if !is_match {
                continue;
            }
            let number = *matched;
            *matched += 1;
            let happens = match &rule.which {
                Which::All => true,
                Which::Numbers(numbers) => numbers.contains(&number),
                Which::Random(probability) => {
                    chance(&format!("{seed} {index} {before} {identity}")) < *probability
                }
            };
            if happens {
                faults.push(rule.fault.clone());
            }
        }
        faults
    }
}

/// A number from 0 to 1 that depends on the text alone.
fn chance(text: &str) -> f64 {
    let digits = &content_hash(text.as_bytes())[..8];
    f64::from(u32::from_str_radix(digits, 16).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: &str) -> Request {
        Request { bucket: "b".to_owned(), key: key.to_owned(), ..Request::default() }
    }

    #[test]
    fn rules_count_what_they_match() {
        let faults = Faults::from(Rule::nth(2, Fault::Reset).on(Operation::GetObject))
            .rule(Rule::first(2, Fault::NoEtag).key("k"))
            .rule(Rule::all(Fault::IgnoreRange).on(Operation::HeadObject));
        let mut state = FaultState::new(faults);
        assert_eq!(state.next(Operation::GetObject, &request("l")), []);
        assert_eq!(state.next(Operation::PutObject, &request("k")), [Fault::NoEtag]);
        assert_eq!(state.next(Operation::GetObject, &request("k")), [Fault::Reset, Fault::NoEtag]);
        assert_eq!(state.next(Operation::GetObject, &request("k")), []);
        assert_eq!(state.next(Operation::HeadObject, &request("k")), [Fault::IgnoreRange]);
    }

    #[test]
    fn chance_depends_on_the_seed_and_not_on_the_order() {
        let happens = |seed, backwards| {
            let rule = Rule::random(0.1, Fault::Reset);
            let mut state = FaultState::new(Faults::seeded(seed).rule(rule));
            let mut keys: Vec<_> = (0..10_000).map(|number| number / 2).collect();
            if backwards {
                keys.reverse();
            }
            let mut hit: Vec<u32> = keys
                .into_iter()
                .filter(|key| {
                    !state.next(Operation::GetObject, &request(&key.to_string())).is_empty()
                })
                .collect();
            hit.sort_unstable();
            hit
        };
        let hit = happens(1, false);
        assert!((800..1200).contains(&hit.len()), "{}", hit.len());
        assert_eq!(hit, happens(1, true));
        assert_ne!(hit, happens(2, false));
    }
}
