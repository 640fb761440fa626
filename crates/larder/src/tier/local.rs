//! The local tier: typed values in this process.
