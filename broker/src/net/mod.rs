//! Listeners, transports and pipelined connections.
