//! The results on a terminal, in less than 100 columns.

use std::fmt::Write;

use super::advice;
use super::results::{Contestant, Entry, Operation, Results, SizeResult, Warmth};
use super::stats::{Rate, efficiency};
use super::units;
use crate::messages;

/// What is in a column: MB/s, the least and most of it, the speed-up, the
/// efficiency.
const COLUMN: usize = 28;
/// Width of the row's name.
const NAME: usize = 10;

/// Everything, as text.
pub(super) fn table(results: &Results) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, results);
    out
}

fn write(out: &mut String, results: &Results) -> std::fmt::Result {
    write_machine(out, results)?;
    for size in &results.sizes {
        write_size(out, size)?;
    }
    writeln!(out)?;
    for skipped in &results.skipped {
        writeln!(
            out,
            "{} was left out for want of {}: {} of {} are there",
            units::size(skipped.bytes),
            skipped.of,
            units::size(skipped.available),
            units::size(skipped.needed),
        )?;
    }
    for operation in Operation::ALL {
        if let Some(reached) = advice::reached(results, operation) {
            writeln!(out, "{:<14}{reached}", format!("Best {}", operation.name()))?;
        }
    }
    for warmth in [Warmth::Cold, Warmth::Warm] {
        let (name, pool) = match warmth {
            Warmth::Cold => ("Workers pay", "a cold pool"),
            Warmth::Warm => ("", "a warm one"),
        };
        writeln!(out, "{name:<14}{}, with {pool}", advice::pays(results, warmth))?;
    }
    writeln!(out, "Recommended   {}", advice::recommendation(results))?;
    writeln!(
        out,
        "All {} outputs were compared with what went in: no difference. It took {:.0} s.",
        results.outputs_verified,
        results.took.as_secs_f64(),
    )
}

fn write_machine(out: &mut String, results: &Results) -> std::fmt::Result {
    let machine = &results.machine;
    let is_virtual = if machine.is_virtual { " (virtual)" } else { "" };
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    let memory = units::size(machine.memory);
    writeln!(out, "Processor     {}{is_virtual}, {} {cores}", machine.processor, machine.cores)?;
    if !machine.features.is_empty() {
        writeln!(out, "              {}", machine.features.join(" "))?;
    }
    writeln!(out, "System        {}, {memory} of memory", machine.kernel)?;
    let folder = messages::quoted(&results.folder);
    writeln!(out, "Folder        {folder} ({})", results.file_system)?;
    if let Some(file) = &results.file {
        writeln!(out, "File          {}", messages::quoted(file))?;
    }
    let ceilings = &results.ceilings;
    writeln!(out, "Memory copy   {}", units::rate(ceilings.memory_copy.rate()))?;
    writeln!(
        out,
        "Cipher alone  seals {}, opens {} on one core; seals {} on {}",
        units::rate(ceilings.seal.rate()),
        units::rate(ceilings.open.rate()),
        units::rate(ceilings.seal_on_all.rate()),
        machine.cores,
    )?;
    if let Some(size) = results.largest() {
        let copy = units::rate(size.copy_rate().median);
        writeln!(out, "File copy     {copy} ({})", units::rung(size.rung))?;
    }
    Ok(())
}

fn write_size(out: &mut String, size: &SizeResult) -> std::fmt::Result {
    let copy = size.copy_rate();
    writeln!(out)?;
    writeln!(
        out,
        "{}: file copy {} MB/s ({})",
        units::rung(size.rung),
        units::megabytes(copy.median),
        spread(copy),
    )?;
    let mut names = " ".repeat(NAME);
    let mut units = format!("{:<NAME$}", "workers");
    for operation in Operation::ALL {
        write!(names, "{:>COLUMN$}", operation.name())?;
        write!(units, "{:>7}{:>11}{:>6}{:>4}", "MB/s", "min-max", "×", "%")?;
    }
    writeln!(out, "{names}\n{units}")?;
    for entry in size.entries() {
        let name = match entry.contestant {
            Contestant::Single => "none".to_owned(),
            Contestant::Pool { processes, warmth } => format!("{processes:>3} {}", warmth.name()),
        };
        let cells = Operation::ALL.map(|operation| cell(size, entry, operation));
        writeln!(out, "{}", format!("{name:<NAME$}{}", cells.concat()).trim_end())?;
    }
    Ok(())
}

fn cell(size: &SizeResult, entry: &Entry, operation: Operation) -> String {
    let rate = size.rate(entry, operation);
    let (median, spread) = (units::megabytes(rate.median), spread(rate));
    let speed_up = size.speed_up(entry, operation);
    match entry.contestant {
        Contestant::Single => format!("{median:>7}{spread:>11}{:>10}", ""),
        Contestant::Pool { processes, .. } => {
            let efficiency = efficiency(speed_up, processes) * 100.0;
            format!("{median:>7}{spread:>11}{speed_up:>6.2}{efficiency:>4.0}")
        }
    }
}

fn spread(rate: Rate) -> String {
    format!("{}-{}", units::megabytes(rate.low), units::megabytes(rate.high))
}
