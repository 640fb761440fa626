//! MessagePack with named fields.
