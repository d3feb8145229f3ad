//! The controller as the broker uses it: real directories, real fsyncs, real threads.

mod brokers;
mod cluster;
mod durability;
mod failure;
mod faults;

mod idle;
mod membership;
mod peers;
mod proposals;
mod publishing;
mod rolling_upgrade;
mod snapshots;
mod start;
mod voters;
