//! The decision: may this principal have this token now?
//!
//! Enter through [`decide`]. It is a function of values, `now` included: the journal takes it again while it holds its head, and
//! `explain` takes it again with the tree. A [`Grant`] comes from nowhere else. Its life is the minimum of all ceilings, its scope
//! the intersection of all; there is no way to widen either (ABUSE I-1, I-3).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::entitlement::{Catalogue, Entitled, Place, entitled};
use super::possession::{bound, confirmation, possession};
use super::standing::{in_good_standing, standing, unrevoked};
use crate::domain::caller::admission::Principal;
use crate::domain::caller::peer::Peer;
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::credential::claims::Claims;
use crate::domain::credential::revocation::Provenance;
use crate::domain::log::change::Environment;
use crate::domain::reason::decision::{Refused, Step, Trace};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::api::{Profile, TokenForm};
use crate::domain::registry::integration::{Access, Integration, ScopeRule};
use crate::domain::state::State;
use crate::domain::state::issuer_keys;
use crate::domain::state::ours::is_own_audience;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ApiName, Audience, ClientId, IntegrationId, RequestId, TokenId};
use crate::domain::value::proof_key::ProofKey;

/// Less than this left of a token's life: no token (CONTRACT.md section 3).
pub const SHORTEST_LIFE: Seconds = Seconds(15);

/// No configuration allows a longer life of a token.
pub const LONGEST_LIFE: Seconds = Seconds::hours(1);

/// How far `iat` and `nbf` of our tokens lie back, for verifiers whose clock is late.
pub const BACKDATED: Seconds = Seconds(2);

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The API; nothing where the request named none, or more than one.
    pub target: Option<Target>,
    /// The `scope` parameter. It is judged after proof and target, as REFERENCE.md's examples D2 and D3 have it.
    pub scope: Option<String>,
    /// The `client_id` of the request, if it named one.
    pub client: Option<String>,
}

/// How a request names the API.
#[derive(Clone, Debug)]
pub enum Target {
    /// By its audience URI (`resource`, RFC 8707).
    Resource(String),
    /// By its name (`audience`, RFC 8693).
    Name(String),
}

/// What the request brings besides its proof, and the names that the token will have.
#[derive(Clone, Debug)]
pub struct Context {
    /// The request.
    pub request: RequestId,
    /// The token's `jti`.
    pub token: TokenId,
    /// Where the request comes from.
    pub source: Option<IpAddr>,
    /// The client certificate of the connection; the token is bound to it, where no proof of another key is shown.
    pub certificate: Option<Peer>,
    /// The key of a DPoP proof; the token is bound to it.
    pub possession: Option<Verified<Possession>>,
}

/// A token that may be: decided, and neither recorded nor signed yet.
#[derive(Clone, Debug)]
pub struct Grant {
    claims: Claims,
    alg: Alg,
    profile: Profile,
    request: RequestId,
    provenance: Provenance,
    record: crate::domain::value::digest::Digest,
    proof: crate::domain::caller::admission::Proof,
    ceiling: &'static str,
}

/// What came of a decision.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The token may be.
    Granted(Box<Grant>),
    /// The scope is eligible, and nobody has approved it.
    NeedsElevation(Refused),
    /// No.
    Refused(Refused),
}

impl Grant {
    /// The claims; the entry is still to come.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What to sign with.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// The form of the token.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The request that asked.
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    /// What the token is made from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The version of the record that allows it.
    pub fn record(&self) -> crate::domain::value::digest::Digest {
        self.record
    }

    /// The proof that pays for it.
    pub fn proof(&self) -> &crate::domain::caller::admission::Proof {
        &self.proof
    }

    /// The proof's place among those that are spent, where it is spent: and until when it must be remembered (`exp` plus twice
    /// the allowed clock difference, and the leeway).
    pub fn spends(&self) -> Option<(ProofKey, Timestamp)> {
        Some((self.proof.spends()?, ProofKey::remembered_until(self.proof.expires)))
    }

    /// Which of the ceilings ended the token's life.
    pub fn ceiling(&self) -> &'static str {
        self.ceiling
    }
}

