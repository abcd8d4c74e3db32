//! Finds the effects of a plan: the living tokens that it would cut, and what it would have done to the requests of 30 days.
//!
//! Enter through [`Broker::effects`]. The cuts are those of the rule that counts once a version is in force (`decision::cut`). The replay asks
//! once for each use and refusal (`decision::hindsight`, and `replay` about guardrails). Where it cannot look at everything it says so, and the
//! plan is told all the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::answering::{Answering, Verdict};
use super::effect::{Effect, Span, Turned};
use super::failure::Failure;
use super::plan::Plan;
use super::replay::REPLAYED;
use super::replayed::Replayed;
use super::supposing::Supposed;
use crate::domain::decision::cut::{is_cut, is_cut_by};
use crate::domain::decision::guard::Guards;
use crate::domain::decision::hindsight::{Hindsight, Outcome};
use crate::domain::decision::refusals::Request;
use crate::domain::decision::uses::{Tally, Use};
use crate::domain::log::entry::{Counted, Entry, Issued, RefusedEntry};
use crate::domain::reason::{self, Reason};
use crate::domain::record::Record;
use crate::domain::registry::guardrail::Mode;
use crate::domain::state::State;
use crate::domain::value::day::Day;
use crate::domain::value::names::{ClientId, EnvironmentName, TokenId};
use crate::journal::{Query, View};
use crate::policy::Guardrails;

/// How long the replay of a plan may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most refusals that a plan looks at.
const MOST_REFUSALS: usize = 50_000;

/// The checks of a refusal that a replay reads.
const READ: [&str; 3] = ["binding.used", "scope", "target"];

/// The requests of 30 days.
#[derive(Default)]
struct Past {
    uses: Vec<(Use, Vec<Tally>)>,
    refusals: Vec<RefusedEntry>,
    /// Refusals of known callers beyond what is recorded of one: they have a client and a reason, and nothing else.
    counted: Vec<(ClientId, Counted)>,
    /// Some are missing.
    missing: bool,
}

impl Broker {
    /// Finds the effects of each item of a plan, and adds them to it.
    pub(super) async fn effects(&self, plan: &mut Plan) -> Result<(), Failure> {
        let view = self.journal.view();
        let (broker, items, seen) = (self.clone(), plan.items.clone(), Arc::clone(&view));
        let supposed = self.desk.work(move || broker.suppose(&items, &seen.state, seen.size)).await?;
        plan.effects = vec![Effect::default(); plan.items.len()];
        if supposed.is_empty() {
            return Ok(());
        }
        let supposed = Arc::new(supposed);
        self.count_cuts(plan, &view, &supposed).await?;
        let past =
            tokio::time::timeout(PATIENCE, self.past(&supposed)).await.unwrap_or(Past { missing: true, ..Past::default() });
        let missing = past.missing;
        let (taking, steps, state) =
            (plan.taking.as_ref().map(|taking| taking.replayed.clone()), Arc::clone(&supposed), Arc::clone(&view));
        let (each, mut all) = self.desk.work(move || replay(&steps, &state.state, &past, taking.as_ref())).await?;
        if missing {
            all.miss();
        }
        for (place, mut turned) in each {
            if missing {
                turned.miss();
            }
            if let Some(effect) = plan.effects.get_mut(place) {
                effect.turned = turned;
            }
        }
        plan.all.turned = all;
        Ok(())
    }

