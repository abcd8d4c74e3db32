//! The decision: may this principal have this token now?
//!
//! Enter through [`decide`]. It is a function of values, `now` included: the journal takes the decision again while it holds its
//! head, and `explain` takes it again with the tree. A [`Grant`] is made only here. Its life is the minimum of all ceilings,
//! its scope the intersection of all limits, and nothing can widen either (ABUSE I-1, I-3).

use std::net::IpAddr;

use super::admission::Principal;
use super::ask::{Ask, Context};
use super::entitlement::{Entitled, Place, entitled};
use super::guard::{Guarded, Judging, Source, guarded};
use super::life::{Life, SHORTEST_LIFE};
use super::peer::Peer;
use super::possession::{bound, confirmation, possession};
use super::rotation;
use super::standing::record;
use super::standing::{in_good_standing, not_retired, standing, unrevoked};
use super::target::{Chosen, target};
use crate::domain::credential::claims::{BACKDATED, Claims};
use crate::domain::credential::possession::Possession;
use crate::domain::credential::revocation::Provenance;
use crate::domain::log::entry::{CertificateOnRecord, Issued, IssuedKind, ProofOnRecord};
use crate::domain::reason::decision::{Refused, Step, Trace};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::api::{Profile, TokenForm};
use crate::domain::registry::environment::Environment;
use crate::domain::registry::integration::Access;
use crate::domain::state::State;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{Audience, ClientId, GuardrailName, RequestId};
use crate::domain::value::proof_key::ProofKey;

/// A token that was decided on, and is neither recorded nor signed yet.
#[derive(Clone, Debug)]
pub struct Grant {
    claims: Claims,
    alg: Alg,
    profile: Profile,
    request: RequestId,
    provenance: Provenance,
    record: crate::domain::value::digest::Digest,
    proof: super::admission::Proof,
    ceiling: &'static str,
    possession: Possession,
    guardrails: Option<Digest>,
    shadow: Vec<GuardrailName>,
}

/// The outcome of a decision.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The token is granted.
    Granted(Box<Grant>),
    /// The scope is eligible, and no active elevation gives it.
    NeedsElevation(Refused),
    /// The token is refused.
    Refused(Refused),
}

impl Grant {
    /// The claims, without the index of their entry.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The algorithm to sign with.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// The form of the token.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The id of the request.
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    /// The facts that the token is made from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The version of the record that allows it.
    pub fn record(&self) -> crate::domain::value::digest::Digest {
        self.record
    }

    /// The proof that pays for it.
    pub fn proof(&self) -> &super::admission::Proof {
        &self.proof
    }

    /// The proof's id among the spent proofs, and the time until which it is remembered.
    ///
    /// `None` if it is not spent. The time is `exp` plus twice the allowed clock difference and the leeway.
    pub fn spends(&self) -> Option<(ProofKey, Timestamp)> {
        Some((self.proof.spends()?, ProofKey::remembered_until(self.proof.expires)))
    }

    /// The ceiling that ended the token's life.
    pub fn ceiling(&self) -> &'static str {
        self.ceiling
    }

    /// The set of guardrails that it was judged by, if there is one.
    pub fn guardrails(&self) -> Option<Digest> {
        self.guardrails
    }

    /// The guardrails in shadow that would have refused it.
    pub fn shadow(&self) -> &[GuardrailName] {
        &self.shadow
    }
}

impl Issued {
    /// Makes the entry of a grant at `index`, and the bytes to sign, whose digest the entry has.
    pub fn of(grant: &Grant, index: u64, time: Timestamp) -> (Self, Vec<u8>) {
        let bytes = grant.claims().payload(index).bytes();
        let (claims, proof, from) = (grant.claims(), grant.proof(), grant.provenance());
        let entry = Self {
            index,
            time,
            kind: IssuedKind::Issued,
            subject: claims.client.clone(),
            request_id: grant.request().clone(),
            environment: claims.environment.clone(),
            jti: claims.id.clone(),
            exp: claims.expires,
            api: from.api.clone(),
            audience: claims.audience.clone(),
            scope: claims.scope.to_string(),
            binding: claims.binding.clone(),
            record: grant.record(),
            kid: from.kid.clone(),
            claims: Digest::of(&bytes),
            ceiling: grant.ceiling().to_owned(),
            proof: ProofOnRecord {
                issuer: proof.issuer.clone(),
                named: proof.named.clone(),
                subject: proof.subject.clone(),
                key: proof.key,
                id: proof.id.map(|ProofKey(digest)| digest),
                expires: proof.expires,
            },
            certificate: from.certificate.clone().map(|(serial, authority)| CertificateOnRecord { serial, authority }),
            beside: from.beside.clone(),
            elevations: from.elevations.clone(),
            possession: Some(grant.possession),
            guardrails: grant.guardrails(),
            shadow: grant.shadow().to_vec(),
        };
        (entry, bytes)
    }
}