/// Decides. The tree of a refusal is complete; that of a grant is had from [`explain`].
pub fn decide(principal: &Principal, ask: &Ask, context: &Context, state: &State, now: Timestamp) -> Decision {
    match run(principal, ask, context, state, now, &mut Trace::off()) {
        Ok(grant) => Decision::Granted(Box::new(grant)),
        Err(_) => {
            let (outcome, tree) = explain(principal, ask, context, state, now);
            // The decision is pure, so it refuses again; were it not so, refusing would still be right.
            let reason = outcome.err().unwrap_or(&reason::STORE_UNAVAILABLE);
            let refused = Refused { reason, known: Some(principal.client().clone()), tree };
            if *reason == reason::SCOPE_NEEDS_ELEVATION {
                Decision::NeedsElevation(refused)
            } else {
                Decision::Refused(refused)
            }
        }
    }
}

/// Decides with every step on record.
pub fn explain(
    principal: &Principal,
    ask: &Ask,
    context: &Context,
    state: &State,
    now: Timestamp,
) -> (Result<Grant, &'static Reason>, Vec<Step>) {
    let mut trace = Trace::on();
    let outcome = run(principal, ask, context, state, now, &mut trace);
    (outcome, trace.into_steps())
}

fn run(
    principal: &Principal,
    ask: &Ask,
    context: &Context,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<Grant, &'static Reason> {
    let judged = judge(principal, ask, Beside::Request(context), state, now, trace)?;
    Ok(Grant {
        claims: Claims {
            issuer: judged.environment.issuer.clone(),
            audience: judged.audience,
            client: principal.client().clone(),
            expires: judged.life.ends,
            issued: now.minus(BACKDATED),
            id: context.token.clone(),
            scope: judged.entitled.scopes,
            environment: principal.environment().clone(),
            binding: principal.binding().clone(),
            details: judged.entitled.details,
            confirmation: confirmation(context),
        },
        alg: judged.form.alg,
        profile: judged.form.profile,
        request: context.request.clone(),
        provenance: judged.provenance,
        record: principal.version(),
        proof: principal.proof().clone(),
        ceiling: judged.life.ceiling,
    })
}

/// What is known of a request besides its proof.
#[derive(Clone, Copy)]
pub(in crate::domain) enum Beside<'a> {
    /// All of it.
    Request(&'a Context),
    /// Nobody sent a request: certificate, DPoP proof and address are as the record wants them.
    Supposed,
    /// The same, and this is the address.
    From(Option<IpAddr>),
}

/// What every check left of a request.
struct Judged<'a> {
    environment: &'a Environment,
    audience: Audience,
    form: TokenForm,
    entitled: Entitled,
    provenance: Provenance,
    life: Life,
}

/// Decides on a request that nobody sent, and lets nothing out of it but whether each check held.
pub(in crate::domain) fn suppose(
    principal: &Principal,
    ask: &Ask,
    beside: Beside<'_>,
    state: &State,
    now: Timestamp,
    mut trace: Trace,
) -> (Option<&'static Reason>, Trace) {
    let refused = judge(principal, ask, beside, state, now, &mut trace).err();
    (refused, trace)
}

