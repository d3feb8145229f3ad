//! A listener's TLS settings, from Kafka's `ssl.*` keys (KIP-651: PEM stores).

use std::sync::Arc;

use super::StartError;
use crate::config::{ConfigError, ListenerConfig, Settings};
use crate::net::{self, ClientAuth, ListenerSecurity, SecurityProtocol, TlsServerConfig};

pub(super) fn network_listener(
    settings: &Settings,
    listener: &ListenerConfig,
) -> Result<net::ListenerConfig, StartError> {
    let security = match listener.protocol {
        SecurityProtocol::Plaintext => ListenerSecurity::Plaintext,
        SecurityProtocol::Ssl => ListenerSecurity::Tls(Arc::new(Keys { settings, listener }.tls()?)),
    };
    Ok(net::ListenerConfig {
        name: listener.name.as_str().into(),
        host: listener.host.clone(),
        port: listener.port,
        security,
    })
}

/// The `ssl.*` keys as one listener sees them: its own first, then everybody's (KIP-103).
struct Keys<'a> {
    settings: &'a Settings,
    listener: &'a ListenerConfig,
}

impl Keys<'_> {
    fn tls(&self) -> Result<TlsServerConfig, StartError> {
        self.refuse_other_types("ssl.keystore.type")?;
        self.refuse_other_types("ssl.truststore.type")?;
        let store = self.file("ssl.keystore.location")?;
        let inline = |key| self.value(key).map(|text| text.into_bytes());
        let chain = inline("ssl.keystore.certificate.chain").or_else(|| store.clone());
        let key = inline("ssl.keystore.key").or(store);
        let (Some(chain), Some(key)) = (chain, key) else {
            return Err(StartError::TlsIncomplete {
                listener: self.listener.name.clone(),
                keys: "ssl.keystore.location, or ssl.keystore.key and ssl.keystore.certificate.chain,",
            });
        };
        let authorities = match inline("ssl.truststore.certificates") {
            Some(inline) => Some(inline),
            None => self.file("ssl.truststore.location")?,
        };
        let client_auth = match self.value("ssl.client.auth").as_deref() {
            Some("required") => ClientAuth::Required,
            Some("requested") => ClientAuth::Requested,
            _ => ClientAuth::None,
        };
        TlsServerConfig::from_pem(&chain, &key, authorities.as_deref(), client_auth)
            .map_err(|source| StartError::Tls { listener: self.listener.name.clone(), source })
    }

    fn value(&self, key: &'static str) -> Option<String> {
        let own = format!("listener.name.{}.{key}", self.listener.name.to_ascii_lowercase());
        let value = self.settings.set(&own).or_else(|| self.settings.value(key))?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn file(&self, key: &'static str) -> Result<Option<Vec<u8>>, StartError> {
        let Some(path) = self.value(key) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) => Err(StartError::TlsFile { listener: self.listener.name.clone(), key, path, source }),
        }
    }

    fn refuse_other_types(&self, key: &'static str) -> Result<(), StartError> {
        match self.value(key) {
            Some(kind) if !kind.eq_ignore_ascii_case("PEM") => Err(StartError::Config(ConfigError {
                key: key.to_owned(),
                value: kind,
                reason: "Only PEM stores are read; convert it, for example with keytool and openssl".to_owned(),
            })),
            _ => Ok(()),
        }
    }
}
