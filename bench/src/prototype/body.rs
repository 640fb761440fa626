//! The queues that all policies share.

use std::collections::VecDeque;

use super::ghost::Ghost;
use super::sketch::Sketch;

/// What a policy asks the map about its entries, which it knows by their hashes.
pub trait Entries {
    /// How often the entry was hit since this was last changed, at most [`MOST_HITS`], and changes it.
    /// Nothing if the entry is gone.
    fn change_hits(&mut self, hash: u64, change: impl FnOnce(u8) -> u8) -> Option<u8>;

    /// Takes the entry out.
    fn evict(&mut self, hash: u64);
}

/// Who is let from the window into the main queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// Who was used more often than the one that would have to leave: TinyLFU's rule.
    Frequency,
    /// Who was hit twice in the window, or has come back soon after leaving: S3-FIFO's rule.
    Reuse,
}

/// What the queues obey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The share of the capacity that the window may take.
    pub window: f64,
    /// The way out of it.
    pub admission: Admission,
}

/// A window for what is new and a main queue for what has proved itself. Both are queues in which an
/// entry that was hit goes round once more, so that a hit moves nothing.
#[derive(Clone, Debug)]
pub struct Body {
    capacity: usize,
    rules: Rules,
    window: VecDeque<u64>,
    main: VecDeque<u64>,
    sketch: Sketch,
    ghost: Ghost,
}

impl Body {
    /// Empty queues for so many entries.
    pub fn new(capacity: usize, rules: Rules) -> Self {
        let capacity = capacity.max(1);
        Self {
            capacity,
            rules,
            window: VecDeque::new(),
            main: VecDeque::new(),
            sketch: Sketch::new(capacity),
            ghost: Ghost::new(capacity),
        }
    }

    /// From now on these hold. What lies in the queues follows as entries come and go.
    pub const fn obey(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// What holds now.
    pub const fn rules(&self) -> Rules {
        self.rules
    }

    /// How many entries the queues hold, those that are gone from the map and not yet met included.
    pub fn len(&self) -> usize {
        self.window.len() + self.main.len()
    }

    /// Takes in a new entry, and evicts what there is no room for.
    pub fn insert(&mut self, hash: u64, entries: &mut impl Entries) {
        self.sketch.add(hash, 1);
        let came_back = self.ghost.take(hash);
        if came_back && self.rules.admission == Admission::Reuse {
            self.main.push_back(hash);
        } else {
            self.window.push_back(hash);
        }
        self.shrink(entries);
        self.overflow();
    }

    /// While nobody has to leave for it, the oldest of too large a window go on as they are; few at
    /// a time, so that no insert takes long.
    fn overflow(&mut self) {
        for _ in 0..MOST_MOVED {
            if self.window.len() <= self.window_room() {
                return;
            }
            self.main.extend(self.window.pop_front());
        }
    }

    fn shrink(&mut self, entries: &mut impl Entries) {
        while self.len() > self.capacity {
            let is_over = self.window.len() > self.window_room();
            match self.rules.admission {
                Admission::Reuse if is_over || self.main.is_empty() => self.leave_window(entries),
                Admission::Frequency if is_over => self.contest(entries),
                _ => {
                    if let Some(victim) = self.victim(entries) {
                        entries.evict(victim);
                    }
                }
            }
        }
    }

    fn window_room(&self) -> usize {
        ((self.capacity as f64 * self.rules.window) as usize).max(1)
    }

    /// The oldest of the window goes on or leaves, as it was hit or not.
    fn leave_window(&mut self, entries: &mut impl Entries) {
        let Some(hash) = self.window.pop_front() else { return };
        let Some(hits) = entries.change_hits(hash, |_| 0) else { return };
        self.sketch.add(hash, hits);
        if hits > 1 {
            self.main.push_back(hash);
        } else {
            self.ghost.add(hash);
            entries.evict(hash);
        }
    }

    /// The oldest of the window that was not hit and the oldest of the main queue: who was used more
    /// often stays.
    fn contest(&mut self, entries: &mut impl Entries) {
        let Some(candidate) = oldest(&mut self.window, &mut self.sketch, entries, |_| 0) else {
            return;
        };
        let Some(victim) = self.victim(entries) else {
            self.main.push_back(candidate);
            return;
        };
        if self.sketch.uses(candidate) > self.sketch.uses(victim) {
            self.main.push_back(candidate);
            entries.evict(victim);
        } else {
            self.main.push_front(victim);
            self.ghost.add(candidate);
            entries.evict(candidate);
        }
    }

    /// The one that would have to leave the main queue, taken out of it.
    fn victim(&mut self, entries: &mut impl Entries) -> Option<u64> {
        oldest(&mut self.main, &mut self.sketch, entries, |hits| hits.saturating_sub(1))
    }
}

/// Takes out the oldest that was not hit; those that were go round once more.
fn oldest(
    queue: &mut VecDeque<u64>,
    sketch: &mut Sketch,
    entries: &mut impl Entries,
    left: impl Fn(u8) -> u8,
) -> Option<u64> {
    while let Some(hash) = queue.pop_front() {
        match entries.change_hits(hash, &left) {
            None => {}
            Some(0) => return Some(hash),
            Some(hits) => {
                sketch.add(hash, hits - left(hits));
                queue.push_back(hash);
            }
        }
    }
    None
}

/// More hits than these are not told apart.
pub const MOST_HITS: u8 = 3;
const MOST_MOVED: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{Admission, Body, Rules};
    use crate::prototype::marks::Marks;
    use crate::prototype::mix;
    use crate::random::Random;

