//! A record in the database: its row, and one change of it.

pub(crate) mod change;
pub(crate) mod row;
mod varint;
