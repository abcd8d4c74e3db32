//! Plans and applies records: from YAML text to journal entries.
//!
//! `plan` tells what an `apply` would do, ranked by risk; `apply` does it, with one change per record. A record that is not
//! provably narrower than the one in force is held for its approvals, and the old version stays in force. Texts of people are
//! sealed here. A text that did not change keeps its digest, so an unchanged record is an unchanged version.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Broker;
use super::change::Decided;
use super::effect::Effect;
use super::exception::{extended, without_closed};
use super::failure::{Failure, Fault, collisions, failed};
use super::guardrail::{self, Hand};
use super::judged::Judged;
use super::offboarding::returned;
use super::owners;
use super::plan::{self, Action, Item, Plan};
use super::recertification::unreviewed;
use super::replayed::Numbers;
use super::review::ask;
use super::stored::{Stored, base, ensure_may_apply, is_turned_down, joined};
use super::view::gain::Gain;
use crate::domain::decision::check::{self, Surroundings, conflicts_in};
use crate::domain::log::api::ApiChange;
use crate::domain::log::change::Change;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::people::actor::{Actor, Authorized, Submit};
use crate::domain::reason;
use crate::domain::record::{self, Located, Record, Severity};
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::registry::binding::{Admits, Binding, KeySource};
use crate::domain::state::State;
use crate::domain::state::taken::Conflict;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::{Text, TextDigest, TextRow};
use crate::journal::{ForRequest, View};

/// The terms on which somebody applies records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// The plan that they looked at: another one is refused.
    pub expected: Option<&'a str>,
    /// Why.
    pub why: Option<&'a str>,
    /// The numbers of tokens that they know the guardrails would have refused, or of which that is unknown.
    pub said: Numbers,
}

impl Broker {
    /// Reads, checks and compares the documents of `yaml`, and finds what they would do to tokens and requests.
    pub async fn plan(&self, by: &Authorized<Submit>, yaml: &str) -> Result<Plan, Failure> {
        let mut plan = self.planned(by, yaml).await?;
        self.effects(&mut plan).await?;
        Ok(plan)
    }

    /// Reads, checks and compares the documents of `yaml`.
    async fn planned(&self, by: &Authorized<Submit>, yaml: &str) -> Result<Plan, Failure> {
        let hand = Hand::of(by.staff());
        let (broker, view, text) = (self.clone(), self.journal.view(), yaml.to_owned());
        let sound = self.desk.work(move || broker.read_sound(&text, view)).await??;
        let rows = self.journal.texts(&sound.texts).await?;
        let named = owners::named(&sound.located);
        let broker = self.clone();
        let mut plan = self.desk.work(move || broker.weighed(sound, &rows, &hand)).await??;
        self.look_up_owners(&mut plan, &named).await?;
        plan.taking = self.taking(by.staff(), &plan.items).await?;
        Ok(plan)
    }

    /// Reads the documents of `yaml`, and fails if any of them has an error.
    fn read_sound(&self, yaml: &str, view: Arc<View>) -> Result<Sound, Failure> {
        let located = record::read("records", yaml).map_err(failed)?;
        let around = Surroundings::of(&view.state, self.now());
        let mut effort = Effort::default();
        let mut faults = check::check_each(&located, &around, &mut effort);
        faults.extend(self.unreachable(&located));
        faults.extend(guardrail::unsound(&located, &view.state));
        let (mut errors, warnings): (Vec<_>, Vec<_>) = faults.into_iter().partition(|fault| fault.severity == Severity::Error);
        if !errors.is_empty() {
            if effort.take(0).is_ok() {
                let collisions = check::collisions(&located, &around, &mut effort, |_| true);
                errors.extend(collisions.into_iter().filter(|fault| fault.severity == Severity::Error));
            }
            return Err(failed(errors));
        }
        let mut texts = Vec::new();
        let mut documents = Vec::new();
        for record in located.iter().map(|located| located.record.clone()) {
            let mut stored = Stored::of(&record, &view.state);
            for record in [&mut stored.newest, &mut stored.in_force].into_iter().flatten() {
                texts.extend(record.texts_mut().iter().filter_map(|text| text.digest()));
            }
            documents.push((record, stored));
        }
        let digest = Digest::of(yaml.as_bytes());
        Ok(Sound { documents, located, around, effort, warnings, texts, digest, view })
    }

