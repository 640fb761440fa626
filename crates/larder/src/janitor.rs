//! The thread that drops what has expired.
