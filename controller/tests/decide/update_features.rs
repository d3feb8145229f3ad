//! UpdateFeatures.

use weir_controller::decide::{FeatureUpdate, FeatureUpdateType, UpdateFeaturesRequest};
use weir_controller::record::{FeatureLevelRecord, MetadataRecord};
use weir_protocol::error_code::ErrorCode;

use crate::cluster::{Cluster, decided, error, registration};
use FeatureUpdateType::{SafeDowngrade, UnsafeDowngrade, Upgrade};

fn update(name: &str, level: i16, update_type: FeatureUpdateType) -> FeatureUpdate {
    FeatureUpdate { name: name.into(), level, update_type }
}

fn finalize(updates: Vec<FeatureUpdate>) -> Result<Vec<MetadataRecord>, weir_controller::decide::ApiError> {
    let request = UpdateFeaturesRequest { updates, validate_only: false };
    let (records, response) = decided!(Cluster::of(&[1]), UpdateFeatures(request));
    response.map(|()| records)
}

#[test]
fn a_level_goes_up_and_down_as_far_as_it_is_allowed() {
    let level = |level| vec![FeatureLevelRecord { name: "metadata.version".into(), level }.into()];
    assert_eq!(finalize(vec![update("metadata.version", 29, Upgrade)]), Ok(level(29)));
    assert_eq!(finalize(vec![update("metadata.version", 20, UnsafeDowngrade)]), Ok(level(20)));
    assert_eq!(finalize(vec![update("metadata.version", 25, Upgrade)]), Ok(vec![]));
}

#[test]
fn refusals_say_why_and_nothing_is_finalized() {
    let refusal = |level, name, reason| {
        let message = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(error(ErrorCode::InvalidUpdateVersion, &message))
    };
    let metadata = |level, update_type| update("metadata.version", level, update_type);
    assert_eq!(
        finalize(vec![metadata(29, Upgrade), update("other", 1, Upgrade)]),
        refusal(1, "other", "Local controller does not support this feature.")
    );
    assert_eq!(
        finalize(vec![metadata(30, Upgrade)]),
        refusal(30, "metadata.version", "Local controller only supports versions 7-29")
    );
    assert_eq!(
        finalize(vec![metadata(-1, Upgrade)]),
        refusal(-1, "metadata.version", "A feature version cannot be less than 0.")
    );
    assert_eq!(
        finalize(vec![metadata(20, Upgrade)]),
        refusal(
            20,
            "metadata.version",
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
        )
    );
    assert_eq!(
        finalize(vec![metadata(29, SafeDowngrade)]),
        refusal(29, "metadata.version", "Can't downgrade to a newer version.")
    );
    assert_eq!(
        finalize(vec![metadata(0, UnsafeDowngrade)]),
        refusal(0, "metadata.version", "Local controller only supports versions 7-29")
    );
}

#[test]
fn every_broker_must_support_a_level() {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.defaults.supported_features.insert("group.version".into(), (0, 1));
    let updates = vec![update("group.version", 1, Upgrade)];
    let (records, response) =
        decided!(cluster, UpdateFeatures(UpdateFeaturesRequest { updates, validate_only: false }));
    let message = "Invalid update version 1 for feature group.version. Broker 1 does not support this feature.";
    assert_eq!((records, response), (vec![], Err(error(ErrorCode::InvalidUpdateVersion, message))));
}

#[test]
fn one_broker_of_an_older_version_holds_an_upgrade_back_and_is_named_while_it_is_away_too() {
    for fenced in [false, true] {
        let mut cluster = Cluster::of(&[1]);
        let mut older = registration(2, None, fenced);
        older.features[0].max_supported_level = 27;
        cluster.apply(older);
        let to = |level| UpdateFeaturesRequest {
            updates: vec![update("metadata.version", level, Upgrade)],
            validate_only: false,
        };
        let (records, response) = decided!(cluster, UpdateFeatures(to(29)));
        let message = "Invalid update version 29 for feature metadata.version. Broker 2 only supports versions 7-27";
        assert_eq!((records, response), (vec![], Err(error(ErrorCode::InvalidUpdateVersion, message))));
        let (records, response) = decided!(cluster, UpdateFeatures(to(27)));
        assert_eq!((records.len(), response), (1, Ok(())));
    }
}
