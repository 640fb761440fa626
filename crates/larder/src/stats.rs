//! Counters of what happened.
