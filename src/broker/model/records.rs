//! The steps of records: they are applied, submitted and discarded, and a guardrail is to be removed.

use super::Who;
use super::steps::{Doc, Taken, World, feed, sync};
use crate::broker::exception::without_closed;
use crate::broker::guardrail::Hand;
use crate::broker::plan::Action;
use crate::broker::review::ask;
use crate::broker::stored::{Stored, ensure_may_apply, is_turned_down};
use crate::domain::decision::check::conflicts_in;
use crate::domain::decision::longest;
use crate::domain::fixture::{at, production};
use crate::domain::log::api::ApiChange;
use crate::domain::log::change::Change;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::people::actor::Submit;
use crate::domain::record::{self, Record};
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::integration::Integration;
use crate::domain::state::Phase;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;

impl World {
    pub(super) fn integration(&self) -> Integration {
        self.state.integrations[&sync()].current.as_ref().expect("in force").record.as_ref().clone()
    }

    pub(super) fn document(&self, doc: Doc) -> Record {
        let start = || {
            let mut record = self.integration();
            record.contract.ends = at(20_000_000);
            record.purpose = "Copies orders.".into();
            record
        };
        let guardrail = |mode| Guardrail {
            name: "none".parse().expect("a name"),
            meaning: "Nothing.".into(),
            managed_by: None,
            mode,
            cedar: "forbid (principal, action, resource) when { context.elevated };".into(),
        };
        match doc {
            Doc::Base => Record::Integration(start()),
            Doc::Wider => {
                let mut record = start();
                record.contract.ends = at(25_000_000);
                Record::Integration(record)
            }
            Doc::Narrower => {
                let mut record = start();
                record.contract.ends = at(10_000_000);
                Record::Integration(record)
            }
            Doc::Draft => {
                let mut record = Integration { id: feed(), exceptions: Vec::new(), ..start() };
                // A review may have taken the environment out of the record.
                if let Some(access) = record.environments.get_mut(&production()) {
                    access.bindings.clear();
                    access.bindings.push(crate::domain::registry::binding::Binding {
                        name: "cert".parse().expect("a name"),
                        admits: crate::domain::registry::binding::Admits::Certificate,
                    });
                }
                Record::Integration(record)
            }
            Doc::Partner => {
                let known = self.state.partners.values().next().and_then(|known| known.current.as_ref()).expect("verified");
                let mut record = known.record.as_ref().clone();
                record.name = "initech".parse().expect("a name");
                Record::Partner(record)
            }
            Doc::Api => {
                let known = self.state.apis.values().next().and_then(|api| api.current.as_ref()).expect("in force");
                let mut record = known.record.as_ref().clone();
                let entry = record.scopes.values().next().expect("a scope").clone();
                record.scopes.insert("orders:write".parse().expect("a scope"), entry);
                Record::Api(record)
            }
            Doc::Shadow => Record::Guardrail(guardrail(Mode::Shadow)),
            Doc::Enforce => Record::Guardrail(guardrail(Mode::Enforce)),
        }
    }

