//! Divides objects into shards of about the same size.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a file costs beside its bytes: opening, creating and naming it takes as long as encrypting
/// some 64 KiB.
const COST_OF_FILE: u64 = 64 << 10;

/// The weight of objects with this many bytes in total.
#[must_use]
pub fn weight_of(objects: u64, bytes: u64) -> u64 {
    bytes.saturating_add(objects.saturating_mul(COST_OF_FILE))
}

/// Divides objects into shards by weight.
///
/// The large objects come first, the largest before the others, and each goes to the shard that has
/// the least so far. The rest fills the shards one after another, so that files of one folder stay
/// together. Only the weight of each shard is kept in memory.
#[derive(Debug)]
pub struct Packing {
    weights: Vec<u64>,
    /// The shards by weight, while large objects are placed.
    lightest: BinaryHeap<Reverse<(u64, u32)>>,
    /// The weight of a shard if all were equal.
    target: u64,
    /// The shard that is being filled.
    next: u32,
}

impl Packing {
    /// Prepares this many shards for objects of this weight in total. There is at least one shard.
    #[must_use]
    pub fn new(shards: u32, weight: u64) -> Self {
        let shards = shards.max(1);
        let lightest = (0..shards).map(|shard| Reverse((0, shard))).collect();
        let target = weight.div_ceil(u64::from(shards));
        Self { weights: vec![0; shards as usize], lightest, target, next: 0 }
    }

    /// The number of shards.
    #[must_use]
    pub fn shards(&self) -> u32 {
        u32::try_from(self.weights.len()).unwrap_or(u32::MAX)
    }

    /// The shard of a large object. None may follow a call of [`Packing::place_next`].
    pub fn place_large(&mut self, weight: u64) -> u32 {
        let Some(Reverse((before, shard))) = self.lightest.pop() else { return 0 };
        let after = before.saturating_add(weight);
        self.lightest.push(Reverse((after, shard)));
        self.weights[shard as usize] = after;
        shard
    }

    /// The shard of the next object in the order of the tree. The shards are returned in order, so
    /// that one file at a time has to be open.
    pub fn place_next(&mut self, weight: u64) -> u32 {
        let last = self.weights.len() as u32 - 1;
        // Half of an object may be too much, so that the shards stay as close as they can.
        while self.next < last
            && self.weights[self.next as usize].saturating_add(weight / 2) >= self.target
        {
            self.next += 1;
        }
        let filled = &mut self.weights[self.next as usize];
        *filled = filled.saturating_add(weight);
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_differ_by_no_more_than_a_small_object() {
        let large: Vec<u64> = (1..=40).rev().map(|size| size * 1000).collect();
        let small = 700;
        let total: u64 = large.iter().sum::<u64>() + 5000 * small;
        let mut packing = Packing::new(7, total);
        let placed: Vec<_> = large.iter().map(|weight| packing.place_large(*weight)).collect();
        assert!(placed.iter().all(|shard| *shard < 7));
        let mut last = 0;
        for _ in 0..5000 {
            let shard = packing.place_next(small);
            assert!(shard >= last);
            last = shard;
        }
        let (least, most) =
            (packing.weights.iter().min().unwrap(), packing.weights.iter().max().unwrap());
        assert!(most - least <= 7 * small, "{:?}", packing.weights);
        assert_eq!(packing.weights.iter().sum::<u64>(), total);
    }

    #[test]
    fn what_was_not_expected_goes_to_the_last_shard() {
        let mut packing = Packing::new(3, 30);
        let shards: Vec<_> = (0..9).map(|_| packing.place_next(10)).collect();
        assert_eq!(shards, [0, 1, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(Packing::new(0, 0).place_next(1), 0);
        assert_eq!(Packing::new(2, u64::MAX).place_large(u64::MAX), 0);
    }
}
