//! Types that are no keys.

use larder::CacheKey;

#[derive(CacheKey)]
struct Borrowed<'a> {
    name: &'a str,
}

#[derive(CacheKey)]
enum Never {}

#[derive(CacheKey)]
union Either {
    a: u32,
    b: i32,
}

#[derive(CacheKey)]
enum Alike {
    One,
    #[cache_key(rename = "One")]
    Two,
}

#[derive(CacheKey)]
#[cache_key(rename = "user")]
struct Renamed(u64);

#[derive(CacheKey)]
enum Misspelt {
    #[cache_key(renamed = "one")]
    One,
}

fn main() {}
