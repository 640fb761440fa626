//! Bytes as they are.
