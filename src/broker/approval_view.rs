//! Builds the view of one approval: the proposed change, and who asked for it, when and why.
//!
//! Enter through [`Broker::approval_view`] for one, [`row`] for a list. Everything comes from one state, and the version shown is
//! the version that a review names. So nobody approves a version that they were not shown.

use std::sync::Arc;

use super::Broker;
use super::exception::{extended, without_closed};
use super::failure::Failure;
use super::offboarding::returned;
use super::recertification::unreviewed;
use super::unsealed::{ERASED, fill, plain, replace};
use super::view::approval::{
    ApprovalView, AroundView, CampaignView, ClosingView, DeedView, EnrolmentView, ErasingView, FindingView, Lacks,
    MissingReviewView, OwnersView, ReviewView, SeverityView, StopView, StoppedView,
};
use super::view::gain::Gain;
use super::view::offboarding::{self, OffboardingView};
use super::view::record::{DifferenceView, place};
use super::view::suspension::{self, SuspensionView};
use super::words::{Words, names, sealed};
use crate::domain::credential::certificate::{ENROLMENT_LIFE, LEAF_LIFE};
use crate::domain::credential::spiffe_id::SpiffeId;
use crate::domain::decision::check::{self, Surroundings};
use crate::domain::decision::consequence::waits_for;
use crate::domain::reason::ReasonCode;
use crate::domain::record::{self, Difference, Fault, Record, Severity, Weight};
use crate::domain::registry::approval::{Approval, Kind, Review};
use crate::domain::registry::integration::{Integration, StaticSecret};
use crate::domain::state::offboarding::Case;
use crate::domain::state::recertification::Campaign;
use crate::domain::state::{Held, Revocation, State, Suspension, Versioned};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::{ApprovalId, EnvironmentName, ExceptionId, IntegrationId};
use crate::domain::value::text::Text;
use crate::domain::value::yaml;

