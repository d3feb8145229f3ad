//! Listeners: what is bound, what is advertised, and how each is secured (KIP-103).

use super::definition::{ConfigError, list};
use super::roles::Roles;
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

/// The listeners of a node, by whom they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// For clients and other brokers; none on a node that is only a controller.
    pub broker: Vec<ListenerConfig>,
    /// For controllers; none on a node that is only a broker.
    pub controller: Vec<ListenerConfig>,
    /// The name of the listener that brokers use among themselves; empty on a node that is only a controller.
    pub inter_broker: String,
}

/// Reads the listeners of a node, and checks of them what Kafka checks.
pub fn listeners(settings: &Settings, roles: Roles) -> Result<Listeners, ConfigError> {
    let names: Vec<String> = list(settings.text("controller.listener.names")).map(str::to_ascii_uppercase).collect();
    let advertised = endpoints(settings, "advertised.listeners")?;
    let mut found: Vec<ListenerConfig> = Vec::new();
    for endpoint in endpoints(settings, "listeners")? {
        let Endpoint { name, host, port } = endpoint;
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
        let protocol = security_protocol(settings, &name, names.contains(&name))?;
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
    for endpoint in &advertised {
        if !names.contains(&endpoint.name) && !found.iter().any(|listener| listener.name == endpoint.name) {
            let reason = format!("{} is not among the listeners", endpoint.name);
            return Err(wrong(settings, "advertised.listeners", reason));
        }
    }
    let (controller, broker): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| names.contains(&found.name));
    check_roles(settings, roles, &broker, &controller)?;
    let inter_broker = if roles.broker { inter_broker(settings, &broker, &names)? } else { String::new() };
    Ok(Listeners { broker, controller, inter_broker })
}

/// What a node's roles allow and ask for.
fn check_roles(
    settings: &Settings,
    roles: Roles,
    broker: &[ListenerConfig],
    controller: &[ListenerConfig],
) -> Result<(), ConfigError> {
    if roles.is_controller_only() && !broker.is_empty() {
        let reason = "The listeners config must only contain KRaft controller listeners from controller.listener.names \
                      when process.roles=controller";
        return Err(wrong(settings, "listeners", reason.into()));
    }
    if roles.is_broker_only() && !controller.is_empty() {
        let reason = "It must not contain a value appearing in the 'listeners' configuration when running KRaft with \
                      just the broker role";
        return Err(wrong(settings, "controller.listener.names", reason.into()));
    }
    if roles.broker && broker.is_empty() {
        let mut reason = "At least one listener for clients is needed, as NAME://host:port".to_owned();
        if !controller.is_empty() {
            reason.push_str(". Perhaps all listeners appear in controller.listener.names?");
        }
        return Err(wrong(settings, "listeners", reason));
    }
    Ok(())
}

