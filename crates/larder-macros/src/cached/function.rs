//! The function to cache, and the checks whether its results can be kept.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    Error, FnArg, GenericParam, Ident, ItemFn, Pat, PatType, Receiver, ReceiverKind, Result,
    ReturnType, Safety, Token, Type, parse_quote,
};

use crate::cached::arguments::Arguments;

pub(crate) struct Function {
    pub(crate) item: ItemFn,
    pub(crate) receiver: Option<SelfParameter>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: Type,
}

/// `self` in one of its forms.
pub(crate) struct SelfParameter {
    pub(crate) token: Token![self],
    pub(crate) is_lent: bool,
}

pub(crate) struct Parameter {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    /// The `T` of `&T`.
    pub(crate) lent: Option<Type>,
    pub(crate) is_skipped: bool,
}

impl Function {
    pub(crate) fn read(item: ItemFn, skip: &[Ident]) -> Result<Self> {
        refuse_qualifiers(&item)?;
        let output = match &item.sig.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        if let Some(opaque) = opaque(&output) {
            return Err(Error::new(opaque, "a cached function names the type that it returns"));
        }
        let (mut receiver, mut parameters) = (None, Vec::new());
        for input in &item.sig.inputs {
            match input {
                FnArg::Receiver(this) => receiver = Some(SelfParameter::read(this)?),
                FnArg::Typed(typed) => parameters.push(Parameter::read(typed, skip)?),
            }
        }
        for name in skip {
            let is_called = |parameter: &Parameter| parameter.is_called(&name.unraw().to_string());
            let is_generic = || generics(&item).any(|generic| generic == name);
            if !parameters.iter().any(is_called) && !is_generic() {
                return Err(Error::new(name.span(), format!("no parameter is called `{name}`")));
            }
        }
        Ok(Self { item, receiver, parameters, output })
    }

    pub(crate) fn is_async(&self) -> bool {
        self.item.sig.asyncness.is_some()
    }

    /// Returns the parameters in the key.
    pub(crate) fn in_key(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| !parameter.is_skipped)
    }

    /// Refuses a type or number that no argument determines and no key contains: calls that differ
    /// in it would get each other's results.
    pub(crate) fn check_generics(&self, arguments: &Arguments) -> Result<()> {
        let is_told = |name: &Ident| {
            let is_name = |token: &TokenTree| matches!(token, TokenTree::Ident(own) if own == name);
            let types = self.parameters.iter().map(|parameter| parameter.ty.to_token_stream());
            arguments.skip.contains(name)
                || types
                    .chain([arguments.cache.to_token_stream()])
                    .any(|tokens| find(tokens, &|token, _| is_name(token)).is_some())
        };
        match generics(&self.item).find(|name| !is_told(name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "`{name}` is not in the key: let a parameter have its type, or skip it if \
                     results do not depend on it"
                );
                Err(Error::new(name.span(), message))
            }
        }
    }

    /// Returns `::<T, N>`, so that generics that no argument determines are passed on.
    pub(crate) fn turbofish(&self) -> TokenStream {
        let mut names = generics(&self.item).peekable();
        match names.peek() {
            Some(_) => quote::quote!(::<#(#names),*>),
            None => TokenStream::new(),
        }
    }
}

impl SelfParameter {
    fn read(receiver: &Receiver) -> Result<Self> {
        let changed = match &receiver.kind {
            ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
            ReceiverKind::Typed(_, ty) => is_changed(ty),
            _ => false,
        };
        if changed {
            return Err(Error::new(receiver.span(), "what a function changes cannot be replayed"));
        }
        let is_lent = match &receiver.kind {
            ReceiverKind::Reference(..) => true,
            ReceiverKind::Typed(_, ty) => matches!(**ty, Type::Reference(_)),
            _ => false,
        };
        Ok(Self { token: receiver.self_token, is_lent })
    }
}

impl Parameter {
    fn read(typed: &PatType, skip: &[Ident]) -> Result<Self> {
        let name = match &*typed.pat {
            Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => pat.ident.clone(),
            pat => {
                let message = "a parameter of a cached function has a plain name";
                return Err(Error::new(pat.span(), message));
            }
        };
        let ty = (*typed.ty).clone();
        if is_changed(&ty) {
            return Err(Error::new(ty.span(), "what a function changes cannot be replayed"));
        }
        if let Some(opaque) = opaque(&ty) {
            let message = "a parameter of a cached function has a named type: write `<T: …>`";
            return Err(Error::new(opaque, message));
        }
        let lent = match &ty {
            Type::Reference(reference) => Some((*reference.elem).clone()),
            _ => None,
        };
        if let Some(borrow) = borrow(lent.as_ref().unwrap_or(&ty)) {
            let message = "only a whole parameter is borrowed: take `&T`, or own what is inside";
            return Err(Error::new(borrow, message));
        }
        let is_skipped = skip.iter().any(|skipped| skipped.unraw() == name.unraw());
        Ok(Self { name, ty, lent, is_skipped })
    }

    /// True if a template means this parameter.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name.unraw() == name
    }
}

/// Returns the names of the function's types and numbers.
fn generics(item: &ItemFn) -> impl Iterator<Item = &Ident> {
    item.sig.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(ty) => Some(&ty.ident),
        GenericParam::Const(constant) => Some(&constant.ident),
        GenericParam::Lifetime(_) => None,
    })
}

fn refuse_qualifiers(item: &ItemFn) -> Result<()> {
    let signature = &item.sig;
    if let Some(constness) = signature.constness {
        return Err(Error::new(constness.span, "a const function runs where there is no cache"));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        return Err(Error::new(token.span, "a cached call cannot keep what an unsafe one demands"));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new(abi.span(), "a cached function has Rust's own calling convention"));
    }
    Ok(())
}

fn is_changed(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if reference.mutability.is_some())
}

/// Returns the place where the type is not named.
fn opaque(ty: &Type) -> Option<proc_macro2::Span> {
    find(
        ty.to_token_stream(),
        &|token, _| matches!(token, TokenTree::Ident(ident) if ident == "impl"),
    )
}

/// Returns the place of a borrow that does not live for ever.
fn borrow(ty: &Type) -> Option<proc_macro2::Span> {
    find(ty.to_token_stream(), &|token, next| match (token, next) {
        (TokenTree::Punct(punct), Some(TokenTree::Ident(name))) if punct.as_char() == '\'' => {
            name != "static"
        }
        // `&'a T` is found by its lifetime.
        (TokenTree::Punct(punct), Some(TokenTree::Punct(next))) => {
            punct.as_char() == '&' && next.as_char() != '\''
        }
        (TokenTree::Punct(punct), _) => punct.as_char() == '&',
        _ => false,
    })
}

fn find(
    tokens: TokenStream,
    is_meant: &impl Fn(&TokenTree, Option<&TokenTree>) -> bool,
) -> Option<proc_macro2::Span> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_meant(&token, tokens.peek()) {
            return Some(token.span());
        }
        if let TokenTree::Group(group) = token
            && let Some(span) = find(group.stream(), is_meant)
        {
            return Some(span);
        }
    }
    None
}