/// The object of an approval, as the state holds it.
enum Content<'a> {
    /// A version of a record.
    Record(Box<Proposed<'a>>),
    /// The suspensions that would be lifted.
    Suspensions(&'a [Suspension]),
    /// A revocation that would be lifted.
    Revocation(&'a Revocation),
    /// A static secret that would be closed.
    Exception(&'a ExceptionId, &'a StaticSecret),
    /// A campaign of reviews that would start.
    Campaign(&'a Campaign),
    /// Texts that would be forgotten.
    Erasure(&'a [Text]),
    /// An offboarding that would be signed off, or given up.
    Offboarding(&'a Case),
    /// A machine that would get its first certificate.
    Enrolment(IntegrationId, EnvironmentName),
    /// A version that neither waits nor is in force any more.
    Gone,
}

/// A version of a record, and the one that it would replace.
struct Proposed<'a> {
    record: Record,
    by: &'a crate::domain::people::actor::Actor,
    at: Timestamp,
    reason: Option<&'a Text>,
    in_force: Option<Record>,
    /// True once this version is in force. It is then compared with nothing.
    is_in_force: bool,
}

impl Broker {
    /// Builds the view that an approver needs to decide; `None` if no approval has this id.
    ///
    /// # Errors
    /// The journal does not answer.
    pub async fn approval_view(&self, id: &ApprovalId) -> Result<Option<ApprovalView>, Failure> {
        let (view, now) = (self.journal.view(), self.now());
        let Some(approval) = view.state.approvals.get(id) else { return Ok(None) };
        let mut content = content(approval, &view.state);
        let around = around(approval, &view.state);
        let mut wanted = sealed(texts(approval).chain(content.texts()).chain(around.into_iter().flat_map(texts_of)));
        if let Content::Record(proposed) = &mut content {
            let both = std::iter::once(&mut proposed.record).chain(&mut proposed.in_force);
            wanted.extend(both.flat_map(Record::texts_mut).filter_map(|text| text.digest()));
        }
        if let Content::Offboarding(case) = &content {
            wanted.extend(sealed(offboarding::registered(case, &view.state)));
        }
        let words = Words::of(self, wanted).await?;
        // A record may be a megabyte. It is never read and checked on a thread that serves tokens.
        let (broker, view, id) = (self.clone(), Arc::clone(&view), id.clone());
        let put = move || view.state.approvals.get(&id).map(|approval| broker.put_together(approval, &view.state, &words, now));
        self.desk.work(put).await
    }

    fn put_together(&self, approval: &Approval, state: &State, words: &Words, now: Timestamp) -> ApprovalView {
        let mut shown = row(approval, state, words, now);
        let barred = approval.requested_by.person().into_iter().chain(&approval.barred);
        shown.barred = Some(barred.map(|person| words.person(person)).collect());
        match content(approval, state) {
            Content::Record(proposed) => self.record(&mut shown, approval, *proposed, (state, words, now)),
            Content::Suspensions(lifts) => {
                shown.stopped = lifts.first().map(|oldest| suspended(&approval.subject, oldest, words));
                shown.suspensions = Some(lifts.iter().map(|one| SuspensionView::of(one, words)).collect());
            }
            Content::Revocation(revocation) => shown.stopped = Some(revoked(revocation, words)),
            Content::Enrolment(id, place) => shown.enrolment = Some(enrolment(id, place, state)),
            Content::Exception(id, secret) => shown.exception = Some(exception(id, secret, (state, words))),
            Content::Campaign(campaign) => shown.campaign = Some(CampaignView::of(campaign, state, now)),
            Content::Erasure(texts) => shown.texts = Some(texts.iter().map(|text| ErasingView::of(text, words)).collect()),
            Content::Offboarding(case) => shown.offboarding = Some(OffboardingView::of(case, (state, words), now)),
            Content::Gone => {}
        }
        shown.integration = around(approval, state).map(|record| integration(record, words));
        shown
    }

    fn record(
        &self,
        shown: &mut ApprovalView,
        approval: &Approval,
        mut proposed: Proposed<'_>,
        (state, words, now): (&State, &Words, Timestamp),
    ) {
        let mut erased = fill(&mut proposed.record, words);
        if let Some(in_force) = &mut proposed.in_force {
            erased.extend(fill(in_force, words));
        }
        let mut effort = Effort::default();
        // Forgotten texts are still told apart by their digests. People see only that a text was forgotten.
        let differences = (!proposed.is_in_force).then(|| {
            let in_force = proposed.in_force.as_ref().map(|record| without_closed(record, state));
            let found = record::compare(in_force.as_ref(), &without_closed(&proposed.record, state), &mut effort);
            let mut found = found.unwrap_or_else(|exhausted| vec![uncompared(exhausted)]);
            found.extend(returned(&proposed.record, proposed.in_force.as_ref(), state));
            found.into_iter().map(|one| difference(one, &erased, (&proposed.record, state, now))).collect()
        });
        let findings = self.findings(proposed.record.clone(), state);
        replace(&mut proposed.record, |_| ERASED.to_owned());
        let (by, reason) = (words.actor(proposed.by), plain(proposed.reason, words));
        shown.record = Some(yaml::write(&record::document(&proposed.record)));
        shown.differences = Some(differences);
        shown.warnings = Some(findings.iter().map(finding).collect());
        shown.applied = Some(DeedView { by, at: proposed.at, reason });
        if let Record::Integration(record) = &proposed.record
            && let Some(integration) = state.integrations.get(&record.id)
        {
            let reasons = waits_for(state, integration, now, &mut effort);
            shown.reviews_needed = MissingReviewView::of(&reasons, integration, (record, state, now));
            shown.waits_for = Some(reasons.into_iter().map(Lacks).collect());
            if approval.kind == Kind::Integration {
                let (by, reason) = (words.actor(&approval.requested_by), plain(approval.reason.as_ref(), words));
                shown.submitted = Some(DeedView { by, at: approval.opened.at, reason });
            }
        }
    }

    /// The findings of `plan` on a stored record, with the line numbers of the YAML that is shown.
    ///
    /// If the rules became stricter since the record was applied, they include its faults.
    fn findings(&self, mut record: Record, state: &State) -> Vec<Fault> {
        // A forgotten text is not a fault of the record. The check reads an address at `erased.invalid` in its place.
        replace(&mut record, |number| format!("erased-{number}@erased.invalid"));
        match record::read("record", &yaml::write(&record::document(&record))) {
            Ok(located) => {
                let mut found = check::check(&located, &Surroundings::of(state, self.now()));
                found.extend(self.unreachable(&located));
                found.extend(located.iter().flat_map(|located| extended(located, state)));
                found.extend(located.iter().flat_map(|located| unreviewed(located, state, self.now())));
                found
            }
            Err(faults) => faults,
        }
    }
}

impl Content<'_> {
    /// The texts in it, except those of records.
    fn texts(&self) -> Vec<&Text> {
        match self {
            Self::Record(proposed) => names(proposed.by).chain(proposed.reason).collect(),
            Self::Suspensions(lifts) => suspension::texts(*lifts).collect(),
            Self::Revocation(revocation) => names(&revocation.by).chain([&revocation.reason]).collect(),
            Self::Exception(_, secret) => vec![&secret.owner],
            Self::Erasure(texts) => texts.iter().collect(),
            Self::Offboarding(case) => offboarding::texts(case).collect(),
            Self::Campaign(_) | Self::Enrolment(..) | Self::Gone => Vec::new(),
        }
    }
}

/// Builds the view of one approval for a list: the fields that every kind has.
pub fn row(approval: &Approval, state: &State, words: &Words, now: Timestamp) -> ApprovalView {
    let review = |review: &Review| ReviewView {
        by: words.person(&review.by),
        verdict: review.verdict,
        reason: plain(Some(&review.reason), words),
        at: review.at,
        roles: review.roles.to_vec(),
    };
    ApprovalView {
        id: approval.id.clone(),
        version: approval.version,
        state: approval.standing(now),
        kind: approval.kind,
        subject: subject(approval, state),
        requested_by: words.actor(&approval.requested_by),
        asked: approval.opened.at,
        reason: plain(approval.reason.as_ref(), words),
        slots: approval.slots.to_vec(),
        open_slots: approval.open_slots(),
        expires: approval.expires,
        reviews: approval.reviews.iter().map(review).collect(),
        barred: None,
        removes: removes(approval, state).then_some(true),
        record: None,
        differences: None,
        warnings: None,
        applied: None,
        submitted: None,
        waits_for: None,
        stopped: None,
        suspensions: None,
        enrolment: None,
        exception: None,
        campaign: None,
        offboarding: None,
        texts: None,
        reviews_needed: None,
        integration: None,
    }
}

/// The texts that a [`row`] shows, and the names of the people who are barred.
pub fn texts(approval: &Approval) -> impl Iterator<Item = &Text> {
    let of_reviews = approval.reviews.iter().flat_map(|review| review.by.name.iter().chain([&review.reason]));
    let barred = approval.barred.iter().filter_map(|person| person.name.as_ref());
    names(&approval.requested_by).chain(&approval.reason).chain(barred).chain(of_reviews)
}

/// The name of the approval's subject. For a lift it is the revoked target, for an offboarding who is offboarded.
///
/// The id of a revocation or an offboarding tells a reader nothing.
pub fn subject(approval: &Approval, state: &State) -> String {
    let case = state.offboardings.find(&approval.subject).map(|case| case.about.to_string());
    match lifts(approval, state) {
        Some(revocation) => revocation.target.key().as_str().to_owned(),
        None => case.unwrap_or_else(|| approval.subject.clone()),
    }
}

/// Whether it is about the removal of a guardrail.
fn removes(approval: &Approval, state: &State) -> bool {
    let known = state.guardrails.get(approval.subject.as_str()).filter(|_| approval.kind == Kind::Guardrail);
    known.is_some_and(|known| known.removal.as_ref() == Some(&approval.id))
}

fn lifts<'a>(approval: &Approval, state: &'a State) -> Option<&'a Revocation> {
    match approval.kind {
        Kind::Lift => state.revocations.get(approval.subject.as_str()),
        Kind::Abort
        | Kind::Api
        | Kind::Change
        | Kind::Enrolment
        | Kind::Environment
        | Kind::Erasure
        | Kind::Exception
        | Kind::Guardrail
        | Kind::Integration
        | Kind::Offboarding
        | Kind::Partner
        | Kind::Resume
        | Kind::Review => None,
    }
}

fn content<'a>(approval: &'a Approval, state: &'a State) -> Content<'a> {
    let named = approval.subject.as_str();
    let found = match approval.kind {
        Kind::Api => state.apis.get(named).and_then(|api| {
            proposed(api.held.as_deref(), api.current.as_ref(), approval.version, |record| Record::Api(record.clone()))
        }),
        Kind::Guardrail => state.guardrails.get(named).and_then(|one| {
            let (held, current) = (one.held.as_deref(), one.current.as_ref());
            // A removal is asked about the version in force.
            let removed = current.filter(|_| removes(approval, state)).map(|current| current.version);
            proposed(held, current, removed.unwrap_or(approval.version), |record| Record::Guardrail(record.clone()))
        }),
        Kind::Partner => state.partners.get(named).and_then(|partner| {
            let (held, current) = (partner.held.as_deref(), partner.current.as_ref());
            proposed(held, current, approval.version, |record| Record::Partner(record.clone()))
        }),
        Kind::Integration | Kind::Change => {
            let id: Option<IntegrationId> = named.parse().ok();
            id.and_then(|id| state.integrations.get(&id)).and_then(|integration| {
                let (held, current) = (integration.held.as_deref(), integration.current.as_ref());
                proposed(held, current, approval.version, |record| Record::Integration(record.clone()))
            })
        }
        Kind::Resume => Some(Content::Suspensions(&approval.opened.lifts)),
        Kind::Lift => lifts(approval, state).map(Content::Revocation),
        Kind::Exception => closing(approval, state).map(|(id, secret)| Content::Exception(id, secret)),
        Kind::Review => state.recertification.campaign(named).map(|(_, campaign)| Content::Campaign(campaign)),
        Kind::Erasure => state.erasure(&approval.id).map(Content::Erasure),
        Kind::Abort | Kind::Offboarding => state.offboardings.find(named).map(Content::Offboarding),
        // Its subject and reason say all that there is.
        Kind::Environment => None,
        Kind::Enrolment => enrolled(approval).map(|(integration, environment)| Content::Enrolment(integration, environment)),
    };
    found.unwrap_or(Content::Gone)
}

/// Finds the record with exactly this version: the waiting one, else the one in force.
fn proposed<'a, T>(
    held: Option<&'a Held<T>>,
    current: Option<&'a Versioned<T>>,
    version: Digest,
    record: impl Fn(&T) -> Record,
) -> Option<Content<'a>> {
    let same = |versioned: &&'a Versioned<T>| versioned.version == version;
    let waiting = held.map(|held| &held.version).filter(same);
    let found = waiting.or(current.filter(same))?;
    Some(Content::Record(Box::new(Proposed {
        record: record(&found.record),
        by: &found.by,
        at: found.at,
        reason: found.reason.as_ref(),
        in_force: current.map(|current| record(&current.record)),
        is_in_force: waiting.is_none(),
    })))
}

