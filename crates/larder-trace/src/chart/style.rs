//! Colours, dashes and marks.

use super::svg::{Point, Svg};

/// The look of a series. Dash and mark tell it from others for readers who do not see the colour.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: &'static str,
    dash: &'static str,
    mark: Mark,
}

#[derive(Clone, Copy)]
enum Mark {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
}

impl Style {
    /// Returns the style of the series with this number. The first 60 differ in dash or mark, and
    /// neighbours in both and in colour.
    pub(super) fn of(series: usize) -> Self {
        let turn = |count: usize| series % count;
        Self {
            colour: COLOURS.get(turn(COLOURS.len())).copied().unwrap_or_default(),
            dash: DASHES.get(turn(DASHES.len())).copied().unwrap_or_default(),
            mark: MARKS.get(turn(MARKS.len())).copied().unwrap_or(Mark::Circle),
        }
    }

    /// Draws a line through some points, with a mark at each.
    pub(super) fn draw(self, svg: &mut Svg, points: &[Point]) {
        let Self { colour, dash, .. } = self;
        svg.path(
            points,
            &format!(
                "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\" \
                 stroke-linejoin=\"round\""
            ),
        );
        for point in points {
            self.draw_mark(svg, *point);
        }
    }

    fn draw_mark(self, svg: &mut Svg, (x, y): Point) {
        let (colour, shape) = (self.colour, self.mark.shape());
        svg.raw(&format!(
            "<path d=\"{shape}\" transform=\"translate({x:.1} {y:.1})\" fill=\"{colour}\" \
             stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        ));
    }
}

impl Mark {
    /// Returns the outline of the mark around the point.
    fn shape(self) -> &'static str {
        match self {
            Self::Circle => "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
            Self::Square => "M-3-3H3V3H-3z",
            Self::Triangle => "M0-4L4 3H-4z",
            Self::Diamond => "M0-4.5L4 0 0 4.5-4 0z",
            Self::Cross => "M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5",
        }
    }
}

/// Colours of a middle lightness, which most eyes can tell apart.
const COLOURS: [&str; 12] = [
    "#1f77c9", "#dd5a12", "#0f9d74", "#b3589a", "#c98d00", "#3fa7d6", "#8b6b3e", "#7a5cd1",
    "#d1495b", "#5f8f1f", "#7c8591", "#12908f",
];
const DASHES: [&str; 4] = ["none", "8 4", "2 3", "9 3 2 3"];
const MARKS: [Mark; 5] = [Mark::Circle, Mark::Square, Mark::Triangle, Mark::Diamond, Mark::Cross];

/// The style sheet. The picture brings its own paper, which is dark where the reader's page is.
pub(super) const SHEET: &str = "\
text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#424a53}\
.title{font-size:16px;font-weight:600;fill:#1f2328}\
.name{fill:#1f2328}\
.paper{fill:#fff;stroke:#d0d7de}\
.grid{stroke:#e4e8ec}\
.axis{stroke:#8c959f}\
.whisker{stroke:#1f2328;stroke-width:1.2}\
@media (prefers-color-scheme:dark){\
text{fill:#aab4bf}\
.title,.name{fill:#e6edf3}\
.paper{fill:#0d1117;stroke:#30363d}\
.grid{stroke:#21272e}\
.axis{stroke:#6e7681}\
.whisker{stroke:#e6edf3}}";
