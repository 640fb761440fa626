//! Which of a function's attributes stand where.

use syn::{Attribute, Meta, parse_quote};

/// Those of the function under its own name: what is said to users and to lints.
pub(crate) fn of_wrapper(attributes: &[Attribute]) -> Vec<Attribute> {
    let names = ["doc", "cfg", "must_use", "deprecated", "allow", "warn", "deny"];
    let kept = attributes.iter().filter_map(|attribute| match &attribute.meta {
        // What is expected is found in the body, which stands elsewhere.
        Meta::List(list) if attribute.path().is_ident("expect") => {
            let lints = &list.tokens;
            Some(parse_quote!(#[allow(#lints)]))
        }
        _ => is_one_of(attribute, &names).then(|| attribute.clone()),
    });
    kept.collect()
}

/// Those of the function itself: all but what would be said twice.
pub(crate) fn of_itself(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| !is_one_of(attribute, &["deprecated"]))
}

/// Those of what stands beside it.
pub(crate) fn of_companion(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| is_one_of(attribute, &["cfg"]))
}

fn is_one_of(attribute: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.path().is_ident(name))
}
