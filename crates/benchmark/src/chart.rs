//! Charts as SVG. The page has the colours, in `page/style.css`.
//!
//! All charts are [`WIDTH`] units wide, so that text has the same size in charts side by
//! side, and is legible on a phone.

mod axis;
mod bars;
mod lines;

use std::fmt::{Display, Write};

pub(crate) use bars::{Bar, BarChart};
pub(crate) use lines::{Line, LineChart, Point, XAxis};

/// Width of a chart in SVG units.
const WIDTH: f64 = 480.0;

/// What distinguishes a series: colour and, for people who cannot see it, shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeriesStyle {
    /// `c0` to `c6`.
    pub(crate) class: &'static str,
    pub(crate) shape: Shape,
    pub(crate) is_dashed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
}

/// An SVG document under construction.
struct Svg(String);

impl Svg {
    /// Begins a chart, with a title and a description for screen readers.
    fn new(id: &str, height: f64, title: &str, description: &str) -> Self {
        let (title, description) = (escape(title), escape(description));
        let mut svg = Self(String::new());
        svg.put(format_args!(
            "<svg id=\"{id}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-description\">\n\
             <title id=\"{id}-title\">{title}</title>\n\
             <desc id=\"{id}-description\">{description}</desc>\n"
        ));
        svg
    }

    fn put(&mut self, text: impl Display) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "{text}");
    }

    fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.put(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ));
    }

    fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let text = escape(text);
        self.put(format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n"));
    }

    /// A line through `points`, or a filled polygon.
    fn path(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>, is_closed: bool) {
        self.put(format_args!("<path class=\"{class}\" d=\""));
        for (index, (x, y)) in points.enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            self.put(format_args!("{command}{x:.1} {y:.1}"));
        }
        self.put(format_args!("{}\"/>\n", if is_closed { "Z" } else { "" }));
    }

    fn marker(&mut self, style: SeriesStyle, (x, y): (f64, f64), tip: &str) {
        let (class, tip) = (style.class, escape(tip));
        self.put(format_args!(
            "<path class=\"{class} marker\" d=\"{}\"><title>{tip}</title></path>\n",
            outline(style.shape, x, y)
        ));
    }

    fn finish(mut self) -> String {
        self.put("</svg>\n");
        self.0
    }
}

/// All shapes have about the same area.
fn outline(shape: Shape, x: f64, y: f64) -> String {
    match shape {
        Shape::Circle => format!("M{:.1} {y:.1}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z", x - 4.5),
        Shape::Square => format!("M{:.1} {:.1}h8v8h-8Z", x - 4.0, y - 4.0),
        Shape::Diamond => format!("M{x:.1} {:.1}l5.5 5.5l-5.5 5.5l-5.5 -5.5Z", y - 5.5),
        Shape::Triangle => format!("M{x:.1} {:.1}l5.5 9.5h-11Z", y - 6.0),
    }
}

/// A small sample of a style, for a legend.
pub(crate) fn swatch(style: SeriesStyle) -> String {
    let dashed = if style.is_dashed { " dashed" } else { "" };
    let (class, outline) = (style.class, outline(style.shape, 15.0, 7.0));
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 30 14\" aria-hidden=\"true\">\
         <path class=\"{class} series{dashed}\" d=\"M0 7H30\"/>\
         <path class=\"{class} marker\" d=\"{outline}\"/></svg>"
    )
}

/// Escapes text for use in an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Not allowed in HTML, but possible in file names.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
        assert_eq!(escape("a\u{1b}[2J"), "a\u{fffd}[2J");
        let mut svg = Svg::new("x", 10.0, "</svg>", "1 < 2");
        svg.text("t", (0.0, 0.0), "<script>");
        let svg = svg.finish();
        assert_eq!(svg.matches("</svg>").count(), 1);
        assert!(!svg.contains("<script>"));
    }
}
