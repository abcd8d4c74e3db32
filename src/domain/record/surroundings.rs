//! What a record needs of the others: that what it names exists, that its audiences are its own, that its bindings overlap with
//! nobody's, and that its own tests come out.
//!
//! Enter through [`check`], at `apply` and again at activation: drafts reserve nothing, so only then is the answer final.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::overlap::Claimed;
use super::read_api::BUILT_IN;
use super::{Fault, Located, Record, run_tests};
use crate::domain::api::Api;
use crate::domain::integration::Integration;
use crate::domain::names::{ApiName, ClientId, EnvironmentName, IntegrationId, Issuer, PartnerName};
use crate::domain::reason;
use crate::domain::scope::Scope;
use crate::domain::state::State;

/// The records that are in force, and the environments that are configured.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Configured environments.
    pub environments: BTreeSet<EnvironmentName>,
    /// Their issuers, so that none of them is taken as an audience; may be empty offline.
    pub issuers: BTreeMap<EnvironmentName, Issuer>,
    /// Active APIs.
    pub apis: BTreeMap<ApiName, Arc<Api>>,
    /// Partners that have a record.
    pub partners: BTreeSet<PartnerName>,
    /// Active integrations.
    pub integrations: BTreeMap<IntegrationId, Arc<Integration>>,
}

/// The scope that the built-in API `carnet` has (CONTRACT.md section 4).
const BUILT_IN_SCOPE: &str = "carnet:introspect";

/// The faults of `records` among themselves and against what is in force, and the warnings that they were read with. A record of the same apply stands for the one that it
/// replaces, and what it names counts as existing.
pub fn check(records: &[Located], around: &Surroundings) -> Vec<Fault> {
    let view = View::of(records, around);
    let mut faults = twice(records);
    for located in records {
        faults.extend_from_slice(&located.warnings);
        match &located.record {
            Record::Api(api) => view.api(located, api, &mut faults),
            Record::Integration(integration) => view.integration(located, integration, &mut faults),
            Record::Partner(_) => {}
        }
        faults.extend(run_tests(located));
    }
    view.audiences(records, &mut faults);
    view.overlaps(records, &mut faults);
    faults
}

/// A record that stands in the apply twice: which one should count would be a guess.
fn twice(records: &[Located]) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for located in records {
        let (kind, name) = located.record.name();
        if !seen.insert((kind, name.clone())) {
            let message = format!("there are two records {kind} {name}");
            faults.push(located.error("metadata", &reason::RECORD_DUPLICATE, message));
        }
    }
    faults
}

/// Everything as it would be if the records were in force.
struct View<'a> {
    around: &'a Surroundings,
    apis: BTreeMap<&'a ApiName, &'a Api>,
    integrations: BTreeMap<&'a IntegrationId, &'a Integration>,
    partners: BTreeSet<&'a PartnerName>,
}

impl<'a> View<'a> {
    fn of(records: &'a [Located], around: &'a Surroundings) -> Self {
        let mut view = Self {
            around,
            apis: around.apis.iter().map(|(name, api)| (name, &**api)).collect(),
            integrations: around.integrations.iter().map(|(id, integration)| (id, &**integration)).collect(),
            partners: around.partners.iter().collect(),
        };
        for located in records {
            match &located.record {
                Record::Api(api) => drop(view.apis.insert(&api.name, api)),
                Record::Integration(integration) => drop(view.integrations.insert(&integration.id, integration)),
                Record::Partner(partner) => drop(view.partners.insert(&partner.name)),
            }
        }
        view
    }

    fn api(&self, located: &Located, api: &Api, faults: &mut Vec<Fault>) {
        for environment in api.audience.keys() {
            self.environment(located, environment, &format!("audience.{environment}"), faults);
        }
        for environment in api.callers.keys() {
            self.environment(located, environment, &format!("callers.{environment}"), faults);
        }
    }

