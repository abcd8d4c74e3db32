//! The decision: may this principal have this token now?
//!
//! Enter through [`decide`]. It is a function of values, `now` included: the journal takes it again while it holds its head, and
//! `explain` takes it again with the tree. A [`Grant`] comes from nowhere else. Its life is the minimum of all ceilings, its scope
//! the intersection of all; there is no way to widen either (ABUSE I-1, I-3).

use std::net::IpAddr;

use super::admission::Principal;
use super::alg::Alg;
use super::api::{Profile, TokenForm};
use super::claims::Claims;
use super::clock::{Seconds, Timestamp};
use super::decision::{Refused, Step, Trace};
use super::entitlement::{Catalogue, Place, entitled};
use super::integration::{Access, Integration, ScopeRule};
use super::issuer_keys;
use super::names::{ApiName, Audience, ClientId, IntegrationId, RequestId, TokenId};
use super::peer::Peer;
use super::possession::{bound, confirmation, possession};
use super::proof::{Possession, Verified};
use super::proof_key::ProofKey;
use super::reason::{self, Reason};
use super::revocation::Ingredients;
use super::state::{Phase, State};

/// Less than this left of a token's life: no token (CONTRACT.md section 3).
pub const SHORTEST_LIFE: Seconds = Seconds(15);

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
    ingredients: Ingredients,
    record: super::digest::Digest,
    proof: super::admission::Proof,
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
    pub fn ingredients(&self) -> &Ingredients {
        &self.ingredients
    }

    /// The version of the record that allows it.
    pub fn record(&self) -> super::digest::Digest {
        self.record
    }

    /// The proof that pays for it.
    pub fn proof(&self) -> &super::admission::Proof {
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
    let client = principal.client();
    if let Some(named) = &ask.client {
        let same = client.to_string() == *named;
        ensure(trace.check("client_id", same, || (client.to_string(), named.clone())), &reason::CLIENT_MISMATCH)?;
    }
    // The callers of an API introspect; tokens are for integrations.
    let ClientId::Integration(id) = client else { return Err(&reason::TARGET_UNKNOWN) };
    let mut life = Life::new();
    standing(id, state, now, trace, &mut life)?;
    let record = record(id, state).ok_or(&reason::BINDING_NO_MATCH)?;
    let access = record.environments.get(principal.environment()).ok_or(&reason::BINDING_NO_MATCH)?;
    possession(principal, access, context, state, now, trace, &mut life)?;
    issuer_keys::rotated(principal, record, &state.issuer_keys, now, trace, &mut life)?;
    source(access, context, trace)?;
    let target = target(principal, ask, access, state, trace)?;
    bound(target.form.require_bound, context, trace)?;
    let entitled =
        entitled(ask, &Place { id, environment: principal.environment(), access, state, now }, &target, trace, &mut life)?;

    let environment = state.environment(principal.environment()).ok_or(&reason::TARGET_UNKNOWN)?;
    let key = state.keys.active(principal.environment(), target.form.alg, now).ok_or(&reason::KEY_UNAVAILABLE)?;
    let ingredients = Ingredients {
        client: client.clone(),
        environment: principal.environment().clone(),
        binding: principal.binding().clone(),
        issuer: principal.proof().issuer.clone(),
        kid: key.key.kid.clone(),
        api: target.api.clone(),
        certificate: context
            .certificate
            .as_ref()
            .and_then(Peer::own)
            .map(|shown| (shown.leaf.serial.clone(), shown.leaf.authority.clone())),
        beside: context.certificate.as_ref().and_then(Peer::svid).map(|shown| shown.id.issuer()),
        elevations: entitled.elevations,
    };
    unrevoked(principal, &ingredients, state, trace)?;

    let issued = now.minus(BACKDATED);
    life.end("api.ttl", issued.plus(target.form.ttl));
    life.end("environment.max-ttl", issued.plus(environment.max_ttl));
    life.end("record.ttl", access.limits.ttl.map_or(Timestamp::MAX, |ttl| issued.plus(ttl)));
    life.end("assertion.exp", principal.proof().expires);
    life.end("key.retirement", state.keys.retires(key));
    let left = life.ends.since(now);
    let long_enough = left >= SHORTEST_LIFE;
    let texts = || (format!("at least {SHORTEST_LIFE} left"), format!("{left} until {} ({})", life.ends, life.ceiling));
    ensure(trace.check("life", long_enough, texts), &reason::LIFE_TOO_SHORT)?;

    Ok(Grant {
        claims: Claims {
            issuer: environment.issuer.clone(),
            audience: target.audience,
            client: client.clone(),
            expires: life.ends,
            issued,
            id: context.token.clone(),
            scope: entitled.scopes,
            environment: principal.environment().clone(),
            binding: principal.binding().clone(),
            details: entitled.details,
            confirmation: confirmation(context),
        },
        alg: target.form.alg,
        profile: target.form.profile,
        request: context.request.clone(),
        ingredients,
        record: principal.version(),
        proof: principal.proof().clone(),
        ceiling: life.ceiling,
    })
}

