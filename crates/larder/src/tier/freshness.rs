//! Decisions about an entry of the local tier: pure functions of its times, the clock and chance.

use std::time::Duration;

use larder_core::{Life, NEVER, Timestamp};

use crate::options::{Settings, Ttl};
use crate::tier::entry::{Entry, Metadata};

/// The number of load costs before the expiry within which XFetch draws: further out the chance is
/// 1 in 20,000.
const EARLY_WINDOW: f64 = 10.0;
/// The first wait after a failed load, and the longest.
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// The verdict on a live entry: serve it, compare it or load it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve the entry.
    Serve,
    /// Serve the entry, and load it anew in the background.
    Refresh,
    /// First compare the epoch and the entry's tags with the authority's.
    CheckMarks,
    /// First compare the entry with the authority's copy.
    CheckCopy,
    /// The entry is past its ttl: load, and keep it as a fallback.
    Stale,
    /// The entry is past its ttl, and the last load failed a moment ago: serve it without another
    /// load.
    Resting,
}

/// Judges an entry at this time. `chance` is uniform between 0 and 1.
pub(crate) fn judge<V>(entry: &Entry<V>, now: Timestamp, chance: f64) -> Verdict {
    let metadata = &entry.metadata;
    if !metadata.is_copy_trusted(now) {
        Verdict::CheckCopy
    } else if !metadata.is_trusted(now) {
        Verdict::CheckMarks
    } else if entry.life != Life::Fresh {
        if now < metadata.retry_at { Verdict::Resting } else { Verdict::Stale }
    } else if now >= metadata.retry_at && (metadata.refresh_at <= now || early(entry, now, chance))
    {
        Verdict::Refresh
    } else {
        Verdict::Serve
    }
}

/// True if XFetch wants a load now: `-cost · beta · ln(chance)` reaches the expiry.
fn early<V>(entry: &Entry<V>, now: Timestamp, chance: f64) -> bool {
    let metadata = &entry.metadata;
    let left = entry.fresh_until.since(now);
    if metadata.early_refresh <= 0.0 || metadata.cost.is_zero() || left == NEVER {
        return false;
    }
    let reach =
        -metadata.cost.as_secs_f64() * metadata.early_refresh * chance.max(f64::MIN_POSITIVE).ln();
    reach >= left.as_secs_f64()
}

/// Returns the time at which a hit on the entry first needs a closer look.
pub(crate) fn attend_at(fresh_until: Timestamp, metadata: &Metadata) -> Timestamp {
    let window = metadata.cost.as_secs_f64() * metadata.early_refresh * EARLY_WINDOW;
    let window = Duration::try_from_secs_f64(window).unwrap_or(NEVER);
    let early = if window.is_zero() { fresh_until } else { fresh_until.before(window) };
    early.min(fresh_until).min(metadata.refresh_at).min(metadata.marks_due).min(metadata.copy_due)
}

/// Returns how long a value written now is fresh, and how long it is kept. Zero means not at all.
/// `chance` is uniform between 0 and 1, and drawn only if there is jitter.
pub(crate) fn lives(
    settings: &Settings,
    ttl: Ttl,
    now: Timestamp,
    chance: impl FnOnce() -> f64,
) -> (Duration, Duration) {
    let ttl = match ttl {
        Ttl::Default => settings.ttl,
        own => own,
    };
    let fresh_for = ttl.length(now, NEVER);
    if fresh_for == NEVER || fresh_for.is_zero() {
        return (fresh_for, fresh_for);
    }
    let chance = if settings.jitter > 0.0 { chance() } else { 0.0 };
    let jitter = fresh_for.as_secs_f64() * settings.jitter * chance;
    let jitter = Duration::try_from_secs_f64(jitter).unwrap_or_default();
    let fresh_for = fresh_for.saturating_add(jitter);
    (fresh_for, fresh_for.saturating_add(settings.grace))
}