    fn integration(&self, located: &Located, integration: &Integration, faults: &mut Vec<Fault>) {
        let partner = &integration.id.partner;
        if !self.partners.contains(partner) {
            let message = format!("there is no partner {partner}");
            faults.push(located.error("metadata.partner", &reason::RECORD_UNKNOWN_REFERENCE, message));
        }
        for (environment, access) in &integration.environments {
            let at = format!("environments.{environment}");
            self.environment(located, environment, &at, faults);
            for (api, rules) in &access.scopes {
                for (i, rule) in rules.iter().enumerate() {
                    let at = format!("{at}.scopes.{api}[{i}]");
                    if let Some(message) = self.scope(environment, api, &rule.scope) {
                        faults.push(located.error(&at, &reason::RECORD_UNKNOWN_REFERENCE, message));
                    }
                }
                if rules.is_empty() && !self.knows(api) {
                    let message = format!("there is no API {api}");
                    faults.push(located.error(&format!("{at}.scopes.{api}"), &reason::RECORD_UNKNOWN_REFERENCE, message));
                }
            }
            for (i, eligible) in access.elevation.iter().enumerate() {
                if let Some(message) = self.scope(environment, &eligible.api, &eligible.scope) {
                    let at = format!("{at}.elevation[{i}]");
                    faults.push(located.error(&at, &reason::RECORD_UNKNOWN_REFERENCE, message));
                }
            }
        }
    }

    fn environment(&self, located: &Located, environment: &EnvironmentName, at: &str, faults: &mut Vec<Fault>) {
        if !self.around.environments.contains(environment) {
            let message = format!("there is no environment {environment}");
            faults.push(located.error(at, &reason::RECORD_UNKNOWN_REFERENCE, message));
        }
    }

    fn knows(&self, api: &ApiName) -> bool {
        api.as_str() == BUILT_IN || self.apis.contains_key(api)
    }

    /// Why a scope cannot be had, if so.
    fn scope(&self, environment: &EnvironmentName, name: &ApiName, scope: &Scope) -> Option<String> {
        if name.as_str() == BUILT_IN {
            return (scope.as_str() != BUILT_IN_SCOPE)
                .then(|| format!("the API {BUILT_IN} has the scope {BUILT_IN_SCOPE} only"));
        }
        match self.apis.get(name) {
            None => Some(format!("there is no API {name}")),
            Some(api) if !api.audience.contains_key(environment) => {
                Some(format!("the API {name} has no audience in {environment}"))
            }
            Some(api) if !api.scopes.contains_key(scope) => Some(format!("the API {name} has no scope {scope}")),
            Some(_) => None,
        }
    }

