//! The part of the configuration that decisions depend on, as the journal records it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::finding::{Finding, Weight};
use crate::config::{Config, DirectorySection, EnvironmentSection, GovernanceSection, SignalSection, StaffSection};
use crate::domain::people::actor::Role;
use crate::domain::registry::environment::{
    Configuration, Environment, Governance, Sender, Source, UNUSED_SUSPEND, UNUSED_WARN,
};
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, Issuer};
use crate::journal::View;

/// The staff settings. Their digest is recorded, so that the log shows when they changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Staff<'c> {
    issuer: &'c Issuer,
    audience: &'c str,
    person_claim: &'c str,
    max_age: u32,
    roles_claim: &'c str,
    roles: &'c BTreeMap<Role, BTreeSet<String>>,
}

/// The environments, and the digest of the staff settings.
pub fn configuration(config: &Config) -> Configuration {
    Configuration {
        environments: environments(config),
        staff: Digest::of_json(&Staff::of(&config.staff)),
        signals: config.signals.iter().map(sender).collect(),
        directory: config.directory.as_ref().map(source),
        governance: governance(&config.governance),
    }
}

/// The life of records. A time that is the usual one is not recorded.
fn governance(section: &GovernanceSection) -> Governance {
    let other = |time: Seconds, usual: Seconds| Some(time).filter(|time| *time != usual);
    Governance {
        zone: section.zone.clone(),
        unused_warn: other(section.unused_warn, UNUSED_WARN),
        unused_suspend: other(section.unused_suspend, UNUSED_SUSPEND),
        owner_grace: section.owner_grace,
        reviews: true,
        offboarding: true,
    }
}

fn sender(section: &SignalSection) -> Sender {
    let SignalSection { caller, kinds, subjects, per_hour } = section.clone();
    Sender { caller, kinds, subjects, per_hour }
}

/// The source of the people directory, without its tokens.
fn source(section: &DirectorySection) -> Source {
    Source { listen: section.listen.to_string(), tls: section.tls.is_some(), silent_after: section.silent_after }
}

/// The environments.
pub fn environments(config: &Config) -> BTreeMap<EnvironmentName, Environment> {
    let environment = |(name, section): (&EnvironmentName, &EnvironmentSection)| {
        let (issuer, trust_domain) = (section.issuer.clone(), section.trust_domain.clone());
        (name.clone(), Environment { issuer, max_ttl: section.max_ttl, trust_domain, production: section.production })
    };
    config.environments.iter().map(environment).collect()
}

impl<'c> Staff<'c> {
    fn of(section: &'c StaffSection) -> Self {
        // Sign-in in a browser affects no decision.
        let StaffSection { issuer, audience, person_claim, max_age, roles_claim, roles, client_id: _, client_secret_file: _ } =
            section;
        Self { issuer, audience, person_claim, max_age: max_age.0, roles_claim, roles }
    }
}

/// Warns of a file that differs from the configuration on record, where that is not recorded by a start.
pub fn differs(config: &Config, view: &View) -> Option<Finding> {
    let recorded = view.state.configuration.as_ref().filter(|_| config.journal.is_shared())?;
    let differs: Vec<String> = recorded.differences(&configuration(config)).into_iter().map(|one| one.setting).collect();
    let detail = format!("this file differs from the record in {}; the node would serve the recorded one", differs.join(", "));
    let fix = "put the file right, or record it with `carnet config apply` once this node has started with it";
    (!differs.is_empty()).then(|| Finding::other(Weight::Warning, "configuration", detail, fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::clock::Seconds;

    /// The journal has the digest.
    ///
    /// If its form changed, every node's next start would record a change of the configuration.
    #[test]
    fn the_digest_of_staff_is_made_of_this() {
        let groups = |all: &[&str]| all.iter().map(|group| (*group).to_owned()).collect();
        let section = StaffSection {
            issuer: "https://login.acme.example".parse().expect("an issuer"),
            audience: "carnet".to_owned(),
            person_claim: "oid".to_owned(),
            max_age: Seconds(3600),
            roles_claim: "groups".to_owned(),
            roles: BTreeMap::from([(Role::Security, groups(&["soc", "\"quoted\""])), (Role::Administrator, groups(&["ops"]))]),
            client_id: Some("console".to_owned()),
            client_secret_file: None,
        };
        let wanted = concat!(
            r#"{"issuer":"https://login.acme.example","audience":"carnet","personClaim":"oid","maxAge":3600,"rolesClaim":"groups","#,
            r#""roles":{"administrator":["ops"],"security":["\"quoted\"","soc"]}}"#,
        );
        assert_eq!(serde_json::to_string(&Staff::of(&section)).expect("JSON"), wanted);
        let other = StaffSection { client_id: None, ..section.clone() };
        assert_eq!(Digest::of_json(&Staff::of(&other)), Digest::of(wanted.as_bytes()));
    }
}
