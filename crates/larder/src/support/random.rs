//! Random numbers that a forked process does not share with its parent.

use std::cell::RefCell;

use fastrand::Rng;
use larder_core::Version;

/// Returns a random number from 0 up to 1.
pub(crate) fn unit() -> f64 {
    draw(Rng::f64)
}

/// Returns a random number below this bound, which is above zero.
pub(crate) fn below(bound: u32) -> u32 {
    draw(|rng| rng.u32(..bound))
}

fn draw<T>(one: impl FnOnce(&mut Rng) -> T) -> T {
    CHANCE.with_borrow_mut(|chance| {
        let pid = std::process::id();
        match chance {
            Some(chance) if chance.pid == pid => one(&mut chance.rng),
            other => {
                // Versions differ in a forked child; a seed that its thread has inherited does not.
                let rng = Rng::with_seed(Version::next().to_number());
                one(&mut other.insert(Chance { pid, rng }).rng)
            }
        }
    })
}

/// Lets this thread's numbers follow from a seed, so that a history can be run again.
#[cfg(test)]
pub(crate) fn seed(seed: u64) {
    let chance = Chance { pid: std::process::id(), rng: Rng::with_seed(seed) };
    CHANCE.set(Some(chance));
}

struct Chance {
    pid: u32,
    rng: Rng,
}

thread_local! {
    static CHANCE: RefCell<Option<Chance>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::{CHANCE, seed, unit};

    #[test]
    fn numbers_follow_from_a_seed_until_the_process_is_another() {
        seed(1);
        let first = unit();
        seed(1);
        assert_eq!(unit().to_bits(), first.to_bits());
        seed(1);
        // In a forked child the process id differs from the stored one.
        CHANCE.with_borrow_mut(|chance| chance.as_mut().unwrap().pid += 1);
        assert_ne!(unit().to_bits(), first.to_bits());
    }
}
