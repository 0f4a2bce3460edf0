//! Bars from left to right, each with its name and its value above it.

use super::axis::{Scale, label, ticks};
use super::{Svg, WIDTH, escape};

/// From one bar to the next.
const STEP: f64 = 42.0;
const HEADING: f64 = 30.0;
const THICKNESS: f64 = 13.0;
/// The marks below.
const FOOT: f64 = 44.0;

/// See the module's description.
pub(in super::super) struct BarChart {
    pub(in super::super) id: String,
    pub(in super::super) title: String,
    /// The gist in words.
    pub(in super::super) description: String,
    /// What the values are, as `GB/s`.
    pub(in super::super) x_name: &'static str,
    /// Groups with a heading each.
    pub(in super::super) groups: Vec<(String, Vec<Bar>)>,
    /// A value to compare with.
    pub(in super::super) reference: Option<f64>,
}

pub(in super::super) struct Bar {
    pub(in super::super) name: String,
    /// What is written at the end.
    pub(in super::super) text: String,
    /// `c0` to `c6`.
    pub(in super::super) class: &'static str,
    pub(in super::super) value: f64,
    pub(in super::super) low: f64,
    pub(in super::super) high: f64,
}

impl BarChart {
    pub(in super::super) fn draw(&self) -> String {
        let bars = || self.groups.iter().flat_map(|(_, bars)| bars);
        let max = bars().map(|bar| bar.high).chain(self.reference).fold(0.0, f64::max);
        let marks = ticks(max, 5);
        let end = marks.last().copied().unwrap_or(max);
        let x = Scale { values: (0.0, end), places: (1.0, WIDTH - 12.0), is_log: false };
        let headings = self.groups.iter().filter(|(heading, _)| !heading.is_empty()).count();
        let bottom = bars().count() as f64 * STEP + headings as f64 * HEADING + 4.0;

        let mut svg = Svg::new(&self.id, bottom + FOOT, &self.title, &self.description);
        for mark in &marks {
            let at = x.place(*mark);
            svg.line("grid", (at, 0.0), (at, bottom));
            let anchor = if *mark == 0.0 { "tick" } else { "tick middle" };
            svg.text(anchor, (at, bottom + 17.0), &label(*mark, &marks));
        }
        svg.text("name middle", (WIDTH / 2.0, bottom + 36.0), self.x_name);
        let mut top = 0.0;
        for (heading, bars) in &self.groups {
            if !heading.is_empty() {
                svg.text("heading", (0.0, top + 22.0), heading);
                top += HEADING;
            }
            for bar in bars {
                draw_bar(&mut svg, bar, top, &x);
                if let Some(reference) = self.reference {
                    // Not through the words.
                    let (at, from) = (x.place(reference), top + 19.0);
                    svg.line("reference", (at, from), (at, from + THICKNESS + 6.0));
                }
                top += STEP;
            }
        }
        svg.line("axis", (x.place(0.0), 0.0), (x.place(0.0), bottom));
        svg.finish()
    }
}

fn draw_bar(svg: &mut Svg, bar: &Bar, top: f64, x: &Scale) {
    svg.text("bar-name", (8.0, top + 16.0), &bar.name);
    svg.text("bar-value end", (WIDTH - 12.0, top + 16.0), &bar.text);
    let (from, to, y) = (x.place(0.0), x.place(bar.value), top + 22.0);
    svg.put(format_args!(
        "<rect class=\"{} bar\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{THICKNESS}\">\
         <title>{}: {}</title></rect>\n",
        bar.class,
        (to - from).max(1.0),
        escape(&bar.name),
        escape(&bar.text),
    ));
    let middle = y + THICKNESS / 2.0;
    let (low, high) = (x.place(bar.low), x.place(bar.high));
    // First its halo, so that it is seen on the bar too.
    for class in ["whisker halo", "whisker"] {
        svg.line(class, (low, middle), (high, middle));
        for end in [low, high] {
            svg.line(class, (end, middle - 3.5), (end, middle + 3.5));
        }
    }
}
