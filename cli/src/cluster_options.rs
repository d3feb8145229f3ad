//! The options of every command that talks to a cluster: where it is, how to trust it, and how to print the answer.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use weir_protocol::client::{Address, Client, ClientConfig, ClientIdentity, TlsConfig};

use crate::command_error::CommandError;
use crate::output::Format;

/// Where a cluster is and how to talk to it.
#[derive(Debug, Args)]
pub(crate) struct ClusterOptions {
    /// Brokers to ask first: host:port, with commas between several.
    #[arg(
        long,
        global = true,
        env = "WEIR_BOOTSTRAP",
        default_value = "127.0.0.1:9092",
        value_name = "HOST:PORT",
        alias = "bootstrap-server"
    )]
    bootstrap: Bootstrap,
    /// Encrypt, and believe brokers whose certificate a CA of this PEM file has signed.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "tls_insecure")]
    tls_ca: Option<PathBuf>,
    /// Encrypt, and believe any certificate: no protection against anyone in between.
    #[arg(long, global = true)]
    tls_insecure: bool,
    /// Our own certificate chain (PEM), for brokers that ask for one.
    #[arg(long, global = true, value_name = "FILE", requires = "tls_key", requires = "tls_ca")]
    tls_cert: Option<PathBuf>,
    /// The private key (PEM) of --tls-cert.
    #[arg(long, global = true, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Tables for people or JSON for programs.
    #[arg(long, short = 'o', global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// A bootstrap list with at least one address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bootstrap(Vec<Address>);

impl FromStr for Bootstrap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Address::parse_list(text) {
            Ok(addresses) if addresses.is_empty() => Err("it names no broker: write host:port".to_owned()),
            Ok(addresses) => Ok(Self(addresses)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl ClusterOptions {
    /// Finds the cluster.
    pub(crate) async fn connect(&self) -> Result<Client, CommandError> {
        let mut config = ClientConfig::new(self.bootstrap.0.clone());
        config.tls = self.tls()?;
        Client::connect(config).await.map_err(|error| CommandError::client("reach the cluster", error))
    }

    fn tls(&self) -> Result<Option<TlsConfig>, CommandError> {
        if self.tls_insecure {
            return Ok(Some(TlsConfig::insecure()?));
        }
        let Some(ca) = &self.tls_ca else { return Ok(None) };
        let ca = read(ca)?;
        let config = match (&self.tls_cert, &self.tls_key) {
            (Some(chain), Some(key)) => {
                let (certificate_chain, private_key) = (&*read(chain)?, &*read(key)?);
                TlsConfig::with_ca_pem_and_identity(&ca, Some(ClientIdentity { certificate_chain, private_key }))?
            }
            _ => TlsConfig::with_ca_pem(&ca)?,
        };
        Ok(Some(config))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|source| CommandError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_list_has_at_least_one_address() {
        let parse = |text: &str| text.parse::<Bootstrap>();
        assert_eq!(parse("a:1, b:2").unwrap().0, [Address::new("a", 1), Address::new("b", 2)]);
        assert!(parse(",").unwrap_err().contains("no broker"));
        assert!(parse("localhost").unwrap_err().contains("host:port"));
    }
}
