//! The results as one self-contained HTML page, for screens of any width, light or dark, and
//! for paper.

mod charts;
mod machine;
mod tables;

use std::fmt::Write;

use crate::chart::escape;
use crate::results::{Operation, Results, Start};
use crate::{advice, units};

const STYLE: &str = include_str!("page/style.css");

impl Results {
    /// The results as one HTML page with charts. It loads nothing else, and its content
    /// security policy forbids it.
    pub fn page(&self) -> String {
        let title = advice::headline(self);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>CryptStream benchmark: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
            escape(&measured_text(self)),
        );
        let parts = [
            format!(
                "<header>\n<p class=\"kicker\">CryptStream benchmark</p>\n<h1>{}</h1>\n\
                 <p class=\"lead\">{}</p>\n</header>\n",
                escape(&title),
                escape(&lead(self)),
            ),
            charts::programs(self),
            tiles(self),
            how_to_read(),
            "<h2>Throughput, speed-up and ceilings</h2>\n<div class=\"charts\">\n".to_owned(),
            charts::charts(self),
            machine::card(self),
            "</div>\n".to_owned(),
            tables::tables(self),
            footer(self),
        ];
        for part in parts {
            page.push_str(&part);
        }
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }
}

/// What was measured.
fn measured_text(results: &Results) -> String {
    let name = results.file_name.clone();
    name.unwrap_or_else(|| results.machine.processor.clone())
}

fn lead(results: &Results) -> String {
    let size = results.largest().map_or_else(String::new, |size| size.size_class.label());
    let on = match &results.file_name {
        Some(file) => format!("{file} ({size})"),
        None => format!("files of up to {size}"),
    };
    format!(
        "Measured with {on} on {}, together with cp and other installed programs. \
         Medians of {} {}; all {} outputs of CryptStream were compared with their inputs. Recommended: {}",
        results.machine.processor,
        results.runs,
        if results.runs == 1 { "run" } else { "runs" },
        units::grouped(results.outputs_verified),
        advice::recommendation(results),
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
    let shown = size.as_command(results.displayed_workers());
    for operation in [Operation::Decrypt, Operation::Verify] {
        let verb = if operation == Operation::Decrypt { "Decrypts" } else { "Verifies" };
        let share = units::percent(size.share(shown, operation));
        tile(
            &format!("{verb} {}", units::size(size.size_class.bytes)),
            &units::rate(size.rate(shown, operation).median),
            &format!("{share} of the file copy, {}", advice::displayed(results)),
        );
    }
    let pool = results.compared_workers();
    let workers = if pool == 1 { "worker" } else { "workers" };
    tile(
        &format!("Gain of {pool} {workers}"),
        &advice::gain(results, size),
        "encrypting and decrypting, against no workers",
    );
    let note = format!("warm: {}", advice::break_even(results, Start::Warm));
    tile(&format!("{pool} {workers} pay"), &advice::break_even(results, Start::Cold), &note);
    out.push_str("</dl>\n");
    out
}

fn how_to_read() -> String {
    let mut out = "<section class=\"notes\">\n<h2>How to read this</h2>\n<ul>\n".to_owned();
    for text in [advice::COLD_AND_WARM, advice::CEILINGS, advice::EFFICIENCY, advice::SPREAD] {
        let text = ["Cold:", "Warm:", "Ceilings:", "Speed-up:", "Efficiency:", "Spread:"]
            .into_iter()
            .fold(escape(text), |text, term| {
                text.replace(term, &format!("<strong>{term}</strong>"))
            });
        let _ = writeln!(out, "<li>{text}</li>");
    }
    out.push_str("</ul>\n</section>\n");
    out
}

fn footer(results: &Results) -> String {
    let mut out = "<footer>\n".to_owned();
    for skipped in &results.skipped {
        let _ = writeln!(
            out,
            "<p>{} was skipped for lack of {}: {} of {} available.</p>",
            units::size(skipped.bytes),
            skipped.shortage_of,
            units::size(skipped.available),
            units::size(skipped.needed),
        );
    }
    let _ = writeln!(
        out,
        "<p>In each of the {} rounds every configuration was measured once, in changing order. Files \
         of up to 4 MiB were measured many at a time, as the tables say. Everything was in the page \
         cache, and nothing was synced to the disk. Before each large measurement as much memory \
         was used and freed again, so that none pays for memory that a virtual machine had given \
         back. 1 GiB is 1,024 MiB, and 1 MiB is 1,048,576 bytes.</p>",
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
