//! A listener's TLS settings, from Kafka's `ssl.*` keys (KIP-651: PEM stores).

use std::io;
use std::path::Path;

use weir_protocol::client::{ClientIdentity, TlsConfig};

use super::StartError;
use crate::config::definition::list;
use crate::config::effective::Layers;
use crate::config::{ConfigError, ListenerConfig};
use crate::net::{ClientAuth, TlsServerConfig, TlsSettings};

/// The largest store that is read, in bytes: no certificate chain comes near it.
const MAX_STORE_BYTES: u64 = 1 << 20;

/// What the layers say for `listener`: its own keys first, then everybody's (KIP-103).
pub(super) fn tls_config(layers: Layers<'_>, listener: &ListenerConfig) -> Result<TlsServerConfig, StartError> {
    Keys { layers, listener: &listener.name }.tls()
}

/// How this node dials a listener of that name on another node, as Kafka does: with that listener's own keys, believing whom
/// its truststore names and showing its certificate.
pub(super) fn dialling(layers: Layers<'_>, listener: &str) -> Result<TlsConfig, StartError> {
    Keys { layers, listener }.dialling()
}

/// PEM, if there is any.
type Pem = Option<Vec<u8>>;

struct Keys<'a> {
    layers: Layers<'a>,
    listener: &'a str,
}

impl Keys<'_> {
    fn dialling(&self) -> Result<TlsConfig, StartError> {
        self.refuse_other_types("ssl.keystore.type")?;
        self.refuse_other_types("ssl.truststore.type")?;
        let (chain, key) = self.identity()?;
        let Some(authorities) = self.authorities()? else {
            return Err(StartError::TlsIncomplete {
                listener: self.listener.to_owned(),
                keys: "ssl.truststore.location or ssl.truststore.certificates, to know the other nodes by,",
            });
        };
        let identity = match (&chain, &key) {
            (Some(chain), Some(key)) => Some(ClientIdentity { certificate_chain: chain, private_key: key }),
            _ => None,
        };
        TlsConfig::with_ca_pem_and_identity(&authorities, identity)
            .map_err(|source| StartError::TlsDialling { listener: self.listener.to_owned(), source })
    }

    fn tls(&self) -> Result<TlsServerConfig, StartError> {
        self.refuse_other_types("ssl.keystore.type")?;
        self.refuse_other_types("ssl.truststore.type")?;
        let (Some(chain), Some(key)) = self.identity()? else {
            return Err(StartError::TlsIncomplete {
                listener: self.listener.to_owned(),
                keys: "ssl.keystore.location, or ssl.keystore.key and ssl.keystore.certificate.chain,",
            });
        };
        let authorities = self.authorities()?;
        let client_auth = match self.value("ssl.client.auth").as_deref() {
            Some("required") => ClientAuth::Required,
            Some("requested") => ClientAuth::Requested,
            _ => ClientAuth::None,
        };
        let protocols = self.value("ssl.enabled.protocols").unwrap_or_default();
        let cipher_suites = self.value("ssl.cipher.suites").unwrap_or_default();
        let settings = TlsSettings {
            chain: &chain,
            key: &key,
            authorities: authorities.as_deref(),
            client_auth,
            protocols: &list(&protocols).collect::<Vec<_>>(),
            cipher_suites: &list(&cipher_suites).collect::<Vec<_>>(),
        };
        TlsServerConfig::new(&settings).map_err(|source| StartError::Tls { listener: self.listener.to_owned(), source })
    }

    /// Certificate chain and private key, PEM.
    fn identity(&self) -> Result<(Pem, Pem), StartError> {
        let store = self.file("ssl.keystore.location")?;
        let inline = |key| self.value(key).map(String::into_bytes);
        let chain = inline("ssl.keystore.certificate.chain").or_else(|| store.clone());
        Ok((chain, inline("ssl.keystore.key").or(store)))
    }

    /// Whom to believe, PEM.
    fn authorities(&self) -> Result<Option<Vec<u8>>, StartError> {
        match self.value("ssl.truststore.certificates") {
            Some(inline) => Ok(Some(inline.into_bytes())),
            None => self.file("ssl.truststore.location"),
        }
    }

    fn value(&self, key: &'static str) -> Option<String> {
        self.layers.text_for_listener(self.listener, key).filter(|value| !value.is_empty())
    }

    fn file(&self, key: &'static str) -> Result<Option<Vec<u8>>, StartError> {
        let Some(path) = self.value(key) else { return Ok(None) };
        match read_store(Path::new(&path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) => Err(StartError::TlsFile { listener: self.listener.to_owned(), key, path, source }),
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

/// Reads a store whole. Its name may have come from a client: what has no end, or never begins, is not read.
fn read_store(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.len() > MAX_STORE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is larger than {MAX_STORE_BYTES} bytes")));
    }
    std::fs::read(path)
}
