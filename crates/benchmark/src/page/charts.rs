//! The charts of the page.

use std::fmt::Write;

use crate::advice;
use crate::chart::{
    Bar, BarChart, Line, LineChart, Point, SeriesStyle, Shape, XAxis, escape, swatch,
};
use crate::results::{Configuration, Measurement, Operation, Results, SizeResult, Start};
use crate::stats::Rate;
use crate::units;

const COPY: SeriesStyle = SeriesStyle { class: "c0", shape: Shape::Square, is_dashed: false };
const SINGLE: SeriesStyle = SeriesStyle { class: "c1", shape: Shape::Circle, is_dashed: false };
const COLD: SeriesStyle = SeriesStyle { class: "c2", shape: Shape::Diamond, is_dashed: false };
const WARM: SeriesStyle = SeriesStyle { class: "c3", shape: Shape::Triangle, is_dashed: false };
const OPERATIONS: [SeriesStyle; 3] = [
    SeriesStyle { class: "c4", shape: Shape::Circle, is_dashed: false },
    SeriesStyle { class: "c5", shape: Shape::Diamond, is_dashed: false },
    SeriesStyle { class: "c6", shape: Shape::Triangle, is_dashed: false },
];

/// CryptStream, `cp` and other programs: the first chart.
pub(super) fn programs(results: &Results) -> String {
    let programs = &results.programs;
    let bars = programs.in_order().into_iter().map(|program| {
        let rate = program.samples.rate(programs.bytes);
        let class = match (program.is_copy(), program.is_own()) {
            (true, _) => COPY.class,
            (_, true) => WARM.class,
            _ => SINGLE.class,
        };
        let median = program.samples.median();
        let text = format!("{} · {}", units::rate(rate.median), units::seconds(median));
        bar(program.name.to_owned(), class, rate, text)
    });
    let bars: Vec<_> = bars.collect();
    if bars.is_empty() {
        return String::new();
    }
    let title = format!("Encrypting one file of {}", units::size(programs.bytes));
    let failed = match programs.failed.is_empty() {
        true => String::new(),
        false => format!(" Its command failed: {}.", programs.failed.join(", ")),
    };
    let chart = BarChart {
        id: "chart-programs".to_owned(),
        title: title.clone(),
        description: bars_as_text(&bars),
        x_name: "GiB/s",
        reference: programs.copy().map(|copy| gib(copy.samples.rate(programs.bytes).median)),
        groups: vec![(String::new(), bars)],
    };
    let below = format!(
        "Longer bars are faster. Each program is measured from its start to its end. cp copies the \
         file without encrypting it; the dotted line is its speed. Medians; the thin line is from the slowest run to the fastest.{failed}"
    );
    format!("<div class=\"first\">\n{}</div>\n", figure(&title, &below, &[], &chart.draw()))
}

fn gib(bytes_per_second: f64) -> f64 {
    bytes_per_second / units::GIB
}

fn bar(name: String, class: &'static str, rate: Rate, text: String) -> Bar {
    let [value, low, high] = [rate.median, rate.low, rate.high].map(gib);
    Bar { name, text, class, value, low, high }
}

/// The bars as text.
fn bars_as_text(bars: &[Bar]) -> String {
    let bars: Vec<_> = bars.iter().map(|bar| format!("{}: {}", bar.name, bar.text)).collect();
    bars.join("; ")
}

/// All other charts.
pub(super) fn charts(results: &Results) -> String {
    let Some(largest) = results.largest() else { return String::new() };
    let mut out = String::new();
    for operation in Operation::ALL {
        out.push_str(&match results.sizes.len() {
            1 => throughput_of_one(largest, operation),
            _ => throughput(results, operation),
        });
    }
    out.push_str(&speed_up(results, largest));
    out.push_str(&ceilings(results, largest));
    out
}

fn figure(title: &str, below: &str, legend: &[(SeriesStyle, String)], svg: &str) -> String {
    let mut out = format!(
        "<figure class=\"card\">\n<figcaption><h3>{}</h3><p class=\"sub\">{}</p>",
        escape(title),
        escape(below)
    );
    if !legend.is_empty() {
        out.push_str("<ul class=\"legend\">");
        for (style, name) in legend {
            let _ = write!(out, "<li>{}{}</li>", swatch(*style), escape(name));
        }
        out.push_str("</ul>");
    }
    let _ = write!(out, "</figcaption>\n{svg}</figure>\n");
    out
}

