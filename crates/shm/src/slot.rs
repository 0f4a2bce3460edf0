//! The word that holds the whole state of one task.
//!
//! ```text
//!  63       56 55      48 47              32 31                              0
//! ┌───────────┬──────────┬──────────────────┬─────────────────────────────────┐
//! │   state   │ attempt  │      worker      │           generation            │
//! └───────────┴──────────┴──────────────────┴─────────────────────────────────┘
//! ```
//!
//! Every step of a task is one compare-and-swap of this whole word. So a claim and the id of the
//! claimer appear together. A process that was considered dead and continues late changes nothing:
//! by then the word has another attempt or generation than it expects.
//!
//! ```text
//! FREE ──main──► READY ──w──► CLAIMED(w) ──w──► LOADED(w) ──w──► DONE(w) ──main──► FREE
//!   │              ▲               │                │
//!   │              └──main, w dead─┘                │ main, w dead
//!   │                                               ▼
//!   └──main, bytes already there──────────► READY_LOADED ──v──► LOADED(v)
//! ```
//!
//! In `READY_LOADED` the bytes of the task are in the slot's buffer, and the next claimer must use
//! exactly these and must not read the input again. So claiming it leads directly to `LOADED`, and
//! the bytes stay known after a second death.

/// The id of the process that works on a slot. 0 is main itself.
///
/// An id must not be given to a second process while the first may be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(u16);

impl WorkerId {
    /// The producer, when it works on tasks itself.
    pub const MAIN: Self = Self(0);

    /// Worker number `id`; 0 is [`MAIN`](Self::MAIN).
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// The number of the worker.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is empty. A zeroed region is a queue of free slots.
    Free,
    /// A task that anyone may claim.
    Ready,
    /// A task that anyone may claim, whose bytes are in the slot's buffer already.
    ReadyLoaded,
    /// A worker has claimed it and has not finished reading its bytes.
    Claimed(WorkerId),
    /// A worker has claimed it, and its bytes are in the slot's buffer.
    Loaded(WorkerId),
    /// A worker has finished it.
    Done(WorkerId),
}

/// The fields of a slot's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The state of the slot.
    pub state: State,
    /// How often the task was taken back from a dead worker; saturates at 255.
    pub attempt: u8,
    /// Counts the tasks that this slot has held, and wraps.
    pub generation: u32,
}

impl Word {
    /// The 64 bits of this word.
    #[must_use]
    pub const fn encode(self) -> u64 {
        let (state, worker) = match self.state {
            State::Free => (0, 0),
            State::Ready => (1, 0),
            State::ReadyLoaded => (2, 0),
            State::Claimed(worker) => (3, worker.0),
            State::Loaded(worker) => (4, worker.0),
            State::Done(worker) => (5, worker.0),
        };
        state << 56 | (self.attempt as u64) << 48 | (worker as u64) << 32 | self.generation as u64
    }

    /// The word with these 64 bits; `None` if no transition leads to them.
    #[must_use]
    pub const fn decode(bits: u64) -> Option<Self> {
        let worker = WorkerId((bits >> 32) as u16);
        let state = match (bits >> 56, worker) {
            (0, WorkerId(0)) => State::Free,
            (1, WorkerId(0)) => State::Ready,
            (2, WorkerId(0)) => State::ReadyLoaded,
            (3, worker) => State::Claimed(worker),
            (4, worker) => State::Loaded(worker),
            (5, worker) => State::Done(worker),
            _ => return None,
        };
        Some(Self { state, attempt: (bits >> 48) as u8, generation: bits as u32 })
    }

    /// A fresh task for main to put into a slot.
    #[must_use]
    pub const fn published(generation: u32, loaded: bool) -> Self {
        let state = if loaded { State::ReadyLoaded } else { State::Ready };
        Self { state, attempt: 0, generation }
    }

    /// Worker: `READY → CLAIMED(worker)`, `READY_LOADED → LOADED(worker)`.
    #[must_use]
    pub const fn claimed(self, worker: WorkerId) -> Option<Self> {
        match self.state {
            State::Ready => Some(Self { state: State::Claimed(worker), ..self }),
            State::ReadyLoaded => Some(Self { state: State::Loaded(worker), ..self }),
            _ => None,
        }
    }

