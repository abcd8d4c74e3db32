//! Presets: the shorthands of platforms, read and written by the rows of one table.

use serde_json::{Map, Value as Json, json};

use super::rule::{AGE, LIFE, value_of};
use crate::domain::caller::spiffe::WorkloadId;
use crate::domain::reason;
use crate::domain::record::fault::{Faults, shown};
use crate::domain::record::form::base::Form;
use crate::domain::record::form::claims::OnClaim;
use crate::domain::record::form::definitions::{Definitions, label};
use crate::domain::record::form::field::{Field as _, Members, Optional, Or};
use crate::domain::record::form::keyset::Bundle;
use crate::domain::record::form::map::object;
use crate::domain::record::form::scalar::{ExactAudience, Flag, IssuerUrl, Url};
use crate::domain::record::read::place::{Fields, Key, Place, Shape};
use crate::domain::registry::binding::{Condition, ExtraAudience, JwtRule, KeySource, Matcher};
use crate::domain::registry::preset::{Id, IdForm, Preset, Row, Source};
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ApiName, Issuer};

/// One key of a preset.
#[derive(Clone, Copy)]
enum Part {
    Issuer { required: bool },
    Id(&'static Id),
    Claim(&'static str),
    Bundle,
    BundleUrl,
    Audience,
    SingleUse,
    MaxLife,
    MaxAge,
}

/// The keys of a preset, in the order in which they are written.
fn parts(row: &'static Row) -> impl Iterator<Item = Part> {
    let (issuer, bundle): (&[Part], &[Part]) = match row.issuer {
        Source::Shared(_) => (&[Part::Issuer { required: false }], &[]),
        Source::Named => (&[Part::Issuer { required: true }], &[]),
        Source::TrustDomain => (&[], &[Part::Bundle, Part::BundleUrl]),
    };
    let claims = row.ids.iter().map(Part::Id).chain(row.more.iter().copied().map(Part::Claim));
    let settings = [Part::Audience, Part::SingleUse, Part::MaxLife, Part::MaxAge];
    issuer.iter().copied().chain(claims).chain(bundle.iter().copied()).chain(settings)
}

impl Part {
    fn key(self) -> Key {
        let (name, required) = match self {
            Self::Issuer { required } => ("issuer", required),
            Self::Id(id) => (id.key, true),
            Self::Claim(key) => (key, false),
            Self::Bundle => ("bundle", false),
            Self::BundleUrl => ("bundleUrl", false),
            Self::Audience => ("audience", false),
            Self::SingleUse => ("singleUse", false),
            Self::MaxLife => ("maxLife", false),
            Self::MaxAge => ("maxAge", false),
        };
        Key { name, required }
    }

    fn schema(self, definitions: &mut Definitions) -> Json {
        match self {
            Self::Issuer { .. } => IssuerUrl.schema(definitions),
            Self::Id(id) => id_schema(id.form, definitions),
            Self::Claim(_) => OnClaim.schema(definitions),
            Self::Bundle => Bundle.schema(definitions),
            Self::BundleUrl => Url.schema(definitions),
            Self::Audience => ExactAudience.schema(definitions),
            Self::SingleUse => Flag.schema(definitions),
            Self::MaxLife => LIFE.schema(definitions),
            Self::MaxAge => AGE.schema(definitions),
        }
    }
}

fn shape(row: &'static Row) -> Shape {
    Shape { name: row.name, keys: parts(row).map(Part::key).collect() }
}

/// The JSON Schema of a preset.
pub(in crate::domain::record) fn schema(preset: Preset, definitions: &mut Definitions) -> Json {
    let row = preset.row();
    definitions.refer(row.name, |definitions| {
        let property = |part: Part| (part.key().name.to_owned(), part.schema(definitions));
        let properties: Map<String, Json> = parts(row).map(property).collect();
        let choice: &[&str] = match row.issuer {
            Source::TrustDomain => &["bundle", "bundleUrl"],
            Source::Shared(_) | Source::Named => &[],
        };
        object(&shape(row), properties, choice)
    })
}

/// The rule that a preset stands for.
pub(in crate::domain::record) fn rule(preset: Preset, place: &Place<'_>, faults: &mut Faults) -> Option<JwtRule> {
    let row = preset.row();
    let fields = place.fields(&shape(row), faults)?;
    let matchers = matchers(row, &fields, faults);
    let origin = origin(row, &fields, matchers.as_deref(), faults);
    let single_use = Or(Flag, row.settings.single_use).read(fields.get("singleUse"), faults);
    let max_life = Or(LIFE, row.settings.max_life).read(fields.get("maxLife"), faults);
    let max_age = Optional(AGE).read(fields.get("maxAge"), faults);
    let audience = Optional(ExactAudience).read(fields.get("audience"), faults);
    let (single_use, (issuer, keys)) = (single_use?, origin?);
    Some(JwtRule {
        matchers: matchers?,
        owner: row.owner.iter().map(|claim| claim.parse().ok()).collect::<Option<_>>()?,
        audience: audience?.map(ExtraAudience::Value),
        typ: row.typ.iter().map(|typ| (*typ).to_owned()).collect(),
        single_use,
        max_life: max_life?,
        max_age: max_age?.or(max_age_of(row, single_use)),
        preset: Some(preset),
        // Algorithms are those of any workload's token; for SVIDs JWT-SVID section 3.1 has more.
        ..JwtRule::of_tokens(issuer, keys)
    })
}

/// `maxAge` of a proof where the record sets none.
fn max_age_of(row: &Row, single_use: bool) -> Option<Seconds> {
    row.settings.is_aged(single_use).then_some(JwtRule::LONGEST_MAX_AGE)
}

/// The issuer of the tokens, and the source of its keys.
fn origin(row: &Row, fields: &Fields<'_>, matchers: Option<&[Matcher]>, faults: &mut Faults) -> Option<(Issuer, KeySource)> {
    let named = fields.get("issuer").map(|place| IssuerUrl.read(place, faults));
    let issuer = match row.issuer {
        Source::Shared(known) => named.unwrap_or_else(|| known.parse().ok())?,
        Source::Named => named??,
        Source::TrustDomain => {
            let keys = bundle(fields, faults);
            let Condition::Equals(id) = &matchers?.first()?.condition else { return None };
            return Some((id.parse::<WorkloadId>().ok()?.issuer(), keys?));
        }
    };
    Some((issuer.clone(), KeySource::Discovery(issuer)))
}

fn bundle(fields: &Fields<'_>, faults: &mut Faults) -> Option<KeySource> {
    match (fields.get("bundle"), fields.get("bundleUrl")) {
        (Some(place), None) => Bundle.read(place, faults).map(KeySource::InlineBundle),
        (None, Some(place)) => Url.read(place, faults).map(KeySource::BundleUrl),
        (Some(place), Some(_)) => {
            place.refuse("expected bundle or bundleUrl, not both", faults);
            None
        }
        (None, None) => {
            faults.error(&fields.at, &reason::RECORD_MISSING, "expected bundle or bundleUrl: an ID alone is no trust");
            None
        }
    }
}

fn matchers(row: &'static Row, fields: &Fields<'_>, faults: &mut Faults) -> Option<Vec<Matcher>> {
    let mut matchers = Vec::new();
    let mut whole = true;
    for part in parts(row) {
        let place = fields.get(part.key().name);
        let (claim, condition) = match (part, place) {
            (Part::Id(id), Some(place)) => (id.claim, exact(place, id.form, faults)),
            (Part::Claim(claim), Some(place)) => (claim, OnClaim.read(place, faults)),
            (Part::Id(_), None) => {
                whole = false;
                continue;
            }
            (Part::Claim(_), None)
            | (
                Part::Issuer { .. }
                | Part::Bundle
                | Part::BundleUrl
                | Part::Audience
                | Part::SingleUse
                | Part::MaxLife
                | Part::MaxAge,
                _,
            ) => continue,
        };
        match condition.zip(claim.parse().ok()) {
            Some((condition, claim)) => matchers.push(Matcher { claim, condition }),
            None => whole = false,
        }
    }
    whole.then_some(matchers)
}

/// The text of a preset's rule as an author writes it; the inverse of [`rule`].
pub(in crate::domain::record) fn written(preset: Preset, rule: &JwtRule) -> Json {
    let row = preset.row();
    // All else is the row's own, or that of any workload's token.
    let JwtRule { issuer, keys, matchers, audience, single_use, max_life, max_age, .. } = rule;
    let condition = |claim: &str| matchers.iter().find(|matcher| matcher.claim.as_str() == claim);
    let mut members = Members::new();
    for part in parts(row) {
        let value = match part {
            Part::Issuer { .. } => (row.shared_issuer() != Some(issuer.as_str())).then(|| json!(issuer)),
            Part::Id(&Id { claim, .. }) | Part::Claim(claim) => {
                condition(claim).map(|matcher| OnClaim.write(&matcher.condition))
            }
            Part::Bundle => match keys {
                KeySource::InlineBundle(bundle) => Some(json!(bundle)),
                KeySource::BundleUrl(_) | KeySource::Discovery(_) | KeySource::JwksUri(_) | KeySource::Inline(_) => None,
            },
            Part::BundleUrl => match keys {
                KeySource::InlineBundle(_) => None,
                KeySource::BundleUrl(_) | KeySource::Discovery(_) | KeySource::JwksUri(_) | KeySource::Inline(_) => {
                    Some(keys.label().into())
                }
            },
            Part::Audience => value_of(audience.as_ref()).map(|audience| json!(audience)),
            Part::SingleUse => (*single_use != row.settings.single_use).then(|| json!(single_use)),
            Part::MaxLife => (*max_life != row.settings.max_life).then(|| max_life.to_string().into()),
            Part::MaxAge => max_age.filter(|age| max_age_of(row, *single_use) != Some(*age)).map(|age| age.to_string().into()),
        };
        if let Some(value) = value {
            members.insert(part.key().name.to_owned(), value);
        }
    }
    Json::Object(members)
}

/// An immutable id: one exact value of its form.
fn exact(place: &Place<'_>, form: IdForm, faults: &mut Faults) -> Option<Condition> {
    let text = place.scalar(faults)?;
    let (fine, expected): (bool, _) = match form {
        IdForm::Digits => (text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit()), "an id of digits, not a name"),
        IdForm::Label => (text.parse::<ApiName>().is_ok(), "a namespace in lower case"),
        IdForm::Uid => {
            let uid = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-';
            (text.len() == 36 && text.bytes().all(uid), "a uid such as 4c8e9ef1-0f2c-4a7c-9d2e-0d1b7a3c5e6f, not a name")
        }
        IdForm::SpiffeId => return place.parse::<WorkloadId>(faults).map(|id| Condition::Equals(id.to_string().into())),
    };
    if !fine {
        let reason = if text.contains('*') { &reason::BINDING_WILDCARD } else { &reason::RECORD_VALUE };
        faults.error(&place.at, reason, format!("expected {expected}: {}", shown(text)));
        return None;
    }
    Some(Condition::Equals(text.into()))
}

fn id_schema(form: IdForm, definitions: &mut Definitions) -> Json {
    match form {
        // YAML reads digits without quotes as a number.
        IdForm::Digits => json!({"type": ["string", "integer"], "pattern": "^[0-9]{1,20}$"}),
        IdForm::Label => label(definitions),
        IdForm::Uid => json!({"type": "string", "pattern": "^[0-9a-f-]{36}$"}),
        IdForm::SpiffeId => {
            json!({"type": "string", "maxLength": 255, "pattern": "^spiffe://[a-z0-9._-]+/[A-Za-z0-9._/-]+$"})
        }
    }
}
