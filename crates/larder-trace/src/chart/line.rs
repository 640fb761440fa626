//! Lines over two axes.

use super::frame::Frame;
use super::scale::{Axis, Scale};
use super::style::Style;

/// Several lines over the same two axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineChart {
    /// The title above the chart, which also describes the picture to readers of the page.
    pub title: String,
    /// The quantity of the level axis, with its unit.
    pub x_title: String,
    /// The quantity of the upright axis, with its unit.
    pub y_title: String,
    /// The scale of the level axis.
    pub x_scale: Scale,
    /// The scale of the upright axis. A linear axis holds 0.
    pub y_scale: Scale,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// The points, to the right and upwards, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

impl LineChart {
    /// Returns the picture.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let mut frame = Frame::new(&self.title, WIDTH, &names);
        let drawn: Vec<_> = self.series.iter().map(|series| self.drawn(series)).collect();
        let points = || drawn.iter().flatten().copied();
        let from_zero = (self.y_scale == Scale::Linear).then_some(0.0);
        let x_axis = Axis::around(self.x_scale, points().map(|(x, _)| x));
        let y_axis = Axis::around(self.y_scale, points().map(|(_, y)| y).chain(from_zero));
        frame.y_axis(&y_axis, &self.y_title);
        frame.x_axis(&x_axis, &self.x_title);
        for (number, (points, name)) in drawn.iter().zip(names).enumerate() {
            let place =
                |(x, y): &(f64, f64)| (frame.x(x_axis.share(*x)), Frame::y(y_axis.share(*y)));
            let places: Vec<_> = points.iter().map(place).collect();
            let style = Style::of(number);
            style.draw(&mut frame.svg, &places);
            let [from, to] = frame.legend(number, name);
            style.draw(&mut frame.svg, &[from, to]);
        }
        frame.svg.finish()
    }

    /// Returns the points that have a place.
    fn drawn(&self, series: &Series) -> Vec<(f64, f64)> {
        let has_place = |(x, y): &(f64, f64)| self.x_scale.has(*x) && self.y_scale.has(*y);
        series.points.iter().copied().filter(has_place).collect()
    }
}

const WIDTH: f64 = 560.0;
