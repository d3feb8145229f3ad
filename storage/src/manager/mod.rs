//! Every log of every log directory.
