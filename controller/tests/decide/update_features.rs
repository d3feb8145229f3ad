//! UpdateFeatures.

use uuid::Uuid;
use weir_controller::decide::{
    ControllerFeatures, FeatureUpdate, FeatureUpdateType, SupportedFeatures, UpdateFeaturesRequest,
};
use weir_controller::record::{FeatureLevelRecord, MetadataRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use crate::cluster::{Cluster, decided, error, registration};
use FeatureUpdateType::{SafeDowngrade, UnsafeDowngrade, Upgrade};

fn update(name: &str, level: i16, update_type: FeatureUpdateType) -> FeatureUpdate {
    FeatureUpdate { name: name.into(), level, update_type }
}

fn finalize(updates: Vec<FeatureUpdate>) -> Result<Vec<MetadataRecord>, weir_controller::decide::ApiError> {
    let request = UpdateFeaturesRequest { updates, ..UpdateFeaturesRequest::default() };
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
        decided!(cluster, UpdateFeatures(UpdateFeaturesRequest { updates, ..UpdateFeaturesRequest::default() }));
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
            ..UpdateFeaturesRequest::default()
        };
        let (records, response) = decided!(cluster, UpdateFeatures(to(29)));
        let message = "Invalid update version 29 for feature metadata.version. Broker 2 only supports versions 7-27";
        assert_eq!((records, response), (vec![], Err(error(ErrorCode::InvalidUpdateVersion, message))));
        let (records, response) = decided!(cluster, UpdateFeatures(to(27)));
        assert_eq!((records.len(), response), (1, Ok(())));
    }
}

/// What another controller answers, if it does.
fn controller(id: i32, highest: Option<i16>) -> ControllerFeatures {
    let supported = highest.map(|highest| SupportedFeatures::from([("metadata.version".into(), (7, highest))]));
    ControllerFeatures { controller: BrokerId(id), directory_id: Uuid::from_u128(1), supported }
}

#[test]
fn a_controller_of_an_older_version_holds_an_upgrade_back_and_so_does_one_that_does_not_answer() {
    let outcome = |controllers: Vec<ControllerFeatures>| {
        let updates = vec![update("metadata.version", 29, Upgrade)];
        let request = UpdateFeaturesRequest { updates, controllers, ..UpdateFeaturesRequest::default() };
        let (records, response) = decided!(Cluster::of(&[1]), UpdateFeatures(request));
        response.map(|()| records.len())
    };
    let refusal = |reason| {
        let message = format!("Invalid update version 29 for feature metadata.version. {reason}");
        Err(error(ErrorCode::InvalidUpdateVersion, &message))
    };
    assert_eq!(outcome(vec![controller(8, Some(29)), controller(9, Some(30))]), Ok(1));
    assert_eq!(
        outcome(vec![controller(8, Some(29)), controller(9, Some(27))]),
        refusal("Controller 9 only supports versions 7-27")
    );
    assert_eq!(
        outcome(vec![controller(8, None), controller(9, Some(29))]),
        refusal("Controller 8 does not answer, and may not support this feature.")
    );
}

#[test]
fn turning_a_feature_off_needs_no_controllers_answer() {
    let mut cluster = Cluster::of(&[1]);
    cluster.apply(FeatureLevelRecord { name: "group.version".into(), level: 1 });
    let updates = vec![update("group.version", 0, SafeDowngrade)];
    let request = UpdateFeaturesRequest { updates, controllers: vec![controller(9, None)], validate_only: false };
    let (records, response) = decided!(cluster, UpdateFeatures(request));
    assert_eq!((records.len(), response), (1, Ok(())));
}
