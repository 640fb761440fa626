//! Keys that have a stable text form.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;

/// A key with a stable text form both ways.
///
/// The text names the entry in shared stores, in patterns and for people, so it never changes
/// between releases. It may be empty and hold any character.
///
/// | key | text |
/// |---|---|
/// | `String`, `Box<str>`, `Arc<str>`, `char` | itself |
/// | integers, `bool` | `-7`, `true` |
/// | `Vec<u8>`, `Bytes` | printable ASCII itself; `%` and every other byte as `%FF` |
/// | `Option<K>` | `-` for none, else `=` and the text of the key |
/// | tuples of 1 to 6, arrays | the texts joined by `:`; in each, `:` is `%3A` and `%` is `%25` |
/// | `Arc<K>`, `Box<K>` | that of `K` |
///
/// Floats are no keys: they are not equal to themselves. `&'static str` is none, because a text
/// cannot be turned back into it; use `Arc<str>` and look up by `&str`.
///
/// # The contract
/// - **Both ways.** `from_text(&key.to_text())` is the key again.
/// - **One text, one key.** Keys that differ have texts that differ; texts that
///   [`to_text`](CacheKey::to_text) does not make, such as `007` for a number, are refused.
/// - **Stable.** The text depends on the key alone: not on the platform, the process or the hash.
///
/// ```
/// use std::borrow::Cow;
/// use larder::CacheKey;
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct User(u64);
///
/// impl CacheKey for User {
///     fn to_text(&self) -> Cow<'_, str> {
///         format!("user-{}", self.0).into()
///     }
///     fn from_text(text: &str) -> Option<Self> {
///         u64::from_text(text.strip_prefix("user-")?).map(User)
///     }
/// }
///
/// let key = (User(7), "de:AT".to_owned());
/// assert_eq!(key.to_text(), "user-7:de%3AAT");
/// assert!(CacheKey::from_text("user-7:de%3AAT") == Some(key));
/// ```
pub trait CacheKey: Hash + Eq + Clone + Send + Sync + 'static {
    /// Returns the key's text.
    fn to_text(&self) -> Cow<'_, str>;

    /// Returns the key with this text; none if no key has it.
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! text_key {
    ($($Key:ty),+) => {$(
        impl CacheKey for $Key {
            fn to_text(&self) -> Cow<'_, str> {
                Cow::Borrowed(self)
            }

            fn from_text(text: &str) -> Option<Self> {
                Some(text.into())
            }
        }
    )+};
}

text_key!(String, Box<str>, Arc<str>);

impl CacheKey for char {
    fn to_text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl CacheKey for bool {
    fn to_text(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

macro_rules! integer_key {
    ($($Key:ty),+) => {$(
        impl CacheKey for $Key {
            fn to_text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }

            fn from_text(text: &str) -> Option<Self> {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let leads_with_more = text != "0" && digits.starts_with(['0', '+']);
                if leads_with_more { None } else { text.parse().ok() }
            }
        }
    )+};
}

integer_key!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

macro_rules! bytes_key {
    ($($Key:ty),+) => {$(
        impl CacheKey for $Key {
            fn to_text(&self) -> Cow<'_, str> {
                Cow::Owned(bytes_to_text(self))
            }

            fn from_text(text: &str) -> Option<Self> {
                bytes_from_text(text).map(Into::into)
            }
        }
    )+};
}

bytes_key!(Vec<u8>, Bytes);

impl<K: CacheKey> CacheKey for Option<K> {
    fn to_text(&self) -> Cow<'_, str> {
        match self {
            None => Cow::Borrowed("-"),
            Some(key) => Cow::Owned(format!("={}", key.to_text())),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.strip_prefix('=') {
            Some(text) => K::from_text(text).map(Some),
            None => (text == "-").then_some(None),
        }
    }
}

macro_rules! pointer_key {
    ($($Pointer:ident),+) => {$(
        impl<K: CacheKey> CacheKey for $Pointer<K> {
            fn to_text(&self) -> Cow<'_, str> {
                (**self).to_text()
            }

            fn from_text(text: &str) -> Option<Self> {
                K::from_text(text).map($Pointer::new)
            }
        }
    )+};
}

