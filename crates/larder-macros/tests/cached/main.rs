//! `#[cached]`: the kept results, the returned ones, and the companions of a function.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]
#![expect(
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "the functions stand for others, which wait and consume"
)]

mod failures;
mod forms;
mod kept;
mod keys;
mod shop;
mod support;
