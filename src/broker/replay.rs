//! Replays the tokens of the last 30 days: which of them would a guardrail have refused.
//!
//! Enter through [`Broker::replay`]. It asks once for each use and not for each token ([`uses`](super::uses)), so it costs what was
//! different in these days, however many tokens there were. The days are whole days of UTC. Counts do not have everything that a guardrail
//! can read: neither the address of the request, nor the key of a DPoP proof, nor each second. A token counts as refused if it would have
//! been whatever these were, and as unknown if that depends on them; of a day, the guardrail's own times and one either side are tried. If the guardrail was in shadow when the token was issued, its entry said what it would have done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Broker;
use super::answering::{MOST_QUESTIONS, Question, answers, is_timed, times};
use super::desk::Desk;
use super::effect::Span;
use super::failure::Failure;
use super::replay_records::{Records, Wanted};
use super::replayed::{Replayed, Row};
use crate::domain::decision::cut::may_be_bound;
use crate::domain::decision::uses::{IssuedUse, Tally, Use};
use crate::domain::reason;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, GuardrailName};
use crate::domain::value::scope::ScopeSet;
use crate::journal::UsesFault;
use crate::policy::{Set, set_of};

/// How far a replay looks back.
pub const REPLAYED: Seconds = Seconds::days(30);

/// How long a replay may take. Where counts are made anew it may come too early; they go on meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most rows of the list of tokens.
const MOST_ROWS: usize = 100;

/// Texts of uses that are read at a time.
const TEXTS: usize = 500;

type RowKey = (GuardrailName, ClientId, EnvironmentName, ApiName, String);

/// What guardrails say about a use at one time.
#[derive(Clone, Default)]
struct Verdict {
    /// Those that refuse whatever is not known.
    sure: Vec<GuardrailName>,
    /// Those that may refuse.
    perhaps: Vec<GuardrailName>,
}

/// A replay on its way.
struct Replay {
    set: Set,
    guardrails: Vec<Guardrail>,
    state: State,
    records: Records,
    /// How many more questions it may ask.
    budget: usize,
    found: Replayed,
    rows: BTreeMap<RowKey, (u64, Timestamp, Timestamp)>,
}

impl Broker {
    /// Replays the last 30 days under these guardrails, as if all of them were enforced.
    ///
    /// # Errors
    /// The journal does not answer, or it takes too long. Nothing is known then.
    pub(super) async fn replay(&self, desk: &Desk, guardrails: Vec<Guardrail>) -> Result<Replayed, Failure> {
        let late = || Failure::Refused(&reason::GUARDRAIL_REPLAY_LATE);
        tokio::time::timeout(PATIENCE, self.replay_all(desk, guardrails)).await.map_err(|_| late())?
    }

    async fn replay_all(&self, desk: &Desk, guardrails: Vec<Guardrail>) -> Result<Replayed, Failure> {
        let guardrails: Vec<_> = guardrails.into_iter().map(|one| Guardrail { mode: Mode::Enforce, ..one }).collect();
        let compiled = desk.work(move || (set_of(&guardrails), guardrails)).await?;
        let (Some(set), guardrails) = compiled else { return Err((&reason::GUARDRAIL_UNAVAILABLE).into()) };
        let (uses, is_whole) = self.uses_lately().await?;
        let mut wanted = Wanted::default();
        uses.iter().for_each(|(counted, _)| wanted.add(counted));
        let records = self.records(wanted).await?;
        let state = (*self.journal.view().state).clone();
        let replay = Replay {
            set,
            guardrails,
            state,
            records,
            budget: MOST_QUESTIONS,
            found: Replayed::default(),
            rows: BTreeMap::new(),
        };
        let mut found = desk.work(move || replay.run(&uses)).await?;
        if !is_whole {
            // The number of missing requests is unknown: at least one.
            found.unknown = found.unknown.max(1);
            found.is_short = true;
        }
        Ok(found)
    }

    /// The uses of the last 30 days with their counts by day, and whether nothing of that time is missing.
    pub(super) async fn uses_lately(&self) -> Result<(Vec<(Use, Vec<Tally>)>, bool), Failure> {
        let since = self.now().minus(REPLAYED);
        let (mut tallies, is_whole) = {
            let counted = self.counted().await?;
            let Some(counting) = counted.as_ref() else { return Err(Failure::Refused(&reason::GUARDRAIL_REPLAY_LATE)) };
            (self.tallies(counting, Day::of(since)).await?, counting.is_whole_from(since))
        };
        let keys: Vec<Digest> = tallies.keys().copied().collect();
        let mut uses = Vec::with_capacity(keys.len());
        for some in keys.chunks(TEXTS) {
            let texts = self.journal.use_texts(some).await?;
            uses.extend(texts.into_iter().filter_map(|(key, counted)| Some((counted, tallies.remove(&key)?))));
        }
        Ok((uses, is_whole))
    }
}

impl From<UsesFault> for Failure {
    fn from(fault: UsesFault) -> Self {
        match fault {
            UsesFault::Unavailable(fault) => fault.into(),
            UsesFault::Unsound => Self::Refused(&reason::GUARDRAIL_REPLAY_LATE),
        }
    }
}

