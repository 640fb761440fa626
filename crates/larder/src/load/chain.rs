//! Which load waits for which.
