//! A notice: something that people are told by mail, how soon they have to look, and where.

use crate::domain::people::addressee::Addressee;
use crate::domain::registry::suspension::Party;
use crate::domain::state::State;
use crate::domain::value::names::{IntegrationId, PartnerName};

/// How soon somebody has to look; the most urgent comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Urgency {
    /// Now: it does not wait for the digest of the hour.
    AtOnce,
    /// Access ended, or will not go on by itself.
    Over,
    /// Somebody's word is waited for.
    Waits,
    /// Within a week.
    Soon,
    /// Later.
    Later,
}

/// Something that people are told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How soon somebody has to look.
    pub urgency: Urgency,
    /// What happened, in a line.
    pub title: String,
    /// Whether security is told.
    pub security: bool,
    /// The integrations whose owners are told.
    pub owners: Vec<IntegrationId>,
    /// Where to look.
    pub look: Look,
}

/// Where to look.
#[derive(Clone, Debug)]
pub enum Look {
    /// The page of an approval or elevation in the console.
    Approval(String),
    /// A command.
    Command(String),
}

impl Notice {
    /// Whom it is for.
    pub fn addressees(&self) -> Vec<Addressee> {
        let owners = self.owners.iter().flat_map(|id| [Addressee::Business(id.clone()), Addressee::Application(id.clone())]);
        owners.chain(self.security.then_some(Addressee::Security)).collect()
    }
}

/// A notice for security, who looks by a command.
pub fn to_security(command: &str) -> Notice {
    Notice {
        urgency: Urgency::Waits,
        title: String::new(),
        security: true,
        owners: Vec::new(),
        look: Look::Command(command.to_owned()),
    }
}

/// A notice for the owners of an integration.
pub fn to_owners(id: &IntegrationId, (urgency, what): (Urgency, &str)) -> Notice {
    Notice { urgency, title: format!("{id}: {what}"), security: false, owners: vec![id.clone()], look: Look::Command(show(id)) }
}

/// A notice for the owners of a partner's integrations, and for security.
pub fn to_partner(partner: &PartnerName, state: &State, (urgency, what): (Urgency, &str)) -> Notice {
    Notice {
        urgency,
        title: format!("{partner}: {what}"),
        security: true,
        owners: state.integrations_in(&Party::Partner(partner.clone())),
        look: Look::Command(format!("carnet partner show {partner}")),
    }
}

/// The command that shows an integration.
pub fn show(id: &IntegrationId) -> String {
    let (partner, name) = (&id.partner, &id.name);
    format!("carnet integration show {partner}/{name}")
}
