//! Values as bytes, and the bytes around them.

use larder_trace::chart::{Bar, BarChart, BarSeries};
use serde_json::json;

use crate::bench::{Bench, figures};
use crate::failure::Result;
use crate::report::{Report, rounded};
use crate::series::Series;
use crate::table::Table;
use crate::workload::Job;
use crate::workload::codec::{DOCUMENT, ENVELOPE, RECORD};

/// Measures encoding and decoding, and their allocations in processes of their own.
///
/// # Errors
/// An error if one cannot be measured, or results cannot be written.
pub fn run(bench: &Bench, report: &mut Report) -> Result {
    codecs(bench, report, "codec_record", &RECORD, "a value of ten fields")?;
    codecs(bench, report, "codec_document", &DOCUMENT, "sixteen of them, some kilobytes")?;
    let title = "what a record has around a value of 100 bytes without tags";
    codecs(bench, report, "codec_envelope", &ENVELOPE, title)
}

fn codecs(
    bench: &Bench,
    report: &mut Report,
    workload: &str,
    contestants: &[&str],
    title: &str,
) -> Result {
    if !bench.has_workload(workload) {
        return Ok(());
    }
    let job = |name: &&str| Job::plain(workload, name, bench.is_quick);
    let timed: Vec<_> = contestants.iter().map(job).collect();
    let counted: Vec<_> = timed.iter().map(|job| Job { counts: true, ..job.clone() }).collect();
    let samples = figures(workload, &timed, bench.rounds(7, 2))?;
    let counts = figures(workload, &counted, 1)?;
    let columns = [
        "codec",
        "bytes",
        "encode, ns",
        "spread",
        "allocations",
        "decode, ns",
        "spread",
        "allocations",
    ];
    let mut table = Table::new(&columns);
    let [mut encodings, mut decodings] = [Vec::new(), Vec::new()];
    for ((job, samples), counts) in timed.iter().zip(&samples).zip(&counts) {
        let [_, encode, decode] = [0, 1, 2].map(|place| {
            Series(samples.iter().filter_map(|figures| figures.get(place).copied()).collect())
        });
        let Some([bytes, encode_allocations, decode_allocations]) =
            counts.first().map(Vec::as_slice)
        else {
            continue;
        };
        let cells = |series: &Series, allocations: &f64| {
            let (low, high) = series.spread();
            [
                format!("{:.0}", series.median()),
                format!("{low:.0}–{high:.0}"),
                format!("{allocations:.1}"),
            ]
        };
        let both = [cells(&encode, encode_allocations), cells(&decode, decode_allocations)];
        let head = [job.contestant.clone(), format!("{bytes:.0}")];
        table.row(head.into_iter().chain(both.into_iter().flatten()));
        encodings.push(Some(bar(&encode)));
        decodings.push(Some(bar(&decode)));
        report.line(&json!({
            "workload": workload,
            "contestant": job.contestant,
            "bytes": bytes,
            "encode_ns": rounded(encode.median()),
            "encode_spread": spread(&encode),
            "encode_allocations": encode_allocations,
            "decode_ns": rounded(decode.median()),
            "decode_spread": spread(&decode),
            "decode_allocations": decode_allocations,
        }))?;
    }
    table.print(&format!("{workload}: {title}"));
    let series = |name: &str, bars| BarSeries { name: name.to_owned(), bars };
    let chart = BarChart {
        title: format!("Encoding and decoding: {title}"),
        y_title: "ns".to_owned(),
        groups: timed.iter().map(|job| job.contestant.clone()).collect(),
        series: vec![series("encode", encodings), series("decode", decodings)],
        ..BarChart::default()
    };
    report.chart(workload, &chart)
}

fn bar(series: &Series) -> Bar {
    Bar { value: series.median(), spread: Some(series.spread()) }
}

fn spread(series: &Series) -> [f64; 2] {
    let (low, high) = series.spread();
    [rounded(low), rounded(high)]
}
