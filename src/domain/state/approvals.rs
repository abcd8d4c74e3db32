//! Whether an approval still is about what waits for it.

use super::{Held, Party, State, erasures, exceptions};
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, IntegrationId};

impl Approval {
    /// Whether what it is about is still what waits for it: the version that was shown, the suspensions, the revocation.
    pub fn is_current(&self, state: &State) -> bool {
        let waits = |known: Option<(&Option<ApprovalId>, Digest)>| {
            known.is_some_and(|(approval, version)| approval.as_ref() == Some(&self.id) && version == self.version)
        };
        fn held<T>(held: &Option<Box<Held<T>>>) -> Option<(&Option<ApprovalId>, Digest)> {
            held.as_ref().map(|held| (&held.approval, held.version.version))
        }
        let named = self.subject.as_str();
        let integration = || state.integrations.get(&named.parse::<IntegrationId>().ok()?);
        let case = || state.offboardings.find(named).filter(|case| case.is_open());
        match self.kind {
            Kind::Abort => case().is_some_and(|case| case.abort.as_ref().is_some_and(|(asked, _)| *asked == self.id)),
            Kind::Offboarding => case().is_some_and(|case| case.sign_off.as_ref() == Some(&self.id)),
            Kind::Api => waits(state.apis.get(named).and_then(|api| held(&api.held))),
            Kind::Environment => state.closures.asked(named) == Some(&self.id),
            Kind::Erasure => state.erasure(&self.id).is_some_and(|texts| erasures::version(texts) == self.version),
            Kind::Exception => integration().is_some_and(|one| {
                let asked = one.exceptions.asked_by(&self.id).and_then(|id| Some((id, state.exception(id)?.1)));
                asked.is_some_and(|(id, secret)| exceptions::version(id, secret) == self.version)
            }),
            Kind::Guardrail => state.guardrails.get(named).is_some_and(|one| {
                let removal = one.removal.as_ref() == Some(&self.id) && one.removal_version() == Some(self.version);
                removal || waits(held(&one.held))
            }),
            Kind::Partner => waits(state.partners.get(named).and_then(|partner| held(&partner.held))),
            Kind::Integration | Kind::Change => waits(integration().and_then(|one| held(&one.held))),
            Kind::Resume => {
                let suspensions = Party::of_subject(named).and_then(|party| state.suspensions(&party));
                suspensions.is_some_and(|known| known.resume() == Some(&self.id))
            }
            Kind::Review => {
                let campaign = state.recertification.campaign(named).map(|(_, campaign)| campaign);
                campaign.is_some_and(|one| {
                    one.started.is_none() && one.approval.as_ref() == Some(&self.id) && one.terms.version() == self.version
                })
            }
            Kind::Lift => {
                let revocation = state.revocations.get(named);
                revocation.is_some_and(|one| !one.lifted && one.lift.as_ref() == Some(&self.id))
            }
            Kind::Enrolment => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::approval;
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::people::actor::{Actor, Person};
    use crate::domain::registry::suspension::version;
    use crate::domain::value::clock::Timestamp;
    use crate::domain::value::text::Text;

    fn sven() -> Actor {
        Actor::Staff(Person { iss: "https://idp.example".parse().expect("issuer"), id: "sven".into(), name: None })
    }

    /// What a review rests on is the set of suspensions that was shown: another one beside them withdraws it.
    #[test]
    fn a_suspension_that_came_later_is_not_what_was_shown() {
        let mut state = crate::domain::fixture::state();
        let integration: IntegrationId = "globex/order-sync".parse().expect("an id");
        let mut index = 100;
        let mut apply = |state: &mut State, change: IntegrationChange| {
            index += 1;
            state.apply(index, Timestamp::default(), &change.by(sven()));
        };
        let suspend = |why: &str| IntegrationChange::suspended(integration.clone(), why.into());
        apply(&mut state, suspend("odd calls"));
        let lifts = state.integrations[&integration].suspensions.named(&[]);
        let version = self::version(&integration.to_string(), &lifts);
        let asked = approval("a1", Kind::Resume, &integration.to_string(), version);
        let (id, reason) = (asked.id.clone(), "explained".into());
        let suspensions = lifts.iter().map(|one| one.id.clone()).collect();
        let (integration_asked, approval) = (integration.clone(), asked);
        apply(&mut state, IntegrationChange::ResumeAsked { integration: integration_asked, reason, approval, suspensions });
        let known = &state.approvals[&id];
        assert!(known.is_current(&state));
        assert_eq!(known.reason.as_ref().and_then(Text::plain), Some("explained"));
        assert_eq!(self::version(&known.subject, &known.opened.lifts), known.version);
        apply(&mut state, suspend("a stolen key"));
        let known = &state.approvals[&id];
        assert!(!known.is_current(&state) && known.withdrawn);
        let both = state.integrations[&integration].suspensions.named(&[]);
        assert_eq!((both.len(), known.opened.lifts.len()), (2, 1), "it would lift what it named, and no other");
        assert_ne!(self::version(&known.subject, &both), known.version);
    }

    /// Every kind of record waits under the version that its approval names, and no longer once it is in force.
    #[test]
    fn a_version_that_is_in_force_or_replaced_waits_no_more() {
        let mut state = crate::domain::fixture::state();
        let integration: IntegrationId = "globex/order-sync".parse().expect("an id");
        let mut record = state.integrations[&integration].current.as_ref().expect("a record").record.as_ref().clone();
        let mut hold = |state: &mut State, id: &str, purpose: &str| {
            record.purpose = purpose.into();
            let (subject, version) = (integration.to_string(), Digest::of_json(&record));
            let id: ApprovalId = id.parse().expect("an id");
            let asked = approval(id.as_str(), Kind::Change, &subject, version);
            let what = IntegrationChange::ChangeHeld { record: Box::new(record.clone()), approval: asked, owners: None };
            state.apply(200, Timestamp::default(), &what.by(Actor::Operator));
            (id, version)
        };
        let (first, _) = hold(&mut state, "first", "one");
        assert!(state.approvals[&first].is_current(&state));
        let (second, version) = hold(&mut state, "second", "two");
        assert!(!state.approvals[&first].is_current(&state) && state.approvals[&second].is_current(&state));
        let what = IntegrationChange::Changed { integration: integration.clone(), version, owners: None };
        state.apply(201, Timestamp::default(), &what.by(Actor::Broker));
        assert!(!state.approvals[&second].is_current(&state));
    }
}
