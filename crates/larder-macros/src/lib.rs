//! The macros of Larder: `#[cached]` for functions and `#[derive(CacheKey)]` for keys.
//!
//! Use them as `larder::cached` and `larder::CacheKey`, with the feature `macros` of `larder`. The
//! page `docs/macros.md` documents all of them.

use proc_macro::TokenStream;

mod cached;
mod key;

/// Keeps the results of a function in a cache that you name.
///
/// ```
/// use std::time::Duration;
/// use larder::{Cache, cached};
///
/// #[derive(Clone)]
/// struct Weather {
///     reports: Cache<String, String>,
/// }
///
/// impl Weather {
///     #[cached(cache = self.reports, key = "{city}:{days}", ttl = Duration::from_secs(60))]
///     async fn report(&self, city: &str, days: u8) -> String {
///         format!("{days} days of rain in {city}")
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let weather = Weather { reports: Cache::new(100)? };
/// weather.report("Bergen", 3).await;
/// assert_eq!(weather.reports.stats().loads, 1);
/// weather.report_invalidate("Bergen", 3).await?;
/// # Ok::<_, larder::Error>(())
/// # }).unwrap();
/// ```
///
/// # Arguments
/// | argument | meaning |
/// |---|---|
/// | `cache = expression` | the [`Cache`], evaluated where the function runs; required |
/// | `key = "user:{id}:{lang}"` | the key's text; by default the key is the parameters themselves |
/// | `skip(db)` | parameters that are no part of the key |
/// | `ttl = expression`, `grace = expression` | as in [`Options`] |
/// | `tags = ["user:{id}", TEAM]` | texts with parameters in them, or expressions |
/// | `when = expression` | where it is false, the call goes straight to the function |
/// | `associated` | for a function of an `impl` without `self` |
/// | `crate = path` | where `larder` is, if it has another name |
///
/// # What it makes
/// The function keeps its signature. Beside `user` stand `user_uncached`, which is the function
/// itself, `user_key`, `user_invalidate` and `user_refresh`, as visible as `user`.
///
/// [`Cache`]: https://docs.rs/larder/latest/larder/struct.Cache.html
/// [`Options`]: https://docs.rs/larder/latest/larder/struct.Options.html
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let expanded = cached::expand(arguments.into(), function.into());
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct or an enum a `CacheKey`, with a borrowed form to look up by.
///
/// ```
/// use larder::{Cache, CacheKey};
///
/// #[derive(CacheKey, Clone, PartialEq, Eq, Hash)]
/// struct User {
///     realm: String,
///     id: u64,
/// }
///
/// let key = User { realm: "de:AT".to_owned(), id: 7 };
/// assert_eq!(key.to_text(), "de%3AAT:7");
/// assert!(User::from_text("de%3AAT:7") == Some(key.clone()));
///
/// let cache = Cache::<User, u64>::new(100)?;
/// cache.blocking().insert(key, 1)?;
/// // Asked for without owning a string.
/// assert_eq!(cache.blocking().get(&UserRef { realm: "de:AT", id: 7 })?, Some(1));
/// # Ok::<_, larder::Error>(())
/// ```
///
/// The text is that of the tuple of the fields; an enum's begins with the variant's name, or with
/// the name in `#[cache_key(rename = "…")]`. `Hash` and `Eq` must be derived too: the borrowed form
/// hashes its fields in the same order.
///
/// The borrowed form has the key's name with `Ref` behind it. In it, `String`, `Box<str>` and
/// `Arc<str>` are `&str`, `Vec<u8>` and `Bytes` are `&[u8]`, integers, `bool` and `char` are
/// themselves, and everything else is `&T`. A key that holds nothing to refer to has none.
///
/// `#[cache_key(crate = path)]` on the type says where `larder` is, if it has another name.
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn cache_key(item: TokenStream) -> TokenStream {
    key::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The page of `docs/`: each of its snippets is a test.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/macros.md")]
    mod macros {}
}
