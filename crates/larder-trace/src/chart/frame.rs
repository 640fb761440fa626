//! The frame that all charts have around their data: paper, title, axes, legend.

use super::scale::{Axis, count, label};
use super::style::SHEET;
use super::svg::{Anchor, Point, Svg};

/// The room for the data, and the picture around it.
pub(super) struct Frame {
    pub(super) svg: Svg,
    left: f64,
    right: f64,
}

impl Frame {
    /// Draws paper and title. The data gets `width`; the names of the series are at its right.
    pub(super) fn new(title: &str, width: f64, names: &[&str]) -> Self {
        let left = LEFT;
        let right = left + width;
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let total = right + LEGEND_GAP + LEGEND_MARK + count(longest.min(60)) * LETTER + MARGIN;
        let legend = TOP + count(names.len()) * LEGEND_STEP + MARGIN;
        let height = legend.max(BOTTOM + BELOW);
        let mut svg = Svg::new(total, height, title, SHEET);
        let paper = "class=\"paper\" rx=\"8\"";
        svg.rectangle((0.5, 0.5), (total - 1.0, height - 1.0), paper, title);
        svg.text("title", (MARGIN, 30.0), Anchor::Start, title);
        Self { svg, left, right }
    }

    /// Draws the upright axis, with a line across for each tick.
    pub(super) fn y_axis(&mut self, axis: &Axis, title: &str) {
        for tick in &axis.ticks {
            let y = Self::y(axis.share(*tick));
            self.svg.line("grid", (self.left, y), (self.right, y));
            self.svg.text("", (self.left - 8.0, y + 4.0), Anchor::End, &label(*tick));
        }
        self.svg.upward("", (MARGIN + 4.0, f64::midpoint(TOP, BOTTOM)), title);
    }

    /// Draws the level axis with a tick for each number.
    pub(super) fn x_axis(&mut self, axis: &Axis, title: &str) {
        for tick in &axis.ticks {
            let x = self.x(axis.share(*tick));
            self.svg.line("axis", (x, BOTTOM), (x, BOTTOM + 5.0));
            self.svg.text("", (x, BOTTOM + 19.0), Anchor::Middle, &label(*tick));
        }
        self.x_line(title);
    }

    /// Draws the level axis with only its title.
    pub(super) fn x_line(&mut self, title: &str) {
        self.svg.line("axis", (self.left, BOTTOM), (self.right, BOTTOM));
        let middle = f64::midpoint(self.left, self.right);
        self.svg.text("", (middle, BOTTOM + 42.0), Anchor::Middle, title);
    }

    /// Draws one name of the legend. Returns the ends of the line for the mark before it.
    pub(super) fn legend(&mut self, number: usize, name: &str) -> [Point; 2] {
        let (x, y) = (self.right + LEGEND_GAP, TOP + 8.0 + count(number) * LEGEND_STEP);
        self.svg.text("name", (x + LEGEND_MARK, y + 4.0), Anchor::Start, name);
        [(x, y), (x + LEGEND_MARK - 10.0, y)]
    }

    /// Returns a place by its share of the width.
    pub(super) fn x(&self, share: f64) -> f64 {
        self.left + share * (self.right - self.left)
    }

    /// Returns a place by its share of the height, from below.
    pub(super) fn y(share: f64) -> f64 {
        BOTTOM - share * (BOTTOM - TOP)
    }

    /// Draws a text under the level axis.
    pub(super) fn below(&mut self, share: f64, text: &str) {
        let x = self.x(share);
        self.svg.text("", (x, BOTTOM + 19.0), Anchor::Middle, text);
    }
}

const MARGIN: f64 = 18.0;
const TOP: f64 = 54.0;
const BOTTOM: f64 = 384.0;
const BELOW: f64 = 60.0;
const LEFT: f64 = 84.0;
const LEGEND_GAP: f64 = 24.0;
const LEGEND_MARK: f64 = 44.0;
const LEGEND_STEP: f64 = 22.0;
/// The width of a wide letter.
const LETTER: f64 = 7.0;
