//! The sentences that the table and the page share.

use crate::results::{Operation, Results, SizeResult, Start};
use crate::stats::{BreakEven, Comparison, Conclusion, MIN_RUNS, compare, speed_up};
use crate::units;

/// Explains cold and warm.
pub(crate) const COLD_AND_WARM: &str = "Cold: the time includes starting the workers, as in a \
     command with one file. Warm: they are already running, as from the second large file of a \
     command on.";
/// Explains the ceilings.
pub(crate) const CEILINGS: &str = "Ceilings: what the machine can do at best. No program that \
     writes a file is faster than memory, and none that encrypts it is faster than the cipher alone.";
/// Explains speed-up and efficiency.
pub(crate) const EFFICIENCY: &str = "Speed-up: how many times as fast as without workers. \
     Efficiency: the speed-up divided by the number of cores in use. That is one more than the \
     workers, since the main process works too, but no more than the machine has. At most 100 %.";
/// Explains the spread, and when a result is inconclusive.
pub(crate) const SPREAD: &str = "Spread: the range that contains half of the runs, relative to the \
     median. A difference that is smaller than the spread is inconclusive.";

/// The recommended number of workers, and the recommended format.
pub(crate) fn recommendation(results: &Results) -> String {
    let mut text = workers(results);
    if let Some(format) = format(results) {
        text.push(' ');
        text.push_str(&format);
    }
    text
}

fn workers(results: &Results) -> String {
    let size =
        results.largest().map_or_else(String::new, |size| units::size(size.size_class.bytes));
    match results.conclusion() {
        Conclusion::NoWorkers => {
            format!("No workers (--processes 0): they do not make {size} measurably faster.")
        }
        Conclusion::Workers(workers) => {
            let plural = if workers == 1 { "worker" } else { "workers" };
            format!(
                "{workers} {plural} (--processes {workers}): faster than none, and no other \
                 number is measurably faster."
            )
        }
        Conclusion::Inconclusive if usize::from(results.runs) < MIN_RUNS => {
            format!(
                "Inconclusive with fewer than {MIN_RUNS} runs: keep the default number of workers."
            )
        }
        Conclusion::Inconclusive => "Inconclusive: the runs differ by more than the numbers of \
             workers do. Keep the default."
            .to_owned(),
    }
}

/// Whether the age format is faster on this machine: the native one needs AES instructions
/// to be fast.
pub(crate) fn age_format_is_faster(results: &Results) -> bool {
    let measured = results.programs.age_format();
    results.machine.lacks_aes
        && measured.is_none_or(|(comparison, _)| comparison == Comparison::Faster)
}

fn format(results: &Results) -> Option<String> {
    let lacks = "This processor has no AES instructions";
    match (results.machine.lacks_aes, results.programs.age_format()) {
        (false, _) => None,
        (true, Some((Comparison::Faster, times))) => {
            Some(format!("{lacks}: use --format age, {times:.1} times as fast here."))
        }
        (true, None) => Some(format!("{lacks}: use --format age, which does not need them.")),
        (true, Some(_)) => {
            Some(format!("{lacks}, but --format age was not measurably faster either."))
        }
    }
}

/// From which size on workers are faster than a single process at encrypting and decrypting;
/// where there is only one size, from how many workers on.
pub(crate) fn break_even(results: &Results, start: Start) -> String {
    let break_even = results.workers_break_even(None, start);
    // "Never" is said only where no workers are recommended.
    let is_clear = results.conclusion() == Conclusion::NoWorkers;
    match (results.sizes.len(), break_even.bytes, break_even.processes) {
        (1, _, BreakEven::Never) | (2.., BreakEven::Never, _) if !is_clear => {
            "inconclusive".to_owned()
        }
        (1, _, BreakEven::From(1)) => "from 1 worker".to_owned(),
        (1, _, BreakEven::From(workers)) => format!("from {workers} workers"),
        (1, _, BreakEven::Inconclusive) | (_, BreakEven::Inconclusive, _) => {
            "inconclusive".to_owned()
        }
        (1, _, BreakEven::Never) | (_, BreakEven::Never, _) => "never".to_owned(),
        (_, BreakEven::From(bytes), _) => format!("from {}", units::size(bytes)),
    }
}

/// The configuration whose figures stand for CryptStream.
pub(crate) fn displayed(results: &Results) -> String {
    match results.displayed_workers() {
        0 => "without workers".to_owned(),
        1 => "1 worker".to_owned(),
        workers => format!("{workers} workers"),
    }
}

/// How close an operation comes to the file copy.
pub(crate) fn reached(results: &Results, operation: Operation) -> Option<String> {
    let size = results.largest()?;
    let measurement = size.as_command(results.displayed_workers());
    Some(format!(
        "{}, {} of the file copy's {}",
        units::rate(size.rate(measurement, operation).median),
        units::percent(size.share(measurement, operation)),
        units::rate(size.copy_rate().median),
    ))
}

/// How much faster workers are at the largest size, encrypting and decrypting.
pub(crate) fn gain(results: &Results, size: &SizeResult) -> String {
    let single = size.single.encrypt_and_decrypt();
    let pool = size.as_command(results.compared_workers()).encrypt_and_decrypt();
    match compare(&single, &pool) {
        Comparison::Inconclusive => "inconclusive".to_owned(),
        _ => units::times(speed_up(&single, &pool)),
    }
}

