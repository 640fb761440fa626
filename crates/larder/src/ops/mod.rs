//! What is built on expectations, once for all backends.

mod counter;
mod lock;
mod swap;
