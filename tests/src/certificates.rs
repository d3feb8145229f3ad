//! A certificate authority and a server certificate for 127.0.0.1 and localhost, made anew for each test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// PEM files in a directory of the test.
#[derive(Debug, Clone)]
pub struct Certificates {
    authority: PathBuf,
    keystore: PathBuf,
}

impl Certificates {
    /// Makes an authority and a server certificate below `dir`.
    pub fn make(dir: &Path) -> io::Result<Certificates> {
        fs::create_dir_all(dir)?;
        let made = make_pems().map_err(io::Error::other)?;
        let certificates = Certificates { authority: dir.join("authority.pem"), keystore: dir.join("keystore.pem") };
        fs::write(&certificates.authority, made.authority)?;
        fs::write(&certificates.keystore, made.keystore)?;
        Ok(certificates)
    }

    /// What a client trusts (`ssl.ca.location`, `ssl.truststore.location`).
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The server's key and chain in one file, as Kafka's PEM keystore has it (`ssl.keystore.location`).
    pub fn keystore(&self) -> &Path {
        &self.keystore
    }
}

struct Pems {
    authority: String,
    keystore: String,
}

fn make_pems() -> Result<Pems, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority_params = CertificateParams::new(Vec::new())?;
    authority_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority_params.distinguished_name.push(DnType::CommonName, "weir tests");
    let authority = authority_params.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority_params, authority_key);

    let server_key = KeyPair::generate()?;
    let mut server_params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server_params.distinguished_name.push(DnType::CommonName, "localhost");
    let server = server_params.signed_by(&server_key, &issuer)?;
    Ok(Pems {
        authority: authority.pem(),
        keystore: format!("{}{}{}", server_key.serialize_pem(), server.pem(), authority.pem()),
    })
}
