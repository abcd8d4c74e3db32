//! The card of a review: what a reviewer sees of one integration in one environment.
//!
//! Its digest is in the entry of each decision, so it has nothing that changes by itself but figures and dates.

use serde::Serialize;
use utoipa::ToSchema;

use super::person::{ActorView, PersonView};
use super::review_figures::Figures;
use super::uses::SeenFigures;
use crate::broker::Broker;
use crate::broker::failure::Failure;
use crate::broker::words::{Words, names, sealed};
use crate::domain::decision::recertification::{needs, open, version};
use crate::domain::log::change::Change;
use crate::domain::log::entry::Entry;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::people::actor::{Person, Role};
use crate::domain::reason;
use crate::domain::record::shown_binding;
use crate::domain::registry::api::Risk;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::{Access, Integration, ScopeRule};
use crate::domain::registry::recertification::{ItemVerdict, ReviewCause, ReviewId, Word};
use crate::domain::state::State;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::recertification::Done;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName, IntegrationId};
use crate::domain::value::scope::Scope;
use crate::domain::value::text::Text;
use crate::journal::{Unavailable, UsesFault};

/// A review in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessReviewRow)]
pub struct RowView {
    #[schema(value_type = String)]
    pub id: ReviewId,
    pub integration: IntegrationId,
    pub environment: EnvironmentName,
    /// `open`, `lapsed` or `completed`. One that lapsed can still be decided.
    pub state: &'static str,
    /// What opened it; of several causes the one that is due first.
    #[schema(value_type = String)]
    pub cause: ReviewCause,
    pub opened: Timestamp,
    pub due: Timestamp,
    /// When an environment that nobody reviews refuses; null if it does not.
    #[schema(required)]
    pub refuses_from: Option<Timestamp>,
    /// Who has to decide still, in this order.
    pub needs: Vec<NeedView>,
}

/// A review.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessReview)]
pub struct CardView {
    #[serde(flatten)]
    pub row: RowView,
    /// What a decision names: the environment of the record, with the risks of its scopes. Null once it is completed.
    #[schema(required)]
    pub version: Option<Digest>,
    /// Null if the text was erased.
    #[schema(required)]
    pub purpose: Option<String>,
    #[schema(required)]
    pub owners: Option<OwnersView>,
    #[schema(required)]
    pub contract: Option<ContractView>,
    pub bindings: Vec<BindingView>,
    pub exceptions: Vec<ExceptionView>,
    /// The scopes that may be asked for at any time. Each takes a decision.
    pub items: Vec<ItemView>,
    /// The scopes that take an approval each time. They take no decision here.
    pub elevation: Vec<EligibleView>,
    /// What people decided.
    pub decisions: Vec<DecisionView>,
}

/// So many people of a role.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewNeed)]
pub struct NeedView {
    pub role: Role,
    pub count: u8,
}

/// The owners of a record. Null if the text was erased.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewOwners)]
pub struct OwnersView {
    #[schema(required)]
    business: Option<String>,
    #[schema(required)]
    application: Option<String>,
}

/// A contract.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewContract)]
pub struct ContractView {
    #[serde(rename = "ref")]
    reference: String,
    starts: Timestamp,
    /// First second after it.
    ends: Timestamp,
}

/// A proof that admits.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewBinding)]
pub struct BindingView {
    name: BindingName,
    /// Its kind, issuer and conditions, in a line.
    admits: String,
}

/// A static secret that lives at the partner.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewException)]
pub struct ExceptionView {
    what: String,
    /// First second after its end.
    ends: Timestamp,
}

/// A scope to decide on. Figures are of tokens that were issued with it, which is not the same as used.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessReviewItem)]
pub struct ItemView {
    api: ApiName,
    scope: Scope,
    /// Its meaning in the catalogue; null if it is not there.
    #[schema(required)]
    meaning: Option<String>,
    /// Null if it is not in the catalogue; it counts as high then.
    #[schema(required)]
    risk: Option<Risk>,
    /// The endpoints that it is good for; none means the whole API.
    allow: Vec<Endpoint>,
    /// When a token with it was last issued, within 400 days.
    #[schema(required)]
    last_issued: Option<Timestamp>,
    /// Tokens of the last 30 days, in whole days of UTC.
    issued30d: u64,
    /// Tokens of the last 90 days.
    issued90d: u64,
    /// Each of these tokens had every one of several scopes of the API. So the count says nothing of this one.
    everything: bool,
    /// When the API, or the proxy before it, was last told that a token with it is active, within 400 days.
    ///
    /// Null as well where neither asks: an API that verifies tokens itself is not seen.
    #[schema(required)]
    last_seen: Option<Timestamp>,
    /// Such answers of the last 30 days.
    seen30d: u64,
    /// The people who approved the version in force, or the one that it was narrowed from.
    approved_by: Vec<PersonView>,
    #[schema(value_type = String)]
    suggestion: ItemVerdict,
    because: String,
}

