//! Folds reviews: what opens them, what people decide, and from when on their silence refuses.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::effects::{Effects, Entered, Versions};
use super::integration::IntegrationState;
use super::narrowings::Whose;
use super::opening::Opening as Approval;
use super::recertification::{Asked, Campaign, Done, Given, Narrowed, Opening, Place};
use super::{Phase, State};
use crate::domain::credential::claims::LONGEST_LIFE;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::people::actor::Actor;
use crate::domain::record::{Record, TakenAway, Weight, compare};
use crate::domain::registry::api::Risk;
use crate::domain::registry::environment::{Configuration, Environment, is_production};
use crate::domain::registry::integration::{Access, Integration, OnSilence};
use crate::domain::registry::lifecycle::Versioned;
use crate::domain::registry::recertification::{
    AFTER_WIDENING, BEFORE_CONTRACT_END, CampaignTerms, FRESH_FOR, OPEN_FOR, ReviewCause, ReviewId, Word,
};
use crate::domain::registry::signal::SignalSubject;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, IntegrationId};
use crate::domain::value::scope::Scope;

/// The times from which on silence refuses, by environment.
pub(super) type ReviewEnds = Vec<(EnvironmentName, Option<Timestamp>)>;

impl IntegrationState {
    /// Everything that opens the next review in an environment, now or later. Nothing where the record in force has no such environment.
    pub fn openings(&self, environment: &EnvironmentName, now: Timestamp) -> Vec<Opening> {
        let Some((record, _)) = self.access(environment) else { return Vec::new() };
        let Some(place) = self.reviews.place(environment) else { return Vec::new() };
        let ends = record.contract.ends;
        let completed = place.completed();
        let mut all = vec![place.schedule()];
        let opens = ends.minus(BEFORE_CONTRACT_END);
        if completed.is_none_or(|at| at < opens) {
            all.push(Opening { cause: ReviewCause::ContractEnding, opens: opens.max(place.since), due: ends });
        }
        // A version that waits for it opens it at once, and gives nobody less time than the contract does.
        let extends = self.held.as_ref().filter(|held| held.approval.is_some() && held.version.record.contract.ends > ends);
        if let Some(held) = extends.filter(|_| !self.is_fresh(environment, now)) {
            all.push(Opening { cause: ReviewCause::ContractEnding, opens: held.version.at, due: ends });
        }
        all.extend(place.asked.iter().map(|asked| asked.opening));
        all
    }

    /// Whether a review in an environment was completed lately.
    pub fn is_fresh(&self, environment: &EnvironmentName, now: Timestamp) -> bool {
        let completed = self.reviews.place(environment).and_then(Place::completed);
        completed.is_some_and(|at| now < at.plus(FRESH_FOR))
    }

    /// What has opened the next review in an environment; of several, what is due first. `None` while it is not open.
    pub fn opened(&self, environment: &EnvironmentName, now: Timestamp) -> Option<Opening> {
        let open = self.openings(environment, now).into_iter().filter(|opening| opening.opens <= now);
        open.min_by_key(|opening| (opening.due, opening.cause))
    }

    /// The id of the next review in an environment.
    pub fn next_review(&self, id: &IntegrationId, environment: &EnvironmentName) -> Option<ReviewId> {
        let number = self.reviews.place(environment)?.number();
        Some(ReviewId { integration: id.clone(), environment: environment.clone(), number })
    }

    /// The record in force, and what it is in one environment.
    pub fn access(&self, environment: &EnvironmentName) -> Option<(&Integration, &Access)> {
        let record: &Integration = &self.current.as_ref()?.record;
        Some((record, record.environments.get(environment)?))
    }

