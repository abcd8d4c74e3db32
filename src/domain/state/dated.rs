//! Finds the dates of what is in force, and keeps their index up to date.
//!
//! A change is asked first whose dates it may move ([`State::dated_before`]), and those alone are looked at again once it is folded.

use std::collections::BTreeSet;

use super::State;
use super::dates::Dated;
use super::effects::{Effects, Entered};
use crate::domain::credential::certificate::Leaf;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::log::issuer_key::IssuerKeyChange;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::registry::binding::Admits;
use crate::domain::registry::date::{DAYS_BEFORE, Date, OFFBOARDS_AFTER};
use crate::domain::registry::integration::{Integration, Trigger};
use crate::domain::registry::suspension::Party;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ExceptionId, IntegrationId, Issuer, PartnerName, PersonId};

/// The earliest warning comes so long before a date.
const FIRST_WARNING: Seconds = Seconds::days(DAYS_BEFORE[0]);

impl State {
    /// The dates of a partner, or of the version of an integration that is in force. A version that waits has none yet.
    ///
    /// What is being offboarded has no dates any more: it is over already.
    pub fn dates_of(&self, party: &Party) -> Vec<(Date, Timestamp)> {
        if self.ending(party).is_some() {
            return Vec::new();
        }
        match party {
            Party::Partner(partner) => self.verification_of(partner).into_iter().collect(),
            Party::Integration(id) => {
                let current = self.integrations.get(id).and_then(|known| known.current.as_ref());
                current.map(|current| self.dates_of_record(&current.record)).unwrap_or_default()
            }
        }
    }

    /// The end of a partner's verification.
    pub fn verification_of(&self, partner: &PartnerName) -> Option<(Date, Timestamp)> {
        let current = self.partners.get(partner)?.current.as_ref()?;
        Some((Date::VerificationExpires { partner: partner.clone() }, current.record.verification.expires))
    }

    /// The dates of an integration by one of its versions.
    pub fn dates_of_record(&self, record: &Integration) -> Vec<(Date, Timestamp)> {
        let integration = &record.id;
        let contract = [
            (Date::ContractStarts { integration: integration.clone() }, record.contract.starts),
            (Date::ContractEnds { integration: integration.clone() }, record.contract.ends),
        ];
        let offboards = self.offboards_at(record).map(|at| (Date::OffboardingOpens { integration: integration.clone() }, at));
        let environments = record.environments.iter().filter_map(|(environment, access)| {
            Some((Date::EnvironmentEnds { integration: integration.clone(), environment: environment.clone() }, access.ends?))
        });
        let known = self.integrations.get(integration);
        let exceptions = record.exceptions.iter().filter_map(|one| {
            let exception = ExceptionId::of(integration, &one.what);
            let is_closed = known.is_some_and(|known| known.exceptions.is_closed(&exception, one));
            let date = Date::ExceptionEnds { integration: integration.clone(), exception };
            (!is_closed).then_some((date, one.ends))
        });
        let owner = self.owner_end(integration).map(|end| (Date::OwnerGraceEnds { integration: integration.clone() }, end.at));
        let reviews = record.environments.keys().filter_map(|environment| {
            let at = self.review_due(integration, environment)?;
            Some((Date::ReviewDue { integration: integration.clone(), environment: environment.clone() }, at))
        });
        let mut dates: Vec<_> =
            contract.into_iter().chain(offboards).chain(environments).chain(exceptions).chain(owner).chain(reviews).collect();
        dates.extend(self.issuer_keys_due(record));
        dates.extend(self.certificate_keys_due(record));
        dates
    }

    /// The first integration whose offboarding opens by itself at `now`, and when it was due. The index of dates finds it; what counts is its
    /// record.
    pub fn offboards(&self, now: Timestamp) -> Option<(&IntegrationId, Timestamp)> {
        let (id, _) = self.dates.offboards(now)?;
        let current = self.integrations.get(id)?.current.as_ref()?;
        let at = self.offboards_at(&current.record)?;
        (at <= now).then_some((id, at))
    }

    /// When an offboarding opens by itself: long after the contract, after the first entry of a program that opens any, and after one that
    /// was given up.
    fn offboards_at(&self, record: &Integration) -> Option<Timestamp> {
        let since = self.offboardings.counts_from(&record.id)?;
        (record.offboarding.trigger == Trigger::ContractEnd).then(|| record.contract.ends.max(since).plus(OFFBOARDS_AFTER))
    }

