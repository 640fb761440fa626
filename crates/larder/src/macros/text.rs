//! Texts of keys and tags, for the code that the macros make.

use std::borrow::Cow;
use std::str::Split;

use crate::key::{self, CacheKey, bytes_to_text};

/// The text of a key of several parts.
#[must_use]
pub fn join<const N: usize>(parts: [Cow<'_, str>; N]) -> String {
    key::join(parts.into_iter())
}

/// The parts of a key's text, from the first.
#[derive(Debug)]
pub struct Parts<'a>(Split<'a, char>);

impl<'a> Parts<'a> {
    /// Begins at the first part.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        Self(text.split(':'))
    }

    /// The next part's text.
    pub fn text(&mut self) -> Option<Cow<'a, str>> {
        key::unescape(self.0.next()?)
    }

    /// The next part as a key.
    pub fn key<K: CacheKey>(&mut self) -> Option<K> {
        K::from_text(&self.text()?)
    }

    /// True if no part is left.
    pub fn is_over(&mut self) -> bool {
        self.0.next().is_none()
    }
}

/// A type that may be used in a template.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a template",
    note = "what stands there is a `CacheKey`, `str` or `[u8]`, or a reference to one"
)]
pub trait Component {
    /// Its text, before it is escaped.
    fn component(&self) -> Cow<'_, str>;
}

impl<K: CacheKey> Component for K {
    fn component(&self) -> Cow<'_, str> {
        self.to_text()
    }
}

impl Component for str {
    fn component(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Component for [u8] {
    fn component(&self) -> Cow<'_, str> {
        Cow::Owned(bytes_to_text(self))
    }
}

/// Appends a part of a key, so that it cannot be taken for two.
pub fn push_escaped<C: ?Sized + Component>(text: &mut String, component: &C) {
    key::escape(&component.component(), text);
}

/// Appends a part of a tag as it is. A caller that invalidates writes the tag by hand, and two tags
/// with the same text invalidate too much at worst.
pub fn push_plain<C: ?Sized + Component>(text: &mut String, component: &C) {
    text.push_str(&component.component());
}
