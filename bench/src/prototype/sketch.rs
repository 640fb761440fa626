//! How often keys were asked for lately, in half a byte each.

/// A count-min sketch of 4-bit counters, four to a key. All are halved once as many uses were added
/// as ten times the entries it is for, so that what was popular long ago is forgotten.
#[derive(Clone, Debug)]
pub struct Sketch {
    words: Vec<u64>,
    added: usize,
    limit: usize,
}

impl Sketch {
    /// A sketch for so many entries: four bytes for each, and at least 256 of them.
    pub fn new(entries: usize) -> Self {
        let words = entries.div_ceil(COUNTERS / PER_ENTRY).next_power_of_two().max(32);
        Self { words: vec![0; words], added: 0, limit: entries.max(16).saturating_mul(10) }
    }

    /// Counts so many uses.
    pub fn add(&mut self, hash: u64, uses: u8) {
        for _ in 0..uses {
            let mut is_added = false;
            for place in 0..DEPTH {
                let (word, shift) = self.locate(hash, place);
                if (self.words[word] >> shift) & MOST < MOST {
                    self.words[word] += 1 << shift;
                    is_added = true;
                }
            }
            self.added += usize::from(is_added);
        }
        if self.added >= self.limit {
            self.age();
        }
    }

    /// How often it was used, at most 15. Never less than it was since the last halving, but for
    /// what is above 15.
    pub fn uses(&self, hash: u64) -> u8 {
        let counters = (0..DEPTH).map(|place| {
            let (word, shift) = self.locate(hash, place);
            (self.words[word] >> shift) & MOST
        });
        counters.min().unwrap_or(0) as u8
    }

    fn age(&mut self) {
        for word in &mut self.words {
            *word = (*word >> 1) & LOW_THREE;
        }
        self.added /= 2;
    }

    /// The word of a key's counter, and how far it lies in it.
    fn locate(&self, hash: u64, place: usize) -> (usize, u32) {
        let mixed = (hash ^ SEEDS[place]).wrapping_mul(SEEDS[place]);
        let word = (mixed >> 32) as usize & (self.words.len() - 1);
        (word, (mixed >> 28) as u32 % 16 * 4)
    }
}

const DEPTH: usize = 4;
/// Counters in a word, and for an entry.
const COUNTERS: usize = 16;
const PER_ENTRY: usize = 8;
const MOST: u64 = 15;
const LOW_THREE: u64 = 0x7777_7777_7777_7777;
/// Odd numbers without a pattern, one for each counter of a key.
const SEEDS: [u64; DEPTH] =
    [0xC3A5_C85C_97CB_3127, 0xB492_B66F_BE98_F273, 0x9AE1_6A3B_2F90_404F, 0xCBF2_9CE4_8422_2325];

#[cfg(test)]
mod tests {
    use super::Sketch;
    use crate::prototype::mix;

    #[test]
    fn it_never_counts_too_few_of_what_it_has_room_for() {
        let mut sketch = Sketch::new(1_000);
        for key in 0..500_u64 {
            sketch.add(mix(key), (key % 15) as u8);
        }
        for key in 0..500_u64 {
            assert!(sketch.uses(mix(key)) >= (key % 15) as u8);
        }
        let unused = (10_000..11_000).filter(|key| sketch.uses(mix(*key)) <= 2).count();
        assert!(unused > 900, "{unused}");
    }

    #[test]
    fn what_is_old_is_halved() {
        let mut sketch = Sketch::new(16);
        sketch.add(mix(1), 12);
        for key in 2..150 {
            sketch.add(mix(key), 1);
        }
        assert!((6..=8).contains(&sketch.uses(mix(1))), "{}", sketch.uses(mix(1)));
    }
}
