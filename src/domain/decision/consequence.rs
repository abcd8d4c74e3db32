//! Consequences: changes that follow from the state by itself, one step at a time.
//!
//! Enter through [`next`] and [`next_judged`]. Each step brings a right into force that people approved, or records what holds
//! already. The end of a right never waits for a step here.

use super::{offboarding, owners, stopped};
use crate::domain::decision::check::conflicts_in;
use crate::domain::log::api::ApiChange;
use crate::domain::log::change::Change;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::key::KeyChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::log::text::TextChange;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::taken::Holder;
use crate::domain::state::{Party, Phase, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{EnvironmentName, GuardrailName, IntegrationId, PartnerName};
use crate::domain::value::text::Text;

/// The next step that is due and needs no long judgement, if any.
pub fn next(state: &State, now: Timestamp) -> Option<Change> {
    unreviewed(state, now)
        .or_else(|| key(state, now))
        .or_else(|| partner(state))
        .or_else(|| guardrail(state))
        .or_else(|| closed(state))
        .or_else(|| offboarding::next(state, now))
        .or_else(|| exception(state))
        .or_else(|| reviewed(state))
        .or_else(|| campaign(state))
        .or_else(|| resumed(state))
        .or_else(|| lifted(state))
        .or_else(|| notice(state, now))
        .or_else(|| owners::silence(state, now).map(Change::from))
}

/// The next version that comes into force, if any.
///
/// All waiting versions share one budget in equal parts. It takes long if [`judges`] is true.
pub fn next_judged(state: &State, now: Timestamp) -> Option<Change> {
    let share = Effort::share(approved_versions(state).count());
    api(state, now, share).or_else(|| integration(state, now, share)).or_else(|| erased(state))
}

/// Tells whether there is a version or an erasure that [`next_judged`] must judge.
pub fn judges(state: &State) -> bool {
    approved_versions(state).next().is_some() || granted_of(state, Kind::Erasure).next().is_some()
}

/// The approved versions that wait to come into force.
fn approved_versions(state: &State) -> impl Iterator<Item = &Approval> {
    state.granted().filter(|approval| matches!(approval.kind, Kind::Api | Kind::Integration | Kind::Change))
}

fn granted_of(state: &State, kind: Kind) -> impl Iterator<Item = &Approval> {
    state.granted().filter(move |approval| approval.kind == kind)
}

fn api(state: &State, now: Timestamp, share: Effort) -> Option<Change> {
    granted_of(state, Kind::Api).find_map(|approval| {
        let (name, api) = state.apis.get_key_value(approval.subject.as_str())?;
        let record = &api.held.as_ref()?.version.record;
        // As for an integration, a version that was approved before a stop waits until the stop is over.
        stopped::api(name, state).ok()?;
        if !conflicts_in(Holder::Api(record), state, now, &mut { share }).is_empty() {
            return None;
        }
        Some(ApiChange::Approved { api: name.clone(), version: approval.version }.into())
    })
}

/// Has texts forgotten that nothing needs. What is needed by now waits until it is not.
fn erased(state: &State) -> Option<Change> {
    granted_of(state, Kind::Erasure).find_map(|approval| {
        let texts = state.erasure(&approval.id)?;
        state.needed(&texts.iter().filter_map(Text::digest).collect()).is_none().then_some(())?;
        let reason = approval.reason.clone()?;
        Some(TextChange::Erased { texts: texts.to_vec(), reason }.into())
    })
}

fn partner(state: &State) -> Option<Change> {
    granted_of(state, Kind::Partner).find_map(|approval| {
        let partner: PartnerName = approval.subject.parse().ok()?;
        stopped::partner(&partner, state).ok()?;
        Some(PartnerChange::Verified { partner, version: approval.version }.into())
    })
}

/// Puts an approved guardrail in force, or removes one.
fn guardrail(state: &State) -> Option<Change> {
    granted_of(state, Kind::Guardrail).find_map(|approval| {
        let guardrail: GuardrailName = approval.subject.parse().ok()?;
        let known = state.guardrails.get(guardrail.as_str())?;
        let change = if known.removal.as_ref() == Some(&approval.id) {
            GuardrailChange::Removed { guardrail }
        } else {
            GuardrailChange::Approved { guardrail, version: approval.version }
        };
        Some(change.into())
    })
}

fn closed(state: &State) -> Option<Change> {
    granted_of(state, Kind::Environment).find_map(|approval| {
        let environment: EnvironmentName = approval.subject.parse().ok()?;
        let issuer = state.environment(&environment)?.issuer.clone();
        Some(EnvironmentChange::Closed { environment, issuer }.into())
    })
}

fn exception(state: &State) -> Option<Change> {
    granted_of(state, Kind::Exception).find_map(|approval| {
        let integration: IntegrationId = approval.subject.parse().ok()?;
        let exception = state.integrations.get(&integration)?.exceptions.asked_by(&approval.id)?.clone();
        Some(ExceptionChange::Closed { exception, integration }.into())
    })
}

/// Completes a review that everybody decided on.
fn reviewed(state: &State) -> Option<Change> {
    let review = state.recertification.decided().next()?.clone();
    let version = state.integrations.get(&review.integration)?.current.as_ref()?.version;
    Some(RecertificationChange::Completed { review, version }.into())
}

/// Starts a campaign that a second person of security approved.
fn campaign(state: &State) -> Option<Change> {
    granted_of(state, Kind::Review).find_map(|approval| {
        let (campaign, known) = state.recertification.campaign(&approval.subject)?;
        let (campaign, terms) = (campaign.clone(), known.terms.clone());
        Some(RecertificationChange::CampaignStarted { campaign, terms, reason: None }.into())
    })
}

fn resumed(state: &State) -> Option<Change> {
    granted_of(state, Kind::Resume).find_map(|approval| {
        // An empty list would lift whatever is in force.
        let suspensions: Vec<_> = approval.opened.lifts.iter().map(|one| one.id.clone()).collect();
        let party = Party::of_subject(&approval.subject).filter(|_| !suspensions.is_empty())?;
        Some(match party {
            Party::Partner(partner) => PartnerChange::Resumed { partner, suspensions }.into(),
            Party::Integration(integration) => IntegrationChange::Resumed { integration, suspensions }.into(),
        })
    })
}

fn integration(state: &State, now: Timestamp, share: Effort) -> Option<Change> {
    approved_versions(state).filter(|approval| approval.kind != Kind::Api).find_map(|approval| {
        let id: IntegrationId = approval.subject.parse().ok()?;
        let integration = state.integrations.get(&id)?;
        if integration.suspensions.first_of_all().is_some() || !waits_for(state, integration, now, &mut { share }).is_empty() {
            return None;
        }
        let version = approval.version;
        let owners = state.directory().map(|_| integration.held_owners());
        match integration.phase() {
            Phase::Active => Some(IntegrationChange::Changed { integration: id, version, owners }.into()),
            Phase::Submitted => Some(IntegrationChange::Activated { integration: id, version, owners }.into()),
            Phase::Draft | Phase::Offboarding | Phase::Ended => None,
        }
    })
}

/// Finds what the waiting version of an integration lacks besides its approvals.
///
/// Before the first activation it needs a verified partner, and every API that it names in force. Its unique claims must always be
/// free still: a draft reserves nothing, and a new environment may have come, so a claim that was free at the plan may be taken
/// (docs/reference/records.md; ABUSE I-18). The two different owners were checked when the record was read. A draft is judged when
/// it is submitted, and not before.
pub fn waits_for(state: &State, integration: &IntegrationState, now: Timestamp, effort: &mut Effort) -> Vec<&'static Reason> {
    let Some(held) = &integration.held else { return Vec::new() };
    let record = &held.version.record;
    let mut lacking = Vec::new();
    // A version that was approved before a stop waits until the stop is over.
    lacking.extend(stopped::version(&record.id, state, effort).err());
    if integration.current.is_none() {
        let partner = state.partners.get(&record.id.partner).and_then(|partner| partner.current.as_ref());
        if partner.is_none_or(|current| now >= current.record.verification.expires) {
            lacking.push(&reason::PARTNER_UNVERIFIED);
        }
        let named = record.environments.values().flat_map(|access| access.scopes.keys());
        let mut apis = named.filter(|api| api.as_str() != super::target::BUILT_IN_API);
        if !apis.all(|api| state.apis.get(api).is_some_and(|api| api.current.is_some())) {
            lacking.push(&reason::RECORD_UNKNOWN_REFERENCE);
        }
    }
    if integration.lacks_open(record) {
        lacking.push(&reason::EXCEPTION_OPEN);
    }
    if held.approval.is_none() {
        return lacking;
    }
    if !state.unreviewed(integration, record, now).is_empty() {
        lacking.push(&reason::REVIEW_MISSING);
    }
    for unfit in owners::ensure(&integration.held_owners(), state) {
        if !lacking.contains(&unfit.reason) {
            lacking.push(unfit.reason);
        }
    }
    for conflict in conflicts_in(Holder::Integration(record), state, now, effort) {
        if !lacking.contains(&conflict.reason) {
            lacking.push(conflict.reason);
        }
    }
    lacking
}

