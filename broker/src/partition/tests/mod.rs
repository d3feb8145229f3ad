//! Replicas of one partition on several brokers, without sockets or a controller: each rule of the shell on its own.

mod cut_off;
mod failover;
mod following;
mod leading;
mod moving;
mod roles;
pub(crate) mod world;
