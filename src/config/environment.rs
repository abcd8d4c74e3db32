//! `[environments.NAME]`: environments, each with its own issuer; host and path tell them apart.

use std::collections::BTreeMap;

use super::fault::Faults;
use super::section::Section;
use super::url;
use crate::domain::credential::claims::LONGEST_LIFE;
use crate::domain::decision::life::SHORTEST_LIFE;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{EnvironmentName, Issuer, TrustDomain};

/// `[environments.NAME]`.
#[derive(Clone, Debug)]
pub struct EnvironmentSection {
    /// The `iss` of its tokens, and the base URL of its endpoints.
    pub issuer: Issuer,
    /// The longest life of a token, whatever record or API say.
    pub max_ttl: Seconds,
    /// The trust domain of its SPIFFE IDs.
    pub trust_domain: TrustDomain,
    /// Whether it counts as production; by its name, where the section says nothing.
    pub production: Option<bool>,
}

impl EnvironmentSection {
    /// The issuer's host and port, in the form of a `Host` header.
    pub fn authority(&self) -> &str {
        self.parts().0
    }

    /// The issuer's path: empty, or `/` and segments.
    pub fn path(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        url::split(self.issuer.as_str()).map_or(("", ""), |parts| (parts.authority, parts.path))
    }
}

/// The default longest life of a token.
const MAX_TTL: Seconds = Seconds::minutes(15);

const ISSUER_FIX: &str =
    "write https://HOST/PATH, or http:// on a loopback host; lower case, no query, no fragment, no trailing slash";

pub(super) fn read(section: Option<Section<'_>>, faults: &mut Faults<'_>) -> BTreeMap<EnvironmentName, EnvironmentSection> {
    let mut environments = BTreeMap::new();
    let mut seen: Vec<Seen> = Vec::new();
    let names = section.as_ref().map(Section::keys).unwrap_or_default();
    if names.is_empty() {
        faults.add(("environments", None), "there is no environment", "add [environments.production] with an issuer");
    }
    let Some(mut section) = section else { return environments };
    for (name, line) in names {
        let field = format!("environments.{name}");
        let Some(below) = section.named_section(&name, faults) else { continue };
        let parsed = name.parse::<EnvironmentName>();
        if let Err(error) = &parsed {
            faults.add((&field, Some(line)), "this is not the name of an environment", error.to_string());
        }
        if let (Some(environment), Ok(name)) = (one(below, &mut seen, faults), parsed) {
            environments.insert(name, environment);
        }
    }
    environments
}

/// The parts of an environment that others are compared with.
struct Seen {
    field: String,
    issuer: String,
    trust_domain: Option<TrustDomain>,
}

fn one(mut section: Section<'_>, seen: &mut Vec<Seen>, faults: &mut Faults<'_>) -> Option<EnvironmentSection> {
    let field = section.at().0.to_owned();
    let name = field.strip_prefix("environments.").unwrap_or(&field).to_owned();
    let issuer = section.required("issuer", ISSUER_FIX, faults).and_then(|issuer| {
        let parsed = issuer.parse(faults, |text| url::environment_issuer(text), ISSUER_FIX)?;
        if let Some(other) = seen.iter().find(|other| overlap(&other.issuer, &issuer.value)) {
            let reason = format!("it is the same as, or the beginning of, that of {} (or the other way round)", other.field);
            faults.add(issuer.at(), reason, "give each environment a path or host of its own");
        }
        Some(parsed)
    });
    let max_ttl = section.duration("max_ttl", (SHORTEST_LIFE, LONGEST_LIFE), faults);
    let trust_domain = section.text("trust_domain", faults).and_then(|domain| {
        let fix = "write a name such as production.partners.acme.example, one per environment";
        let parsed = domain.parse(faults, |text| text.parse().map_err(|_| "this is not a trust domain".to_owned()), fix)?;
        if seen.iter().any(|other| other.trust_domain.as_ref() == Some(&parsed)) {
            faults.add(domain.at(), "another environment has this trust domain", fix);
        }
        Some(parsed)
    });
    let trust_domain = trust_domain.or_else(|| {
        let made = default_trust_domain(&name, issuer.as_ref()?.as_str());
        let free = made.filter(|made| seen.iter().all(|other| other.trust_domain.as_ref() != Some(made)));
        if free.is_none() {
            let reason = "no trust domain of its own can be made of its name and its issuer's host";
            faults.add(section.at(), reason, "set trust_domain, one per environment");
        }
        free
    });
    let production = section.truth("production", faults);
    section.finish(faults);
    if let Some(issuer) = &issuer {
        seen.push(Seen { field, issuer: issuer.as_str().to_owned(), trust_domain: trust_domain.clone() });
    }
    let max_ttl = max_ttl.unwrap_or(MAX_TTL);
    Some(EnvironmentSection { issuer: issuer?, max_ttl, trust_domain: trust_domain?, production })
}

/// True if both have the same host, and one path is equal to or below the other.
///
/// A request could then belong to both. The scheme does not matter: a `Host` header does not have it.
fn overlap(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (url::split(one), url::split(other)) else { return false };
    let below = |path: &str, root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    one.authority == other.authority && (below(one.path, other.path) || below(other.path, one.path))
}

/// The default trust domain: the environment's name before its issuer's host.
///
/// No two environments share it.
pub(crate) fn default_trust_domain(environment: &str, issuer: &str) -> Option<TrustDomain> {
    let authority = url::split(issuer).ok()?.authority;
    // Without the port; an IPv6 address has its own colons, in brackets.
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address.replace(':', "-"),
        None => authority.split(':').next().unwrap_or_default().to_ascii_lowercase(),
    };
    // An invalid name has its own fault.
    format!("{}.{host}", environment.to_ascii_lowercase()).parse().ok()
}
