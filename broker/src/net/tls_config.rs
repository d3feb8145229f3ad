//! TLS for a listener: a PEM certificate chain and key, and which clients must show a certificate
//! (`ssl.keystore.*`, `ssl.truststore.*`, `ssl.client.auth`).
//!
//! TLS 1.2 and 1.3 by rustls on aws-lc-rs. Never opens a socket. The certificate can be replaced while connections run.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

/// `ssl.client.auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// Clients are not asked for a certificate.
    #[default]
    None,
    /// Clients are asked; those without one are served as anonymous.
    Requested,
    /// Clients without a certificate of a trusted authority are refused.
    Required,
}

/// Why a certificate, key or authority is unusable.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The chain holds no certificate.
    #[error("the certificate chain holds no CERTIFICATE block in PEM form")]
    NoCertificate,
    /// The chain is not PEM.
    #[error("the certificate chain is not readable: {0}")]
    BadCertificate(pem::Error),
    /// The key file holds no key.
    #[error("the private key holds no PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY block in PEM form")]
    NoKey,
    /// The key is not PEM.
    #[error("the private key is not readable: {0}")]
    BadKey(pem::Error),
    /// The key has a password.
    #[error(
        "the private key is encrypted, which is not supported: write it without a password \
         (openssl pkey -in key.pem -out plain.pem) and protect the file by its permissions"
    )]
    EncryptedKey,
    /// The key is of a kind that is not supported, or does not belong to the certificate.
    #[error("the private key cannot be used with the certificate: {0}")]
    KeyRefused(rustls::Error),
    /// Client certificates are wanted but no authority is given.
    #[error("ssl.client.auth asks for client certificates, but no trusted authority (ssl.truststore) is given")]
    NoAuthority,
    /// The authorities are not usable.
    #[error("the trusted authorities are not usable: {0}")]
    BadAuthority(String),
    /// A cipher suite is asked for that is not built, or is not safe.
    #[error("ssl.cipher.suites: {0} is not offered; there are {1}")]
    UnknownCipherSuite(String, String),
    /// No suite is left for the protocols asked for.
    #[error("ssl.cipher.suites and ssl.enabled.protocols leave nothing to speak: {0}")]
    NothingToSpeak(rustls::Error),
}

/// What a listener's TLS is made from.
#[derive(Debug, Clone, Copy)]
pub struct TlsSettings<'a> {
    /// The certificate chain in PEM, leaf first.
    pub chain: &'a [u8],
    /// The key in PEM, in PKCS#8, SEC1 or PKCS#1 form.
    pub key: &'a [u8],
    /// The authorities that sign clients, in PEM.
    pub authorities: Option<&'a [u8]>,
    /// Which clients must show a certificate.
    pub client_auth: ClientAuth,
    /// `TLSv1.2` and `TLSv1.3`; all where it is empty.
    pub protocols: &'a [&'a str],
    /// Suites by their standard names; all that are safe where it is empty.
    pub cipher_suites: &'a [&'a str],
}

/// A listener's TLS settings, replaceable while it runs: new handshakes take the new ones.
#[derive(Debug)]
pub struct TlsServerConfig {
    current: ArcSwap<ServerConfig>,
}

impl TlsServerConfig {
    /// Settings that are found good.
    pub fn new(settings: &TlsSettings<'_>) -> Result<TlsServerConfig, TlsConfigError> {
        let config = server_config(settings)?;
        Ok(TlsServerConfig { current: ArcSwap::from_pointee(config) })
    }

    /// From PEM texts, with every protocol and suite.
    pub fn from_pem(
        chain: &[u8],
        key: &[u8],
        authorities: Option<&[u8]>,
        client_auth: ClientAuth,
    ) -> Result<TlsServerConfig, TlsConfigError> {
        Self::new(&TlsSettings { chain, key, authorities, client_auth, protocols: &[], cipher_suites: &[] })
    }

