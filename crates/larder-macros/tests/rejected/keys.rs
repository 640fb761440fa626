//! The key of a cached function.

use larder::{Cache, cached};

fn cache() -> &'static Cache<String, u64> {
    unimplemented!()
}

#[cached(cache = cache(), key = "user:{idd}")]
fn misspelt(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), key = "user:{id}")]
fn forgotten(id: u64, lang: &str) -> u64 {
    id
}

#[cached(cache = cache(), key = "user:{id}:{lang}", skip(lang))]
fn named_and_skipped(id: u64, lang: &str) -> u64 {
    id
}

#[cached(cache = cache(), key = "{a}-{b}")]
fn not_apart(a: &str, b: &str) -> u64 {
    0
}

#[cached(cache = cache(), key = "{a}{b}")]
fn not_apart_at_all(a: &str, b: &str) -> u64 {
    0
}

#[cached(cache = cache(), key = "user:{}")]
fn without_a_name(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), key = "user:{id:04}")]
fn with_a_format(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), key = "user:{id")]
fn not_closed(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), key = "user:}{id}")]
fn not_opened(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), key = "user:{id + 1}")]
fn no_name(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), key = "user:{self.id}")]
fn without_self(id: u64) -> u64 {
    id
}

#[cached(cache = cache())]
fn nothing_to_tell_apart() -> u64 {
    0
}

#[cached(cache = cache())]
fn too_many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) -> u64 {
    0
}

#[cached(cache = cache(), key = "page:{number}")]
fn another_size<const N: usize>(number: u64) -> u64 {
    number * 10
}

#[cached(cache = cache(), key = "page:{number}")]
fn another_kind<T: Default + Into<u64>>(number: u64) -> u64 {
    number + T::default().into()
}

fn main() {}
