//! Verifies staff: bearers and ID tokens of the company's own identity provider.
//!
//! Enter through [`StaffVerifier::verify`]. Keys and signatures are verified as those of partners are (`keys`, `verify`); the rules
//! on the claims are here. All refusals are `staff.unauthenticated`, with a cause for our own log. The exception is
//! `issuer.unavailable`, if the issuer's keys cannot be had.
//!
//! **Machines.** Identity providers mark them differently, and a machine that passes for a human could review. So any one of these
//! signs makes a machine (see [`is_machine`]): `idtyp` other than `user` (Entra); `gty` of `client-credentials` (Auth0); a subject
//! or person that *is* the client (`azp`, `client_id`, `cid`, `appid`; RFC 9068 section 2.2); `oid` as person claim with `oid` =
//! `sub` (Entra's application tokens); a service account by its name (Keycloak's `preferred_username`, Kubernetes' `sub`). A
//! machine may submit and never review, so a person taken for a machine is an error on the safe side.
//!
//! **People.** The absence of such a sign proves nothing: a client's own token may have an `azp` that is not its `sub`. A review
//! needs a positive sign ([`FRESH`]): `auth_time`, which an issuer sets if a person signed in (OpenID Connect Core 1.0 section 2),
//! or a sign-in in the browser that this broker began. `iat` does not count: a machine has a fresh one whenever it likes.
//!
//! A sign-in in the browser ends here too ([`StaffVerifier::signed_in`]), under the same rules. Not here: the flow before it
//! (`sign_in`), and sessions (`http::console`).

use std::collections::{BTreeMap, BTreeSet};

use openidconnect::core::CoreProviderMetadata;
use serde::{Deserialize, Serialize};
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

/// The longest time between a person's sign-in and a review.
pub const FRESH: Seconds = Seconds::minutes(15);

/// The `typ` headers of staff tokens: ID tokens and RFC 9068 access tokens.
///
/// Another `typ` is of another kind of token (ABUSE J-22).
const TYP: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// The `[staff]` section of the configuration.
#[derive(Clone, Debug)]
pub struct StaffSettings {
    /// The company's identity provider.
    pub issuer: Issuer,
    /// The only audience that is accepted.
    pub audience: String,
    /// The claim that names a human in every kind of token.
    pub person_claim: ClaimPath,
    /// How long a token counts after its `iat`.
    pub max_age: Seconds,
    /// The claim with the groups.
    pub roles_claim: ClaimPath,
    /// The groups that give each role.
    pub roles: BTreeMap<Role, Vec<String>>,
}

/// A member of staff as a token described them, to be judged again as time passes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SignedIn {
    #[serde(with = "plain")]
    person: Person,
    roles: BTreeSet<Role>,
    machine: bool,
    issued: Timestamp,
    /// The token's own expiry. A session in the console lasts longer.
    expires: Timestamp,
    /// When a person signed in, if that is proved.
    signed_in: Option<Timestamp>,
    max_age: Seconds,
}

impl SignedIn {
    /// The member of staff, until `max_age` after the token was issued.
    ///
    /// The token's own expiry does not matter here.
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

/// A person with the name in plain, as nothing of the journal has it.
mod plain {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Issuer, Person};

    #[derive(Deserialize, Serialize)]
    struct Plain {
        iss: Issuer,
        id: String,
        name: Option<String>,
    }

    pub fn serialize<S: Serializer>(person: &Person, serializer: S) -> Result<S::Ok, S::Error> {
        let name = person.name.as_ref().and_then(|name| name.plain()).map(str::to_owned);
        Plain { iss: person.iss.clone(), id: person.id.to_string(), name }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Person, D::Error> {
        let Plain { iss, id, name } = Plain::deserialize(deserializer)?;
        Ok(Person { iss, id: id.into(), name: name.map(|name| name.as_str().into()) })
    }
}

/// The reason why a bearer is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StaffFault {
    /// `staff.unauthenticated` or `issuer.unavailable`.
    pub reason: &'static Reason,
    /// A fixed text or a reason's code, for our own log.
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
    /// Makes a verifier with these settings, and the keys that `keys` fetches.
    pub fn new(settings: StaffSettings, keys: IssuerKeys) -> Self {
        let source = KeySource::Discovery(settings.issuer.clone());
        Self { settings, source, verifier: Verifier::new(keys.clone()), keys }
    }

    /// The source of its keys, for the list of `IssuerKeys::keep_fresh`.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// Checks that the issuer's metadata suffices for a sign-in (OpenID Connect Discovery 1.0).
    ///
    /// openidconnect reads it from bytes that `outbound` fetched. Bearers do not need it.
    pub async fn check(&self) -> Result<(), KeysFault> {
        let body = discovery::document(self.keys.outbound(), &self.settings.issuer).await?;
        let metadata: CoreProviderMetadata = serde_json::from_slice(&body).map_err(|_| KeysFault::Document)?;
        if metadata.issuer().as_str() != self.settings.issuer.as_str() {
            return Err(KeysFault::OtherIssuer);
        }
        metadata.token_endpoint().map(drop).ok_or(KeysFault::Document)
    }

    /// Verifies a bearer at `now`, and returns the member of staff.
    pub async fn verify(&self, bearer: &str, now: Timestamp) -> Result<Staff, StaffFault> {
        let signed_in = self.read(bearer, &self.settings.audience, now).await?;
        let staff = signed_in.at(now).ok_or_else(|| refuse("older than [staff] max_age"))?;
        Ok(Staff { until: staff.until.min(signed_in.expires), ..staff })
    }

    /// Verifies the ID token that `client` got at a sign-in, and returns who signed in.
    ///
    /// Its audience is the client (OpenID Connect Core 1.0, section 2).
    pub async fn signed_in(&self, id_token: &str, client: &str, now: Timestamp) -> Result<SignedIn, StaffFault> {
        let mut who = self.read(id_token, client, now).await?;
        // The browser came back from a sign-in that we began. If the issuer does not say when it was, it was by now.
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

/// Applies the rules on the claims of a verified staff token.
fn signed_in(settings: &StaffSettings, token: &Assertion, audience: &str, now: Timestamp) -> Result<SignedIn, &'static str> {
    if token.typ.as_deref().is_some_and(|typ| !TYP.contains(&typ)) {
        return Err("a typ of another kind of token");
    }
    // The audience must be exactly ours: a service that takes the same token could replay it here.
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
        person: Person { iss: token.issuer.clone(), id: id.into(), name: name(token) },
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

/// Finds the roles that the groups give.
///
/// No groups give no roles. Groups that are not text make the token invalid.
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

/// Tells whether this is a machine's token: any sign of one counts (see the module's head).
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

/// The person's name, for people to read. It may be forgotten, and gives no right.
fn name(token: &Assertion) -> Option<Text> {
    let name = token.claims.get("name")?.as_str()?;
    let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    // A name that looks like a digest would be read as one.
    (!shown.is_empty() && !shown.starts_with("text:")).then_some(Text::Plain(shown))
}
