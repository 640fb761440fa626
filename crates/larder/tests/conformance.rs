//! The contract, kept by the memory backend, bare, boxed and behind idle faults.

use std::sync::Arc;

use larder::MemoryBackend;
use larder::backend::AnyBackend;
use larder_testkit::conformance::ManualEnv;
use larder_testkit::{Faulty, ManualClock, conformance};

fn memory(clock: ManualClock) -> MemoryBackend {
    MemoryBackend::new(Arc::new(clock))
}

conformance!(bare, ManualEnv::new(memory));
conformance!(boxed, ManualEnv::new(|clock| AnyBackend::new(memory(clock))));
conformance!(
    faulty_but_idle,
    ManualEnv::new(|clock| { Faulty::new(memory(clock.clone()), Arc::new(clock)) })
);
