//! Verifies X.509-SVIDs of partners' trust domains: from a chain to a workload.
//!
//! Enter through [`verify`], with the chain that the peer presented and the anchors of one bundle. The handshake has proved that
//! the peer has the leaf's key, and that some anchor of some bundle signed the chain. The trust domain counts only once that
//! domain's bundle alone verifies the chain (SPIFFE Trust Domain and Bundle, section 4). It is judged again at every request,
//! because bundles change.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::domain::caller::proof::Verified;
use crate::domain::caller::spiffe::{Svid, WorkloadId};
use crate::domain::credential::certificate::Der;
use crate::domain::registry::binding::KeySource;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

/// The largest certificate that is parsed (ABUSE M-19).
const LARGEST: usize = 16 * 1024;

/// The longest chain, the leaf included.
const LONGEST: usize = 6;

/// The X.509 authorities of one bundle.
pub(super) struct Anchors {
    pub(super) authorities: Vec<Der>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Anchors {
    /// Makes anchors of those `authorities` that can be one; `None` if none can.
    pub(super) fn of(authorities: Vec<Der>) -> Option<Self> {
        let mut store = RootCertStore::empty();
        let taken = |der: &Der| store.add(CertificateDer::from(der.0.clone())).is_ok();
        let authorities: Vec<Der> = authorities.into_iter().filter(taken).collect();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build().ok()?;
        Some(Self { authorities, verifier })
    }

    fn signed(&self, chain: &[Der], now: Timestamp) -> Option<()> {
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.0.as_slice())).collect();
        let (leaf, intermediates) = chain.split_first()?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_seconds()).ok()?));
        self.verifier.verify_client_cert(leaf, intermediates, now).ok().map(drop)
    }
}

/// The ID that a leaf claims, unverified: only for looking up whose bundle could verify it.
pub fn claimed(leaf: &Der) -> Option<WorkloadId> {
    if leaf.0.len() > LARGEST {
        return None;
    }
    let (rest, certificate) = X509Certificate::from_der(&leaf.0).ok()?;
    let san = certificate.subject_alternative_name().ok()??;
    // It must have exactly one URI (X509-SVID section 2). Names of other kinds are ignored.
    let mut uris = san.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (only, None) = (uris.next()?, uris.next()) else { return None };
    if rest.is_empty() { only.parse().ok() } else { None }
}

/// Verifies a chain, leaf first, by the anchors of the bundle at `source`.
pub(super) fn verify(chain: &[Der], source: &KeySource, anchors: &Anchors, now: Timestamp) -> Option<Verified<Svid>> {
    let leaf = chain.first()?;
    if chain.len() > LONGEST || chain.iter().any(|der| der.0.len() > LARGEST) {
        return None;
    }
    anchors.signed(chain, now)?;
    let id = claimed(leaf)?;
    let (_, certificate) = X509Certificate::from_der(&leaf.0).ok()?;
    form(&certificate)?;
    let mut ends = time(&certificate, |validity| validity.not_after)?;
    for der in chain.iter().skip(1) {
        let (_, above) = X509Certificate::from_der(&der.0).ok()?;
        ends = ends.min(time(&above, |validity| validity.not_after)?);
    }
    Some(Verified::assertion(Svid {
        id,
        source: source.clone(),
        key: Digest::of(certificate.public_key().raw),
        fingerprint: Digest::of(&leaf.0),
        starts: time(&certificate, |validity| validity.not_before)?,
        ends,
    }))
}

/// Checks the usages of a leaf (X509-SVID section 4).
///
/// It is not an authority, it signs as a client does, and if it lists extended usages, a client's is among them.
fn form(leaf: &X509Certificate<'_>) -> Option<()> {
    let authority = leaf.basic_constraints().ok()?.is_some_and(|constraints| constraints.value.ca);
    let usage = leaf.key_usage().ok()??;
    let signs = usage.value.digital_signature() && !usage.value.key_cert_sign() && !usage.value.crl_sign();
    let client = leaf.extended_key_usage().ok()?.is_none_or(|extended| extended.value.client_auth && !extended.value.any);
    (!authority && usage.critical && signs && client).then_some(())
}

fn time(
    certificate: &X509Certificate<'_>,
    which: impl FnOnce(&x509_parser::certificate::Validity) -> x509_parser::time::ASN1Time,
) -> Option<Timestamp> {
    Timestamp::from_seconds(which(certificate.validity()).timestamp())
}
