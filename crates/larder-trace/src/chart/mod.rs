//! Charts as SVG: one picture each, without scripts, readable on light and on dark pages.
//!
//! A chart is plain data; [`LineChart::to_svg`] and [`BarChart::to_svg`] draw it. Texts are escaped,
//! numbers that are no points of the scale (not finite, or not above 0 on a logarithmic one) are
//! left out.

mod bar;
mod frame;
mod line;
mod scale;
mod style;
mod svg;

pub use self::bar::{Bar, BarChart, BarSeries};
pub use self::line::{LineChart, Series};
pub use self::scale::Scale;
