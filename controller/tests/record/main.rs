//! Metadata records: their bytes against Kafka's, and hostile bytes.

mod golden;
mod hostile;
