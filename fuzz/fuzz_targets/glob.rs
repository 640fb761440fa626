//! Patterns: any text parses or is refused, and matches what a slow reading of it matches.

#![no_main]

use larder::Pattern;
use libfuzzer_sys::fuzz_target;

const MAX_LENGTH: usize = 200;

// A pattern, a line break and a key.
fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (glob, key) = text.split_once('\n').unwrap_or((text, text));
    if glob.len() > MAX_LENGTH || key.len() > MAX_LENGTH {
        return;
    }
    let escaped: String = glob.chars().flat_map(|c| ['\\', c]).collect();
    let literal = Pattern::parse(&escaped).expect("what is escaped is a pattern");
    assert!(literal.matches(glob));
    assert_eq!(literal.literal_prefix(), glob);
    assert_eq!(literal.matches(key), key == glob);

    let Ok(pattern) = Pattern::parse(glob) else { return };
    let glob: Vec<char> = glob.chars().collect();
    let key_chars: Vec<char> = key.chars().collect();
    let matched = pattern.matches(key);
    assert_eq!(matched, matches(&glob, &key_chars));
    assert!(!matched || key.starts_with(pattern.literal_prefix()));
});

/// Whether it matches, by all positions at which the key can stand after each part.
fn matches(mut glob: &[char], key: &[char]) -> bool {
    let mut reached = vec![false; key.len() + 1];
    reached[0] = true;
    while !glob.is_empty() {
        let (part, rest) = part(glob);
        let mut next = vec![false; key.len() + 1];
        for start in (0..=key.len()).filter(|&start| reached[start]) {
            match part {
                Part::Many => next[start..].fill(true),
                Part::One(judge) => {
                    if key.get(start).is_some_and(|&char| judge.holds(char)) {
                        next[start + 1] = true;
                    }
                }
            }
        }
        (reached, glob) = (next, rest);
    }
    reached[key.len()]
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Many,
    One(Judge<'a>),
}

#[derive(Clone, Copy)]
enum Judge<'a> {
    Any,
    Is(char),
    /// What stands between the brackets.
    In(&'a [char]),
}

fn part(glob: &[char]) -> (Part<'_>, &[char]) {
    match glob {
        ['*', rest @ ..] => (Part::Many, rest),
        ['?', rest @ ..] => (Part::One(Judge::Any), rest),
        ['[', rest @ ..] => {
            let mut end = 0;
            while rest[end] != ']' {
                end += if rest[end] == '\\' { 2 } else { 1 };
            }
            (Part::One(Judge::In(&rest[..end])), &rest[end + 1..])
        }
        ['\\', char, rest @ ..] | [char, rest @ ..] => (Part::One(Judge::Is(*char)), rest),
        [] => unreachable!("there is a part"),
    }
}

impl Judge<'_> {
    fn holds(self, char: char) -> bool {
        match self {
            Self::Any => true,
            Self::Is(one) => one == char,
            Self::In(['^', set @ ..]) => !is_in(set, char),
            Self::In(set) => is_in(set, char),
        }
    }
}

fn is_in(mut set: &[char], char: char) -> bool {
    let mut found = false;
    while let Some((first, rest)) = one(set) {
        let (last, rest) = match rest {
            ['-', after @ ..] if !after.is_empty() => one(after).expect("something follows"),
            _ => (first, rest),
        };
        found |= (first.min(last)..=first.max(last)).contains(&char);
        set = rest;
    }
    found
}

/// One character, escaped or not.
fn one(set: &[char]) -> Option<(char, &[char])> {
    match set {
        ['\\', char, rest @ ..] | [char, rest @ ..] => Some((*char, rest)),
        [] => None,
    }
}
