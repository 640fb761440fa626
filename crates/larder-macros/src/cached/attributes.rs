//! The distribution of a function's attributes over the functions that are made of it.

use syn::{Attribute, Meta, parse_quote};

/// Returns the attributes of the function under its own name: those for users and lints.
pub(crate) fn of_wrapper(attributes: &[Attribute]) -> Vec<Attribute> {
    let names = ["doc", "cfg", "must_use", "deprecated", "allow", "warn", "deny"];
    let kept = attributes.iter().filter_map(|attribute| match &attribute.meta {
        // The expected lint is found in the body, which is in another function.
        Meta::List(list) if attribute.path().is_ident("expect") => {
            let lints = &list.tokens;
            Some(parse_quote!(#[allow(#lints)]))
        }
        _ => is_one_of(attribute, &names).then(|| attribute.clone()),
    });
    kept.collect()
}

/// Returns the attributes of the function itself: all but those that would be repeated.
pub(crate) fn of_itself(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| !is_one_of(attribute, &["deprecated"]))
}

/// Returns the attributes of a companion.
pub(crate) fn of_companion(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| is_one_of(attribute, &["cfg"]))
}

fn is_one_of(attribute: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.path().is_ident(name))
}
