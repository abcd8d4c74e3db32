//! A state as named facts in canonical JSON: what two programs must agree on that fold one journal.
//!
//! Names here are not those of fields: a field may be renamed or moved, and what it says stays. A field of [`State`] that is new does not
//! compile until it is said here. What is private to a part of the state is asked for as decisions ask for it.
//!
//! Nodes of two versions compare the digests of the state that they fold, so a newer version says the same of a journal of an older format:
//! a fact that is new is left out where the journal has nothing of it.

mod bindings;
mod cases;
mod places;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use self::bindings::Bindings;
use self::places::{environments, issuers};
use self::written::Fact;
use crate::domain::credential::certificate::Purpose;
use crate::domain::elevation::{Ended, Request};
use crate::domain::log::format::FIRST;
use crate::domain::registry::stop::Revocation;
use crate::domain::state::closures::Closed;
use crate::domain::state::guardrail::GuardrailState;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::recertification::{Asked, Opening, Place};
use crate::domain::state::revoked_tokens::RevokedTokens;
use crate::domain::state::signal::Signal;
use crate::domain::state::{ApiState, Held, PartnerState, State, Suspension, Suspensions, Versioned};
use crate::domain::value::digest::{Digest, Hasher};
use crate::domain::value::names::{ApprovalId, EnvironmentName, IntegrationId, SignalId};

/// SHA-256 of the facts of a state.
pub fn digest(state: &State) -> Digest {
    let mut hasher = Hasher::default();
    // Invariant: a hasher takes every byte, and facts serialise to JSON.
    of(state).write(&mut hasher).expect("facts are JSON");
    hasher.digest()
}

/// The digest by which nodes that share a journal compare the states that they fold.
///
/// Revoked tokens are left out: each node forgets those that have expired at a time of its own.
pub fn shared_digest(state: &State) -> Digest {
    let mut state = state.clone();
    state.revoked_tokens = RevokedTokens::default();
    digest(&state)
}

/// The facts of a state as JSON, with the members of each object in the order of their names.
pub fn text(state: &State) -> String {
    let mut bytes = Vec::new();
    // Invariant: memory takes every byte, facts serialise to JSON, and JSON is UTF-8.
    of(state).write(&mut bytes).expect("facts are JSON");
    String::from_utf8(bytes).expect("JSON is text")
}

