//! The arguments of the attribute.

use larder::{Cache, cached};

fn cache() -> &'static Cache<u64, u64> {
    unimplemented!()
}

#[cached]
fn without_a_cache(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), tll = HOUR)]
fn unknown(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), cache = cache())]
fn twice(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), skip(db))]
fn skips_what_is_not_there(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), tags = "user:{id}")]
fn one_tag(id: u64) -> u64 {
    id
}

#[cached(cache = cache(), tags = ["user:{name}"])]
fn tag_of_nobody(id: u64) -> u64 {
    id
}

fn main() {}