    /// When the newest keys of issuers are due, by the cadence of the record.
    fn issuer_keys_due(&self, record: &Integration) -> Vec<(Date, Timestamp)> {
        let Some(rotation) = record.rotation.as_ref().filter(|rotation| rotation.issuer_keys.is_some()) else {
            return Vec::new();
        };
        let bindings = record
            .environments
            .iter()
            .flat_map(|(environment, access)| access.bindings.iter().map(move |binding| (environment, binding)));
        let due = bindings.filter_map(|(environment, binding)| {
            let Admits::Jwt(rule) = &binding.admits else { return None };
            let at = rotation.issuer_key_due(self.issuer_keys.newest(&rule.issuer)?.1)?;
            let (integration, environment, binding) = (record.id.clone(), environment.clone(), binding.name.clone());
            Some((Date::IssuerKeyDue { integration, environment, binding }, at))
        });
        due.collect()
    }

    /// When keys of certificates are due, by the cadence of the record: of those whose certificates last into its warnings.
    fn certificate_keys_due(&self, record: &Integration) -> Vec<(Date, Timestamp)> {
        let Some(rotation) = record.rotation.as_ref().filter(|rotation| rotation.certificate.is_some()) else {
            return Vec::new();
        };
        let due = self.certificates.keys_of(&record.id).filter_map(|key| {
            let at = rotation.certificate_due(key.since)?;
            let (integration, environment) = (record.id.clone(), key.environment.clone());
            let date = Date::CertificateKeyDue { integration, environment, key: key.key };
            (key.ends > at.minus(FIRST_WARNING)).then_some((date, at))
        });
        due.collect()
    }

    /// The parties whose dates a change may move, with what the records say of them before it.
    pub(super) fn dated_before(&self, entry: Entered<'_>, change: &Change) -> Vec<(Party, Dated)> {
        self.dated_by(entry, change).into_iter().map(|party| (party.clone(), self.dated(&party))).collect()
    }

    fn dated(&self, party: &Party) -> Dated {
        Dated::new(&self.dates_of(party), self.watched_issuers(party))
    }

    /// The parties whose dates a change may move.
    fn dated_by(&self, entry: Entered<'_>, change: &Change) -> Vec<Party> {
        let of = |id: &IntegrationId| Party::Integration(id.clone());
        match change {
            Change::Partner(change) => vec![Party::Partner(change.partner().clone())],
            Change::Integration(change) => vec![of(change.integration())],
            Change::Exception(
                ExceptionChange::CloseAsked { integration, .. } | ExceptionChange::Closed { integration, .. },
            ) => vec![of(integration)],
            Change::IssuerKey(IssuerKeyChange::FirstUsed { issuer, .. }) => self.dates.trusting(issuer).map(of).collect(),
            Change::Certificate(change) => self.certified_by(entry, change),
            Change::Revocation(change) => {
                let certified = self.certificate_of(change).map(|leaf| of(&leaf.integration));
                certified.into_iter().chain(self.reviewed_after(change).iter().map(of)).collect()
            }
            Change::Recertification(change) => self.reviewed_by(change).iter().map(of).collect(),
            Change::Configuration(change) => self.graced_by(change),
            Change::Directory(change) => self.owned_by_any(change),
            Change::Offboarding(change) => self.ended_by(change),
            Change::Signal(change) => self.touched(change.about()).iter().map(of).collect(),
            Change::Journal(_)
            | Change::Environment(_)
            | Change::Key(_)
            | Change::Api(_)
            | Change::Guardrail(_)
            | Change::Approval(_)
            | Change::Elevation(_)
            | Change::Passkey(_)
            | Change::Staff(_)
            | Change::Dates(_)
            | Change::Evidence(_)
            | Change::Mail(_)
            | Change::Text(_) => Vec::new(),
        }
    }

    /// The party that is offboarded, or comes back, with its integrations.
    fn ended_by(&self, change: &OffboardingChange) -> Vec<Party> {
        let integrations = self.ending_with(change).into_iter().map(Party::Integration);
        let about = match change {
            OffboardingChange::Started { about, .. } => Some(about.clone()),
            OffboardingChange::Aborted { offboarding } => {
                self.offboardings.find(offboarding.as_str()).map(|case| case.about.clone())
            }
            OffboardingChange::DependenciesFound { .. }
            | OffboardingChange::Acknowledged { .. }
            | OffboardingChange::Tested { .. }
            | OffboardingChange::Waiting { .. }
            | OffboardingChange::SignOffAsked { .. }
            | OffboardingChange::AbortAsked { .. }
            | OffboardingChange::Closed { .. }
            | OffboardingChange::Registered { .. } => None,
        };
        integrations.chain(about).collect()
    }

