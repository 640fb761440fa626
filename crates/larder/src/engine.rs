//! The bounded map under the local tier.
