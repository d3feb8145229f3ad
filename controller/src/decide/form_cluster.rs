//! FormCluster (Weir's own): the first change of a cluster gives it its id and its feature levels. A cluster that has an id
//! keeps it, and whoever asks again is told which.

use std::sync::Arc;

use super::{Context, Decision};
use crate::image::MetadataImage;
use crate::record::{ClusterIdRecord, FeatureLevelRecord};
use serde::{Deserialize, Serialize};

/// Names a cluster that has no name yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormClusterRequest {
    /// The id to give it: random, in base64url as Kafka prints it.
    pub cluster_id: Arc<str>,
    /// The features it starts with, and their levels.
    pub features: Vec<(Arc<str>, i16)>,
}

/// The cluster's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormClusterResponse {
    /// The id it has now.
    pub cluster_id: Arc<str>,
    /// Whether this request gave it.
    pub formed: bool,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &FormClusterRequest,
    _context: &mut Context<'_>,
) -> Decision<FormClusterResponse> {
    if let Some(cluster_id) = image.cluster_id() {
        return Decision::unchanged(FormClusterResponse { cluster_id: cluster_id.clone(), formed: false });
    }
    let cluster_id = request.cluster_id.clone();
    let features = request.features.iter();
    let features = features.map(|(name, level)| FeatureLevelRecord { name: name.clone(), level: *level }.into());
    let records = std::iter::once(ClusterIdRecord { cluster_id: cluster_id.clone() }.into()).chain(features).collect();
    Decision { records, response: FormClusterResponse { cluster_id, formed: true } }
}