    /// Makes the plan of sound documents; `rows` are the texts of their stored versions.
    fn weighed(&self, sound: Sound, rows: &HashMap<TextDigest, TextRow>, hand: &Hand) -> Result<Plan, Failure> {
        let Sound { documents, located, around, mut effort, mut warnings, digest, view, .. } = sound;
        let mut items = Vec::new();
        for (record, stored) in documents {
            let (kind, name) = record.name();
            let before = effort.spent();
            let item = self.item(record, stored, (rows, hand), &view.state, &mut effort).map_err(|exhausted| {
                let message = format!(
                    "to compare the versions takes more than the {} steps that one request may; {before} were spent before {kind} {name}",
                    exhausted.most
                );
                Failure::Faults(vec![Fault { at: name, reason: &reason::RECORD_EFFORT, message }])
            })?;
            items.push(item);
        }
        // A version that takes nothing beyond the one in force is always accepted, even if that one collides already.
        let narrowing: HashSet<_> =
            items.iter().filter(|item| item.narrows).map(|item| (item.kind, item.subject.clone())).collect();
        let held: HashSet<_> =
            items.iter().filter(|item| item.action == Action::Hold).map(|item| (item.kind, item.subject.clone())).collect();
        let mut found = check::collisions(&located, &around, &mut effort, |record| !narrowing.contains(&record.name()));
        found.extend(check::too_long(&located, &around, |record| held.contains(&record.name())));
        let (errors, standing): (Vec<_>, Vec<_>) = found.into_iter().partition(|fault| fault.severity == Severity::Error);
        if !errors.is_empty() {
            return Err(failed(errors));
        }
        warnings.extend(standing);
        warnings.extend(located.iter().flat_map(|located| extended(located, &view.state)));
        warnings.extend(located.iter().flat_map(|located| unreviewed(located, &view.state, self.now())));
        warnings.extend(self.forbidden(&located, &view.state)?);
        let id = plan::name(digest, &items);
        // Documents without differences come last.
        let at = self.now();
        items.sort_by_key(|item| {
            let weight = item.differences.iter().map(|difference| difference.told(at)).min();
            (weight.is_none(), weight)
        });
        let (effects, all) = (Vec::new(), Effect::default());
        Ok(Plan { id, items, warnings, generation: view.state.generation, taking: None, effects, all, at })
    }

    /// Applies the documents of `yaml`, and returns the plan as it was done.
    ///
    /// It applies only on the terms of the person who asks. Their reason is recorded with each change.
    pub async fn apply(
        &self,
        by: &Authorized<Submit>,
        yaml: &str,
        terms: Terms<'_>,
        request: Option<ForRequest>,
    ) -> Result<Plan, Failure> {
        let Terms { expected, why, said } = terms;
        let mut plan = self.planned(by, yaml).await?;
        if expected.is_some_and(|expected| expected != plan.id) {
            return Err((&reason::PLAN_STALE).into());
        }
        // Before anything is stored, so that an apply does all of it or nothing.
        let (view, now) = (self.journal.view(), self.now());
        let changed = || plan.items.iter().filter(|item| item.action != Action::Unchanged);
        changed().try_for_each(|item| ensure_may_apply(by.staff(), &item.record, &view.state, now))?;
        self.ensure_told(by.staff(), plan.taking.as_ref(), said).await?;
        let mut order: Vec<&mut Item> = plan.items.iter_mut().filter(|item| item.action != Action::Unchanged).collect();
        order.sort_by_key(|item| item.rank());
        let why = why.map(Text::from);
        let (mut effort, mut sound) = (Effort::default(), plan.generation);
        let numbers = plan.taking.as_ref().map(|taking| taking.replayed.numbers()).unwrap_or_default();
        for item in order {
            item.approval = self.store(by, item, (why.as_ref(), numbers), request.clone(), (&mut effort, &mut sound)).await?;
        }
        self.settle().await?;
        self.settle_owners_soon().await;
        Ok(plan)
    }

