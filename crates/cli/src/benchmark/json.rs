//! The results for programs, with every single time.

use std::path::Path;

use serde_json::{Value, json};

use super::ceilings::Ceiling;
use super::results::{Contestant, Entry, Operation, Results, SizeResult};
use super::stats::{Timing, efficiency};
use crate::report::SCHEMA;

/// One object with everything.
pub(super) fn object(results: &Results, report: Option<&Path>) -> Value {
    let machine = &results.machine;
    let ceilings = &results.ceilings;
    json!({
        "schema": SCHEMA,
        "command": "benchmark",
        "version": env!("CARGO_PKG_VERSION"),
        "when": results.when,
        "seconds": results.took.as_secs_f64(),
        "file": results.file.as_deref().map(Path::to_string_lossy),
        "report": report.map(Path::to_string_lossy),
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
            "path": results.folder.to_string_lossy(),
            "file_system": results.file_system,
        },
        "runs": results.runs,
        "processes": results.processes,
        "ceilings": {
            "memory_copy": ceiling(&ceilings.memory_copy),
            "cipher_seal": ceiling(&ceilings.seal),
            "cipher_open": ceiling(&ceilings.open),
            "cipher_seal_all_cores": ceiling(&ceilings.seal_on_all),
        },
        "sizes": results.sizes.iter().map(size).collect::<Vec<_>>(),
        "left_out": results.skipped.iter().map(|skipped| json!({
            "bytes": skipped.bytes,
            "for_want_of": skipped.of,
            "bytes_needed": skipped.needed,
            "bytes_available": skipped.available,
        })).collect::<Vec<_>>(),
        "workers_pay": results.pays().iter().map(|pays| json!({
            "operation": pays.operation.name(),
            "pool": pays.warmth.name(),
            "processes": results.pool(),
            "from_bytes": pays.from_bytes,
            "from_processes": pays.from_processes,
        })).collect::<Vec<_>>(),
        "recommended_processes": results.recommended(),
        "outputs_verified": results.outputs_verified,
    })
}

fn ceiling(ceiling: &Ceiling) -> Value {
    timing(&ceiling.timing, ceiling.bytes)
}

fn size(size: &SizeResult) -> Value {
    let mut object = json!({
        "bytes": size.rung.bytes,
        "files": size.rung.files,
        "bytes_in_all": size.rung.total(),
        "file_copy": timing(&size.copy, size.rung.total()),
    });
    for operation in Operation::ALL {
        object[operation.name()] = size.entries().map(|one| entry(size, one, operation)).collect();
    }
    object
}

fn entry(size: &SizeResult, entry: &Entry, operation: Operation) -> Value {
    let speed_up = size.speed_up(entry, operation);
    let processes = entry.contestant.processes();
    let pool = match entry.contestant {
        Contestant::Single => None,
        Contestant::Pool { warmth, .. } => Some(warmth.name()),
    };
    let mut object = timing(entry.timing(operation), size.rung.total());
    object["processes"] = processes.into();
    object["pool"] = pool.into();
    object["speed_up"] = speed_up.into();
    object["efficiency"] = efficiency(speed_up, processes).into();
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
        "bytes_per_second": rate.median,
        "bytes_per_second_min": rate.low,
        "bytes_per_second_max": rate.high,
    })
}