    /// Notes that the version in force took the place of `old`, with or without the approval of people.
    pub(super) fn reviews_came_into_force(&mut self, entry: Entered<'_>, old: Option<&Integration>, approved: bool) {
        let Some(new) = self.current.as_ref().map(|current| Arc::clone(&current.record)) else { return };
        self.reviews.narrowed = None;
        self.reviews.expect(new.environments.len());
        let widened = if approved { old.map(|old| widened(old, &new)).unwrap_or_default() } else { Widened::default() };
        for (environment, access) in &new.environments {
            let was = old.and_then(|old| Some((old, old.environments.get(environment)?)));
            let mut place = match (self.reviews.places_mut().remove(environment), was) {
                (Some(place), Some((old, was))) => place.moved(entry.at, (old, was), (&new, access)),
                (known, _) => {
                    let done = known.map(|known| known.done).unwrap_or_default();
                    Place { done, ..Place::new(entry.at, new.review.every) }
                }
            };
            if widened.everywhere || widened.environments.contains(environment.as_str()) {
                place.ask(Asked::usual(ReviewCause::Widened, entry.at.plus(AFTER_WIDENING)));
            }
            self.reviews.places_mut().insert(environment.clone(), place);
        }
    }

    fn ask(&mut self, environment: Option<&EnvironmentName>, asked: Asked) {
        let Some(current) = &self.current else { return };
        let named = current.record.environments.keys().filter(|name| environment.is_none_or(|one| one == *name));
        let named: Vec<EnvironmentName> = named.cloned().collect();
        for name in named {
            if let Some(place) = self.reviews.place_mut(&name) {
                place.ask(asked);
            }
        }
    }
}

impl Place {
    /// The same under another version of the record.
    ///
    /// A shorter interval leaves the usual time to answer, and what is overdue stays so until the review is completed.
    fn moved(self, at: Timestamp, (old, was): (&Integration, &Access), (new, is): (&Integration, &Access)) -> Self {
        // A word is about the record that was shown. Only other environments may change meanwhile.
        let is_same = || was == is && Integration { environments: new.environments.clone(), ..old.clone() } == *new;
        let word = self.word.filter(|_| is_same());
        let (before, every) = (old.review.every, new.review.every);
        let due = if every == before || self.due <= at {
            self.due
        } else {
            let due = self.since.plus(every).max(at.plus(OPEN_FOR));
            if every < before { due.min(self.due) } else { due }
        };
        Self { word, due, ..self }
    }
}

/// Where a version is wider than the one before.
#[derive(Default)]
struct Widened {
    everywhere: bool,
    environments: BTreeSet<String>,
}

fn widened(old: &Integration, new: &Integration) -> Widened {
    let (old, new) = (Record::Integration(old.clone()), Record::Integration(new.clone()));
    // What takes too long to compare counts as wider.
    let Ok(differences) = compare(Some(&old), &new, &mut Effort::default()) else {
        return Widened { everywhere: true, environments: BTreeSet::new() };
    };
    let mut found = Widened::default();
    for one in differences.iter().filter(|one| one.weight == Weight::Widens) {
        match one.at.strip_prefix("environments.").and_then(|rest| rest.split('.').next()) {
            Some(environment) => {
                found.environments.insert(environment.to_owned());
            }
            None => found.everywhere = true,
        }
    }
    found
}

