//! Assembles a broker from its parts, and takes it down again.
