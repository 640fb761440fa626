//! The explored scenarios, one test each.

mod changes;
mod conditions;
mod flaws;
mod hand_outs;
mod readers;
mod writes;
