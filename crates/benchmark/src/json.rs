//! The results for programs, with every single time.

use std::path::Path;

use serde_json::{Value, json};

use super::advice;
use super::ceilings::Ceiling;
use super::programs::Programs;
use super::results::{Contestant, Entry, Operation, Results, SizeResult, Warmth};
use super::stats::{Comparison, Pays, Timing, efficiency};

impl Results {
    /// The results for programs: one object, with every single time.
    pub fn json(&self) -> Value {
        let machine = &self.machine;
        let ceilings = &self.ceilings;
        json!({
            "when": self.when,
            "seconds": self.took.as_secs_f64(),
            "file": self.file.as_deref().map(Path::to_string_lossy),
            "machine": {
                "processor": machine.processor,
                "architecture": machine.architecture,
                "virtual": machine.is_virtual,
                "features": machine.features,
                "cores": machine.cores,
                "memory_bytes": machine.memory,
                "memory_bytes_available": machine.available_memory,
                "kernel": machine.kernel,
            },
            "folder": {
                "path": self.folder.to_string_lossy(),
                "file_system": self.file_system,
            },
            "runs": self.runs,
            "workers": self.processes,
            "ceilings": {
                "memory_copy": ceiling(&ceilings.memory_copy),
                "cipher_seal": ceiling(&ceilings.seal),
                "cipher_open": ceiling(&ceilings.open),
                "cipher_seal_all_cores": ceiling(&ceilings.seal_on_all),
            },
            "programs": programs(&self.programs),
            "sizes": self.sizes.iter().map(|one| size(one, machine.cores)).collect::<Vec<_>>(),
            "left_out": self.skipped.iter().map(|skipped| json!({
                "bytes": skipped.bytes,
                "for_want_of": skipped.of,
                "bytes_needed": skipped.needed,
                "bytes_available": skipped.available,
            })).collect::<Vec<_>>(),
            "workers_pay": workers_pay(self),
            "conclusion": self.conclusion().name(),
            "recommended_workers": self.recommended(),
            "recommended_format": advice::age_format_is_faster(self).then_some("age"),
            "outputs_verified": self.outputs_verified,
        })
    }
}

fn ceiling(ceiling: &Ceiling) -> Value {
    timing(&ceiling.timing, ceiling.bytes)
}

fn programs(programs: &Programs) -> Value {
    let copy = programs.copy().map(|copy| copy.timing.median());
    let all = programs.programs.iter().map(|program| {
        let mut object = timing(&program.timing, programs.bytes);
        object["name"] = program.name.into();
        object["command"] = program.command.as_str().into();
        object["times_of_cp"] = copy.map(|copy| program.timing.median() / copy).into();
        object
    });
    json!({
        "operation": "encrypt",
        "bytes": programs.bytes,
        "programs": all.collect::<Vec<_>>(),
        "failed": programs.failed,
    })
}

fn workers_pay(results: &Results) -> Value {
    let all = [Warmth::Cold, Warmth::Warm].into_iter().flat_map(|warmth| {
        Operation::ALL.map(|operation| results.workers_pay(Some(operation), warmth))
    });
    let all = all.map(|pays| {
        json!({
            "operation": pays.operation.map(Operation::name),
            "pool": pays.warmth.name(),
            "workers": results.pool(),
            "from_bytes": pays.bytes.from(),
            "from_workers": pays.processes.from(),
            "inconclusive": match results.sizes.len() {
                1 => pays.processes == Pays::Inconclusive,
                _ => pays.bytes == Pays::Inconclusive,
            },
        })
    });
    all.collect()
}

fn size(size: &SizeResult, cores: usize) -> Value {
    let mut object = json!({
        "bytes": size.rung.bytes,
        "files": size.rung.files,
        "bytes_in_all": size.rung.total(),
        "file_copy": timing(&size.copy, size.rung.total()),
    });
    for operation in Operation::ALL {
        let entries = size.entries().map(|one| entry(size, one, operation, cores));
        object[operation.name()] = entries.collect();
    }
    object
}

fn entry(size: &SizeResult, entry: &Entry, operation: Operation, cores: usize) -> Value {
    let speed_up = size.speed_up(entry, operation);
    let processes = entry.contestant.processes();
    let pool = match entry.contestant {
        Contestant::Single => None,
        Contestant::Pool { warmth, .. } => Some(warmth.name()),
    };
    let comparison = size.comparison(entry, operation);
    let is_known = pool.is_some() && comparison != Comparison::Inconclusive;
    let mut object = timing(entry.timing(operation), size.rung.total());
    object["workers"] = processes.into();
    object["pool"] = pool.into();
    object["speed_up"] = speed_up.into();
    object["comparison"] = pool.map(|_| comparison.name()).into();
    object["efficiency"] = is_known.then(|| efficiency(speed_up, processes, cores)).into();
    object["share_of_file_copy"] = size.share(entry, operation).into();
    object
}

fn timing(timing: &Timing, bytes: u64) -> Value {
    let rate = timing.rate(bytes);
    json!({
        "seconds": timing.seconds(),
        "seconds_median": timing.median(),
        "seconds_min": timing.min(),
        "seconds_max": timing.max(),
        "spread": timing.spread(),
        "bytes_per_second": rate.median,
        "bytes_per_second_min": rate.low,
        "bytes_per_second_max": rate.high,
    })
}