/// The static secret that an approval would close, or closed.
fn closing<'a>(approval: &Approval, state: &'a State) -> Option<(&'a ExceptionId, &'a StaticSecret)> {
    let known = state.integrations.get(&approval.subject.parse::<IntegrationId>().ok()?)?;
    let id = known.exceptions.asked_by(&approval.id)?;
    Some((id, state.exception(id)?.1))
}

fn exception(id: &ExceptionId, secret: &StaticSecret, (state, words): (&State, &Words)) -> ClosingView {
    let known = state.exception(id).and_then(|(integration, _)| state.integrations.get(integration));
    ClosingView {
        id: id.clone(),
        what: secret.what.clone(),
        control: secret.control.clone(),
        owner: plain(Some(&secret.owner), words),
        ends: secret.ends,
        extensions: known.map_or(0, |known| known.exceptions.extended(id)),
    }
}

/// The integration and the environment of an enrolment: `globex/order-sync/production`.
fn enrolled(approval: &Approval) -> Option<(IntegrationId, EnvironmentName)> {
    let (integration, environment) = approval.subject.rsplit_once('/')?;
    Some((integration.parse().ok()?, environment.parse().ok()?))
}

/// The record of the integration that is resumed, or that a machine is enrolled for.
fn around<'a>(approval: &Approval, state: &'a State) -> Option<&'a Integration> {
    let id: IntegrationId = match approval.kind {
        Kind::Exception | Kind::Resume => approval.subject.parse().ok()?,
        Kind::Enrolment => enrolled(approval)?.0,
        Kind::Abort
        | Kind::Api
        | Kind::Change
        | Kind::Environment
        | Kind::Erasure
        | Kind::Guardrail
        | Kind::Integration
        | Kind::Lift
        | Kind::Offboarding
        | Kind::Partner
        | Kind::Review => return None,
    };
    Some(state.integrations.get(&id)?.shown()?.record.as_ref())
}

