//! UpdateFeatures: an operator finalizes feature levels (KIP-584). All updates of a request are made, or none.
//!
//! Answers to Kafka's `FeatureControlManager.updateFeatures`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use super::{ApiError, Context, Decision, SupportedFeatures, eligible};
use crate::image::{ELIGIBLE_LEADER_REPLICAS_FEATURE, METADATA_VERSION_FEATURE, MetadataImage};
use crate::record::{FeatureLevelRecord, MetadataRecord};

/// The `metadata.version` (4.0-IV1) from which on partitions' records may name eligible leaders.
const FIRST_VERSION_WITH_ELIGIBLE_LEADERS: i16 = 23;

/// Finalizes feature levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateFeaturesRequest {
    /// The features, each once.
    pub updates: Vec<FeatureUpdate>,
    /// Whether to check only.
    pub validate_only: bool,
    /// The controllers beside the active one; it knows them, and not who asks.
    #[serde(skip)]
    pub controllers: Vec<ControllerFeatures>,
}

/// Which features a controller supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerFeatures {
    /// Its node id.
    pub controller: BrokerId,
    /// Its directory id.
    pub directory_id: Uuid,
    /// What it says; nothing if it does not answer.
    pub supported: Option<SupportedFeatures>,
}

/// The level that one feature should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: Arc<str>,
    /// The level, nought to turn it off.
    pub level: i16,
    /// Which way the level may go.
    pub update_type: FeatureUpdateType,
}

/// Which way a level may go (Kafka's `FeatureUpdate.UpgradeType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureUpdateType {
    /// Up.
    Upgrade,
    /// Down, if nothing is lost by it.
    SafeDowngrade,
    /// Down.
    UnsafeDowngrade,
}

/// Why nothing was finalized, if nothing was.
pub type UpdateFeaturesResponse = Result<(), ApiError>;

pub(super) fn decide(
    image: &MetadataImage,
    request: &UpdateFeaturesRequest,
    context: &mut Context<'_>,
) -> Decision<UpdateFeaturesResponse> {
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for update in &request.updates {
        let outcome = if seen.insert(&update.name) {
            check(image, request, update, context).and_then(|()| check_dependency(image, request, update))
        } else {
            Err("The feature appears more than once.".to_owned())
        };
        if let Err(reason) = outcome {
            let (level, name) = (update.level, &update.name);
            let message = format!("Invalid update version {level} for feature {name}. {reason}");
            return Decision::unchanged(Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message)));
        }
        if update.level != image.feature_level(&update.name) {
            records.extend(effects(image, update));
            let record = FeatureLevelRecord { name: update.name.clone(), level: update.level };
            records.push(MetadataRecord::from(record));
        }
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response: Ok(()) }
}

fn check(
    image: &MetadataImage,
    request: &UpdateFeaturesRequest,
    update: &FeatureUpdate,
    context: &Context<'_>,
) -> Result<(), String> {
    let (name, level) = (&update.name, update.level);
    if level < 0 {
        return Err("A feature version cannot be less than 0.".to_owned());
    }
    // A feature that is off needs nobody's support, but metadata.version is never off.
    if level != 0 || &**name == METADATA_VERSION_FEATURE {
        check_everybody(image, request, update, context)?;
    }
    let current = image.feature_level(name);
    let upgrade = update.update_type == FeatureUpdateType::Upgrade;
    if level < current && upgrade {
        let reason = "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                      unsafe downgrade.";
        return Err(reason.to_owned());
    }
    if level > current && !upgrade {
        return Err("Can't downgrade to a newer version.".to_owned());
    }
    if level < current && &**name == METADATA_VERSION_FEATURE && update.update_type == FeatureUpdateType::SafeDowngrade
    {
        return Err(
            "Refusing to perform the requested downgrade because it might delete metadata information.".to_owned()
        );
    }
    Ok(())
}

/// Whoever cannot run a level would be lost with it, a voter and its vote too: one that does not answer counts as one that cannot.
fn check_everybody(
    image: &MetadataImage,
    request: &UpdateFeaturesRequest,
    update: &FeatureUpdate,
    context: &Context<'_>,
) -> Result<(), String> {
    let range = |features: &SupportedFeatures| features.get(&update.name).copied().unwrap_or((0, 0));
    check_range("Local controller", range(&context.defaults.supported_features), update.level)?;
    for broker in image.brokers() {
        check_range(&format!("Broker {}", broker.id), range(&broker.features), update.level)?;
    }
    for ControllerFeatures { controller, supported, .. } in &request.controllers {
        let Some(supported) = supported else {
            return Err(format!("Controller {controller} does not answer, and may not support this feature."));
        };
        check_range(&format!("Controller {controller}"), range(supported), update.level)?;
    }
    Ok(())
}

/// What else becomes true with a level.
fn effects(image: &MetadataImage, update: &FeatureUpdate) -> Vec<MetadataRecord> {
    match (&*update.name, update.level) {
        (ELIGIBLE_LEADER_REPLICAS_FEATURE, 0) => eligible::when_disabled(image),
        (ELIGIBLE_LEADER_REPLICAS_FEATURE, _) => eligible::when_enabled(image),
        _ => Vec::new(),
    }
}

/// Records of eligible leaders are known from 4.0 on (Kafka's `EligibleLeaderReplicasVersion`).
fn check_dependency(
    image: &MetadataImage,
    request: &UpdateFeaturesRequest,
    update: &FeatureUpdate,
) -> Result<(), String> {
    let level_to_be = |name: &str| {
        let asked = request.updates.iter().find(|update| &*update.name == name);
        asked.map_or_else(|| image.feature_level(name), |update| update.level)
    };
    let is_known = level_to_be(METADATA_VERSION_FEATURE) >= FIRST_VERSION_WITH_ELIGIBLE_LEADERS;
    let (eligible, name) = (level_to_be(ELIGIBLE_LEADER_REPLICAS_FEATURE), &update.name);
    let concerned = [ELIGIBLE_LEADER_REPLICAS_FEATURE, METADATA_VERSION_FEATURE].contains(&&**name);
    if eligible == 0 || is_known || !concerned {
        return Ok(());
    }
    Err(format!(
        "{ELIGIBLE_LEADER_REPLICAS_FEATURE} could not be set to {eligible} because it depends on metadata.version={FIRST_VERSION_WITH_ELIGIBLE_LEADERS}"
    ))
}

/// Kafka's words for a level that someone cannot run.
fn check_range(who: &str, (min, max): (i16, i16), level: i16) -> Result<(), String> {
    if (min..=max).contains(&level) {
        Ok(())
    } else if max == 0 {
        Err(format!("{who} does not support this feature."))
    } else if min == max {
        Err(format!("{who} only supports versions {min}"))
    } else {
        Err(format!("{who} only supports versions {min}-{max}"))
    }
}
