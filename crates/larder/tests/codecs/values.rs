//! Values of all shapes, and a random source of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) note: Option<String>,
    pub(crate) lines: Vec<Line>,
    pub(crate) by_name: BTreeMap<String, i32>,
    pub(crate) state: State,
    pub(crate) weight: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line(pub(crate) String, pub(crate) i64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Open,
    Sent { at: u32 },
    Split(Vec<State>),
}

/// Types that recurse in each of the ways in which a decoder can.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tree(Vec<Tree>);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Chain {
    End,
    Next(Box<Chain>),
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Named {
    next: Option<Box<Named>>,
}

/// A struct without fields. A decoder still walks the fields that it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Nothing {}

/// Returns a chain of so many links.
pub(crate) fn chain(length: usize) -> Chain {
    (0..length).fold(Chain::End, |end, _| Chain::Next(Box::new(end)))
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    pub(crate) fn bytes(&mut self, below: usize) -> Vec<u8> {
        (0..self.below(below)).map(|_| self.byte()).collect()
    }

    /// Changes, cuts or lengthens bytes in one to four places.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let place = self.below(bytes.len());
            match self.below(3) {
                0 => bytes[place] = self.byte(),
                1 => bytes.truncate(place.max(1)),
                _ => bytes.insert(place, self.byte()),
            }
        }
    }

    fn text(&mut self) -> String {
        (0..self.below(40)).map(|_| ['a', '\0', '\u{e9}', '\u{1F980}'][self.below(4)]).collect()
    }

    pub(crate) fn order(&mut self) -> Order {
        Order {
            id: self.0 >> self.below(64),
            note: (self.below(2) == 0).then(|| self.text()),
            lines: (0..self.below(20)).map(|_| Line(self.text(), -1 << self.below(63))).collect(),
            by_name: (0..self.below(5))
                .map(|n| (self.text(), -i32::try_from(n).unwrap()))
                .collect(),
            state: self.state(4),
            weight: 1.5,
        }
    }

    fn state(&mut self, depth: usize) -> State {
        match self.below(if depth == 0 { 2 } else { 3 }) {
            0 => State::Open,
            1 => State::Sent { at: 70_000 },
            _ => State::Split((0..self.below(3)).map(|_| self.state(depth - 1)).collect()),
        }
    }
}