/// Whether a principal may ask for anything at all (introspection, revocation): its standing, and nothing of it revoked.
pub fn in_good_standing(principal: &Principal, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    let client = principal.client();
    if let ClientId::Integration(id) = client {
        stands(id, state, now)?;
    }
    let environment = principal.environment();
    let mut members = vec![
        format!("environment:{environment}"),
        format!("binding:{client}/{environment}/{}", principal.binding()),
        format!("issuer:{}", principal.proof().issuer),
    ];
    if let ClientId::Integration(id) = client {
        members.extend([
            format!("partner:{}", id.partner),
            format!("integration:{id}"),
            format!("integration:{id}/{environment}"),
        ]);
    }
    let refused = members.iter().any(|member| state.is_refused(member)) || principal.barred().is_some();
    ensure(!refused, &reason::REVOKED)
}

/// Whether a principal may ask for an elevation: all that a token takes, but target and scope.
pub fn may_elevate(principal: &Principal, context: &Context, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    in_good_standing(principal, state, now)?;
    let ClientId::Integration(id) = principal.client() else { return Err(&reason::TARGET_UNKNOWN) };
    let record = record(id, state).ok_or(&reason::BINDING_NO_MATCH)?;
    let access = record.environments.get(principal.environment()).ok_or(&reason::BINDING_NO_MATCH)?;
    possession(principal, access, context, state, now, &mut Trace::off(), &mut Life::new())?;
    issuer_keys::rotated(principal, record, &state.issuer_keys, now, &mut Trace::off(), &mut Life::new())?;
    source(access, context, &mut Trace::off())
}

/// Whether an integration is in good standing: active, within its contract, its partner verified.
pub fn stands(id: &IntegrationId, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    standing(id, state, now, &mut Trace::off(), &mut Life::new())
}

/// The life of a token: it ends with the first of its ceilings.
pub(super) struct Life {
    ends: Timestamp,
    ceiling: &'static str,
}

impl Life {
    fn new() -> Self {
        Self { ends: Timestamp::MAX, ceiling: "none" }
    }

    /// Takes one of the ends of life.
    pub(super) fn end(&mut self, ceiling: &'static str, at: Timestamp) {
        if at < self.ends {
            self.ends = at;
            self.ceiling = ceiling;
        }
    }
}

