//! Keys that have a stable text form.
