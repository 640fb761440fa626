//! Conditional writes in a bounded loop.
