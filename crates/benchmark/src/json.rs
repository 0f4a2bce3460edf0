//! The results as JSON.

use std::path::Path;

use serde_json::{Value, json};

use crate::advice;
use crate::ceilings::Ceiling;
use crate::programs::Programs;
use crate::results::{Configuration, Measurement, Operation, Results, SizeResult, Start};
use crate::stats::{BreakEven, Comparison, Samples, efficiency};

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
                "chacha20_poly1305": machine.chacha20_poly1305,
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
                "cipher_seal_all_cores": ceiling(&ceilings.seal_all_cores),
            },
            "programs": programs(&self.programs),
            "sizes": self.sizes.iter().map(|one| size(one, machine.cores)).collect::<Vec<_>>(),
            "left_out": self.skipped.iter().map(|skipped| json!({
                "bytes": skipped.bytes,
                "for_want_of": skipped.shortage_of,
                "bytes_needed": skipped.needed,
                "bytes_available": skipped.available,
            })).collect::<Vec<_>>(),
            "workers_pay": workers_break_even(self),
            "conclusion": self.conclusion().name(),
            "recommended_workers": self.recommended(),
            "recommended_format": advice::age_format_is_faster(self).then_some("age"),
            "outputs_verified": self.outputs_verified,
        })
    }
}

fn ceiling(ceiling: &Ceiling) -> Value {
    samples(&ceiling.samples, ceiling.bytes)
}

fn programs(programs: &Programs) -> Value {
    let copy = programs.copy().map(|copy| copy.samples.median());
    let all = programs.programs.iter().map(|program| {
        let mut object = samples(&program.samples, programs.bytes);
        object["name"] = program.name.into();
        object["command"] = program.command.as_str().into();
        object["times_of_cp"] = copy.map(|copy| program.samples.median() / copy).into();
        object
    });
    json!({
        "operation": "encrypt",
        "bytes": programs.bytes,
        "programs": all.collect::<Vec<_>>(),
        "failed": programs.failed,
    })
}

fn workers_break_even(results: &Results) -> Value {
    let all = [Start::Cold, Start::Warm].into_iter().flat_map(|start| {
        Operation::ALL.map(|operation| results.workers_break_even(Some(operation), start))
    });
    let all = all.map(|break_even| {
        json!({
            "operation": break_even.operation.map(Operation::name),
            "pool": break_even.start.name(),
            "workers": results.compared_workers(),
            "from_bytes": break_even.bytes.from(),
            "from_workers": break_even.processes.from(),
            "inconclusive": match results.sizes.len() {
                1 => break_even.processes == BreakEven::Inconclusive,
                _ => break_even.bytes == BreakEven::Inconclusive,
            },
        })
    });
    all.collect()
}

fn size(size: &SizeResult, cores: usize) -> Value {
    let mut object = json!({
        "bytes": size.size_class.bytes,
        "files": size.size_class.files,
        "bytes_in_all": size.size_class.total(),
        "file_copy": samples(&size.copy, size.size_class.total()),
    });
    for operation in Operation::ALL {
        let measurements = size.measurements().map(|one| measurement(size, one, operation, cores));
        object[operation.name()] = measurements.collect();
    }
    object
}

fn measurement(
    size: &SizeResult,
    measurement: &Measurement,
    operation: Operation,
    cores: usize,
) -> Value {
    let speed_up = size.speed_up(measurement, operation);
    let processes = measurement.configuration.processes();
    let pool = match measurement.configuration {
        Configuration::Single => None,
        Configuration::Pool { start, .. } => Some(start.name()),
    };
    let comparison = size.comparison(measurement, operation);
    let is_known = pool.is_some() && comparison != Comparison::Inconclusive;
    let mut object = samples(measurement.samples(operation), size.size_class.total());
    object["workers"] = processes.into();
    object["pool"] = pool.into();
    object["speed_up"] = speed_up.into();
    object["comparison"] = pool.map(|_| comparison.name()).into();
    object["efficiency"] = is_known.then(|| efficiency(speed_up, processes, cores)).into();
    object["share_of_file_copy"] = size.share(measurement, operation).into();
    object
}

fn samples(samples: &Samples, bytes: u64) -> Value {
    let rate = samples.rate(bytes);
    json!({
        "seconds": samples.seconds(),
        "seconds_median": samples.median(),
        "seconds_min": samples.min(),
        "seconds_max": samples.max(),
        "spread": samples.spread(),
        "bytes_per_second": rate.median,
        "bytes_per_second_min": rate.low,
        "bytes_per_second_max": rate.high,
    })
}
