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

/// A name that could not be parsed: what was expected, never what was seen (it may be hostile).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub &'static str);

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes its text from those that are held once.
            pub fn share(&mut self, texts: &mut SharedTexts) {
                texts.share(&mut self.0);
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                $parse(text)?;
                Ok(Self(Arc::from(text)))
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A partner, such as `globex`. `api`, `carnet`, `staff` and `node` are reserved: they head client ids of our own.
    PartnerName, partner
);
name!(
    /// An integration's name within its partner, such as `order-sync`.
    IntegrationName, label
);
name!(
    /// An API of the catalogue, such as `orders-api`. `carnet` is built in (its audience is the environment's issuer).
    ApiName, label
);
name!(
    /// A guardrail, such as `no-standing-high-risk-in-production`.
    GuardrailName, label
);
name!(
    /// An environment, such as `production`: one issuer, one key ring, one set of audiences.
    EnvironmentName, label
);
name!(
    /// A binding within one environment of one integration, such as `ci-main`; or a caller of an API.
    BindingName, label
);
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

/// An integration: `partner/name`. It is also the `client_id` and the `sub` of the tokens that it gets.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub struct IntegrationId {
    /// Who it belongs to.
    pub partner: PartnerName,
    /// Its name within the partner.
    pub name: IntegrationName,
}

impl FromStr for IntegrationId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (partner, name) = text.split_once('/').ok_or(InvalidName("expected PARTNER/INTEGRATION"))?;
        Ok(Self { partner: partner.parse()?, name: name.parse()? })
    }
}

impl TryFrom<String> for IntegrationId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl IntegrationId {
    /// The least id that an integration of `partner` can have: `0` is the least label.
    pub fn least_of(partner: &PartnerName) -> Self {
        Self { partner: partner.clone(), name: IntegrationName(Arc::from("0")) }
    }

    fn text<'b>(&self, room: &'b mut [u8; LONGEST_ID]) -> &'b str {
        joined([self.partner.as_str(), "/", self.name.as_str()], room)
    }
}

impl Serialize for IntegrationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; LONGEST_ID]))
    }
}

impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; LONGEST_ID]))
    }
}

impl fmt::Debug for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Who a `client_id` names: an integration, or the workloads of one of our own APIs (`api/NAME`, docs/reference/http.md).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub enum ClientId {
    /// A partner's integration.
    Integration(IntegrationId),
    /// The callers of an API of the catalogue.
    Api(ApiName),
}

impl FromStr for ClientId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.strip_prefix("api/") {
            Some(api) => Ok(Self::Api(api.parse()?)),
            None => Ok(Self::Integration(text.parse()?)),
        }
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl ClientId {
    fn text<'b>(&self, room: &'b mut [u8; LONGEST_ID]) -> &'b str {
        match self {
            Self::Integration(id) => id.text(room),
            Self::Api(api) => joined(["api", "/", api.as_str()], room),
        }
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; LONGEST_ID]))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; LONGEST_ID]))
    }
}

/// Two labels and a slash.
const LONGEST_ID: usize = 127;

/// An id in one piece, and on the stack: it is written several times for each token.
fn joined<'b>(parts: [&str; 3], room: &'b mut [u8; LONGEST_ID]) -> &'b str {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        room[length..end].copy_from_slice(part.as_bytes());
        length = end;
    }
    // Invariant: what was joined was text, of two labels of at most 63 characters each.
    str::from_utf8(&room[..length]).expect("labels are text")
}

const RESERVED_PARTNERS: [&str; 4] = ["api", "carnet", "node", "staff"];

fn label(text: &str) -> Result<(), InvalidName> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let bytes = text.as_bytes();
    if bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner) {
        Ok(())
    } else {
        Err(InvalidName("expected 1 to 63 of a-z, 0-9 and -, not beginning or ending with -"))
    }
}

fn partner(text: &str) -> Result<(), InvalidName> {
    if RESERVED_PARTNERS.contains(&text) {
        return Err(InvalidName("this partner name is reserved (api, carnet, node, staff)"));
    }
    label(text)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_refused_not_repaired() {
        for good in ["a", "globex", "order-sync", "a1", &"x".repeat(63)] {
            assert!(good.parse::<IntegrationName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "a.b", "ä", "a\0", "a/b", &"x".repeat(64)] {
            assert!(bad.parse::<IntegrationName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_of_any_length_are_written_as_they_were_read() {
        let longest = "x".repeat(63);
        for id in ["a/b".to_owned(), format!("{longest}/{longest}"), format!("a/{longest}"), format!("api/{longest}")] {
            let client: ClientId = id.parse().expect("a client");
            assert_eq!(client.to_string(), id);
            assert_eq!(serde_json::to_string(&client).expect("JSON"), format!("\"{id}\""));
        }
    }

    #[test]
    fn reserved_partner_names_cannot_be_taken() {
        for reserved in RESERVED_PARTNERS {
            assert!(reserved.parse::<PartnerName>().is_err());
            assert!(format!("{reserved}/x").parse::<IntegrationId>().is_err());
        }
        assert_eq!("api/orders-api".parse(), Ok(ClientId::Api("orders-api".parse().expect("a label"))));
    }
}
