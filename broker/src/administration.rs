//! What every API for administrators works with: the metadata, the way to the active controller, and this node's own configuration.
//!
//! A broker has one, and so has a node that is only a controller, which administrators' tools reach on its controller listener (KIP-919).
//! Owns nothing that decides, and knows nothing of partitions: what an API cannot do with this much, only a broker does.

use std::sync::Arc;

use weir_controller::decide::{ControllerRequest, ControllerResponse};
use weir_controller::image::{ConfigResource, MetadataImage, ResourceConfigs};
use weir_controller::quorum::Controller;
use weir_controller::record::ConfigResourceType;
use weir_controller::zones::Zones;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use crate::broker::{NOTHING_SET, layers, topic_config};
use crate::config::Settings;
use crate::config::effective::Effective;
use crate::controller_client::ControllerClient;
use crate::metrics::RequestMetrics;
use crate::server::reconfigure::Reconfigurer;

/// A node, as administrators' APIs see it.
pub struct Administration {
    pub(crate) id: BrokerId,
    pub(crate) settings: Settings,
    pub(crate) controller: Arc<Controller>,
    /// Where changes of the metadata are asked for.
    pub(crate) controller_client: Arc<ControllerClient>,
    /// Who judges settings that only this node can, where any act on it.
    pub(crate) reconfigurer: Option<Arc<Reconfigurer>>,
    pub(crate) requests: RequestMetrics,
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Administration").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Administration {
    /// `node.id`.
    pub fn id(&self) -> BrokerId {
        self.id
    }

    /// The metadata as it is now.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.controller.image()
    }

    /// The controller that clients of a broker are told: any broker takes a controller's requests, so this one is as good as another
    /// and is certainly there.
    pub fn controller_to_name(&self, image: &MetadataImage) -> i32 {
        if image.is_active(self.id) { self.id.get() } else { -1 }
    }

    /// Asks the controller for a change.
    pub async fn submit(&self, request: impl Into<ControllerRequest>) -> Result<ControllerResponse, ErrorCode> {
        self.controller_client.submit(request).await.map_err(|error| {
            tracing::warn!(%error, "the controller did not take a change");
            error.error_code()
        })
    }

    /// Every topic key with its layers.
    pub fn topic_values(&self, image: &MetadataImage, topic: &str) -> Vec<Effective> {
        self.topic_values_with(image, image.topic_configs(topic).map_or(&NOTHING_SET, |set| set))
    }

    /// Every topic key with its layers, for a topic on which `set` is set.
    pub fn topic_values_with(&self, image: &MetadataImage, set: &ResourceConfigs) -> Vec<Effective> {
        layers(self.id, &self.settings, image).topic_values(set)
    }

    /// Every key of this node with its layers.
    pub fn broker_values(&self, image: &MetadataImage) -> Vec<Effective> {
        layers(self.id, &self.settings, image).broker_values()
    }

    /// Every group key with its layers. A group need not exist to be configured.
    pub fn group_values(&self, image: &MetadataImage, group: &str) -> Vec<Effective> {
        let set = image.configs(&ConfigResource::new(ConfigResourceType::Group, group));
        layers(self.id, &self.settings, image).group_values(set.map_or(&NOTHING_SET, |set| set))
    }

    /// Says which of these topics, which have just been made, the loss of one zone would stop.
    pub(crate) fn warn_of_zones<'t>(&self, topics: impl IntoIterator<Item = &'t str>) {
        let image = self.image();
        let zones = Zones::of(&image);
        for name in topics {
            let Some(topic) = image.topic_by_name(name) else { continue };
            let required = topic_config(self.id, &self.settings, &image, name).min_insync_replicas;
            let risks = topic.partitions().filter_map(|(_, it)| zones.partition_risk(&image, it, required));
            if let Some(risk) = risks.max() {
                tracing::warn!(topic = name, "the topic does not survive the loss of every zone: {risk}");
            }
        }
    }
}
