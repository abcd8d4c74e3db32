//! `oidc:` and `key:`, the two rules on JWTs that are written out.

use crate::domain::reason;
use crate::domain::record::fault::{Faults, shown};
use crate::domain::record::form::base::Form;
use crate::domain::record::form::claims::{Matchers, is_conclusive};
use crate::domain::record::form::definitions::{self, Definitions, any_text, claim};
use crate::domain::record::form::field::{Optional, Or, Required};
use crate::domain::record::form::keyset::{KeySet, judge_at};
use crate::domain::record::form::list::{Set, set, some};
use crate::domain::record::form::map::{Map as _, map};
use crate::domain::record::form::scalar::{ExactAudience, Flag, IssuerUrl, KeyUrl, Lasting, Only, Parsed, parsed};
use crate::domain::record::read::place::{Fields, Place};
use crate::domain::registry::binding::{ClaimPath, ExtraAudience, JwtKind, JwtRule, KeySource, Matcher};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{Audience, Issuer};

/// The longest life of an assertion that the partner signs itself.
const LONGEST_KEY_LIFE: Seconds = Seconds::hours(1);
/// Shorter lives are below the 15 s that must be left.
const SHORTEST_LIFE: Seconds = Seconds(30);

/// `maxLife` of a workload's token.
pub(in crate::domain::record) const LIFE: Lasting = Lasting(SHORTEST_LIFE, JwtRule::LONGEST_LIFE);
/// `maxAge` of any proof.
pub(in crate::domain::record) const AGE: Lasting = Lasting(SHORTEST_LIFE, JwtRule::LONGEST_MAX_AGE);

/// `oidc:`, a rule on the tokens of an issuer.
pub(in crate::domain::record) struct Oidc {
    issuer: Issuer,
    matchers: Vec<Matcher>,
    owner: Vec<ClaimPath>,
    jwks_uri: Option<String>,
    jwks: Option<String>,
    audience: Option<Audience>,
    algs: Vec<Alg>,
    typ: Vec<String>,
    single_use: bool,
    max_life: Seconds,
    max_age: Option<Seconds>,
}

map! {
    Oidc as "oidc" {
        issuer: "issuer" = Required(IssuerUrl);
        matchers: "match" = Required(Matchers);
        owner: "owner" = Or(
            some(parsed(claim), "expected at least one claim; leave the key out where the issuer is the partner's own"),
            Vec::new()
        );
        jwks_uri: "jwksUri" = Optional(KeyUrl);
        jwks: "jwks" = Optional(KeySet);
        audience: "audience" = Optional(ExactAudience);
        algs: "algs" = Or(algorithms(), Alg::WORKLOAD.to_vec());
        typ: "typ" = Or(MediaTypes, Vec::new());
        single_use: "singleUse" = Or(Flag, true);
        max_life: "maxLife" = Or(LIFE, JwtRule::LIFE);
        max_age: "maxAge" = Optional(AGE);
    }
    judge |fields, faults| {
        let keys = has_keys(fields, algs.as_deref().unwrap_or(&Alg::WORKLOAD), faults);
        let owner = owner_is_matched(fields, owner.as_deref(), matchers.as_deref(), faults);
        keys.and(owner)?;
    }
}

impl Oidc {
    /// The rule of the binding at `place`.
    pub fn rule(place: &Place<'_>, faults: &mut Faults) -> Option<JwtRule> {
        let oidc = Self::read(place, faults)?;
        let keys = source(oidc.jwks_uri, oidc.jwks).unwrap_or_else(|| KeySource::Discovery(oidc.issuer.clone()));
        Some(JwtRule {
            kind: JwtKind::Oidc,
            issuer: oidc.issuer,
            keys,
            matchers: oidc.matchers,
            owner: oidc.owner,
            audience: oidc.audience.map(ExtraAudience::Value),
            algs: oidc.algs,
            typ: oidc.typ,
            single_use: oidc.single_use,
            max_life: oidc.max_life,
            max_age: oidc.max_age,
            preset: None,
        })
    }

    /// The text of `rule` as an author writes it.
    pub fn written(rule: &JwtRule) -> serde_json::Value {
        let JwtRule { kind: _, issuer, keys, matchers, owner, audience, algs, typ, single_use, max_life, max_age, preset: _ } =
            rule;
        let (jwks_uri, jwks) = stated(keys);
        let oidc = Self {
            issuer: issuer.clone(),
            matchers: matchers.clone(),
            owner: owner.clone(),
            jwks_uri,
            jwks,
            audience: value_of(audience.as_ref()).cloned(),
            algs: algs.clone(),
            typ: typ.clone(),
            single_use: *single_use,
            max_life: *max_life,
            max_age: *max_age,
        };
        serde_json::Value::Object(oidc.members())
    }
}

/// `key:`, a rule on assertions that the partner signs itself.
pub(in crate::domain::record) struct Key {
    jwks_uri: Option<String>,
    jwks: Option<String>,
    token_endpoint: bool,
    algs: Vec<Alg>,
    typ: Vec<String>,
    max_life: Seconds,
    max_age: Option<Seconds>,
}

