//! TLS for a listener: a PEM certificate chain and key, and which clients must show a certificate
//! (`ssl.keystore.*`, `ssl.truststore.*`, `ssl.client.auth`).
//!
//! TLS 1.2 and 1.3 by rustls on aws-lc-rs. Never opens a socket. The certificate can be replaced while connections run.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

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
}

/// A listener's TLS settings, replaceable while it runs: new handshakes take the new ones.
#[derive(Debug)]
pub struct TlsServerConfig {
    current: ArcSwap<ServerConfig>,
}

impl TlsServerConfig {
    /// From PEM texts: the chain leaf first, the key in PKCS#8, SEC1 or PKCS#1 form, and the authorities that sign clients.
    pub fn from_pem(
        chain: &[u8],
        key: &[u8],
        authorities: Option<&[u8]>,
        client_auth: ClientAuth,
    ) -> Result<TlsServerConfig, TlsConfigError> {
        let config = server_config(chain, key, authorities, client_auth)?;
        Ok(TlsServerConfig { current: ArcSwap::from_pointee(config) })
    }

    /// Takes the settings of `other` for handshakes from now on.
    pub fn replace(&self, other: &TlsServerConfig) {
        self.current.store(other.current.load_full());
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn server_config(
    chain: &[u8],
    key: &[u8],
    authorities: Option<&[u8]>,
    client_auth: ClientAuth,
) -> Result<ServerConfig, TlsConfigError> {
    let chain = certificates(chain).map_err(TlsConfigError::BadCertificate)?;
    if chain.is_empty() {
        return Err(TlsConfigError::NoCertificate);
    }
    let key = private_key(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsConfigError::KeyRefused)?;
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
}