pointer_key!(Arc, Box);

impl<K: CacheKey, const N: usize> CacheKey for [K; N] {
    fn to_text(&self) -> Cow<'_, str> {
        Cow::Owned(join(self.iter().map(K::to_text)))
    }

    fn from_text(text: &str) -> Option<Self> {
        if N == 0 && !text.is_empty() {
            return None;
        }
        let parts = text.split(':').take(if N == 0 { 0 } else { N + 1 });
        let keys: Option<Vec<K>> = parts.map(|part| K::from_text(&unescape(part)?)).collect();
        keys?.try_into().ok()
    }
}

macro_rules! tuple_key {
    ($($K:ident)+) => {
        impl<$($K: CacheKey),+> CacheKey for ($($K,)+) {
            #[expect(non_snake_case, reason = "a component has the name of its type")]
            fn to_text(&self) -> Cow<'_, str> {
                let ($($K,)+) = self;
                Cow::Owned(join([$($K.to_text()),+].into_iter()))
            }

            fn from_text(text: &str) -> Option<Self> {
                let mut parts = text.split(':');
                let key = ($($K::from_text(&unescape(parts.next()?)?)?,)+);
                parts.next().is_none().then_some(key)
            }
        }
    };
}

tuple_key!(A);
tuple_key!(A B);
tuple_key!(A B C);
tuple_key!(A B C D);
tuple_key!(A B C D E);
tuple_key!(A B C D E F);

/// Joins components so that no two lists of one length make one text.
pub(crate) fn join<'a>(texts: impl Iterator<Item = Cow<'a, str>>) -> String {
    let mut joined = String::new();
    for (index, text) in texts.enumerate() {
        if index > 0 {
            joined.push(':');
        }
        escape(&text, &mut joined);
    }
    joined
}

/// Appends a component so that it has no `:` of its own.
pub(crate) fn escape(text: &str, joined: &mut String) {
    for c in text.chars() {
        match c {
            ':' => joined.push_str("%3A"),
            '%' => joined.push_str("%25"),
            c => joined.push(c),
        }
    }
}

/// Returns one component of a joined text as it was. None if it is escaped in another way than by
/// [`join`].
pub(crate) fn unescape(part: &str) -> Option<Cow<'_, str>> {
    let mut pieces = part.split('%');
    let first = pieces.next()?;
    if first.len() == part.len() {
        return Some(Cow::Borrowed(part));
    }
    let mut text = first.to_owned();
    for piece in pieces {
        let (c, rest) = match piece.strip_prefix("3A") {
            Some(rest) => (':', rest),
            None => ('%', piece.strip_prefix("25")?),
        };
        text.push(c);
        text.push_str(rest);
    }
    Some(Cow::Owned(text))
}

