//! The work of a scenario's threads.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Poll;

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};

use crate::explore::KEY;
use crate::support::park;
use crate::support::sync::{Arc, thread};
use crate::wait::for_polls;
use crate::world::{Expected, Key, Loader, World};

/// One thread of a scenario.
pub(crate) type Task = Box<dyn FnOnce(&Arc<World>) + Send>;

/// The most steps by which a task may begin late. A change is shorter than a load, and would
/// otherwise be over in nearly every schedule before the load has done anything.
const LATE: usize = 24;

/// Runs all tasks at once, to their ends.
pub(crate) fn together<const N: usize>(world: &Arc<World>, tasks: [Task; N]) {
    let threads = tasks.map(|task| {
        let world = Arc::clone(world);
        thread::spawn(move || {
            (0..thread_rng().gen_range(0..LATE)).for_each(|_| thread::yield_now());
            task(&world);
        })
    });
    for thread in threads {
        if let Err(panic) = thread.join() {
            resume_unwind(panic);
        }
    }
}

fn task(run: impl FnOnce(&Arc<World>) + Send + 'static) -> Task {
    Box::new(run)
}

/// Reads as an async caller.
pub(crate) fn asks(key: Key) -> Task {
    task(move |world| block_on(world.read(key, Loader::Steady)))
}

/// Reads as a plain thread.
pub(crate) fn waits(key: Key) -> Task {
    task(move |world| park::block_on(world.read(key, Loader::Steady)))
}

/// Reads inside a future that is woken before it reads, and polled again after.
pub(crate) fn nests(key: Key) -> Task {
    task(move |world| {
        let mut polls = 0;
        park::block_on(poll_fn(|context| {
            polls += 1;
            // Nobody hears the first poll's waker.
            if polls != 2 {
                return if polls == 1 { Poll::Pending } else { Poll::Ready(()) };
            }
            context.waker().wake_by_ref();
            park::block_on(world.read(key, Loader::Steady));
            Poll::Pending
        }));
    })
}

/// Reads with a loader of another behaviour, whose panic reaches the caller.
pub(crate) fn loads(key: Key, loader: Loader) -> Task {
    task(move |world| {
        let read = || park::block_on(world.read(key, loader));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(read))
            && !panic.is::<Expected>()
        {
            resume_unwind(panic);
        }
    })
}

/// Reads, and goes away at any point of the read.
pub(crate) fn leaves(key: Key) -> Task {
    task(move |world| {
        let polls = thread_rng().gen_range(0..6);
        let _gone = block_on(for_polls(polls, world.read(key, Loader::Steady)));
    })
}

/// Reads while the load is a thread of its own, and goes away at any point.
pub(crate) fn detaches(key: Key) -> Task {
    task(move |world| {
        let polls = thread_rng().gen_range(0..6);
        let _gone = block_on(for_polls(polls, World::read_detached(world, key)));
    })
}

/// Follows, if there is a leader, and takes the leader's offer.
pub(crate) fn hurries(key: Key) -> Task {
    task(move |world| block_on(world.read_impatiently(key)))
}

/// Loads behind the callers' backs, unless a load is under way.
pub(crate) fn refreshes(key: Key) -> Task {
    task(move |world| block_on(world.refresh(key)))
}

/// Changes the cache, and does nothing else.
pub(crate) fn does(change: impl FnOnce(&World) + Send + 'static) -> Task {
    task(move |world| change(world))
}

/// Makes a change and reads at once, while others may still load the earlier value.
pub(crate) fn changes(change: impl FnOnce(&World) + Send + 'static) -> Task {
    task(move |world| {
        change(world);
        park::block_on(world.read(KEY, Loader::Steady));
    })
}
