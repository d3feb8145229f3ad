//! Pure decisions: a request and an image give records and a response.
