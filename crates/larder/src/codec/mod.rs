//! Codecs.

#[cfg(feature = "json")]
mod json;
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;
mod raw;

#[cfg(feature = "json")]
pub use json::Json;
pub use msgpack::MessagePack;
#[cfg(feature = "postcard")]
pub use postcard::Postcard;
pub use raw::Raw;
