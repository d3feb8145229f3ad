//! Partitions as this broker serves them: leadership, high watermark, appends, reads.
