//! Lines over an axis, each with a band from its least to its most.

use super::axis::{Scale, label, ticks};
use super::{Look, Svg, WIDTH};

/// The plot within the picture.
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 268.0;
/// A line of text.
const TEXT_LINE: f64 = 15.0;

/// See the module's description.
pub(in super::super) struct LineChart {
    pub(in super::super) id: String,
    pub(in super::super) title: String,
    /// The gist in words.
    pub(in super::super) description: String,
    pub(in super::super) x: X,
    /// What the values are, as `GB/s`.
    pub(in super::super) y_name: &'static str,
    pub(in super::super) lines: Vec<Line>,
    /// A line to compare with, that is no measurement.
    pub(in super::super) ideal: Vec<(f64, f64)>,
}

/// The horizontal axis: values, and what is written below them.
pub(in super::super) struct X {
    pub(in super::super) name: &'static str,
    pub(in super::super) marks: Vec<(f64, String)>,
    pub(in super::super) is_log: bool,
}

pub(in super::super) struct Line {
    pub(in super::super) look: Look,
    pub(in super::super) points: Vec<Point>,
}

pub(in super::super) struct Point {
    pub(in super::super) x: f64,
    pub(in super::super) y: f64,
    pub(in super::super) low: f64,
    pub(in super::super) high: f64,
    /// Shown to who points at it.
    pub(in super::super) tip: String,
}

impl LineChart {
    pub(in super::super) fn draw(&self) -> String {
        let points = self.lines.iter().flat_map(|line| &line.points).map(|point| point.high);
        let max = points.chain(self.ideal.iter().map(|(_, y)| *y)).fold(0.0, f64::max);
        let marks = ticks(max, 5);
        let top = marks.last().copied().unwrap_or(max);
        let y = Scale { values: (0.0, top), places: (BOTTOM, TOP), is_log: false };
        let ends = |ends: &[(f64, String)]| Some((ends.first()?.0, ends.last()?.0));
        // Not on the very edge, where markers would stick out.
        let x = Scale {
            values: ends(&self.x.marks).unwrap_or((0.0, 1.0)),
            places: (LEFT + 16.0, RIGHT - 10.0),
            is_log: self.x.is_log,
        };

        let text_lines = self.x.marks.iter().map(|(_, text)| text.split(' ').count()).max();
        let height = BOTTOM + 32.0 + TEXT_LINE * text_lines.unwrap_or(1) as f64;
        let mut svg = Svg::new(&self.id, height, &self.title, &self.description);
        svg.text("name", (0.0, 16.0), self.y_name);
        for mark in &marks {
            let at = y.place(*mark);
            let class = if *mark == 0.0 { "axis" } else { "grid" };
            svg.line(class, (LEFT, at), (RIGHT, at));
            svg.text("tick end", (LEFT - 8.0, at + 4.5), &label(*mark, &marks));
        }
        for (value, text) in &self.x.marks {
            let at = x.place(*value);
            svg.line("axis", (at, BOTTOM), (at, BOTTOM + 5.0));
            // A number above its unit takes half the width.
            for (line, word) in text.split(' ').enumerate() {
                svg.text("tick middle", (at, BOTTOM + 20.0 + TEXT_LINE * line as f64), word);
            }
        }
        svg.text("name middle", (f64::midpoint(LEFT, RIGHT), height - 6.0), self.x.name);

        if !self.ideal.is_empty() {
            let points = self.ideal.iter().map(|(px, py)| (x.place(*px), y.place(*py)));
            svg.path("ideal", points, false);
        }
        for line in &self.lines {
            let low = line.points.iter().map(|point| (point.x, point.low));
            let high = line.points.iter().rev().map(|point| (point.x, point.high));
            let around = low.chain(high).map(|(px, py)| (x.place(px), y.place(py)));
            svg.path(&format!("{} band", line.look.class), around, true);
        }
        for line in &self.lines {
            let dashed = if line.look.is_dashed { " dashed" } else { "" };
            let points = || line.points.iter().map(|point| (x.place(point.x), y.place(point.y)));
            svg.path(&format!("{} series{dashed}", line.look.class), points(), false);
            for (at, point) in points().zip(&line.points) {
                svg.marker(line.look, at, &point.tip);
            }
        }
        svg.finish()
    }
}