fn capitalised(operation: Operation) -> &'static str {
    match operation {
        Operation::Encrypt => "Encrypting",
        Operation::Decrypt => "Decrypting",
        Operation::Verify => "Verifying",
    }
}

/// The style of the configuration with the `index`th number of processes.
fn pool_style(index: usize, start: Start) -> SeriesStyle {
    let class = ["c2", "c3", "c4", "c5", "c6"][index % 5];
    let shape = [Shape::Diamond, Shape::Triangle, Shape::Square, Shape::Circle][index % 4];
    SeriesStyle { class, shape, is_dashed: start == Start::Warm }
}

/// A series of a throughput chart: its style, its name, its rate.
type Series<'a> = (SeriesStyle, String, Box<dyn Fn(&SizeResult) -> Option<Rate> + 'a>);

/// The file copy, the single process and all others.
fn series(results: &Results, operation: Operation) -> Vec<Series<'_>> {
    let mut all: Vec<Series<'_>> = vec![
        (COPY, "file copy".into(), Box::new(|size| Some(size.copy_rate()))),
        (
            SINGLE,
            "single process".into(),
            Box::new(move |size| Some(size.rate(&size.single, operation))),
        ),
    ];
    for (index, processes) in results.processes.iter().copied().enumerate() {
        for start in [Start::Cold, Start::Warm] {
            let name = Configuration::Pool { processes, start }.label();
            let rate =
                move |size: &SizeResult| Some(size.rate(size.pool(processes, start)?, operation));
            all.push((pool_style(index, start), name, Box::new(rate)));
        }
    }
    all
}

/// Throughput by size.
fn throughput(results: &Results, operation: Operation) -> String {
    let series = series(results, operation);
    let lines = series.iter().map(|(style, name, of)| {
        let points = results.sizes.iter().filter_map(|size| {
            let rate = of(size)?;
            Some(Point {
                x: size.size_class.bytes as f64,
                y: gib(rate.median),
                // So many bands would hide each other; the tables have the numbers.
                low: gib(rate.median),
                high: gib(rate.median),
                tip: format!("{name}, {}: {}", size.size_class.label(), with_spread(rate)),
            })
        });
        Line { style: *style, points: points.collect() }
    });
    let marks = results
        .sizes
        .iter()
        .map(|size| (size.size_class.bytes as f64, units::size(size.size_class.bytes)));
    let title = format!("{}: throughput by file size", capitalised(operation));
    let chart = LineChart {
        id: format!("chart-throughput-{}", operation.name()),
        title: title.clone(),
        description: format!(
            "At the largest size, {}: {}. All numbers are in the tables below.",
            advice::displayed(results),
            advice::reached(results, operation).unwrap_or_default()
        ),
        x: XAxis { name: "file size (logarithmic)", marks: marks.collect(), is_logarithmic: true },
        y_name: "GiB/s",
        lines: lines.collect(),
        ideal: Vec::new(),
    };
    let legend: Vec<_> = series.iter().map(|(style, name, _)| (*style, name.clone())).collect();
    figure(&title, "Higher is faster. Medians.", &legend, &chart.draw())
}

/// Throughput, if there is only one size.
fn throughput_of_one(size: &SizeResult, operation: Operation) -> String {
    let bar = |name, class, rate: Rate| bar(name, class, rate, units::rate(rate.median));
    let pool = |measurement: &Measurement, class| {
        bar(measurement.configuration.label(), class, size.rate(measurement, operation))
    };
    let copy = bar("file copy".into(), COPY.class, size.copy_rate());
    let bars = [copy, pool(&size.single, SINGLE.class)]
        .into_iter()
        .chain(size.pools(Start::Cold).map(|measurement| pool(measurement, COLD.class)))
        .chain(size.pools(Start::Warm).map(|measurement| pool(measurement, WARM.class)));
    let title = format!("{}: throughput", capitalised(operation));
    let bars: Vec<_> = bars.collect();
    let chart = BarChart {
        id: format!("chart-throughput-{}", operation.name()),
        title: title.clone(),
        description: bars_as_text(&bars),
        x_name: "GiB/s",
        reference: Some(gib(size.copy_rate().median)),
        groups: vec![(String::new(), bars)],
    };
    let below =
        "Median; the thin line is from the slowest run to the fastest. Dotted: the file copy.";
    figure(&title, below, &[], &chart.draw())
}