/// A scope that takes an approval each time.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewEligible)]
pub struct EligibleView {
    api: ApiName,
    scope: Scope,
    allow: Vec<Endpoint>,
}

/// A person's word on a review.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewDecision)]
pub struct DecisionView {
    /// `first` of an owner, `second` of security.
    #[schema(value_type = String)]
    word: Word,
    /// In a report without names `reviewer 1` and so on.
    pub by: DeciderView,
    at: Timestamp,
    /// The entry on record.
    entry: u64,
    /// SHA-256 of the card as they saw it.
    seen: Digest,
    /// When they were first shown it, if that is known.
    #[schema(required)]
    viewed: Option<Timestamp>,
    /// Null if the text was erased.
    #[schema(required)]
    reason: Option<String>,
    items: Vec<DecidedItemView>,
}

/// Who decided: by name, or by a number in a report without names.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AccessReviewDecider)]
pub enum DeciderView {
    Named(ActorView),
    Numbered(String),
}

/// What a person decided of a scope.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccessReviewDecisionItem)]
pub struct DecidedItemView {
    api: ApiName,
    scope: Scope,
    #[schema(value_type = String)]
    decision: ItemVerdict,
    /// The endpoints that are left, if it was narrowed.
    allow: Vec<Endpoint>,
    /// Null if none was given, or the text was erased.
    #[schema(required)]
    reason: Option<String>,
}

/// The review of a place that is open, or was not completed in time; `None` while it is not open.
pub fn row(
    id: &IntegrationId,
    known: &IntegrationState,
    environment: &EnvironmentName,
    state: &State,
    now: Timestamp,
) -> Option<RowView> {
    let opened = known.opened(environment, now)?;
    let review = known.next_review(id, environment)?;
    let open = open(&review, state, now).ok()?;
    let needed = needs(&open, state);
    Some(RowView {
        id: review,
        integration: id.clone(),
        environment: environment.clone(),
        state: if now < opened.due { "open" } else { "lapsed" },
        cause: opened.cause,
        opened: opened.opens,
        due: opened.due,
        refuses_from: state.review_end(id, environment),
        needs: needed.into_iter().map(|role| NeedView { role, count: 1 }).collect(),
    })
}

/// A completed review.
pub fn completed(review: ReviewId, done: &Done) -> RowView {
    RowView {
        integration: review.integration.clone(),
        environment: review.environment.clone(),
        id: review,
        state: "completed",
        cause: done.opening.cause,
        opened: done.opening.opens,
        due: done.opening.due,
        refuses_from: None,
        needs: Vec::new(),
    }
}

impl Broker {
    /// The card of a review; `None` if there is none of this id, or it is not open yet.
    ///
    /// # Errors
    /// The store is away.
    pub async fn card(&self, id: &ReviewId) -> Result<Option<CardView>, Failure> {
        let (journal, now) = (self.journal.view(), self.now());
        let state = &journal.state;
        let Some(known) = state.integrations.get(&id.integration) else { return Ok(None) };
        let Some(place) = known.reviews.place(&id.environment) else { return Ok(None) };
        if id.number < place.number() {
            let done = usize::try_from(id.number).ok().and_then(|number| place.done.get(number.checked_sub(1)?));
            let Some(done) = done else { return Ok(None) };
            let entries: Vec<u64> = std::iter::once(done.first).chain(done.second).collect();
            let decisions = self.words_on(&entries).await?;
            return Ok(Some(CardView::past(completed(id.clone(), done), decisions)));
        }
        let Some(row) = row(&id.integration, known, &id.environment, state, now).filter(|row| row.id == *id) else {
            return Ok(None);
        };
        let Some((record, access)) = known.access(&id.environment) else { return Ok(None) };
        let entries: Vec<u64> = place.word.iter().flat_map(|word| std::iter::once(word.entry).chain(word.second)).collect();
        let (uses, seen) = self.uses_and_seen_of(&id.integration).await.map_err(|fault| match fault {
            UsesFault::Unavailable(fault) => Failure::from(fault),
            UsesFault::Unsound => Failure::Refused(&reason::STORE_UNAVAILABLE),
        })?;
        let figures = Figures::by_scope(&uses, &id.environment);
        let approvers = approvers(known, state);
        let texts = [&record.purpose, &record.owners.business, &record.owners.application];
        let of_people = approvers.iter().filter_map(|person| person.name.as_ref());
        let words = Words::of(self, sealed(texts.into_iter().chain(of_people))).await?;
        let plain = |text: &Text| words.plain(text).map(str::to_owned);
        let people: Vec<PersonView> = approvers.iter().map(|person| words.person(person)).collect();
        let item = |(api, rule): (&ApiName, &ScopeRule)| {
            let own = figures.get(&(api.clone(), rule.scope.to_string())).copied().unwrap_or_default();
            let told = seen.get(&(id.environment.clone(), api.clone(), rule.scope.to_string())).copied().unwrap_or_default();
            item((api, rule), (own, told), people.clone(), (state, place.since, now))
        };
        Ok(Some(CardView {
            version: Some(version(&id.environment, record, access, state)),
            purpose: plain(&record.purpose),
            owners: Some(OwnersView {
                business: plain(&record.owners.business),
                application: plain(&record.owners.application),
            }),
            contract: Some(contract(record)),
            bindings: bindings(access),
            exceptions: known
                .open_exceptions()
                .map(|(_, secret)| ExceptionView { what: secret.what.clone(), ends: secret.ends })
                .collect(),
            items: access.standing().map(item).collect(),
            elevation: eligible(access),
            decisions: self.words_on(&entries).await?,
            row,
        }))
    }

