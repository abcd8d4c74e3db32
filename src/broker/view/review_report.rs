//! The report on reviews: over a period, who decided what, when and why, and what nobody reviewed.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::person::ActorView;
use super::recertification::{DeciderView, DecisionView, RowView, completed, row};
use crate::broker::Broker;
use crate::broker::dossier::bytes;
use crate::broker::failure::{Failure, Fault};
use crate::domain::log::change::Change;
use crate::domain::log::entry::Entry;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::people::actor::{Authorized, Read};
use crate::domain::registry::recertification::ReviewId;
use crate::domain::state::State;
use crate::domain::state::recertification::Done;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::journal::At;
use crate::journal::bundle::Parts;

/// A report on reviews.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessReviewReport)]
pub struct ReportView {
    from: Timestamp,
    /// First second after the period.
    to: Timestamp,
    /// The checkpoint of the journal that it was made from.
    checkpoint: String,
    population: PopulationView,
    /// The reviews that were completed in the period, by id.
    reviews: Vec<CompletedView>,
    /// What is open or past its due date now.
    waiting: Vec<RowView>,
}

/// What there was to review: environments of integrations in force now.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = AccessReviewPopulation)]
struct PopulationView {
    environments: usize,
    /// Those of which a review was completed in the period.
    reviewed: usize,
    /// Those of which one is open now.
    open: usize,
    /// Those of which one is past its due date.
    lapsed: usize,
}

/// A completed review.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessCompletedReview)]
struct CompletedView {
    #[serde(flatten)]
    review: RowView,
    completed: Timestamp,
    decisions: Vec<DecisionView>,
}

/// The most reviews of one report: each is read from the journal.
const MOST: usize = 10_000;

impl Broker {
    /// Reports on the reviews of a period. People are numbered unless `names` is true.
    ///
    /// # Errors
    /// There are too many of them, or the journal does not answer.
    pub async fn review_report(
        &self,
        by: &Authorized<Read>,
        period: (Option<Timestamp>, Option<Timestamp>),
        names: bool,
    ) -> Result<ReportView, Failure> {
        let _turn = self.reading.turn(&by.staff().person)?;
        let (journal, now) = (self.journal.view(), self.now());
        let (from, to) = (period.0.unwrap_or_default(), period.1.unwrap_or(now.plus(Seconds(1))));
        // It looks at everything: never on a thread that serves tokens.
        let look = move || look(&journal.state, (from, to), now);
        let Looked { population, found, waiting } = self.reading.desk.work(look).await?.few()?;
        let mut reviews = Vec::with_capacity(found.len());
        let mut people: Vec<ActorView> = Vec::new();
        for (id, done) in found {
            let entries: Vec<u64> = std::iter::once(done.first).chain(done.second).collect();
            let mut decisions = self.words_on(&entries).await?;
            if !names {
                decisions.iter_mut().for_each(|decision| number(&mut decision.by, &mut people));
            }
            reviews.push(CompletedView { review: completed(id, &done), completed: done.at, decisions });
        }
        let checkpoint = self.journal.checkpoint()?;
        Ok(ReportView { from, to, checkpoint, population, reviews, waiting })
    }
}

impl Broker {
    /// The same as the files of a bundle, by the entries before `until`. People stand in it as in the entries: by issuer and id, their names
    /// and words by their digests.
    ///
    /// # Errors
    /// There are too many reviews, or the journal does not answer.
    pub(in crate::broker) async fn review_report_parts(
        &self,
        (from, to): (Timestamp, Timestamp),
        until: u64,
    ) -> Result<Parts, Failure> {
        let state = self.journal.state_at(At::Index(until.saturating_sub(1))).await?;
        let look = move || look(&state, (from, to), to);
        let Looked { population, found, waiting } = self.reading.desk.work(look).await?.few()?;
        let (mut reviews, mut entries) = (Vec::with_capacity(found.len()), BTreeSet::new());
        for (id, done) in found {
            let mut decisions = Vec::new();
            for index in std::iter::once(done.first).chain(done.second) {
                let Some(Entry::Change(entry)) = self.journal.entry(index).await? else { continue };
                if let Change::Recertification(RecertificationChange::Decided { word, items, reason, .. }) = &entry.change.what
                {
                    let (by, at) = (&entry.change.by, entry.time);
                    decisions.push(json!({"entry": index, "word": word, "by": by, "at": at, "items": items, "reason": reason}));
                    entries.insert(index);
                }
            }
            reviews.push(json!({"review": completed(id, &done), "completed": done.at, "decisions": decisions}));
        }
        let report = json!({"from": from, "to": to, "until": until, "population": population, "reviews": reviews,
            "waiting": waiting});
        let files = [("reviews.json".to_owned(), bytes(&report))].into();
        Ok(Parts { title: "Reviews of access".to_owned(), files, entries })
    }
}

/// What a look at all reviews finds.
struct Looked {
    population: PopulationView,
    found: Vec<(ReviewId, Done)>,
    waiting: Vec<RowView>,
}

impl Looked {
    /// The same, if there are not too many reviews in it.
    fn few(self) -> Result<Self, Failure> {
        if self.found.len() <= MOST {
            return Ok(self);
        }
        let message = format!("expected a period with at most {MOST} reviews, not {}", self.found.len());
        Err(Failure::Faults(vec![Fault::invalid("from", message)]))
    }
}

fn look(state: &State, (from, to): (Timestamp, Timestamp), now: Timestamp) -> Looked {
    let mut looked = Looked { population: PopulationView::default(), found: Vec::new(), waiting: Vec::new() };
    let population = &mut looked.population;
    let inside = |done: &Done| from <= done.at && done.at < to;
    for (id, known) in &state.integrations {
        for (environment, place) in known.reviews.places() {
            population.environments += usize::from(known.access(environment).is_some());
            population.reviewed += usize::from(place.done.iter().any(inside));
            for (number, done) in (1..).zip(&place.done).filter(|(_, done)| inside(done)) {
                let review = ReviewId { integration: id.clone(), environment: environment.clone(), number };
                looked.found.push((review, done.clone()));
            }
            if let Some(row) = row(id, known, environment, state, now) {
                population.open += usize::from(row.state == "open");
                population.lapsed += usize::from(row.state == "lapsed");
                looked.waiting.push(row);
            }
        }
    }
    looked
}

/// Gives a person the number that they have in this report.
fn number(decider: &mut DeciderView, people: &mut Vec<ActorView>) {
    let DeciderView::Named(person) = decider else { return };
    let at = people.iter().position(|known| known == person).unwrap_or_else(|| {
        people.push(person.clone());
        people.len() - 1
    });
    *decider = DeciderView::Numbered(format!("reviewer {}", at + 1));
}
