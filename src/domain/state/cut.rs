//! Everything that is cut, and whether a change is the one that cut a token.
//!
//! Enter through [`all`] for a rebuild of the live index, and [`Reach`] to count living tokens. `recent_cuts` has the cuts of the newest
//! changes. The truth is [`State`]; readers without the journal learn it from here.

use std::collections::BTreeSet;

use imbl::OrdMap;

use super::narrowings::Narrowings;
use super::recent_cuts::{Cut, CutWhat};
use super::revoked_tokens::RevokedTokens;
use super::{Party, State, Then};
use crate::domain::credential::revocation::{Clients, RevocationTarget, is_cut};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::log::entry::Issued;
use crate::domain::value::names::{ClientId, EnvironmentName, TokenId};

/// The reach of a change: whether it is the one that cuts a living token.
///
/// It is made from the state before the change.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The lines that the change moves.
    lines: BTreeSet<RevocationKey>,
    /// The one token that it cuts, if it cuts one.
    token: Option<TokenId>,
    /// The lines that were there before it.
    before: OrdMap<RevocationKey, u64>,
    /// The tokens that were cut one by one before it.
    revoked: RevokedTokens,
    /// The rights that versions had taken away before it.
    narrowings: Narrowings<Then>,
    /// The clients whose tokens it can cut, where that is one client or one partner.
    clients: Option<Clients>,
}

impl Reach {
    /// The reach of a cut of `subject`.
    pub fn of(subject: &RevocationTarget, state: &State) -> Self {
        let (lines, token) = if let RevocationTarget::Token { id, .. } = subject {
            (BTreeSet::new(), Some(id.clone()))
        } else {
            (state.lines(subject).into_iter().collect(), None)
        };
        let clients = if let RevocationTarget::Elevation { elevation, .. } = subject {
            // Only its integration is issued tokens under it.
            let request = state.elevations.find(elevation);
            request.map(|request| Clients::One(ClientId::Integration(request.elevation.integration.clone())))
        } else {
            subject.reached().clients
        };
        Self { lines, token, clients, ..Self::nothing(state) }
    }

    /// The reach of a suspension in these environments; in all, if none is named.
    pub fn of_suspension(party: &Party, environments: &BTreeSet<EnvironmentName>, state: &State) -> Self {
        let targets = state.cut_by_suspension(party, environments);
        let lines = targets.iter().flat_map(|target| state.lines(target)).collect();
        Self { lines, clients: Some(clients_of(party)), ..Self::nothing(state) }
    }

    fn nothing(state: &State) -> Self {
        Self {
            lines: BTreeSet::new(),
            token: None,
            before: state.revoked_before.clone(),
            revoked: state.revoked_tokens.clone(),
            narrowings: state.narrowings.clone(),
            clients: None,
        }
    }

    /// The clients whose entries have to be looked at; everybody's where it says nothing.
    pub fn clients(&self) -> Option<&Clients> {
        self.clients.as_ref()
    }

    /// The one token that it cuts, if it cuts one.
    pub fn token(&self) -> Option<&TokenId> {
        self.token.as_ref()
    }

    /// Whether this change cuts the token of an entry before it, and nothing did earlier.
    ///
    /// A token that a guardrail cut counts as cut once it is listed.
    pub fn cuts(&self, issued: &Issued) -> bool {
        let provenance = issued.provenance();
        let reached = match &self.token {
            Some(token) => *token == issued.jti,
            None => provenance.keys().iter().any(|key| self.lines.contains(key)),
        };
        let earlier =
            self.revoked.contains(&issued.jti) || provenance.is_cut(&self.before, issued.index) || self.narrowings.cut(issued);
        reached && !earlier
    }
}

impl State {
    /// Whether anything cut a token that the state tells by itself: its id, a line of `keys`, or two versions of a record.
    ///
    /// `keys` are those of its provenance, which a caller may have spelled before. The whole answer is `decision::cut`'s.
    pub(in crate::domain) fn cuts(&self, issued: &Issued, keys: &[RevocationKey]) -> bool {
        self.revoked_tokens.contains(&issued.jti)
            || is_cut(keys, &self.revoked_before, issued.index)
            || self.narrowings.cut(issued)
    }
}

/// Everything that is cut, for a rebuild.
pub fn all(state: &State) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for environment in state.environments() {
        for (id, (home, expires)) in state.revoked_tokens.iter() {
            if home == environment {
                let what = CutWhat::Token { id: id.clone(), expires: *expires };
                cuts.push(Cut { environment: environment.clone(), what });
            }
        }
        for (key, index) in &state.revoked_before {
            let what = CutWhat::Before { key: key.clone(), index: *index };
            cuts.push(Cut { environment: environment.clone(), what });
        }
    }
    cuts
}

/// The callers whose tokens are those of a party.
pub fn clients_of(party: &Party) -> Clients {
    match party {
        Party::Partner(partner) => Clients::Of(partner.clone()),
        Party::Integration(id) => Clients::One(ClientId::Integration(id.clone())),
    }
}
