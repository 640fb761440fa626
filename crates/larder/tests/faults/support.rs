//! Runtimes that several faults need.

use tokio::runtime::Runtime;

pub(crate) fn threads(count: usize) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(count).enable_time().build().unwrap()
}
