//! How many workers or threads keep slow storage at work.
//!
//! Where data come from a cache or a fast disk, one for each core is enough. On a network file
//! system they wait, while no core has anything to do, and more of them get more done. Whether that
//! is so is measured: they wait if they neither run nor wait for a core, and more of them are
//! worth it as long as the throughput grows with their number.

use std::time::Duration;

/// The most workers, or threads for small files, that are started because storage is slow.
pub(crate) const MAX_WAITING: usize = 16;
/// The shortest time that is measured. The system updates the times of running processes every
/// few milliseconds.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// At least this many pieces of work must be done for each worker in the time measured.
pub(crate) const MIN_DONE: usize = 4;

/// What several workers have done in some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// How many there were.
    pub(crate) workers: usize,
    pub(crate) elapsed: Duration,
    /// The time that they had work to do, added up.
    pub(crate) occupied: Duration,
    /// The part of it in which they ran or waited for a core.
    pub(crate) busy: Duration,
    /// Number of pieces of work done.
    pub(crate) done: usize,
}

/// Decides how many workers there should be.
#[derive(Debug)]
pub(crate) struct Scaling {
    cores: usize,
    /// 0 unless storage makes them wait.
    wanted: usize,
    /// The number of workers and their throughput before there were more.
    before: Option<(usize, f64)>,
    is_decided: bool,
}

impl Scaling {
    /// With `is_on` false none more are ever wanted.
    pub(crate) fn new(cores: usize, is_on: bool) -> Self {
        Self { cores, wanted: 0, before: None, is_decided: !is_on }
    }

    /// How many workers there should be at least.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether nothing need be measured any more.
    pub(crate) fn is_decided(&self) -> bool {
        self.is_decided
    }

    /// Decides anew.
    pub(crate) fn observe(&mut self, usage: Usage) {
        let Usage { workers, elapsed, occupied, busy, done } = usage;
        // Linux without CONFIG_SCHED_INFO says 0.
        if self.is_decided || busy.is_zero() || elapsed.is_zero() {
            return;
        }
        let throughput = done as f64 / elapsed.as_secs_f64();
        if let Some((fewer, slower)) = self.before.filter(|(fewer, _)| *fewer < workers) {
            let growth = throughput / slower - 1.0;
            if growth < (workers as f64 / fewer as f64 - 1.0) / 2.0 {
                self.is_decided = true;
                self.wanted = fewer;
                return;
            }
        }
        // So many would use all cores. Less than half as many again is not worth trying.
        let waits = occupied > 3 * busy;
        let cores_used = workers as f64 * busy.as_secs_f64() / occupied.as_secs_f64();
        let useful = (workers as f64 * self.cores as f64 / cores_used) as usize;
        let more = useful.min(2 * workers).min(MAX_WAITING);
        if waits && more >= workers + workers.div_ceil(2) {
            self.wanted = more;
            self.before = Some((workers, throughput));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Storage that takes `wait` ms for a piece of work and never does more than `most` per
    /// second, and cores that take `compute` ms.
    struct Machine {
        cores: usize,
        compute: f64,
        wait: f64,
        most: f64,
    }

    impl Machine {
        fn run(&self, workers: usize) -> Usage {
            let count = workers as f64;
            let alone = 1000.0 / (self.compute + self.wait);
            let on_cores = 1000.0 * self.cores as f64 / self.compute;
            let rate = (count * alone).min(on_cores).min(self.most);
            // What they do not wait for storage, they wait for cores.
            let busy = match rate < on_cores {
                true => rate * self.compute / 1000.0,
                false => count - rate * self.wait / 1000.0,
            };
            Usage {
                workers,
                elapsed: Duration::from_secs(1),
                occupied: Duration::from_secs(1) * workers as u32,
                busy: Duration::from_secs_f64(busy),
                done: rate as usize,
            }
        }

        /// How many workers it comes to, from `workers` on.
        fn settled(&self, workers: usize) -> usize {
            let mut scaling = Scaling::new(self.cores, true);
            let mut present = workers;
            for _ in 0..10 {
                scaling.observe(self.run(present));
                // Those that are there stay.
                present = present.max(scaling.wanted());
            }
            present
        }
    }

    const NO_LIMIT: f64 = 1e9;

    #[test]
    fn cached_data_get_no_more_workers() {
        for (cores, wait) in [(2, 0.0), (2, 0.4), (4, 0.5), (64, 0.0), (64, 0.5)] {
            let machine = Machine { cores, compute: 0.3, wait, most: NO_LIMIT };
            assert_eq!(machine.settled(cores.min(4)), cores.min(4), "{cores} cores, {wait} ms");
        }
    }

    #[test]
    fn slow_storage_gets_as_many_as_are_useful() {
        let machine = |wait| Machine { cores: 2, compute: 0.3, wait, most: NO_LIMIT };
        assert_eq!(machine(20.0).settled(1), MAX_WAITING);
        assert_eq!(machine(20.0).settled(2), MAX_WAITING);
        // Ten would use both cores fully.
        assert!((8..=12).contains(&machine(1.2).settled(2)));
        let large = Machine { cores: 64, compute: 0.3, wait: 5.0, most: NO_LIMIT };
        assert_eq!(large.settled(4), MAX_WAITING);
    }

    #[test]
    fn storage_at_its_limit_gets_no_more() {
        // It does not get faster from two workers to four.
        let machine = Machine { cores: 2, compute: 0.3, wait: 20.0, most: 100.0 };
        assert_eq!(machine.settled(2), 4);
        let machine = Machine { cores: 2, compute: 0.3, wait: 20.0, most: 250.0 };
        assert_eq!(machine.settled(2), 8);
    }

    #[test]
    fn nothing_is_decided_without_the_times() {
        let mut scaling = Scaling::new(2, true);
        let machine = Machine { cores: 2, compute: 0.3, wait: 20.0, most: NO_LIMIT };
        scaling.observe(Usage { busy: Duration::ZERO, ..machine.run(2) });
        assert_eq!(scaling.wanted(), 0);
        let mut off = Scaling::new(2, false);
        off.observe(machine.run(2));
        assert_eq!(off.wanted(), 0);
    }
}