    /// Counts the living tokens that versions would cut: each once for its item, and once in all.
    async fn count_cuts(&self, plan: &mut Plan, view: &Arc<View>, supposed: &Arc<Vec<Supposed>>) -> Result<(), Failure> {
        let Some(last) = supposed.last().map(|step| &step.after) else { return Ok(()) };
        let guards: Arc<Guardrails> = if last.guardrails.digest() == view.state.guardrails.digest() {
            self.guards(view).await
        } else {
            let (made, steps) = (Arc::new(Guardrails::default()), Arc::clone(supposed));
            let making = Arc::clone(&made);
            self.desk.work(move || steps.iter().for_each(|step| making.make(&step.after))).await?;
            made
        };
        let mut all: HashSet<TokenId> = HashSet::new();
        for step in supposed.iter() {
            let mut cut: HashSet<TokenId> = HashSet::new();
            for (whose, narrowing) in step.after.narrowings.since(step.index) {
                let look = |issued: &Issued| {
                    let counts = whose.is_of(issued) && is_cut_by(narrowing, issued, &*guards);
                    if counts && !is_cut_already(issued, &view.state, &*guards) {
                        cut.insert(issued.jti.clone());
                    }
                };
                self.journal.each_living(whose.clients().as_ref(), view.size, look).await?;
            }
            if let Some(effect) = plan.effects.get_mut(step.item) {
                effect.cuts = u64::try_from(cut.len()).unwrap_or(u64::MAX);
            }
            all.extend(cut);
        }
        plan.all.cuts = u64::try_from(all.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The requests that the versions may have turned. What cannot be read is missing.
    async fn past(&self, supposed: &[Supposed]) -> Past {
        let mut past = Past::default();
        match self.uses_lately().await {
            Ok((uses, whole)) => {
                past.missing = !whole;
                past.uses = uses;
                past.uses.retain(|(counted, _)| supposed.iter().any(|step| step.may_turn(counted)));
            }
            Err(_) => past.missing = true,
        }
        if self.read_refusals(supposed, &mut past).await.is_err() {
            past.missing = true;
        }
        past
    }

    async fn read_refusals(&self, supposed: &[Supposed], past: &mut Past) -> Result<(), Failure> {
        let alone = match supposed {
            [only] => match &only.record {
                Record::Integration(record) => Some(record.id.to_string()),
                Record::Api(_) | Record::Guardrail(_) | Record::Partner(_) => None,
            },
            _ => None,
        };
        let since = Some(self.now().minus(REPLAYED));
        for kind in ["refused", "refusals"] {
            let (kind, newest_first, limit) = (Some(kind.to_owned()), true, Some(1_000));
            let mut query = Query { kind, subject: alone.clone(), since, newest_first, limit, ..Query::default() };
            loop {
                let page = self.journal.page(&query).await?;
                page.entries.into_iter().for_each(|stored| past.take(stored.entry, supposed));
                let Some(after) = page.after.filter(|_| past.has_room()) else { break };
                query.to = Some(after);
            }
        }
        Ok(())
    }
}

impl Past {
    fn has_room(&self) -> bool {
        self.refusals.len().saturating_add(self.counted.len()) < MOST_REFUSALS
    }

    /// Takes in a refusal that a version may turn.
    fn take(&mut self, entry: Entry, supposed: &[Supposed]) {
        let may_turn = |client: &ClientId| supposed.iter().any(|step| step.is_about(client));
        match entry {
            Entry::Refused(refused) if !may_turn(&refused.subject) => {}
            Entry::Refused(_) | Entry::Counted(_) if !self.has_room() => self.missing = true,
            Entry::Refused(mut refused) => {
                refused.tree.retain(|step| READ.contains(&step.check.as_str()));
                self.refusals.push(*refused);
            }
            // Those of strangers have the name of an environment.
            Entry::Counted(counted) => {
                let client = counted.subject.parse::<ClientId>().ok().filter(may_turn);
                self.counted.extend(client.map(|client| (client, counted)));
            }
            Entry::Issued(_) | Entry::Change(_) => {}
        }
    }
}

fn is_cut_already(issued: &Issued, state: &State, guards: &dyn Guards) -> bool {
    is_cut(issued, &issued.provenance().keys(), state, guards)
}

impl Supposed {
    /// Whether it may turn the outcome of such requests.
    fn may_turn(&self, counted: &Use) -> bool {
        match (counted, &self.record) {
            (Use::Forbidden { guardrail }, Record::Guardrail(record)) => *guardrail == record.name,
            (Use::Forbidden { .. }, Record::Api(_) | Record::Integration(_) | Record::Partner(_)) => false,
            (Use::Issued(issued), Record::Api(api)) => issued.api == api.name,
            (Use::Issued(issued), Record::Integration(_) | Record::Partner(_)) => self.is_about(&issued.client),
            (Use::Issued(_), Record::Guardrail(_)) | (Use::Seen(_), _) => false,
        }
    }

    fn is_about(&self, client: &ClientId) -> bool {
        let ClientId::Integration(id) = client else { return false };
        match &self.record {
            Record::Integration(record) => record.id == *id,
            Record::Partner(record) => record.name == id.partner,
            Record::Api(record) => {
                let current = self.after.integrations.get(id).and_then(|known| known.current.as_ref());
                current.is_some_and(|current| current.record.names(&record.name))
            }
            Record::Guardrail(_) => false,
        }
    }
}

/// Replays the past over each version, and over all of them.
fn replay(supposed: &[Supposed], first: &State, past: &Past, taking: Option<&Replayed>) -> (Vec<(usize, Turned)>, Turned) {
    let answering = Answering::of(first);
    let mut each = Vec::with_capacity(supposed.len());
    let mut guarded = Turned::default();
    for step in supposed {
        let turned = match &step.record {
            Record::Guardrail(_) => {
                let turned = by_guardrail(step, past, taking);
                guarded.join(&turned);
                turned
            }
            Record::Api(_) | Record::Integration(_) | Record::Partner(_) => {
                between(&step.before, &step.after, std::slice::from_ref(step), past, answering.as_ref())
            }
        };
        each.push((step.item, turned));
    }
    if let [(_, only)] = each.as_slice() {
        let all = only.clone();
        return (each, all);
    }
    let last = supposed.last().map_or(first, |step| &step.after);
    let mut all = between(first, last, supposed, past, answering.as_ref());
    all.join(&guarded);
    (each, all)
}

/// The requests whose outcome differs between two states.
fn between(before: &State, after: &State, steps: &[Supposed], past: &Past, answering: Option<&Answering>) -> Turned {
    let mut turned = Turned::default();
    let mut hindsight = Hindsight::new(before, after);
    let mut days: HashMap<(&ClientId, &EnvironmentName, Day), u64> = HashMap::new();
    for (counted, tallies) in &past.uses {
        let Use::Issued(issued) = counted else { continue };
        for tally in tallies {
            let day = days.entry((&issued.client, &issued.environment, Day::of(tally.first))).or_default();
            *day = day.saturating_add(tally.count);
        }
    }
    for (counted, tallies) in &past.uses {
        let Use::Issued(issued) = counted else { continue };
        if !steps.iter().any(|step| step.may_turn(counted)) {
            continue;
        }
        for tally in tallies {
            let day = (&issued.client, &issued.environment, Day::of(tally.first));
            let that_day = days.get(&day).copied().unwrap_or(tally.count);
            let mut outcome = hindsight.issued(issued, tally, that_day);
            if let (Outcome::Same, Some(answering)) = (outcome, answering)
                && hindsight.reads_otherwise(&issued.client, &issued.environment, &issued.api)
            {
                outcome = match (answering.issued(issued, tally, before), answering.issued(issued, tally, after)) {
                    // It was issued before the guardrail came.
                    (Verdict::Forbids, _) | (_, Verdict::Allows) => Outcome::Same,
                    (Verdict::Allows, Verdict::Forbids) => Outcome::Refused(&reason::GUARDRAIL_FORBIDS),
                    (Verdict::Depends, _) | (_, Verdict::Depends) => Outcome::Unknown(&reason::GUARDRAIL_FORBIDS),
                };
            }
            turned.add(outcome, Span { count: tally.count, first: tally.first, last: tally.last });
        }
    }
    for refused in &past.refusals {
        if steps.iter().any(|step| step.is_about(&refused.subject)) {
            let outcome = answered(hindsight.refused(refused), refused, &mut hindsight, after, answering);
            turned.add(outcome, Span::at(refused.time));
        }
    }
    for (client, counted) in &past.counted {
        if steps.iter().any(|step| step.is_about(client)) {
            for (code, count) in &counted.counts {
                let Some(reason) = Reason::find(code) else { continue };
                if hindsight.may_turn(client, reason, counted.time) {
                    turned.add(Outcome::Unknown(reason), Span { count: *count, first: counted.time, last: counted.time });
                }
            }
        }
    }
    turned
}

/// The outcome of a refused request, after the guardrails were asked.
fn answered(
    outcome: Outcome,
    refused: &RefusedEntry,
    hindsight: &mut Hindsight<'_>,
    after: &State,
    answering: Option<&Answering>,
) -> Outcome {
    let guarded = *refused.reason.0 == reason::GUARDRAIL_FORBIDS || *refused.reason.0 == reason::GUARDRAIL_FAILED;
    let Some(answering) = answering else { return outcome };
    let request = Request::of(refused);
    let api = request.as_ref().and_then(|request| request.api(&refused.environment, after));
    match outcome {
        Outcome::Granted(given) => match answering.refused(refused, request.as_ref(), after) {
            Verdict::Allows => Outcome::Granted(given),
            Verdict::Forbids => Outcome::Same,
            Verdict::Depends => Outcome::Unknown(&reason::GUARDRAIL_FORBIDS),
        },
        Outcome::Same if guarded => {
            let other = api.is_none_or(|api| hindsight.reads_otherwise(&refused.subject, &refused.environment, &api));
            let still = || answering.refused(refused, request.as_ref(), after) == Verdict::Forbids;
            // The checks that follow a guardrail are not on record.
            if other && !still() { Outcome::Unknown(refused.reason.0) } else { Outcome::Same }
        }
        Outcome::Same | Outcome::Refused(_) | Outcome::Unknown(_) => outcome,
    }
}

/// What a guardrail does to requests: by the replay of those that are enforced, and by what it refused where it lets go.
fn by_guardrail(step: &Supposed, past: &Past, taking: Option<&Replayed>) -> Turned {
    let mut turned = Turned::default();
    let Record::Guardrail(new) = &step.record else { return turned };
    if let Some(by) = taking.and_then(|replayed| replayed.by.get(&new.name)) {
        by.refused.into_iter().for_each(|span| turned.add(Outcome::Refused(&reason::GUARDRAIL_FORBIDS), span));
        by.unknown.into_iter().for_each(|span| turned.add(Outcome::Unknown(&reason::GUARDRAIL_FORBIDS), span));
    }
    if taking.is_some_and(|replayed| replayed.is_short) {
        turned.miss();
    }
    let current = step.before.guardrails.get(new.name.as_str()).and_then(|known| known.current.as_ref());
    let enforced = current.filter(|current| current.record.mode == Mode::Enforce && current.record.as_ref() != new);
    let Some(old) = enforced else { return turned };
    // Another one may refuse the same request, and a text that differs may forbid it still.
    let others = step.after.guardrails.in_force().any(|one| one.record.name != new.name && one.record.mode == Mode::Enforce);
    let lets_go = old.record.is_same_text(new) && new.mode == Mode::Shadow && !others;
    let outcome = if lets_go { Outcome::Granted } else { Outcome::Unknown };
    for (counted, tallies) in &past.uses {
        let Use::Forbidden { guardrail } = counted else { continue };
        if *guardrail == new.name {
            tallies.iter().for_each(|tally| {
                let span = Span { count: tally.count, first: tally.first, last: tally.last };
                turned.add(outcome(&reason::GUARDRAIL_FORBIDS), span);
            });
        }
    }
    turned
}
