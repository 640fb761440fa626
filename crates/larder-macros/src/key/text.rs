//! The text of a derived key, in both directions.

use proc_macro2::TokenStream;
use quote::quote;

use crate::key::shape::{Shape, Variant};

pub(crate) fn implement(shape: &Shape) -> TokenStream {
    let Shape { larder, name, generics, .. } = shape;
    let (parameters, arguments, conditions) = generics.split_for_impl();
    let to_text = shape.variants.iter().map(|variant| to_text(shape, variant));
    let from_text = from_text(shape);
    quote! {
        #[automatically_derived]
        impl #parameters #larder::CacheKey for #name #arguments #conditions {
            fn to_text(&self) -> ::std::borrow::Cow<'_, str> {
                match self {
                    #(#to_text)*
                }
            }

            fn from_text(text: &str) -> ::core::option::Option<Self> {
                #from_text
            }
        }
    }
}

/// Returns the arm of a variant.
fn to_text(shape: &Shape, variant: &Variant) -> TokenStream {
    let larder = &shape.larder;
    let pattern = variant.pattern(&quote!(Self), |part| &part.here);
    let name = variant.text.iter().map(|text| quote!(::std::borrow::Cow::Borrowed(#text)));
    let parts = variant.parts.iter().map(|part| {
        let here = &part.here;
        quote!(#larder::CacheKey::to_text(#here))
    });
    quote! {
        #pattern => ::std::borrow::Cow::Owned(#larder::__macros::join([#(#name,)* #(#parts,)*])),
    }
}

fn from_text(shape: &Shape) -> TokenStream {
    let larder = &shape.larder;
    let made = shape.variants.iter().map(|variant| {
        let path = variant.path(&quote!(Self));
        let members = variant.parts.iter().map(|part| &part.member);
        quote!(#path { #(#members: parts.key()?),* })
    });
    if shape.is_enum {
        let texts = shape.variants.iter().map(|variant| &variant.text);
        return quote! {
            let mut parts = #larder::__macros::Parts::of(text);
            let key = match &*parts.text()? {
                #(#texts => #made,)*
                _ => return ::core::option::Option::None,
            };
            parts.is_over().then_some(key)
        };
    }
    let is_empty = shape.variants.iter().all(|variant| variant.parts.is_empty());
    if is_empty {
        return quote!(text.is_empty().then_some(#(#made)*));
    }
    quote! {
        let mut parts = #larder::__macros::Parts::of(text);
        let key = #(#made)*;
        parts.is_over().then_some(key)
    }
}
