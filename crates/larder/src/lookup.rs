//! Finding by reference.
