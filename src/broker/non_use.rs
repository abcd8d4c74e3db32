//! Records what follows where nobody uses an integration or a binding: people are told, and later access ends (ABUSE P-08).
//!
//! Enter through [`Broker::note_non_use`], which a task calls each hour. It counts up to the end of the log first and proves every count that
//! it reads, so it never judges on counts that lag behind or that somebody changed. The rule is `domain::decision::non_use`; it is asked again
//! on the state that the entry follows, so several nodes record each change once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::cause::Cause;
use super::failure::Failure;
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::non_use::{Uses, due, limits};
use crate::domain::decision::uses::Use;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{BindingName, ClientId, EnvironmentName, IntegrationId};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// The most changes of one look; the rest come with the next.
const MOST: usize = 1_000;

/// Texts of uses that are read at a time.
const TEXTS: usize = 500;

type Place = (EnvironmentName, Option<BindingName>);

/// The last uses of everybody, as far back as a judgement looks.
struct Counts {
    last: HashMap<IntegrationId, HashMap<Place, Timestamp>>,
    since: Timestamp,
    days: Vec<Day>,
    now: Timestamp,
    /// Entries before this one are counted.
    at: u64,
}

impl Broker {
    /// Looks for what nobody uses, until the task is dropped.
    pub async fn watch_non_use(self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // At a start uses of the time before may not be counted yet, and nothing here is urgent.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if let Err(fault) = self.note_non_use().await {
                tracing::warn!(?fault, "it is not known what nobody uses; trying again in an hour");
            }
        }
    }

    /// Records what follows from nobody using something. Returns the number of changes.
    ///
    /// # Errors
    /// The journal does not answer, or uses cannot be counted. Nothing is judged then.
    pub async fn note_non_use(&self) -> Result<usize, Failure> {
        let counts = Arc::new(self.last_uses().await?);
        let mut made = 0;
        // A binding may follow from an environment that is in use, so each integration is looked at until nothing more is due.
        loop {
            let (known, view) = (Arc::clone(&counts), self.journal.view());
            let found = self.desk.work(move || known.due(&view.state)).await?;
            let mut changed = false;
            for id in found {
                if made < MOST && !self.is_used_since(&id, &counts).await? {
                    let decide = |state: &State, _now| counts.of(&id, |uses| due(&id, state, uses)).ok_or(());
                    let is_made = self.change_as(Cause::Broker, None, decide).await?.is_ok();
                    changed |= is_made;
                    made += usize::from(is_made);
                }
            }
            if !changed {
                return Ok(made);
            }
        }
    }

    /// Whether a token was issued there since the uses were counted: then nothing is judged this time.
    async fn is_used_since(&self, id: &IntegrationId, counts: &Counts) -> Result<bool, Failure> {
        let view = self.journal.view();
        let Some(change) = counts.of(id, |uses| due(id, &view.state, uses)) else { return Ok(true) };
        let issued = self.journal.issued_from(counts.at, &Clients::One(ClientId::Integration(id.clone()))).await?;
        Ok(issued.iter().any(|issued| is_about(&change, &issued.environment, &issued.binding)))
    }

    /// Reads the last uses from counts that are up to date, the newest days first.
    async fn last_uses(&self) -> Result<Counts, Failure> {
        let now = self.now();
        let counted = self.counted().await?;
        let Some(counting) = counted.as_ref() else { return Err(Failure::Refused(&crate::domain::reason::STORE_UNAVAILABLE)) };
        let (_, suspend) = limits(&self.journal.view().state);
        let days: Vec<Day> = counting.known.days(Day::of(now.minus(Seconds::days(400)))).collect();
        let mut counts = Counts { last: HashMap::new(), since: counting.since(), days, now, at: counting.at() };
        let mut texts: HashMap<Digest, Option<(IntegrationId, EnvironmentName, BindingName)>> = HashMap::new();
        let looked = usize::try_from(suspend.0.div_ceil(86_400)).unwrap_or(usize::MAX).saturating_add(1);
        for day in counts.days.clone().into_iter().rev().take(looked) {
            let rows = self.journal.uses_of(&counting.known, day).await?.rows;
            let unknown: Vec<Digest> = rows.keys().filter(|key| !texts.contains_key(*key)).copied().collect();
            for some in unknown.chunks(TEXTS) {
                let read = self.journal.use_texts(some).await?;
                texts.extend(read.into_iter().map(|(key, counted)| (key, place(counted))));
            }
            for (key, tally) in rows {
                if let Some(Some((id, environment, binding))) = texts.get(&key) {
                    let places = counts.last.entry(id.clone()).or_default();
                    for binding in [None, Some(binding.clone())] {
                        let last = places.entry((environment.clone(), binding)).or_default();
                        *last = tally.last.max(*last);
                    }
                }
            }
        }
        Ok(counts)
    }
}

/// Whether a use there speaks against the change.
fn is_about(change: &IntegrationChange, environment: &EnvironmentName, binding: &BindingName) -> bool {
    if let IntegrationChange::Suspended { environments, .. } = change {
        return environments.contains(environment);
    }
    if let IntegrationChange::BindingRetired { environment: there, binding: unused, .. } = change {
        return there == environment && unused == binding;
    }
    // A warning ends nothing.
    false
}

fn place(counted: Use) -> Option<(IntegrationId, EnvironmentName, BindingName)> {
    match counted {
        Use::Issued(issued) => match issued.client {
            ClientId::Integration(id) => Some((id, issued.environment, issued.binding)),
            ClientId::Api(_) => None,
        },
        Use::Seen(_) | Use::Forbidden { .. } => None,
    }
}

impl Counts {
    /// The integrations of which something follows.
    fn due(&self, state: &State) -> Vec<IntegrationId> {
        let follows = |id: &&IntegrationId| self.of(id, |uses| due(id, state, uses)).is_some();
        state.integrations.keys().filter(follows).cloned().collect()
    }

    /// What the counts say of an integration.
    fn of<T>(&self, id: &IntegrationId, judge: impl FnOnce(&Uses<'_>) -> T) -> T {
        let places = self.last.get(id);
        let last = |environment: &EnvironmentName, binding: Option<&BindingName>| {
            places?.get(&(environment.clone(), binding.cloned())).copied()
        };
        judge(&Uses { last: &last, since: self.since, days: &self.days, now: self.now })
    }
}
