//! When which entry is due.
