//! A small backend: records in the files of a folder, shared by the processes of a host.
//!
//! The backend is correct, and slow where it need not be: `docs/adding-a-backend.md` builds it step
//! by step.

pub use crate::cabinet::Cabinet;

mod cabinet;
mod drawer;
