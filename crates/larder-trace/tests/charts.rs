//! Charts are well-formed XML that shows their data, whatever the data is.
#![expect(clippy::unwrap_used, reason = "what is no XML fails the test")]

use larder_trace::chart::{Bar, BarChart, BarSeries, LineChart, Scale, Series};
use roxmltree::{Document, Node};

fn count(svg: &str, tag: &str) -> usize {
    let document = Document::parse(svg).unwrap();
    document.descendants().filter(|node| node.has_tag_name(tag)).count()
}

fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let text =
        |node: Node<'_, '_>| node.has_tag_name("text").then(|| node.text().map(str::to_owned));
    document.descendants().filter_map(text).flatten().collect()
}

fn series(name: &str, points: &[(f64, f64)]) -> Series {
    Series { name: name.to_owned(), points: points.to_vec() }
}

#[test]
fn a_line_chart_names_its_axes_and_series() {
    let chart = LineChart {
        title: "Hits".to_owned(),
        x_title: "entries".to_owned(),
        y_title: "hit ratio, %".to_owned(),
        series: vec![series("lru", &[(1.0, 10.0), (2.0, 45.0)]), series("optimum", &[(1.0, 20.0)])],
        ..LineChart::default()
    };
    let svg = chart.to_svg();
    let texts = texts(&svg);
    for text in ["Hits", "entries", "hit ratio, %", "lru", "optimum", "0", "50", "1.4"] {
        assert!(texts.iter().any(|shown| shown == text), "{text}: {texts:?}");
    }
    // The chart has one line for each series, and one in the legend.
    assert_eq!(count(&svg, "polyline"), 4);
    assert_eq!(count(&svg, "script"), 0);
}

#[test]
fn a_bar_chart_has_a_bar_where_something_was_measured_and_a_whisker_where_it_varied() {
    let bar = |value, spread| Some(Bar { value, spread });
    let chart = BarChart {
        groups: vec!["hit1k".to_owned(), "churn".to_owned()],
        series: vec![
            BarSeries { name: "a".to_owned(), bars: vec![bar(3.0, Some((2.0, 4.0))), None] },
            BarSeries { name: "b".to_owned(), bars: vec![bar(5.0, None), bar(9.0, None)] },
        ],
        ..BarChart::default()
    };
    for scale in [Scale::Linear, Scale::Logarithmic] {
        let svg = BarChart { scale, ..chart.clone() }.to_svg();
        // The rectangles are the paper, two in the legend, three in the data.
        assert_eq!(count(&svg, "rect"), 6);
        let document = Document::parse(&svg).unwrap();
        let is_whisker = |node: &Node<'_, '_>| node.attribute("class") == Some("whisker");
        assert_eq!(document.descendants().filter(is_whisker).count(), 3);
    }
}

#[test]
fn any_text_is_shown_and_none_is_obeyed() {
    let hostile = "</title><script>alert(\"1\")</script>&amp;\u{1}\u{ffff}é";
    let chart = LineChart {
        title: hostile.to_owned(),
        x_title: hostile.to_owned(),
        y_title: hostile.to_owned(),
        series: vec![series(hostile, &[(1.0, 1.0)])],
        ..LineChart::default()
    };
    let svg = chart.to_svg();
    assert_eq!(count(&svg, "script"), 0);
    let shown = "</title><script>alert(\"1\")</script>&amp;  é";
    assert_eq!(texts(&svg).iter().filter(|text| *text == shown).count(), 4);
    let bar = Some(Bar { value: 1.0, spread: None });
    let chart = BarChart {
        groups: vec![hostile.to_owned()],
        series: vec![BarSeries { name: hostile.to_owned(), bars: vec![bar] }],
        ..BarChart::default()
    };
    assert_eq!(count(&chart.to_svg(), "script"), 0);
}

#[test]
fn odd_numbers_are_left_out_and_never_drawn_as_such() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -4.0, 1e-300, 1e300, 3.0];
    let points: Vec<_> = odd.iter().flat_map(|x| odd.map(|y| (*x, y))).collect();
    let bars = |value: &f64| Some(Bar { value: *value, spread: Some((*value, f64::NAN)) });
    for scale in [Scale::Linear, Scale::Logarithmic] {
        let chart = LineChart {
            x_scale: scale,
            y_scale: scale,
            series: vec![series("odd", &points)],
            ..LineChart::default()
        };
        let bars = BarChart {
            scale,
            groups: odd.iter().map(f64::to_string).collect(),
            series: vec![BarSeries {
                name: "odd".to_owned(),
                bars: odd.iter().map(bars).collect(),
            }],
            ..BarChart::default()
        };
        for svg in [chart.to_svg(), bars.to_svg()] {
            let document = Document::parse(&svg).unwrap();
            let places = ["x", "y", "x1", "y1", "x2", "y2", "width", "height", "points"];
            let is_place = |name: &str| places.contains(&name);
            let attributes = document.descendants().flat_map(|node| node.attributes());
            for attribute in attributes.filter(|attribute| is_place(attribute.name())) {
                let value = attribute.value();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{value}");
            }
        }
    }
    for svg in [LineChart::default().to_svg(), BarChart::default().to_svg()] {
        assert_eq!(count(&svg, "svg"), 1);
    }
}