    /// Takes the settings of `other` for handshakes from now on.
    pub fn replace(&self, other: &TlsServerConfig) {
        self.current.store(other.current.load_full());
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn server_config(settings: &TlsSettings<'_>) -> Result<ServerConfig, TlsConfigError> {
    let &TlsSettings { chain, key, authorities, client_auth, protocols, cipher_suites } = settings;
    let chain = certificates(chain).map_err(TlsConfigError::BadCertificate)?;
    if chain.is_empty() {
        return Err(TlsConfigError::NoCertificate);
    }
    let key = private_key(key)?;
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    keep_suites(&mut provider, cipher_suites)?;
    let provider = Arc::new(provider);
    let is_asked = |version: &&&SupportedProtocolVersion| protocols.is_empty() || protocols.contains(&name(version));
    let versions: Vec<_> = rustls::ALL_VERSIONS.iter().filter(is_asked).copied().collect();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(TlsConfigError::NothingToSpeak)?;
    let builder = match client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Requested | ClientAuth::Required => {
            let roots = Arc::new(root_store(authorities.ok_or(TlsConfigError::NoAuthority)?)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier =
                if client_auth == ClientAuth::Requested { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| TlsConfigError::BadAuthority(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(chain, key).map_err(TlsConfigError::KeyRefused)
}

/// Kafka's name of a version.
fn name(version: &SupportedProtocolVersion) -> &'static str {
    match version.version {
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
        rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "",
    }
}

/// Takes away the suites that are not asked for.
fn keep_suites(provider: &mut CryptoProvider, asked: &[&str]) -> Result<(), TlsConfigError> {
    if asked.is_empty() {
        return Ok(());
    }
    // The standard's names do not tell the suites of TLS 1.3 apart.
    let name = |suite: &SupportedCipherSuite| {
        suite.suite().as_str().map(|name| name.replacen("TLS13_", "TLS_", 1)).unwrap_or_default()
    };
    let offered: Vec<String> = provider.cipher_suites.iter().map(name).collect();
    if let Some(unknown) = asked.iter().find(|asked| !offered.iter().any(|offered| offered == *asked)) {
        return Err(TlsConfigError::UnknownCipherSuite((*unknown).to_owned(), offered.join(", ")));
    }
    provider.cipher_suites.retain(|suite| asked.contains(&&*name(suite)));
    Ok(())
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(text).collect()
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    let has = |marker: &[u8]| text.windows(marker.len()).any(|window| window == marker);
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsConfigError::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsConfigError::NoKey,
        error => TlsConfigError::BadKey(error),
    })
}

fn root_store(text: &[u8]) -> Result<RootCertStore, TlsConfigError> {
    let authorities = certificates(text).map_err(|error| TlsConfigError::BadAuthority(error.to_string()))?;
    if authorities.is_empty() {
        return Err(TlsConfigError::NoAuthority);
    }
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| TlsConfigError::BadAuthority(error.to_string()))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (pair.cert.pem(), pair.signing_key.serialize_pem())
    }

    #[test]
    fn a_chain_and_a_key_in_pem_make_a_listener() {
        let (chain, key) = pair();
        TlsServerConfig::from_pem(chain.as_bytes(), key.as_bytes(), None, ClientAuth::None).unwrap();
        TlsServerConfig::from_pem(chain.as_bytes(), key.as_bytes(), Some(chain.as_bytes()), ClientAuth::Required)
            .unwrap();
    }

    #[test]
    fn what_is_wrong_with_a_pem_is_said() {
        let (chain, key) = pair();
        let (_, other_key) = pair();
        let error = |chain: &str, key: &str, auth| {
            TlsServerConfig::from_pem(chain.as_bytes(), key.as_bytes(), None, auth).unwrap_err()
        };
        assert!(matches!(error("", &key, ClientAuth::None), TlsConfigError::NoCertificate));
        assert!(matches!(error(&chain, "", ClientAuth::None), TlsConfigError::NoKey));
        assert!(matches!(error(&chain, &other_key, ClientAuth::None), TlsConfigError::KeyRefused(_)));
        assert!(matches!(error(&chain, &key, ClientAuth::Required), TlsConfigError::NoAuthority));
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(matches!(error(&chain, encrypted, ClientAuth::None), TlsConfigError::EncryptedKey));
    }

    #[test]
    fn only_the_protocols_and_suites_asked_for_are_offered() {
        let (chain, key) = pair();
        let config = |protocols: &[&str], cipher_suites: &[&str]| {
            TlsServerConfig::new(&TlsSettings {
                chain: chain.as_bytes(),
                key: key.as_bytes(),
                authorities: None,
                client_auth: ClientAuth::None,
                protocols,
                cipher_suites,
            })
        };
        let suites = |config: TlsServerConfig| config.current().crypto_provider().cipher_suites.len();
        assert_eq!(suites(config(&[], &["TLS_AES_256_GCM_SHA384"]).unwrap()), 1);
        config(&["TLSv1.3"], &[]).unwrap();
        let error = config(&[], &["TLS_RSA_WITH_NULL_MD5"]).unwrap_err().to_string();
        assert!(error.contains("TLS_RSA_WITH_NULL_MD5 is not offered; there are TLS_AES_256_GCM_SHA384"), "{error}");
        let nothing = config(&["TLSv1.2"], &["TLS_AES_256_GCM_SHA384"]).unwrap_err();
        assert!(matches!(nothing, TlsConfigError::NothingToSpeak(_)), "{nothing}");
    }
}
