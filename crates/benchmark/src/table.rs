//! The results as text for a terminal.

use std::fmt::Write;

use crate::advice;
use crate::ceilings::Ceilings;
use crate::results::{Configuration, Measurement, Operation, Results, SizeResult, Start};
use crate::stats::{Comparison, efficiency};
use crate::units;

/// The usual width of a terminal in columns.
const WIDTH: usize = 80;
/// Width of a column: MiB/s, spread, speed-up and efficiency.
const COLUMN: usize = 23;
/// Width of a row's name.
const NAME: usize = 9;
/// Width of the label at the beginning of a line.
const TOPIC: usize = 14;
/// Width of the longest bar.
const BAR: usize = 34;

/// Which characters the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Block characters for bars, and `×`.
    Unicode,
    /// ASCII only.
    Ascii,
}

impl Glyphs {
    /// Those of the locale: `LC_ALL`, `LC_CTYPE` or `LANG`, whichever is set first.
    pub fn of_locale() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let name = locale.unwrap_or_default().to_ascii_lowercase();
        match name.contains("utf-8") || name.contains("utf8") {
            true => Self::Unicode,
            false => Self::Ascii,
        }
    }

    /// A bar that is `part` as long as the longest.
    fn bar(self, part: f64) -> String {
        let eighths = (part.clamp(0.0, 1.0) * (BAR * 8) as f64).round().max(1.0) as usize;
        match self {
            Self::Unicode => {
                let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
                format!("{}{rest}", "█".repeat(eighths / 8))
            }
            Self::Ascii => "#".repeat(eighths.div_ceil(8)),
        }
    }
}

impl Results {
    /// The results as text for a terminal, in at most 80 columns.
    pub fn table(&self, glyphs: Glyphs) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = write(&mut out, self, glyphs);
        match glyphs {
            Glyphs::Unicode => out,
            // The only other character of the tables that is not ASCII.
            Glyphs::Ascii => out.replace('×', "x"),
        }
    }
}

fn write(out: &mut String, results: &Results, glyphs: Glyphs) -> std::fmt::Result {
    write_programs(out, results, glyphs)?;
    topic(out, "Recommended", &advice::recommendation(results))?;
    writeln!(out)?;
    write_machine(out, results)?;
    for size in &results.sizes {
        write_size(out, results, size)?;
    }
    writeln!(out)?;
    let shown = advice::displayed(results);
    for operation in Operation::ALL {
        if let Some(reached) = advice::reached(results, operation) {
            topic(out, capitalised(operation), &format!("{reached} ({shown})"))?;
        }
    }
    for (name, start) in [("Workers pay", Start::Cold), ("if warm", Start::Warm)] {
        topic(out, name, &advice::break_even(results, start))?;
    }
    for skipped in &results.skipped {
        paragraph(
            out,
            &format!(
                "{} was skipped for lack of {}: {} of {} available.",
                units::size(skipped.bytes),
                skipped.shortage_of,
                units::size(skipped.available),
                units::size(skipped.needed),
            ),
        )?;
    }
    writeln!(out)?;
    for text in [advice::COLD_AND_WARM, advice::EFFICIENCY, advice::SPREAD, advice::CEILINGS] {
        paragraph(out, text)?;
    }
    paragraph(
        out,
        &format!(
            "Took {:.0} s. All {} outputs were compared with their inputs: no difference.",
            results.took.as_secs_f64(),
            units::grouped(results.outputs_verified),
        ),
    )
}

fn capitalised(operation: Operation) -> &'static str {
    match operation {
        Operation::Encrypt => "Encrypting",
        Operation::Decrypt => "Decrypting",
        Operation::Verify => "Verifying",
    }
}

/// A label and its text, which may take several lines.
fn topic(out: &mut String, name: &str, text: &str) -> std::fmt::Result {
    for (index, line) in wrapped(text, WIDTH - TOPIC).iter().enumerate() {
        writeln!(out, "{:<TOPIC$}{line}", if index == 0 { name } else { "" })?;
    }
    Ok(())
}

