//! The shape of a derived key: a struct is an enum of one variant without a name.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Fields, Generics, Ident, LitStr, Member, Path,
    Result, Type, Visibility, parse_quote,
};

pub(crate) struct Shape {
    pub(crate) larder: Path,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    /// The generics, each type parameter bound to be a key.
    pub(crate) generics: Generics,
    /// The attributes that choose the type of an enum's discriminant.
    pub(crate) representation: Vec<Attribute>,
    pub(crate) variants: Vec<Variant>,
    pub(crate) is_enum: bool,
}

pub(crate) struct Variant {
    /// The variant's name; none for a struct.
    pub(crate) ident: Option<Ident>,
    /// The beginning of the variant's text.
    pub(crate) text: Option<LitStr>,
    pub(crate) discriminant: Option<Expr>,
    /// The fields as they are written, for the form of the borrowed type.
    pub(crate) fields: Fields,
    pub(crate) parts: Vec<Part>,
}

/// A field.
pub(crate) struct Part {
    pub(crate) member: Member,
    pub(crate) ty: Type,
    /// The name of the field in generated code.
    pub(crate) here: Ident,
    /// The name of the field's twin.
    pub(crate) there: Ident,
}

impl Shape {
    pub(crate) fn read(item: DeriveInput) -> Result<Self> {
        let larder = crate_path(&item.attrs)?;
        if let Some(lifetime) = item.generics.lifetimes().next() {
            let message = "a key owns what it holds: its borrowed form is made beside it";
            return Err(Error::new(lifetime.span(), message));
        }
        let mut generics = item.generics;
        for parameter in generics.type_params_mut() {
            parameter.bounds.push(parse_quote!(#larder::CacheKey));
        }
        let (variants, is_enum) = match item.data {
            Data::Struct(data) => (vec![Variant::new(None, None, None, data.fields)], false),
            Data::Enum(data) => (named_variants(data, &item.ident)?, true),
            Data::Union(data) => {
                let message = "a union does not know what it holds: a key does";
                return Err(Error::new(data.union_token.span, message));
            }
        };
        let representation =
            item.attrs.into_iter().filter(|attribute| attribute.path().is_ident("repr")).collect();
        let (name, visibility) = (item.ident, item.vis);
        Ok(Self { larder, visibility, name, generics, representation, variants, is_enum })
    }
}

impl Variant {
    fn new(
        ident: Option<Ident>,
        text: Option<LitStr>,
        discriminant: Option<Expr>,
        fields: Fields,
    ) -> Self {
        let members = fields.members().zip(&fields).enumerate();
        let parts = members.map(|(index, (member, field))| Part {
            member,
            ty: field.ty.clone(),
            here: format_ident!("part_{index}"),
            there: format_ident!("other_{index}"),
        });
        let parts = parts.collect();
        Self { ident, text, discriminant, fields, parts }
    }

    /// Returns the variant's path in the type of this name.
    pub(crate) fn path(&self, of: &impl ToTokens) -> TokenStream {
        self.ident.as_ref().map_or_else(|| quote!(#of), |ident| quote!(#of::#ident))
    }

    /// Returns a pattern that binds all fields to their names here, or to those of their twins.
    pub(crate) fn pattern(&self, of: &impl ToTokens, name: fn(&Part) -> &Ident) -> TokenStream {
        let path = self.path(of);
        let fields = self.parts.iter().map(|part| {
            let (member, name) = (&part.member, name(part));
            quote!(#member: #name)
        });
        quote!(#path { #(#fields),* })
    }
}

fn named_variants(data: syn::DataEnum, name: &Ident) -> Result<Vec<Variant>> {
    if data.variants.is_empty() {
        return Err(Error::new(name.span(), "an enum without variants has no key"));
    }
    let mut variants: Vec<Variant> = Vec::new();
    for variant in data.variants {
        let text = match renamed(&variant.attrs)? {
            Some(text) => text,
            None => LitStr::new(&unraw(&variant.ident), variant.ident.span()),
        };
        let is_taken = |other: &Variant| {
            other.text.as_ref().is_some_and(|taken| taken.value() == text.value())
        };
        if variants.iter().any(is_taken) {
            let message = format!("two variants have the text `{}`", text.value());
            return Err(Error::new(text.span(), message));
        }
        let discriminant = variant.discriminant.map(|(_, value)| value);
        let ident = Some(variant.ident);
        variants.push(Variant::new(ident, Some(text), discriminant, variant.fields));
    }
    Ok(variants)
}

fn unraw(ident: &Ident) -> String {
    use syn::ext::IdentExt as _;

    ident.unraw().to_string()
}

/// Reads `#[cache_key(rename = "…")]` of a variant.
fn renamed(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut text = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cache_key")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("rename") {
                return Err(meta.error("a variant takes `rename = \"…\"`"));
            }
            text = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(text)
}

/// Reads `#[cache_key(crate = path)]` of the type.
fn crate_path(attributes: &[Attribute]) -> Result<Path> {
    let mut path = parse_quote!(::larder);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cache_key")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("the type takes `crate = path`"));
            }
            path = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(path)
}
