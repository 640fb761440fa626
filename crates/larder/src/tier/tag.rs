//! Versions of tags and of everything, as this process knows them.
