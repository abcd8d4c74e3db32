//! Proposes changes to the journal. No other file of `broker` does.
//!
//! Enter through [`Broker::change_by`] for a person, [`Broker::change_as`] for any other cause. An operation passes a decision: a
//! function of the state that the entry will follow. The journal may call it several times, because another change may come first.
//!
//! This stops an attack (ABUSE I-11): security cuts a person while a request of that person is in flight, after the route
//! authorised it. So the decision checks for a cut again, on the state that the entry follows, and no operation can leave the check
//! out. An architecture test holds that no other file here calls [`Journal::change`](crate::journal::Journal::change).

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

/// A change that an operation decided on, and the rows that are stored in the same transaction.
pub(super) struct Decided {
    /// The change. The journal seals the plain texts in it.
    what: Change,
    /// Texts of records, already sealed.
    texts: Vec<TextRow>,
    /// Rows that are added to the keyring.
    sealed: Vec<SealedBlob>,
    /// Rows that are deleted from the keyring.
    destroyed: Vec<BlobName>,
}

impl Broker {
    /// Makes the change that `decide` returns, in the name of the authorised person.
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

    /// Like [`Self::change_by`], for an operation with its own error type.
    pub(super) async fn try_change_by<P: Permission, D: Into<Decided>, E: From<&'static Reason>>(
        &self,
        by: &Authorized<P>,
        request: Option<ForRequest>,
        mut decide: impl FnMut(&State, Timestamp) -> Result<D, E> + Send,
    ) -> Result<Result<Committed, E>, Unavailable> {
        self.journal.change(request, |state, now| proposed(by, state, || decide(state, now))).await
    }

    /// Makes the change that `decide` returns, for a cause that is not a person.
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

/// Proposes a person's decision, unless the person was cut.
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
    /// Adds texts of records that are already sealed.
    pub fn with_texts(self, texts: Vec<TextRow>) -> Self {
        Self { texts, ..self }
    }

    /// Adds sealed keys to the keyring.
    pub fn with_sealed(self, sealed: Vec<SealedBlob>) -> Self {
        Self { sealed, ..self }
    }

    /// Deletes these rows from the keyring.
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

    /// I-11: a person cut after authorisation changes nothing, even if the decision has no check.
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
                Failure::State(_) | Failure::Stopped(_) | Failure::Faults(_) | Failure::Collides(_) | Failure::Refuses(_) => {
                    "another failure"
                }
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