    /// As `Broker::apply` and `item` weigh a document and store it.
    pub(super) fn apply(&mut self, who: Who, new: Record) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let (state, now, hand) = (&self.state, at(self.now), Hand::of(&by));
        ensure_may_apply(&by, &new, state, now).ok()?;
        let Stored { newest, in_force } = Stored::of(&new, state);
        let against = in_force.as_ref().or(newest.as_ref()).map(|against| without_closed(against, state));
        let compared = without_closed(&new, state);
        let differences = record::compare(against.as_ref(), &compared, &mut Effort::default()).ok()?;
        let is = |one: &Record, other: &Record| Digest::of_json(one) == Digest::of_json(other);
        let unchanged = newest.as_ref().is_some_and(|newest| is(newest, &new)) && !is_turned_down(&new, state, now);
        let as_in_force = in_force.as_ref().is_some_and(|current| is(&without_closed(current, state), &compared));
        let narrows = in_force.is_some() && (as_in_force || record::is_provably_narrowing(&differences));
        let action = match &new {
            Record::Guardrail(guardrail) => match hand.action(guardrail, state, now) {
                Action::Hold if unchanged => Action::Unchanged,
                Action::Narrow if unchanged && as_in_force => Action::Unchanged,
                action => action,
            },
            _ if unchanged => Action::Unchanged,
            Record::Integration(_) if in_force.is_none() => Action::Draft,
            Record::Api(_) | Record::Integration(_) if narrows => Action::Narrow,
            Record::Api(_) | Record::Integration(_) | Record::Partner(_) => Action::Hold,
        };
        if action == Action::Unchanged {
            return None;
        }
        let holder = new.holder().filter(|_| !narrows);
        if holder.is_some_and(|holder| !conflicts_in(holder, state, now, &mut Effort::default()).is_empty()) {
            return None;
        }
        if let Record::Guardrail(guardrail) = &new {
            hand.ensure_may_replace(&guardrail.name, state, now).ok()?;
        }
        let (_, subject) = new.name();
        let open = |kind: Kind, version: Digest| {
            let id = self.fresh("version", &subject);
            ask(&id, kind, subject.clone(), version, &by.actor(), Vec::new(), now)
        };
        let (refuses, unknown, reason) = (0, 0, None);
        let (change, approval): (Change, Option<Approval>) = match (new, action) {
            (Record::Api(record), Action::Narrow) => (ApiChange::Narrowed { record: Box::new(record), reason }.into(), None),
            (Record::Guardrail(record), Action::Narrow | Action::PutBack) => {
                (GuardrailChange::Applied { record: Box::new(record), refuses, unknown, reason }.into(), None)
            }
            (Record::Guardrail(record), _) => {
                let approval = open(Kind::Guardrail, Digest::of_json(&record));
                let (asked, record) = (approval.clone(), Box::new(record));
                (GuardrailChange::Submitted { approval, record, refuses, unknown }.into(), Some(asked))
            }
            (Record::Api(record), _) => {
                let approval = open(Kind::Api, Digest::of_json(&record));
                (ApiChange::Submitted { approval: approval.clone(), record: Box::new(record) }.into(), Some(approval))
            }
            (Record::Partner(record), _) => {
                let approval = open(Kind::Partner, Digest::of_json(&record));
                (PartnerChange::Submitted { approval: approval.clone(), record: Box::new(record) }.into(), Some(approval))
            }
            (Record::Integration(record), Action::Narrow) => {
                (IntegrationChange::Narrowed { record: Box::new(record), reason }.into(), None)
            }
            (Record::Integration(record), Action::Hold) => {
                let approval = open(Kind::Change, Digest::of_json(&record));
                let (asked, record) = (approval.clone(), Box::new(record));
                (IntegrationChange::ChangeHeld { approval, record, owners: None }.into(), Some(asked))
            }
            (Record::Integration(record), _) => (IntegrationChange::Drafted { record: Box::new(record), reason }.into(), None),
        };
        self.fold(by.actor(), change);
        Some(Taken { approval: approval.map(|approval| approval.id) })
    }

    /// As `Broker::submit`.
    pub(super) fn submit(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let (id, now) = (feed(), at(self.now));
        let known = self.state.integrations.get(&id)?;
        let held = known.held.as_ref().filter(|_| known.phase() == Phase::Draft)?;
        let is_free = known.suspensions.first_of_all().is_none()
            && longest::in_state(&held.version.record, &self.state, now).is_empty()
            && conflicts_in(
                Record::Integration(held.version.record.as_ref().clone()).holder()?,
                &self.state,
                now,
                &mut Effort::default(),
            )
            .is_empty();
        let barred = held.version.by.person().cloned().into_iter().collect();
        let asked = self.fresh("submit", &id.to_string());
        let approval = ask(&asked, Kind::Integration, id.to_string(), held.version.version, &by.actor(), barred, now);
        is_free.then(|| self.fold(by.actor(), IntegrationChange::Submitted { integration: id, approval, owners: None }))?;
        Some(Taken { approval: Some(asked) })
    }

    pub(super) fn discard(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let version = self.state.integrations.get(&feed())?.discardable().ok()?.version;
        let (integration, reason) = (feed(), "odd".into());
        self.fold(by.actor(), IntegrationChange::Discarded { integration, version, reason });
        Some(Taken::default())
    }

    /// As `Broker::remove_guardrail`.
    pub(super) fn remove_guardrail(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let (name, now) = ("none".parse().expect("a name"), at(self.now));
        let known = self.state.guardrails.get("none")?;
        Hand::of(&by).ensure_may_replace(&name, &self.state, now).ok()?;
        let version = known.removal_version()?;
        let asked = self.fresh("removal", name.as_str());
        let approval = ask(&asked, Kind::Guardrail, name.to_string(), version, &by.actor(), Vec::new(), now);
        self.fold(by.actor(), GuardrailChange::RemovalAsked { guardrail: name, reason: "odd".into(), approval });
        Some(Taken { approval: Some(asked) })
    }
}
