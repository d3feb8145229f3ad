//! Every configuration key: name, type, default, range, documentation.