map! {
    Key as "key" {
        jwks_uri: "jwksUri" = Optional(KeyUrl);
        jwks: "jwks" = Optional(KeySet);
        token_endpoint: "audience" = Or(Only("token-endpoint"), false);
        algs: "algs" = Or(algorithms(), Alg::KEY.to_vec());
        typ: "typ" = Or(MediaTypes, Vec::new());
        max_life: "maxLife" = Or(Lasting(SHORTEST_LIFE, LONGEST_KEY_LIFE), Seconds::minutes(5));
        max_age: "maxAge" = Optional(AGE);
    }
    exactly one of ["jwks", "jwksUri"]
    judge |fields, faults| {
        if fields.get("jwks").is_none() && fields.get("jwksUri").is_none() {
            faults.error(&fields.at, &reason::RECORD_MISSING, "expected jwksUri or jwks");
            return None;
        }
        has_keys(fields, algs.as_deref().unwrap_or(&Alg::KEY), faults)?;
    }
}

impl Key {
    /// The rule of the binding at `place`.
    pub fn rule(place: &Place<'_>, faults: &mut Faults) -> Option<JwtRule> {
        let key = Self::read(place, faults)?;
        Some(JwtRule {
            kind: JwtKind::Key,
            // Invariant of ClientId: two labels and a slash, so it is always a valid issuer name.
            issuer: faults.ground.client.as_ref()?.to_string().parse().ok()?,
            keys: source(key.jwks_uri, key.jwks)?,
            matchers: Vec::new(),
            owner: Vec::new(),
            audience: key.token_endpoint.then_some(ExtraAudience::TokenEndpoint),
            algs: key.algs,
            typ: key.typ,
            single_use: true,
            max_life: key.max_life,
            max_age: key.max_age,
            preset: None,
        })
    }

    /// The text of `rule` as an author writes it.
    ///
    /// A `key` rule has no condition, and its proofs are for single use.
    pub fn written(rule: &JwtRule) -> serde_json::Value {
        let JwtRule {
            kind: _,
            issuer: _,
            keys,
            matchers: _,
            owner: _,
            audience,
            algs,
            typ,
            single_use: _,
            max_life,
            max_age,
            preset: _,
        } = rule;
        let (jwks_uri, jwks) = stated(keys);
        let key = Self {
            jwks_uri,
            jwks,
            token_endpoint: audience.is_some(),
            algs: algs.clone(),
            typ: typ.clone(),
            max_life: *max_life,
            max_age: *max_age,
        };
        serde_json::Value::Object(key.members())
    }
}

/// Where the keys of a rule are, unless it leaves that to discovery.
fn source(jwks_uri: Option<String>, jwks: Option<String>) -> Option<KeySource> {
    jwks.map(KeySource::Inline).or_else(|| jwks_uri.map(KeySource::JwksUri))
}

/// `jwksUri` and `jwks` of a rule.
fn stated(keys: &KeySource) -> (Option<String>, Option<String>) {
    match keys {
        KeySource::JwksUri(url) => (Some(url.clone()), None),
        KeySource::Inline(set) => (None, Some(set.clone())),
        // Bundles are a preset's, which writes them itself.
        KeySource::Discovery(_) | KeySource::BundleUrl(_) | KeySource::InlineBundle(_) => (None, None),
    }
}

/// The audience besides the environment's issuer, where it is a value.
pub(in crate::domain::record) fn value_of(audience: Option<&ExtraAudience>) -> Option<&Audience> {
    match audience {
        Some(ExtraAudience::Value(audience)) => Some(audience),
        Some(ExtraAudience::TokenEndpoint) | None => None,
    }
}

/// Keys are named in one way at most, and those that stand in the record verify one of `algs`.
fn has_keys(fields: &Fields<'_>, algs: &[Alg], faults: &mut Faults) -> Option<()> {
    match (fields.get("jwks"), fields.get("jwksUri")) {
        (Some(place), Some(_)) => {
            place.refuse("expected jwks or jwksUri, not both", faults);
            None
        }
        (Some(place), None) => judge_at(place, algs, faults),
        (None, _) => Some(()),
    }
}

/// Each of the claims that name the partner is matched exactly, or every stranger would count as known.
fn owner_is_matched(
    fields: &Fields<'_>,
    owner: Option<&[ClaimPath]>,
    matchers: Option<&[Matcher]>,
    faults: &mut Faults,
) -> Option<()> {
    for (i, claim) in owner.into_iter().flatten().enumerate() {
        let fine = |matcher: &Matcher| matcher.claim == *claim && is_conclusive(matcher);
        if matchers.is_some_and(|matchers| !matchers.iter().any(fine)) {
            let message = format!("{} must be matched by an exact value that a stranger cannot choose", shown(claim.as_str()));
            faults.error(&format!("{}[{i}]", fields.path("owner")), &reason::BINDING_UNCONDITIONAL, message);
            return None;
        }
    }
    Some(())
}

/// Signature algorithms, at least one.
fn algorithms() -> Set<Parsed<Alg>> {
    some(parsed(definitions::alg), "expected at least one algorithm")
}

/// Values of `typ`.
struct MediaTypes;

impl Form for MediaTypes {
    type Value = Vec<String>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<String>> {
        let types = set(parsed::<String>(any_text)).read(place, faults)?;
        let token = |typ: &String| typ.len() <= 64 && typ.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-./_".contains(&b));
        if !types.iter().all(token) {
            place.refuse("expected media types such as at+jwt", faults);
            return None;
        }
        Some(types)
    }

    fn write(&self, types: &Vec<String>) -> serde_json::Value {
        serde_json::json!(types)
    }

    fn schema(&self, definitions: &mut Definitions) -> serde_json::Value {
        set(parsed::<String>(any_text)).schema(definitions)
    }
}