    /// The integration that gets a certificate, and those whose keys are forgotten with it.
    fn certified_by(&self, entry: Entered<'_>, change: &CertificateChange) -> Vec<Party> {
        let CertificateChange::Issued { leaf, .. } = change else { return Vec::new() };
        self.certificates.forgets(entry.at).chain([&leaf.integration]).cloned().map(Party::Integration).collect()
    }

    /// The certificate that a change revokes.
    fn certificate_of(&self, change: &RevocationChange) -> Option<&Leaf> {
        let RevocationChange::Added { target, .. } = change else { return None };
        let RevocationTarget::Certificate { environment, serial } = target else { return None };
        self.certificates.leaf(environment, serial)
    }

    /// The integrations whose reviews a revocation opens.
    fn reviewed_after(&self, change: &RevocationChange) -> BTreeSet<IntegrationId> {
        let RevocationChange::Added { target, .. } = change else { return BTreeSet::new() };
        Self::doubted(target).map(|(about, _)| self.touched(&about)).unwrap_or_default()
    }

    /// The integrations whose reviews a change opens, moves or completes.
    fn reviewed_by(&self, change: &RecertificationChange) -> BTreeSet<IntegrationId> {
        match change {
            RecertificationChange::Decided { review, .. } | RecertificationChange::Completed { review, .. } => {
                [review.integration.clone()].into()
            }
            RecertificationChange::CampaignStarted { terms, .. } => {
                self.selected(terms).into_iter().map(|(id, _)| id).collect()
            }
            RecertificationChange::CampaignAsked { .. } => BTreeSet::new(),
        }
    }

    /// The integrations without an owner, if a change says how long they last.
    fn graced_by(&self, change: &ConfigurationChange) -> Vec<Party> {
        let ConfigurationChange::Changed(configuration) = change else { return Vec::new() };
        let reviews = configuration.governance.reviews && self.recertification.since.is_none();
        if reviews || configuration.governance.offboarding && self.offboardings.since.is_none() {
            return self.integrations.keys().cloned().map(Party::Integration).collect();
        }
        let is_same = configuration.governance.owner_grace == self.owner_grace();
        let graced = self.dates.graced().filter(|_| !is_same);
        graced.cloned().map(Party::Integration).collect()
    }

    /// The integrations of the people whom a change of the directory is about.
    fn owned_by_any(&self, change: &DirectoryChange) -> Vec<Party> {
        let of = |person: &PersonId| {
            let own = self.owners.of(person).into_iter().flat_map(|own| own.in_force.iter());
            own.cloned().map(Party::Integration).collect::<Vec<_>>()
        };
        match change {
            DirectoryChange::Left { person } | DirectoryChange::Returned { person } => of(person),
            DirectoryChange::Confirmed { id, .. } => {
                self.owners.hold(id).into_iter().flat_map(|hold| hold.people.iter().flat_map(of)).collect()
            }
            DirectoryChange::Resolved { in_force, .. } => in_force.keys().cloned().map(Party::Integration).collect(),
            DirectoryChange::Held { .. }
            | DirectoryChange::Imported { .. }
            | DirectoryChange::Heard {}
            | DirectoryChange::Silent { .. } => Vec::new(),
        }
    }

    /// Looks at the dates of these parties again.
    pub(super) fn index_dates(&mut self, entry: Entered<'_>, parties: &[(Party, Dated)]) {
        for (party, before) in parties {
            let party = match party {
                Party::Integration(id) => &Party::Integration(self.known_id(id)),
                Party::Partner(_) => party,
            };
            self.dates.index(party, before, &self.dated(party), entry.at);
        }
    }

    /// The issuers whose keys the record in force asks to change.
    fn watched_issuers(&self, party: &Party) -> Vec<Issuer> {
        let Party::Integration(id) = party else { return Vec::new() };
        let current = self.integrations.get(id).and_then(|known| known.current.as_ref());
        let asks = |record: &&Integration| record.rotation.as_ref().is_some_and(|rotation| rotation.issuer_keys.is_some());
        let record = current.map(|current| &*current.record).filter(asks);
        let bindings = record.into_iter().flat_map(|record| record.environments.values()).flat_map(|access| &access.bindings);
        let issuers = bindings.filter_map(|binding| match &binding.admits {
            Admits::Jwt(rule) => Some(rule.issuer.clone()),
            Admits::Certificate => None,
        });
        let mut issuers: Vec<Issuer> = issuers.collect();
        issuers.sort_unstable();
        issuers.dedup();
        issuers
    }

    pub(super) fn apply_dates(&mut self, entry: Entered<'_>, change: &DatesChange) -> Effects {
        match change {
            DatesChange::Noticed { items, more } => self.dates.tell(items, *more, entry.at),
        }
        // It is for people: nothing is judged anew.
        Effects::unjudged()
    }
}
