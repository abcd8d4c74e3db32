//! Folds changes of partners.

use std::sync::Arc;

use super::effects::{Effects, Entered};
use super::narrowings::Whose;
use super::opening::Opening;
use super::suspensions::{ResumeAsked, Suspended};
use super::versions::{hold, promote};
use super::{Party, State};
use crate::domain::log::partner::PartnerChange;
use crate::domain::record::taken_away;
use crate::domain::registry::suspension::SuspensionCause;
use crate::domain::value::names::PartnerName;

impl State {
    pub(super) fn apply_partner(&mut self, entry: Entered<'_>, change: &PartnerChange) -> Effects {
        let party = |partner: &PartnerName| Party::Partner(partner.clone());
        match change {
            PartnerChange::Submitted { record, approval } => {
                let held = hold(record.as_ref().clone(), entry, approval);
                let earlier = self.partners.entry(record.name.clone()).or_default().held.replace(held);
                self.open(entry.at, earlier.and_then(|held| held.approval), Opening::of_version(approval));
                Effects::judged()
            }
            PartnerChange::Verified { partner, version } => {
                if let Some(known) = self.partners.get_mut(partner) {
                    let old = known.current.as_ref().map(|current| Arc::clone(&current.record));
                    let promoted = promote(&mut known.held, &mut known.current, version);
                    let both = old.as_deref().zip(known.current.as_ref());
                    let away = both.and_then(|(old, new)| taken_away::of_partner(old, &new.record));
                    self.narrowed(entry, away.map(|away| (Whose::Partner(partner.clone()), away)));
                    self.list_granted(promoted.flatten().as_ref());
                }
                Effects::judged()
            }
            PartnerChange::Suspended { partner, reason, id, environments } => self.suspend(
                entry,
                &party(partner),
                Suspended { id: id.as_ref(), environments, reason, cause: SuspensionCause::Decision, signal: None },
            ),
            PartnerChange::ResumeAsked { partner, reason, approval, suspensions } => {
                self.ask_resume(entry, &party(partner), ResumeAsked { approval, reason, named: suspensions })
            }
            PartnerChange::Resumed { partner, suspensions } => self.resume(entry, &party(partner), suspensions),
        }
    }
}