    /// Worker: `CLAIMED(w) → LOADED(w)`.
    #[must_use]
    pub const fn loaded(self) -> Option<Self> {
        match self.state {
            State::Claimed(worker) => Some(Self { state: State::Loaded(worker), ..self }),
            _ => None,
        }
    }

    /// Worker: `LOADED(w) → DONE(w)`.
    #[must_use]
    pub const fn done(self) -> Option<Self> {
        match self.state {
            State::Loaded(worker) => Some(Self { state: State::Done(worker), ..self }),
            _ => None,
        }
    }

    /// Main: `DONE(w) → FREE`.
    #[must_use]
    pub const fn freed(self) -> Option<Self> {
        match self.state {
            State::Done(_) => Some(Self { state: State::Free, attempt: 0, ..self }),
            _ => None,
        }
    }

    /// Main, and only after the holder is certainly dead: `CLAIMED(w) → READY`,
    /// `LOADED(w) → READY_LOADED`, with one attempt more.
    #[must_use]
    pub const fn recovered(self) -> Option<Self> {
        let state = match self.state {
            State::Claimed(_) => State::Ready,
            State::Loaded(_) => State::ReadyLoaded,
            _ => return None,
        };
        Some(Self { state, attempt: self.attempt.saturating_add(1), ..self })
    }

    /// The worker that holds this task; `None` if nobody does, or if it is done.
    #[must_use]
    pub const fn holder(self) -> Option<WorkerId> {
        match self.state {
            State::Claimed(worker) | State::Loaded(worker) => Some(worker),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: WorkerId = WorkerId::new(0xabcd);

    fn every_state() -> [State; 6] {
        [
            State::Free,
            State::Ready,
            State::ReadyLoaded,
            State::Claimed(W),
            State::Loaded(W),
            State::Done(W),
        ]
    }

    #[test]
    fn encoding_is_read_back() {
        for state in every_state() {
            for attempt in [0, 1, 255] {
                for generation in [0, 1, u32::MAX] {
                    let word = Word { state, attempt, generation };
                    assert_eq!(Word::decode(word.encode()), Some(word));
                }
            }
        }
        assert_eq!(Word::decode(0).map(|word| word.state), Some(State::Free));
    }

    #[test]
    fn fields_lie_where_the_picture_says() {
        let word = Word { state: State::Loaded(W), attempt: 0x12, generation: 0x3456_789a };
        assert_eq!(word.encode(), 0x0412_abcd_3456_789a);
    }

    #[test]
    fn impossible_words_are_refused() {
        for state in 6..=255_u64 {
            assert_eq!(Word::decode(state << 56), None);
        }
        for nobodys in 0..=2_u64 {
            assert_eq!(Word::decode(nobodys << 56 | 1 << 32), None, "a free slot has no worker");
        }
    }

    #[test]
    fn only_the_drawn_transitions_exist() {
        let word = |state| Word { state, attempt: 3, generation: 7 };
        let to = |next: Option<Word>| next.map(|word| word.state);
        for state in every_state() {
            let claimed = match state {
                State::Ready => Some(State::Claimed(W)),
                State::ReadyLoaded => Some(State::Loaded(W)),
                _ => None,
            };
            assert_eq!(to(word(state).claimed(W)), claimed);
            let loaded = (state == State::Claimed(W)).then_some(State::Loaded(W));
            assert_eq!(to(word(state).loaded()), loaded);
            let done = (state == State::Loaded(W)).then_some(State::Done(W));
            assert_eq!(to(word(state).done()), done);
            let freed = (state == State::Done(W)).then_some(State::Free);
            assert_eq!(to(word(state).freed()), freed);
            let recovered = match state {
                State::Claimed(_) => Some(State::Ready),
                State::Loaded(_) => Some(State::ReadyLoaded),
                _ => None,
            };
            assert_eq!(to(word(state).recovered()), recovered);
        }
    }

    #[test]
    fn a_recovered_word_differs_in_its_attempt() {
        let claimed = Word { state: State::Claimed(W), attempt: 0, generation: 7 };
        let again = claimed.recovered().and_then(|word| word.claimed(W)).unwrap();
        assert_ne!(again.encode(), claimed.encode(), "the same worker's old claim is stale");
        assert_eq!(again.attempt, 1);
        let tired = Word { attempt: 255, ..claimed };
        assert_eq!(tired.recovered().map(|word| word.attempt), Some(255));
    }
}
