//! TLS for connections to brokers: which certificates are believed, and who we say we are.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Why a TLS configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The text is no PEM.
    #[error("{what} is no valid PEM: {source}")]
    Pem {
        /// "CA file", "certificate chain" or "private key".
        what: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// PEM without a certificate in it.
    #[error("{what} holds no certificate")]
    NoCertificate {
        /// "CA file" or "certificate chain".
        what: &'static str,
    },
    /// Keys and certificates that do not fit.
    #[error("TLS configuration refused: {0}")]
    Rustls(#[from] rustls::Error),
}

/// How connections are encrypted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    pub(super) config: Arc<rustls::ClientConfig>,
}

/// Our own certificate and key, PEM, for brokers that ask for one (`ssl.client.auth`).
#[derive(Clone, Copy, Debug)]
pub struct ClientIdentity<'a> {
    /// The certificate, then its issuers.
    pub certificate_chain: &'a [u8],
    /// The private key.
    pub private_key: &'a [u8],
}

impl TlsConfig {
    /// Believes brokers whose certificate one of these CAs (PEM) has signed for the host name that is dialled.
    pub fn with_ca_pem(ca: &[u8]) -> Result<Self, TlsConfigError> {
        Self::with_ca_pem_and_identity(ca, None)
    }

    /// [`TlsConfig::with_ca_pem`], with a certificate of our own.
    pub fn with_ca_pem_and_identity(ca: &[u8], identity: Option<ClientIdentity<'_>>) -> Result<Self, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("CA file", ca)? {
            roots.add(certificate)?;
        }
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates("certificate chain", identity.certificate_chain)?;
                let key = PrivateKeyDer::from_pem_slice(identity.private_key)
                    .map_err(|source| TlsConfigError::Pem { what: "private key", source })?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        Ok(Self { config: Arc::new(config) })
    }

    /// Encrypts, and believes any certificate: anyone in between can read and change everything. For tests and first steps.
    pub fn insecure() -> Result<Self, TlsConfigError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }
}

fn certificates(what: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsConfigError::Pem { what, source })?;
    if found.is_empty() {
        return Err(TlsConfigError::NoCertificate { what });
    }
    Ok(found)
}

/// Believes every certificate, but still checks that the broker holds its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
