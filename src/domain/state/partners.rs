//! Folds changes of partners.

use super::effects::{Effects, Entered};
use super::opening::Opening;
use super::versions::{hold, promote};
use super::{State, Stop};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::partner::PartnerChange;

impl State {
    pub(super) fn apply_partner(&mut self, entry: Entered<'_>, change: &PartnerChange) -> Effects {
        match change {
            PartnerChange::Submitted { record, approval } => {
                let held = hold(record.as_ref(), entry, approval);
                let earlier = self.partners.entry(record.name.clone()).or_default().held.replace(held);
                self.open(entry.at, earlier.and_then(|held| held.approval), Opening::of_version(approval));
                Effects::judged()
            }
            PartnerChange::Verified { partner, version } => {
                if let Some(partner) = self.partners.get_mut(partner) {
                    let promoted = promote(&mut partner.held, &mut partner.current, version);
                    self.list_granted(promoted.flatten().as_ref());
                }
                Effects::judged()
            }
            PartnerChange::Suspended { partner: name, reason } => {
                let Some(partner) = self.partners.get_mut(name) else { return Effects::judged() };
                let stop = Box::new(Stop { by: entry.by.clone(), reason: reason.clone(), at: entry.at, lift: None });
                let earlier = partner.suspended.replace(stop);
                self.list_granted(earlier.and_then(|stop| stop.lift).as_ref());
                Effects::judged().revoking([RevocationTarget::Partner { partner: name.clone() }])
            }
            PartnerChange::ResumeAsked { partner, reason, approval } => {
                let mut stop = self.partners.get_mut(partner).and_then(|partner| partner.suspended.as_mut());
                let earlier = stop.as_mut().and_then(|stop| stop.lift.replace(approval.id.clone()));
                let stop = stop.cloned();
                self.open(entry.at, earlier, Opening { approval, reason: Some(reason), stop });
                Effects::judged()
            }
            PartnerChange::Resumed { partner } => {
                let lifted = self.partners.get_mut(partner).and_then(|partner| partner.suspended.take());
                self.list_granted(lifted.and_then(|stop| stop.lift).as_ref());
                Effects::judged()
            }
        }
    }
}