fn of(state: &State) -> Fact<'_> {
    let State {
        // Tells that something changed, and not what.
        generation: _,
        epoch,
        // The place of an entry, and no fact.
        epoch_began: _,
        dev,
        origin,
        mints_from,
        // Said below where it has.
        moved,
        // Said below where it was raised.
        format,
        corrections,
        archive: _,
        checkpoint_keys,
        configuration,
        closures,
        // A help for counting living tokens.
        lives_shortened: _,
        keys,
        certificates: _,
        issuer_keys: _,
        apis,
        guardrails,
        partners,
        integrations,
        // An index over the integrations.
        exceptions: _,
        approvals,
        elevations: _,
        passkeys,
        // Said below where reviews count.
        recertification: _,
        signals,
        // Said below where one waits.
        erasures: _,
        // Said below where there is one, and with the phases of partners and integrations.
        offboardings,
        revocations,
        revoked_tokens,
        revoked,
        revoked_before,
        // The newest of the lines above, and of the tokens, in the order of their changes.
        recent_cuts: _,
        // Made of the versions that came into force within an hour.
        narrowings: _,
        staff_cuts,
        // A text that what is kept of people shares.
        texts: _,
        candidates: _,
        history: _,
        barred: _,
        // Said with the integrations, and below where there is something to say.
        owners,
        // An index over the records, and how far people were told of it: said below where they were.
        dates,
        // Indexes over the records and approvals that are said below.
        granted: _,
        in_force: _,
        waiting: _,
    } = state;
    let keys = keys.all().map(|key| {
        let mut facts = json!({"key": key.key, "at": key.created, "tainted": key.tainted, "retired": key.retired});
        if let Some(activated) = key.activated {
            facts["activated"] = json!(activated);
        }
        facts
    });
    let approvals = approvals.values().map(|approval| {
        let lifts: Vec<&Suspension> = approval.opened.lifts.iter().collect();
        json!({"approval": approval, "opened": approval.opened.at, "stop": stop(&lifts, Some(&approval.id))})
    });
    let passkeys = passkeys.all().map(|one| {
        json!({"id": one.id, "by": one.by, "label": one.label, "credential": one.credential, "registered": one.registered,
            "revoked": one.revoked, "counter": one.counter})
    });
    let bindings = Bindings::of(state);
    let mut facts: BTreeMap<&'static str, Fact<'_>> = BTreeMap::from([
        ("epoch", json!(epoch).into()),
        ("dev", json!(dev).into()),
        ("origin", json!(origin).into()),
        ("mintsFrom", json!(mints_from).into()),
        ("corrections", json!(corrections).into()),
        ("segments", json!(segments(state)).into()),
        ("checkpointKeys", json!(checkpoint_keys).into()),
        ("configuration", json!(configuration).into()),
        ("keys", Fact::list(keys)),
        ("certificates", certificates(state).into()),
        ("issuerKeys", issuer_keys(state).into()),
        ("apis", Fact::named(apis.iter().map(|(name, one)| (name.to_string(), one)), api)),
        ("partners", Fact::named(partners.iter().map(|(name, one)| (name.to_string(), one)), partner)),
        ("integrations", Fact::named(integrations.iter().map(|(id, one)| (id.to_string(), one)), |one| integration(one))),
        ("approvals", Fact::list(approvals)),
        ("elevations", elevations(state)),
        ("passkeys", Fact::list(passkeys)),
        ("revocations", Fact::list(revocations.values().map(revocation))),
        ("revokedTokens", json!(revoked_tokens.iter().collect::<BTreeMap<_, _>>()).into()),
        ("refused", json!(revoked.keys().filter(|key| state.is_refused(key)).collect::<BTreeSet<_>>()).into()),
        ("revokedBefore", json!(revoked_before.iter().collect::<BTreeMap<_, _>>()).into()),
        ("staffCuts", json!(staff_cuts).into()),
        ("candidates", bindings.candidates()),
        ("barred", bindings.barred(state)),
        ("history", bindings.history(state)),
    ]);
    // Left out where there is none, as in journals that are older than guardrails.
    if guardrails.all().next().is_some() {
        let all = guardrails.all().map(|(name, one)| (name.to_string(), guardrail(one)));
        facts.insert("guardrails", json!({"set": guardrails.digest(), "all": all.collect::<Map<_, _>>()}).into());
    }
    if signals.all().next().is_some() {
        let one = |(id, one): (&SignalId, &Signal)| {
            let decided = one.decided.as_ref().map(|one| json!({"by": one.by, "reason": one.reason, "at": one.at}));
            let signal = json!({"says": one.says, "about": one.about, "reason": one.reason, "reference": one.reference, "by": one.by,
                "at": one.at, "acted": one.acted, "suspension": one.suspension, "decided": decided});
            (id.to_string(), signal)
        };
        facts.insert("signals", Fact::named(signals.all().map(one), |signal| signal));
    }
    if !offboardings.is_empty() || offboardings.all_registered().next().is_some() || offboardings.since.is_some() {
        facts.insert("offboardings", cases::of(state).into());
    }
    let waiting: Vec<_> = approvals_of_erasures(state);
    if !waiting.is_empty() {
        facts.insert("erasures", json!(waiting).into());
    }
    if closures.iter().next().is_some() {
        let one = |(name, one): (&EnvironmentName, &Closed)| (name.to_string(), json!({"at": one.at, "issuer": one.issuer}));
        facts.insert("closed", Value::from(closures.iter().map(one).collect::<Map<_, _>>()).into());
    }
    if *format > FIRST {
        facts.insert("format", json!(format).into());
    }
    if let Some(moved) = moved {
        facts.insert("moved", json!(moved).into());
    }
    if let Some(told) = dates.told() {
        facts.insert("dates", json!({"at": told.at, "until": told.until, "last": told.last}).into());
    }
    // Left out where there is none, as in journals that are older than the directory.
    if state.recertification.since.is_some() {
        facts.insert("reviews", reviews(state));
    }
    let gone: Vec<_> = owners.all_gone().map(|(id, gone)| json!([id, gone.since, gone.counted])).collect();
    let holds: Vec<_> = owners.holds().map(|(id, hold)| json!([id, hold.at, hold.people.iter().collect::<Vec<_>>()])).collect();
    if !gone.is_empty() || !holds.is_empty() || owners.all().next().is_some() || owners.heard().is_some() {
        let own = owners
            .all()
            .map(|(id, own)| json!([id, own.in_force.iter().collect::<Vec<_>>(), own.waiting.iter().collect::<Vec<_>>()]));
        let ends = integrations.keys().filter_map(|id| state.owner_end(id)).map(|end| json!([end.person, end.left, end.at]));
        let members = [
            ("own", Fact::list(own)),
            ("gone", json!(gone).into()),
            ("holds", json!(holds).into()),
            ("ends", Fact::list(ends)),
            ("heard", json!(owners.heard()).into()),
            ("quietSince", json!(owners.quiet_since()).into()),
            ("toldSilent", json!(owners.told_silent()).into()),
        ];
        facts.insert("owners", Fact::object(members));
    }
    Fact::object(facts)
}

