//! The memory backend, the reference implementation of the contract.
