//! Counters and gauges, in Prometheus' text format.
