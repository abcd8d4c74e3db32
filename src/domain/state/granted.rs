//! The approvals that every reviewer gave and whose effect has not come yet.
//!
//! [`State::granted`] lists them, so that a look for what follows costs what waits and not what there is.

use super::State;
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::value::names::ApprovalId;

impl State {
    /// The complete approvals whose effect has not come yet, by their ids.
    pub(in crate::domain) fn granted(&self) -> impl Iterator<Item = &Approval> {
        self.granted.iter().filter_map(|id| self.approvals.get(id).map(|approval| &**approval))
    }

    /// Lists an approval as granted or takes it off the list, after a change of it or of what waits for it.
    pub(super) fn list_granted(&mut self, id: Option<&ApprovalId>) {
        let Some(id) = id else { return };
        if self.approvals.get(id).is_some_and(|approval| approval.is_granted(self)) {
            self.granted.insert(id.clone());
        } else {
            self.granted.remove(id);
        }
    }
}

impl Approval {
    /// Whether it is complete and what it is about still waits for it. The approval of an enrolment is used by the enrolment itself.
    pub(super) fn is_granted(&self, state: &State) -> bool {
        self.kind != Kind::Enrolment && self.is_complete() && self.is_current(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credential::revocation::RevocationTarget;
    use crate::domain::fixture::{approval, at, state};
    use crate::domain::log::approval::ApprovalChange;
    use crate::domain::log::change::Change;
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::log::partner::PartnerChange;
    use crate::domain::log::revocation::RevocationChange;
    use crate::domain::people::actor::{Actor, Person, Role};
    use crate::domain::registry::approval::Verdict;
    use crate::domain::value::digest::Digest;
    use crate::domain::value::names::{IntegrationId, PartnerName, RevocationId};
    use crate::domain::value::text::Text;

    /// A change that asks, one that has an effect, and the subject that the approval names.
    struct Case {
        before: Option<Change>,
        asked: Change,
        subject: String,
        ends: Vec<Change>,
    }

    fn stops() -> Vec<Case> {
        let integration: IntegrationId = "globex/order-sync".parse().expect("an id");
        let partner: PartnerName = "globex".parse().expect("a name");
        let revocation: RevocationId = "r1".parse().expect("an id");
        let odd = || Text::from("odd");
        let resume = |subject: &str| approval("asked", Kind::Resume, subject, Digest::of(b"a suspension"));
        let id = || integration.clone();
        let stop: Change = IntegrationChange::suspended(id(), odd()).into();
        let stop_partner: Change = PartnerChange::suspended(partner.clone(), odd()).into();
        let lift = approval("asked", Kind::Lift, "r1", Digest::of(b"a revocation"));
        let target = RevocationTarget::Integration { integration: id() };
        let revoked =
            RevocationChange::Added { id: revocation.clone(), target, tokens_only: false, reason: odd(), client: None };
        vec![
            Case {
                before: Some(stop.clone()),
                asked: IntegrationChange::ResumeAsked {
                    integration: id(),
                    reason: odd(),
                    approval: resume("globex/order-sync"),
                    suspensions: Vec::new(),
                }
                .into(),
                subject: integration.to_string(),
                ends: vec![IntegrationChange::Resumed { integration: id(), suspensions: Vec::new() }.into(), stop],
            },
            Case {
                before: Some(stop_partner.clone()),
                asked: PartnerChange::ResumeAsked {
                    partner: partner.clone(),
                    reason: odd(),
                    approval: resume("globex"),
                    suspensions: Vec::new(),
                }
                .into(),
                subject: partner.to_string(),
                ends: vec![PartnerChange::Resumed { partner, suspensions: Vec::new() }.into(), stop_partner],
            },
            Case {
                before: Some(revoked.into()),
                asked: RevocationChange::LiftAsked { id: revocation.clone(), reason: odd(), approval: lift }.into(),
                subject: revocation.to_string(),
                ends: vec![RevocationChange::Lifted { id: revocation }.into()],
            },
        ]
    }

    /// A granted approval is listed from the last review until its effect, or until what it was about is replaced.
    #[test]
    fn a_granted_approval_is_listed_until_its_effect() {
        for case in stops() {
            for end in &case.ends {
                let mut state = state();
                let by =
                    Actor::Staff(Person { iss: "https://idp.example".parse().expect("issuer"), id: "ann".into(), name: None });
                let mut index = 100;
                let mut apply = |state: &mut State, what: &Change| {
                    index += 1;
                    state.apply(index, at(0), &what.clone().by(by.clone()));
                };
                case.before.iter().for_each(|before| apply(&mut state, before));
                apply(&mut state, &case.asked);
                assert_eq!(state.granted().count(), 0);
                let (approval, reason) = ("asked".parse().expect("an id"), "looked at".into());
                let (verdict, roles) = (Verdict::Approve, [Role::Security].into());
                apply(&mut state, &ApprovalChange::Reviewed { approval, verdict, reason, roles }.into());
                let granted: Vec<&str> = state.granted().map(|approval| approval.subject.as_str()).collect();
                assert_eq!(granted, [case.subject.as_str()]);
                apply(&mut state, end);
                assert_eq!(state.granted().count(), 0, "after {end:?}");
            }
        }
    }
}