fn paragraph(out: &mut String, text: &str) -> std::fmt::Result {
    wrapped(text, WIDTH).iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Lines of at most `width` characters, unless one word is longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// A bar for each program.
fn write_programs(out: &mut String, results: &Results, glyphs: Glyphs) -> std::fmt::Result {
    let programs = &results.programs;
    let rate = |samples: &super::stats::Samples| samples.rate(programs.bytes).median;
    let all = programs.in_order();
    let most = all.iter().map(|program| rate(&program.samples)).fold(f64::MIN_POSITIVE, f64::max);
    paragraph(
        out,
        &format!(
            "Encrypting one file of {}, and cp copying it. Longer bars are faster: median \
             rate, and spread, of {} {}.",
            units::size(programs.bytes),
            results.runs,
            if results.runs == 1 { "run" } else { "runs" },
        ),
    )?;
    writeln!(out)?;
    for program in all {
        let rate = rate(&program.samples);
        // Aligned at the right.
        let bar = glyphs.bar(rate / most);
        let gap = BAR.saturating_sub(bar.chars().count());
        writeln!(
            out,
            "{:<27}{bar}{:gap$}{:>12}{:>6}",
            program.name,
            "",
            units::rate(rate),
            units::percent(program.samples.spread()).replace(' ', "")
        )?;
    }
    writeln!(out)
}

fn write_machine(out: &mut String, results: &Results) -> std::fmt::Result {
    let machine = &results.machine;
    let is_virtual = if machine.is_virtual { " (virtual)" } else { "" };
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    let memory = units::size(machine.memory);
    let processor = format!("{}{is_virtual}, {} {cores}", machine.processor, machine.cores);
    topic(out, "Processor", &processor)?;
    if !machine.features.is_empty() {
        topic(out, "", &machine.features.join(" "))?;
    }
    topic(out, "System", &format!("{}, {memory} of memory", machine.kernel))?;
    let folder = &results.folder_name;
    topic(out, "Folder", &format!("{folder} ({})", results.file_system))?;
    if let Some(file) = &results.file_name {
        topic(out, "File", file)?;
    }
    write_ceilings(out, &results.ceilings, machine.cores)?;
    topic(out, "Age files", &machine.age_cipher())?;
    if let Some(size) = results.largest() {
        let copy = units::rate(size.copy_rate().median);
        topic(out, "File copy", &format!("{copy} ({})", size.size_class.label()))?;
    }
    Ok(())
}

fn write_ceilings(out: &mut String, ceilings: &Ceilings, cores: usize) -> std::fmt::Result {
    topic(out, "Memory copy", &units::rate(ceilings.memory_copy.rate()))?;
    let text = format!(
        "encrypts {}, decrypts {} on one core; encrypts {} on {cores}",
        units::rate(ceilings.seal.rate()),
        units::rate(ceilings.open.rate()),
        units::rate(ceilings.seal_all_cores.rate()),
    );
    topic(out, "Cipher alone", &text)
}

fn write_size(out: &mut String, results: &Results, size: &SizeResult) -> std::fmt::Result {
    let copy = size.copy_rate();
    writeln!(out)?;
    writeln!(
        out,
        "{}: file copy {} MiB/s, spread {}",
        size.size_class.label(),
        units::mebibytes(copy.median),
        units::percent(size.copy.spread()),
    )?;
    let mut names = " ".repeat(NAME);
    let mut units = format!("{:<NAME$}", "workers");
    for operation in Operation::ALL {
        write!(names, "{:>COLUMN$}", operation.name())?;
        write!(units, "{:>7}{:>6}{:>5}{:>5}", "MiB/s", "spr.", "×", "eff.")?;
    }
    writeln!(out, "{names}\n{units}")?;
    for measurement in size.measurements() {
        let name = match measurement.configuration {
            Configuration::Single => "none".to_owned(),
            Configuration::Pool { processes, start } => format!("{processes:>3} {}", start.name()),
        };
        let cells = Operation::ALL.map(|operation| cell(results, size, measurement, operation));
        writeln!(out, "{}", format!("{name:<NAME$}{}", cells.concat()).trim_end())?;
    }
    Ok(())
}

fn cell(
    results: &Results,
    size: &SizeResult,
    measurement: &Measurement,
    operation: Operation,
) -> String {
    let median = units::mebibytes(size.rate(measurement, operation).median);
    let percent = |part: f64| units::percent(part).replace(' ', "");
    let spread = percent(measurement.samples(operation).spread());
    let speed_up = size.speed_up(measurement, operation);
    let gain = match (measurement.configuration, size.comparison(measurement, operation)) {
        (Configuration::Single, _) => ["", ""].map(str::to_owned),
        (_, Comparison::Inconclusive) => ["?", "?"].map(str::to_owned),
        (Configuration::Pool { processes, .. }, _) => [
            format!("{speed_up:.2}"),
            percent(efficiency(speed_up, processes, results.machine.cores)),
        ],
    };
    format!("{median:>7}{spread:>6}{:>5}{:>5}", gain[0], gain[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_part() {
        assert_eq!(Glyphs::Unicode.bar(1.0).chars().count(), BAR);
        assert_eq!(Glyphs::Unicode.bar(0.5), "█".repeat(BAR / 2));
        assert_eq!(Glyphs::Unicode.bar(0.0), "▏", "there is something to see");
        assert_eq!(Glyphs::Ascii.bar(0.5), "#".repeat(BAR / 2));
        assert_eq!(Glyphs::Ascii.bar(0.0), "#");
    }

    #[test]
    fn text_is_wrapped() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("longer-than-that x", 7), ["longer-than-that", "x"]);
        assert_eq!(wrapped("", 7), [""]);
    }
}