fn approvals_of_erasures(state: &State) -> Vec<Value> {
    let asked = state.approvals.keys().filter_map(|id| Some(json!([id, state.erasure(id)?])));
    asked.collect()
}

fn segments(state: &State) -> Vec<Value> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(segment) = state.archive.holding(at) {
        all.push(json!(segment));
        at = segment.until;
    }
    all
}

fn certificates(state: &State) -> Value {
    let known = &state.certificates;
    let authorities = known.all_authorities().map(|one| json!({"authority": one.authority, "tainted": one.tainted}));
    let leaves = known.leaves().map(|leaf| {
        let key = json!({"since": known.key_since(&leaf.environment, leaf.key), "spoilt": known.is_spoilt(leaf.key)});
        json!({"leaf": leaf, "key": key})
    });
    let enrolments = known.enrolments().map(|one| {
        json!({"integration": one.integration, "environment": one.environment, "secret": one.secret, "approval": one.approval,
            "used": one.used})
    });
    let own = environments(state)
        .into_iter()
        .flat_map(|environment| [Purpose::Socket, Purpose::Responder].map(|purpose| known.own(environment, purpose)));
    json!({
        "authorities": authorities.collect::<Vec<_>>(),
        "leaves": leaves.collect::<Vec<_>>(),
        "enrolments": enrolments.collect::<Vec<_>>(),
        "own": own.flatten().collect::<Vec<_>>(),
    })
}

fn issuer_keys(state: &State) -> Value {
    let newest =
        issuers(state).into_iter().filter_map(|issuer| Some((issuer.to_string(), json!(state.issuer_keys.newest(&issuer)?))));
    newest.collect::<Map<_, _>>().into()
}

fn versioned<T: Serialize>(one: &Versioned<T>) -> Value {
    json!({"version": one.version, "record": Digest::of_json(&*one.record), "by": one.by, "at": one.at, "reason": one.reason})
}

fn held<T: Serialize>(one: &Held<T>) -> Value {
    json!({"version": versioned(&one.version), "approval": one.approval})
}

/// Suspensions, with the approval that would lift some of them.
///
/// What one could say before there were several is said as before: one of all environments, without an id of its own.
fn stop(all: &[&Suspension], lift: Option<&ApprovalId>) -> Value {
    match all {
        [] => Value::Null,
        [one] if is_plain(one) => json!({"by": one.by, "reason": one.reason, "at": one.at, "lift": lift}),
        several => json!({"all": several, "lift": lift}),
    }
}

fn is_plain(one: &Suspension) -> bool {
    one.covers_all() && one.id.as_str().starts_with("entry-")
}

fn suspended(known: &Suspensions) -> Value {
    stop(&known.iter().collect::<Vec<_>>(), known.resume())
}

fn api(one: &ApiState) -> Value {
    json!({"current": one.current.as_ref().map(versioned), "held": one.held.as_deref().map(held)})
}

fn guardrail(one: &GuardrailState) -> Value {
    let (current, held) = (one.current.as_ref().map(versioned), one.held.as_deref().map(held));
    let mut facts = json!({"current": current, "held": held, "removal": one.removal, "enforced": one.enforced});
    // Said where it is another time than that of the person, which journals that are older do not have.
    if one.enforced.as_ref().is_some_and(|(_, at)| Some(*at) != one.begun) {
        facts["begun"] = json!(one.begun);
    }
    facts
}

fn partner(one: &PartnerState) -> Value {
    let (current, held) = (one.current.as_ref().map(versioned), one.held.as_deref().map(held));
    json!({"current": current, "held": held, "suspended": suspended(&one.suspensions)})
}