pub(crate) fn bytes_to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn bytes_from_text(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if is_plain(byte) {
            bytes.push(byte);
            continue;
        }
        if byte != b'%' {
            return None;
        }
        let escaped = hex_digit(rest.next()?)? * 16 + hex_digit(rest.next()?)?;
        if is_plain(escaped) {
            return None;
        }
        bytes.push(escaped);
    }
    Some(bytes)
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'%'
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fmt::Debug;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::CacheKey;

    /// A seeded generator, so that a failure is the same each time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % bound
        }

        /// Returns short texts of characters that mean something to an escape, so that
        /// near-collisions are common.
        fn text(&mut self) -> String {
            const HOSTILE: [char; 20] = [
                ':',
                '%',
                '3',
                'A',
                '2',
                '5',
                '-',
                '=',
                '0',
                '1',
                'a',
                'e',
                '\u{301}',
                '\u{e9}',
                ' ',
                '\n',
                '\0',
                '\u{7f}',
                '\u{1F980}',
                '\u{C0}',
            ];
            (0..self.below(5)).map(|_| HOSTILE[self.below(HOSTILE.len())]).collect()
        }

        fn bytes(&mut self) -> Vec<u8> {
            const HOSTILE: [u8; 10] = [0, b'%', b':', b'F', b'0', b' ', 0x7f, 0xC0, 0xC1, 0xFF];
            (0..self.below(4)).map(|_| HOSTILE[self.below(HOSTILE.len())]).collect()
        }
    }

    fn holds<K: CacheKey + Debug>(make: impl Fn(&mut Random) -> K) {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut by_text: HashMap<String, K> = HashMap::new();
        for _ in 0..100_000 {
            let key = make(&mut random);
            let text = key.to_text().into_owned();
            assert_eq!(K::from_text(&text).as_ref(), Some(&key), "{text:?}");
            let first = by_text.entry(text).or_insert_with(|| key.clone());
            assert_eq!(*first, key, "two keys with one text");
        }
        // A text that is accepted is the one text of its key.
        for _ in 0..100_000 {
            let text = format!("{}{}", random.text(), random.text());
            if let Some(key) = K::from_text(&text) {
                assert_eq!(key.to_text(), text, "two texts of one key");
            }
        }
    }

    #[test]
    fn f26_single_keys_are_injective_and_come_back() {
        holds(Random::text);
        holds(|random| Arc::<str>::from(random.text()));
        holds(Random::bytes);
        holds(|random| Bytes::from(random.bytes()));
        holds(|random| i64::try_from(random.below(4_000)).unwrap() - 2_000);
        holds(|random| char::from_u32(u32::try_from(random.below(0xD800)).unwrap()).unwrap());
        holds(|random| random.below(2) == 0);
    }

    #[test]
    fn f26_composed_keys_are_injective_and_come_back() {
        holds(|random| (random.text(), random.text()));
        holds(|random| (random.text(), (random.text(), random.bytes()), random.text()));
        holds(|random| [random.text(), random.text(), random.text()]);
        holds(|random| (random.below(3) > 0).then(|| random.text()));
        holds(|random| {
            let inner = (random.below(3) > 0).then(|| random.text());
            ((random.below(3) > 0).then_some(inner), random.text())
        });
        holds(|random| (Arc::new(random.text()),));
    }

    #[test]
    fn f26_pairs_that_must_differ_do() {
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned()).to_text().into_owned();
        assert_ne!(text("a", "b:c"), text("a:b", "c"));
        assert_ne!(text("", "a"), text("a", ""));
        assert_ne!(text("%3A", ""), text(":", ""));
        let option = |key: Option<&str>| key.map(str::to_owned).to_text().into_owned();
        assert_ne!(option(None), option(Some("")));
        assert_ne!(option(None), option(Some("-")));
        assert_ne!(["a,b".to_owned(), String::new()].to_text(), text("a", "b"));
        assert_ne!(vec![0xC0_u8].to_text(), vec![0xC1_u8].to_text());
        assert_ne!("\u{e9}".to_owned().to_text(), "e\u{301}".to_owned().to_text());
    }

    #[test]
    fn texts_are_stable() {
        assert_eq!(u128::MAX.to_text(), "340282366920938463463374607431768211455");
        assert_eq!(i8::MIN.to_text(), "-128");
        assert_eq!(vec![b'a', b':', b'%', b' ', 0xFF].to_text(), "a:%25%20%FF");
        assert_eq!((1_u8, 'x', true, Some(2_u8), None::<u8>).to_text(), "1:x:true:=2:-");
        assert_eq!((("a".to_owned(), ":".to_owned()), 1_u8).to_text(), "a%3A%253A:1");
        assert_eq!([0_u8; 0].to_text(), "");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "+1", "01", "-0", "00", " 1", "1 ", "0x1", "256", "-1", "1:", "\u{661}"] {
            assert_eq!(u8::from_text(text), None, "{text:?}");
        }
        assert_eq!(i8::from_text("-0"), None);
        assert_eq!(Vec::<u8>::from_text("%61"), None);
        assert_eq!(Vec::<u8>::from_text("%f0"), None);
        assert_eq!(Vec::<u8>::from_text("\u{e9}"), None);
        assert_eq!(<(String, String)>::from_text("a"), None);
        assert_eq!(<(String, String)>::from_text("a:b:c"), None);
        assert_eq!(<(String,)>::from_text("%41"), None);
        assert_eq!(<[String; 2]>::from_text("a:b:c"), None);
        assert_eq!(<[String; 0]>::from_text("a"), None);
        assert_eq!(char::from_text("ab"), None);
    }
}
