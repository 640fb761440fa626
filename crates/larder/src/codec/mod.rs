//! Codecs.

mod msgpack;
mod raw;

pub use msgpack::MessagePack;
pub use raw::Raw;
