//! Staff: bearers of the company's own identity provider.
//!
//! Enter through [`StaffVerifier::verify`]. Keys and signatures go the same way as those of partners (`keys`, `verify`); here
//! stand the rules on the claims. All refusals are `staff.unauthenticated`, with a cause for our own log; only an issuer whose
//! keys cannot be had is `issuer.unavailable`.
//!
//! **Who is a machine.** Identity providers say it differently, and a machine that passes for a human could review. So any one
//! of these makes a machine (see [`is_machine`]): `idtyp` other than `user` (Entra); `gty` of `client-credentials` (Auth0); a
//! subject or person that *is* the client (`azp`, `client_id`, `cid`, `appid`; RFC 9068 section 2.2); `oid` as person claim
//! with `oid` = `sub` (Entra's application tokens); a service account by its name (Keycloak's `preferred_username`,
//! Kubernetes' `sub`). A machine that is taken for one may submit and never review: the error is on the safe side.
//!
//! **Who is a person.** That no sign of a machine is seen shows nothing: a client's own token may have an `azp` that is not its `sub`. A
//! review takes a positive sign ([`FRESH`]): `auth_time`, which an issuer sets where a person signed in (OpenID Connect Core 1.0 section
//! 2), or a sign-in in the browser that this house began. `iat` is none: a machine has a fresh one whenever it likes.
//!
//! A sign-in in the browser ends here too ([`StaffVerifier::signed_in`]), under the same rules. Not here: the flow before it (`sign_in`),
//! and sessions (`http::console`).

use std::collections::{BTreeMap, BTreeSet};

use openidconnect::core::CoreProviderMetadata;
use serde_json::Value;

use super::assertion::UnverifiedAssertion;
use super::discovery::{self, KeysFault};
use super::keys::IssuerKeys;
use super::verify::{Trust, Verifier};
use crate::domain::caller::proof::Assertion;
use crate::domain::people::actor::{Person, Role, Staff};
use crate::domain::reason::{Class, ISSUER_UNAVAILABLE, Reason, STAFF_UNAUTHENTICATED};
use crate::domain::registry::binding::{ClaimPath, KeySource};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::CLOCK_AHEAD;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::Issuer;
use crate::domain::value::numeric_date;
use crate::domain::value::text::Text;

/// A review needs a person's sign-in at most this long ago.
pub const FRESH: Seconds = Seconds::minutes(15);

/// `typ` headers of staff tokens: ID tokens and RFC 9068 access tokens. Others are other kinds of token (ABUSE J-22).
const TYP: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// The `[staff]` section of the configuration.
#[derive(Clone, Debug)]
pub struct StaffSettings {
    /// The company's identity provider.
    pub issuer: Issuer,
    /// The one audience.
    pub audience: String,
    /// The claim that names a human in every kind of token.
    pub person_claim: ClaimPath,
    /// How long a token counts after its `iat`.
    pub max_age: Seconds,
    /// The claim with the groups.
    pub roles_claim: ClaimPath,
    /// Which groups make which role.
    pub roles: BTreeMap<Role, Vec<String>>,
}

/// A member of staff as a token of theirs told, to be asked again as time goes on.
#[derive(Clone, Debug)]
pub struct SignedIn {
    person: Person,
    roles: BTreeSet<Role>,
    machine: bool,
    issued: Timestamp,
    /// The token's own end. A session in the console outlives it.
    expires: Timestamp,
    /// When a person signed in, where anything shows that one did.
    signed_in: Option<Timestamp>,
    max_age: Seconds,
}

impl SignedIn {
    /// Who it is, as long as it counts: `max_age` after the token was issued, whatever the token's own end.
    pub fn at(&self, now: Timestamp) -> Option<Staff> {
        (now.since(self.issued) <= self.max_age).then(|| Staff {
            person: self.person.clone(),
            roles: self.roles.clone(),
            machine: self.machine,
            fresh: !self.machine && self.signed_in.is_some_and(|time| now.since(time) <= FRESH),
            until: self.issued.plus(self.max_age),
        })
    }
}

/// Why a bearer does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StaffFault {
    /// `staff.unauthenticated` or `issuer.unavailable`.
    pub reason: &'static Reason,
    /// For our own log: a fixed text or a reason's code.
    pub cause: &'static str,
}

/// Verifies staff bearers.
pub struct StaffVerifier {
    settings: StaffSettings,
    source: KeySource,
    keys: IssuerKeys,
    verifier: Verifier,
}

impl StaffVerifier {
    /// Verifies for these settings with the keys that `keys` fetches.
    pub fn new(settings: StaffSettings, keys: IssuerKeys) -> Self {
        let source = KeySource::Discovery(settings.issuer.clone());
        Self { settings, source, verifier: Verifier::new(keys.clone()), keys }
    }

    /// The source of its keys, to be listed at `IssuerKeys::keep_fresh`.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// Whether the issuer's metadata is complete enough to sign in with (OpenID Connect Discovery 1.0), as openidconnect reads
    /// it from bytes that `outbound` fetched. Bearers do not need it.
    pub async fn check(&self) -> Result<(), KeysFault> {
        let body = discovery::document(self.keys.outbound(), &self.settings.issuer).await?;
        let metadata: CoreProviderMetadata = serde_json::from_slice(&body).map_err(|_| KeysFault::Document)?;
        if metadata.issuer().as_str() != self.settings.issuer.as_str() {
            return Err(KeysFault::OtherIssuer);
        }
        metadata.token_endpoint().map(drop).ok_or(KeysFault::Document)
    }

