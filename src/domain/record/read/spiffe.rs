//! `spiffe:` bindings: a workload of the partner's trust domain, by the bundle that the record names.
//!
//! One ID admits by either of its SVIDs: a JWT (JWT-SVID), or the client certificate of the connection (X.509-SVID).

use super::binding::{Settings, extra_audience};
use super::keys;
use super::keyset::{unusable, written as written_set};
use super::place::{Fields, Place};
use crate::domain::caller::spiffe::WorkloadId;
use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::record::write;
use crate::domain::registry::binding::{Condition, ExtraAudience, JwtKind, JwtRule, KeySource, Matcher, Preset};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::jwk_set::{self, JwkSet};

/// SVIDs are shown again until they end, and have no `jti`: their age is bounded.
const SETTINGS: Settings = Settings { single_use: false, max_life: Seconds::hours(1), max_age: Some(JwtRule::LONGEST_MAX_AGE) };

/// More bytes than a bundle with a hundred authorities has.
const LARGEST_BUNDLE: usize = 256 * 1024;

/// Reads one.
pub(in crate::domain::record) fn spiffe(place: &Place<'_>, faults: &mut Faults) -> Option<JwtRule> {
    let fields = place.fields(&keys::SPIFFE, faults)?;
    let id = fields.get("id").and_then(|place| place.parse::<WorkloadId>(faults));
    let bundle = bundle(place, &fields, faults);
    let settings = SETTINGS.read(&fields, faults);
    let audience = extra_audience(&fields, faults);
    let (id, settings) = (id?, settings?);
    Some(JwtRule {
        kind: JwtKind::Oidc,
        issuer: id.issuer(),
        keys: bundle?,
        matchers: vec![Matcher { claim: "sub".parse().ok()?, condition: Condition::Equals(id.to_string()) }],
        owner: Vec::new(),
        audience: audience?,
        // JWT-SVID section 3.1, as far as any workload's token is taken.
        algs: Alg::WORKLOAD.to_vec(),
        // Section 3.3 allows JOSE besides JWT.
        typ: vec!["JOSE".to_owned()],
        single_use: settings.single_use,
        max_life: settings.max_life,
        max_age: settings.max_age,
        preset: Some(Preset::Spiffe),
    })
}

fn bundle(place: &Place<'_>, fields: &Fields<'_>, faults: &mut Faults) -> Option<KeySource> {
    match (fields.get("bundle"), fields.get("bundleUrl")) {
        (Some(place), None) => inline(place, faults).map(KeySource::InlineBundle),
        (None, Some(place)) => place.url(faults).map(KeySource::BundleUrl),
        (Some(place), Some(_)) => {
            place.refuse("expected bundle or bundleUrl, not both", faults);
            None
        }
        (None, None) => {
            faults.error(&place.at, &reason::RECORD_MISSING, "expected bundle or bundleUrl: an ID alone is no trust");
            None
        }
    }
}

/// A bundle in the record, in YAML or as one string of JSON. It is read as verification reads it: each key of JWT-SVIDs must verify one.
/// What has another `use` is ignored there, and an empty bundle trusts nobody (SPIFFE Trust Domain and Bundle, section 4.2).
fn inline(place: &Place<'_>, faults: &mut Faults) -> Option<String> {
    let text = place.json().to_string();
    if text.len() > LARGEST_BUNDLE {
        place.refuse("expected a SPIFFE bundle of at most 256 KiB", faults);
        return None;
    }
    match judge(&written_set(place)) {
        Ok(()) => Some(text),
        Err(fault) => {
            faults.error(&place.at, &reason::BINDING_KEYS, fault);
            None
        }
    }
}

fn judge(text: &str) -> Result<(), String> {
    let set = jwk_set::document(text.as_bytes()).map_err(unusable)?;
    let entries = jwk_set::entries(&set).map_err(unusable)?;
    let of_tokens = entries.iter().enumerate().filter(|(_, entry)| entry["use"] == "jwt-svid");
    if let Some((at, _)) = of_tokens.clone().find(|(_, entry)| entry["kid"].as_str().is_none_or(str::is_empty)) {
        return Err(format!("keys[{at}] kid: expected a text, since every JWT-SVID names its key"));
    }
    match JwkSet::read(of_tokens, "jwt-svid").refused() {
        [] => Ok(()),
        [(at, fault), ..] => Err(format!("keys[{at}] {fault}")),
    }
}

/// The inverse.
pub(in crate::domain::record) fn written(rule: &JwtRule) -> serde_json::Value {
    let mut fields = write::Fields::default();
    if let Some(Matcher { condition: Condition::Equals(id), .. }) = rule.matchers.first() {
        fields.add("id", id.clone());
    }
    match &rule.keys {
        KeySource::InlineBundle(bundle) => fields.add("bundle", bundle.clone()),
        keys @ (KeySource::Discovery(_) | KeySource::JwksUri(_) | KeySource::Inline(_) | KeySource::BundleUrl(_)) => {
            fields.add("bundleUrl", keys.label());
        }
    }
    if let Some(ExtraAudience::Value(audience)) = &rule.audience {
        fields.add("audience", audience.as_str());
    }
    fields.unless(rule.single_use == SETTINGS.single_use, "singleUse", || rule.single_use.into());
    let told = JwtRule { max_age: if rule.max_age == SETTINGS.max_age { None } else { rule.max_age }, ..rule.clone() };
    write::times(&told, SETTINGS.max_life, &mut fields);
    fields.into_value()
}
