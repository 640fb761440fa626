//! The common form of writes, retimes and deletes.

use larder_core::{Backend, Delete, Key, Outcome, Retime, Write};

use super::Operation;

/// One change of a batch.
pub(super) trait Change: Clone + Send + Sync {
    const OPERATION: Operation;

    fn key(&self) -> &Key;

    fn into_late(self) -> Late;

    fn apply<B: Backend>(
        backend: &B,
        changes: &[Self],
    ) -> impl Future<Output = Vec<Outcome>> + Send;
}

/// A change that was kept back.
#[derive(Clone, Debug)]
pub(super) enum Late {
    Write(Write),
    Retime(Retime),
    Delete(Delete),
}

impl Change for Write {
    const OPERATION: Operation = Operation::Write;

    fn key(&self) -> &Key {
        &self.key
    }

    fn into_late(self) -> Late {
        Late::Write(self)
    }

    async fn apply<B: Backend>(backend: &B, changes: &[Self]) -> Vec<Outcome> {
        backend.write(changes).await
    }
}

impl Change for Retime {
    const OPERATION: Operation = Operation::Retime;

    fn key(&self) -> &Key {
        &self.key
    }

    fn into_late(self) -> Late {
        Late::Retime(self)
    }

    async fn apply<B: Backend>(backend: &B, changes: &[Self]) -> Vec<Outcome> {
        backend.retime(changes).await
    }
}

impl Change for Delete {
    const OPERATION: Operation = Operation::Delete;

    fn key(&self) -> &Key {
        &self.key
    }

    fn into_late(self) -> Late {
        Late::Delete(self)
    }

    async fn apply<B: Backend>(backend: &B, changes: &[Self]) -> Vec<Outcome> {
        backend.delete(changes).await
    }
}