/// Speed-up by number of processes.
fn speed_up(results: &Results, size: &SizeResult) -> String {
    let line = |operation: Operation, style: SeriesStyle| {
        let points = size.pools(Start::Warm).map(|measurement| {
            let processes = measurement.configuration.processes();
            let speed_up = size.speed_up(measurement, operation);
            let samples = measurement.samples(operation);
            Point {
                x: f64::from(processes),
                y: speed_up,
                low: speed_up * samples.median() / samples.max(),
                high: speed_up * samples.median() / samples.min(),
                tip: format!("{}, {processes}: {}", operation.name(), units::times(speed_up)),
            }
        });
        Line { style, points: points.collect() }
    };
    let most = results.processes.last().copied().map_or(1.0, f64::from);
    let marks = results.processes.iter().map(|count| (f64::from(*count), count.to_string()));
    let title = format!("Speed-up by number of processes, {}", size.size_class.label());
    let looks = || Operation::ALL.into_iter().zip(OPERATIONS);
    let parts: Vec<_> = looks()
        .filter_map(|(operation, style)| {
            let last = line(operation, style).points.pop()?;
            Some(format!("{} {}", operation.name(), units::times(last.y)))
        })
        .collect();
    let chart = LineChart {
        id: "chart-speedup".to_owned(),
        title: title.clone(),
        description: format!(
            "With {most} processes: {}. The dotted line is at {most}×.",
            parts.join(", ")
        ),
        x: XAxis { name: "worker processes", marks: marks.collect(), is_logarithmic: false },
        y_name: "times a single process",
        lines: looks().map(|(operation, style)| line(operation, style)).collect(),
        ideal: vec![(1.0, 1.0), (most, most)],
    };
    let legend: Vec<_> = looks().map(|(one, style)| (style, one.name().to_owned())).collect();
    let cores = results.machine.cores;
    let below = format!("Warm workers. The dotted line is 1× per worker; there are {cores} cores.");
    figure(&title, &below, &legend, &chart.draw())
}

/// The rates reached, and the limits of the machine.
fn ceilings(results: &Results, size: &SizeResult) -> String {
    let copy = size.copy_rate();
    let ceilings = &results.ceilings;
    let cores = results.machine.cores;
    let limits = [
        ("memory copy".to_owned(), &ceilings.memory_copy),
        (format!("cipher alone, {cores} cores"), &ceilings.seal_all_cores),
        ("cipher alone, one core".to_owned(), &ceilings.seal),
    ]
    .map(|(name, ceiling)| {
        let rate = ceiling.samples.rate(ceiling.bytes);
        bar(name, "c0", rate, units::rate(rate.median))
    });
    let copied = bar("file copy".to_owned(), "c0", copy, units::rate(copy.median));
    let reached = Operation::ALL.into_iter().zip(OPERATIONS).map(|(operation, style)| {
        let measurement = size.as_command(results.displayed_workers());
        let rate = size.rate(measurement, operation);
        let share = units::percent(size.share(measurement, operation));
        let name = format!("{}, {}", operation.name(), advice::displayed(results));
        bar(name, style.class, rate, format!("{} · {share}", units::rate(rate.median)))
    });
    let parts: Vec<_> = Operation::ALL
        .into_iter()
        .filter_map(|one| Some(format!("{}: {}", one.name(), advice::reached(results, one)?)))
        .collect();
    let title = format!("Against the ceilings, {}", size.size_class.label());
    let chart = BarChart {
        id: "chart-ceilings".to_owned(),
        title: title.clone(),
        description: parts.join("; "),
        x_name: "GiB/s",
        reference: Some(gib(copy.median)),
        groups: vec![
            ("What this machine can do".into(), limits.into_iter().chain([copied]).collect()),
            ("What CryptStream reaches".into(), reached.collect()),
        ],
    };
    let below = "A ceiling is what the machine can do at best. Percentages are of the file copy, \
                 which is the dotted line.";
    figure(&title, below, &[], &chart.draw())
}

fn with_spread(rate: Rate) -> String {
    let [median, low, high] = [rate.median, rate.low, rate.high].map(units::rate);
    format!("{median} ({low} to {high})")
}
