//! Encodes Fetch responses around records that stay where they are.