/// CryptStream compared with `cp`, in one sentence.
pub(crate) fn headline(results: &Results) -> String {
    let programs = &results.programs;
    let bytes = units::size(programs.bytes);
    let Some(own) = programs.own() else { return "What this machine can do".to_owned() };
    let rate = units::rate(own.samples.rate(programs.bytes).median);
    let Some(copy) = programs.copy() else { return format!("Encrypts {bytes} at {rate}") };
    let times = own.samples.median() / copy.samples.median();
    match compare(&copy.samples, &own.samples) {
        Comparison::Inconclusive => {
            format!("Encrypts {bytes} at {rate}; compared with cp the result is inconclusive")
        }
        Comparison::Same => format!("Encrypts {bytes} at {rate}, as fast as cp copies"),
        Comparison::Faster | Comparison::Slower => {
            format!("Encrypts {bytes} at {rate}, in {times:.2} times the time of cp")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::Program;
    use crate::results::Configuration;
    use crate::table::Glyphs;
    use crate::test_results::{results, runs};

    /// The table, with both sets of characters, and the page.
    fn shown_texts(results: &Results) -> [String; 3] {
        let glyphs = [Glyphs::Unicode, Glyphs::Ascii];
        let [unicode, ascii] = glyphs.map(|glyphs| results.table(glyphs));
        assert!(ascii.is_ascii(), "{ascii}");
        for text in [&unicode, &ascii] {
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
        let page = results.page();
        for (opened, closed) in [("<div", "</div>"), ("<svg", "</svg>"), ("<li>", "</li>")] {
            assert_eq!(page.matches(opened).count(), page.matches(closed).count(), "{opened}");
        }
        // Every configuration is in every throughput chart.
        let lines = 2 + 2 * results.processes.len();
        let charts = page.split("<svg id=\"chart-throughput-").skip(1);
        for chart in charts.map(|chart| chart.split("</svg>").next().unwrap_or_default()) {
            assert_eq!(chart.matches("series").count(), lines, "{chart}");
        }
        [unicode, ascii, page]
    }

    /// Twice as fast with `best` workers as with any other number.
    fn best(best: u16) -> impl Fn(Configuration) -> f64 {
        move |configuration| match configuration.processes() == best {
            true => 1e-9,
            false => 2e-9,
        }
    }

    #[test]
    fn nothing_that_is_shown_contradicts_the_conclusion() {
        let clear = results(best(4), 0.02);
        assert_eq!(clear.conclusion(), Conclusion::Workers(4));
        assert_eq!(break_even(&clear, Start::Cold), "from 4 KiB");
        for text in shown_texts(&clear) {
            assert!(text.contains("4 workers (--processes 4): faster than none"), "{text}");
            assert!(text.contains("4 workers") && !text.contains("never"), "{text}");
        }

        let none = results(best(0), 0.02);
        assert_eq!(none.conclusion(), Conclusion::NoWorkers);
        assert_eq!(break_even(&none, Start::Cold), "never");
        for text in shown_texts(&none) {
            assert!(text.contains("No workers (--processes 0)"), "{text}");
            assert!(!text.contains("faster than none"), "{text}");
        }

        let [gain_of_four, gain_of_none] =
            [&clear, &none].map(|results| gain(results, &results.sizes[0]));
        assert_eq!([gain_of_four.as_str(), gain_of_none.as_str()], ["2.00×", "0.50×"]);

        let noisy = results(best(1), 1.5);
        assert_eq!(gain(&noisy, &noisy.sizes[0]), "inconclusive");
        assert_eq!(noisy.conclusion(), Conclusion::Inconclusive);
        assert_eq!(break_even(&noisy, Start::Cold), "inconclusive");
        for text in shown_texts(&noisy) {
            assert!(text.contains("Inconclusive: the runs differ"), "{text}");
            for other in ["never", "(--processes", "faster than none"] {
                assert!(!text.contains(other), "{other}: {text}");
            }
        }
    }

    #[test]
    fn the_first_chart_has_the_copy_first_and_then_the_fastest() {
        for text in shown_texts(&results(best(4), 0.02)) {
            let positions = ["cp ", "CryptStream ", "openssl, no", "gpg, symmetric"]
                .map(|name| text.find(&format!("\n{name}")));
            if !text.starts_with('<') {
                assert!(positions.is_sorted() && positions[0].is_some(), "{text}");
            }
        }
    }

    /// The age format was measured to be five times as fast on such a machine.
    #[test]
    fn without_aes_instructions_the_age_format_is_recommended() {
        let mut results = results(best(4), 0.02);
        assert!(!age_format_is_faster(&results));
        assert!(!recommendation(&results).contains("age"));
        results.machine.lacks_aes = true;
        assert!(recommendation(&results).contains("use --format age"));
        let mut age = |seconds| {
            results.programs.programs.retain(|program| !program.name.ends_with("age format"));
            let name = "CryptStream, age format";
            let samples = runs(seconds, 0.02);
            results.programs.programs.push(Program { name, command: name.to_owned(), samples });
            shown_texts(&results);
            (recommendation(&results), age_format_is_faster(&results))
        };
        let (text, is_faster) = age(0.024);
        assert!(text.contains("use --format age, 5.0 times as fast here") && is_faster, "{text}");
        let (text, is_faster) = age(0.12);
        assert!(text.contains("not measurably faster") && !is_faster, "{text}");
    }
}