    /// Stores one document. Returns the approval that this opened, if one is needed.
    ///
    /// `sound` is the generation on which all documents of the apply were judged. If a change came since, this one is judged anew.
    async fn store(
        &self,
        by: &Authorized<Submit>,
        item: &Item,
        (why, numbers): (Option<&Text>, Numbers),
        request: Option<ForRequest>,
        (effort, sound): (&mut Effort, &mut u64),
    ) -> Result<Option<ApprovalId>, Failure> {
        let (actor, hand) = (by.staff().actor(), Hand::of(by.staff()));
        let approval: ApprovalId = self.entropy.name();
        let record = Some(item.record.clone()).filter(|_| !item.narrows);
        // Judged on the state that the entry follows: another apply may have come since the plan.
        let judge = move |state: &State, now: Timestamp, effort: &mut Effort| {
            let holder = record.as_ref().and_then(Record::holder);
            holder.map(|holder| conflicts_in(holder, state, now, effort)).unwrap_or_default()
        };
        let decide = |state: &State, now: Timestamp, conflicts: &Vec<Conflict>| {
            if base(&item.record, state) != item.base {
                return Err((&reason::PLAN_STALE).into());
            }
            ensure_may_apply(by.staff(), &item.record, state, now)?;
            if !conflicts.is_empty() {
                return Err(Failure::Faults(collisions(&item.subject, conflicts.clone())));
            }
            if let Record::Guardrail(guardrail) = &item.record {
                if item.action != hand.action(guardrail, state, now) {
                    return Err((&reason::PLAN_STALE).into());
                }
                hand.ensure_may_replace(&guardrail.name, state, now)?;
            }
            if matches!((&item.record, item.action), (Record::Integration(_), Action::Hold)) {
                owners::ensure_fit(&item.subject, item.owners.as_ref(), state)?;
            }
            Ok(Decided::from(change(item, &approval, &actor, (why, numbers), now)).with_texts(item.rows.clone()))
        };
        let known = Judged { generation: *sound, found: Vec::new() };
        let (committed, generation) = self.change_judged((by, request), effort, Some(known), judge, decide).await?;
        // Only this document came. The others were judged beside it, so they are as free as they were.
        let after = committed.view.state.generation;
        if generation == *sound && after == generation + 1 {
            *sound = after;
        }
        Ok(committed.view.state.approvals.contains_key(&approval).then_some(approval))
    }

    /// Compares one record with the version in force, or else the draft, and seals its texts.
    fn item(
        &self,
        mut new: Record,
        stored: Stored,
        (rows, hand): (&HashMap<TextDigest, TextRow>, &Hand),
        state: &State,
        effort: &mut Effort,
    ) -> Result<Item, Exhausted> {
        let Stored { newest, in_force } = stored;
        let mut known = HashMap::new();
        for stored in newest.iter().chain(&in_force) {
            known.extend(joined(stored.clone(), rows).1);
        }
        let against = in_force.as_ref().or(newest.as_ref()).map(|stored| joined(stored.clone(), rows).0);
        let differences = {
            let current = against.as_ref().map(|against| without_closed(against, state));
            let mut found = record::compare(current.as_ref(), &without_closed(&new, state), effort)?;
            found.extend(returned(&new, against.as_ref(), state));
            found
        };
        let gains = differences.iter().map(|one| Gain::of(&new, one, state)).collect();
        let mut rows = Vec::new();
        for text in new.texts_mut() {
            match text.plain().and_then(|plain| known.get(plain)) {
                Some(digest) => *text = Text::Sealed(*digest),
                None => rows.extend(text.seal(self.entropy.as_ref())),
            }
        }
        // A version that was denied, or not answered in time, counts as changed when it is sent again.
        let unchanged = newest.as_ref().is_some_and(|newest| Digest::of_json(newest) == Digest::of_json(&new))
            && !is_turned_down(&new, state, self.now());
        // An apply of the version in force withdraws the one that waits.
        let as_new = Digest::of_json(&without_closed(&new, state));
        let as_in_force = in_force.as_ref().is_some_and(|current| Digest::of_json(&without_closed(current, state)) == as_new);
        let narrows = in_force.is_some() && (as_in_force || record::is_provably_narrowing(&differences));
        let action = match &new {
            // What waits for others may still be put in force at once by somebody who can.
            Record::Guardrail(guardrail) => match hand.action(guardrail, state, self.now()) {
                Action::Hold if unchanged => Action::Unchanged,
                Action::Narrow if unchanged && as_in_force => Action::Unchanged,
                action @ (Action::Draft | Action::Hold | Action::Narrow | Action::PutBack | Action::Unchanged) => action,
            },
            _ if unchanged => Action::Unchanged,
            Record::Integration(_) if in_force.is_none() => Action::Draft,
            Record::Api(_) | Record::Integration(_) if narrows => Action::Narrow,
            Record::Api(_) | Record::Integration(_) | Record::Partner(_) => Action::Hold,
        };
        let (kind, subject) = new.name();
        let base = base(&new, state);
        let (approval, owners) = (None, None);
        Ok(Item { kind, subject, action, differences, gains, approval, record: new, narrows, base, rows, owners })
    }

    /// Unseals the texts of a stored record that were not forgotten; also returns digests by text.
    pub async fn unsealed(&self, mut record: Record) -> Result<(Record, HashMap<String, TextDigest>), Failure> {
        let digests: Vec<_> = record.texts_mut().iter().filter_map(|text| text.digest()).collect();
        let rows = self.journal.texts(&digests).await?;
        Ok(joined(record, &rows))
    }