    const ALL: [Rules; 4] = [
        Rules { window: 0.01, admission: Admission::Frequency },
        Rules { window: 1.0, admission: Admission::Frequency },
        Rules { window: 0.1, admission: Admission::Reuse },
        Rules { window: 0.4, admission: Admission::Reuse },
    ];

    fn access(body: &mut Body, marks: &mut Marks, key: u64) -> bool {
        let was_there = marks.hit(mix(key));
        if !was_there {
            marks.put(mix(key));
            body.insert(mix(key), marks);
        }
        was_there
    }

    #[test]
    fn the_queues_hold_the_entries_and_never_more_than_there_is_room_for() {
        let (mut body, mut marks) = (Body::new(50, ALL[0]), Marks::default());
        let mut random = Random::new(1);
        for step in 0..20_000 {
            if step % 100 == 0 {
                body.obey(ALL[random.below(ALL.len())]);
            }
            let key = random.below(1 + random.clone().below(200));
            access(&mut body, &mut marks, key as u64);
            assert!(body.len() <= 50);
            assert_eq!(body.len(), marks.len());
        }
        let mut queued: Vec<u64> = body.window.iter().chain(&body.main).copied().collect();
        queued.sort_unstable();
        queued.dedup();
        assert_eq!(queued.len(), marks.len(), "each is in one queue once");
    }

    #[test]
    fn a_window_of_everything_gives_those_that_were_hit_another_round() {
        let (mut body, mut marks) = (Body::new(30, ALL[1]), Marks::default());
        let mut model: VecDeque<(u64, bool)> = VecDeque::new();
        let mut random = Random::new(2);
        for _ in 0..20_000 {
            let key = random.below(60) as u64;
            let found = model.iter_mut().find(|(known, _)| *known == key);
            let was_there = found.is_some();
            match found {
                Some((_, is_hit)) => *is_hit = true,
                None => model.push_back((key, false)),
            }
            while model.len() > 30 {
                let (oldest, is_hit) = model.pop_front().unwrap();
                if is_hit {
                    model.push_back((oldest, false));
                }
            }
            assert_eq!(access(&mut body, &mut marks, key), was_there);
        }
    }

    #[test]
    fn what_is_gone_from_the_map_makes_room_first() {
        let (mut body, mut marks) = (Body::new(10, ALL[1]), Marks::default());
        (0..10).for_each(|key| assert!(!access(&mut body, &mut marks, key)));
        marks.remove(mix(0));
        access(&mut body, &mut marks, 10);
        assert!((1..=10).all(|key| marks.hit(mix(key))));
        assert_eq!((body.len(), marks.len()), (10, 10));
    }

    #[test]
    fn what_was_hit_twice_or_comes_back_gets_past_a_scan() {
        let (mut body, mut marks) = (Body::new(100, ALL[2]), Marks::default());
        for key in 0..5 {
            (0..3).for_each(|_| _ = access(&mut body, &mut marks, key));
        }
        (1_000..1_200).for_each(|key| _ = access(&mut body, &mut marks, key));
        assert!((0..5).all(|key| marks.hit(mix(key))));
        // It has left, and comes back once: the next scan does not sweep it out.
        let late = (1_000..1_200).rev().find(|key| !marks.clone().hit(mix(*key))).unwrap();
        access(&mut body, &mut marks, late);
        (2_000..2_100).for_each(|key| _ = access(&mut body, &mut marks, key));
        assert!(marks.hit(mix(late)));
    }
}