fn judge<'a>(
    principal: &Principal,
    ask: &Ask,
    beside: Beside<'_>,
    state: &'a State,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<Judged<'a>, &'static Reason> {
    let client = principal.client();
    if let Some(named) = &ask.client {
        let same = client.to_string() == *named;
        trace.ensure("client_id", same, &reason::CLIENT_MISMATCH, || (client.to_string(), named.clone()))?;
    }
    // The callers of an API introspect; tokens are for integrations.
    let ClientId::Integration(id) = client else {
        trace.check("client", false, || ("an integration".into(), format!("{client}, which may introspect and have no token")));
        return Err(&reason::TARGET_UNKNOWN);
    };
    let mut life = Life::new();
    standing(id, state, now, trace, &mut life)?;
    let place = principal.environment();
    let record = record(id, state).ok_or(&reason::BINDING_NO_MATCH)?;
    let access = record.environments.get(place);
    trace.check("environment", access.is_some(), || {
        let named = record.environments.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        (format!("an environment of the record ({named})"), place.to_string())
    });
    let access = access.ok_or(&reason::BINDING_NO_MATCH)?;
    match beside {
        Beside::Request(context) => {
            possession(principal, access, context, state, now, trace, &mut life)?;
            issuer_keys::rotated(principal, record, &state.issuer_keys, now, trace, &mut life)?;
            source(access, context.source, trace)?;
        }
        Beside::Supposed => issuer_keys::rotated(principal, record, &state.issuer_keys, now, trace, &mut life)?,
        Beside::From(address) => {
            issuer_keys::rotated(principal, record, &state.issuer_keys, now, trace, &mut life)?;
            source(access, address, trace)?;
        }
    }
    let target = target(principal, ask, access, state, trace)?;
    if let Beside::Request(context) = beside {
        bound(target.form.require_bound, context, trace)?;
    }
    let entitled = entitled(ask, &Place { id, environment: place, access, state, now }, &target, trace, &mut life)?;

    let environment = state.environment(place);
    trace.check("environment.configured", environment.is_some(), || {
        let seen = environment.map_or_else(|| "not configured".to_owned(), |found| format!("configured as {}", found.issuer));
        (format!("{place} in the configuration"), format!("{place} is {seen}"))
    });
    let environment = environment.ok_or(&reason::TARGET_UNKNOWN)?;
    let key = state.keys.active(place, target.form.alg, now);
    trace.check("signing-key", key.is_some(), || {
        let seen = key.map_or_else(|| "none that may sign now".to_owned(), |key| key.key.kid.to_string());
        (format!("a key of {place} for {}", target.form.alg), seen)
    });
    let key = key.ok_or(&reason::KEY_UNAVAILABLE)?;
    let shown = match beside {
        Beside::Request(context) => context.certificate.as_ref(),
        Beside::Supposed | Beside::From(_) => None,
    };
    let provenance = Provenance {
        client: client.clone(),
        environment: place.clone(),
        binding: principal.binding().clone(),
        issuer: principal.proof().issuer.clone(),
        named: principal.proof().named.clone(),
        kid: key.key.kid.clone(),
        api: target.api.clone(),
        certificate: shown.and_then(Peer::own).map(|shown| (shown.leaf.serial.clone(), shown.leaf.authority.clone())),
        beside: shown.and_then(Peer::svid).map(|shown| shown.id.issuer()),
        elevations: entitled.elevations.clone(),
    };
    unrevoked(principal, &provenance, state, trace)?;

    let issued = now.minus(BACKDATED);
    life.end("api.ttl", issued.plus(target.form.ttl));
    life.end("environment.max-ttl", issued.plus(environment.max_ttl));
    life.end("record.ttl", access.limits.ttl.map_or(Timestamp::MAX, |ttl| issued.plus(ttl)));
    life.end("assertion.exp", principal.proof().expires);
    life.end("key.retirement", state.keys.retires(key));
    let left = life.ends.since(now);
    trace.ensure("life", left >= SHORTEST_LIFE, &reason::LIFE_TOO_SHORT, || {
        (format!("at least {SHORTEST_LIFE} left"), format!("{left} until {} ({})", life.ends, life.ceiling))
    })?;
    Ok(Judged { environment, audience: target.audience, form: target.form, entitled, provenance, life })
}

/// Whether a principal may ask for an elevation: all that a token takes, but target and scope.
pub fn may_elevate(principal: &Principal, context: &Context, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    in_good_standing(principal, state, now)?;
    let ClientId::Integration(id) = principal.client() else { return Err(&reason::TARGET_UNKNOWN) };
    let record = record(id, state).ok_or(&reason::BINDING_NO_MATCH)?;
    let access = record.environments.get(principal.environment()).ok_or(&reason::BINDING_NO_MATCH)?;
    possession(principal, access, context, state, now, &mut Trace::off(), &mut Life::new())?;
    issuer_keys::rotated(principal, record, &state.issuer_keys, now, &mut Trace::off(), &mut Life::new())?;
    source(access, context.source, &mut Trace::off())
}

/// The life of a token: it ends with the first of its ceilings.
pub(in crate::domain) struct Life {
    ends: Timestamp,
    ceiling: &'static str,
}

impl Life {
    pub(in crate::domain) fn new() -> Self {
        Self { ends: Timestamp::MAX, ceiling: "none" }
    }

    /// Takes one of the ends of life.
    pub(in crate::domain) fn end(&mut self, ceiling: &'static str, at: Timestamp) {
        if at < self.ends {
            self.ends = at;
            self.ceiling = ceiling;
        }
    }
}