    /// Finds issuers and key URLs that may not be fetched (ABUSE K-02, K-03).
    pub(super) fn unreachable(&self, located: &[Located]) -> Vec<record::Fault> {
        let mut faults = Vec::new();
        for document in located {
            for (at, binding) in bindings(&document.record) {
                let Admits::Jwt(rule) = &binding.admits else { continue };
                let outbound = self.issuers.outbound();
                let (url, judged) = match &rule.keys {
                    KeySource::Discovery(issuer) => (issuer.as_str(), outbound.may_fetch(issuer.as_str())),
                    KeySource::JwksUri(url) => (url.as_str(), outbound.may_fetch_keys(url)),
                    KeySource::BundleUrl(url) => (url.as_str(), outbound.may_fetch(url)),
                    KeySource::Inline(_) | KeySource::InlineBundle(_) => continue,
                };
                if let Err(why) = judged {
                    faults.push(record::Fault {
                        file: document.file.clone(),
                        line: document.line,
                        column: 1,
                        at,
                        reason: &reason::BINDING_ISSUER,
                        message: format!("{url}: {why}"),
                        severity: Severity::Error,
                    });
                }
            }
        }
        faults
    }
}

/// Documents without errors.
struct Sound {
    documents: Vec<(Record, Stored)>,
    /// The same, with their places in the text.
    located: Vec<Located>,
    around: Surroundings,
    /// The rest of the request's budget.
    effort: Effort,
    warnings: Vec<record::Fault>,
    /// The texts of the stored versions.
    texts: Vec<TextDigest>,
    /// The digest of the text that they were read from.
    digest: Digest,
    /// The state that they were checked against.
    view: Arc<View>,
}

/// Makes the change that an apply of `item` records.
fn change(item: &Item, approval: &ApprovalId, by: &Actor, (why, numbers): (Option<&Text>, Numbers), now: Timestamp) -> Change {
    let reason = why.cloned();
    let Numbers { refuses, unknown } = numbers;
    let open = |kind: Kind, version: Digest| Approval {
        reason: why.cloned(),
        ..ask(approval, kind, item.subject.clone(), version, by, Vec::new(), now)
    };
    match (&item.record, item.action) {
        (Record::Api(record), Action::Narrow) => ApiChange::Narrowed { record: Box::new(record.clone()), reason }.into(),
        (Record::Guardrail(record), Action::Narrow | Action::PutBack) => {
            GuardrailChange::Applied { record: Box::new(record.clone()), refuses, unknown, reason }.into()
        }
        (Record::Guardrail(record), Action::Draft | Action::Hold | Action::Unchanged) => GuardrailChange::Submitted {
            approval: open(Kind::Guardrail, Digest::of_json(record)),
            record: Box::new(record.clone()),
            refuses,
            unknown,
        }
        .into(),
        (Record::Api(record), Action::Draft | Action::Hold | Action::PutBack | Action::Unchanged) => {
            ApiChange::Submitted { approval: open(Kind::Api, Digest::of_json(record)), record: Box::new(record.clone()) }.into()
        }
        (Record::Partner(record), Action::Draft | Action::Hold | Action::Narrow | Action::PutBack | Action::Unchanged) => {
            PartnerChange::Submitted {
                approval: open(Kind::Partner, Digest::of_json(record)),
                record: Box::new(record.clone()),
            }
            .into()
        }
        (Record::Integration(record), Action::Narrow) => {
            IntegrationChange::Narrowed { record: Box::new(record.clone()), reason }.into()
        }
        (Record::Integration(record), Action::Hold) => IntegrationChange::ChangeHeld {
            approval: open(Kind::Change, Digest::of_json(record)),
            record: Box::new(record.clone()),
            owners: item.owners.clone(),
        }
        .into(),
        (Record::Integration(record), Action::Draft | Action::PutBack | Action::Unchanged) => {
            IntegrationChange::Drafted { record: Box::new(record.clone()), reason }.into()
        }
    }
}

fn bindings(record: &Record) -> Vec<(String, &Binding)> {
    match record {
        Record::Api(api) => api
            .callers
            .iter()
            .flat_map(|(environment, callers)| {
                callers.iter().enumerate().map(move |(at, caller)| (format!("callers.{environment}[{at}]"), caller))
            })
            .collect(),
        Record::Guardrail(_) | Record::Partner(_) => Vec::new(),
        Record::Integration(integration) => integration
            .environments
            .iter()
            .flat_map(|(environment, access)| {
                let at = move |at: usize| format!("environments.{environment}.bindings[{at}]");
                access.bindings.iter().enumerate().map(move |(i, binding)| (at(i), binding))
            })
            .collect(),
    }
}
