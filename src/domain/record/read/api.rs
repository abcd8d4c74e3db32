//! `kind: Api`.

use std::collections::BTreeMap;

use super::binding::{Bindings, Ground};
use super::keys;
use super::place::Place;
use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::registry::api::{Api, Approval, Profile, Risk, ScopeEntry, TokenForm};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ApiName, Audience, ClientId, EnvironmentName};
use crate::domain::value::scope::Scope;

/// The API that is built in: its audience is the environment's issuer, its scopes are `carnet:*` (docs/reference/records.md).
pub(in crate::domain::record) const BUILT_IN: &str = "carnet";

/// Tokens live minutes: no record makes one live longer than this.
pub(in crate::domain::record) const LONGEST_TTL: Seconds = Seconds::hours(1);
/// Below this a token would be refused as too short as soon as it is made (15 s must be left).
pub(in crate::domain::record) const SHORTEST_TTL: Seconds = Seconds(30);

pub(in crate::domain::record) fn api(document: &Place<'_>, faults: &mut Faults) -> Option<Api> {
    let fields = document.fields(&keys::API, faults)?;
    let name = fields.get("metadata").and_then(|place| {
        let metadata = place.fields(&keys::API_METADATA, faults)?;
        name(metadata.get("name")?, faults)
    });
    let owner = fields.get("owner").and_then(|place| place.personal(faults));
    let audience = fields.get("audience").and_then(|place| audiences(place, faults));
    let token = fields.get("token").map_or_else(|| Some(DEFAULT_TOKEN), |place| token(place, faults));
    let scopes = fields.get("scopes").and_then(|place| scopes(place, faults));
    let client = name.clone().map(ClientId::Api);
    let callers = fields.get("callers").map_or_else(|| Some(BTreeMap::new()), |place| callers(place, client.as_ref(), faults));
    let approval = fields
        .get("approval")
        .map_or(Some(Approval::Plain), |place| place.word(&[("plain", Approval::Plain), ("signed", Approval::Signed)], faults));
    Some(Api {
        name: name?,
        owner: owner?,
        audience: audience?,
        token: token?,
        scopes: scopes?,
        callers: callers?,
        approval: approval?,
    })
}

/// RFC 9068 and ES256, for five minutes (docs/explanation/why-at-jwt.md).
const DEFAULT_TOKEN: TokenForm =
    TokenForm { profile: Profile::Rfc9068, alg: Alg::Es256, ttl: Seconds::minutes(5), require_bound: false };

fn name(place: &Place<'_>, faults: &mut Faults) -> Option<ApiName> {
    let name: ApiName = place.parse(faults)?;
    if name.as_str() == BUILT_IN {
        place.refuse("the API carnet is built in; choose another name", faults);
        return None;
    }
    Some(name)
}

fn audiences(place: &Place<'_>, faults: &mut Faults) -> Option<BTreeMap<EnvironmentName, Audience>> {
    let mut audiences = BTreeMap::new();
    let mut whole = true;
    for (key, place) in place.entries(faults)? {
        let environment = environment(key, &place, faults);
        let audience = place.audience(faults);
        match environment.zip(audience) {
            Some((_, audience)) if !is_absolute_uri(audience.as_str()) => {
                place.refuse("expected an absolute URI without a fragment (RFC 8707 section 2)", faults);
                whole = false;
            }
            Some((environment, audience)) => whole &= audiences.insert(environment, audience).is_none(),
            None => whole = false,
        }
    }
    whole.then_some(audiences)
}

fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_ok = scheme.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    scheme_ok && !rest.is_empty() && !rest.contains('#')
}

/// The name of an environment that stands as a key.
pub(in crate::domain::record) fn environment(key: &str, place: &Place<'_>, faults: &mut Faults) -> Option<EnvironmentName> {
    match key.parse() {
        Ok(environment) => Some(environment),
        Err(expected) => {
            place.refuse(&format!("the name of an environment: {expected}"), faults);
            None
        }
    }
}

