//! Codecs.

mod msgpack;
mod raw;
