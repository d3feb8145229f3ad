//! The table of API keys and the versions of each that Weir speaks.
