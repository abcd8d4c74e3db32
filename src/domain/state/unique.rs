//! The unique texts and rules of records, for those in force and those that wait for people.

use super::State;
use super::effects::Versions;
use super::taken::Holder;
use crate::domain::registry::approval::Standing;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, ClientId};

impl State {
    /// Follows with what must be unique, where a version of a record came, went, was denied or took force. What reserves nothing is not
    /// in the index: whoever is judged would pay for it with the steps of their own request.
    pub(super) fn take(&mut self, versions: &Versions, at: Timestamp) {
        let (Versions::Waiting(client) | Versions::InForce(client)) = versions;
        let client = &self.known_client(client);
        let (current, held) = match client {
            ClientId::Api(name) => {
                let Some(api) = self.apis.get(name) else { return };
                let held = api.held.as_ref().filter(|held| self.may_come(held.approval.as_ref(), at));
                let held = held.map(|held| Holder::Api(&held.version.record));
                (api.current.as_ref().map(|current| Holder::Api(&current.record)), held)
            }
            ClientId::Integration(id) => {
                let Some(integration) = self.integrations.get(id) else { return };
                let held = integration.held.as_ref().filter(|held| self.may_come(held.approval.as_ref(), at));
                let held = held.map(|held| Holder::Integration(&held.version.record));
                (integration.current.as_ref().map(|current| Holder::Integration(&current.record)), held)
            }
        };
        self.waiting.replace(client, held);
        // A version that only waits leaves what is in force as it is.
        match versions {
            Versions::InForce(_) => self.in_force.replace(client, current),
            Versions::Waiting(_) => {}
        }
    }

    /// Whether a version that waits for `approval` may still come. A draft waits for none; what was denied, withdrawn, or not answered
    /// in time does not come.
    pub fn may_come(&self, approval: Option<&ApprovalId>, at: Timestamp) -> bool {
        let standing = approval.and_then(|id| self.approvals.get(id)).map(|approval| approval.standing(at));
        matches!(standing, Some(Standing::Pending | Standing::Approved))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::credential::revocation::RevocationTarget;
    use crate::domain::fixture::{at, production, state};
    use crate::domain::log::revocation::RevocationChange;
    use crate::domain::people::actor::Actor;

    /// S-2: a workload that revokes its own tokens all day has nobody judged anew. A revocation of a partner has.
    #[test]
    fn what_workloads_do_often_has_no_judgement_made_again() {
        let mut state = state();
        let mut moves = |target: RevocationTarget| {
            let before = state.generation;
            let (id, reason) = (format!("r{before}").parse().expect("an id"), "x".into());
            let revoked = RevocationChange::Added { id, target, tokens_only: false, reason, client: None };
            state.apply(50, at(0), &revoked.by(Actor::Operator));
            state.generation - before
        };
        let token = RevocationTarget::Token { environment: production(), id: "t1".parse().expect("an id"), expires: at(600) };
        assert_eq!(moves(token), 0);
        assert_eq!(moves(RevocationTarget::Partner { partner: "globex".parse().expect("a name") }), 1);
    }
}