impl State {
    /// The environments without a review that a version with a later end of the contract needs.
    pub fn unreviewed<'s>(
        &self,
        known: &'s IntegrationState,
        version: &Integration,
        now: Timestamp,
    ) -> Vec<&'s EnvironmentName> {
        let Some(current) = known.current.as_ref().filter(|_| self.recertification.since.is_some()) else { return Vec::new() };
        if version.contract.ends <= current.record.contract.ends {
            return Vec::new();
        }
        let stays = |name: &&EnvironmentName| version.environments.get(*name).is_some();
        current.record.environments.keys().filter(stays).filter(|name| !known.is_fresh(name, now)).collect()
    }

    /// The time from which on an environment of an integration refuses because nobody reviewed it; `None` if it does not.
    pub fn review_end(&self, id: &IntegrationId, environment: &EnvironmentName) -> Option<Timestamp> {
        self.review_end_of(self.integrations.get(id)?, environment)
    }

    /// When the next review of an environment is due, whatever follows then.
    pub fn review_due(&self, id: &IntegrationId, environment: &EnvironmentName) -> Option<Timestamp> {
        self.recertification.since?;
        let known = self.integrations.get(id)?;
        known.access(environment)?;
        let place = known.reviews.place(environment)?;
        Some(place.asked.iter().map(|asked| asked.opening.due).fold(place.due, Timestamp::min))
    }

    /// The same for one that was found already.
    pub(in crate::domain) fn review_end_of(
        &self,
        known: &IntegrationState,
        environment: &EnvironmentName,
    ) -> Option<Timestamp> {
        self.recertification.since?;
        let (record, _) = known.access(environment)?;
        // In production silence refuses, whatever a record from before says.
        let strict = record.review.on_silence == OnSilence::Suspend || self.is_production(environment);
        // Every environment in force has a place. One without would be reviewed by nobody.
        known.reviews.place(environment).map_or(Some(Timestamp::default()), |place| place.refuses_from(strict))
    }

    /// The risks of the scopes of an environment, by the catalogue in force.
    pub(in crate::domain) fn risks(&self, access: &Access) -> BTreeSet<Risk> {
        access.all_scopes().filter_map(|(api, scope)| self.risk(api, scope)).collect()
    }

    /// The risk of a scope, by the catalogue in force.
    pub fn risk(&self, api: &ApiName, scope: &Scope) -> Option<Risk> {
        Some(self.apis.get(api)?.current.as_ref()?.record.scopes.get(scope)?.risk)
    }

    /// Opens a review for something that happened: in one environment, or in all of the record.
    pub(super) fn ask_review(
        &mut self,
        entry: Entered<'_>,
        id: &IntegrationId,
        environment: Option<&EnvironmentName>,
        cause: ReviewCause,
    ) {
        if let Some(known) = self.integration_mut(id) {
            known.ask(environment, Asked::usual(cause, entry.at));
        }
    }

    /// Opens the reviews that a signal is a cause for.
    pub(super) fn ask_review_of(&mut self, entry: Entered<'_>, about: &SignalSubject, cause: ReviewCause) {
        let environment = match about {
            SignalSubject::Partner(_) | SignalSubject::Integration(_) => None,
            SignalSubject::Environment(_, environment) => Some(environment),
        };
        for id in self.touched(about) {
            self.ask_review(entry, &id, environment, cause);
        }
    }

    /// Opens the reviews that a revocation is a cause for.
    pub(super) fn ask_review_after(&mut self, entry: Entered<'_>, target: &RevocationTarget) {
        let Some((about, environment)) = Self::doubted(target) else { return };
        for id in self.touched(&about) {
            self.ask_review(entry, &id, environment, ReviewCause::Incident);
        }
    }

    /// What a revocation is a doubt about: a partner, or what one integration has, and where.
    ///
    /// One of an issuer, an API or a key is no doubt about single integrations, and one of a token no doubt about its scopes.
    pub(in crate::domain) fn doubted(target: &RevocationTarget) -> Option<(SignalSubject, Option<&EnvironmentName>)> {
        let of = |integration: &IntegrationId| SignalSubject::Integration(integration.clone());
        match target {
            RevocationTarget::Partner { partner } => Some((SignalSubject::Partner(partner.clone()), None)),
            RevocationTarget::Integration { integration } => Some((of(integration), None)),
            RevocationTarget::IntegrationEnvironment { integration, environment }
            | RevocationTarget::Binding { client: ClientId::Integration(integration), environment, binding: _ } => {
                Some((of(integration), Some(environment)))
            }
            RevocationTarget::Binding { client: ClientId::Api(_), .. }
            | RevocationTarget::Token { .. }
            | RevocationTarget::Api { .. }
            | RevocationTarget::Elevation { .. }
            | RevocationTarget::Environment { .. }
            | RevocationTarget::Issuer { .. }
            | RevocationTarget::Key { .. }
            | RevocationTarget::Certificate { .. }
            | RevocationTarget::Authority { .. } => None,
        }
    }

    /// The times from which on silence refuses, before a change of an integration.
    pub(super) fn review_ends(&self, id: &IntegrationId) -> ReviewEnds {
        let Some(known) = self.integrations.get(id) else { return Vec::new() };
        let Some(current) = &known.current else { return Vec::new() };
        let end = |name: &EnvironmentName| (name.clone(), self.review_end_of(known, name));
        current.record.environments.keys().map(end).collect()
    }

    /// The same of everything in an environment that `next` makes production: there silence refuses, whatever a record says.
    pub(super) fn strict_reviews(&self, next: &Configuration) -> Vec<(IntegrationId, ReviewEnds)> {
        let becomes = |(name, environment): (&EnvironmentName, &Environment)| {
            is_production(name, environment.production) && self.environment(name).is_some() && !self.is_production(name)
        };
        if !next.environments.iter().any(becomes) {
            return Vec::new();
        }
        self.integrations.keys().map(|id| (id.clone(), self.review_ends(id))).collect()
    }

    /// Cuts the tokens of an integration that live beyond a silence that refuses earlier than before.
    pub(super) fn cut_past_review(&mut self, entry: Entered<'_>, id: &IntegrationId, before: &ReviewEnds) {
        let earlier = before.iter().filter_map(|(environment, before)| {
            let end = self.review_end(id, environment)?;
            let counts = before.is_none_or(|before| end < before) && end < entry.at.plus(LONGEST_LIFE);
            counts.then(|| (environment.clone(), end))
        });
        let earlier: Vec<_> = earlier.collect();
        let away = |end| TakenAway { ends: Some(end), ..TakenAway::default() };
        let whose = |environment| Whose::Integration(id.clone(), environment);
        self.narrowed(entry, earlier.into_iter().map(|(environment, end)| (whose(environment), away(end))));
    }

    /// Reviews count from here. What nobody reviewed before has the usual time.
    pub(super) fn count_reviews(&mut self, entry: Entered<'_>) {
        self.recertification.since = Some(entry.at);
        let least = entry.at.plus(OPEN_FOR);
        let active: Vec<IntegrationId> =
            self.integrations.iter().filter(|(_, known)| known.phase() == Phase::Active).map(|(id, _)| id.clone()).collect();
        for id in active {
            let Some(known) = self.integration_mut(&id) else { continue };
            for (_, place) in known.reviews.places_mut().iter_mut() {
                place.due = place.due.max(least);
                place.asked.clear();
            }
        }
    }

    pub(super) fn apply_recertification(&mut self, entry: Entered<'_>, change: &RecertificationChange) -> Effects {
        match change {
            RecertificationChange::Decided { review, word, viewed, items, record, completes, .. } => {
                let given = self.word_of(review);
                if let Some(record) = record {
                    self.narrow_by_review(entry, review, record);
                }
                let given = match (word, given) {
                    (Word::Second, Some(given)) => Box::new(Given { second: Some(entry.index), ..*given }),
                    (Word::First, _) | (Word::Second, None) => {
                        Box::new(Given { entry: entry.index, by: entry.by.clone(), second: None })
                    }
                };
                if let Some(place) = self.place_mut(review) {
                    place.word = Some(given);
                }
                if let (Word::First, Actor::Staff(person)) = (word, entry.by) {
                    let seconds = viewed.map(|viewed| entry.at.since(viewed).0);
                    let kept = items.iter().all(|item| item.decision.is_standing() && item.allow.is_empty());
                    self.recertification.reviewed(person, seconds, kept);
                }
                if *completes {
                    self.recertification.decided.insert(review.clone());
                }
                let moved = record.as_ref().map(|_| Versions::InForce(ClientId::Integration(review.integration.clone())));
                Effects { versions: moved, ..Effects::judged() }
            }
            RecertificationChange::Completed { review, version: _ } => {
                self.complete(entry, review);
                self.recertification.decided.remove(review);
                Effects::judged()
            }
            RecertificationChange::CampaignAsked { campaign, terms, reason, approval } => {
                let opened = Campaign {
                    terms: terms.clone(),
                    by: entry.by.clone(),
                    at: entry.at,
                    reason: Some(reason.clone()),
                    approval: Some(approval.id.clone()),
                    started: None,
                };
                self.recertification.campaigns.insert(campaign.clone(), opened);
                self.open(entry.at, None, Approval { approval, reason: Some(reason), lifts: Vec::new() });
                Effects::judged()
            }
            RecertificationChange::CampaignStarted { campaign, terms, reason } => {
                let fresh = || Campaign {
                    terms: terms.clone(),
                    by: entry.by.clone(),
                    at: entry.at,
                    reason: reason.clone(),
                    approval: None,
                    started: None,
                };
                let known = self.recertification.campaigns.entry(campaign.clone()).or_insert_with(fresh);
                known.started = Some(entry.at);
                let (due, asked) = (known.due(entry.at), known.approval.clone());
                self.list_granted(asked.as_ref());
                self.start(entry, terms, due);
                Effects::judged()
            }
        }
    }

    fn place_mut(&mut self, review: &ReviewId) -> Option<&mut Place> {
        let place = self.integration_mut(&review.integration)?.reviews.place_mut(&review.environment)?;
        (place.number() == review.number).then_some(place)
    }

    fn word_of(&self, review: &ReviewId) -> Option<Box<Given>> {
        self.integrations.get(&review.integration)?.reviews.place(&review.environment)?.word.clone()
    }

    /// Puts the narrower version of a review in force.
    ///
    /// A review is no apply: the people who applied and approved the version before are those of the narrower one.
    fn narrow_by_review(&mut self, entry: Entered<'_>, review: &ReviewId, record: &Integration) {
        let kept = self.kept(record);
        let Some(known) = self.integration_mut(&record.id) else { return };
        let Some(current) = known.current.take() else { return };
        let old = Arc::clone(&current.record);
        known.current = Some(Versioned { version: Digest::of_json(&kept), record: Arc::new(kept), ..current });
        self.came_into_force(entry, &record.id, Some(&old));
        if let Some(known) = self.integration_mut(&record.id) {
            let (review, by, at) = (review.clone(), entry.by.clone(), entry.at);
            known.reviews.narrowed = Some(Box::new(Narrowed { review, by, at }));
        }
    }

    /// The next review of a place counts from here.
    fn complete(&mut self, entry: Entered<'_>, review: &ReviewId) {
        let Some(known) = self.integration_mut(&review.integration) else { return };
        let opened = known.opened(&review.environment, entry.at);
        let every = known.current.as_ref().map(|current| current.record.review.every);
        let (Some(place), Some(every)) = (known.reviews.place_mut(&review.environment), every) else { return };
        let Some(given) = place.word.take().filter(|_| place.number() == review.number) else { return };
        let opening = opened.unwrap_or_else(|| place.schedule());
        let by = given.by.person().cloned();
        place.done.push(Done { first: given.entry, by, second: given.second, at: entry.at, opening });
        (place.since, place.due) = (entry.at, entry.at.plus(every));
        place.asked.clear();
        // A signal that names no owner is answered once every environment that it opened is reviewed.
        let open = |place: &Place| place.asked.iter().any(|asked| asked.opening.cause == ReviewCause::OwnerChange);
        if !known.reviews.places().any(|(_, place)| open(place)) {
            known.owner_left = None;
        }
    }

    /// Opens the reviews of a campaign.
    fn start(&mut self, entry: Entered<'_>, terms: &CampaignTerms, due: Timestamp) {
        let opening = Opening { cause: ReviewCause::Campaign, opens: entry.at, due };
        let asked = Asked { opening, on_silence: Some(terms.on_silence) };
        for (id, environment) in self.selected(terms) {
            if let Some(place) = self.integration_mut(&id).and_then(|known| known.reviews.place_mut(&environment)) {
                place.ask(asked);
            }
        }
    }

    /// The places that a campaign would cover now.
    pub fn selected(&self, terms: &CampaignTerms) -> Vec<(IntegrationId, EnvironmentName)> {
        let select = &terms.select;
        let of = |(id, known): (&IntegrationId, &IntegrationState)| -> Vec<(IntegrationId, EnvironmentName)> {
            // What is being offboarded has no access left to look at.
            let Some(current) = known.current.as_ref().filter(|_| known.ending.is_none()) else { return Vec::new() };
            let takes = |(name, access): (&EnvironmentName, &Access)| {
                let risks = if select.risk.is_some() { self.risks(access) } else { BTreeSet::new() };
                select.takes(id, &risks).then(|| (id.clone(), name.clone()))
            };
            current.record.environments.iter().filter_map(takes).collect()
        };
        match &select.partner {
            Some(partner) => self.integrations_of(partner).flat_map(of).collect(),
            None => self.integrations.iter().flat_map(|(id, known)| of((id, known))).collect(),
        }
    }
}
