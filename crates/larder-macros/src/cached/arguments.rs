//! The arguments of the attribute.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprArray, Ident, LitStr, Path, Result, Token, parenthesized, parse_quote};

pub(crate) struct Arguments {
    pub(crate) cache: Expr,
    pub(crate) key: Option<LitStr>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) ttl: Option<Expr>,
    pub(crate) grace: Option<Expr>,
    pub(crate) tags: Vec<Expr>,
    pub(crate) when: Option<Expr>,
    pub(crate) is_associated: bool,
    pub(crate) larder: Path,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut cache, mut key, mut skip) = (None, None, None);
        let (mut ttl, mut grace, mut tags, mut when) = (None, None, None, None);
        let (mut associated, mut larder) = (None, None);
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            match name.to_string().as_str() {
                "cache" => once(&name, &mut cache, value(input)?)?,
                "key" => once(&name, &mut key, value(input)?)?,
                "skip" => once(&name, &mut skip, list(input)?)?,
                "ttl" => once(&name, &mut ttl, value(input)?)?,
                "grace" => once(&name, &mut grace, value(input)?)?,
                "tags" => once(&name, &mut tags, value::<ExprArray>(input)?)?,
                "when" => once(&name, &mut when, value(input)?)?,
                "associated" => once(&name, &mut associated, ())?,
                "crate" => once(&name, &mut larder, path(input)?)?,
                _ => return Err(Error::new(name.span(), UNKNOWN)),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let unnamed = || Error::new(Span::call_site(), "the cache is named: `cache = …`");
        Ok(Self {
            cache: cache.ok_or_else(unnamed)?,
            key,
            skip: skip.unwrap_or_default(),
            ttl,
            grace,
            tags: tags.map(|tags| tags.elems.into_iter().collect()).unwrap_or_default(),
            when,
            is_associated: associated.is_some(),
            larder: larder.unwrap_or_else(|| parse_quote!(::larder)),
        })
    }
}

fn once<T>(name: &Ident, place: &mut Option<T>, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(name.span(), format!("`{name}` is given twice"))),
    }
}

fn value<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn path(input: ParseStream<'_>) -> Result<Path> {
    input.parse::<Token![=]>()?;
    input.call(Path::parse_mod_style)
}

fn list(input: ParseStream<'_>) -> Result<Vec<Ident>> {
    let names;
    parenthesized!(names in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&names)?;
    Ok(names.into_iter().collect())
}

const UNKNOWN: &str = "no argument has this name: there are `cache`, `key`, `skip(…)`, `ttl`, \
                       `grace`, `tags`, `when`, `associated` and `crate`";
