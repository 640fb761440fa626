//! Who is told of evictions, and why they happened.
