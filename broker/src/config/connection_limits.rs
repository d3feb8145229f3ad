//! What connections are limited by, from the keys that may change while they run (`max.connections` and its like).

use std::collections::HashMap;
use std::net::IpAddr;

use super::definition::{ConfigError, list};
use super::effective::Layers;
use crate::net::ConnectionLimits;

/// The key with the limits of single addresses.
pub const OVERRIDES_KEY: &str = "max.connections.per.ip.overrides";

/// What the layers say.
pub fn connection_limits(layers: Layers<'_>) -> Result<ConnectionLimits, ConfigError> {
    let number = |key: &str| layers.text(key).parse().unwrap_or(i32::MAX as u32);
    Ok(ConnectionLimits {
        max: number("max.connections") as usize,
        max_per_ip: number("max.connections.per.ip") as usize,
        overrides: overrides(&layers.text(OVERRIDES_KEY))?,
        creation_rate: number("max.connection.creation.rate"),
    })
}

/// Addresses with a limit of their own.
pub fn overrides(value: &str) -> Result<HashMap<IpAddr, usize>, ConfigError> {
    let parse = |pair: &str| {
        let (address, count) = pair.rsplit_once(':')?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        Some((address.to_canonical(), count.trim().parse().ok()?))
    };
    let wrong = |pair: &str| ConfigError {
        key: OVERRIDES_KEY.to_owned(),
        value: value.to_owned(),
        reason: format!("\"{pair}\" is not of the form address:count"),
    };
    list(value).map(|pair| parse(pair).ok_or_else(|| wrong(pair))).collect()
}

#[cfg(test)]
mod tests {
    use weir_controller::image::ResourceConfigs;

    use super::super::Settings;
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_uppermost_layer() {
        let none = ResourceConfigs::new();
        let cluster = [("max.connections".into(), "7".into())].into_iter().collect();
        let file = ["max.connections=5".to_owned(), "max.connections.per.ip.overrides=10.0.0.1:3,[::1]:4".to_owned()];
        let (settings, _) = Settings::load(None, std::iter::empty(), &file).unwrap();
        let found = connection_limits(Layers { broker: &none, cluster: &cluster, settings: &settings }).unwrap();
        assert_eq!((found.max, found.max_per_ip, found.creation_rate), (7, i32::MAX as usize, i32::MAX as u32));
        assert_eq!(found.overrides[&IpAddr::from([10, 0, 0, 1])], 3);
        assert_eq!(found.overrides.len(), 2);
    }

    #[test]
    fn an_override_is_an_address_and_a_count() {
        for wrong in ["10.0.0.1", "10.0.0.1:", "here:3", "10.0.0.1:-1"] {
            assert!(overrides(wrong).unwrap_err().reason.contains("address:count"), "{wrong}");
        }
    }
}
