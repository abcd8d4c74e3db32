//! Our trust bundle, for clients that verify our leaves as X.509-SVIDs.
//!
//! SPIFFE Trust Domain and Bundle, section 4; profile `https_web`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::domain::credential::certificate::Der;

/// The refresh interval for relying parties, in seconds.
///
/// A tainted authority should not be trusted for long.
const REFRESH: u32 = 300;

/// The bundle of one trust domain: its roots, and its sequence number, which only grows.
///
/// It has no keys for JWT-SVIDs: the broker issues access tokens, and nothing should take them for a workload's identity.
pub fn bundle<'a>(roots: impl Iterator<Item = &'a Der>, sequence: u64) -> Value {
    let keys: Vec<Value> = roots.filter_map(key).collect();
    json!({"keys": keys, "spiffe_sequence": sequence, "spiffe_refresh_hint": REFRESH})
}

/// A root as a JWK: `use: x509-svid`, no `kid`, exactly one `x5c` (section 4.2.1).
fn key(root: &Der) -> Option<Value> {
    let (_, certificate) = X509Certificate::from_der(&root.0).ok()?;
    // Every authority of ours is P-256: an uncompressed point.
    let point = certificate.public_key().subject_public_key.data.strip_prefix(&[4])?;
    let (x, y) = (point.get(..32)?, point.get(32..64)?);
    Some(json!({
        "kty": "EC", "crv": "P-256", "use": "x509-svid", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        "x5c": [STANDARD.encode(&root.0)],
    }))
}
