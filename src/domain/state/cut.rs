//! What a change cuts, as the live index must learn it.
//!
//! Enter through [`cuts`] for one change and [`all`] for a rebuild. The truth is [`State`]; this is how it is told to those who do
//! not read the journal.

use std::collections::{BTreeMap, HashSet};

use super::State;
use crate::domain::credential::revocation::Subject;
use crate::domain::log::change::{Change, What};
use crate::domain::log::entry::Issued;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ClientId, EnvironmentName, PartnerName, TokenId};

/// Tells of a living token whether a change is the one that cuts it. Made from the state before the change.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The lines that the change moves.
    lines: Vec<String>,
    /// The one token that it cuts, if it cuts one.
    token: Option<TokenId>,
    /// The lines that were there before it.
    before: BTreeMap<String, u64>,
    /// The tokens that were cut one by one before it.
    revoked: HashSet<TokenId>,
    /// Whose tokens it can cut, where that is one client or one partner.
    clients: Option<Clients>,
}

/// Whose entries are looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Clients {
    /// Of this one.
    One(ClientId),
    /// Of every integration of this partner.
    Of(PartnerName),
}

impl Reach {
    /// What a cut of `subject` reaches.
    pub fn of(subject: &Subject, state: &State) -> Self {
        let (lines, token) = match subject {
            Subject::Token { id, .. } => (Vec::new(), Some(id.clone())),
            Subject::Api { .. }
            | Subject::Binding { .. }
            | Subject::Integration { .. }
            | Subject::IntegrationEnvironment { .. }
            | Subject::Partner { .. }
            | Subject::Elevation { .. }
            | Subject::Environment { .. }
            | Subject::Issuer { .. }
            | Subject::Certificate { .. }
            | Subject::Authority { .. }
            | Subject::Key { .. } => (state.lines(subject), None),
        };
        let clients = match subject {
            Subject::Binding { client, .. } => Some(Clients::One(client.clone())),
            Subject::Integration { integration } | Subject::IntegrationEnvironment { integration, .. } => {
                Some(Clients::One(ClientId::Integration(integration.clone())))
            }
            Subject::Partner { partner } => Some(Clients::Of(partner.clone())),
            Subject::Api { .. }
            | Subject::Token { .. }
            | Subject::Elevation { .. }
            | Subject::Environment { .. }
            | Subject::Issuer { .. }
            | Subject::Certificate { .. }
            | Subject::Authority { .. }
            | Subject::Key { .. } => None,
        };
        Self {
            lines,
            token,
            before: state.revoked_before.clone(),
            revoked: state.revoked_tokens.keys().cloned().collect(),
            clients,
        }
    }

    /// Whose entries have to be looked at; everybody's where it says nothing.
    pub fn clients(&self) -> Option<&Clients> {
        self.clients.as_ref()
    }

    /// Whether this change cuts the token of an entry before it, and nothing did earlier.
    pub fn cuts(&self, issued: &Issued) -> bool {
        let made_from = issued.ingredients();
        let reached = match &self.token {
            Some(token) => *token == issued.jti,
            None => made_from.members().iter().any(|member| self.lines.contains(member)),
        };
        reached && !self.revoked.contains(&issued.jti) && !made_from.is_cut(&self.before, issued.index)
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
    /// Tokens with a lower entry than `index` that hold `member`.
    Before {
        /// The member, such as `partner:globex`.
        member: String,
        /// The line.
        index: u64,
    },
}

/// What the change at `index` cuts; `state` is the state after it.
pub fn cuts(change: &Change, index: u64, state: &State) -> Vec<Cut> {
    let subject = match &change.what {
        What::RevocationAdded { subject, .. } => subject.clone(),
        What::KeyTainted { environment, kid, .. } => Subject::Key { environment: environment.clone(), kid: kid.clone() },
        What::AuthorityTainted { environment, kid, .. } => {
            Subject::Authority { environment: environment.clone(), kid: kid.clone() }
        }
        What::ElevationEnded { .. } | What::ElevationReviewed { .. } => return ended(change, index, state),
        What::IntegrationSuspended { integration, .. } => Subject::Integration { integration: integration.clone() },
        What::PartnerSuspended { partner, .. } => Subject::Partner { partner: partner.clone() },
        What::JournalReopened { .. } => return all(state),
        _ => return Vec::new(),
    };
    if let Subject::Token { environment, id, expires } = subject {
        return vec![Cut { environment, what: CutWhat::Token { id, expires } }];
    }
    let members = state.lines(&subject);
    let place = place(&subject);
    let environments = environments(state).filter(|environment| place.as_ref().is_none_or(|place| place == *environment));
    environments
        .flat_map(|environment| {
            let before = |member: &String| Cut {
                environment: environment.clone(),
                what: CutWhat::Before { member: member.clone(), index },
            };
            members.iter().map(before).collect::<Vec<_>>()
        })
        .collect()
}

/// What was issued under an elevation that is over before its time: by word, or by a look at one that started without anybody.
fn ended(change: &Change, index: u64, state: &State) -> Vec<Cut> {
    let (What::ElevationEnded { elevation, .. } | What::ElevationReviewed { elevation, .. }) = &change.what else {
        return Vec::new();
    };
    let member = Subject::elevation(elevation);
    let line = state.revoked_before.get(&member).filter(|line| **line == index);
    let request = state.elevations.find(elevation).zip(line);
    let cut = request.map(|(request, _)| Cut {
        environment: request.elevation.environment.clone(),
        what: CutWhat::Before { member, index },
    });
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
        for (member, index) in &state.revoked_before {
            let what = CutWhat::Before { member: member.clone(), index: *index };
            cuts.push(Cut { environment: environment.clone(), what });
        }
    }
    cuts
}

fn environments(state: &State) -> impl Iterator<Item = &EnvironmentName> {
    state.configuration.iter().flat_map(|configuration| configuration.environments.keys())
}

/// The one environment that a subject lies in, if it lies in one.
fn place(subject: &Subject) -> Option<EnvironmentName> {
    match subject {
        Subject::Token { environment, .. }
        | Subject::Binding { environment, .. }
        | Subject::IntegrationEnvironment { environment, .. }
        | Subject::Elevation { environment, .. }
        | Subject::Environment { environment }
        | Subject::Certificate { environment, .. }
        | Subject::Authority { environment, .. }
        | Subject::Key { environment, .. } => Some(environment.clone()),
        Subject::Api { .. } | Subject::Integration { .. } | Subject::Partner { .. } | Subject::Issuer { .. } => None,
    }
}
