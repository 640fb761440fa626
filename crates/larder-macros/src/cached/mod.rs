//! `#[cached]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, FnArg, Ident, Lit, Pat, Result, Signature};

use self::arguments::Arguments;
use self::function::Function;
use self::keys::Keys;
use self::template::Template;

mod arguments;
mod attributes;
mod companions;
mod function;
mod keys;
mod template;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    let function = Function::read(syn::parse2(item)?, &arguments.skip)?;
    function.check_generics(&arguments)?;
    let cached = Cached {
        keys: Keys::of(&arguments, &function)?,
        options: options(&arguments, &function)?,
        arguments,
        function,
    };
    let (wrapper, companions) = (cached.wrapper(), cached.companions());
    Ok(quote!(#wrapper #companions))
}

/// A function with everything that is needed to cache it.
struct Cached {
    arguments: Arguments,
    function: Function,
    keys: Keys,
    /// An expression for the options under which a result is kept.
    options: TokenStream,
}

impl Cached {
    /// Returns the function under its own name: it asks the cache first.
    fn wrapper(&self) -> TokenStream {
        let Self { function, options, keys, .. } = self;
        let larder = &self.arguments.larder;
        let asked = &keys.asked;
        let (open, when) = (self.open_cache(), self.when());
        let direct = self.call(&self.uncached(), false);
        let prepared = self.call(&self.uncached(), true);
        // The macro's own names are invisible to the user's expressions.
        let body = if function.is_async() {
            let owned = self.owned_arguments();
            quote_spanned! {self.span()=>
                let asked = if #when {
                    #open
                    #larder::__macros::ask(cache, #asked, returns, sharing, || #options, || {
                        #owned
                        move || async move { #prepared.await }
                    })
                } else {
                    #larder::__macros::Asked::Now(::core::option::Option::None)
                };
                match asked.answer().await {
                    ::core::option::Option::Some(answer) => answer,
                    ::core::option::Option::None => #direct.await,
                }
            }
        } else {
            let repeated = self.repeated_call();
            quote_spanned! {self.span()=>
                let answer = if #when {
                    #open
                    #larder::__macros::ask_blocking(
                        cache, #asked, returns, sharing, || #options, || #repeated,
                    )
                } else {
                    ::core::option::Option::None
                };
                match answer {
                    ::core::option::Option::Some(answer) => answer,
                    ::core::option::Option::None => #direct,
                }
            }
        };
        let attributes = attributes::of_wrapper(&function.item.attrs);
        let (visibility, signature) = (&function.item.vis, self.plain_signature());
        quote! {
            #(#attributes)*
            #visibility #signature { #body }
        }
    }

    /// Returns statements that bind `cache`, `returns` and `sharing`.
    fn open_cache(&self) -> TokenStream {
        let (larder, cache) = (&self.arguments.larder, &self.arguments.cache);
        let output = &self.function.output;
        quote_spanned! {self.span()=>
            let cache: &#larder::Cache<_, _> = &#cache;
            let returns = #larder::__macros::Returns::<_, #output>::of(cache);
            let sharing = {
                use #larder::__macros::{SharedByClone as _, SharedByHand as _};
                (&returns).sharing()
            };
        }
    }

    fn when(&self) -> TokenStream {
        self.arguments.when.as_ref().map_or_else(|| quote!(true), |when| quote!(#when))
    }

    /// Returns statements that make owned arguments for a call that outlives this one.
    fn owned_arguments(&self) -> TokenStream {
        let receiver = self.function.receiver.as_ref().map(|receiver| {
            let (this, is_lent) = (receiver.token, receiver.is_lent);
            let lent = if is_lent { quote!(#this) } else { quote!(&#this) };
            let own = own_self();
            quote_spanned!(this.span=> let #own = ::core::clone::Clone::clone(#lent);)
        });
        let parameters = self.function.parameters.iter().map(|parameter| {
            let (name, owned) = (&parameter.name, parameter.owned());
            quote!(let #name = #owned;)
        });
        quote!(#receiver #(#parameters)*)
    }

    /// Returns a call of a twin: with the arguments as they came, or with the owned ones.
    fn call(&self, name: &Ident, with_owned: bool) -> TokenStream {
        let receiver = self.function.receiver.iter().map(|receiver| {
            let (this, own) = (receiver.token, own_self());
            match (with_owned, receiver.is_lent) {
                (false, _) => quote!(#this),
                (true, true) => quote!(&#own),
                (true, false) => quote!(#own),
            }
        });
        let parameters = self.function.parameters.iter().map(|parameter| {
            let name = &parameter.name;
            match &parameter.lent {
                Some(lent) if with_owned => quote!(::std::borrow::Borrow::<#lent>::borrow(&#name)),
                _ => quote!(#name),
            }
        });
        let (path, turbofish) = (self.path(name), self.function.turbofish());
        quote!(#path #turbofish(#(#receiver,)* #(#parameters),*))
    }

    /// Returns a call that leaves the arguments for another call.
    fn repeated_call(&self) -> TokenStream {
        let receiver = self.function.receiver.iter().map(|receiver| {
            let this = receiver.token;
            if receiver.is_lent {
                quote!(#this)
            } else {
                quote!(::core::clone::Clone::clone(&#this))
            }
        });
        let parameters = self.function.parameters.iter().map(|parameter| {
            let name = &parameter.name;
            if parameter.lent.is_some() { quote!(#name) } else { parameter.owned() }
        });
        let (path, turbofish) = (self.path(&self.uncached()), self.function.turbofish());
        quote!(#path #turbofish(#(#receiver,)* #(#parameters),*))
    }

    fn path(&self, name: &Ident) -> TokenStream {
        if self.is_in_impl() { quote!(Self::#name) } else { quote!(#name) }
    }

    fn is_in_impl(&self) -> bool {
        self.function.receiver.is_some() || self.arguments.is_associated
    }

    fn uncached(&self) -> Ident {
        self.companion("uncached")
    }

    fn companion(&self, suffix: &str) -> Ident {
        format_ident!("{}_{suffix}", self.function.item.sig.ident)
    }

    /// Returns the function's signature without the parts that only its body needs.
    fn plain_signature(&self) -> Signature {
        let mut signature = self.function.item.sig.clone();
        for input in &mut signature.inputs {
            match input {
                FnArg::Receiver(receiver) => receiver.mutability = None,
                FnArg::Typed(typed) => {
                    if let Pat::Ident(pat) = &mut *typed.pat {
                        pat.mutability = None;
                    }
                }
            }
        }
        signature
    }

    /// Returns the span for errors of types that do not fit: the return type, with the macro's own
    /// names.
    fn span(&self) -> Span {
        self.function.output.span().resolved_at(Span::mixed_site())
    }
}

fn own_self() -> Ident {
    Ident::new("this", Span::mixed_site())
}

fn options(arguments: &Arguments, function: &Function) -> Result<TokenStream> {
    let Arguments { larder, ttl, grace, tags, .. } = arguments;
    let ttl = ttl.iter().map(|ttl| quote!(.ttl(#ttl)));
    let grace = grace.iter().map(|grace| quote!(.grace(#grace)));
    let tags: Result<Vec<_>> = tags.iter().map(|tag| one_tag(tag, function, arguments)).collect();
    let tags = tags?;
    let tags = (!tags.is_empty()).then(|| quote!(.tags([#(#tags),*])));
    Ok(quote!(#larder::Options::new() #(#ttl)* #(#grace)* #tags))
}

fn one_tag(tag: &Expr, function: &Function, arguments: &Arguments) -> Result<TokenStream> {
    let larder = &arguments.larder;
    let text = match tag {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => {
            let push = quote!(#larder::__macros::push_plain);
            Template::read(literal)?.expression(function, &push)?
        }
        other => other.to_token_stream(),
    };
    Ok(quote!(::core::convert::Into::<::std::sync::Arc<str>>::into(#text)))
}
