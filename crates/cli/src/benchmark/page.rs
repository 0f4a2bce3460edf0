//! The results as one page that needs nothing but itself: for a screen of any
//! width, light or dark, and for paper.

mod figures;
mod machine;
mod tables;

use std::fmt::Write;

use super::chart::escape;
use super::results::{Operation, Results, SizeResult, Warmth};
use super::{advice, units};
use crate::messages;

const STYLE: &str = include_str!("page/style.css");

/// The whole page. What it is made of can fetch nothing, and the policy in its
/// head says so to the browser.
pub(super) fn page(results: &Results) -> String {
    let title = headline(results);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>CryptStream benchmark: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&what(results)),
    );
    let parts = [
        format!(
            "<header>\n<p class=\"kicker\">CryptStream benchmark</p>\n<h1>{}</h1>\n\
             <p class=\"lead\">{}</p>\n</header>\n",
            escape(&title),
            escape(&lead(results)),
        ),
        tiles(results),
        "<h2>Throughput, speed-up and ceilings</h2>\n<div class=\"charts\">\n".to_owned(),
        figures::figures(results),
        machine::card(results),
        "</div>\n".to_owned(),
        tables::tables(results),
        footer(results),
    ];
    for part in parts {
        page.push_str(&part);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// What was measured.
fn what(results: &Results) -> String {
    let name = results.file.as_deref().map(messages::quoted);
    name.unwrap_or_else(|| results.machine.processor.clone())
}

fn headline(results: &Results) -> String {
    match results.recommended() {
        0 => "Workers do not pay here",
        1 => "Quickest with 1 worker process",
        processes => return format!("Quickest with {processes} worker processes"),
    }
    .to_owned()
}

fn lead(results: &Results) -> String {
    let size = results.largest().map_or_else(String::new, |size| units::rung(size.rung));
    let on = match &results.file {
        Some(file) => format!("{} ({size})", messages::quoted(file)),
        None => format!("files of up to {size}"),
    };
    format!(
        "Measured with {on} on {}, against a file copy in the same folder and a single process. \
         Medians of {} runs; all {} outputs were compared with what went in.",
        results.machine.processor, results.runs, results.outputs_verified
    )
}

fn tiles(results: &Results) -> String {
    let Some(size) = results.largest() else { return String::new() };
    let mut out = "<dl class=\"tiles\">\n".to_owned();
    let mut tile = |name: &str, figure: &str, note: &str| {
        let [name, figure, note] = [name, figure, note].map(escape);
        let _ = writeln!(
            out,
            "<div><dt>{name}</dt><dd class=\"figure\">{figure}</dd><dd class=\"note\">{note}</dd></div>"
        );
    };
    for operation in [Operation::Encrypt, Operation::Decrypt] {
        let best = size.best(operation);
        let verb = if operation == Operation::Encrypt { "Encrypts" } else { "Decrypts" };
        let share = units::percent(size.share(best, operation));
        tile(
            &format!("{verb} {}", units::size(size.rung.bytes)),
            &units::rate(size.rate(best, operation).median),
            &format!("{share} of the file copy"),
        );
    }
    let (speed_up, processes) = best_speed_up(size);
    let by = if processes == 1 { "process" } else { "processes" };
    tile("Best speed-up", &units::times(speed_up), &format!("encrypting, {processes} worker {by}"));
    let pays = |warmth| advice::pays_at(results, warmth, Operation::Encrypt);
    let note = format!("encrypting; with a warm pool {}", pays(Warmth::Warm));
    tile("Workers pay", &pays(Warmth::Cold), &note);
    out.push_str("</dl>\n");
    out
}

/// The best of the pools at encrypting, which may be none.
fn best_speed_up(size: &SizeResult) -> (f64, u16) {
    let speed_ups = size
        .pools
        .iter()
        .map(|entry| (size.speed_up(entry, Operation::Encrypt), entry.contestant.processes()));
    speed_ups.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or((1.0, 0))
}

fn footer(results: &Results) -> String {
    let mut out = "<footer>\n".to_owned();
    for skipped in &results.skipped {
        let _ = writeln!(
            out,
            "<p>{} was left out for want of {}: {} of {} are there.</p>",
            units::size(skipped.bytes),
            skipped.of,
            units::size(skipped.available),
            units::size(skipped.needed),
        );
    }
    let _ = writeln!(
        out,
        "<p>In each of the {} rounds everybody took a turn, in changing order, and the file copy \
         too. Files of up to 4 MiB were worked on many at a time, as the tables say. A cold pool \
         starts its workers within the measured time; a warm one has them already. Everything was \
         in the page cache; nothing was synced to the disk. Rates are decimal: 1 GB/s is \
         10⁹ bytes a second.</p>",
        results.runs,
    );
    let _ = writeln!(
        out,
        "<p>cryptstream {} · <time datetime=\"{when}\">{when}</time> · {:.0} s</p>\n</footer>",
        env!("CARGO_PKG_VERSION"),
        results.took.as_secs_f64(),
        when = escape(&results.when),
    );
    out
}
