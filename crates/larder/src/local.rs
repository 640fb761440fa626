//! The synchronous memory-only cache.
