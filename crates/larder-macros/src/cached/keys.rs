//! The arguments that make the key, and the form in which the key is looked up.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Error, LitStr, Path, Result};

use crate::cached::arguments::Arguments;
use crate::cached::function::{Function, Parameter};
use crate::cached::template::Template;

/// A key in its two forms. Both are expressions over the function's parameters.
pub(crate) struct Keys {
    /// The type of the owned key.
    pub(crate) ty: TokenStream,
    pub(crate) owned: TokenStream,
    /// The key of a lookup, which owns as little as possible.
    pub(crate) asked: TokenStream,
}

impl Keys {
    pub(crate) fn of(arguments: &Arguments, function: &Function) -> Result<Self> {
        match &arguments.key {
            Some(literal) => Self::of_template(literal, function, &arguments.larder),
            None => Self::of_parameters(function, &arguments.larder),
        }
    }

    fn of_template(literal: &LitStr, function: &Function, larder: &Path) -> Result<Self> {
        let template = Template::read(literal)?;
        let owned = template.expression(function, &quote!(#larder::__macros::push_escaped))?;
        template.check_is_injective()?;
        for Parameter { name, is_skipped, .. } in &function.parameters {
            let is_named = template.names(&syn::ext::IdentExt::unraw(name).to_string());
            let message = match (is_named, is_skipped) {
                (false, false) => format!("`{name}` is not in the key: name it there or skip it"),
                (true, true) => format!("`{name}` is in the key and skipped"),
                _ => continue,
            };
            return Err(Error::new(name.span(), message));
        }
        let asked = quote!(::std::string::String::as_str(&#owned));
        Ok(Self { ty: quote!(::std::string::String), owned, asked })
    }

    fn of_parameters(function: &Function, larder: &Path) -> Result<Self> {
        let parts: Vec<_> = function.in_key().collect();
        let fail = |message| Err(Error::new(function.item.sig.ident.span(), message));
        let types = parts.iter().map(|part| part.owned_type());
        let owned = parts.iter().map(|part| part.owned());
        let asked = parts.iter().map(|part| part.asked());
        Ok(match parts.len() {
            0 => return fail("no parameter makes the key: give it a text, `key = \"…\"`"),
            1 => Self {
                ty: quote!(#(#types)*),
                owned: quote!(#(#owned)*),
                asked: quote!(#(#asked)*),
            },
            2..=6 => Self {
                ty: quote!((#(#types),*)),
                owned: quote!((#(#owned),*)),
                asked: quote!(&#larder::__macros::Refs((#(#asked),*))),
            },
            _ => return fail("a key has six parts at most: skip some, or give it a text"),
        })
    }
}

impl Parameter {
    /// Returns the parameter's owned type.
    fn owned_type(&self) -> TokenStream {
        if let Some(lent) = &self.lent {
            return quote!(<#lent as ::std::borrow::ToOwned>::Owned);
        }
        self.ty.to_token_stream()
    }

    /// Returns an owned copy of the parameter.
    pub(crate) fn owned(&self) -> TokenStream {
        let (name, span) = (&self.name, self.name.span());
        if let Some(lent) = &self.lent {
            return quote_spanned!(span=> <#lent as ::std::borrow::ToOwned>::to_owned(#name));
        }
        quote_spanned!(span=> ::core::clone::Clone::clone(&#name))
    }

    /// Returns a reference to the parameter.
    fn asked(&self) -> TokenStream {
        let name = &self.name;
        if self.lent.is_some() { quote!(#name) } else { quote!(&#name) }
    }
}
