//! ApiVersions (18): which APIs and features this node has (KIP-511, KIP-584).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use weir_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, StrBytes};

use super::call::Call;
use super::registry;
use crate::administration::Administration;
use crate::broker::FEATURES;
use crate::net::{ClientSoftware, Dispatch};

/// From this version on a feature may be listed whose lowest level is 0.
const FIRST_VERSION_WITH_LEVEL_ZERO: i16 = 4;
/// From this version on a client names its software.
const FIRST_VERSION_WITH_SOFTWARE: i16 = 3;

pub(super) fn handle(call: Call<Administration>, request: ApiVersionsRequest) -> Dispatch {
    if call.version() >= FIRST_VERSION_WITH_SOFTWARE {
        if !is_software_name(&request.client_software_name) || !is_software_name(&request.client_software_version) {
            let refused = ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
            return call.ready(&refused);
        }
        let software = ClientSoftware {
            name: request.client_software_name.to_string(),
            version: request.client_software_version.to_string(),
        };
        // A client may ask twice; what it said first stands.
        let _ = call.connection.client_software.set(software);
    }
    call.ready(&answer(&call))
}

fn answer(call: &Call<Administration>) -> ApiVersionsResponse {
    let apis = registry::advertised(call.listener_kind).map(|api| {
        ApiVersion::default().with_api_key(api.key as i16).with_min_version(api.min).with_max_version(api.max)
    });
    let image = call.image();
    let lists_level_zero = call.version() >= FIRST_VERSION_WITH_LEVEL_ZERO;
    let supported = FEATURES.iter().filter(|feature| feature.min > 0 || lists_level_zero).map(|feature| {
        SupportedFeatureKey::default()
            .with_name(StrBytes::from_static_str(feature.name))
            .with_min_version(feature.min)
            .with_max_version(feature.max)
    });
    let finalized = FEATURES.iter().filter_map(|feature| {
        let level = image.feature_level(feature.name);
        (level > 0).then(|| {
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_static_str(feature.name))
                .with_min_version_level(level)
                .with_max_version_level(level)
        })
    });
    ApiVersionsResponse::default()
        .with_api_keys(apis.collect())
        .with_supported_features(supported.collect())
        .with_finalized_features(finalized.collect())
        .with_finalized_features_epoch(image.applied().map_or(-1, |applied| applied.offset.get()))
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, as KIP-511 rules.
fn is_software_name(name: &str) -> bool {
    let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends_well(name.chars().next())
        && ends_well(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_named_in_letters_digits_dots_and_hyphens() {
        assert!(is_software_name("apache-kafka-java"));
        assert!(is_software_name("4.3.1"));
        assert!(!is_software_name(""));
        assert!(!is_software_name("-x"));
        assert!(!is_software_name("a b"));
    }
}
