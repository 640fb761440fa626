//! One load per key; the local fence.