    /// The decisions in these entries.
    pub(super) async fn words_on(&self, entries: &[u64]) -> Result<Vec<DecisionView>, Unavailable> {
        let mut decisions = Vec::new();
        for index in entries {
            let Some(Entry::Change(entry)) = self.journal.entry(*index).await? else { continue };
            let by = &entry.change.by;
            let Change::Recertification(RecertificationChange::Decided { word, seen, viewed, items, reason, .. }) =
                &entry.change.what
            else {
                continue;
            };
            let texts = names(by).chain([reason]).chain(items.iter().filter_map(|item| item.reason.as_ref()));
            let words = Words::of(self, sealed(texts)).await?;
            let plain = |text: &Text| words.plain(text).map(str::to_owned);
            let items = items.iter().map(|item| DecidedItemView {
                api: item.api.clone(),
                scope: item.scope.clone(),
                decision: item.decision,
                allow: item.allow.clone(),
                reason: item.reason.as_ref().and_then(plain),
            });
            decisions.push(DecisionView {
                word: *word,
                by: DeciderView::Named(words.actor(by)),
                at: entry.time,
                entry: *index,
                seen: *seen,
                viewed: *viewed,
                reason: plain(reason),
                items: items.collect(),
            });
        }
        Ok(decisions)
    }
}

impl CardView {
    /// What is left of a completed review: what people decided. What they saw is gone, but for its digest.
    fn past(row: RowView, decisions: Vec<DecisionView>) -> Self {
        Self {
            row,
            version: None,
            purpose: None,
            owners: None,
            contract: None,
            bindings: Vec::new(),
            exceptions: Vec::new(),
            items: Vec::new(),
            elevation: Vec::new(),
            decisions,
        }
    }
}

fn item(
    (api, rule): (&ApiName, &ScopeRule),
    (figures, seen): (Figures, SeenFigures),
    approved_by: Vec<PersonView>,
    (state, since, now): (&State, Timestamp, Timestamp),
) -> ItemView {
    let known = state.apis.get(api).and_then(|api| api.current.as_ref()).and_then(|api| api.record.scopes.get(&rule.scope));
    let risk = known.map(|known| known.risk);
    let (suggestion, because) = figures.suggestion(risk, since, now);
    ItemView {
        api: api.clone(),
        scope: rule.scope.clone(),
        meaning: known.map(|known| known.meaning.clone()),
        risk,
        allow: rule.allow.clone(),
        last_issued: figures.last,
        issued30d: figures.month,
        issued90d: figures.quarter,
        everything: figures.everything,
        last_seen: seen.last,
        seen30d: seen.month,
        approved_by,
        suggestion,
        because,
    }
}

/// The people who approved the version in force, or the one that it was narrowed from.
pub fn approvers<'s>(known: &IntegrationState, state: &'s State) -> Vec<&'s Person> {
    let approval = known.reviews.approved().and_then(|id| state.approvals.get(id));
    let reviews = approval.into_iter().flat_map(|approval| &approval.reviews);
    reviews.filter(|review| review.verdict == Verdict::Approve).map(|review| &review.by).collect()
}

fn contract(record: &Integration) -> ContractView {
    let contract = &record.contract;
    ContractView { reference: contract.reference.clone(), starts: contract.starts, ends: contract.ends }
}

/// The bindings of an environment, each in a line.
pub fn bindings(access: &Access) -> Vec<BindingView> {
    let view = |binding: &crate::domain::registry::binding::Binding| BindingView {
        name: binding.name.clone(),
        admits: shown_binding(binding),
    };
    access.bindings.iter().map(view).collect()
}

fn eligible(access: &Access) -> Vec<EligibleView> {
    let view = |one: &crate::domain::registry::integration::Eligible| EligibleView {
        api: one.api.clone(),
        scope: one.scope.clone(),
        allow: one.allow.clone(),
    };
    access.elevation.iter().map(view).collect()
}