/// Decides. A refusal has its whole tree; [`explain`] gives the tree of a grant.
pub fn decide(principal: &Principal, ask: &Ask, context: &Context, on: Guarded<'_>, now: Timestamp) -> Decision {
    match run(principal, ask, context, on, now, &mut Trace::off()) {
        Ok(grant) => Decision::Granted(Box::new(grant)),
        Err(_) => {
            let (outcome, tree) = explain(principal, ask, context, on, now);
            // The decision is pure, so it refuses again. If it did not, a refusal would still be right.
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

/// Decides, and returns every step.
pub fn explain(
    principal: &Principal,
    ask: &Ask,
    context: &Context,
    on: Guarded<'_>,
    now: Timestamp,
) -> (Result<Grant, &'static Reason>, Vec<Step>) {
    let mut trace = Trace::on();
    let outcome = run(principal, ask, context, on, now, &mut trace);
    (outcome, trace.into_steps())
}

fn run(
    principal: &Principal,
    ask: &Ask,
    context: &Context,
    on: Guarded<'_>,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<Grant, &'static Reason> {
    let judged = judge(principal, ask, Beside::Request(context), on, now, trace)?;
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
        possession: Possession::of(principal, context),
        guardrails: on.guard.digest(),
        shadow: judged.shadow,
    })
}

/// The facts of a request besides its proof.
#[derive(Clone, Copy)]
pub(in crate::domain) enum Beside<'a> {
    /// A real request, with all its facts.
    Request(&'a Context),
    /// No real request: certificate, DPoP proof and address count as the record wants them.
    Supposed,
    /// No real request, from this address.
    From(Option<IpAddr>),
}

impl Beside<'_> {
    /// The address that guardrails see, and what the token may be bound to.
    fn shows(self, principal: &Principal, here: &Place<'_>, target: &Chosen<'_>) -> (Source, Vec<Possession>) {
        let known = |address: Option<IpAddr>| address.map_or(Source::Unknown, Source::Known);
        let binding = here.access.bindings.iter().find(|binding| binding.name == *principal.binding());
        let possible =
            || binding.map_or_else(Vec::new, |one| Possession::possible(here.access.require, target.form.require_bound, one));
        match self {
            Self::Request(context) => (known(context.source), vec![Possession::of(principal, context)]),
            Self::Supposed => (Source::Supposed, possible()),
            Self::From(Some(address)) => (Source::Known(address), possible()),
            Self::From(None) => (Source::Supposed, possible()),
        }
    }
}

/// The results of all checks of a request.
struct Judged<'a> {
    environment: &'a Environment,
    audience: Audience,
    form: TokenForm,
    entitled: Entitled,
    provenance: Provenance,
    life: Life,
    shadow: Vec<GuardrailName>,
}

/// Decides on a supposed request, and returns only which checks held.
pub(in crate::domain) fn suppose(
    principal: &Principal,
    ask: &Ask,
    beside: Beside<'_>,
    on: Guarded<'_>,
    now: Timestamp,
    mut trace: Trace,
) -> (Option<&'static Reason>, Trace) {
    let refused = judge(principal, ask, beside, on, now, &mut trace).err();
    (refused, trace)
}

fn judge<'a>(
    principal: &Principal,
    ask: &Ask,
    beside: Beside<'_>,
    on: Guarded<'a>,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<Judged<'a>, &'static Reason> {
    let state = on.state;
    let client = principal.client();
    if let Some(named) = &ask.client {
        let same = client.to_string() == *named;
        trace.ensure("client_id", same, &reason::CLIENT_MISMATCH, || (client.to_string(), named.clone()))?;
    }
    // The callers of an API may introspect. Only integrations get tokens.
    let ClientId::Integration(id) = client else {
        trace.check("client", false, || ("an integration".into(), format!("{client}, which may introspect and have no token")));
        return Err(&reason::TARGET_UNKNOWN);
    };
    let mut life = Life::new();
    let place = principal.environment();
    standing(id, place, state, now, trace, &mut life)?;
    not_retired(principal, state, trace)?;
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
            rotation::rotated(principal, record, &state.issuer_keys, now, trace, &mut life)?;
            source(access, context.source, trace)?;
        }
        Beside::Supposed => rotation::rotated(principal, record, &state.issuer_keys, now, trace, &mut life)?,
        Beside::From(address) => {
            rotation::rotated(principal, record, &state.issuer_keys, now, trace, &mut life)?;
            source(access, address, trace)?;
        }
    }
    let target = target(principal, ask, access, state, trace)?;
    // The demand of the API, judged whatever the record demands.
    if let Beside::Request(context) = beside
        && target.form.require_bound
    {
        bound(true, context, trace)?;
    }
    let here = Place { id, environment: place, access, state, now };
    let entitled = entitled(ask, &here, &target, trace, &mut life)?;

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
    let (source, possessions) = beside.shows(principal, &here, &target);
    let judging = Judging { principal, place: &here, target: &target, entitled: &entitled, source, possessions };
    let shadow = guarded(&judging, on, trace)?;

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
    Ok(Judged { environment, audience: target.audience, form: target.form, entitled, provenance, life, shadow })
}

/// Checks that a principal may request an elevation: as for a token, but without target and scope.
pub fn may_elevate(principal: &Principal, context: &Context, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    in_good_standing(principal, state, now)?;
    let ClientId::Integration(id) = principal.client() else { return Err(&reason::TARGET_UNKNOWN) };
    let record = record(id, state).ok_or(&reason::BINDING_NO_MATCH)?;
    let access = record.environments.get(principal.environment()).ok_or(&reason::BINDING_NO_MATCH)?;
    possession(principal, access, context, state, now, &mut Trace::off(), &mut Life::new())?;
    rotation::rotated(principal, record, &state.issuer_keys, now, &mut Trace::off(), &mut Life::new())?;
    source(access, context.source, &mut Trace::off())
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
