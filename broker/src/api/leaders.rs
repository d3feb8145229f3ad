//! Leaders named in errors, with where they are reached, so that a client need not ask (KIP-951).

use std::sync::Arc;

use weir_protocol::ids::{BrokerId, LeaderEpoch};

use super::call::Call;

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) id: BrokerId,
    pub(super) epoch: LeaderEpoch,
}

/// Where a broker is reached by the listener that the client came by.
pub(super) struct Endpoint {
    pub(super) id: BrokerId,
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) rack: Option<Arc<str>>,
}

/// Where the leaders are reached, each once.
pub(super) fn endpoints(call: &Call, leaders: &[Leader]) -> impl Iterator<Item = Endpoint> {
    let mut ids: Vec<_> = leaders.iter().map(|leader| leader.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let (image, listener) = (call.image(), call.connection.listener.clone());
    ids.into_iter().filter_map(move |id| {
        let broker = image.broker(id)?;
        let endpoint = broker.endpoint(&listener)?;
        Some(Endpoint { id, host: endpoint.host.clone(), port: endpoint.port, rack: broker.rack.clone() })
    })
}
