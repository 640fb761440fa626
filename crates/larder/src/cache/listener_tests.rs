//! Tests: each verb tells the listeners its message, before the authority is asked and when the
//! local tier has followed.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use larder_core::{BoxFuture, ErrorKind};
use larder_testkit::{Fault, Faulty, ManualClock, Operation};

use crate::cache::Cache;
use crate::change::reach::Reach;
use crate::inner::Inner;
use crate::memory::MemoryBackend;
use crate::support::runtime::IoThread;
use crate::support::sync::lock;
use crate::tier::entry::Content;
use crate::tier::message::{ChangeListener, Ending, Message, Text};

type Told = Message<String, String>;

/// A listener that notes the moment of each message.
#[derive(Default)]
struct Recorder {
    notes: Mutex<Vec<Moment>>,
    backend: Option<Faulty<MemoryBackend>>,
    inner: OnceLock<Weak<Inner<u64, u64>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    told: Told,
    /// The end of the change; none at its beginning.
    ending: Option<Ending>,
    /// The number of changes that the backend was asked for by then.
    asked: usize,
    /// The value that the local tier serves for the key 1.
    served: Option<u64>,
}

impl Recorder {
    fn note(&self, change: Text<'_>, ending: Option<Ending>) {
        let inner = self.inner.get().and_then(Weak::upgrade).unwrap();
        let served = inner.local.get(inner.local.hash(&1_u64), &1);
        let moment = Moment {
            told: change.map(str::to_owned, str::to_owned),
            ending,
            asked: self.backend.as_ref().map_or(0, asked),
            served: served.and_then(Content::into_option),
        };
        lock(&self.notes).push(moment);
    }

    fn take(&self) -> Vec<Moment> {
        std::mem::take(&mut *lock(&self.notes))
    }
}

impl ChangeListener for Recorder {
    fn began(&self, change: Text<'_>) {
        self.note(change, None);
    }

