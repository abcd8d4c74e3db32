//! The client certificate of a connection: as the handshake left it, put on each request by `server`; or as a trusted proxy that ended
//! TLS says it was (RFC 9440).

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::authn::certificate::is_certificate;
use crate::domain::caller::proof::Verified;
use crate::domain::credential::certificate::{ClientCertificate, Der};
use crate::domain::value::names::EnvironmentName;

/// The leaf that the peer proved to have the key of, with what it sent to prove it, and what became of verifying it. Only ever the leaf
/// names anybody: who else's certificate was sent along says nothing (ABUSE M-07).
#[derive(Clone)]
pub struct PeerCertificate {
    /// Leaf first.
    chain: Arc<[Der]>,
    verified: Arc<OnceLock<Verified<ClientCertificate>>>,
}

impl PeerCertificate {
    /// The DER of a chain, leaf first. One without a leaf is nobody's.
    pub fn new<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { chain: chain.into_iter().map(|der| Der(der.to_vec())).collect(), verified: Arc::default() }
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[Der] {
        &self.chain
    }

    /// The peer that it names, once `verify` has verified it in `environment`. The signature and the form are looked at once per connection;
    /// validity, record and revocation at every request, by the decision.
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

/// The fields in which a proxy that ended TLS hands the client's certificate and its chain on (RFC 9440 section 2).
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Certificates in `Client-Cert-Chain`: more than any chain that is verified here has (ABUSE M-19).
const MOST_IN_CHAIN: usize = 8;

/// A certificate field that does not say exactly one thing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unreadable;

/// The certificate that a trusted proxy names, with its chain. From any other peer the fields say nothing, under whatever name (ABUSE
/// M-16): the caller of this function knows whom they are from.
///
/// # Errors
/// A field that cannot be read. A proxy that sends one meant a certificate, and a request that goes on without it would be given a token
/// that is bound to nothing.
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

/// The certificate in `Client-Cert`: at most one field, and in it exactly one byte sequence (RFC 9440 section 2.2) that is one X.509
/// certificate in DER. Only for a caller who knows that it comes from a proxy that may say so.
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

/// The certificates in `Client-Cert-Chain`: a list of byte sequences, over as many fields as the proxy likes (RFC 9440 section 2.3).
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

/// One byte sequence (RFC 8941 section 3.3.5) that is one certificate.
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
