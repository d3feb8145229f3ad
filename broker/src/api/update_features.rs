//! UpdateFeatures (57): finalizes the levels of features (KIP-584, KIP-1022).

use weir_controller::decide::{
    ApiError, ControllerResponse, FeatureUpdate, FeatureUpdateType, UpdateFeaturesRequest as Decide,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::update_features_request::FeatureUpdateKey;
use weir_protocol::messages::update_features_response::UpdatableFeatureResult;
use weir_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::call::Call;
use super::wire::{error_fields, owned, text};
use crate::administration::Administration;
use crate::net::Dispatch;

/// From this version on a response names no feature: all updates are made, or none.
const ALL_OR_NONE: i16 = 2;

pub(super) fn handle(call: Call<Administration>, request: UpdateFeaturesRequest) -> Dispatch {
    let version = call.version();
    let updates: Result<Vec<_>, ApiError> =
        request.feature_updates.iter().map(|update| our_update(version, update)).collect();
    let decide = match updates {
        Ok(updates) => Decide { updates, validate_only: request.validate_only, ..Decide::default() },
        Err(error) => return call.ready(&answer(version, &request, &Err(error))),
    };
    call.later(async move |call| {
        let outcome = match call.node.submit(decide).await {
            Ok(ControllerResponse::UpdateFeatures(outcome)) => outcome,
            Ok(_) => Err(ErrorCode::UnknownServerError.into()),
            Err(code) => Err(code.into()),
        };
        answer(version, &request, &outcome)
    })
}

fn our_update(version: i16, update: &FeatureUpdateKey) -> Result<FeatureUpdate, ApiError> {
    let update_type = match (version, update.upgrade_type) {
        (0, _) if update.allow_downgrade => FeatureUpdateType::SafeDowngrade,
        (0, _) | (_, 1) => FeatureUpdateType::Upgrade,
        (_, 2) => FeatureUpdateType::SafeDowngrade,
        (_, 3) => FeatureUpdateType::UnsafeDowngrade,
        (_, other) => {
            let message = format!("The controller does not support the given upgrade type {other}.");
            return Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message));
        }
    };
    Ok(FeatureUpdate { name: owned(&update.feature), level: update.max_version_level, update_type })
}

fn answer(version: i16, request: &UpdateFeaturesRequest, outcome: &Result<(), ApiError>) -> UpdateFeaturesResponse {
    let (code, message) = error_fields(outcome);
    let response = UpdateFeaturesResponse::default();
    if outcome.is_err() {
        let message = message.map(|message| match version >= ALL_OR_NONE {
            true => text(format!(
                "The update failed for all features since the following feature had an error: {}",
                &*message
            )),
            false => message,
        });
        return response.with_error_code(code).with_error_message(message);
    }
    let updated = request.feature_updates.iter().filter(|_| version < ALL_OR_NONE);
    let updated = updated.map(|update| UpdatableFeatureResult::default().with_feature(update.feature.clone()));
    response.with_results(updated.collect())
}
