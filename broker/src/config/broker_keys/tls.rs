//! TLS, for every listener or for one (KIP-103): `ssl.*`.

use super::super::definition::Definition;
use super::super::definition::Kind::{Boolean, Class, List, ListOf, OneOf, Password, String};
use super::super::definition::Update::{PerBroker, ReadOnly};
use super::row::key;
use super::why::{ACLS, JVM};

#[rustfmt::skip]
pub(super) static KEYS: &[Definition] = &[
    key("ssl.allow.dn.changes", Boolean, Some("false"), ReadOnly,
        "Whether a new certificate may carry another distinguished name.").without_effect("certificates are replaced whatever their names"),
    key("ssl.allow.san.changes", Boolean, Some("false"), ReadOnly,
        "Whether a new certificate may carry other alternative names.").without_effect("certificates are replaced whatever their names"),
    key("ssl.cipher.suites", List, Some(""), PerBroker,
        "The cipher suites offered, by their standard names; empty for all that are safe."),
    key("ssl.client.auth", OneOf(&["required", "requested", "none"]), Some("none"), PerBroker,
        "Whether clients must, may or need not show a certificate."),
    key("ssl.enabled.protocols", ListOf(&["TLSv1.2", "TLSv1.3"]), Some("TLSv1.2,TLSv1.3"), PerBroker,
        "The TLS versions spoken."),
    key("ssl.endpoint.identification.algorithm", String, Some("https"), PerBroker,
        "How a client's side checks the name of a server.").without_effect("the broker is no client"),
    key("ssl.engine.factory.class", Class, None, PerBroker,
        "The class that makes TLS engines.").without_effect(JVM),
    key("ssl.key.password", Password, None, PerBroker,
        "The password of an encrypted private key.").without_effect("encrypted keys are refused"),
    key("ssl.keymanager.algorithm", String, Some("SunX509"), PerBroker,
        "How the JVM finds keys.").without_effect(JVM),
    key("ssl.keystore.certificate.chain", Password, None, PerBroker,
        "The certificate chain, in PEM, inline."),
    key("ssl.keystore.key", Password, None, PerBroker,
        "The private key, in PEM, inline."),
    key("ssl.keystore.location", String, None, PerBroker,
        "The PEM file with the private key and certificate chain."),
    key("ssl.keystore.password", Password, None, PerBroker,
        "The password of the key store.").without_effect("PEM stores have none"),
    key("ssl.keystore.type", String, Some("PEM"), PerBroker,
        "The kind of key store; only PEM is read."),
    key("ssl.principal.mapping.rules", String, Some("DEFAULT"), ReadOnly,
        "How the name in a client's certificate becomes a principal.").without_effect(ACLS),
    key("ssl.protocol", String, Some("TLSv1.3"), PerBroker,
        "The version of TLS that is preferred.").without_effect("see ssl.enabled.protocols"),
    key("ssl.provider", String, None, PerBroker,
        "The JVM's provider of TLS.").without_effect(JVM),
    key("ssl.secure.random.implementation", String, None, PerBroker,
        "The JVM's source of random numbers.").without_effect(JVM),
    key("ssl.trustmanager.algorithm", String, Some("PKIX"), PerBroker,
        "How the JVM judges certificates.").without_effect(JVM),
    key("ssl.truststore.certificates", Password, None, PerBroker,
        "The certificates clients are checked against, in PEM, inline."),
    key("ssl.truststore.location", String, None, PerBroker,
        "The PEM file with the certificates clients are checked against."),
    key("ssl.truststore.password", Password, None, PerBroker,
        "The password of the trust store.").without_effect("PEM stores have none"),
    key("ssl.truststore.type", String, Some("PEM"), PerBroker,
        "The kind of trust store; only PEM is read."),
];
