//! Which versions of each API a broker speaks, and the best one in common (KIP-35).

use super::{Address, ClientError};
use crate::messages::{ApiKey, ApiVersionsResponse, Message, Request};
use std::collections::HashMap;

/// What one broker's ApiVersions answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerVersions {
    ranges: HashMap<i16, (i16, i16)>,
}

impl BrokerVersions {
    /// Reads a decoded answer.
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let ranges = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Self { ranges }
    }

    /// Least and greatest version, if the broker knows the API.
    pub fn range(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&(key as i16)).copied()
    }

    /// The greatest version of `R`, up to `cap`, that the codec and the broker at `address` both speak.
    pub(super) fn best<R: Request>(&self, address: &Address, cap: i16) -> Result<i16, ClientError> {
        let api = api_of::<R>();
        let ours_min = R::VERSIONS.min.max(R::Response::VERSIONS.min);
        let ours_max = R::VERSIONS.max.min(R::Response::VERSIONS.max).min(cap);
        let theirs = self.range(api);
        match theirs {
            Some((min, max)) if min.max(ours_min) <= max.min(ours_max) => Ok(max.min(ours_max)),
            _ => {
                let ours = (ours_min, ours_max);
                Err(ClientError::UnsupportedVersion { address: address.clone(), api, ours, theirs })
            }
        }
    }
}

/// The API of a request type.
pub(super) fn api_of<R: Request>() -> ApiKey {
    // The codec crate generates the key of every request from the list that `ApiKey` is generated from.
    ApiKey::try_from(R::KEY).expect("a request type has a known API key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::api_versions_response::ApiVersion;
    use crate::messages::{FetchRequest, InitProducerIdRequest};

    fn versions(key: ApiKey, min: i16, max: i16) -> BrokerVersions {
        let api = ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max);
        BrokerVersions::from_response(&ApiVersionsResponse::default().with_api_keys(vec![api]))
    }

    #[test]
    fn the_greatest_common_version_is_taken() {
        let address = Address::new("broker", 1);
        let best = |min, max, cap| versions(ApiKey::Fetch, min, max).best::<FetchRequest>(&address, cap).ok();
        assert_eq!(best(4, 11, i16::MAX), Some(11));
        assert_eq!(best(4, 99, 12), Some(12));
        assert_eq!(best(90, 99, i16::MAX), None);
        assert_eq!(BrokerVersions::default().best::<FetchRequest>(&address, i16::MAX).ok(), None);
    }

    #[test]
    fn a_response_newer_than_its_request_is_not_asked_for() {
        let address = Address::new("broker", 1);
        let best = versions(ApiKey::InitProducerId, 0, 6).best::<InitProducerIdRequest>(&address, i16::MAX);
        assert_eq!(best.ok(), Some(5));
    }
}
