//! What a change may move: the parts of the state that have to be judged anew after it.

use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::change::Change;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::registry::approval::Kind;
use crate::domain::registry::suspension::Party;
use crate::domain::state::State;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::taken::Holder;
use crate::domain::value::names::{ApiName, ClientId, IntegrationId};

/// A part of the state that is judged by itself.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Unit {
    Catalogue,
    Cases,
    Integration(IntegrationId),
    Signals,
}

/// The units that a change may have moved.
#[derive(Default)]
pub(super) struct Moved {
    /// Those that it is about.
    pub own: Vec<Unit>,
    /// Others.
    pub beside: Vec<Unit>,
    /// Whether it may have moved all of them.
    pub all: bool,
}

/// The units that a change may move, by the state before it or after it.
pub(super) fn moved(change: &Change, state: &State) -> Moved {
    match change {
        Change::Configuration(_) | Change::Environment(_) | Change::Journal(_) => Moved::all(),
        // A certificate, a key of ours and a guardrail admit or forbid tokens, which are judged one by one.
        Change::Certificate(_)
        | Change::Key(_)
        | Change::Guardrail(_)
        | Change::IssuerKey(_)
        | Change::Passkey(_)
        | Change::Staff(_)
        | Change::Dates(_)
        | Change::Evidence(_)
        | Change::Mail(_)
        | Change::Text(_) => Moved::default(),
        Change::Api(change) => moved_by_api(change.api(), state),
        Change::Approval(change) => moved_by_approval(change, state),
        Change::Partner(change) => Moved::of(of(&Party::Partner(change.partner().clone()), state)),
        Change::Integration(change) => moved_integration(change.integration(), state),
        Change::Exception(change) => moved_integration(change.integration(), state),
        Change::Elevation(change) => {
            let request = state.elevations.find(change.elevation());
            Moved::of(request.map(|request| Unit::Integration(request.elevation.integration.clone())))
        }
        Change::Recertification(change) => change.integration().map_or_else(Moved::all, |id| moved_integration(id, state)),
        Change::Revocation(change) => moved_by_revocation(change, state),
        Change::Signal(change) => {
            let about = of(&Party::of_signal(change.about()).0, state);
            Moved::of(about.into_iter().chain([Unit::Signals]))
        }
        Change::Offboarding(change) => {
            let case = change.offboarding().and_then(|id| state.offboardings.find(id.as_str()));
            let own = case.into_iter().flat_map(|case| case.integrations.iter().cloned().map(Unit::Integration));
            // What came after the case had begun is held by it too, and no part of it.
            let held = case.into_iter().flat_map(|case| of(&case.about, state));
            Moved { own: own.chain(held).collect(), beside: vec![Unit::Cases, Unit::Signals], all: false }
        }
        Change::Directory(change) => moved_by_directory(change, state),
    }
}

fn of(party: &Party, state: &State) -> Vec<Unit> {
    state.integrations_in(party).into_iter().map(Unit::Integration).collect()
}

/// An integration, and whoever is admitted by the same proofs.
fn moved_integration(id: &IntegrationId, state: &State) -> Moved {
    let current = state.integrations.get(id).and_then(|known| known.current.as_ref());
    let beside = current.map(|current| sharing(Holder::Integration(&current.record), state)).unwrap_or_default();
    Moved { own: vec![Unit::Integration(id.clone())], beside, all: false }
}

fn sharing(record: Holder<'_>, state: &State) -> Vec<Unit> {
    let unit = |client: ClientId| match client {
        ClientId::Integration(id) => Some(Unit::Integration(id)),
        ClientId::Api(_) => None,
    };
    state.in_force.overlapping(record).into_iter().filter_map(unit).collect()
}

/// An approval that comes late may mend what came into force without it.
fn moved_by_approval(change: &ApprovalChange, state: &State) -> Moved {
    let ApprovalChange::Reviewed { approval, .. } = change;
    let Some(approval) = state.approvals.get(approval) else { return Moved::default() };
    match approval.kind {
        Kind::Integration | Kind::Change => Moved::of(approval.subject.parse().ok().map(Unit::Integration)),
        Kind::Offboarding => Moved { beside: vec![Unit::Cases], ..Moved::default() },
        Kind::Abort
        | Kind::Api
        | Kind::Enrolment
        | Kind::Environment
        | Kind::Erasure
        | Kind::Exception
        | Kind::Guardrail
        | Kind::Lift
        | Kind::Partner
        | Kind::Resume
        | Kind::Review => Moved::default(),
    }
}

fn moved_by_api(api: &ApiName, state: &State) -> Moved {
    let names = |known: &IntegrationState| known.current.as_ref().is_some_and(|current| current.record.names(api));
    let naming = state.integrations.iter().filter(|(_, known)| names(known));
    let naming = naming.map(|(id, _)| Unit::Integration(id.clone()));
    let current = state.apis.get(api).and_then(|api| api.current.as_ref());
    let sharing = current.map(|current| sharing(Holder::Api(&current.record), state)).unwrap_or_default();
    Moved { own: vec![Unit::Catalogue], beside: naming.chain(sharing).collect(), all: false }
}

/// A revocation refuses, and opens reviews. One that is lifted may give access back to anybody.
fn moved_by_revocation(change: &RevocationChange, state: &State) -> Moved {
    match change {
        RevocationChange::Added { target, .. } => {
            let doubted = State::doubted(target).map(|(about, _)| of(&Party::of_signal(&about).0, state));
            Moved::of(doubted.unwrap_or_default())
        }
        RevocationChange::TokensCut { .. } | RevocationChange::LiftAsked { .. } => Moved::default(),
        RevocationChange::Lifted { .. } => Moved::all(),
    }
}

fn moved_by_directory(change: &DirectoryChange, state: &State) -> Moved {
    match change {
        DirectoryChange::Left { person } | DirectoryChange::Returned { person } => {
            let own = state.owners.of(person).map(|own| own.in_force.iter().cloned().map(Unit::Integration));
            Moved::of(own.into_iter().flatten())
        }
        DirectoryChange::Resolved { in_force, waiting: _ } => Moved::of(in_force.keys().cloned().map(Unit::Integration)),
        DirectoryChange::Confirmed { .. } => Moved::all(),
        DirectoryChange::Held { .. }
        | DirectoryChange::Imported { .. }
        | DirectoryChange::Heard {}
        | DirectoryChange::Silent { .. } => Moved::default(),
    }
}

impl Moved {
    fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    fn of(own: impl IntoIterator<Item = Unit>) -> Self {
        Self { own: own.into_iter().collect(), ..Self::default() }
    }
}
