//! Who could do what at a past time, by whose approval: the decisions of today's code on the state of then.
//!
//! Enter through [`Broker::access_at`]. The state is the fold of the journal's changes up to that time, and nothing else is asked: no index, no
//! counts, no clock. So the answer is that of a replay, whenever somebody asks.

use std::sync::Arc;

use super::Broker;
use super::failure::Failure;
use super::view::approval::OwnersView;
use super::view::past::{AccessThenView, ElevationThenView, PlaceThenView};
use super::view::recertification::{approvers, bindings};
use super::view::way_in::ReachView;
use super::words::{Words, names, sealed};
use crate::domain::decision::effective::effective;
use crate::domain::decision::elevation::counts;
use crate::domain::decision::guard::{Guarded, Guards as _};
use crate::domain::elevation::{Request, Standing};
use crate::domain::people::actor::Person;
use crate::domain::reason::ReasonCode;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::Access;
use crate::domain::state::State;
use crate::domain::state::integration::IntegrationState;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, IntegrationId, PartnerName};
use crate::domain::value::text::Text;
use crate::journal::At;
use crate::policy::Guardrails;

/// A state of the past, with the access that integrations had in it.
pub struct Past {
    /// The state.
    pub state: Arc<State>,
    /// The access of each integration that had a version in force, by its id.
    pub access: Vec<(IntegrationId, AccessThenView)>,
}

impl Broker {
    /// The state at a point of the past, and what it gave at `then`; of one partner alone if one is named.
    ///
    /// # Errors
    /// The journal does not answer.
    pub async fn access_at(&self, at: At, then: Timestamp, partner: Option<PartnerName>) -> Result<Past, Failure> {
        let state = Arc::new(self.journal.state_at(at).await?);
        let words = Words::of(self, sealed(texts(&state, partner.as_ref()).into_iter())).await?;
        let known = Arc::clone(&state);
        let access = self.reading.desk.work(move || {
            // The guardrails of then are compiled for this answer alone: those in force keep their place.
            let guardrails = Guardrails::default();
            guardrails.make(&known);
            let guard = guardrails.of(&known);
            let on = Guarded { state: &known, guard: &*guard };
            let all = of(&known, partner.as_ref());
            all.filter_map(|(id, one)| Some((id.clone(), access(on, (id, one), &words, then)?))).collect()
        });
        Ok(Past { access: access.await?, state })
    }
}

/// The integrations, or those of one partner.
fn of<'s>(
    state: &'s State,
    partner: Option<&'s PartnerName>,
) -> impl Iterator<Item = (&'s IntegrationId, &'s IntegrationState)> {
    let all = state.integrations.iter().map(|(id, one)| (id, &**one));
    all.filter(move |(id, _)| partner.is_none_or(|partner| id.partner == *partner))
}

/// The names of people that the answer has.
fn texts<'s>(state: &'s State, partner: Option<&'s PartnerName>) -> Vec<&'s Text> {
    let mut texts = Vec::new();
    for (id, known) in of(state, partner) {
        let Some(current) = &known.current else { continue };
        texts.extend([&current.record.owners.business, &current.record.owners.application]);
        texts.extend(approvers(known, state).into_iter().filter_map(|person| person.name.as_ref()));
        for request in current.record.environments.keys().flat_map(|environment| state.elevations.of(id, environment)) {
            texts.extend(names(&request.elevation.requested_by));
            texts.extend(request.reviews.iter().filter_map(|review| review.by.name.as_ref()));
        }
    }
    texts
}

/// The access of an integration; `None` if no version was in force.
fn access(
    on: Guarded<'_>,
    (id, known): (&IntegrationId, &IntegrationState),
    words: &Words,
    then: Timestamp,
) -> Option<AccessThenView> {
    let record = &known.current.as_ref()?.record;
    let plain = |text: &Text| words.plain(text).map(str::to_owned);
    let places = record.environments.iter();
    Some(AccessThenView {
        owners: OwnersView { business: plain(&record.owners.business), application: plain(&record.owners.application) },
        approval: known.reviews.approved().cloned(),
        approved_by: approvers(known, on.state).into_iter().map(|person| words.person(person)).collect(),
        places: places.map(|(environment, access)| place(on, id, (environment, access), words, then)).collect(),
    })
}

fn place(
    on: Guarded<'_>,
    id: &IntegrationId,
    (environment, access): (&EnvironmentName, &Access),
    words: &Words,
    then: Timestamp,
) -> PlaceThenView {
    let effective = effective(id, environment, on, then);
    let mut causes: Vec<ReasonCode> = Vec::new();
    for cause in effective.causes {
        if causes.iter().all(|known| known.0 != cause.reason.0) {
            causes.push(cause.reason);
        }
    }
    let reach = access.scopes.iter();
    let reach = reach.map(|(api, rules)| (api.clone(), rules.iter().map(|rule| rule.scope.clone()).collect()));
    let running = on.state.elevations.of(id, environment).filter(|request| request.standing(then) == Standing::Active);
    PlaceThenView {
        environment: environment.clone(),
        state: effective.state,
        causes,
        reach: ReachView::all(reach.collect()),
        bindings: bindings(access),
        elevations: running.filter_map(|request| elevation(on.state, request, words, then)).collect(),
    }
}

/// An elevation as far as it gave something: the record of then may have given less than it was asked for.
fn elevation(state: &State, request: &Request, words: &Words, then: Timestamp) -> Option<ElevationThenView> {
    let asked = &request.elevation;
    let given: Vec<_> = request
        .terms()
        .scopes
        .iter()
        .filter_map(|scope| {
            let live = counts(state, request, scope, then)?;
            Some((scope.clone(), live.ends))
        })
        .collect();
    let ends = given.iter().map(|(_, ends)| *ends).max()?;
    let approvers = request.reviews.iter().filter(|review| review.verdict == Verdict::Approve);
    let approvers: Vec<&Person> = approvers.map(|review| &review.by).collect();
    Some(ElevationThenView {
        id: asked.id.clone(),
        api: asked.api.clone(),
        scopes: given.into_iter().map(|(scope, _)| scope).collect(),
        ends,
        break_glass: asked.break_glass,
        requested_by: words.actor(&asked.requested_by),
        approved_by: approvers.into_iter().map(|person| words.person(person)).collect(),
    })
}