/// Life-cycle states and the dates that end rights: journal, partner, integration, contract.
fn standing(
    id: &IntegrationId,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    let reopened = now >= state.mints_from;
    ensure(
        trace.check("journal", reopened, || (format!("from {}", state.mints_from), now.to_string())),
        &reason::JOURNAL_REOPENED,
    )?;

    let partner = state.partners.get(&id.partner);
    let suspended = partner.is_some_and(|partner| partner.suspended.is_some());
    ensure(trace.check("partner", !suspended, || ("in good standing".into(), "suspended".into())), &reason::PARTNER_SUSPENDED)?;
    let verified = partner.and_then(|partner| partner.current.as_ref()).map(|current| current.record.verification.expires);
    let counts = verified.is_some_and(|expires| now < expires);
    let seen = || verified.map_or_else(|| "not verified".to_owned(), |expires| format!("verified until {expires}"));
    ensure(trace.check("partner.verification", counts, || (format!("later than {now}"), seen())), &reason::PARTNER_UNVERIFIED)?;

    let integration = state.integrations.get(id);
    let phase = integration.map(super::state::IntegrationState::phase);
    let seen = || phase.map_or("none", Phase::name).to_owned();
    ensure(
        trace.check("integration", phase != Some(Phase::Suspended), || ("active".into(), seen())),
        &reason::INTEGRATION_SUSPENDED,
    )?;
    let current = integration.filter(|_| phase == Some(Phase::Active)).and_then(|integration| integration.current.as_ref());
    trace.check("integration.active", current.is_some(), || ("active".into(), seen()));
    let overdue = state.elevations.overdue(now).find(|request| request.elevation.integration == *id);
    let seen = || overdue.map_or_else(|| "none".to_owned(), |request| request.elevation.id.to_string());
    ensure(
        trace.check("elevation.reviewed", overdue.is_none(), || ("no unreviewed break-glass".into(), seen())),
        &reason::ELEVATION_UNREVIEWED,
    )?;
    let contract = &current.ok_or(&reason::INTEGRATION_NOT_ACTIVE)?.record.contract;
    let (starts, ends) = (contract.starts, contract.ends);
    ensure(
        trace.check("contract.starts", starts <= now, || (starts.to_string(), now.to_string())),
        &reason::CONTRACT_NOT_STARTED,
    )?;
    ensure(trace.check("contract.ends", now < ends, || (ends.to_string(), now.to_string())), &reason::CONTRACT_ENDED)?;

    life.end("contract", ends);
    life.end("partner.verification", verified.unwrap_or(now));
    Ok(())
}

fn record<'a>(id: &IntegrationId, state: &'a State) -> Option<&'a Integration> {
    Some(&state.integrations.get(id)?.current.as_ref()?.record)
}

fn source(access: &Access, context: &Context, trace: &mut Trace) -> Result<(), &'static Reason> {
    let networks = &access.limits.source_cidrs;
    let inside = context.source.is_some_and(|source| networks.iter().any(|network| network.contains(source)));
    let want = || networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let seen = || context.source.map_or_else(|| "unknown".to_owned(), |source| source.to_string());
    ensure(trace.check("proof.source", networks.is_empty() || inside, || (want(), seen())), &reason::PROOF_SOURCE)
}

/// An API that a token can be for.
pub(super) struct Chosen<'a> {
    pub(super) api: ApiName,
    pub(super) audience: Audience,
    form: TokenForm,
    pub(super) rules: &'a [ScopeRule],
    pub(super) catalogue: Catalogue<'a>,
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
    trace.check("target.named", wanted.is_some(), || ("one resource or one audience".into(), "none, or several".into()));
    let wanted = wanted.ok_or(&reason::TARGET_MISSING)?;
    // Only APIs that the record names are looked at, so an API that exists and one that does not are refused alike.
    let named = access.scopes.keys().chain(access.elevation.iter().map(|eligible| &eligible.api));
    let chosen = named.filter_map(|api| chosen(api, principal, access, state)).find(|chosen| match wanted {
        Target::Resource(uri) => chosen.audience.as_str() == uri,
        Target::Name(name) => chosen.api.as_str() == name,
    });
    let seen = || match wanted {
        Target::Resource(text) | Target::Name(text) => text.clone(),
    };
    trace.check("target", chosen.is_some(), || ("an API of the record".into(), seen()));
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
    Some(Chosen { api: api.clone(), audience, form: record.token.clone(), rules, catalogue: Catalogue::Record(record) })
}

fn unrevoked(
    principal: &Principal,
    ingredients: &Ingredients,
    state: &State,
    trace: &mut Trace,
) -> Result<(), &'static Reason> {
    if state.refused.is_empty() {
        return Ok(());
    }
    let refused = ingredients.members().into_iter().find(|member| state.is_refused(member));
    let refused = refused.or_else(|| principal.barred().map(str::to_owned));
    let seen = || refused.clone().unwrap_or_else(|| "nothing".to_owned());
    ensure(trace.check("revocations", refused.is_none(), || ("nothing revoked".into(), seen())), &reason::REVOKED)
}

pub(super) fn ensure(holds: bool, otherwise: &'static Reason) -> Result<(), &'static Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}
