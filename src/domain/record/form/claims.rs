//! Forms of conditions on claims. The rules that make them safe are docs/reference/records.md.

use serde_json::{Value as Json, json};

use super::base::Form;
use super::definitions::{self, Definitions};
use super::field::Required;
use super::list::some;
use super::map::{map, schema_of};
use crate::domain::reason;
use crate::domain::record::claims::{is_chosen_by_caller, is_well_formed, names_nobody};
use crate::domain::record::fault::{Faults, shown};
use crate::domain::record::form::map::Map as _;
use crate::domain::record::read::place::Place;
use crate::domain::record::read::tree::Value;
use crate::domain::registry::binding::{ClaimPath, Condition, JwtKind, JwtRule, Matcher};
use crate::domain::value::claim_text;

/// `match:`, conditions by claim.
pub(in crate::domain::record) struct Matchers;

impl Form for Matchers {
    type Value = Vec<Matcher>;

    /// Reads conditions, at least one of which a stranger at the same issuer cannot meet.
    ///
    /// That one is an equals or oneOf on a claim that the stranger cannot choose (ABUSE P-01, P-04).
    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<Matcher>> {
        let mut matchers = Vec::new();
        let mut whole = true;
        for (key, place) in place.entries(faults)? {
            let claim: Option<ClaimPath> = key.parse().map_err(|expected| place.refuse(expected, faults)).ok();
            let claim = claim.filter(|claim| {
                let fine = is_well_formed(claim);
                if !fine {
                    place.refuse("expected a JSON Pointer (RFC 6901): ~ stands only as ~0 or ~1", faults);
                }
                fine
            });
            match claim.zip(OnClaim.read(&place, faults)) {
                Some((claim, condition)) => matchers.push(Matcher { claim, condition }),
                None => whole = false,
            }
        }
        if whole && !matchers.iter().any(is_conclusive) {
            let message = "at least one equals or oneOf must be on a claim that a stranger at the same issuer cannot choose \
                           (ref, workflow, actor, email and the like do not count, nor iss, aud and times)";
            faults.error(&place.at, &reason::BINDING_UNCONDITIONAL, message);
            whole = false;
        }
        whole.then_some(matchers)
    }

    fn write(&self, matchers: &Vec<Matcher>) -> Json {
        let member = |matcher: &Matcher| (matcher.claim.as_str().to_owned(), OnClaim.write(&matcher.condition));
        Json::Object(matchers.iter().map(member).collect())
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        let claims = definitions::claim(definitions);
        definitions::named(&claims, &OnClaim.schema(definitions), 1)
    }
}

/// Whether a stranger at the same issuer cannot meet it.
pub(in crate::domain::record) fn is_conclusive(matcher: &Matcher) -> bool {
    let exact = matches!(matcher.condition, Condition::Equals(_) | Condition::OneOf(_));
    exact && !is_chosen_by_caller(&matcher.claim) && !names_nobody(&matcher.claim)
}

/// Whether a rule tells its workload apart from strangers at the same issuer. A proof by the partner's own key names the client.
pub(in crate::domain) fn names_its_caller(rule: &JwtRule) -> bool {
    rule.kind == JwtKind::Key || rule.matchers.iter().any(is_conclusive)
}

/// The condition on a claim: a bare value, `{oneOf: […]}` or `{prefix: …}`.
pub(in crate::domain::record) struct OnClaim;

struct OneOf {
    values: Vec<String>,
}

map! {
    OneOf as "oneOf" {
        values: "oneOf" = Required(Values);
    }
}

struct Prefix {
    value: String,
}

map! {
    Prefix as "prefix" {
        value: "prefix" = Required(Beginning);
    }
}

impl Form for OnClaim {
    type Value = Condition;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Condition> {
        let Value::Map(map) = &place.node.value else {
            return Exact.read(place, faults).map(|value| Condition::Equals(value.into()));
        };
        if map.iter().any(|(key, _)| key.text == Prefix::NAME) {
            return Prefix::read(place, faults).map(|prefix| Condition::Prefix(prefix.value.into()));
        }
        OneOf::read(place, faults).map(|one_of| Condition::OneOf(one_of.values.into_iter().map(Into::into).collect()))
    }

    fn write(&self, condition: &Condition) -> Json {
        match condition {
            Condition::Equals(value) => Exact.write(&value.to_string()),
            Condition::OneOf(values) => {
                Json::Object(OneOf { values: values.iter().map(ToString::to_string).collect() }.members())
            }
            Condition::Prefix(value) => Json::Object(Prefix { value: value.to_string() }.members()),
        }
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions.refer("condition", |definitions| {
            let one_of = |definitions: &mut Definitions| definitions.refer(OneOf::NAME, schema_of::<OneOf>);
            let prefix = |definitions: &mut Definitions| definitions.refer(Prefix::NAME, schema_of::<Prefix>);
            json!({"anyOf": [Exact.schema(definitions), one_of(definitions), prefix(definitions)]})
        })
    }
}

/// Exact values. One that stands twice is no fault.
struct Values;

impl Form for Values {
    type Value = Vec<String>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<String>> {
        let values = super::list::Each(Exact).read(place, faults)?;
        if values.is_empty() {
            place.refuse("expected at least one value", faults);
            return None;
        }
        Some(values)
    }

    fn write(&self, values: &Vec<String>) -> Json {
        json!(values)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        some(Exact, "").schema(definitions)
    }
}

/// An exact value: it is compared byte for byte, so a pattern in it is a mistake (ABUSE P-02, K-10).
struct Exact;

impl Form for Exact {
    type Value = String;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<String> {
        let text = place.scalar(faults)?;
        if text.contains('*') {
            let message = format!("values are compared byte for byte, and {} looks like a pattern", shown(text));
            faults.error(&place.at, &reason::BINDING_WILDCARD, message);
            return None;
        }
        // By the parser of the wire: a value that no claim could have would be a condition that nobody meets.
        if let Err(unfit) = claim_text::ensure_fit(text) {
            place.refuse(&format!("expected {unfit}"), faults);
            return None;
        }
        Some(text.to_owned())
    }

    fn write(&self, value: &String) -> Json {
        json!(value)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions::value(definitions)
    }
}

/// A beginning, which may itself end with a blank.
struct Beginning;

impl Form for Beginning {
    type Value = String;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<String> {
        let text = place.scalar(faults)?;
        match text.strip_suffix(' ') {
            Some(rest) if !text.contains('*') && claim_text::ensure_fit(rest).is_ok() => Some(text.to_owned()),
            Some(_) | None => Exact.read(place, faults),
        }
    }

    fn write(&self, value: &String) -> Json {
        json!(value)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions::value(definitions)
    }
}

/// The claims of an example: any JSON object.
pub(in crate::domain::record) struct AnyClaims;

impl Form for AnyClaims {
    type Value = serde_json::Map<String, Json>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Self::Value> {
        match place.node.to_json() {
            Json::Object(claims) => Some(claims),
            _ => {
                place.refuse("expected a map of claims", faults);
                None
            }
        }
    }

    fn write(&self, claims: &Self::Value) -> Json {
        json!(claims)
    }

    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"type": "object"})
    }
}