/// Returns the wait before the next load after this many failures in a row: it grows twofold, with
/// jitter.
pub(crate) fn back_off(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_BACK_OFF.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_BACK_OFF).mul_f64(0.75 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::{Life, NEVER, Timestamp, Version};

    use super::{Verdict, attend_at, back_off, judge, lives};
    use crate::options::{Options, Settings, Ttl};
    use crate::tier::entry::{Content, Entry, Metadata};
    use crate::tier::marks::here::Generation;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO.after(Duration::from_secs(seconds))
    }

    fn entry(life: Life, metadata: Metadata) -> Entry<()> {
        let (fresh_until, kept_until) = (at(100), at(200));
        let (content, generation, is_marked) = (Content::Value(()), Generation::default(), false);
        Entry { content, life, is_marked, fresh_until, kept_until, metadata, generation }
    }

    #[test]
    fn what_must_be_compared_comes_before_what_may_be_served() {
        let metadata = Metadata::new(Version::NONE, at(0));
        assert_eq!(judge(&entry(Life::Fresh, metadata), at(50), 0.5), Verdict::Serve);
        assert_eq!(judge(&entry(Life::Stale, metadata), at(100), 0.5), Verdict::Stale);
        let refresh = Metadata { refresh_at: at(40), ..metadata };
        assert_eq!(judge(&entry(Life::Fresh, refresh), at(40), 0.5), Verdict::Refresh);
        let marks = Metadata { marks_due: at(30), ..refresh };
        assert_eq!(judge(&entry(Life::Fresh, marks), at(40), 0.5), Verdict::CheckMarks);
        let copy = Metadata { copy_due: at(30), ..marks };
        assert_eq!(judge(&entry(Life::Stale, copy), at(40), 0.5), Verdict::CheckCopy);
        let resting = Metadata { retry_at: at(120), ..metadata };
        assert_eq!(judge(&entry(Life::Stale, resting), at(110), 0.5), Verdict::Resting);
        assert_eq!(judge(&entry(Life::Stale, resting), at(120), 0.5), Verdict::Stale);
    }

    #[test]
    fn early_refresh_is_likelier_near_the_expiry_and_attended_in_its_window() {
        let cost = Duration::from_secs(1);
        let metadata = Metadata { cost, early_refresh: 1.0, ..Metadata::new(Version::NONE, at(0)) };
        let entry = entry(Life::Fresh, metadata);
        assert_eq!(attend_at(at(100), &metadata), at(90));
        // With a cost of one second, -ln(0.5) is 0.69 seconds: a refresh is not due two seconds
        // before the expiry, but is half a second before.
        assert_eq!(judge(&entry, at(98), 0.5), Verdict::Serve);
        let near = at(99).after(Duration::from_millis(500));
        assert_eq!(judge(&entry, near, 0.5), Verdict::Refresh);
        assert_eq!(judge(&entry, at(98), 0.1), Verdict::Refresh);
    }

    #[test]
    fn lives_add_jitter_and_grace_and_never_overflow() {
        let settings = Settings::default();
        let with = |options| settings.with(options);
        let ten = Options::new().ttl(Duration::from_secs(10));
        let grace = with(ten.clone().grace(Duration::from_secs(5)).jitter(0.5));
        let (fresh, kept) = lives(&grace, Ttl::Default, at(0), || 1.0);
        assert_eq!((fresh.as_secs(), kept.as_secs()), (15, 20));
        let (fresh, kept) = lives(&with(ten.grace(NEVER)), Ttl::Default, at(0), || 0.0);
        assert_eq!((fresh.as_secs(), kept), (10, NEVER));
        let until = lives(&settings, Ttl::Until(at(7)), at(5), || 0.0);
        assert_eq!(until.0, Duration::from_secs(2));
        assert_eq!(lives(&settings, Ttl::Until(at(3)), at(5), || 0.0).0, Duration::ZERO);
        assert_eq!(lives(&settings, Ttl::Default, at(5), || 0.0), (NEVER, NEVER));
    }

    #[test]
    fn back_off_grows_with_jitter_up_to_a_bound() {
        assert_eq!(back_off(1, 0.5), Duration::from_millis(500));
        assert_eq!(back_off(3, 0.5), Duration::from_secs(2));
        assert!(back_off(3, 0.0) < back_off(3, 1.0));
        assert_eq!(back_off(u32::MAX, 0.5), Duration::from_secs(60));
    }
}