fn record<'a>(id: &IntegrationId, state: &'a State) -> Option<&'a Integration> {
    Some(&state.integrations.get(id)?.current.as_ref()?.record)
}

fn source(access: &Access, source: Option<IpAddr>, trace: &mut Trace) -> Result<(), &'static Reason> {
    let networks = &access.limits.source_cidrs;
    let inside = source.is_some_and(|source| networks.iter().any(|network| network.contains(source)));
    trace.ensure("proof.source", networks.is_empty() || inside, &reason::PROOF_SOURCE, || {
        let listed = networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let want = if networks.is_empty() { "any network: the record lists none".to_owned() } else { listed };
        (want, source.map_or_else(|| "an address that is not known".to_owned(), |source| source.to_string()))
    })
}

/// An API that a token can be for.
pub(in crate::domain) struct Chosen<'a> {
    pub(in crate::domain) api: ApiName,
    pub(in crate::domain) audience: Audience,
    form: TokenForm,
    pub(in crate::domain) rules: &'a [ScopeRule],
    pub(in crate::domain) catalogue: Catalogue<'a>,
}

/// The built-in API: its audience is the environment's issuer.
pub const BUILT_IN_API: &str = "carnet";

/// The scopes of the built-in API.
pub const BUILT_IN_SCOPES: [&str; 1] = ["carnet:introspect"];

fn target<'a>(
    principal: &Principal,
    ask: &Ask,
    access: &'a Access,
    state: &'a State,
    trace: &mut Trace,
) -> Result<Chosen<'a>, &'static Reason> {
    let wanted = ask.target.as_ref();
    let asked = || match wanted {
        Some(Target::Resource(uri)) => format!("resource {uri}"),
        Some(Target::Name(name)) => format!("audience {name}"),
        None => "none, or several".to_owned(),
    };
    trace.check("target.named", wanted.is_some(), || ("one resource or one audience".into(), asked()));
    let wanted = wanted.ok_or(&reason::TARGET_MISSING)?;
    // Only APIs that the record names are looked at, so an API that exists and one that does not are refused alike, and what is told
    // is the caller's own contract.
    let named: BTreeSet<&ApiName> = access.scopes.keys().chain(access.elevation.iter().map(|eligible| &eligible.api)).collect();
    let all = || named.iter().filter_map(|api| chosen(api, principal, access, state));
    let chosen = all().find(|chosen| match wanted {
        Target::Resource(uri) => chosen.audience.as_str() == uri,
        Target::Name(name) => chosen.api.as_str() == name,
    });
    trace.check("target", chosen.is_some(), || {
        let contracted = all().map(|chosen| format!("{} ({})", chosen.api, chosen.audience)).collect::<Vec<_>>().join(", ");
        let none = || format!("an API of the record, and it has none in {}", principal.environment());
        (if contracted.is_empty() { none() } else { format!("an API of the record: {contracted}") }, asked())
    });
    chosen.ok_or(&reason::TARGET_UNKNOWN)
}

fn chosen<'a>(api: &ApiName, principal: &Principal, access: &'a Access, state: &'a State) -> Option<Chosen<'a>> {
    let rules = access.scopes.get(api).map_or(&[][..], Vec::as_slice);
    if api.as_str() == BUILT_IN_API {
        let environment = state.environment(principal.environment())?;
        let form = TokenForm { profile: Profile::Rfc9068, alg: Alg::Es256, ttl: Seconds::minutes(5), require_bound: false };
        let audience = environment.issuer.as_str().parse().ok()?;
        return Some(Chosen { api: api.clone(), audience, form, rules, catalogue: Catalogue::BuiltIn });
    }
    let record = &state.apis.get(api)?.current.as_ref()?.record;
    let audience = record.audience.get(principal.environment())?.clone();
    // An environment that is newer than the API has the audience: a token for it would be shown to us.
    if is_own_audience(
        state.configuration.iter().flat_map(|configuration| configuration.environments.values()),
        audience.as_str(),
    ) {
        return None;
    }
    Some(Chosen { api: api.clone(), audience, form: record.token.clone(), rules, catalogue: Catalogue::Record(record) })
}

pub(in crate::domain) fn ensure(holds: bool, otherwise: &'static Reason) -> Result<(), &'static Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}
