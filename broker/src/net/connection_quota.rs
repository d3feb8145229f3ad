//! How many connections there may be, in all and from one address (Kafka's `ConnectionQuotas`).
//!
//! At `max.connections` the acceptors wait for one to close, as Kafka does; beyond `max.connections.per.ip` a connection is
//! closed at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::config::NetworkConfig;

/// Counts of open connections.
#[derive(Debug)]
pub(super) struct ConnectionQuota {
    max: usize,
    max_per_ip: usize,
    overrides: HashMap<IpAddr, usize>,
    open: Mutex<Open>,
    /// Notified when a connection closes while the quota is exhausted.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// One connection's share of the quota, given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    quota: Arc<ConnectionQuota>,
    ip: IpAddr,
}

/// The address has as many connections as it may have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("too many connections from {ip} (max.connections.per.ip: {limit})")]
pub(super) struct TooManyFromAddress {
    ip: IpAddr,
    limit: usize,
}

impl ConnectionQuota {
    pub(super) fn new(config: &NetworkConfig) -> ConnectionQuota {
        ConnectionQuota {
            max: config.max_connections,
            max_per_ip: config.max_connections_per_ip,
            overrides: config.max_connections_per_ip_overrides.clone(),
            open: Mutex::new(Open::default()),
            freed: Notify::new(),
        }
    }

    /// Waits until there may be one more.
    pub(super) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            if self.open.lock().total < self.max {
                return;
            }
            freed.await;
        }
    }

    /// Counts a connection in.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<ConnectionSlot, TooManyFromAddress> {
        let ip = ip.to_canonical();
        let limit = self.overrides.get(&ip).copied().unwrap_or(self.max_per_ip);
        let mut open = self.open.lock();
        let from_address = open.by_ip.entry(ip).or_default();
        if *from_address >= limit {
            if *from_address == 0 {
                open.by_ip.remove(&ip);
            }
            return Err(TooManyFromAddress { ip, limit });
        }
        *from_address += 1;
        open.total += 1;
        Ok(ConnectionSlot { quota: Arc::clone(self), ip })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.quota.open.lock();
        let exhausted = open.total >= self.quota.max;
        open.total -= 1;
        if let Some(from_address) = open.by_ip.get_mut(&self.ip) {
            *from_address -= 1;
            if *from_address == 0 {
                open.by_ip.remove(&self.ip);
            }
        }
        drop(open);
        if exhausted {
            self.quota.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn each_address_has_its_limit_and_its_override() {
        let config = NetworkConfig {
            max_connections_per_ip: 2,
            max_connections_per_ip_overrides: HashMap::from([(ip(9), 0), (ip(8), 3)]),
            ..NetworkConfig::default()
        };
        let quota = Arc::new(ConnectionQuota::new(&config));
        let slots = [quota.enter(ip(1)).unwrap(), quota.enter(ip(1)).unwrap()];
        assert_eq!(quota.enter(ip(1)).unwrap_err(), TooManyFromAddress { ip: ip(1), limit: 2 });
        assert!(quota.enter(ip(2)).is_ok());
        assert!(quota.enter(ip(9)).is_err());
        drop(slots);
        assert!(quota.enter(ip(1)).is_ok());
        assert!(quota.open.lock().by_ip.is_empty());
    }
}
