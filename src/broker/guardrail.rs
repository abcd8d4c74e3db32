//! The life of guardrails: who may put one in force at once, what an apply must say, and removal.
//!
//! A guardrail takes rights away. So a person of security who signed in recently puts a new one in force at once, and enforces one
//! that was in shadow; a machine never does. Anything that could forbid less needs its approvals. One exception: whoever enforced a
//! guardrail may put it back to shadow within a day.

use std::sync::Arc;

use super::Broker;
use super::failure::{Failure, failed};
use super::plan::{Action, Item};
use super::replayed::{Numbers, Replayed, Taking};
use super::review::ask;
use crate::domain::decision::guard_check::{Enumeration, Finding, Ground, Subject};
use crate::domain::decision::guard_warnings::warnings;
use crate::domain::decision::target::{BUILT_IN_API, BUILT_IN_SCOPES};
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::people::actor::{Authorized, Person, Role, Staff, Submit};
use crate::domain::reason;
use crate::domain::record::{Fault, Located, Record};
use crate::domain::registry::approval::{Approval, Kind, Standing};
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::state::State;
use crate::domain::state::guardrail::{GuardrailState, digest};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, GuardrailName, IntegrationId};
use crate::domain::value::scope::Scope;
use crate::journal::ForRequest;
use crate::policy::{Entity, Set, faults, set_of};

/// The most questions of a check that a person asks for.
pub const MOST_QUESTIONS: u64 = 1_000_000;

/// The integrations that are asked about at a time.
const CHECKED_AT_ONCE: usize = 20;

/// The most questions of a plan, which is about more than guardrails.
const MOST_OF_A_PLAN: u64 = 50_000;

/// The person who applies a guardrail.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    person: Person,
    /// A human who signed in recently.
    fresh: bool,
    security: bool,
    owner: bool,
}

impl Hand {
    pub(super) fn of(staff: &Staff) -> Self {
        let (security, owner) = (staff.roles.contains(&Role::Security), staff.roles.contains(&Role::Owner));
        Self { person: staff.person.clone(), fresh: staff.fresh && !staff.machine, security, owner }
    }

    /// Whether something waits for approval that somebody else asked for, and that this person could not decide.
    ///
    /// Attack: whoever may submit withdraws a stricter guardrail that waits, by applying the one in force or another text. Only a person
    /// who could review it, or who asked for it, may.
    fn is_barred(&self, known: &GuardrailState, state: &State, now: Timestamp) -> bool {
        let waiting = known.asked().and_then(|id| state.approvals.get(id));
        let waiting = waiting.filter(|approval| approval.standing(now) == Standing::Pending);
        let decides = self.fresh && (self.security || self.owner);
        let asked = |approval: &Approval| approval.requested_by.person().is_some_and(|asker| asker.is(&self.person));
        waiting.is_some_and(|approval| !decides && !asked(approval))
    }

    /// Refuses to replace what waits for a guardrail, if this person may not withdraw it.
    pub(super) fn ensure_may_replace(&self, name: &GuardrailName, state: &State, now: Timestamp) -> Result<(), Failure> {
        let barred = state.guardrails.get(name.as_str()).is_some_and(|known| self.is_barred(known, state, now));
        let text = || {
            format!(
                "Something else waits for {name}, and this would withdraw it; have it reviewed or denied first, or ask the person who applied it."
            )
        };
        if barred { Err(Failure::State(text())) } else { Ok(()) }
    }

    /// The action of an apply of a guardrail that is not the newest version.
    pub(super) fn action(&self, new: &Guardrail, state: &State, now: Timestamp) -> Action {
        let known = state.guardrails.get(new.name.as_str());
        let Some((known, current)) = known.and_then(|known| Some((known, known.current.as_ref()?))) else {
            return if self.fresh && self.security { Action::Narrow } else { Action::Hold };
        };
        if current.version == Digest::of_json(new) {
            // It withdraws what waits, and nothing else.
            return if self.is_barred(known, state, now) { Action::Unchanged } else { Action::Narrow };
        }
        let same = current.record.is_same_text(new) && current.record.managed_by == new.managed_by;
        match (current.record.mode, new.mode) {
            (Mode::Shadow, Mode::Enforce) if same && self.fresh && self.security => Action::Narrow,
            (Mode::Enforce, Mode::Shadow) if same && self.fresh && self.security && known.may_put_back(&self.person, now) => {
                Action::PutBack
            }
            (Mode::Shadow | Mode::Enforce, Mode::Enforce | Mode::Shadow) => Action::Hold,
        }
    }
}