/// By name, by protocol, or the first there is.
fn inter_broker(settings: &Settings, broker: &[ListenerConfig], controllers: &[String]) -> Result<String, ConfigError> {
    const NAME: &str = "inter.broker.listener.name";
    const PROTOCOL: &str = "security.inter.broker.protocol";
    let named = settings.set(NAME).map(str::to_ascii_uppercase);
    let protocol = settings.set(PROTOCOL).map(str::to_owned);
    let (key, asked) = match (named, protocol) {
        (Some(_), Some(_)) => {
            let reason = format!("Only one of {NAME} and {PROTOCOL} should be set");
            return Err(wrong(settings, NAME, reason));
        }
        (Some(name), None) => (NAME, name),
        (None, Some(protocol)) => (PROTOCOL, protocol),
        (None, None) => {
            let plaintext = broker.iter().find(|listener| listener.name == "PLAINTEXT");
            return Ok(plaintext.or(broker.first()).map(|listener| listener.name.clone()).unwrap_or_default());
        }
    };
    if controllers.contains(&asked) {
        let reason = "controller.listener.names must not contain an explicitly set inter.broker.listener.name when \
                      process.roles contains the broker role";
        return Err(wrong(settings, key, reason.into()));
    }
    match broker.iter().any(|listener| listener.name == asked) {
        true => Ok(asked),
        false => {
            let names = broker.iter().map(|listener| listener.name.as_str()).collect::<Vec<_>>().join(",");
            let reason = format!(
                "It must be a listener name defined in advertised.listeners. The valid options based on currently \
                 configured listeners are {names}"
            );
            Err(wrong(settings, key, reason))
        }
    }
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

/// How a listener is secured. One for controllers that an absent map says nothing of is plaintext, as in Kafka.
pub(super) fn security_protocol(
    settings: &Settings,
    name: &str,
    is_controllers: bool,
) -> Result<SecurityProtocol, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mapped = list(settings.text(KEY)).find_map(|pair| {
        let (listener, protocol) = pair.split_once(':')?;
        listener.trim().eq_ignore_ascii_case(name).then(|| protocol.trim().to_ascii_uppercase())
    });
    if mapped.is_none() && is_controllers && settings.set(KEY).is_none() && !matches!(name, "SSL" | "SASL_SSL") {
        return Ok(SecurityProtocol::Plaintext);
    }
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

    fn all(pairs: &[&str]) -> Result<Listeners, String> {
        let pairs: Vec<_> = pairs.iter().map(|s| (*s).to_owned()).collect();
        let (settings, _) = Settings::load(None, std::iter::empty(), &pairs).unwrap();
        listeners(&settings, Roles::of(&settings)).map_err(|e| e.reason)
    }

    fn parse(pairs: &[&str]) -> Result<Vec<ListenerConfig>, String> {
        all(pairs).map(|listeners| listeners.broker)
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
    fn controllers_have_listeners_of_their_own_in_plaintext_unless_it_is_said() {
        let file = ["listeners=PLAINTEXT://:9092,CONTROLLER://:9093", "controller.listener.names=CONTROLLER"];
        let found = all(&file).unwrap();
        assert_eq!((found.broker.len(), found.controller.len()), (1, 1));
        assert_eq!(
            (&*found.controller[0].name, found.controller[0].protocol),
            ("CONTROLLER", SecurityProtocol::Plaintext)
        );
        let map = ["listener.security.protocol.map=CONTROLLER:SSL,PLAINTEXT:PLAINTEXT"];
        let secured = all(&[&file[..], &map[..]].concat()).unwrap();
        assert_eq!(secured.controller[0].protocol, SecurityProtocol::Ssl);
    }

    #[test]
    fn a_nodes_roles_and_its_listeners_agree() {
        let check = |pairs: &[&str], words: &str| {
            let reason = all(pairs).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        };
        let both = "listeners=PLAINTEXT://:1,CONTROLLER://:2";
        let names = "controller.listener.names=CONTROLLER";
        check(&[both, names, "process.roles=controller"], "must only contain KRaft controller listeners");
        check(&[both, names, "process.roles=broker"], "just the broker role");
        check(&["listeners=CONTROLLER://:2", names], "Perhaps all listeners appear in controller.listener.names?");
        let controller = all(&["listeners=CONTROLLER://:2", names, "process.roles=controller"]).unwrap();
        assert_eq!((controller.broker.len(), controller.inter_broker.as_str()), (0, ""));
    }

    #[test]
    fn brokers_talk_over_the_listener_that_is_named_or_over_plaintext() {
        let two = "listeners=OUTER://a:1,PLAINTEXT://a:2";
        let map = "listener.security.protocol.map=OUTER:PLAINTEXT,PLAINTEXT:PLAINTEXT";
        let inter = |more: &[&str]| all(&[&[two, map], more].concat()).map(|found| found.inter_broker);
        assert_eq!(inter(&[]).unwrap(), "PLAINTEXT");
        assert_eq!(inter(&["inter.broker.listener.name=outer"]).unwrap(), "OUTER");
        let both = ["inter.broker.listener.name=OUTER", "security.inter.broker.protocol=PLAINTEXT"];
        assert!(inter(&both).unwrap_err().contains("Only one of"));
        assert!(inter(&["inter.broker.listener.name=INNER"]).unwrap_err().contains("OUTER,PLAINTEXT"));
        assert_eq!(all(&["listeners=SSL://a:1"]).unwrap().inter_broker, "SSL");
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
