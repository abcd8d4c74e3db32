//! `[environments.NAME]`: one issuer each, told apart by host and path.

use std::collections::BTreeMap;

use super::fault::Faults;
use super::section::Section;
use super::url;
use crate::domain::clock::Seconds;
use crate::domain::names::{EnvironmentName, Issuer};

/// `[environments.NAME]`.
#[derive(Clone, Debug)]
pub struct EnvironmentSection {
    /// The `iss` of its tokens, and where its endpoints are.
    pub issuer: Issuer,
    /// No token lives longer, whatever record or API say.
    pub max_ttl: Seconds,
    /// Of its SPIFFE IDs.
    pub trust_domain: Option<String>,
}

impl EnvironmentSection {
    /// Host and port of the issuer, as a `Host` header names them.
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

/// The default ceiling of a token's life.
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

/// What an environment took, for comparison with the others.
struct Seen {
    field: String,
    issuer: String,
    trust_domain: Option<String>,
}

fn one(mut section: Section<'_>, seen: &mut Vec<Seen>, faults: &mut Faults<'_>) -> Option<EnvironmentSection> {
    let name = section.at().0.to_owned();
    let issuer = section.required("issuer", ISSUER_FIX, faults).and_then(|issuer| {
        let parsed = issuer.parse(faults, |text| url::environment_issuer(text), ISSUER_FIX)?;
        if let Some(other) = seen.iter().find(|other| overlap(&other.issuer, &issuer.value)) {
            let reason = format!("it is the same as, or the beginning of, that of {} (or the other way round)", other.field);
            faults.add(issuer.at(), reason, "give each environment a path or host of its own");
        }
        Some(parsed)
    });
    let max_ttl = section.duration("max_ttl", (Seconds(15), Seconds::hours(1)), faults);
    let trust_domain = section.text("trust_domain", faults).and_then(|domain| {
        let fix = "write a name such as production.partners.acme.example, one per environment";
        let parsed = domain.parse(faults, |text| trust_domain(text), fix)?;
        if seen.iter().any(|other| other.trust_domain.as_ref() == Some(&parsed)) {
            faults.add(domain.at(), "another environment has this trust domain", fix);
        }
        Some(parsed)
    });
    section.finish(faults);
    if let Some(issuer) = &issuer {
        seen.push(Seen { field: name, issuer: issuer.as_str().to_owned(), trust_domain: trust_domain.clone() });
    }
    Some(EnvironmentSection { issuer: issuer?, max_ttl: max_ttl.unwrap_or(MAX_TTL), trust_domain })
}

/// Same host, and one path is the other's or lies below it: a request could then belong to both. The scheme is no difference,
/// as a `Host` header does not tell it.
fn overlap(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (url::split(one), url::split(other)) else { return false };
    let below = |path: &str, root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    one.authority == other.authority && (below(one.path, other.path) || below(other.path, one.path))
}

/// SPIFFE-ID section 2.1: lower-case letters, digits, dots, dashes, underscores.
fn trust_domain(text: &str) -> Result<String, String> {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    if !text.is_empty() && text.len() <= 255 && text.bytes().all(is_name) {
        Ok(text.to_owned())
    } else {
        Err("this is not a trust domain".to_owned())
    }
}
