//! What is explored, one test each.

mod changes;
mod flaws;
mod readers;
mod writes;