    /// All rules on JWTs, callers of APIs included.
    fn claimed(&self) -> Vec<Claimed<'a>> {
        let callers = self.apis.values().flat_map(|api| of_api(api));
        let bindings = self.integrations.values().flat_map(|integration| of_integration(integration));
        callers.chain(bindings).collect()
    }

    /// An audience is one API in one environment; an accepted audience of proofs belongs to one environment; and no audience
    /// is also an issuer, or a token could be shown where a proof is asked.
    fn audiences(&self, records: &[Located], faults: &mut Vec<Fault>) {
        let claimed = self.claimed();
        let mut owners: HashMap<&str, BTreeSet<(&ApiName, &EnvironmentName)>> = HashMap::new();
        for api in self.apis.values() {
            for (environment, audience) in &api.audience {
                owners.entry(audience.as_str()).or_default().insert((&api.name, environment));
            }
        }
        let mut accepted: HashMap<&str, BTreeSet<&EnvironmentName>> = HashMap::new();
        for one in &claimed {
            if let Some(extra) = one.extra() {
                accepted.entry(extra).or_default().insert(one.environment);
            }
        }
        let issuers: BTreeSet<&str> = claimed.iter().map(|one| one.rule.issuer.as_str()).collect();
        for located in records {
            if let Record::Api(api) = &located.record {
                for (environment, audience) in &api.audience {
                    let text = audience.as_str();
                    let taken = owners.get(text).into_iter().flatten().find(|owner| **owner != (&api.name, environment));
                    let message = match taken {
                        Some((other, there)) => format!("{text} is the audience of {other} in {there}"),
                        None if issuers.contains(text) || self.belongs_to(text).is_some() => format!("{text} is an issuer"),
                        None if accepted.contains_key(text) => format!("{text} is an accepted audience of proofs"),
                        None => continue,
                    };
                    faults.push(located.error(&format!("audience.{environment}"), &reason::RECORD_AUDIENCE_TAKEN, message));
                }
            }
            for one in of(&located.record) {
                let Some(extra) = one.extra() else { continue };
                let elsewhere = accepted.get(extra).into_iter().flatten().find(|other| **other != one.environment);
                let message = match (elsewhere, self.belongs_to(extra), owners.contains_key(extra)) {
                    (Some(other), ..) => {
                        format!("{extra} is accepted in {other}: an accepted audience belongs to one environment")
                    }
                    (_, Some(other), _) if other != one.environment => format!("{extra} belongs to the environment {other}"),
                    (_, _, true) => format!("{extra} is the audience of an API"),
                    _ => continue,
                };
                faults.push(located.error(&one.at, &reason::RECORD_AUDIENCE_TAKEN, message));
            }
        }
    }

    /// The environment whose issuer `text` is, or lies below (its token endpoint).
    fn belongs_to(&self, text: &str) -> Option<&'a EnvironmentName> {
        let below =
            |issuer: &Issuer| text.strip_prefix(issuer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.around.issuers.iter().find(|(_, issuer)| below(issuer)).map(|(environment, _)| environment)
    }

    fn overlaps(&self, records: &[Located], faults: &mut Vec<Fault>) {
        let mut by_issuer: HashMap<Issuer, Vec<Claimed<'a>>> = HashMap::new();
        for one in self.claimed() {
            by_issuer.entry(one.rule.issuer.clone()).or_default().push(one);
        }
        for located in records {
            for one in of(&located.record) {
                let others = by_issuer.get(&one.rule.issuer).into_iter().flatten();
                if let Some(other) = others.into_iter().find(|other| one.overlaps(other)) {
                    let message = format!(
                        "a proof that {} admits could also be admitted by {}/{}/{}; they must differ on a claim",
                        one.binding.name, other.client, other.environment, other.binding.name
                    );
                    faults.push(located.error(&one.at, &reason::BINDING_OVERLAP, message));
                }
            }
        }
    }
}

/// Whether a proof that this integration admits could also be admitted by what is in force of somebody else, or by another of its own
/// environments.
pub fn integration_overlaps(record: &Integration, state: &State) -> bool {
    overlaps_in_force(&of_integration(record), state)
}

/// The same for the callers of an API.
pub fn callers_overlap(record: &Api, state: &State) -> bool {
    overlaps_in_force(&of_api(record), state)
}

fn overlaps_in_force(own: &[Claimed<'_>], state: &State) -> bool {
    let apis = state.apis.values().filter_map(|api| api.current.as_ref()).flat_map(|current| of_api(&current.record));
    let integrations = state.integrations.values().filter_map(|integration| integration.current.as_ref());
    let mut others = apis.chain(integrations.flat_map(|current| of_integration(&current.record)));
    // What is in force of the same client is what this version replaces.
    others.any(|other| own.iter().any(|one| one.client != other.client && one.overlaps(&other)))
}

fn of(record: &Record) -> Vec<Claimed<'_>> {
    match record {
        Record::Api(api) => of_api(api),
        Record::Integration(integration) => of_integration(integration),
        Record::Partner(_) => Vec::new(),
    }
}

fn of_api(api: &Api) -> Vec<Claimed<'_>> {
    let client = ClientId::Api(api.name.clone());
    let list = api.callers.iter();
    list.flat_map(|(environment, bindings)| Claimed::all(&client, environment, bindings, &format!("callers.{environment}")))
        .collect()
}

fn of_integration(integration: &Integration) -> Vec<Claimed<'_>> {
    let client = ClientId::Integration(integration.id.clone());
    let list = integration.environments.iter();
    list.flat_map(|(environment, access)| {
        Claimed::all(&client, environment, &access.bindings, &format!("environments.{environment}.bindings"))
    })
    .collect()
}
