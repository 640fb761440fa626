//! The only file that names the asynchronous runtime.
