//! What a change cuts, as the live index must learn it.
//!
//! Enter through [`cuts`] for one change and [`all`] for a rebuild. The truth is [`State`]; this is how it is told to those who do
//! not read the journal.

use imbl::{HashMap, OrdMap};

use super::State;
use crate::domain::credential::revocation::{Clients, RevocationTarget};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::log::change::{Change, What};
use crate::domain::log::entry::Issued;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, TokenId};

/// Tells of a living token whether a change is the one that cuts it. Made from the state before the change.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The lines that the change moves.
    lines: Vec<RevocationKey>,
    /// The one token that it cuts, if it cuts one.
    token: Option<TokenId>,
    /// The lines that were there before it.
    before: OrdMap<RevocationKey, u64>,
    /// The tokens that were cut one by one before it.
    revoked: HashMap<TokenId, (EnvironmentName, Timestamp)>,
    /// Whose tokens it can cut, where that is one client or one partner.
    clients: Option<Clients>,
}

impl Reach {
    /// What a cut of `subject` reaches.
    pub fn of(subject: &RevocationTarget, state: &State) -> Self {
        let (lines, token) = if let RevocationTarget::Token { id, .. } = subject {
            (Vec::new(), Some(id.clone()))
        } else {
            (state.lines(subject), None)
        };
        let clients = subject.reached().clients;
        Self { lines, token, before: state.revoked_before.clone(), revoked: state.revoked_tokens.clone(), clients }
    }

    /// Whose entries have to be looked at; everybody's where it says nothing.
    pub fn clients(&self) -> Option<&Clients> {
        self.clients.as_ref()
    }

    /// Whether this change cuts the token of an entry before it, and nothing did earlier.
    pub fn cuts(&self, issued: &Issued) -> bool {
        let provenance = issued.provenance();
        let reached = match &self.token {
            Some(token) => *token == issued.jti,
            None => provenance.keys().iter().any(|key| self.lines.contains(key)),
        };
        reached && !self.revoked.contains_key(&issued.jti) && !provenance.is_cut(&self.before, issued.index)
    }
}

/// One line of the live index of one environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// The environment.
    pub environment: EnvironmentName,
    /// What is cut there.
    pub what: CutWhat,
}

/// What is cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CutWhat {
    /// A token, until it expires.
    Token {
        /// Its `jti`.
        id: TokenId,
        /// Its `exp`.
        expires: Timestamp,
    },
    /// Tokens with a lower entry than `index` that name `key`.
    Before {
        /// The name of the line, such as `partner:globex`.
        key: RevocationKey,
        /// The line.
        index: u64,
    },
}

/// What the change at `index` cuts; `state` is the state after it.
pub fn cuts(change: &Change, index: u64, state: &State) -> Vec<Cut> {
    let subject = match &change.what {
        What::RevocationAdded { subject, .. } => subject.clone(),
        What::KeyTainted { environment, kid, .. } => {
            RevocationTarget::Key { environment: environment.clone(), kid: kid.clone() }
        }
        What::AuthorityTainted { environment, kid, .. } => {
            RevocationTarget::Authority { environment: environment.clone(), kid: kid.clone() }
        }
        What::ElevationEnded { .. } | What::ElevationReviewed { .. } => return ended(change, index, state),
        What::IntegrationSuspended { integration, .. } => RevocationTarget::Integration { integration: integration.clone() },
        What::PartnerSuspended { partner, .. } => RevocationTarget::Partner { partner: partner.clone() },
        What::JournalReopened { .. } => return all(state),
        _ => return Vec::new(),
    };
    if let RevocationTarget::Token { environment, id, expires } = subject {
        return vec![Cut { environment, what: CutWhat::Token { id, expires } }];
    }
    let keys = state.lines(&subject);
    let place = subject.reached().environment;
    let environments = environments(state).filter(|environment| place.is_none_or(|place| place == *environment));
    environments
        .flat_map(|environment| {
            let before = |key: &RevocationKey| Cut {
                environment: environment.clone(),
                what: CutWhat::Before { key: key.clone(), index },
            };
            keys.iter().map(before).collect::<Vec<_>>()
        })
        .collect()
}

/// What was issued under an elevation that is over before its time: by word, or by a look at one that started without anybody.
fn ended(change: &Change, index: u64, state: &State) -> Vec<Cut> {
    let (What::ElevationEnded { elevation, .. } | What::ElevationReviewed { elevation, .. }) = &change.what else {
        return Vec::new();
    };
    let key = RevocationKey::elevation(elevation.as_str());
    let line = state.revoked_before.get(&key).filter(|line| **line == index);
    let request = state.elevations.find(elevation).zip(line);
    let cut = request
        .map(|(request, _)| Cut { environment: request.elevation.environment.clone(), what: CutWhat::Before { key, index } });
    cut.into_iter().collect()
}

/// Everything that is cut, for a rebuild.
pub fn all(state: &State) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for environment in environments(state) {
        for (id, (home, expires)) in &state.revoked_tokens {
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

fn environments(state: &State) -> impl Iterator<Item = &EnvironmentName> {
    state.configuration.iter().flat_map(|configuration| configuration.environments.keys())
}
