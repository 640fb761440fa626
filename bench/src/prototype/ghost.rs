//! What left lately, by fingerprint.

/// The keys that left lately, of which only a fingerprint and the time are kept: eight bytes each.
///
/// A key has four places it may lie in. Time is counted in departures: what left before as many as
/// it is to remember is forgotten where it lies.
#[derive(Clone, Debug)]
pub struct Ghost {
    places: Vec<Place>,
    now: u32,
    remembered: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Zero: nothing lies here.
    fingerprint: u32,
    left: u32,
}

impl Ghost {
    /// One that remembers so many.
    pub fn new(remembered: usize) -> Self {
        let places = remembered.next_power_of_two().max(2 * WAYS);
        let remembered = u32::try_from(remembered).unwrap_or(u32::MAX / 2);
        Self { places: vec![Place::default(); places], now: 0, remembered }
    }

    /// Notes that it left.
    pub fn add(&mut self, hash: u64) {
        self.now = self.now.wrapping_add(1);
        let now = self.now;
        let (fingerprint, ways) = self.ways(hash);
        let age = |place: &Place| match place {
            place if place.fingerprint == fingerprint => u64::MAX,
            place if place.fingerprint == 0 => u64::MAX - 1,
            place => u64::from(now.wrapping_sub(place.left)),
        };
        if let Some(place) = ways.iter_mut().max_by_key(|place| age(place)) {
            *place = Place { fingerprint, left: now };
        }
    }

    /// Whether it left lately; it is forgotten then.
    pub fn take(&mut self, hash: u64) -> bool {
        let (now, remembered) = (self.now, self.remembered);
        let (fingerprint, ways) = self.ways(hash);
        let Some(place) = ways.iter_mut().find(|place| place.fingerprint == fingerprint) else {
            return false;
        };
        let is_recent = now.wrapping_sub(place.left) < remembered;
        *place = Place::default();
        is_recent
    }

    fn ways(&mut self, hash: u64) -> (u32, &mut [Place]) {
        let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let first = (mixed >> 32) as usize & (self.places.len() - 1) & !(WAYS - 1);
        ((hash as u32).max(1), &mut self.places[first..first + WAYS])
    }
}

const WAYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::Ghost;
    use crate::prototype::mix;

    #[test]
    fn what_left_lately_is_remembered_once() {
        let mut ghost = Ghost::new(100);
        ghost.add(mix(1));
        assert!(ghost.take(mix(1)));
        assert!(!ghost.take(mix(1)));
        assert!(!ghost.take(mix(2)));
    }

    #[test]
    fn what_left_long_ago_is_forgotten() {
        let mut ghost = Ghost::new(64);
        for key in 0..1_000 {
            ghost.add(mix(key));
        }
        assert!((0..900).all(|key| !ghost.take(mix(key))));
        let remembered = (936..1_000).filter(|key| ghost.take(mix(*key))).count();
        assert!((32..=64).contains(&remembered), "{remembered}");
    }
}
