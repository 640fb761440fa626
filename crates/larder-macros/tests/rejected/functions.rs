//! Functions whose result cannot be kept.

use larder::{Cache, cached};

struct Shop {
    cache: Cache<u64, u64>,
}

impl Shop {
    #[cached(cache = self.cache)]
    fn changes_itself(&mut self, id: u64) -> u64 {
        id
    }
}

fn cache() -> &'static Cache<u64, u64> {
    unimplemented!()
}

#[cached(cache = cache())]
fn changes(total: &mut u64) -> u64 {
    *total
}

#[cached(cache = cache())]
fn takes_apart((a, b): (u64, u64)) -> u64 {
    a + b
}

#[cached(cache = cache())]
fn takes_anything(id: impl Into<u64>) -> u64 {
    id.into()
}

#[cached(cache = cache())]
fn borrows_within(name: Option<&str>) -> u64 {
    0
}

#[cached(cache = cache())]
fn borrows_for_a_while<'a>(name: std::borrow::Cow<'a, str>) -> u64 {
    0
}

#[cached(cache = cache())]
fn returns_anything(id: u64) -> impl Into<u64> {
    id
}

#[cached(cache = cache())]
const fn constant(id: u64) -> u64 {
    id
}

#[cached(cache = cache())]
unsafe fn trusted(id: u64) -> u64 {
    id
}

#[cached(cache = cache())]
extern "C" fn foreign(id: u64) -> u64 {
    id
}

fn main() {}
