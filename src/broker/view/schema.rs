//! The schemas of the domain's values in requests and answers.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::credential::certificate::Der;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::elevation;
use crate::domain::people::actor::Role;
use crate::domain::reason::ReasonCode;
use crate::domain::record::Weight;
use crate::domain::registry::api::Risk;
use crate::domain::registry::approval::{self, Verdict};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{
    ApiName, ApprovalId, BindingName, CampaignId, ClientId, ElevationId, EnrolmentId, EnvironmentName, ExceptionId,
    GuardrailName, HoldId, IntegrationId, Issuer, KeyId, NodeId, OffboardingId, PartnerName, PasskeyId, PersonId, RequestId,
    RevocationId, Serial, SignalId, SuspensionId, Ticket, TokenId,
};
use crate::domain::value::scope::Scope;

/// Gives each type a schema with a name. No schema refers to another.
macro_rules! schemas {
    ($($type:ty, $name:literal: $schema:expr;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )+};
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn words(description: &str, words: &[&str]) -> ObjectBuilder {
    text(description).enum_values(Some(words.iter().copied()))
}

fn integer(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).description(Some(description))
}

/// The value `true` and no other.
pub struct True;

/// An algorithm that tokens are signed with.
pub struct TokenAlg;

/// A JSON object of any shape.
pub struct Object;

const ELEVATION_STATES: [&str; 7] = ["pending", "approved", "active", "ended", "denied", "expired", "withdrawn"];

const KINDS: [&str; 14] = [
    "abort",
    "api",
    "change",
    "enrolment",
    "environment",
    "erasure",
    "exception",
    "guardrail",
    "integration",
    "lift",
    "offboarding",
    "partner",
    "resume",
    "review",
];

schemas! {
    Alg, "Alg": text("An algorithm for signatures, by its name in RFC 7518 or RFC 9864");
    ApiName, "ApiName": text("The name of an API");
    ApprovalId, "ApprovalId": text("The id of an approval");
    CampaignId, "CampaignId": text("The id of a campaign of reviews");
    BindingName, "BindingName": text("The name of a binding");
    ClientId, "ClientId": text("A `client_id`, such as `PARTNER/INTEGRATION`");
    Der, "Der": text("DER in base64");
    Digest, "Digest": text("SHA-256 in base 16");
    ElevationId, "ElevationId": text("The id of an elevation");
    Endpoint, "Endpoint": text("A method and a path, such as `GET /v1/orders`");
    EnrolmentId, "EnrolmentId": text("The id of an enrolment");
    EnvironmentName, "EnvironmentName": text("The name of an environment");
    GuardrailName, "GuardrailName": text("The name of a guardrail");
    IntegrationId, "IntegrationId": text("`PARTNER/INTEGRATION`");
    Issuer, "Issuer": text("The `iss` of tokens: an https URL, or a trust domain");
    KeyId, "KeyId": text("The `kid` of a key");
    NodeId, "NodeId": text("The id of a node of the broker, such as `sts-1`");
    Object, "Object": ObjectBuilder::new().schema_type(Type::Object);
    PartnerName, "PartnerName": text("The name of a partner");
    OffboardingId, "OffboardingId": text("The id of an offboarding");
    PasskeyId, "PasskeyId": text("The id of a passkey: SHA-256 of the credential id, in base64url");
    ExceptionId, "ExceptionId": text("The id of a static secret at a partner");
    SignalId, "SignalId": text("The id of a signal");
    ReasonCode, "ReasonCode": text("A stable code for a reason");
    RequestId, "RequestId": text("The id of a request");
    RevocationKey, "RevocationKey": text("What is revoked, such as `partner:globex`");
    RevocationId, "RevocationId": text("The id of a revocation");
    Risk, "Risk": words("The harm that a scope can do", &["low", "medium", "high"]);
    Role, "Role": words("A role of staff; `reporter` is a machine that may send signals", &["administrator", "auditor", "owner", "reporter", "security"]);
    Scope, "Scope": text("A scope, as in RFC 6749 section 3.3");
    Seconds, "Seconds": integer("A length of time in seconds");
    Serial, "Serial": text("The serial number of a certificate, in base 16");
    HoldId, "HoldId": text("The id of people whom the brake of the people directory holds");
    PersonId, "DirectoryPersonId": text("A person of the people directory: `psn_` and a random name");
    SuspensionId, "SuspensionId": text("The id of a suspension");
    Ticket, "Ticket": text("A ticket in the company's own system, by its number or address");
    Timestamp, "Timestamp": integer("Seconds since 1970, UTC");
    TokenAlg, "TokenAlg": words("An algorithm that tokens are signed with", &["ES256", "RS256", "EdDSA", "Ed25519"]);
    TokenId, "TokenId": text("The `jti` of a token");
    True, "True": ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
    Verdict, "Verdict": words("The verdict of a review", &["approve", "deny"]);
    Weight, "Weight": words("What a difference does", &["WIDENS", "EXPIRES", "narrows", "neutral"]);
    approval::Kind, "ApprovalKind": words("What is approved", &KINDS);
    approval::Standing, "ApprovalState": words("Where an approval stands", &["approved", "denied", "expired", "pending", "withdrawn"]);
    elevation::Standing, "ElevationState": words("Where an elevation stands", &ELEVATION_STATES);
}
