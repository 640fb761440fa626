//! Access traces: any bytes are one or an error, and what is one has ids without gaps.

#![no_main]

use larder_trace::{Format, Trace};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for format in [Format::Any, Format::Ids, Format::Lines] {
        let Ok(trace) = Trace::read_from(input, format) else { continue };
        let mut seen = 0;
        for id in trace.ids() {
            assert!(*id <= seen);
            seen += u32::from(*id == seen);
        }
        assert_eq!(seen, trace.distinct());
        assert!(seen > 0);
        assert_eq!(Trace::from_keys(trace.ids()), trace);
    }
});
