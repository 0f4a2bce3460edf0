//! Lines, each with a band from the lowest to the highest value.

use super::axis::{Scale, label, ticks};
use super::{SeriesStyle, Svg, WIDTH};

/// The edges of the plot.
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 268.0;
/// Height of a line of text.
const TEXT_LINE: f64 = 15.0;

/// A line chart.
pub(crate) struct LineChart {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The chart in words.
    pub(crate) description: String,
    pub(crate) x: XAxis,
    /// What the values are, such as `GB/s`.
    pub(crate) y_name: &'static str,
    pub(crate) lines: Vec<Line>,
    /// A line to compare with, drawn dotted.
    pub(crate) ideal: Vec<(f64, f64)>,
}

/// The horizontal axis: values, and the text below them.
pub(crate) struct XAxis {
    pub(crate) name: &'static str,
    pub(crate) marks: Vec<(f64, String)>,
    pub(crate) is_logarithmic: bool,
}

pub(crate) struct Line {
    pub(crate) style: SeriesStyle,
    pub(crate) points: Vec<Point>,
}

pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Shown as a tooltip.
    pub(crate) tip: String,
}

impl LineChart {
    pub(crate) fn draw(&self) -> String {
        let points = self.lines.iter().flat_map(|line| &line.points).map(|point| point.high);
        let max = points.chain(self.ideal.iter().map(|(_, y)| *y)).fold(0.0, f64::max);
        let marks = ticks(max, 5);
        let top = marks.last().copied().unwrap_or(max);
        let y = Scale { values: (0.0, top), positions: (BOTTOM, TOP), is_logarithmic: false };
        let ends = |ends: &[(f64, String)]| Some((ends.first()?.0, ends.last()?.0));
        // Away from the edge, where markers would be cut off.
        let x = Scale {
            values: ends(&self.x.marks).unwrap_or((0.0, 1.0)),
            positions: (LEFT + 16.0, RIGHT - 10.0),
            is_logarithmic: self.x.is_logarithmic,
        };

        let text_lines = self.x.marks.iter().map(|(_, text)| text.split(' ').count()).max();
        let height = BOTTOM + 32.0 + TEXT_LINE * text_lines.unwrap_or(1) as f64;
        let mut svg = Svg::new(&self.id, height, &self.title, &self.description);
        svg.text("name", (0.0, 16.0), self.y_name);
        for mark in &marks {
            let at = y.position(*mark);
            let class = if *mark == 0.0 { "axis" } else { "grid" };
            svg.line(class, (LEFT, at), (RIGHT, at));
            svg.text("tick end", (LEFT - 8.0, at + 4.5), &label(*mark, &marks));
        }
        for (value, text) in &self.x.marks {
            let at = x.position(*value);
            svg.line("axis", (at, BOTTOM), (at, BOTTOM + 5.0));
            // A number above its unit takes half the width.
            for (line, word) in text.split(' ').enumerate() {
                svg.text("tick middle", (at, BOTTOM + 20.0 + TEXT_LINE * line as f64), word);
            }
        }
        svg.text("name middle", (f64::midpoint(LEFT, RIGHT), height - 6.0), self.x.name);

        if !self.ideal.is_empty() {
            let points = self.ideal.iter().map(|(px, py)| (x.position(*px), y.position(*py)));
            svg.path("ideal", points, false);
        }
        for line in &self.lines {
            let low = line.points.iter().map(|point| (point.x, point.low));
            let high = line.points.iter().rev().map(|point| (point.x, point.high));
            let around = low.chain(high).map(|(px, py)| (x.position(px), y.position(py)));
            svg.path(&format!("{} band", line.style.class), around, true);
        }
        for line in &self.lines {
            let dashed = if line.style.is_dashed { " dashed" } else { "" };
            let points =
                || line.points.iter().map(|point| (x.position(point.x), y.position(point.y)));
            svg.path(&format!("{} series{dashed}", line.style.class), points(), false);
            for (at, point) in points().zip(&line.points) {
                svg.marker(line.style, at, &point.tip);
            }
        }
        svg.finish()
    }
}