    /// Who shows this bearer, at `now`.
    pub async fn verify(&self, bearer: &str, now: Timestamp) -> Result<Staff, StaffFault> {
        let signed_in = self.read(bearer, &self.settings.audience, now).await?;
        let staff = signed_in.at(now).ok_or_else(|| refuse("older than [staff] max_age"))?;
        Ok(Staff { until: staff.until.min(signed_in.expires), ..staff })
    }

    /// Who signed in, by the ID token that `client` got for them: its audience is the client (OpenID Connect Core 1.0, section 2).
    pub async fn signed_in(&self, id_token: &str, client: &str, now: Timestamp) -> Result<SignedIn, StaffFault> {
        let mut who = self.read(id_token, client, now).await?;
        // Somebody came back by a browser that we sent there: where the issuer does not say when they signed in, it was by now.
        who.signed_in = who.signed_in.or(Some(who.issued));
        Ok(who)
    }

    async fn read(&self, bearer: &str, audience: &str, now: Timestamp) -> Result<SignedIn, StaffFault> {
        let unverified = UnverifiedAssertion::parse(bearer).map_err(|reason| refuse(reason.code))?;
        if unverified.issuer() != &self.settings.issuer {
            return Err(refuse("another issuer than [staff] issuer"));
        }
        let trust = [Trust { source: &self.source, algs: &Alg::WORKLOAD }];
        match self.verifier.verify(unverified, &trust).await {
            Ok(assertion) => signed_in(&self.settings, &assertion, audience, now).map_err(refuse),
            Err(fault) if fault.reason.class == Class::Busy => {
                Err(StaffFault { reason: &ISSUER_UNAVAILABLE, cause: fault.reason.code })
            }
            Err(fault) => Err(refuse(fault.reason.code)),
        }
    }
}

fn refuse(cause: &'static str) -> StaffFault {
    StaffFault { reason: &STAFF_UNAUTHENTICATED, cause }
}

/// The rules on the claims of a verified staff token.
fn signed_in(settings: &StaffSettings, token: &Assertion, audience: &str, now: Timestamp) -> Result<SignedIn, &'static str> {
    if token.typ.as_deref().is_some_and(|typ| !TYP.contains(&typ)) {
        return Err("a typ of another kind of token");
    }
    // Exactly ours: a token that other services take too could be replayed by any of them.
    if token.audience != [audience] {
        return Err("another audience than ours, or more than one");
    }
    let issued = token.issued.ok_or("no iat")?;
    if token.expires <= now {
        return Err("expired");
    }
    let soon = now.plus(CLOCK_AHEAD);
    if issued > soon || token.not_before.is_some_and(|time| time > soon) {
        return Err("not yet valid");
    }
    let id = person_id(settings, token).ok_or("no person_claim, or not a name")?;
    let signed_in = match token.claims.get("auth_time") {
        None => None,
        Some(time) => Some(numeric_date::ceiling(time).filter(|time| *time <= soon).ok_or("an auth_time that cannot be")?),
    };
    Ok(SignedIn {
        machine: is_machine(settings, token, &id),
        roles: roles(settings, token)?,
        person: Person { iss: token.issuer.clone(), id, name: name(token) },
        issued,
        expires: token.expires,
        signed_in,
        max_age: settings.max_age,
    })
}

fn person_id(settings: &StaffSettings, token: &Assertion) -> Option<String> {
    let id = settings.person_claim.find(&token.claims)?.as_str()?;
    let printable = !id.is_empty() && id.len() <= 255 && id.bytes().all(|b| b.is_ascii_graphic());
    printable.then(|| id.to_owned())
}

/// What the groups make of the caller. No groups are no roles; groups that are not text are no token of ours.
fn roles(settings: &StaffSettings, token: &Assertion) -> Result<BTreeSet<Role>, &'static str> {
    const NOT_TEXT: &str = "a roles_claim that is not text or a list of texts";
    let groups: Vec<&str> = match settings.roles_claim.find(&token.claims) {
        None => Vec::new(),
        Some(Value::String(group)) => vec![group],
        Some(Value::Array(groups)) => groups.iter().map(Value::as_str).collect::<Option<_>>().ok_or(NOT_TEXT)?,
        Some(_) => return Err(NOT_TEXT),
    };
    let holds = |named: &[String]| named.iter().any(|name| groups.contains(&name.as_str()));
    Ok(settings.roles.iter().filter(|(_, named)| holds(named)).map(|(role, _)| *role).collect())
}

/// Whether this is a machine's token: any sign of one counts (see the module's head).
fn is_machine(settings: &StaffSettings, token: &Assertion, id: &str) -> bool {
    let text = |name: &str| token.claims.get(name).and_then(Value::as_str);
    let subject = token.subject.as_str();
    let application = token.claims.get("idtyp").is_some_and(|kind| kind != "user");
    let granted_to_client = token.claims.get("gty").is_some_and(|grant| grant == "client-credentials");
    let is_client = ["azp", "client_id", "cid", "appid"]
        .into_iter()
        .filter_map(text)
        .any(|client| client == subject || client == id || subject.strip_suffix("@clients") == Some(client));
    let application_object = settings.person_claim.as_str() == "oid" && id == subject;
    let service_account = text("preferred_username").is_some_and(|name| name.starts_with("service-account-"))
        || subject.starts_with("system:serviceaccount:");
    application || granted_to_client || is_client || application_object || service_account
}

/// How the person is called, for people to read; may be forgotten, gives no right.
fn name(token: &Assertion) -> Option<Text> {
    let name = token.claims.get("name")?.as_str()?;
    let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    // A name that looks like a digest would be read as one.
    (!shown.is_empty() && !shown.starts_with("text:")).then_some(Text::Plain(shown))
}