fn lifted(state: &State) -> Option<Change> {
    granted_of(state, Kind::Lift).find_map(|approval| {
        let revocation = state.revocations.get(approval.subject.as_str())?;
        revocation.target.can_be_lifted().then(|| RevocationChange::Lifted { id: revocation.id.clone() }.into())
    })
}

/// Suspends an integration whose break-glass elevation nobody reviewed in time.
///
/// No protection waits for this step: meanwhile no token is granted either.
fn unreviewed(state: &State, now: Timestamp) -> Option<Change> {
    let stands = |id| state.integrations.get(id).is_some_and(|known| known.suspensions.first_of_all().is_none());
    let overdue = state.elevations.overdue(now).find(|request| stands(&request.elevation.integration))?;
    let reason =
        Text::from(format!("elevation {} began without an approval, and nobody reviewed it", overdue.elevation.id).as_str());
    Some(IntegrationChange::suspended(overdue.elevation.integration.clone(), reason).into())
}

/// Records a notice to people about an elevation that time alone has changed.
fn notice(state: &State, now: Timestamp) -> Option<Change> {
    let (elevation, notice) = state.elevations.notice_due(now)?;
    Some(ElevationChange::Noticed { elevation: elevation.clone(), notice }.into())
}

/// Retires a key whose time is over. The change destroys its sealed half.
fn key(state: &State, now: Timestamp) -> Option<Change> {
    let over =
        |key: &&crate::domain::credential::keys::KeyState| !key.retired && !key.tainted && now >= state.keys.retires(key);
    let key = state.keys.all().find(over)?;
    Some(KeyChange::Retired { environment: key.key.environment.clone(), kid: key.key.kid.clone() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{approval, at, state};
    use crate::domain::log::approval::ApprovalChange;
    use crate::domain::log::configuration::ConfigurationChange;
    use crate::domain::people::actor::{Actor, Person, Role};
    use crate::domain::registry::approval::Verdict;
    use crate::domain::value::digest::Digest;

    fn apply(state: &mut State, change: impl Into<Change>) {
        let by = Actor::Staff(Person { iss: "https://idp.example".parse().expect("an issuer"), id: "ann".into(), name: None });
        state.apply(100, at(0), &change.into().by(by));
    }

    fn approve(state: &mut State) {
        let (approval, reason) = ("asked".parse().expect("an id"), "looked at".into());
        apply(state, ApprovalChange::Reviewed { approval, verdict: Verdict::Approve, reason, roles: [Role::Security].into() });
    }

    /// S-1: an approved API is judged against an environment that came before it took force.
    #[test]
    fn an_api_is_judged_when_it_takes_force() {
        let mut state = state();
        let known = state.apis.values().next().and_then(|api| api.current.as_ref()).expect("in force");
        let mut record = known.record.as_ref().clone();
        let (_, audience) = record.audience.iter_mut().next().expect("an audience");
        *audience = "https://sts.acme.example/staging/orders".parse().expect("an audience");
        let approval = approval("asked", Kind::Api, record.name.as_str(), Digest::of_json(&record));
        apply(&mut state, ApiChange::Submitted { record: Box::new(record.clone()), approval });
        approve(&mut state);
        assert!(matches!(next_judged(&state, at(1)), Some(Change::Api(ApiChange::Approved { api, .. })) if api == record.name));
        let mut configuration = state.configuration.clone().expect("configured");
        let mut staging = configuration.environments.values().next().expect("an environment").clone();
        staging.issuer = "https://sts.acme.example/staging".parse().expect("an issuer");
        configuration.environments.insert("staging".parse().expect("a name"), staging);
        apply(&mut state, ConfigurationChange::Changed(configuration));
        assert!(next_judged(&state, at(1)).is_none());
    }

    /// S-2: a version that was not judged to its end does not come into force for that reason.
    #[test]
    fn a_version_takes_force_only_when_it_was_judged_to_its_end() {
        let mut state = state();
        let known = state.integrations.values().next().and_then(|known| known.current.as_ref()).expect("in force");
        let mut record = known.record.as_ref().clone();
        record.purpose = "Copies more orders.".into();
        let approval = approval("asked", Kind::Change, &record.id.to_string(), Digest::of_json(&record));
        apply(&mut state, IntegrationChange::ChangeHeld { record: Box::new(record.clone()), approval, owners: None });
        approve(&mut state);
        assert!(judges(&state));
        assert!(integration(&state, at(1), Effort::of(0)).is_none());
        let lacking = waits_for(&state, &state.integrations[&record.id], at(1), &mut Effort::of(0));
        assert_eq!(lacking, [&reason::RECORD_EFFORT]);
        let taken = integration(&state, at(1), Effort::default());
        assert!(
            matches!(taken, Some(Change::Integration(IntegrationChange::Changed { integration, .. })) if integration == record.id)
        );
    }
}
