//! `#[derive(CacheKey)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Result;

use self::shape::Shape;

mod borrowed;
mod shape;
mod text;

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let shape = Shape::read(syn::parse2(item)?)?;
    let key = text::implement(&shape);
    let borrowed = borrowed::define(&shape);
    Ok(quote!(#key #borrowed))
}
