//! Horizontal bars, each with its name and value above it.

use super::axis::{Scale, label, ticks};
use super::{Svg, WIDTH, escape};

/// Distance from one bar to the next.
const STEP: f64 = 42.0;
const HEADING: f64 = 30.0;
const THICKNESS: f64 = 13.0;
/// Height of the ticks and the name below.
const FOOT: f64 = 44.0;

/// A bar chart.
pub(crate) struct BarChart {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The chart in words.
    pub(crate) description: String,
    /// What the values are, such as `GB/s`.
    pub(crate) x_name: &'static str,
    /// Groups, each with a heading.
    pub(crate) groups: Vec<(String, Vec<Bar>)>,
    /// A value to compare with, drawn as a dotted line.
    pub(crate) reference: Option<f64>,
}

pub(crate) struct Bar {
    pub(crate) name: String,
    /// The value, as text.
    pub(crate) text: String,
    /// `c0` to `c6`.
    pub(crate) class: &'static str,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl BarChart {
    pub(crate) fn draw(&self) -> String {
        let bars = || self.groups.iter().flat_map(|(_, bars)| bars);
        let max = bars().map(|bar| bar.high).chain(self.reference).fold(0.0, f64::max);
        let marks = ticks(max, 5);
        let end = marks.last().copied().unwrap_or(max);
        let x = Scale { values: (0.0, end), positions: (1.0, WIDTH - 12.0), is_logarithmic: false };
        let headings = self.groups.iter().filter(|(heading, _)| !heading.is_empty()).count();
        let bottom = bars().count() as f64 * STEP + headings as f64 * HEADING + 4.0;

        let mut svg = Svg::new(&self.id, bottom + FOOT, &self.title, &self.description);
        for mark in &marks {
            let at = x.position(*mark);
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
                    // Below the text.
                    let (at, from) = (x.position(reference), top + 19.0);
                    svg.line("reference", (at, from), (at, from + THICKNESS + 6.0));
                }
                top += STEP;
            }
        }
        svg.line("axis", (x.position(0.0), 0.0), (x.position(0.0), bottom));
        svg.finish()
    }
}

fn draw_bar(svg: &mut Svg, bar: &Bar, top: f64, x: &Scale) {
    svg.text("bar-name", (8.0, top + 16.0), &bar.name);
    svg.text("bar-value end", (WIDTH - 12.0, top + 16.0), &bar.text);
    let (from, to, y) = (x.position(0.0), x.position(bar.value), top + 22.0);
    svg.put(format_args!(
        "<rect class=\"{} bar\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{THICKNESS}\">\
         <title>{}: {}</title></rect>\n",
        bar.class,
        (to - from).max(1.0),
        escape(&bar.name),
        escape(&bar.text),
    ));
    let middle = y + THICKNESS / 2.0;
    let (low, high) = (x.position(bar.low), x.position(bar.high));
    // The halo first, so that the whisker is visible on the bar too.
    for class in ["whisker halo", "whisker"] {
        svg.line(class, (low, middle), (high, middle));
        for end in [low, high] {
            svg.line(class, (end, middle - 3.5), (end, middle + 3.5));
        }
    }
}
