//! The borrowed form of a derived key.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Fields, GenericArgument, GenericParam, Generics, Lifetime, LifetimeParam, PathArguments, Type,
};

use crate::key::shape::{Part, Shape, Variant};

/// The form of a field in the borrowed key.
enum Form {
    /// `&'a str`.
    Text,
    /// `&'a [u8]`.
    Bytes,
    /// The field's own type.
    Copy,
    /// `&'a T`.
    Reference,
}

/// Returns the type and its impls; nothing if the key holds nothing to refer to.
pub(crate) fn define(shape: &Shape) -> TokenStream {
    let mut parts = shape.variants.iter().flat_map(|variant| &variant.parts);
    if parts.all(|part| matches!(Form::of(&part.ty), Form::Copy)) {
        return TokenStream::new();
    }
    let Shape { larder, visibility, name, representation, generics, .. } = shape;
    let borrowed = format_ident!("{name}Ref");
    let lifetime = Lifetime::new("'larder", Span::mixed_site());
    let lent = with_lifetime(generics, &lifetime);
    let (parameters, arguments, conditions) = lent.split_for_impl();
    let (_, key_arguments, _) = generics.split_for_impl();
    let definition = definition(shape, &lifetime);
    let (equal, owned) = (equal(shape), owned(shape));
    let doc = format!("[`{name}`], borrowed: to look up without making one.");
    let keyword = if shape.is_enum { quote!(enum) } else { quote!(struct) };
    let semicolon = ends_in_semicolon(shape).then(|| quote!(;));
    let (where_before, where_after) =
        if semicolon.is_some() { (None, conditions) } else { (conditions, None) };
    let text = borrowed.to_string();
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::hash::Hash)]
        #[allow(dead_code, missing_docs)]
        #(#representation)*
        #visibility #keyword #borrowed #parameters #where_before #definition #where_after #semicolon

        #[automatically_derived]
        impl #parameters ::core::fmt::Debug for #borrowed #arguments #conditions {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#text).finish_non_exhaustive()
            }
        }

        #[automatically_derived]
        impl #parameters #larder::Equivalent<#name #key_arguments> for #borrowed #arguments
        #conditions
        {
            fn equivalent(&self, key: &#name #key_arguments) -> bool {
                match (self, key) {
                    #equal
                }
            }
        }

        #[automatically_derived]
        impl #parameters #larder::Lookup<#name #key_arguments> for #borrowed #arguments
        #conditions
        {
            fn to_key(&self) -> #name #key_arguments {
                match self {
                    #owned
                }
            }
        }
    }
}

fn with_lifetime(generics: &Generics, lifetime: &Lifetime) -> Generics {
    let mut lent = generics.clone();
    let parameter = LifetimeParam::new(lifetime.clone());
    lent.params.insert(0, GenericParam::Lifetime(parameter));
    lent
}

fn definition(shape: &Shape, lifetime: &Lifetime) -> TokenStream {
    if !shape.is_enum {
        let fields = shape.variants.iter().map(|variant| fields(variant, lifetime));
        return quote!(#(#fields)*);
    }
    let variants = shape.variants.iter().map(|variant| {
        let (ident, fields) = (&variant.ident, fields(variant, lifetime));
        let discriminant = variant.discriminant.as_ref().map(|value| quote!(= #value));
        quote!(#ident #fields #discriminant)
    });
    quote!({ #(#variants),* })
}

/// Returns the fields as they are written, each in its form.
fn fields(variant: &Variant, lifetime: &Lifetime) -> TokenStream {
    let types = variant.parts.iter().map(|part| {
        let ty = &part.ty;
        match Form::of(ty) {
            Form::Text => quote!(&#lifetime str),
            Form::Bytes => quote!(&#lifetime [u8]),
            Form::Copy => quote!(#ty),
            Form::Reference => quote!(&#lifetime #ty),
        }
    });
    let visibilities = variant.fields.iter().map(|field| &field.vis);
    match &variant.fields {
        Fields::Named(named) => {
            let idents = named.named.iter().map(|field| &field.ident);
            quote!({ #(#visibilities #idents: #types),* })
        }
        Fields::Unnamed(_) => quote!((#(#visibilities #types),*)),
        Fields::Unit => TokenStream::new(),
    }
}

fn ends_in_semicolon(shape: &Shape) -> bool {
    let is_tuple = |variant: &Variant| !matches!(variant.fields, Fields::Named(_));
    !shape.is_enum && shape.variants.iter().all(is_tuple)
}

fn equal(shape: &Shape) -> TokenStream {
    let name = &shape.name;
    let arms = shape.variants.iter().map(|variant| {
        let asked = variant.pattern(&quote!(Self), |part| &part.here);
        let key = variant.pattern(name, |part| &part.there);
        let are_equal =
            variant.parts.iter().map(|Part { ty, here, there, .. }| match Form::of(ty) {
                Form::Text | Form::Bytes => quote!(**#here == **#there),
                Form::Copy => quote!(*#here == *#there),
                Form::Reference => quote!(**#here == *#there),
            });
        quote!((#asked, #key) => true #(&& #are_equal)*,)
    });
    let rest = (shape.variants.len() > 1).then(|| quote!(_ => false,));
    quote!(#(#arms)* #rest)
}

fn owned(shape: &Shape) -> TokenStream {
    let (larder, name) = (&shape.larder, &shape.name);
    let arms = shape.variants.iter().map(|variant| {
        let asked = variant.pattern(&quote!(Self), |part| &part.here);
        let path = variant.path(name);
        let fields = variant.parts.iter().map(|Part { member, ty, here, .. }| {
            let value = match Form::of(ty) {
                Form::Text => quote!(<str as #larder::Lookup<#ty>>::to_key(#here)),
                Form::Bytes => quote!(<[u8] as #larder::Lookup<#ty>>::to_key(#here)),
                Form::Copy => quote!(*#here),
                Form::Reference => quote!(::core::clone::Clone::clone(*#here)),
            };
            quote!(#member: #value)
        });
        quote!(#asked => #path { #(#fields),* },)
    });
    quote!(#(#arms)*)
}

impl Form {
    /// Chooses the form by the type's name: another type of that name does not compile.
    fn of(ty: &Type) -> Self {
        const COPIED: [&str; 14] = [
            "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64",
            "i128", "isize",
        ];
        let Type::Path(path) = ty else { return Self::Reference };
        let Some(last) = path.path.segments.last() else { return Self::Reference };
        let name = last.ident.to_string();
        match (name.as_str(), only_argument(&last.arguments).as_deref()) {
            ("String", None) | ("Box" | "Arc", Some("str")) => Self::Text,
            ("Bytes", None) | ("Vec", Some("u8")) => Self::Bytes,
            (name, None) if COPIED.contains(&name) => Self::Copy,
            _ => Self::Reference,
        }
    }
}

/// Returns the `X` of `<X>`, if it is a plain name.
fn only_argument(arguments: &PathArguments) -> Option<String> {
    let PathArguments::AngleBracketed(list) = arguments else { return None };
    match list.args.first() {
        Some(GenericArgument::Type(Type::Path(path))) if list.args.len() == 1 => {
            path.path.get_ident().map(ToString::to_string)
        }
        // The argument is something else, which the empty text stands for.
        _ => Some(String::new()),
    }
}