fn integration(one: &IntegrationState) -> Value {
    let (current, held) = (one.current.as_ref().map(versioned), one.held.as_deref().map(held));
    let mut appliers = Vec::new();
    for (environment, access) in one.shown().into_iter().flat_map(|shown| &shown.record.environments) {
        for eligible in &access.elevation {
            let people: Vec<_> = one.appliers.of(environment, &eligible.api, &eligible.scope).collect();
            appliers.push(
                json!({"environment": environment, "api": eligible.api, "scope": eligible.scope.as_str(), "people": people}),
            );
        }
    }
    // A suspension once was a phase of its own.
    let phase = if one.suspensions.iter().any(is_plain) { "suspended" } else { one.phase().name() };
    let mut facts = json!({"current": current, "held": held, "suspended": suspended(&one.suspensions), "appliers": appliers, "phase": phase});
    // Left out where nothing is known, as in journals that are older than the closing of exceptions.
    let exceptions = one.exceptions.facts();
    if !exceptions.is_null() {
        facts["exceptions"] = exceptions;
    }
    // Nothing was retired before there were counts of uses. The rest of what is known of non-use decides nothing by itself.
    let retired: Vec<_> = one.non_use.retired().collect();
    if !retired.is_empty() {
        facts["retired"] = json!(retired);
    }
    facts
}

fn reviews(state: &State) -> Fact<'_> {
    let known = &state.recertification;
    let opening = |one: &Opening| json!([one.cause, one.opens, one.due]);
    let asked = move |one: &Asked| json!([opening(&one.opening), one.on_silence]);
    let place = move |(environment, place): (&EnvironmentName, &Place)| {
        let done = place.done.iter().map(|done| json!([done.first, done.second, done.by, done.at, opening(&done.opening)]));
        let word = place.word.as_ref().map(|word| json!([word.entry, word.by, word.second]));
        json!({"environment": environment, "done": done.collect::<Vec<_>>(), "since": place.since, "due": place.due,
            "asked": place.asked.iter().map(asked).collect::<Vec<_>>(), "word": word})
    };
    let of_one = move |(id, one): (&IntegrationId, &std::sync::Arc<IntegrationState>)| {
        let ends = one.reviews.places().map(|(environment, _)| state.review_end(id, environment));
        let narrowed = one.reviews.narrowed.as_ref().map(|one| json!([one.review, one.by, one.at]));
        json!({"places": one.reviews.places().map(place).collect::<Vec<_>>(), "approved": one.reviews.approved,
            "replaced": one.reviews.replaced[..], "narrowed": narrowed, "ends": ends.collect::<Vec<_>>()})
    };
    let campaigns =
        known.campaigns.iter().map(|(id, one)| json!([id, one.terms, one.by, one.at, one.reason, one.approval, one.started]));
    let reviewers = known.reviewers().map(|one| json!([one.person, one.reviews, one.kept, one.seconds, one.all_kept]));
    Fact::object([
        ("since", json!(known.since).into()),
        ("decided", json!(known.decided().collect::<Vec<_>>()).into()),
        ("campaigns", Fact::list(campaigns)),
        ("reviewers", Fact::list(reviewers)),
        ("integrations", Fact::named(state.integrations.iter().map(|one| (one.0.to_string(), one)), of_one)),
    ])
}

fn elevations(state: &State) -> Fact<'_> {
    let ended = |one: &Ended| json!({"by": one.by, "reason": one.reason, "at": one.at});
    let request = move |one: &Request| {
        let reviews = one.reviews.iter().map(|one| {
            json!({"by": one.by, "verdict": one.verdict, "reason": one.reason, "roles": one.roles, "narrowing": one.narrowing,
                "signature": one.signature, "at": one.at})
        });
        json!({"elevation": one.elevation, "asked": one.asked, "reviews": reviews.collect::<Vec<_>>(), "approved": one.approved,
            "ended": one.ended.as_ref().map(ended), "noticed": one.noticed})
    };
    let ids = |all: &mut dyn Iterator<Item = &Request>| json!(all.map(|one| &one.elevation.id).collect::<Vec<_>>());
    let places = state.integrations.keys().flat_map(|integration| {
        environments(state)
            .into_iter()
            .map(move |environment| (format!("{integration}/{environment}"), (integration, environment)))
    });
    let here = move |(integration, environment)| ids(&mut state.elevations.of(integration, environment));
    Fact::object([
        ("all", Fact::list(state.elevations.all().map(request))),
        ("unreviewed", ids(&mut state.elevations.unreviewed()).into()),
        ("byPlace", Fact::named(places, here)),
    ])
}

fn revocation(one: &Revocation) -> Value {
    json!({"id": one.id, "subject": one.target, "admitted": one.admitted, "tokensOnly": one.tokens_only, "by": one.by,
        "reason": one.reason, "at": one.at, "entry": one.index, "lift": one.lift, "lifted": one.lifted})
}
