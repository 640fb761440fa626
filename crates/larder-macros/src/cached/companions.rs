//! The companions of a cached function.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{FnArg, Ident, Signature};

use crate::cached::function::Parameter;
use crate::cached::{Cached, attributes};

impl Cached {
    pub(crate) fn companions(&self) -> TokenStream {
        let (uncached, key) = (self.itself(), self.key());
        let (invalidate, refresh) = (self.invalidate(), self.refresh());
        quote!(#uncached #key #invalidate #refresh)
    }

    /// Returns the function itself, under another name.
    fn itself(&self) -> TokenStream {
        let item = &self.function.item;
        let attributes = attributes::of_itself(&item.attrs);
        let doc = format!("{}, straight: nothing is looked up and nothing is kept.\n", self.link());
        let mut signature = item.sig.clone();
        signature.ident = self.companion("uncached");
        let (visibility, mut block) = (&item.vis, item.block.clone());
        // A parameter that only `cache` names must count as used, although the body does not use
        // it.
        let names = self.arguments.cache.to_token_stream();
        let this = self.function.receiver.iter().map(|receiver| receiver.token.into());
        let parameters = self.function.parameters.iter().map(|parameter| parameter.name.clone());
        for name in this.chain(parameters).filter(|name| is_named(name, names.clone())) {
            block.stmts.insert(0, syn::parse_quote!(let _ = &#name;));
        }
        quote! {
            #[doc = #doc]
            #(#attributes)*
            #visibility #signature #block
        }
    }

    fn key(&self) -> TokenStream {
        let doc = format!("The key of {} for these arguments.", self.link());
        let (ty, owned) = (&self.keys.ty, &self.keys.owned);
        let mut signature = self.signature("key", |parameter| !parameter.is_skipped);
        signature.asyncness = None;
        signature.output = syn::parse_quote!(-> #ty);
        self.made(&doc, &signature, owned)
    }

    fn invalidate(&self) -> TokenStream {
        let doc = format!(
            "Drops what {} has kept for these arguments, and cuts off the loads that began \
             before.\n\n# Errors\nAs `Cache::invalidate`.",
            self.link()
        );
        let (larder, cache) = (&self.arguments.larder, &self.arguments.cache);
        let asked = &self.keys.asked;
        let names = self.arguments.cache.to_token_stream();
        let mut signature = self.signature("invalidate", |parameter| {
            !parameter.is_skipped || is_named(&parameter.name, names.clone())
        });
        signature.output = syn::parse_quote!(-> #larder::Result<#larder::Reach>);
        let invalidate = if self.function.is_async() {
            quote_spanned!(self.span()=> cache.invalidate(#asked).await)
        } else {
            quote_spanned!(self.span()=> cache.blocking().invalidate(#asked))
        };
        let body = quote_spanned! {self.span()=>
            let cache: &#larder::Cache<_, _> = &#cache;
            #invalidate
        };
        self.made(&doc, &signature, &body)
    }

    fn refresh(&self) -> TokenStream {
        let (what, how) = if self.function.is_async() {
            ("Starts to run", "`Cache::refresh`; what is kept is served meanwhile")
        } else {
            ("Runs", "`Cache::get_with`, and the function's own as that of a loader")
        };
        let doc = format!(
            "{what} {} for these arguments, whatever is kept; whether it did: not if that is under \
             way already.\n\n# Errors\nAs {how}.",
            self.link()
        );
        let (larder, asked, options) = (&self.arguments.larder, &self.keys.asked, &self.options);
        let (cache, output) = (&self.arguments.cache, &self.function.output);
        let mut signature = self.signature("refresh", |_| true);
        signature.asyncness = None;
        signature.output = syn::parse_quote!(-> #larder::Result<bool>);
        let open = quote_spanned! {self.span()=>
            let cache: &#larder::Cache<_, _> = &#cache;
            let returns = #larder::__macros::Returns::<_, #output>::of(cache);
        };
        let body = if self.function.is_async() {
            let (owned, call) = (self.owned_arguments(), self.call(&self.uncached(), true));
            quote_spanned! {self.span()=>
                #open
                let call = {
                    #owned
                    move || async move { #call.await }
                };
                #larder::__macros::renew(cache, #asked, returns, #options, call)
            }
        } else {
            let call = self.repeated_call();
            quote_spanned! {self.span()=>
                #open
                #larder::__macros::renew_blocking(cache, #asked, returns, #options, || #call)
            }
        };
        self.made(&doc, &signature, &body)
    }

    fn made(&self, doc: &str, signature: &Signature, body: &TokenStream) -> TokenStream {
        let conditions = attributes::of_companion(&self.function.item.attrs);
        let visibility = &self.function.item.vis;
        quote! {
            #(#conditions)*
            #[doc = #doc]
            #[allow(dead_code, clippy::all, clippy::pedantic)]
            #visibility #signature { #body }
        }
    }

    /// Returns the signature of a companion, with the parameters that it takes.
    fn signature(&self, suffix: &str, takes: impl Fn(&Parameter) -> bool) -> Signature {
        let mut signature = self.plain_signature();
        signature.ident = self.companion(suffix);
        let mut parameters = self.function.parameters.iter();
        let inputs = std::mem::take(&mut signature.inputs);
        signature.inputs = inputs
            .into_iter()
            .filter(|input| match input {
                FnArg::Receiver(_) => true,
                FnArg::Typed(_) => parameters.next().is_some_and(&takes),
            })
            .collect();
        signature
    }

    fn link(&self) -> String {
        let name = &self.function.item.sig.ident;
        let path = if self.is_in_impl() { "Self::" } else { "" };
        format!("[`{name}`](fn@{path}{name})")
    }
}

/// True if an expression has this name anywhere.
fn is_named(name: &Ident, expression: TokenStream) -> bool {
    use proc_macro2::TokenTree;

    expression.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => is_named(name, group.stream()),
        _ => false,
    })
}
