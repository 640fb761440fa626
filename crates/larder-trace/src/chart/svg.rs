//! Elements of SVG as text.

use std::fmt::{self, Write as _};

/// A picture under construction.
pub(super) struct Svg {
    text: String,
}

/// The point of a text that is at its place: its beginning, middle or end.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A place, from the left and from the top.
pub(super) type Point = (f64, f64);

impl Svg {
    pub(super) fn new(width: f64, height: f64, name: &str, style: &str) -> Self {
        let mut svg = Self { text: String::new() };
        svg.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">"
        ));
        svg.add(format_args!("<title>{}</title>", Escaped(name)));
        svg.add(format_args!("<style>{style}</style>"));
        svg
    }

    pub(super) fn line(&mut self, class: &str, from: Point, to: Point) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// Adds a line through some points. `more` are further attributes.
    pub(super) fn path(&mut self, points: &[Point], more: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!("<polyline points=\"{}\" {more}/>", points.join(" ")));
    }

    /// Adds a rectangle by its upper left corner. `name` is shown when the reader points at it.
    pub(super) fn rectangle(&mut self, (x, y): Point, size: Point, more: &str, name: &str) {
        let (width, height) = size;
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {more}>\
             <title>{}</title></rect>",
            Escaped(name)
        ));
    }

    pub(super) fn text(&mut self, class: &str, (x, y): Point, anchor: Anchor, text: &str) {
        let anchor = anchor.name();
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            Escaped(text)
        ));
    }

    /// Adds a text that runs upwards, centred.
    pub(super) fn upward(&mut self, class: &str, (x, y): Point, text: &str) {
        self.add(format_args!(
            "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            Escaped(text)
        ));
    }

    /// Adds an element that is SVG already.
    pub(super) fn raw(&mut self, element: &str) {
        self.add(format_args!("{element}"));
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn add(&mut self, element: fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.text, "{element}");
    }
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A text escaped for XML. Characters that XML does not have become spaces.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{fffe}' | '\u{ffff}' => f.write_char(' ')?,
                char if char.is_control() => f.write_char(' ')?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
