//! The names of things, parsed once at the border: a bare `String` never stands for one.
//!
//! Every name is immutable, cheap to clone (`Arc<str>`), compared byte for byte and never repaired: what does not parse is
//! refused. Labels follow docs/reference/records.md: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::digest::Digest;
use super::shared::SharedTexts;

pub use super::client::{ClientId, IntegrationId};
use super::label::name;
pub use super::label::{ApiName, BindingName, EnvironmentName, GuardrailName, IntegrationName, InvalidName, PartnerName};

name!(
    /// A URL that names an issuer of tokens, compared byte for byte (RFC 8414 section 3.3, ABUSE J-16). For `key` bindings
    /// the issuer is the client id. Whether it may be fetched is for `outbound` to say.
    Issuer, opaque_255
);
name!(
    /// The `sub` of a verified assertion: text as claims are compared by ([`claim_text`](super::claim_text), ABUSE J-21).
    Subject, subject
);
name!(
    /// The audience URI of an API in one environment, compared byte for byte (RFC 8707 section 2).
    Audience, opaque_255
);
name!(
    /// The `jti` of a proof that a partner showed: any printable ASCII of at most 255 characters, unique per issuer.
    ProofId, opaque_255
);
name!(
    /// The `jti` of a token of ours.
    TokenId, url_safe
);
name!(
    /// A signing key of ours: the RFC 7638 thumbprint of its public half.
    KeyId, url_safe
);
name!(
    /// One request, as told in `X-Request-Id`, the journal and the logs.
    RequestId, url_safe
);
name!(
    /// One approval of the governance of records.
    ApprovalId, url_safe
);
name!(
    /// One revocation, until it is lifted.
    RevocationId, url_safe
);
name!(
    /// One suspension of a partner or an integration, until it is lifted.
    SuspensionId, url_safe
);
name!(
    /// One static secret of an integration that still lives at the partner, or did.
    ExceptionId, url_safe
);
name!(
    /// One signal from outside.
    SignalId, url_safe
);
name!(
    /// One campaign of reviews.
    CampaignId, url_safe
);
name!(
    /// One offboarding of a partner or an integration.
    OffboardingId, url_safe
);
name!(
    /// One request for an elevation, and what came of it.
    ElevationId, url_safe
);
name!(
    /// One passkey of an approver: base64url of the SHA-256 of its credential id.
    PasskeyId, url_safe
);
name!(
    /// A person of the people directory, by our own opaque id: `psn_` and a random name. It stays when the person's texts go.
    PersonId, person_id
);
name!(
    /// People whom the brake of the people directory holds, until somebody of security confirms that they left.
    HoldId, url_safe
);
name!(
    /// A ticket in the company's own system, by its number or address.
    Ticket, opaque_255
);
name!(
    /// One first enrolment for a certificate.
    EnrolmentId, url_safe
);
name!(
    /// A SPIFFE trust domain, such as `production.partners.acme.example` (SPIFFE-ID section 2.1); one per environment. Shorter than the
    /// standard allows, so that every name made with it fits where names do.
    TrustDomain, trust_domain
);

name!(
    /// One node of the broker, such as `sts-1` or the name of its host. No two nodes that live have the same.
    NodeId, node_id
);

impl ExceptionId {
    /// The id of the static secret that a record of `integration` calls `what`: the same in every version.
    pub fn of(integration: &IntegrationId, what: &str) -> Self {
        let mut id = Digest::of_json(&(integration, what)).to_string();
        id.truncate(32);
        Self(format!("exc_{id}").into())
    }
}

impl SuspensionId {
    /// The id of a suspension whose entry gives it none: the broker's own, and those of before suspensions had ids.
    ///
    /// No id that is drawn at random has a hyphen there and so few characters.
    pub fn of_entry(index: u64) -> Self {
        Self(format!("entry-{index}").into())
    }
}

impl TrustDomain {
    /// As the name of an issuer: `spiffe://TRUST-DOMAIN`.
    pub fn issuer(&self) -> Issuer {
        // Invariant: a trust domain of at most 118 characters is a printable name of at most 255.
        format!("spiffe://{self}").parse().expect("a trust domain is an issuer's name")
    }
}

name!(
    /// The serial number of a certificate of ours: 16 bytes in lower-case hexadecimal, positive and without leading zeros
    /// (RFC 5280 section 4.1.2.2).
    Serial, serial
);

fn opaque_255(text: &str) -> Result<(), InvalidName> {
    if !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(InvalidName("expected 1 to 255 printable ASCII characters without spaces"))
    }
}

fn subject(text: &str) -> Result<(), InvalidName> {
    let expected = "expected 1 to 1024 bytes of text without control, bidirectional or zero-width characters and without a blank at either end";
    super::claim_text::ensure_fit(text).map_err(|_| InvalidName(expected))
}

fn url_safe(text: &str) -> Result<(), InvalidName> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(safe) {
        Ok(())
    } else {
        Err(InvalidName("expected 1 to 128 of A-Z, a-z, 0-9, - and _"))
    }
}

fn node_id(text: &str) -> Result<(), InvalidName> {
    let is_label = |label: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(plain)
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(())
    } else {
        Err(InvalidName("expected a name such as sts-1 or sts-1.acme.example: labels of a-z, 0-9 and - with dots between them"))
    }
}

fn person_id(text: &str) -> Result<(), InvalidName> {
    let expected = "expected psn_ and 1 to 64 of A-Z, a-z, 0-9, - and _";
    let name = text.strip_prefix("psn_").filter(|name| name.len() <= 64).ok_or(InvalidName(expected))?;
    url_safe(name).map_err(|_| InvalidName(expected))
}

fn trust_domain(text: &str) -> Result<(), InvalidName> {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    if !text.is_empty() && text.len() <= 118 && text.bytes().all(is_name) {
        Ok(())
    } else {
        Err(InvalidName("expected 1 to 118 of a-z, 0-9, ., - and _"))
    }
}

fn serial(text: &str) -> Result<(), InvalidName> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let first = text.as_bytes().first().is_some_and(|b| (b'1'..=b'7').contains(b));
    if text.len() == 32 && digits && first {
        Ok(())
    } else {
        Err(InvalidName("expected 32 hexadecimal digits, the first 1 to 7"))
    }
}
