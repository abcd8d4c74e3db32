//! Replays the tokens of the last 30 days: which of them would a guardrail have refused.
//!
//! Enter through [`Broker::replay`]. Each token is judged on the state that it was issued under, which is folded along. An entry does not
//! have everything that a guardrail can read: neither the address of the request, nor the key of a DPoP proof. A token counts as
//! refused if it would have been whatever these were, and as unknown if that depends on them. If the guardrail was in shadow when
//! the token was issued, the entry itself says what it would have done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Broker;
use super::desk::Desk;
use super::failure::Failure;
use super::replayed::{Replayed, Row};
use crate::domain::decision::cut::{possessions, ways};
use crate::domain::decision::guard::{Asked, Guard as _, Source, step_of};
use crate::domain::decision::way::Way;
use crate::domain::log::entry::{Entry, Issued, RefusedEntry};
use crate::domain::reason;
use crate::domain::registry::api::Risk;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::integration::Access;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, GuardrailName};
use crate::domain::value::scope::ScopeSet;
use crate::journal::{At, Query};
use crate::policy::{Set, set_of};

/// How far a replay looks back.
pub const REPLAYED: Seconds = Seconds::days(30);

/// How long a replay may take. It reads beside the tokens that are issued meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most rows of the list of tokens.
const MOST_ROWS: usize = 100;

type RowKey = (GuardrailName, ClientId, EnvironmentName, ApiName, String);

/// A replay on its way.
struct Replay {
    set: Set,
    guardrails: Vec<Guardrail>,
    state: State,
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
        let since = self.now().minus(REPLAYED);
        // The second itself is read again below.
        let state = self.journal.state_at(At::Time(since.minus(Seconds(1)))).await?;
        let mut replay = Replay { set, guardrails, state, found: Replayed::default(), rows: BTreeMap::new() };
        let mut query = Query { since: Some(since), limit: Some(1000), ..Query::default() };
        loop {
            let page = self.journal.page(&query).await?;
            let (read, entries) = (page.after, page.entries);
            let work = move || {
                entries.iter().for_each(|stored| replay.read(&stored.entry));
                replay
            };
            replay = desk.work(work).await?;
            match read {
                Some(after) => query.from = after.saturating_add(1),
                None => return Ok(replay.finish()),
            }
        }
    }
}

impl Replay {
    fn read(&mut self, entry: &Entry) {
        match entry {
            Entry::Change(entry) => self.state.apply(entry.index, entry.time, &entry.change),
            Entry::Issued(issued) => self.judge(issued),
            Entry::Refused(refused) => self.count_refused(refused),
            Entry::Counted(_) => {}
        }
    }

    fn count_refused(&mut self, refused: &RefusedEntry) {
        if *refused.reason.0 != reason::GUARDRAIL_FORBIDS && *refused.reason.0 != reason::GUARDRAIL_FAILED {
            return;
        }
        let Some(step) = refused.tree.iter().find(|step| !step.holds) else { return };
        if let Some(one) = self.guardrails.iter().find(|one| step_of(&one.name) == step.check) {
            *self.found.refused.entry(one.name.clone()).or_default() += 1;
        }
    }

    /// Judges one token: by each guardrail it was refused for sure, perhaps, or not.
    fn judge(&mut self, issued: &Issued) {
        let Some(answers) = self.answers(issued) else {
            self.found.unknown += 1;
            return;
        };
        let (mut sure, mut perhaps) = (Vec::new(), false);
        for one in &self.guardrails {
            let refusing = answers.iter().filter(|refusing| refusing.contains(&one.name)).count();
            let known = self.is_shadowed(one, issued).then(|| issued.shadow.contains(&one.name));
            match known {
                Some(true) => sure.push(one.name.clone()),
                Some(false) => {}
                None if refusing == answers.len() => sure.push(one.name.clone()),
                None => perhaps |= refusing > 0,
            }
        }
        if sure.is_empty() {
            self.found.unknown += u64::from(perhaps);
            return;
        }
        self.found.refuses += 1;
        for guardrail in sure {
            let key = (guardrail, issued.subject.clone(), issued.environment.clone(), issued.api.clone(), issued.scope.clone());
            let row = self.rows.entry(key).or_insert((0, issued.time, issued.time));
            (row.0, row.2) = (row.0 + 1, issued.time);
        }
    }

    /// Whether the same text was in shadow when the token was issued.
    fn is_shadowed(&self, one: &Guardrail, issued: &Issued) -> bool {
        let then = self.state.guardrails.get(one.name.as_str()).and_then(|known| known.current.as_ref());
        then.is_some_and(|then| then.record.mode == Mode::Shadow && then.record.is_same_text(one))
            && issued.guardrails == self.state.guardrails.digest()
    }

    /// The guardrails that refuse, for each combination of what the entry does not say; at least one.
    ///
    /// `None` if the record that allowed the token is not known.
    fn answers(&self, issued: &Issued) -> Option<Vec<Vec<GuardrailName>>> {
        let state = &self.state;
        let ClientId::Integration(id) = &issued.subject else { return None };
        let current = state.integrations.get(id)?.current.as_ref().filter(|current| current.version == issued.record)?;
        let access = current.record.environments.get(&issued.environment)?;
        let binding = access.bindings.iter().find(|binding| binding.name == issued.binding)?;
        let api = state.apis.get(&issued.api).and_then(|api| api.current.as_ref());
        let until =
            state.partners.get(&id.partner).and_then(|partner| Some(partner.current.as_ref()?.record.verification.expires));
        let scopes = ScopeSet::parse(&issued.scope).ok()?;
        let mut answers = Vec::new();
        for possession in possessions(issued, access, binding) {
            for source in self.sources(access) {
                let mut refusing = Vec::new();
                for scope in scopes.iter() {
                    let asked = Asked {
                        integration: &current.record,
                        version: current.version,
                        verified: until.is_some_and(|until| issued.time < until),
                        environment: &issued.environment,
                        binding,
                        api: &issued.api,
                        api_version: api.map(|api| api.version),
                        scope,
                        risk: api.map_or(Risk::Low, |api| api.record.scopes.get(scope).map_or(Risk::High, |entry| entry.risk)),
                        way: ways(issued, access, state, scope).into_iter().next().unwrap_or(Way::Standing),
                        possession,
                        source,
                        time: issued.time,
                        local: state.local(issued.time),
                    };
                    let forbidden = self.set.judge(&asked).forbidden;
                    refusing.extend(forbidden.iter().flat_map(|by| by.by().map(|one| one.guardrail.clone())));
                }
                answers.push(refusing);
            }
        }
        (!answers.is_empty()).then_some(answers)
    }

    /// Addresses to try: an entry has none.
    fn sources(&self, access: &Access) -> Vec<Source> {
        let free = self.set.free_values();
        if !free.reads_source {
            return vec![Source::Supposed];
        }
        let networks = &access.limits.source_cidrs;
        let own = networks.iter().map(|network| network.bounds().0);
        let inside = |address: &std::net::IpAddr| networks.is_empty() || networks.iter().any(|one| one.contains(*address));
        // An address that no guardrail names stands for all others.
        let other = std::net::IpAddr::from([192, 0, 2, 1]);
        free.sources.iter().copied().chain([other]).filter(inside).chain(own).map(Source::Known).collect()
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
