//! Walks bytes against the shape of a message before anything is allocated for it.
