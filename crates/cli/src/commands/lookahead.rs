//! Looks at files before they are processed, for keys that should be asked about several files at
//! once.

use std::collections::VecDeque;

use cryptstream_engine::BatchItem;

/// Files at a time. Each of their folders may take a descriptor.
const AT_ONCE: usize = 32;

/// Called with the next files.
pub(super) type LookaheadFn<'a> = &'a dyn Fn(&[BatchItem]);

/// An iterator over the same items. `look`, if any, is called with each item in advance.
pub(super) struct Lookahead<'a, I> {
    items: I,
    look: Option<LookaheadFn<'a>>,
    ready: VecDeque<BatchItem>,
}

impl<'a, I: Iterator<Item = BatchItem>> Lookahead<'a, I> {
    pub(super) fn new(items: I, look: Option<LookaheadFn<'a>>) -> Self {
        Self { items, look, ready: VecDeque::new() }
    }
}

impl<I: Iterator<Item = BatchItem>> Iterator for Lookahead<'_, I> {
    type Item = BatchItem;

    fn next(&mut self) -> Option<BatchItem> {
        let Some(look) = self.look else { return self.items.next() };
        if self.ready.is_empty() {
            self.ready.extend(self.items.by_ref().take(AT_ONCE));
            look(self.ready.make_contiguous());
        }
        self.ready.pop_front()
    }
}
