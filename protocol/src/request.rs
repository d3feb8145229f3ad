//! Decodes request headers and bodies, safely.
