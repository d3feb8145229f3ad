//! Listeners: what is bound, what is advertised, and how each is secured (KIP-103).

use super::definition::{ConfigError, list};
use super::settings::Settings;
use crate::net::SecurityProtocol;

/// A listener of this broker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name, in upper case.
    pub name: String,
    /// How it is secured.
    pub protocol: SecurityProtocol,
    /// The address bound; empty for every address.
    pub host: String,
    /// The port bound; 0 for any that is free.
    pub port: u16,
    /// What clients are told, where that differs from what is bound.
    pub advertised: Option<(String, u16)>,
}

impl ListenerConfig {
    /// Whether the listener is bound to every address, so that clients need to be told which to use.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(&self.host)
    }
}

fn is_wildcard(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::")
}

/// The listeners that clients may use: all but the controller's.
pub fn listeners(settings: &Settings) -> Result<Vec<ListenerConfig>, ConfigError> {
    let controllers: Vec<String> =
        list(settings.text("controller.listener.names")).map(str::to_ascii_uppercase).collect();
    let advertised = endpoints(settings, "advertised.listeners")?;
    let mut found: Vec<ListenerConfig> = Vec::new();
    for endpoint in endpoints(settings, "listeners")? {
        let Endpoint { name, host, port } = endpoint;
        if controllers.contains(&name) {
            continue;
        }
        if found.iter().any(|other| other.name == name) {
            return Err(wrong(
                settings,
                "listeners",
                format!("Each listener must have a different name: {name} is given twice"),
            ));
        }
        if let Some(other) = found.iter().find(|other| port != 0 && other.port == port && other.host == host) {
            return Err(wrong(settings, "listeners", format!("{name} and {} are on the same port {port}", other.name)));
        }
        let protocol = security_protocol(settings, &name)?;
        let advertised = advertised.iter().find(|a| a.name == name).map(|a| (a.host.clone(), a.port));
        if let Some((host, _)) = &advertised
            && is_wildcard(host)
        {
            let reason = format!(
                "{name}: clients cannot connect to the wildcard address \"{host}\"; name a host they can reach"
            );
            return Err(wrong(settings, "advertised.listeners", reason));
        }
        found.push(ListenerConfig { name, protocol, host, port, advertised });
    }
    if found.is_empty() {
        return Err(wrong(
            settings,
            "listeners",
            "At least one listener for clients is needed, as NAME://host:port".into(),
        ));
    }
    for endpoint in &advertised {
        if !controllers.contains(&endpoint.name) && !found.iter().any(|listener| listener.name == endpoint.name) {
            let reason = format!("{} is not among the listeners", endpoint.name);
            return Err(wrong(settings, "advertised.listeners", reason));
        }
    }
    Ok(found)
}

struct Endpoint {
    name: String,
    host: String,
    port: u16,
}

fn endpoints(settings: &Settings, key: &'static str) -> Result<Vec<Endpoint>, ConfigError> {
    list(settings.text(key))
        .map(|text| {
            endpoint(text)
                .ok_or_else(|| wrong(settings, key, format!("\"{text}\" is not of the form NAME://host:port")))
        })
        .collect()
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    is_name
        .then(|| Some(Endpoint { name: name.to_ascii_uppercase(), host: host.to_owned(), port: port.parse().ok()? }))?
}

fn security_protocol(settings: &Settings, name: &str) -> Result<SecurityProtocol, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mapped = list(settings.text(KEY)).find_map(|pair| {
        let (listener, protocol) = pair.split_once(':')?;
        listener.trim().eq_ignore_ascii_case(name).then(|| protocol.trim().to_ascii_uppercase())
    });
    match mapped.as_deref().unwrap_or(name) {
        "PLAINTEXT" => Ok(SecurityProtocol::Plaintext),
        "SSL" => Ok(SecurityProtocol::Ssl),
        protocol @ ("SASL_PLAINTEXT" | "SASL_SSL") => {
            Err(wrong(settings, KEY, format!("{name} asks for {protocol}; this version speaks PLAINTEXT and SSL")))
        }
        _ => Err(wrong(
            settings,
            KEY,
            format!("No security protocol is defined for listener {name}; add {name}:PLAINTEXT or {name}:SSL"),
        )),
    }
}

fn wrong(settings: &Settings, key: &'static str, reason: String) -> ConfigError {
    ConfigError { key: key.to_owned(), value: settings.text(key).to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[&str]) -> Result<Vec<ListenerConfig>, String> {
        let pairs: Vec<_> = pairs.iter().map(|s| (*s).to_owned()).collect();
        let (settings, _) = Settings::load(None, std::iter::empty(), &pairs).unwrap();
        listeners(&settings).map_err(|e| e.reason)
    }

    #[test]
    fn the_default_is_plaintext_on_loopback() {
        let found = parse(&[]).unwrap();
        assert_eq!(
            (found[0].host.as_str(), found[0].port, found[0].protocol),
            ("127.0.0.1", 9092, SecurityProtocol::Plaintext)
        );
    }

    #[test]
    fn a_kraft_file_yields_its_client_listeners() {
        let found = parse(&[
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
            "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        ])
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].advertised, Some(("localhost".into(), 9092)));
        assert!(found[0].is_wildcard());
    }

    #[test]
    fn ipv6_addresses_lose_their_brackets() {
        assert_eq!(parse(&["listeners=PLAINTEXT://[::1]:9092"]).unwrap()[0].host, "::1");
    }

    #[test]
    fn what_cannot_be_is_said_in_words() {
        let check = |pairs: &[&str], words: &str| {
            let reason = parse(pairs).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        };
        check(&["listeners=localhost:9092"], "NAME://host:port");
        check(&["listeners=PLAINTEXT://a:99999"], "NAME://host:port");
        check(&["listeners=PLAINTEXT://a:1,PLAINTEXT://a:2"], "given twice");
        check(&["listeners=PLAINTEXT://a:1,SSL://a:1"], "same port");
        check(&["listeners=EXTERNAL://a:1"], "No security protocol");
        check(&["advertised.listeners=PLAINTEXT://0.0.0.0:1"], "wildcard");
        check(&["advertised.listeners=SSL://a:1"], "not among");
    }
}
