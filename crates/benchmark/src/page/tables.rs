//! All numbers as tables, also for people who cannot see the charts.

use std::fmt::Write;

use crate::chart::escape;
use crate::results::{Configuration, Measurement, Operation, Results, SizeResult};
use crate::stats::{Comparison, Rate, efficiency};
use crate::units;

/// One table for each size, the largest first.
pub(super) fn tables(results: &Results) -> String {
    let mut out = "<h2>All numbers</h2>\n".to_owned();
    for size in results.sizes.iter().rev() {
        out.push_str(&table(results, size));
    }
    out
}

fn table(results: &Results, size: &SizeResult) -> String {
    let name = escape(&size.size_class.label());
    let copy = size.copy_rate();
    let mut out = format!(
        "<div class=\"card scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{name}\">\n<table>\n\
         <caption>{name} <span>· file copy {} MiB/s, {}</span></caption>\n<thead>\n\
         <tr><td></td>",
        units::mebibytes(copy.median),
        spread(copy),
    );
    for operation in Operation::ALL {
        let _ = write!(
            out,
            "<th class=\"group first\" colspan=\"3\" scope=\"colgroup\">{}</th>",
            operation.name()
        );
    }
    out.push_str("</tr>\n<tr><th scope=\"col\">workers</th>");
    for _ in Operation::ALL {
        out.push_str(
            "<th class=\"first\" scope=\"col\">MiB/s<small>min–max</small></th>\
             <th scope=\"col\">speed-up<small>efficiency</small></th>\
             <th scope=\"col\">of file<br>copy</th>",
        );
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for measurement in size.measurements() {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th>",
            escape(&measurement.configuration.label())
        );
        for operation in Operation::ALL {
            out.push_str(&cells(results, size, measurement, operation));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    out
}

fn cells(
    results: &Results,
    size: &SizeResult,
    measurement: &Measurement,
    operation: Operation,
) -> String {
    let rate = size.rate(measurement, operation);
    let speed_up = size.speed_up(measurement, operation);
    let gain = match (measurement.configuration, size.comparison(measurement, operation)) {
        (Configuration::Single, _) => "–".to_owned(),
        (_, Comparison::Inconclusive) => "inconclusive".to_owned(),
        (Configuration::Pool { processes, .. }, _) => {
            let cores = results.machine.cores;
            let efficiency = units::percent(efficiency(speed_up, processes, cores));
            format!("{}<small>{efficiency}</small>", units::times(speed_up))
        }
    };
    format!(
        "<td class=\"rate first\">{}<small>{}</small></td><td>{gain}</td><td>{}</td>",
        units::mebibytes(rate.median),
        spread(rate),
        units::percent(size.share(measurement, operation)),
    )
}

fn spread(rate: Rate) -> String {
    format!("{}–{}", units::mebibytes(rate.low), units::mebibytes(rate.high))
}
