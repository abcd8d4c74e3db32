//! How every operation changes something: the one place of this room that proposes changes to the journal.
//!
//! Enter through [`Broker::change_by`] for a person, [`Broker::change_as`] for anybody else. An operation hands over a decision: a
//! function of the state that the entry will follow. It may be asked several times, because another change may come first.
//!
//! The attack that this stops (ABUSE I-11): security cuts a person while a request of that person is under way. The route has let the
//! request in already. So the cut is asked for again in the decision, on the state that the entry follows, and no operation can leave
//! that out. An architecture test holds that nothing else in this room calls [`Journal::change`](crate::journal::Journal::change).

use super::Broker;
use super::cause::Cause;
use super::failure::Failure;
use crate::domain::log::change::Change;
use crate::domain::people::actor::{Actor, Authorized, Permission};
use crate::domain::reason::Reason;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::TextRow;
use crate::journal::{BlobName, Committed, ForRequest, Proposal, SealedBlob, Unavailable};

/// A change that an operation decided on, with what is stored in the same transaction.
pub(super) struct Decided {
    /// The change. The journal seals the plain texts in it.
    what: Change,
    /// Texts of records, which were sealed already.
    texts: Vec<TextRow>,
    /// Rows that the keyring gets.
    sealed: Vec<SealedBlob>,
    /// Rows that the keyring loses.
    destroyed: Vec<BlobName>,
}

impl Broker {
    /// Makes the change that `decide` finds, in the name of the person who was let in.
    ///
    /// # Errors
    /// The person was cut meanwhile, `decide` fails, or the journal does not take the change.
    pub(super) async fn change_by<P: Permission, D: Into<Decided>>(
        &self,
        by: &Authorized<P>,
        request: Option<ForRequest>,
        decide: impl FnMut(&State, Timestamp) -> Result<D, Failure> + Send,
    ) -> Result<Committed, Failure> {
        self.try_change_by(by, request, decide).await?
    }

    /// The same for an operation with errors of its own.
    pub(super) async fn try_change_by<P: Permission, D: Into<Decided>, E: From<&'static Reason>>(
        &self,
        by: &Authorized<P>,
        request: Option<ForRequest>,
        mut decide: impl FnMut(&State, Timestamp) -> Result<D, E> + Send,
    ) -> Result<Result<Committed, E>, Unavailable> {
        self.journal.change(request, |state, now| proposed(by, state, || decide(state, now))).await
    }

    /// Makes the change that `decide` finds, in the name of somebody who is no person.
    pub(super) async fn change_as<D: Into<Decided>, E>(
        &self,
        cause: Cause,
        request: Option<ForRequest>,
        mut decide: impl FnMut(&State, Timestamp) -> Result<D, E> + Send,
    ) -> Result<Result<Committed, E>, Unavailable> {
        let actor = Actor::from(cause);
        self.journal.change(request, |state, now| decide(state, now).map(|decided| decided.into().by(actor.clone()))).await
    }
}

/// What a person's decision proposes, if the person was not cut.
fn proposed<P: Permission, D: Into<Decided>, E: From<&'static Reason>>(
    by: &Authorized<P>,
    state: &State,
    decide: impl FnOnce() -> Result<D, E>,
) -> Result<Proposal, E> {
    let staff = by.staff();
    state.ensure_not_cut(&staff.person)?;
    decide().map(|decided| decided.into().by(staff.actor()))
}

impl Decided {
    /// The same, with texts of records that were sealed already.
    pub fn with_texts(self, texts: Vec<TextRow>) -> Self {
        Self { texts, ..self }
    }

    /// The same, with sealed keys that the keyring gets.
    pub fn with_sealed(self, sealed: Vec<SealedBlob>) -> Self {
        Self { sealed, ..self }
    }

    /// The same, and the keyring loses these rows.
    pub fn destroying(self, destroyed: Vec<BlobName>) -> Self {
        Self { destroyed, ..self }
    }

    fn by(self, actor: Actor) -> Proposal {
        let Self { what, texts, sealed, destroyed } = self;
        Proposal { change: what.by(actor), texts, sealed, destroy: destroyed }
    }
}

impl<C: Into<Change>> From<C> for Decided {
    fn from(change: C) -> Self {
        Self { what: change.into(), texts: Vec::new(), sealed: Vec::new(), destroyed: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture;
    use crate::domain::log::staff::StaffChange;
    use crate::domain::people::actor::{Contain, Person, Role, Staff};
    use crate::domain::reason;

    /// I-11: a person who was let in and then cut changes nothing more, not even by a decision that asks nothing.
    #[test]
    fn i_11_a_cut_that_comes_in_between_counts() {
        let person = |id: &str| Person { iss: "https://idp.example".parse().expect("an issuer"), id: id.into(), name: None };
        let staff = |id: &str| {
            let (person, roles) = (person(id), [Role::Security].into_iter().collect());
            let staff = Staff { person, roles, machine: false, fresh: true, until: Timestamp::MAX };
            Authorized::<Contain>::assertion(staff).expect("security")
        };
        let (sven, sara) = (staff("sven"), staff("sara"));
        let mut state = fixture::state();
        let propose = |by: &Authorized<Contain>, state: &State| {
            let cut = StaffChange::Cut { person: person("raj"), reason: "left".into() };
            let proposal = proposed(by, state, || Ok::<_, Failure>(cut));
            proposal.map(|proposal| proposal.change.by.person().cloned()).map_err(|failure| match failure {
                Failure::Refused(reason) => reason.code,
                Failure::Stopped(_) | Failure::Faults(_) | Failure::Collides(_) => "another failure",
            })
        };
        for by in [&sven, &sara] {
            assert!(propose(by, &state).expect("proposed").expect("a person").is(&by.staff().person));
        }
        let cut = StaffChange::Cut { person: person("sven"), reason: "a stolen laptop".into() };
        state.apply(100, fixture::at(0), &cut.by(Actor::Operator));
        assert_eq!(propose(&sven, &state).err(), Some(reason::STAFF_CUT.code));
        assert!(propose(&sara, &state).is_ok());
    }
}