fn texts_of(record: &Integration) -> [&Text; 3] {
    [&record.purpose, &record.owners.business, &record.owners.application]
}

fn integration(record: &Integration, words: &Words) -> AroundView {
    let say = |text| plain(Some(text), words);
    AroundView {
        id: record.id.clone(),
        purpose: say(&record.purpose),
        owners: OwnersView { business: say(&record.owners.business), application: say(&record.owners.application) },
        contract: record.contract.clone(),
        environments: record.environments.keys().cloned().collect(),
    }
}

fn suspended(subject: &str, stop: &Suspension, words: &Words) -> StoppedView {
    StoppedView {
        how: StopView::Suspension,
        subject: subject.to_owned(),
        by: words.actor(&stop.by),
        at: stop.at,
        reason: plain(Some(&stop.reason), words),
        id: None,
        tokens_only: None,
        entry: None,
    }
}

fn revoked(revocation: &Revocation, words: &Words) -> StoppedView {
    StoppedView {
        how: StopView::Revocation,
        subject: revocation.target.key().as_str().to_owned(),
        by: words.actor(&revocation.by),
        at: revocation.at,
        reason: plain(Some(&revocation.reason), words),
        id: Some(revocation.id.clone()),
        tokens_only: Some(revocation.tokens_only),
        entry: Some(revocation.index),
    }
}