impl Broker {
    /// Replays the guardrails that an apply of these items would enforce. `None` if there are none.
    pub(super) async fn taking(&self, by: &Staff, items: &[Item]) -> Result<Option<Taking>, Failure> {
        let enforced: Vec<Guardrail> = items.iter().filter_map(Item::enforces).cloned().collect();
        let versions = enforced.iter().map(|one| (&one.name, Digest::of_json(one)));
        let Some(about) = digest(versions) else { return Ok(None) };
        let replayed = self.replay(&self.desk, enforced).await?;
        self.tell_numbers(&by.person, about, replayed.numbers()).await;
        Ok(Some(Taking { about, replayed }))
    }

    /// Refuses an apply that does not say how many tokens its guardrails would have refused, and of how many that is unknown.
    pub(super) async fn ensure_told(&self, by: &Staff, taking: Option<&Taking>, said: Numbers) -> Result<(), Failure> {
        let numbers = taking.map(|taking| taking.replayed.numbers()).unwrap_or_default();
        if said == numbers {
            return Ok(());
        }
        if let Some(Taking { about, .. }) = taking.filter(|_| said != Numbers::default())
            && self.told_numbers(&by.person, *about, said).await
        {
            return Ok(());
        }
        Err(Failure::Refuses(Box::new(taking.map(|taking| taking.replayed.clone()).unwrap_or_default())))
    }

    /// Opens the approval to remove a guardrail.
    pub async fn remove_guardrail(
        &self,
        by: &Authorized<Submit>,
        name: &GuardrailName,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let (actor, hand) = (by.staff().actor(), Hand::of(by.staff()));
        self.change_by(by, request, |state, now| {
            let known = state.guardrails.get(name.as_str()).ok_or(&reason::NOT_FOUND)?;
            hand.ensure_may_replace(name, state, now)?;
            let version = known.removal_version().ok_or_else(|| {
                Failure::State(format!("{name} is not in force yet; apply another version, or deny its approval."))
            })?;
            let approval = ask(&approval, Kind::Guardrail, name.to_string(), version, &actor, Vec::new(), now);
            Ok(GuardrailChange::RemovalAsked { guardrail: name.clone(), reason: why.into(), approval })
        })
        .await?;
        Ok(approval)
    }

