//! What a change does beside its own noun: what it revokes, which versions it moves, and whether records are judged anew.
//!
//! Each noun's `apply` returns [`Effects`], and [`State::apply`](super::State::apply) carries them out. So no second list says what a kind of change cuts.

use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::people::actor::Actor;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::ClientId;

/// The entry that a change stands in.
#[derive(Clone, Copy)]
pub(super) struct Entered<'a> {
    /// Its place in the log.
    pub index: u64,
    /// The store's time when it was written.
    pub at: Timestamp,
    /// Who caused the change.
    pub by: &'a Actor,
}

/// What a change does beside its own noun.
#[must_use = "what a change revokes has to be cut"]
pub(super) struct Effects {
    /// The targets whose tokens the change cuts.
    pub revokes: Vec<RevocationTarget>,
    /// The record whose versions the change moves.
    pub versions: Option<Versions>,
    /// Whether a judgement of records, or what follows from the state, can come out otherwise now.
    pub judged: bool,
}

/// The record whose versions a change moves.
pub(super) enum Versions {
    /// A version that only waits came, went, or was denied.
    Waiting(ClientId),
    /// A version came into force.
    InForce(ClientId),
}

impl Effects {
    /// No effect but that records are judged again, as after most changes.
    pub fn judged() -> Self {
        Self { revokes: Vec::new(), versions: None, judged: true }
    }

    /// No effect at all: for changes that workloads make often and that no judgement depends on.
    ///
    /// If they counted, every judgement under way would start again.
    pub fn unjudged() -> Self {
        Self { judged: false, ..Self::judged() }
    }

    /// Adds targets whose tokens the change cuts.
    pub fn revoking(self, targets: impl IntoIterator<Item = RevocationTarget>) -> Self {
        Self { revokes: targets.into_iter().collect(), ..self }
    }

    /// Adds the record whose versions the change moves.
    pub fn moving(self, versions: Versions) -> Self {
        Self { versions: Some(versions), ..self }
    }
}
