//! Bars in groups.

use super::frame::Frame;
use super::scale::{Axis, Scale, count, label};
use super::style::Style;

/// Bars side by side in groups, one of each series in a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarChart {
    /// The title above the chart, which also describes the picture to readers of the page.
    pub title: String,
    /// The title of the groups.
    pub x_title: String,
    /// The quantity of the upright axis, with its unit.
    pub y_title: String,
    /// The scale of the upright axis. A linear axis holds 0.
    pub scale: Scale,
    /// The names of the groups, from the left.
    pub groups: Vec<String>,
    /// The series, in the order of the legend and of each group.
    pub series: Vec<BarSeries>,
}

/// The bars of one colour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarSeries {
    /// The name in the legend.
    pub name: String,
    /// One bar for each group; none where nothing was measured. Bars without a group are left out.
    pub bars: Vec<Option<Bar>>,
}

/// A number, and the range in which it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// The number at which the bar ends.
    pub value: f64,
    /// The ends of the whisker.
    pub spread: Option<(f64, f64)>,
}

impl BarChart {
    /// Returns the picture. It is as wide as its bars and the names below them need.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let letters = self.groups.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let group = (count(self.series.len() + 1) * NARROW).max(count(letters + 2) * LETTER);
        let width = (group * count(self.groups.len())).max(WIDTH);
        let mut frame = Frame::new(&self.title, width, &names);
        let axis = Axis::around(self.scale, self.numbers());
        frame.y_axis(&axis, &self.y_title);
        for (number, name) in names.iter().enumerate() {
            let [(x, y), _] = frame.legend(number, name);
            let fill = fill(number);
            frame.svg.rectangle((x + 14.0, y - 6.0), (12.0, 12.0), &fill, name);
        }
        for (group, name) in self.groups.iter().enumerate() {
            self.draw_group(&mut frame, &axis, group);
            frame.below((count(group) + 0.5) / count(self.groups.len()), name);
        }
        frame.x_line(&self.x_title);
        frame.svg.finish()
    }

    /// Returns all numbers that the axis must hold.
    fn numbers(&self) -> impl Iterator<Item = f64> {
        let ends = |bar: &Bar| {
            let (low, high) = bar.spread.unwrap_or((bar.value, bar.value));
            [bar.value, low, high]
        };
        let bars = self.series.iter().flat_map(|series| series.bars.iter().take(self.groups.len()));
        let lowest = (self.scale == Scale::Linear).then_some(0.0);
        bars.flatten().flat_map(ends).chain(lowest)
    }

    fn draw_group(&self, frame: &mut Frame, axis: &Axis, group: usize) {
        let slot = 1.0 / count(self.groups.len() * (self.series.len() + 1));
        let first = count(group) / count(self.groups.len()) + slot / 2.0;
        for (number, series) in self.series.iter().enumerate() {
            let Some(Some(bar)) = series.bars.get(group) else { continue };
            if !self.scale.has(bar.value) {
                continue;
            }
            let group = self.groups.get(group).map_or("", String::as_str);
            let name = format!("{}, {group}: {}", series.name, label(bar.value));
            let left = first + count(number) * slot;
            self.draw_bar(frame, axis, *bar, (left, slot), (&fill(number), &name));
        }
    }

    fn draw_bar(
        &self,
        frame: &mut Frame,
        axis: &Axis,
        bar: Bar,
        (left, slot): (f64, f64),
        (fill, name): (&str, &str),
    ) {
        let floor = match self.scale {
            Scale::Linear => Frame::y(axis.share(0.0)),
            Scale::Logarithmic => Frame::y(0.0),
        };
        let end = Frame::y(axis.share(bar.value));
        let (x, width) = (frame.x(left), (frame.x(slot) - frame.x(0.0)) * 0.86);
        frame.svg.rectangle((x, end.min(floor)), (width, (end - floor).abs()), fill, name);
        let Some((low, high)) = bar.spread else { return };
        if !self.scale.has(low) || !self.scale.has(high) {
            return;
        }
        let [low, high] = [low, high].map(|number| Frame::y(axis.share(number)));
        let (middle, reach) = (x + width / 2.0, (width / 4.0).min(4.0));
        frame.svg.line("whisker", (middle, low), (middle, high));
        for end in [low, high] {
            frame.svg.line("whisker", (middle - reach, end), (middle + reach, end));
        }
    }
}

fn fill(series: usize) -> String {
    format!("fill=\"{}\" rx=\"1.5\"", Style::of(series).colour)
}

const WIDTH: f64 = 560.0;
/// The least width of a bar and its gap.
const NARROW: f64 = 13.0;
/// The width of a letter of a group's name, on average.
const LETTER: f64 = 6.5;