    fn ended(&self, change: Text<'_>, ending: Ending) -> Option<BoxFuture<'_, bool>> {
        self.note(change, Some(ending));
        None
    }
}

/// Runs a test in a runtime: changes at a backend are tasks of their own.
fn run(test: impl Future<Output = ()> + Send + 'static) {
    IoThread::start().unwrap().run(test).unwrap();
}

fn asked(backend: &Faulty<MemoryBackend>) -> usize {
    [Operation::Write, Operation::Delete, Operation::Retime]
        .map(|operation| backend.count(operation))
        .iter()
        .sum()
}

/// Makes a cache with a recorder of its changes, alone or over a backend.
fn cache(backend: Option<Faulty<MemoryBackend>>) -> (Cache<u64, u64>, Arc<Recorder>) {
    let builder = Cache::builder().ttl(Duration::from_secs(60)).grace(Duration::from_secs(60));
    let builder = match backend.clone() {
        Some(backend) => builder.namespace("told").backend(backend),
        None => builder,
    };
    let mut cache = builder.build().unwrap();
    let recorder = Arc::new(Recorder { backend, ..Recorder::default() });
    let inner = Arc::get_mut(&mut cache.inner).unwrap();
    inner.listeners.push(Arc::clone(&recorder) as Arc<dyn ChangeListener>);
    recorder.inner.set(Arc::downgrade(&cache.inner)).unwrap();
    (cache, recorder)
}

fn backend() -> Faulty<MemoryBackend> {
    let clock = Arc::new(ManualClock::new());
    Faulty::new(MemoryBackend::new(clock.clone()), clock)
}

/// Calls one verb, of all that change something, over a fresh value 10 under the key 1. Returns the
/// message that the verb must tell.
async fn call(cache: &Cache<u64, u64>, verb: usize) -> Option<Told> {
    let text = str::to_owned;
    let key = Message::Key(text("1"));
    Some(match verb {
        0 => cache.insert(1, 11).await.map(|_| key).unwrap(),
        1 => cache.replace(1, 11).await.map(|_| key).unwrap(),
        2 => cache.compare_and_set(1, 10, 11).await.map(|_| key).unwrap(),
        3 => cache.remove(&1).await.map(|_| key).unwrap(),
        4 => cache.invalidate(&1).await.map(|_| key).unwrap(),
        5 => cache.mark_stale(&1).await.map(|_| Message::StaleKey(text("1"))).unwrap(),
        6 => cache.set_ttl(&1, Duration::from_secs(5)).await.map(|_| key).unwrap(),
        7 => cache.persist(&1).await.map(|_| key).unwrap(),
        8 => cache.revive(&1, Duration::from_secs(5)).await.map(|_| key).unwrap(),
        9 => cache.invalidate_tag("t").await.map(|_| Message::Tag(text("t"))).unwrap(),
        10 => cache.mark_tag_stale("t").await.map(|_| Message::StaleTag(text("t"))).unwrap(),
        11 => cache.invalidate_all().await.map(|_| Message::All).unwrap(),
        12 => cache.mark_all_stale().await.map(|_| Message::StaleAll).unwrap(),
        13 => cache.clear("1*").await.map(|_| Message::Pattern(text("1*"))).unwrap(),
        14 => cache.clear("*").await.map(|_| Message::Pattern(text("*"))).unwrap(),
        _ => return None,
    })
}

/// True if the local tier may serve this after such a verb, where the value was 10.
const fn is_followed(verb: usize, served: Option<u64>) -> bool {
    match verb {
        // The new value, or nothing.
        0..=2 => matches!(served, Some(11) | None),
        // The old value, with another life.
        6..=8 => matches!(served, Some(10) | None),
        _ => served.is_none(),
    }
}

async fn each_verb_tells(backend: Option<Faulty<MemoryBackend>>) {
    let (cache, recorder) = cache(backend.clone());
    let tagged = cache.with(crate::options::Options::new().tags(["t"]));
    for verb in 0.. {
        tagged.insert(1, 10).await.unwrap();
        recorder.take();
        let before = backend.as_ref().map_or(0, asked);
        let Some(told) = call(&cache, verb).await else { break };
        let notes = recorder.take();
        let [began, ended] = notes.as_slice() else { panic!("{verb}: {notes:?}") };
        assert_eq!((&began.told, &ended.told), (&told, &told), "{verb}");
        assert_eq!((began.ending, ended.ending), (None, Some(Ending::Confirmed)), "{verb}");
        assert_eq!((began.served, began.asked), (Some(10), before), "{verb}");
        assert!(is_followed(verb, ended.served), "{verb}: {ended:?}");
        assert_eq!(ended.asked > before, backend.is_some(), "{verb}");
    }
}

#[test]
fn each_verb_tells_its_message_before_and_after_it() {
    run(async {
        each_verb_tells(None).await;
        each_verb_tells(Some(backend())).await;
    });
}

#[test]
fn a_change_that_is_not_confirmed_is_told_as_such() {
    run(async {
        let backend = backend();
        let (cache, recorder) = cache(Some(backend.clone()));
        cache.insert(1, 10).await.unwrap();
        recorder.take();
        backend.next(Operation::Delete, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(cache.invalidate(&1).await.unwrap(), Reach::Local);
        let notes = recorder.take();
        assert_eq!(notes.last().unwrap().ending, Some(Ending::Unconfirmed));
        assert_eq!(notes.last().unwrap().served, None);
    });
}

#[test]
fn a_stale_entry_that_is_not_kept_is_told_as_gone() {
    run(async {
        let (cache, recorder) = cache(None);
        let options = crate::options::Options::new().grace(Duration::ZERO);
        cache.with(options).insert(1, 10).await.unwrap();
        recorder.take();
        cache.mark_stale(&1).await.unwrap();
        let notes = recorder.take();
        assert!(notes.iter().all(|note| note.told == Message::StaleKey("1".to_owned())));
        assert_eq!(notes.last().unwrap().ending, Some(Ending::Gone));
    });
}

#[test]
fn a_number_tells_its_key() {
    run(async {
        for backend in [None, Some(backend())] {
            let (cache, recorder) = cache(backend);
            assert_eq!(cache.incr(&1, 2).await.unwrap(), 2);
            let told: Vec<_> = recorder.take().into_iter().map(|moment| moment.told).collect();
            assert_eq!(told, [Message::Key("1".to_owned()), Message::Key("1".to_owned())]);
        }
    });
}

#[test]
fn a_change_that_changes_nothing_is_told_as_such() {
    run(async {
        for backend in [None, Some(backend())] {
            let (cache, recorder) = cache(backend);
            assert!(!cache.replace(1, 10).await.unwrap());
            let endings: Vec<_> = recorder.take().into_iter().map(|moment| moment.ending).collect();
            assert_eq!(endings[..2], [None, Some(Ending::Unchanged)]);
        }
    });
}
