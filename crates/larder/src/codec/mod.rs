//! Codecs, and the pipeline around them.

#[cfg(feature = "json")]
mod json;
mod msgpack;
mod pipeline;
#[cfg(feature = "postcard")]
mod postcard;
mod raw;
mod scratch;

#[cfg(feature = "json")]
pub use json::Json;
pub use msgpack::MessagePack;
#[cfg(feature = "encryption")]
pub use pipeline::Keyring;
#[cfg(feature = "lz4")]
pub use pipeline::Lz4;
#[cfg(feature = "zstd")]
pub use pipeline::Zstd;
pub use pipeline::{Compression, Pipeline};
#[cfg(feature = "postcard")]
pub use postcard::Postcard;
pub use raw::Raw;
