//! Patterns of keys: a glob as Redis has it, with one meaning everywhere.

use std::fmt;
use std::str::{Chars, FromStr};

use larder_core::{Error, ErrorKind, Result};

/// A glob over keys, as in Redis.
///
/// | written | matches |
/// |---|---|
/// | `*` | any text, also none |
/// | `?` | any one character |
/// | `[abc]`, `[a-c]` | one of these; a range may run either way; `[]` matches nothing |
/// | `[^abc]` | one other than these |
/// | `\` | the next character as it is, also inside brackets |
/// | anything else | itself |
///
/// A character is a Unicode scalar value, and `/`, `:` and `.` are characters like all others. The
/// time a match takes grows with the length of the pattern times that of the key, never faster.
///
/// ```
/// use larder::Pattern;
///
/// let pattern: Pattern = "user:[1-3]?:*".parse()?;
/// assert!(pattern.matches("user:27:name"));
/// assert!(!pattern.matches("user:47:name"));
/// assert_eq!(pattern.literal_prefix(), "user:");
/// # Ok::<_, larder::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
    prefix: String,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a `[` without its `]` and for a `\` at the end.
    pub fn parse(text: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut rest = text.chars();
        while let Some(char) = rest.next() {
            let token = match char {
                '*' => Token::Many,
                '?' => Token::One,
                '[' => Token::Set(Set::parse(&mut rest)?),
                '\\' => Token::Literal(escaped(&mut rest)?),
                char => Token::Literal(char),
            };
            if token != Token::Many || tokens.last() != Some(&Token::Many) {
                tokens.push(token);
            }
        }
        let prefix = tokens.iter().map_while(Token::literal).collect();
        Ok(Self { tokens, prefix })
    }

    /// Returns true if the key matches.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        let (mut tokens, mut rest) = (self.tokens.as_slice(), key.chars());
        // The place of the last `*`, and the end of its text so far. An earlier `*` need not be
        // tried again: the last one can take any text that the earlier one could give up.
        let mut retry: Option<(&[Token], Chars<'_>)> = None;
        loop {
            let after = match tokens.split_first() {
                Some((Token::Many, after)) => {
                    retry = Some((after, rest.clone()));
                    Some(after)
                }
                Some((token, after)) => {
                    rest.next().filter(|&char| token.matches(char)).map(|_| after)
                }
                None if rest.as_str().is_empty() => return true,
                None => None,
            };
            if let Some(after) = after {
                tokens = after;
                continue;
            }
            let Some((after, begun)) = &mut retry else { return false };
            if begun.next().is_none() {
                return false;
            }
            (tokens, rest) = (after, begun.clone());
        }
    }

    /// Returns true if every key matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.tokens == [Token::Many]
    }

    /// Text with which every matching key begins: all before the first special character.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

/// A part of a pattern.
#[derive(Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    One,
    Many,
    Set(Set),
}

impl Token {
    fn literal(&self) -> Option<char> {
        match self {
            Self::Literal(char) => Some(*char),
            _ => None,
        }
    }

    /// True if the token matches this character.
    fn matches(&self, char: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == char,
            Self::One => true,
            Self::Many => false,
            Self::Set(set) => set.matches(char),
        }
    }
}

/// The set in brackets.
#[derive(Clone, PartialEq, Eq)]
struct Set {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Set {
    /// Parses the text after the `[`.
    fn parse(rest: &mut Chars<'_>) -> Result<Self> {
        let negated = rest.as_str().starts_with('^');
        if negated {
            rest.next();
        }
        let mut ranges = Vec::new();
        loop {
            let first = match rest.next() {
                None => return Err(invalid("a [ has no ]")),
                Some(']') => return Ok(Self { negated, ranges }),
                Some('\\') => escaped(rest)?,
                Some(char) => char,
            };
            let last = range_end(rest)?.unwrap_or(first);
            ranges.push((first.min(last), first.max(last)));
        }
    }

    fn matches(&self, char: char) -> bool {
        self.negated != self.ranges.iter().any(|&(first, last)| (first..=last).contains(&char))
    }
}

/// Parses the end of a range, if the rest goes on as one. A `-` before the `]` is itself.
fn range_end(rest: &mut Chars<'_>) -> Result<Option<char>> {
    let mut ahead = rest.clone();
    let end = match (ahead.next(), ahead.next()) {
        (Some('-'), Some('\\')) => escaped(&mut ahead)?,
        (Some('-'), Some(char)) if char != ']' => char,
        _ => return Ok(None),
    };
    *rest = ahead;
    Ok(Some(end))
}

fn escaped(rest: &mut Chars<'_>) -> Result<char> {
    rest.next().ok_or_else(|| invalid("nothing follows the last \\"))
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "pattern", message)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Token};

    fn matches(pattern: &str, key: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(key)
    }

    #[test]
    fn each_form_means_what_redis_means() {
        let yes = [
            ("", ""),
            ("*", ""),
            ("*", "a:b/c"),
            ("a*c", "ac"),
            ("a*b*c", "a-b-b-c"),
            ("h?llo", "hello"),
            ("h?llo", "h\u{e9}llo"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hbllo"),
            ("h[a-c]llo", "hbllo"),
            ("h[c-a]llo", "hbllo"),
            ("[a-]", "-"),
            ("[^]", "x"),
            ("[\\]]", "]"),
            ("[\\^a]", "^"),
            ("[a-\\]]", "]"),
            ("\\*\\?\\[\\\\", "*?[\\"),
            ("a]", "a]"),
            ("a^-b", "a^-b"),
        ];
        for (pattern, key) in yes {
            assert!(matches(pattern, key), "{pattern} {key}");
        }
        let no = [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("?", "ab"),
            ("[]", "a"),
            ("[]a", "a"),
            ("a*c", "acd"),
            ("h[^e]llo", "hello"),
            ("\\*", "a"),
            ("[a-c]", "-"),
            ("a", "A"),
        ];
        for (pattern, key) in no {
            assert!(!matches(pattern, key), "{pattern} {key}");
        }
    }

    #[test]
    fn what_is_not_finished_is_refused() {
        for pattern in ["[", "a[b", "[^", "[a-", "\\", "a\\", "[\\", "[a-\\"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_prefix_ends_where_the_first_special_character_stands() {
        let prefix = |text: &str| Pattern::parse(text).unwrap().literal_prefix().to_owned();
        assert_eq!(prefix("user:*"), "user:");
        assert_eq!(prefix("user\\*:[a]"), "user*:");
        assert_eq!(prefix("?a"), "");
        assert_eq!(prefix("whole"), "whole");
    }

    #[test]
    fn many_stars_over_a_long_key_end_soon() {
        let pattern = Pattern::parse(&"*a".repeat(200)).unwrap();
        let key = "a".repeat(199) + &"b".repeat(20_000);
        assert!(!pattern.matches(&key));
        assert!(pattern.matches(&(key + &"a".repeat(200))));
    }

    /// The meaning of a pattern, in the plainest form.
    fn reference(tokens: &[Token], key: &[char]) -> bool {
        match (tokens.split_first(), key.split_first()) {
            (None, _) => key.is_empty(),
            (Some((Token::Many, after)), _) => {
                (0..=key.len()).any(|taken| reference(after, &key[taken..]))
            }
            (Some((token, after)), Some((&char, rest))) => {
                token.matches(char) && reference(after, rest)
            }
            (Some(_), None) => false,
        }
    }

    /// A seeded generator, so that a failure is the same each time.
    struct Random(u64);

    impl Random {
        fn text(&mut self, letters: &[u8], longest: usize) -> String {
            (0..self.below(longest + 1))
                .map(|_| char::from(letters[self.below(letters.len())]))
                .collect()
        }

        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % bound
        }
    }

    #[test]
    fn any_pattern_and_key_agree_with_the_reference() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut matched = 0;
        for _ in 0..200_000 {
            let text = random.text(b"ab**?[]^-\\", 8);
            let key = random.text(b"ab-", 7);
            let Ok(pattern) = Pattern::parse(&text) else { continue };
            let chars: Vec<char> = key.chars().collect();
            let is_match = pattern.matches(&key);
            assert_eq!(is_match, reference(&pattern.tokens, &chars), "{text} {key}");
            if is_match {
                matched += 1;
                assert!(key.starts_with(pattern.literal_prefix()), "{text} {key}");
            }
        }
        assert!(matched > 10_000, "{matched}");
    }

    #[test]
    fn an_escaped_key_matches_itself_alone() {
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        for _ in 0..50_000 {
            let (key, other) = (random.text(b"a*?[]^-\\", 6), random.text(b"a*?[]^-\\", 6));
            let escaped: String = key.chars().flat_map(|char| ['\\', char]).collect();
            assert!(matches(&escaped, &key), "{key}");
            assert_eq!(matches(&escaped, &other), key == other, "{key} {other}");
        }
    }
}
