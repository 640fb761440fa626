//! Texts with parameters in them, checked when the program is compiled.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Ident, LitStr, Path, Result};

use crate::cached::function::Function;

/// A text with parts: `user:{id}`.
pub(crate) struct Template {
    literal: LitStr,
    pieces: Vec<Piece>,
}

enum Piece {
    Text(String),
    /// A parameter, or a field of one, or of `self`.
    Part {
        name: String,
        fields: Vec<Ident>,
    },
}

impl Template {
    pub(crate) fn read(literal: &LitStr) -> Result<Self> {
        let fail = |message: &str| Error::new(literal.span(), message);
        let whole = literal.value();
        let (mut pieces, mut text) = (Vec::new(), String::new());
        let mut rest = whole.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else if let Some(after) = brace.strip_prefix('{') {
                let (inside, after) = after.split_once('}').ok_or_else(|| fail(UNCLOSED))?;
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(part(inside, literal)?);
                rest = after;
            } else {
                return Err(fail(UNOPENED));
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self { literal: literal.clone(), pieces })
    }

    /// Refuses a text that two lists of arguments could make alike. A part has no `:` of its own,
    /// so one between each two of them keeps them apart.
    pub(crate) fn check_is_injective(&self) -> Result<()> {
        let mut is_apart = true;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => is_apart |= text.contains(':'),
                Piece::Part { .. } if is_apart => is_apart = false,
                Piece::Part { .. } => return Err(Error::new(self.literal.span(), NOT_APART)),
            }
        }
        Ok(())
    }

    pub(crate) fn names(&self, parameter: &str) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Part { name, .. } if name == parameter))
    }

    /// Returns an expression that makes the text, where the function's parameters are in scope.
    pub(crate) fn expression(
        &self,
        function: &Function,
        push: &TokenStream,
    ) -> Result<TokenStream> {
        // A parameter may have this name, too, and is a different variable.
        let text = Ident::new("text", Span::mixed_site());
        let steps: Result<Vec<_>> = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(piece) => Ok(quote!(#text.push_str(#piece);)),
                Piece::Part { name, fields } => {
                    let part = self.part(function, name, fields)?;
                    Ok(quote!(#push(&mut #text, #part);))
                }
            })
            .collect();
        let steps = steps?;
        Ok(quote! {{
            let mut #text = ::std::string::String::new();
            #(#steps)*
            #text
        }})
    }

    fn part(&self, function: &Function, name: &str, fields: &[Ident]) -> Result<TokenStream> {
        if name == "self"
            && let Some(receiver) = &function.receiver
        {
            let this = receiver.token;
            return Ok(quote!(&#this #(.#fields)*));
        }
        let is_meant = |name: &str| function.parameters.iter().find(|p| p.is_called(name));
        let Some(parameter) = is_meant(name) else {
            let message = format!("no parameter is called `{name}`");
            return Err(Error::new(self.literal.span(), message));
        };
        let this = &parameter.name;
        // A reference is formatted as the value that it refers to.
        let is_reference = parameter.lent.is_some() && fields.is_empty();
        Ok(if is_reference { quote!(#this) } else { quote!(&#this #(.#fields)*) })
    }
}

fn part(inside: &str, literal: &LitStr) -> Result<Piece> {
    let fail = |message: &str| Err(Error::new(literal.span(), message));
    if inside.is_empty() {
        return fail(UNNAMED);
    }
    if inside.contains(':') {
        return fail(FORMATTED);
    }
    let mut words = inside.split('.');
    let name = words.next().unwrap_or_default().to_owned();
    let fields: Result<Vec<_>> = words
        .map(|word| syn::parse_str::<Ident>(word).map(|field| with_span(field, literal)))
        .collect();
    let is_name = name == "self"
        || syn::parse_str::<Path>(&name).is_ok_and(|path| path.get_ident().is_some());
    match fields {
        Ok(fields) if is_name && !(name == "self" && fields.is_empty()) => {
            Ok(Piece::Part { name, fields })
        }
        _ => {
            fail(&format!("`{{{inside}}}` is no parameter's name: a brace of the text is doubled"))
        }
    }
}

fn with_span(mut ident: Ident, literal: &LitStr) -> Ident {
    ident.set_span(literal.span());
    ident
}

const UNCLOSED: &str = "a `{` is not closed: a brace of the text is doubled";
const UNOPENED: &str = "a `}` closes nothing: a brace of the text is doubled";
const UNNAMED: &str = "a part has a parameter's name: `{id}`";
const FORMATTED: &str = "a part has no format: its text is that of a `CacheKey`";
const NOT_APART: &str = "a key has a `:` between each two parts: else two lists of arguments could have \
                         one key";
