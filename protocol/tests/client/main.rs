//! The client against brokers made for it: a fake one in this process, and sockets that misbehave.

mod connection;
mod fake_broker;
mod produce_consume;
mod serial;
mod tls;
