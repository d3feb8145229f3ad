//! How many connections there may be, in all and from one address, and how many a second (Kafka's `ConnectionQuotas`).
//!
//! At `max.connections` or `max.connection.creation.rate` the acceptors wait, as in Kafka; beyond `max.connections.per.ip`
//! a connection is closed at once. The limits may change while connections run.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::creation_rate::{CreationRate, Next};

/// What connections are limited by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max.connections`.
    pub max: usize,
    /// `max.connections.per.ip`.
    pub max_per_ip: usize,
    /// `max.connections.per.ip.overrides`.
    pub overrides: HashMap<IpAddr, usize>,
    /// `max.connection.creation.rate`, a second.
    pub creation_rate: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        let max = i32::MAX as usize;
        Self { max, max_per_ip: max, overrides: HashMap::new(), creation_rate: i32::MAX as u32 }
    }
}

/// Counts of open connections, and their limits.
#[derive(Debug)]
pub struct ConnectionQuota {
    open: Mutex<Open>,
    /// Notified when a connection closes while the quota is exhausted, and when the limits change.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    limits: ConnectionLimits,
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
    created: CreationRate,
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

impl Open {
    fn room(&self, now: Instant) -> Next {
        match self.total < self.limits.max {
            true => self.created.next(self.limits.creation_rate, now),
            false => Next::Never,
        }
    }
}

impl ConnectionQuota {
    pub(super) fn new(limits: ConnectionLimits) -> ConnectionQuota {
        ConnectionQuota { open: Mutex::new(Open { limits, ..Open::default() }), freed: Notify::new() }
    }

    /// Takes other limits from now on. Connections that are open stay, even if there are more than may be.
    pub fn set_limits(&self, limits: ConnectionLimits) {
        self.open.lock().limits = limits;
        self.freed.notify_waiters();
    }

    /// Waits until there may be one more.
    pub(super) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            let room = self.open.lock().room(Instant::now());
            match room {
                Next::Now => return,
                Next::At(at) => {
                    // Either way it is looked at again.
                    let _ = tokio::time::timeout_at(at, freed).await;
                }
                Next::Never => freed.await,
            }
        }
    }

    /// Counts a connection in.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<ConnectionSlot, TooManyFromAddress> {
        let ip = ip.to_canonical();
        let mut open = self.open.lock();
        let Open { limits, total, by_ip, created } = &mut *open;
        created.count(limits.creation_rate, Instant::now());
        let limit = limits.overrides.get(&ip).copied().unwrap_or(limits.max_per_ip);
        let from_address = by_ip.entry(ip).or_default();
        if *from_address >= limit {
            if *from_address == 0 {
                by_ip.remove(&ip);
            }
            return Err(TooManyFromAddress { ip, limit });
        }
        *from_address += 1;
        *total += 1;
        Ok(ConnectionSlot { quota: Arc::clone(self), ip })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.quota.open.lock();
        let exhausted = open.total >= open.limits.max;
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
        let quota = Arc::new(ConnectionQuota::new(ConnectionLimits {
            max_per_ip: 2,
            overrides: HashMap::from([(ip(9), 0), (ip(8), 3)]),
            ..ConnectionLimits::default()
        }));
        let slots = [quota.enter(ip(1)).unwrap(), quota.enter(ip(1)).unwrap()];
        assert_eq!(quota.enter(ip(1)).unwrap_err(), TooManyFromAddress { ip: ip(1), limit: 2 });
        assert!(quota.enter(ip(2)).is_ok());
        assert!(quota.enter(ip(9)).is_err());
        drop(slots);
        assert!(quota.enter(ip(1)).is_ok());
        assert!(quota.open.lock().by_ip.is_empty());
    }

    #[tokio::test]
    async fn raised_limits_let_in_who_waits_and_lowered_ones_close_nobody() {
        let none = || ConnectionLimits { max: 0, ..ConnectionLimits::default() };
        let quota = Arc::new(ConnectionQuota::new(none()));
        let waiting = tokio::spawn({
            let quota = Arc::clone(&quota);
            async move { quota.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        quota.set_limits(ConnectionLimits { max: 1, ..ConnectionLimits::default() });
        waiting.await.unwrap();
        let slot = quota.enter(ip(1)).unwrap();
        quota.set_limits(none());
        assert_eq!(quota.open.lock().total, 1);
        drop(slot);
        assert_eq!(quota.open.lock().room(Instant::now()), Next::Never);
    }
}
