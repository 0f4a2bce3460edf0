//! Made-up results, for tests of the table and the page.

use std::path::PathBuf;
use std::time::Duration;

use crate::ceilings::{Ceiling, Ceilings};
use crate::machine::Machine;
use crate::plan;
use crate::programs::{Program, Programs};
use crate::results::{Configuration, Measurement, Results, SizeClass, SizeResult};
use crate::stats::Samples;

/// Five runs around `seconds`, with the interquartile range `spread`.
pub(crate) fn runs(seconds: f64, spread: f64) -> Samples {
    let mut samples = Samples::default();
    for position in [0.5, -1.0, 0.0, 1.0, -0.5] {
        samples.add(seconds * (1.0 + spread * position));
    }
    samples
}

/// Results of 8 cores, where `seconds` is how long a configuration takes per byte.
pub(crate) fn results(seconds: impl Fn(Configuration) -> f64, spread: f64) -> Results {
    let processes = plan::process_counts(8);
    let size = |size_class: SizeClass| {
        let measurement = |configuration| {
            let time = runs(seconds(configuration) * size_class.total() as f64, spread);
            Measurement { configuration, samples: std::array::from_fn(|_| time.clone()) }
        };
        let mut measurements = plan::configurations(&processes).into_iter().map(measurement);
        let single = measurements.next().unwrap();
        let copy = runs(1e-9 * size_class.total() as f64, spread);
        SizeResult { size_class, copy, single, pools: measurements.collect() }
    };
    let ceiling = || Ceiling { bytes: 1 << 30, samples: runs(0.1, spread) };
    let ceilings = Ceilings {
        memory_copy: ceiling(),
        seal: ceiling(),
        open: ceiling(),
        seal_all_cores: ceiling(),
    };
    let names = ["gpg, symmetric", "CryptStream", "cp", "openssl, no authentication"];
    let programs = names.into_iter().zip([2.0, 0.12, 0.1, 0.7]);
    let programs = programs.map(|(name, seconds)| Program {
        name,
        command: name.to_owned(),
        samples: runs(seconds, spread),
    });
    let (size_classes, _) = plan::size_classes_up_to(1 << 30, u64::MAX, u64::MAX);
    let sizes = size_classes.into_iter().map(size).collect();
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
            chacha20_poly1305: "AWS-LC",
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