    /// Asks the guardrails in force, or those of `yaml` in their place, about everything that active integrations are allowed.
    ///
    /// # Errors
    /// The guardrails of `yaml` have faults, or there is another record among them.
    pub async fn check_guardrails(&self, by: &Staff, yaml: Option<String>) -> Result<Checked, Failure> {
        let _turn = self.reading.turn(&by.person)?;
        let (view, now) = (self.journal.view(), self.now());
        let work = move || {
            let guardrails = match yaml {
                None => view.state.guardrails.in_force().map(|one| one.record.as_ref().clone()).collect(),
                Some(yaml) => given(&yaml, &view.state)?,
            };
            let set = set_of(&guardrails).ok_or(&reason::GUARDRAIL_UNAVAILABLE)?;
            Ok::<_, Failure>((Arc::new((set, Ground::of(&view.state, now))), Subject::all(&view.state, now)))
        };
        let (asked_of, subjects) = self.reading.desk.work(work).await??;
        let mut checked = Checked { findings: Vec::new(), asked: 0, complete: true };
        let mut subjects = subjects.into_iter();
        // The place is given back between parts, so that other readers come in.
        while checked.complete {
            let some: Vec<Subject> = subjects.by_ref().take(CHECKED_AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            let (asked_of, left) = (Arc::clone(&asked_of), MOST_QUESTIONS - checked.asked);
            let work = move || Checked::of(&asked_of.0, &asked_of.1, &some, left);
            checked.join(self.reading.desk.finish(work).await?);
        }
        checked.findings.sort();
        Ok(checked)
    }

    /// What guardrails in force did, and would have done to the tokens of the last 30 days, for somebody who only reads.
    pub async fn report_guardrail(&self, by: &Staff, guardrail: Guardrail) -> Result<Replayed, Failure> {
        let _turn = self.reading.turn(&by.person)?;
        self.replay(&self.reading.desk, vec![guardrail]).await
    }

    /// What guardrails would refuse of the records of a plan, as warnings.
    pub(super) fn forbidden(&self, records: &[Located], state: &State) -> Result<Vec<Fault>, Failure> {
        let mut guardrails: Vec<Guardrail> = Vec::new();
        let mut changed = false;
        for located in records {
            if let Record::Guardrail(guardrail) = &located.record {
                guardrails.push(guardrail.clone());
                changed = true;
            }
        }
        let in_force = state.guardrails.in_force().map(|one| one.record.as_ref());
        let others: Vec<_> = in_force.filter(|one| guardrails.iter().all(|new| new.name != one.name)).cloned().collect();
        guardrails.extend(others);
        let set = set_of(&guardrails).ok_or(&reason::GUARDRAIL_UNAVAILABLE)?;
        let now = self.now();
        let (ground, mut subjects) = (Ground::of(state, now).with(records), Subject::of(records, state, now));
        if changed {
            let others = Subject::all(state, now).into_iter();
            let others: Vec<_> = others.filter(|one| subjects.iter().all(|new| new.record.id != one.record.id)).collect();
            subjects.extend(others);
        }
        Ok(warnings(records, &Checked::of(&set, &ground, &subjects, MOST_OF_A_PLAN).findings))
    }
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// The guardrails that refuse something that a record allows.
    pub findings: Vec<Finding>,
    /// The number of questions that were asked.
    pub asked: u64,
    /// Whether that was all of them.
    pub complete: bool,
}

impl Checked {
    /// Adds what was found about further integrations.
    fn join(&mut self, part: Self) {
        self.findings.extend(part.findings);
        self.asked = self.asked.saturating_add(part.asked);
        self.complete = part.complete;
    }

    fn of(set: &Set, ground: &Ground, subjects: &[Subject], most: u64) -> Self {
        let mut enumeration = Enumeration::new(set, set.free_values(), ground, most);
        let complete = enumeration.ask_all(subjects).is_ok();
        Self { asked: enumeration.asked, findings: enumeration.findings, complete }
    }
}

/// The faults of the guardrails of `records`, against what is on record.
pub(super) fn unsound(records: &[Located], state: &State) -> Vec<Fault> {
    faults(records, &|entity, name| knows(state, entity, name))
}

/// Whether something of this name is on record.
fn knows(state: &State, entity: Entity, name: &str) -> bool {
    match entity {
        Entity::Partner => state.partners.contains_key(name),
        Entity::Integration => name.parse::<IntegrationId>().is_ok_and(|id| state.integrations.contains_key(&id)),
        Entity::Api => name == BUILT_IN_API || state.apis.contains_key(name),
        Entity::Scope => {
            let Some((api, scope)) = name.split_once('/') else { return false };
            if api == BUILT_IN_API {
                return BUILT_IN_SCOPES.contains(&scope);
            }
            let (Some(api), Ok(scope)) = (state.apis.get(api), scope.parse::<Scope>()) else { return false };
            let versions = api.current.iter().chain(api.held.as_ref().map(|held| &held.version));
            versions.into_iter().any(|version| version.record.scopes.contains_key(&scope))
        }
    }
}

/// The guardrails of a text, which has nothing else.
fn given(yaml: &str, state: &State) -> Result<Vec<Guardrail>, Failure> {
    let records = crate::domain::record::read("records", yaml).map_err(failed)?;
    let found = unsound(&records, state);
    if !found.is_empty() {
        return Err(failed(found));
    }
    let only = |located: &Located| match &located.record {
        Record::Guardrail(guardrail) => Ok(guardrail.clone()),
        Record::Api(_) | Record::Integration(_) | Record::Partner(_) => {
            let message = "expected records of kind Guardrail and no others".to_owned();
            let (at, reason) = (format!("records:{} kind", located.line), &reason::RECORD_KIND);
            Err(Failure::Faults(vec![super::failure::Fault { at, reason, message }]))
        }
    };
    records.iter().map(only).collect()
}
