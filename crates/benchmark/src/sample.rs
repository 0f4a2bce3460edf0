//! Results as a machine might have them, for tests of the table and the page.

use std::path::PathBuf;
use std::time::Duration;

use super::ceilings::{Ceiling, Ceilings};
use super::machine::Machine;
use super::plan;
use super::programs::{Program, Programs};
use super::results::{Contestant, Entry, Results, Rung, SizeResult};
use super::stats::Timing;

/// Five runs around `seconds`; `spread` is that of the quartiles.
pub(super) fn runs(seconds: f64, spread: f64) -> Timing {
    let mut timing = Timing::default();
    for place in [0.5, -1.0, 0.0, 1.0, -0.5] {
        timing.add(seconds * (1.0 + spread * place));
    }
    timing
}

/// Results of 8 cores, where `seconds` are those of one contestant for a byte.
pub(super) fn results(seconds: impl Fn(Contestant) -> f64, spread: f64) -> Results {
    let processes = plan::process_counts(8);
    let size = |rung: Rung| {
        let entry = |contestant| {
            let time = runs(seconds(contestant) * rung.total() as f64, spread);
            Entry { contestant, timings: std::array::from_fn(|_| time.clone()) }
        };
        let mut entries = plan::contestants(&processes).into_iter().map(entry);
        let single = entries.next().unwrap();
        let copy = runs(1e-9 * rung.total() as f64, spread);
        SizeResult { rung, copy, single, pools: entries.collect() }
    };
    let ceiling = || Ceiling { bytes: 1 << 30, timing: runs(0.1, spread) };
    let ceilings = Ceilings {
        memory_copy: ceiling(),
        seal: ceiling(),
        open: ceiling(),
        seal_on_all: ceiling(),
    };
    let names = ["gpg, symmetric", "CryptStream", "cp", "openssl, no authentication"];
    let programs = names.into_iter().zip([2.0, 0.12, 0.1, 0.7]);
    let programs = programs.map(|(name, seconds)| Program {
        name,
        command: name.to_owned(),
        timing: runs(seconds, spread),
    });
    let (rungs, _) = plan::ladder(1 << 30, u64::MAX, u64::MAX);
    let sizes = rungs.into_iter().map(size).collect();
    Results {
        machine: Machine {
            processor: "Some Processor With A Name As Long As They Are @ 2.60GHz".into(),
            is_virtual: true,
            features: ["aes", "vaes", "pclmulqdq", "vpclmulqdq", "avx512f", "sha_ni"].repeat(2),
            lacks_aes: false,
            cores: 8,
            memory: 64 << 30,
            available_memory: 60 << 30,
            kernel: "Linux 6.18.44".into(),
            architecture: "x86_64",
        },
        folder: PathBuf::from("/var/tmp"),
        folder_name: "/var/tmp".into(),
        file_system: "ext4".into(),
        file: None,
        file_name: None,
        when: "2026-11-26T00:00:00Z".into(),
        took: Duration::from_secs(100),
        runs: 5,
        processes,
        ceilings,
        programs: Programs { bytes: 256 << 20, programs: programs.collect(), failed: vec!["age"] },
        sizes,
        skipped: Vec::new(),
        outputs_verified: 12_345,
    }
}
