//! The subjects of a partner among the entries of the journal, and the author of an entry.
//!
//! Enter through [`About::of`]. An entry names its subject by one word; approvals, elevations and revocations are named by their ids, so
//! the state has to say whose they are. Some entries are about many, and name each in a list of theirs.

use std::collections::BTreeSet;

use super::State;
use crate::domain::credential::revocation::{Clients, RevocationTarget};
use crate::domain::log::change::Change;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::entry::Entry;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::Actor;
use crate::domain::registry::suspension::Party;
use crate::domain::value::names::{ElevationId, PartnerName};

/// A partner, its integrations, and their elevations, approvals, revocations and reviews.
#[derive(Clone, Debug)]
pub struct About {
    partner: PartnerName,
    subjects: BTreeSet<String>,
}

impl About {
    /// Everything of this partner, as far as the state knows it by name.
    pub fn of(partner: &PartnerName, state: &State) -> Self {
        let own = format!("{partner}/");
        let is_own = |subject: &str| subject == partner.as_str() || subject.starts_with(&own);
        let mut subjects = BTreeSet::from([partner.to_string()]);
        let elevations = state.elevations.all().filter(|request| request.elevation.integration.partner == *partner);
        subjects.extend(elevations.map(|request| request.elevation.id.to_string()));
        let bindings = state.candidates.all().filter(|one| is_own(&one.client.to_string()));
        let issuers: BTreeSet<String> = bindings.map(|one| one.rule.issuer.to_string()).collect();
        for revocation in state.revocations.values() {
            let of_partner = match &revocation.target {
                RevocationTarget::Partner { partner: revoked } => revoked == partner,
                RevocationTarget::Integration { integration }
                | RevocationTarget::IntegrationEnvironment { integration, .. } => integration.partner == *partner,
                RevocationTarget::Binding { client, .. } => is_own(&client.to_string()),
                RevocationTarget::Elevation { elevation, .. } => subjects.contains(elevation.as_str()),
                RevocationTarget::Issuer { issuer } => issuers.contains(issuer.as_str()),
                RevocationTarget::Certificate { environment, serial } => {
                    state.certificates.leaf(environment, serial).is_some_and(|leaf| leaf.integration.partner == *partner)
                }
                RevocationTarget::Api { .. }
                | RevocationTarget::Token { .. }
                | RevocationTarget::Environment { .. }
                | RevocationTarget::Authority { .. }
                | RevocationTarget::Key { .. } => false,
            };
            if of_partner {
                subjects.extend([revocation.id.to_string(), revocation.target.key().to_string()]);
            }
        }
        let campaigns = state.recertification.campaigns.iter();
        let campaigns = campaigns.filter(|(_, campaign)| campaign.terms.select.partner.as_ref() == Some(partner));
        subjects.extend(campaigns.map(|(id, _)| id.to_string()));
        let approvals = state.approvals.values();
        let approvals = approvals.filter(|approval| is_own(&approval.subject) || subjects.contains(&approval.subject));
        let approvals: Vec<String> = approvals.map(|approval| approval.id.to_string()).collect();
        subjects.extend(approvals);
        subjects.extend(issuers);
        Self { partner: partner.clone(), subjects }
    }

    /// The subjects that are named one by one.
    pub fn subjects(&self) -> &BTreeSet<String> {
        &self.subjects
    }

    /// The partner. Its other subjects all begin with its name and a slash.
    pub fn partner(&self) -> &PartnerName {
        &self.partner
    }

    /// Whether an entry is about it, by its subject or because it names it.
    pub fn holds(&self, entry: &Entry) -> bool {
        let subject = entry.subject();
        self.owns(&subject) || self.subjects.contains(&subject) || self.is_named_in(entry)
    }

