//! A state as named facts in canonical JSON: what two programs must agree on that fold one journal.
//!
//! Names here are not those of fields: a field may be renamed or moved, and what it says stays. A field of [`State`] that is new does not
//! compile until it is said here. What is private to a part of the state is asked for as decisions ask for it.
//!
//! Nodes of two versions compare the digests of the state that they fold, so a newer version says the same of a journal of an older format:
//! a fact that is new is left out where the journal has nothing of it.

mod cases;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::credential::certificate::Purpose;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::elevation::{Ended, Request};
use crate::domain::log::format::FIRST;
use crate::domain::registry::binding::Admits;
use crate::domain::registry::stop::Revocation;
use crate::domain::state::closures::Closed;
use crate::domain::state::guardrail::GuardrailState;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::recertification::{Asked, Opening, Place};
use crate::domain::state::revoked_tokens::RevokedTokens;
use crate::domain::state::signal::Signal;
use crate::domain::state::{ApiState, Candidate, Held, PartnerState, State, Suspension, Suspensions, Versioned};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, EnvironmentName, IntegrationId, Issuer, SignalId};

/// SHA-256 of the facts of a state.
pub fn digest(state: &State) -> Digest {
    Digest::of(text(state).as_bytes())
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
    canonical(of(state)).to_string()
}

fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> = members.into_iter().map(|(name, value)| (name, canonical(value))).collect();
            Value::Object(sorted.into_iter().collect::<Map<String, Value>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn of(state: &State) -> Value {
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
    let mut facts = json!({
        "epoch": epoch,
        "dev": dev,
        "origin": origin,
        "mintsFrom": mints_from,
        "corrections": corrections,
        "segments": segments(state),
        "checkpointKeys": checkpoint_keys,
        "configuration": configuration,
        "keys": keys.collect::<Vec<_>>(),
        "certificates": certificates(state),
        "issuerKeys": issuer_keys(state),
        "apis": apis.iter().map(|(name, one)| (name.to_string(), api(one))).collect::<Map<_, _>>(),
        "partners": partners.iter().map(|(name, one)| (name.to_string(), partner(one))).collect::<Map<_, _>>(),
        "integrations": integrations.iter().map(|(id, one)| (id.to_string(), integration(one))).collect::<Map<_, _>>(),
        "approvals": approvals.collect::<Vec<_>>(),
        "elevations": elevations(state),
        "passkeys": passkeys.collect::<Vec<_>>(),
        "revocations": revocations.values().map(revocation).collect::<Vec<_>>(),
        "revokedTokens": revoked_tokens.iter().collect::<BTreeMap<_, _>>(),
        "refused": revoked.keys().filter(|key| state.is_refused(key)).collect::<BTreeSet<_>>(),
        "revokedBefore": revoked_before.iter().collect::<BTreeMap<_, _>>(),
        "staffCuts": staff_cuts,
        "candidates": candidates(state),
        "barred": barred(state),
        "history": history(state),
    });
    // Left out where there is none, as in journals that are older than guardrails.
    if guardrails.all().next().is_some() {
        let all = guardrails.all().map(|(name, one)| (name.to_string(), guardrail(one)));
        facts["guardrails"] = json!({"set": guardrails.digest(), "all": all.collect::<Map<_, _>>()});
    }
    if signals.all().next().is_some() {
        let one = |(id, one): (&SignalId, &Signal)| {
            let decided = one.decided.as_ref().map(|one| json!({"by": one.by, "reason": one.reason, "at": one.at}));
            let signal = json!({"says": one.says, "about": one.about, "reason": one.reason, "reference": one.reference, "by": one.by,
                "at": one.at, "acted": one.acted, "suspension": one.suspension, "decided": decided});
            (id.to_string(), signal)
        };
        facts["signals"] = signals.all().map(one).collect::<Map<_, _>>().into();
    }
    if !offboardings.is_empty() || offboardings.all_registered().next().is_some() || offboardings.since.is_some() {
        facts["offboardings"] = cases::of(state);
    }
    let waiting: Vec<_> = approvals_of_erasures(state);
    if !waiting.is_empty() {
        facts["erasures"] = waiting.into();
    }
    if closures.iter().next().is_some() {
        let one = |(name, one): (&EnvironmentName, &Closed)| (name.to_string(), json!({"at": one.at, "issuer": one.issuer}));
        facts["closed"] = closures.iter().map(one).collect::<Map<_, _>>().into();
    }
    if *format > FIRST {
        facts["format"] = json!(format);
    }
    if let Some(moved) = moved {
        facts["moved"] = json!(moved);
    }
    if let Some(told) = dates.told() {
        facts["dates"] = json!({"at": told.at, "until": told.until, "last": told.last});
    }
    // Left out where there is none, as in journals that are older than the directory.
    if state.recertification.since.is_some() {
        facts["reviews"] = reviews(state);
    }
    let gone: Vec<_> = owners.all_gone().map(|(id, gone)| json!([id, gone.since, gone.counted])).collect();
    let holds: Vec<_> = owners.holds().map(|(id, hold)| json!([id, hold.at, hold.people.iter().collect::<Vec<_>>()])).collect();
    if !gone.is_empty() || !holds.is_empty() || owners.all().next().is_some() || owners.heard().is_some() {
        let own = owners
            .all()
            .map(|(id, own)| json!([id, own.in_force.iter().collect::<Vec<_>>(), own.waiting.iter().collect::<Vec<_>>()]));
        let ends = integrations.keys().filter_map(|id| state.owner_end(id)).map(|end| json!([end.person, end.left, end.at]));
        facts["owners"] = json!({"own": own.collect::<Vec<_>>(), "gone": gone, "holds": holds, "ends": ends.collect::<Vec<_>>(),
            "heard": owners.heard(), "quietSince": owners.quiet_since(), "toldSilent": owners.told_silent()});
    }
    facts
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

/// The environments that are configured.
fn environments(state: &State) -> Vec<&EnvironmentName> {
    state.configuration.iter().flat_map(|configuration| configuration.environments.keys()).collect()
}

/// The issuers of bindings in force, and our own trust domains.
fn issuers(state: &State) -> BTreeSet<Issuer> {
    let configured = state.configuration.iter().flat_map(|configuration| configuration.environments.values());
    let own = configured.map(|environment| environment.trust_domain.issuer());
    state.candidates.all().map(|candidate| candidate.rule.issuer.clone()).chain(own).collect()
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

fn reviews(state: &State) -> Value {
    let known = &state.recertification;
    let opening = |one: &Opening| json!([one.cause, one.opens, one.due]);
    let asked = |one: &Asked| json!([opening(&one.opening), one.on_silence]);
    let place = |(environment, place): (&EnvironmentName, &Place)| {
        let done = place.done.iter().map(|done| json!([done.first, done.second, done.by, done.at, opening(&done.opening)]));
        let word = place.word.as_ref().map(|word| json!([word.entry, word.by, word.second]));
        json!({"environment": environment, "done": done.collect::<Vec<_>>(), "since": place.since, "due": place.due,
            "asked": place.asked.iter().map(asked).collect::<Vec<_>>(), "word": word})
    };
    let of_one = |(id, one): (&IntegrationId, &std::sync::Arc<IntegrationState>)| {
        let ends = one.reviews.places().map(|(environment, _)| state.review_end(id, environment));
        (
            id.to_string(),
            json!({"places": one.reviews.places().map(place).collect::<Vec<_>>(), "approved": one.reviews.approved,
            "replaced": one.reviews.replaced[..], "narrowed": one.reviews.narrowed.as_ref().map(|one| json!([one.review, one.by, one.at])), "ends": ends.collect::<Vec<_>>()}),
        )
    };
    let campaigns =
        known.campaigns.iter().map(|(id, one)| json!([id, one.terms, one.by, one.at, one.reason, one.approval, one.started]));
    let reviewers = known.reviewers().map(|one| json!([one.person, one.reviews, one.kept, one.seconds, one.all_kept]));
    json!({"since": known.since, "decided": known.decided().collect::<Vec<_>>(), "campaigns": campaigns.collect::<Vec<_>>(),
        "reviewers": reviewers.collect::<Vec<_>>(),
        "integrations": state.integrations.iter().map(of_one).collect::<Map<_, _>>()})
}

fn elevations(state: &State) -> Value {
    let ended = |one: &Ended| json!({"by": one.by, "reason": one.reason, "at": one.at});
    let request = |one: &Request| {
        let reviews = one.reviews.iter().map(|one| {
            json!({"by": one.by, "verdict": one.verdict, "reason": one.reason, "roles": one.roles, "narrowing": one.narrowing,
                "signature": one.signature, "at": one.at})
        });
        json!({"elevation": one.elevation, "asked": one.asked, "reviews": reviews.collect::<Vec<_>>(), "approved": one.approved,
            "ended": one.ended.as_ref().map(ended), "noticed": one.noticed})
    };
    let ids = |all: &mut dyn Iterator<Item = &Request>| all.map(|one| one.elevation.id.clone()).collect::<Vec<_>>();
    let mut places = Map::new();
    for integration in state.integrations.keys() {
        for environment in environments(state) {
            let here = ids(&mut state.elevations.of(integration, environment));
            places.insert(format!("{integration}/{environment}"), json!(here));
        }
    }
    json!({
        "all": state.elevations.all().map(request).collect::<Vec<_>>(),
        "unreviewed": ids(&mut state.elevations.unreviewed()),
        "byPlace": places,
    })
}

fn revocation(one: &Revocation) -> Value {
    json!({"id": one.id, "subject": one.target, "admitted": one.admitted, "tokensOnly": one.tokens_only, "by": one.by,
        "reason": one.reason, "at": one.at, "entry": one.index, "lift": one.lift, "lifted": one.lifted})
}

/// The bindings in force, sorted: the index may hold them in any order.
fn sorted(state: &State) -> Vec<&Candidate> {
    let mut all: Vec<&Candidate> = state.candidates.all().collect();
    all.sort_by_key(|one| (one.client.clone(), one.environment.clone(), one.binding.clone()));
    all
}

fn subject(one: &Candidate) -> RevocationTarget {
    RevocationTarget::Binding { client: one.client.clone(), environment: one.environment.clone(), binding: one.binding.clone() }
}

fn candidates(state: &State) -> Vec<Value> {
    let shown = |one: &Candidate| json!({"binding": subject(one).key(), "rule": one.rule, "version": one.version});
    sorted(state).into_iter().map(shown).collect()
}

/// Which revocation bars the proofs of each binding, and the certificates of each integration.
fn barred(state: &State) -> Value {
    let mut all = Map::new();
    for one in sorted(state) {
        all.insert(subject(one).key().to_string(), json!(state.barred.rule(&one.environment, &one.rule)));
    }
    for integration in state.integrations.keys() {
        for environment in environments(state) {
            let member = format!("certificate of {integration} in {environment}");
            all.insert(member, json!(state.barred.certificate(integration, environment)));
        }
    }
    all.into()
}

fn history(state: &State) -> Value {
    let of = |issuer: &Issuer| {
        json!({"known": state.history.knows_issuer(issuer), "members": state.history.keys_of(issuer).collect::<Vec<_>>(),
            "environments": state.history.environments_of(issuer).collect::<Vec<_>>()})
    };
    let rules = sorted(state).into_iter().map(|one| {
        let last: Option<&Admits> = state.history.binding(&subject(one));
        (subject(one).key().to_string(), json!(last))
    });
    let issuers = issuers(state);
    json!({
        "issuers": issuers.iter().map(|issuer| (issuer.to_string(), of(issuer))).collect::<Map<_, _>>(),
        "bindings": rules.collect::<Map<_, _>>(),
    })
}