fn token(place: &Place<'_>, faults: &mut Faults) -> Option<TokenForm> {
    let fields = place.fields(&keys::TOKEN, faults)?;
    let profile = fields.get("profile").map_or(Some(DEFAULT_TOKEN.profile), |place| {
        place.word(&[("rfc9068", Profile::Rfc9068), ("compat", Profile::Compat)], faults)
    });
    // PS256 is taken inbound only; our own tokens have four forms (docs/reference/records.md).
    let algs = [Alg::Es256, Alg::Rs256, Alg::EdDsa, Alg::Ed25519].map(|alg| (alg.name(), alg));
    let alg = fields.get("alg").map_or(Some(DEFAULT_TOKEN.alg), |place| place.word(&algs, faults));
    let ttl = fields.get("ttl").map_or(Some(DEFAULT_TOKEN.ttl), |place| place.duration(SHORTEST_TTL, LONGEST_TTL, faults));
    let require_bound = fields.get("require").map_or(Some(false), |place| place.word(&[("bound", true)], faults));
    Some(TokenForm { profile: profile?, alg: alg?, ttl: ttl?, require_bound: require_bound? })
}

fn scopes(place: &Place<'_>, faults: &mut Faults) -> Option<BTreeMap<Scope, ScopeEntry>> {
    let mut scopes = BTreeMap::new();
    let mut whole = true;
    for (key, place) in place.entries(faults)? {
        let scope: Option<Scope> = key.parse().map_err(|expected| place.refuse(&format!("{expected}"), faults)).ok();
        if key.starts_with("carnet:") {
            place.refuse("scopes that begin with carnet: are built in", faults);
            whole = false;
        }
        match scope.zip(scope_entry(&place, faults)) {
            Some((scope, entry)) => whole &= scopes.insert(scope, entry).is_none(),
            None => whole = false,
        }
    }
    if scopes.is_empty() && whole {
        place.refuse("expected at least one scope", faults);
        return None;
    }
    whole.then_some(scopes)
}

fn scope_entry(place: &Place<'_>, faults: &mut Faults) -> Option<ScopeEntry> {
    let fields = place.fields(&keys::SCOPE_ENTRY, faults)?;
    let meaning = fields.get("meaning").and_then(|place| place.words(faults));
    let risk = fields
        .get("risk")
        .and_then(|place| place.word(&[("low", Risk::Low), ("medium", Risk::Medium), ("high", Risk::High)], faults));
    Some(ScopeEntry { meaning: meaning?.to_owned(), risk: risk? })
}

fn callers(
    place: &Place<'_>,
    client: Option<&ClientId>,
    faults: &mut Faults,
) -> Option<BTreeMap<EnvironmentName, Vec<crate::domain::registry::binding::Binding>>> {
    let mut callers = BTreeMap::new();
    let mut whole = true;
    for (key, place) in place.entries(faults)? {
        let environment = environment(key, &place, faults);
        // Callers have no `require` and no `sourceCidrs`: only maxAge can bound a reusable proof of theirs.
        let ground = Ground { client, production: key == super::access::PRODUCTION, bounded: false };
        match environment.zip(Bindings { ground }.read(&place, faults)) {
            Some((environment, bindings)) => whole &= callers.insert(environment, bindings).is_none(),
            None => whole = false,
        }
    }
    if whole { Some(callers) } else { None }
}

/// Tells that an API exists in no environment at all.
pub(in crate::domain::record) fn judge(api: &Api, faults: &mut Faults) {
    if api.audience.is_empty() {
        faults.error("audience", &reason::RECORD_MISSING, "expected an audience in at least one environment");
    }
    for environment in api.callers.keys().filter(|environment| !api.audience.contains_key(*environment)) {
        let message = format!("the API has callers in {environment} and no audience there");
        faults.error(&format!("callers.{environment}"), &reason::RECORD_UNKNOWN_REFERENCE, message);
    }
}
