//! The client certificate of a connection, from our handshake or from a trusted proxy.
//!
//! `server` adds a certificate of our own handshake to each request. A proxy that ended TLS sends it as RFC 9440 says.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::authn::certificate::is_certificate;
use crate::domain::caller::proof::Verified;
use crate::domain::credential::certificate::{ClientCertificate, Der};
use crate::domain::value::names::EnvironmentName;

/// The leaf certificate whose key the peer proved, its chain, and the result of verifying it.
///
/// Only the leaf identifies the peer. The other certificates in the chain say nothing about who it is (ABUSE M-07).
#[derive(Clone)]
pub struct PeerCertificate {
    /// The leaf comes first.
    chain: Arc<[Der]>,
    verified: Arc<OnceLock<Verified<ClientCertificate>>>,
}

impl PeerCertificate {
    /// Takes the DER of a chain, leaf first. A chain without a leaf never verifies.
    pub fn new<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { chain: chain.into_iter().map(|der| Der(der.to_vec())).collect(), verified: Arc::default() }
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[Der] {
        &self.chain
    }

    /// The peer that the leaf names, once `verify` has verified it in `environment`.
    ///
    /// Signature and form are checked once per connection. The decision checks validity, record and revocation at every request.
    pub fn verified(
        &self,
        environment: &EnvironmentName,
        verify: impl FnOnce(&[u8]) -> Option<Verified<ClientCertificate>>,
    ) -> Option<Verified<ClientCertificate>> {
        if let Some(known) = self.verified.get().filter(|known| known.leaf.environment == *environment) {
            return Some(known.clone());
        }
        let verified = verify(&self.chain.first()?.0)?;
        let _first = self.verified.set(verified.clone());
        Some(verified)
    }
}

/// The header in which a proxy that ended TLS sends the client's certificate (RFC 9440 section 2).
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The most certificates in `Client-Cert-Chain` (ABUSE M-19).
///
/// No chain that is verified here has more.
const MOST_IN_CHAIN: usize = 8;

/// A certificate header that is not exactly one value of the right form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unreadable;

/// The certificate that a trusted proxy names, with its chain.
///
/// The caller must know that the headers come from a trusted proxy: from any other peer they say nothing (ABUSE M-16).
///
/// # Errors
/// A header that cannot be parsed. A proxy that sends one meant a certificate; if the request went on without it, the token
/// would be bound to nothing.
pub(super) fn forwarded(headers: &HeaderMap) -> Result<Option<PeerCertificate>, Unreadable> {
    let (leaf, chain) = (client_cert(headers)?, client_cert_chain(headers)?);
    match leaf {
        Some(leaf) => {
            Ok(Some(PeerCertificate { chain: std::iter::once(leaf).chain(chain).collect(), verified: Arc::default() }))
        }
        // RFC 9440 section 2.3: no chain without a certificate.
        None if chain.is_empty() => Ok(None),
        None => Err(Unreadable),
    }
}

/// Parses `Client-Cert`: at most one header with exactly one byte sequence (RFC 9440 section 2.2).
///
/// The bytes must be one X.509 certificate in DER. The caller must know that the header comes from a proxy that may send it.
///
/// # Errors
/// Anything else.
pub fn client_cert(headers: &HeaderMap) -> Result<Option<Der>, Unreadable> {
    let mut fields = headers.get_all(CLIENT_CERT).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => byte_sequence(only.to_str().map_err(|_| Unreadable)?).map(Some),
        (Some(_), Some(_)) => Err(Unreadable),
    }
}

/// Parses `Client-Cert-Chain`: byte sequences over any number of headers (RFC 9440 section 2.3).
fn client_cert_chain(headers: &HeaderMap) -> Result<Vec<Der>, Unreadable> {
    let mut chain = Vec::new();
    for field in headers.get_all(CLIENT_CERT_CHAIN) {
        for member in field.to_str().map_err(|_| Unreadable)?.split(',') {
            if chain.len() == MOST_IN_CHAIN {
                return Err(Unreadable);
            }
            chain.push(byte_sequence(member)?);
        }
    }
    Ok(chain)
}

/// Parses one byte sequence (RFC 8941 section 3.3.5) that is one certificate.
fn byte_sequence(text: &str) -> Result<Der, Unreadable> {
    let encoded = text.trim_matches([' ', '\t']).strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or(Unreadable)?;
    let der = STANDARD.decode(encoded).map_err(|_| Unreadable)?;
    if is_certificate(&der) { Ok(Der(der)) } else { Err(Unreadable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> String {
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name").self_signed(&key).expect("signed");
        format!(":{}:", STANDARD.encode(made.der()))
    }

    fn read(fields: &[(&'static str, &str)]) -> Result<usize, Unreadable> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a value"));
        }
        forwarded(&headers).map(|found| found.map_or(0, |found| found.chain().len()))
    }

    #[test]
    fn m_16_a_certificate_field_is_read_whole_or_refused() {
        let (leaf, issuing) = (certificate("leaf.example"), certificate("issuing.example"));
        assert_eq!(read(&[]), Ok(0));
        assert_eq!(read(&[("client-cert", &leaf)]), Ok(1));
        assert_eq!(read(&[("client-cert", &format!("  {leaf}\t"))]), Ok(1));
        assert_eq!(read(&[("client-cert", &leaf), ("client-cert-chain", &format!("{issuing}, {issuing}"))]), Ok(3));
        assert_eq!(read(&[("client-cert", &leaf), ("client-cert-chain", &issuing), ("client-cert-chain", &issuing)]), Ok(3));
        let inside = leaf.trim_matches(':').to_owned();
        let mut bytes = STANDARD.decode(&inside).expect("base64");
        bytes.push(0);
        let with_more = format!(":{}:", STANDARD.encode(&bytes));
        let short = format!(":{}:", STANDARD.encode(&bytes[..bytes.len() - 2]));
        let long = format!(":{}:", STANDARD.encode([0x30; 40_000]));
        let pem = "-----BEGIN CERTIFICATE-----";
        let parameter = format!("{leaf};a=1");
        let two = format!("{leaf}, {leaf}");
        for bad in ["", ":", "::", ":eHg=:", ":%%:", "?0", &inside, &with_more, &short, &long, pem, &parameter, &two] {
            assert_eq!(read(&[("client-cert", bad)]), Err(Unreadable), "{bad}");
        }
        assert_eq!(read(&[("client-cert", &leaf), ("client-cert", &leaf)]), Err(Unreadable));
        assert_eq!(read(&[("client-cert-chain", &issuing)]), Err(Unreadable), "a chain of nothing");
        for bad in ["", ":eHg=:", &format!("{issuing},"), &[issuing.as_str(); 9].join(",")] {
            assert_eq!(read(&[("client-cert", &leaf), ("client-cert-chain", bad)]), Err(Unreadable), "{bad}");
        }
    }
}