    /// Whether this is a client of the partner, or something of one.
    fn owns(&self, name: &str) -> bool {
        name.strip_prefix(self.partner.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether an entry that is about something else, or about many, names the partner or an integration of it.
    fn is_named_in(&self, entry: &Entry) -> bool {
        let Entry::Change(entry) = entry else { return false };
        match &entry.change.what {
            Change::Revocation(change) => self.is_named_in_revocation(change),
            Change::Dates(DatesChange::Noticed { items, .. }) => items.iter().any(|item| match item.date.party() {
                Party::Partner(partner) => partner == self.partner,
                Party::Integration(integration) => integration.partner == self.partner,
            }),
            Change::Directory(change) => self.is_named_in_directory(change),
            Change::Recertification(change) => {
                change.campaign().is_some_and(|terms| terms.select.partner.as_ref() == Some(&self.partner))
            }
            Change::Journal(_)
            | Change::Configuration(_)
            | Change::Environment(_)
            | Change::Key(_)
            | Change::Certificate(_)
            | Change::IssuerKey(_)
            | Change::Api(_)
            | Change::Guardrail(_)
            | Change::Exception(_)
            | Change::Partner(_)
            | Change::Integration(_)
            | Change::Approval(_)
            | Change::Elevation(_)
            | Change::Passkey(_)
            | Change::Signal(_)
            | Change::Staff(_)
            | Change::Text(_) => false,
        }
    }

    fn is_named_in_revocation(&self, change: &RevocationChange) -> bool {
        match change {
            // A token that is cut is its client's, where the entry says whose it is.
            RevocationChange::Added { target, client, .. } => {
                self.is_cut_by(target) || client.as_ref().is_some_and(|client| self.owns(&client.to_string()))
            }
            RevocationChange::TokensCut { target, .. } => self.is_cut_by(target),
            RevocationChange::LiftAsked { .. } | RevocationChange::Lifted { .. } => false,
        }
    }

    fn is_named_in_directory(&self, change: &DirectoryChange) -> bool {
        match change {
            DirectoryChange::Resolved { in_force, waiting } => {
                in_force.keys().chain(waiting.keys()).any(|integration| integration.partner == self.partner)
            }
            DirectoryChange::Left { .. }
            | DirectoryChange::Returned { .. }
            | DirectoryChange::Held { .. }
            | DirectoryChange::Confirmed { .. }
            | DirectoryChange::Imported { .. }
            | DirectoryChange::Heard {}
            | DirectoryChange::Silent { .. } => false,
        }
    }

    /// Whether what is cut is the partner, or a client or binding of it.
    fn is_cut_by(&self, target: &RevocationTarget) -> bool {
        match target.reached().clients {
            Some(Clients::Of(partner)) => partner == self.partner,
            Some(Clients::One(client)) => self.owns(&client.to_string()),
            None => false,
        }
    }
}

/// The author of an entry: a person's id, an integration, `operator`, `broker` or `directory`.
///
/// The author of a token or a refusal is the client.
pub fn actor(entry: &Entry) -> String {
    match entry {
        Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => entry.subject(),
        Entry::Change(entry) => match &entry.change.by {
            Actor::Staff(person) | Actor::Machine(person) => person.id.clone(),
            Actor::Workload(integration) => integration.to_string(),
            Actor::Operator => "operator".to_owned(),
            Actor::Broker => "broker".to_owned(),
            Actor::Directory => "directory".to_owned(),
        },
    }
}

/// The words for a subject that is an id; nothing where it is a name already.
pub fn words(subject: &str, state: &State) -> Option<String> {
    if let Some(approval) = state.approvals.get(subject) {
        let kind = serde_json::to_value(approval.kind).ok()?;
        let of = words(&approval.subject, state).unwrap_or_else(|| approval.subject.clone());
        return Some(format!("approval ({}) of {of}", kind.as_str()?));
    }
    if let Some(request) = subject.parse().ok().and_then(|id: ElevationId| state.elevations.find(&id)) {
        let asked = &request.elevation;
        return Some(format!("elevation of {} in {}: {}", asked.integration, asked.environment, asked.scopes));
    }
    let revocation = state.revocations.get(subject)?;
    Some(format!("revocation of {}", revocation.target.key()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, production, state};
    use crate::domain::log::entry::ChangeEntry;
    use crate::domain::value::names::ClientId;

    #[test]
    fn a_partner_has_its_approvals_elevations_and_revocations() {
        let mut state = state();
        let mut revoke = |id: &str, subject: RevocationTarget| {
            let what = RevocationChange::Added {
                id: id.parse().expect("an id"),
                target: subject,
                tokens_only: false,
                reason: "odd".into(),
                client: None,
            };
            state.apply(50, at(0), &what.by(Actor::Operator));
        };
        revoke(
            "revocation-1",
            RevocationTarget::Issuer { issuer: "https://token.actions.example".parse().expect("an issuer") },
        );
        revoke("revocation-2", RevocationTarget::Environment { environment: production() });
        revoke("revocation-3", RevocationTarget::Partner { partner: "acme".parse().expect("a name") });
        let client: ClientId = "globex/order-sync".parse().expect("a client");
        let (environment, binding) = (production(), "ci".parse().expect("a name"));
        revoke("revocation-4", RevocationTarget::Binding { client, environment, binding });
        let about = About::of(&"globex".parse().expect("a name"), &state);
        for own in ["globex", "approval-of-globex", "approval-of-globex-order-sync", "revocation-1", "revocation-4"] {
            assert!(about.subjects().contains(own), "{own} in {about:?}");
        }
        for other in ["acme", "approval-of-orders-api", "revocation-2", "revocation-3", "environment:production"] {
            assert!(!about.subjects().contains(other), "{other} in {about:?}");
        }
        // A token that is cut is its client's, where the entry says whose it is.
        let cut = |client: Option<&str>| {
            let subject =
                RevocationTarget::Token { environment: production(), id: "t1".parse().expect("an id"), expires: at(600) };
            let client = client.map(|client| client.parse().expect("a client"));
            let (id, reason) = ("v1".parse().expect("an id"), "odd".into());
            let what = RevocationChange::Added { id, target: subject, tokens_only: true, reason, client };
            let change = what.by(Actor::Operator);
            let subject = change.what.subject();
            Entry::Change(Box::new(ChangeEntry { index: 51, time: at(0), subject, request_id: None, prior: None, change }))
        };
        assert!(about.holds(&cut(Some("globex/order-sync"))));
        for other in [Some("globexx/order-sync"), Some("acme/crm"), None] {
            assert!(!about.holds(&cut(other)), "{other:?}");
        }
        assert_eq!(words("approval-of-globex", &state).as_deref(), Some("approval (api) of globex"));
        assert_eq!(words("revocation-1", &state).as_deref(), Some("revocation of issuer:https://token.actions.example"));
        assert_eq!(words("globex", &state), None);
    }
}