impl Replay {
    fn run(mut self, uses: &[(Use, Vec<Tally>)]) -> Replayed {
        for (counted, tallies) in uses {
            match counted {
                Use::Issued(issued) => self.judge(issued, tallies),
                Use::Forbidden { guardrail } => self.count_refused(guardrail, tallies),
                // It was issued before, and is judged as that.
                Use::Seen(_) => {}
            }
        }
        self.finish()
    }

    fn count_refused(&mut self, guardrail: &GuardrailName, tallies: &[Tally]) {
        if self.guardrails.iter().any(|one| one.name == *guardrail) {
            let refused = self.found.refused.entry(guardrail.clone()).or_default();
            *refused = tallies.iter().fold(*refused, |sum, tally| sum.saturating_add(tally.count));
        }
    }

    /// Judges the tokens of a use: by each guardrail they were refused for sure, perhaps, or not.
    fn judge(&mut self, issued: &IssuedUse, tallies: &[Tally]) {
        let is_timed = is_timed(self.set.free_values());
        let mut known = None;
        for tally in tallies {
            if known.is_none() || is_timed {
                known = Some(self.verdict(issued, tally));
            }
            let verdict = known.clone().flatten();
            let unsure = match &verdict {
                Some(verdict) => verdict.perhaps.clone(),
                None => self.guardrails.iter().map(|one| one.name.clone()).collect(),
            };
            for guardrail in unsure {
                let by = self.found.by.entry(guardrail).or_default();
                by.unknown = Some(joined(by.unknown, tally));
            }
            match verdict {
                Some(verdict) if !verdict.sure.is_empty() => self.refuse(issued, tally, verdict.sure),
                Some(verdict) if verdict.perhaps.is_empty() => {}
                Some(_) | None => self.found.unknown = self.found.unknown.saturating_add(tally.count),
            }
        }
    }

    fn refuse(&mut self, issued: &IssuedUse, tally: &Tally, sure: Vec<GuardrailName>) {
        self.found.refuses = self.found.refuses.saturating_add(tally.count);
        for guardrail in sure {
            let by = self.found.by.entry(guardrail.clone()).or_default();
            by.refused = Some(joined(by.refused, tally));
            let key = (guardrail, issued.client.clone(), issued.environment.clone(), issued.api.clone(), issued.scope.clone());
            let row = self.rows.entry(key).or_insert((0, tally.first, tally.last));
            *row = (row.0.saturating_add(tally.count), row.1.min(tally.first), row.2.max(tally.last));
        }
    }

    /// `None` if the record that allowed the tokens is not known, or too much was asked before.
    fn verdict(&mut self, issued: &IssuedUse, tally: &Tally) -> Option<Verdict> {
        let mut answers = Vec::new();
        for time in times(self.set.free_values(), &self.state, tally) {
            let said = self.answers(issued, time)?;
            self.budget = self.budget.checked_sub(said.len())?;
            answers.extend(said);
        }
        let mut verdict = Verdict::default();
        for one in &self.guardrails {
            let refusing = answers.iter().filter(|refusing| refusing.contains(&one.name)).count();
            let known = self.records.was_in_shadow(one, issued.guardrails).then(|| issued.shadow.contains(&one.name));
            match known {
                Some(true) => verdict.sure.push(one.name.clone()),
                Some(false) => {}
                None if refusing > 0 && refusing == answers.len() => verdict.sure.push(one.name.clone()),
                None if refusing > 0 => verdict.perhaps.push(one.name.clone()),
                None => {}
            }
        }
        Some(verdict)
    }

    /// The guardrails that refuse, for each combination of what the counts do not say; at least one.
    fn answers(&self, issued: &IssuedUse, time: Timestamp) -> Option<Vec<Vec<GuardrailName>>> {
        let record = self.records.integration(issued)?;
        let access = record.environments.get(&issued.environment)?;
        let binding = access.bindings.iter().find(|binding| binding.name == issued.binding)?;
        let api = match issued.api_version {
            Some(version) => Some(self.records.api(&issued.api, version)?),
            None => None,
        };
        let scopes = ScopeSet::parse(&issued.scope).ok()?;
        let token = Question {
            integration: record,
            version: issued.record,
            verified: issued.verified,
            environment: &issued.environment,
            access,
            binding,
            api: &issued.api,
            record: issued.api_version.zip(api),
            scopes: &scopes,
            possessions: may_be_bound((issued.possession, issued.certificate), access, binding),
        };
        let found = answers(&self.set, &token, |scope| issued.way(scope), (time, &self.state));
        (!found.is_empty()).then_some(found)
    }

    fn finish(self) -> Replayed {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        rows.sort_by_key(|(_, (tokens, ..))| std::cmp::Reverse(*tokens));
        let row =
            |((guardrail, client, environment, api, scope), (tokens, first, last)): (RowKey, (u64, Timestamp, Timestamp))| {
                Row { guardrail, client, environment, api, scope, tokens, between: (first, last) }
            };
        Replayed { rows: rows.into_iter().take(MOST_ROWS).map(row).collect(), ..self.found }
    }
}

/// A span with the tokens of one day more.
fn joined(known: Option<Span>, tally: &Tally) -> Span {
    let day = Span { count: tally.count, first: tally.first, last: tally.last };
    known.map_or(day, |known| known.with(day))
}
