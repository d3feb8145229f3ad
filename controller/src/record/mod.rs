//! Metadata records: facts, encoded in Kafka's schemas.
