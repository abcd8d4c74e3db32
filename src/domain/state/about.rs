//! The subjects of a partner among the entries of the journal, and the author of an entry.
//!
//! Enter through [`About::of`]. An entry names its subject by one word; approvals, elevations and revocations are named by their ids, so
//! the state has to say whose they are. Some entries are about many, and name each in a list of theirs.

use std::collections::BTreeSet;

use super::State;
use super::cut::clients_of;
use crate::domain::credential::revocation::{Clients, RevocationTarget};
use crate::domain::log::change::Change;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::entry::Entry;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::Actor;
use crate::domain::registry::binding::Admits;
use crate::domain::registry::recertification::CampaignTerms;
use crate::domain::registry::suspension::Party;
use crate::domain::value::names::{ClientId, ElevationId, IntegrationId, PartnerName};

/// A partner, its integrations, and their elevations, approvals, revocations, reviews and offboardings; or one integration, and all that is
/// its own.
#[derive(Clone, Debug)]
pub struct About {
    party: Party,
    subjects: BTreeSet<String>,
}

impl About {
    /// Everything of this partner, as far as the state knows it by name.
    pub fn of(partner: &PartnerName, state: &State) -> Self {
        Self::of_party(&Party::Partner(partner.clone()), state)
    }

    /// Everything of a partner or an integration, as far as the state knows it by name.
    pub fn of_party(party: &Party, state: &State) -> Self {
        let is_own = |subject: &str| is_of(party, subject);
        let has = |id: &IntegrationId| is_own(&id.to_string());
        let mut subjects = BTreeSet::from([party.to_string()]);
        let elevations = state.elevations.all().filter(|request| has(&request.elevation.integration));
        subjects.extend(elevations.map(|request| request.elevation.id.to_string()));
        let cases = state.offboardings.all().filter(|(_, case)| is_own(&case.about.to_string()));
        subjects.extend(cases.map(|(id, _)| id.to_string()));
        // Those of bindings that were taken out since, too: what was about it once stays about it.
        let bindings =
            state.integrations_in(party).into_iter().flat_map(|id| state.history.admitted_by(&ClientId::Integration(id)));
        let issuer = |admits: &Admits| match admits {
            Admits::Jwt(rule) => Some(rule.issuer.to_string()),
            Admits::Certificate => None,
        };
        let issuers: BTreeSet<String> = bindings.filter_map(|(_, binding)| issuer(&binding.admits)).collect();
        for revocation in state.revocations.values() {
            let of_partner = match &revocation.target {
                RevocationTarget::Partner { partner } => *party == Party::Partner(partner.clone()),
                RevocationTarget::Integration { integration }
                | RevocationTarget::IntegrationEnvironment { integration, .. } => has(integration),
                RevocationTarget::Binding { client, .. } => is_own(&client.to_string()),
                RevocationTarget::Elevation { elevation, .. } => subjects.contains(elevation.as_str()),
                RevocationTarget::Issuer { issuer } => issuers.contains(issuer.as_str()),
                RevocationTarget::Certificate { .. } => revocation.integration.as_ref().is_some_and(has),
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
        let campaigns = state.recertification.campaigns.iter().filter(|(_, campaign)| is_of_campaign(party, &campaign.terms));
        subjects.extend(campaigns.map(|(id, _)| id.to_string()));
        let approvals = state.approvals.values();
        let approvals = approvals.filter(|approval| is_own(&approval.subject) || subjects.contains(&approval.subject));
        let approvals: Vec<String> = approvals.map(|approval| approval.id.to_string()).collect();
        subjects.extend(approvals);
        subjects.extend(issuers);
        Self { party: party.clone(), subjects }
    }

    /// The subjects that are named one by one.
    pub fn subjects(&self) -> &BTreeSet<String> {
        &self.subjects
    }

    /// The partner or integration. Its other subjects all begin with its name and a slash.
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// The callers whose tokens are its own.
    pub fn clients(&self) -> Clients {
        clients_of(&self.party)
    }

    /// Whether an entry is about it, by its subject or because it names it.
    pub fn holds(&self, entry: &Entry) -> bool {
        let subject = entry.subject();
        self.owns(&subject) || self.subjects.contains(&subject) || self.is_named_in(entry)
    }

    /// Whether this is the name of the party, or of something of it.
    fn owns(&self, name: &str) -> bool {
        is_of(&self.party, name)
    }

    /// Whether an entry that is about something else, or about many, names the partner or an integration of it.
    fn is_named_in(&self, entry: &Entry) -> bool {
        let Entry::Change(entry) = entry else { return false };
        match &entry.change.what {
            Change::Revocation(change) => self.is_named_in_revocation(change),
            Change::Dates(DatesChange::Noticed { items, .. }) => {
                items.iter().any(|item| self.owns(&item.date.party().to_string()))
            }
            Change::Directory(change) => self.is_named_in_directory(change),
            Change::Recertification(change) => change.campaign().is_some_and(|terms| is_of_campaign(&self.party, terms)),
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
            | Change::Offboarding(_)
            | Change::Mail(_)
            | Change::Evidence(_)
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
                in_force.keys().chain(waiting.keys()).any(|integration| self.owns(&integration.to_string()))
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
            Some(Clients::Of(partner)) => self.owns(partner.as_str()),
            Some(Clients::One(client)) => self.owns(&client.to_string()),
            None => false,
        }
    }
}

/// Whether a name is that of a party, or of something of it.
fn is_of(party: &Party, name: &str) -> bool {
    let party = party.to_string();
    name.strip_prefix(party.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a campaign is of this partner alone.
fn is_of_campaign(party: &Party, terms: &CampaignTerms) -> bool {
    terms.select.partner.as_ref().is_some_and(|partner| *party == Party::Partner(partner.clone()))
}

/// The author of an entry: a person's id, an integration, `operator`, `broker` or `directory`.
///
/// The author of a token or a refusal is the client.
pub fn actor(entry: &Entry) -> String {
    match entry {
        Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => entry.subject(),
        Entry::Change(entry) => match &entry.change.by {
            Actor::Staff(person) | Actor::Machine(person) => person.id.to_string(),
            Actor::Workload(integration) => integration.to_string(),
            Actor::Api(api) => api.to_string(),
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