fn enrolment(integration: IntegrationId, environment: EnvironmentName, state: &State) -> EnrolmentView {
    let configured = state.environment(&environment);
    let spiffe_id = configured.map(|configured| SpiffeId::of(&configured.trust_domain, &integration).to_string());
    let (usable_for, certificate_life) = (ENROLMENT_LIFE.to_string(), LEAF_LIFE.to_string());
    EnrolmentView { integration, environment, spiffe_id, usable_for, certificate_life }
}

/// The difference that is shown if two versions take too many steps to compare.
fn uncompared(Exhausted { most }: Exhausted) -> Difference {
    let to = format!("not compared: that takes more than the {most} steps that one request may; read the whole record");
    Difference { at: "record".to_owned(), from: None, to: Some(to), weight: Weight::Widens, ends: None }
}

fn difference(mut one: Difference, erased: &[String], (record, state, now): (&Record, &State, Timestamp)) -> DifferenceView {
    let say = |value: String| erased.iter().fold(value, |value, digest| value.replace(digest, ERASED));
    one.from = one.from.map(say);
    one.to = one.to.map(say);
    let gains = Gain::of(record, &one, state);
    DifferenceView::of(&one, gains, now)
}

fn finding(fault: &Fault) -> FindingView {
    let severity = match fault.severity {
        Severity::Error => SeverityView::Error,
        Severity::Warning => SeverityView::Warning,
    };
    FindingView { at: place(fault), reason: ReasonCode(fault.reason), message: fault.message.clone(), severity }
}
