//! Reader, writer and schema agree.
//!
//! They are held against each other on every example of the domain, on every row of presets, and on every text of
//! [`hostile`](super::hostile).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::domain::examples::Examples;
use crate::domain::examples::coverage::Seen;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::binding::{Admits, Binding, JwtRule};
use crate::domain::registry::integration::Integration;
use crate::domain::registry::preset::{IdForm, Preset, Source};

/// The schemas as they were published when they were written by hand.
const PUBLISHED: [(Kind, &str); 4] = [
    (Kind::Api, include_str!("../../../tests/golden/schema/api.json")),
    (Kind::Partner, include_str!("../../../tests/golden/schema/partner.json")),
    (Kind::Integration, include_str!("../../../tests/golden/schema/integration.json")),
    (Kind::Guardrail, include_str!("../../../tests/golden/schema/guardrail.json")),
];

static SCHEMAS: LazyLock<BTreeMap<&'static str, Validator>> = LazyLock::new(|| {
    let validator = |kind| (Kind::name(kind), jsonschema::validator_for(&schema(kind)).expect("a schema"));
    Kind::ALL.into_iter().map(validator).collect()
});

/// The objections of a document's schema; `None` for a document of no kind.
fn objections(document: &Value) -> Option<Vec<String>> {
    let schema = SCHEMAS.get(document["kind"].as_str()?)?;
    Some(schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect())
}

/// Checks that `now` keeps all that stands in `published`, with the same meaning.
///
/// The keys and definitions that came since are added to `new`.
fn keeps(published: &Value, now: &Value, at: &str, new: &mut Vec<String>) {
    match (published, now) {
        (Value::Object(published), Value::Object(now)) => {
            for (key, value) in published {
                let at = format!("{at}/{key}");
                keeps(value, now.get(key).unwrap_or_else(|| panic!("{at} is gone")), &at, new);
            }
            for key in now.keys().filter(|key| !published.contains_key(*key)) {
                assert!(at.ends_with("/properties") || at.ends_with("/$defs"), "{at}/{key} is a new demand");
                new.push(format!("{at}/{key}"));
            }
        }
        (Value::Array(published), Value::Array(now)) => {
            assert!(published.iter().all(|value| now.contains(value)), "{at} lost one of {published:?}");
            let more = now.iter().filter(|value| !published.contains(value));
            for value in more {
                // A new word or way to write a thing is taken; what need not stand there need not stand there now.
                assert!(at.ends_with("/enum") || at.ends_with("/anyOf") || at.ends_with("/oneOf"), "{at} demands {value}");
                new.push(format!("{at} {value}"));
            }
        }
        _ => assert_eq!(published, now, "{at}"),
    }
}

/// Schemas only grow: no key is gone, none means something else, none is newly demanded.
#[test]
fn schemas_keep_what_was_published() {
    for (kind, published) in PUBLISHED {
        let mut new = Vec::new();
        let mut published: Value = serde_json::from_str(published).expect("JSON");
        // By hand, definitions were copied from schema to schema; one that nothing refers to says nothing.
        let text = published.to_string();
        let definitions = published["$defs"].as_object_mut().expect("definitions");
        definitions.retain(|name, _| text.contains(&format!("\"#/$defs/{name}\"")));
        keeps(&published, &schema(kind), "", &mut new);
        // Not a rule: it tells what came since.
        println!("new in {kind:?}: {new:?}");
    }
}

/// A binding as a preset writes it, with every key or with as few as it may have.
fn sample(preset: Preset, full: bool) -> Value {
    let row = preset.row();
    let mut fields = json!({});
    for id in row.ids {
        fields[id.key] = match id.form {
            IdForm::Digits => "456789",
            IdForm::Label => "shop",
            IdForm::Uid => "4c8e9ef1-0f2c-4a7c-9d2e-0d1b7a3c5e6f",
            IdForm::SpiffeId => "spiffe://prod.globex.example/sync",
        }
        .into();
    }
    match row.issuer {
        Source::Named => fields["issuer"] = "https://tokens.globex.example".into(),
        Source::Shared(_) if full => fields["issuer"] = "https://tokens.globex.example".into(),
        Source::Shared(_) => {}
        Source::TrustDomain if full => fields["bundle"] = json!({"keys": []}),
        Source::TrustDomain => fields["bundleUrl"] = "https://globex.example/bundle".into(),
    }
    if full {
        for key in row.more {
            fields[*key] = json!({"prefix": "refs/"});
        }
        fields["audience"] = "urn:globex:carnet".into();
        fields["singleUse"] = (!row.settings.single_use).into();
        fields["maxLife"] = "10m".into();
        fields["maxAge"] = "5m".into();
    }
    json!({"name": format!("{}-{}", row.name, if full { "full" } else { "bare" }), row.name: fields})
}

fn integration(bindings: Value) -> Value {
    let mut document = document(&Record::Integration(Examples::plain().small_integration()));
    document["environments"]["production"]["bindings"] = bindings;
    document
}

fn read_one(document: &Value) -> Record {
    // JSON is YAML too; how it is laid out is the command line's.
    let text = document.to_string();
    read("test.json", &text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}")).remove(0).record
}

/// The bindings of presets, as the reader makes them of their samples.
fn of_presets() -> Vec<Binding> {
    let samples = Preset::ALL.into_iter().flat_map(|preset| [sample(preset, false), sample(preset, true)]);
    match read_one(&integration(samples.collect())) {
        Record::Integration(mut integration) => {
            integration.environments.remove("production").expect("one environment").bindings
        }
        Record::Api(_) | Record::Guardrail(_) | Record::Partner(_) => panic!("an integration"),
    }
}

/// Makes an example's bindings such as a record can say.
///
/// Rules are written out instead of under a preset, whose rule the table decides.
fn writable(bindings: &mut Vec<Binding>) {
    bindings.retain_mut(|binding| match &mut binding.admits {
        Admits::Certificate => true,
        Admits::Jwt(rule) => {
            let JwtRule { matchers, owner, preset, .. } = std::sync::Arc::make_mut(rule);
            *preset = None;
            owner.retain(|claim| matchers.iter().any(|matcher| matcher.claim == *claim));
            !rule.keys.is_bundle()
        }
    });
}

/// Every example of the domain as a record that can be written, and one with every preset.
fn records() -> Vec<Record> {
    let examples = Examples::plain();
    let (mut apis, mut integrations) =
        (vec![examples.api(), examples.small_api()], vec![examples.integration(), examples.small_integration()]);
    apis.iter_mut().flat_map(|api| api.callers.iter_mut().map(|(_, callers)| callers)).for_each(writable);
    let bindings =
        integrations.iter_mut().flat_map(|one: &mut Integration| one.environments.iter_mut().map(|(_, access)| access));
    bindings.for_each(|access| writable(&mut access.bindings));
    let mut presets = examples.small_integration();
    presets.environments.iter_mut().for_each(|(_, access)| access.bindings = of_presets());
    integrations.push(presets);
    let partner = Record::Partner(examples.partner("globex"));
    apis.into_iter().map(Record::Api).chain(integrations.into_iter().map(Record::Integration)).chain([partner]).collect()
}

#[test]
fn every_example_is_read_as_it_was_written_and_the_schema_takes_it() {
    for record in records() {
        let written = document(&record);
        assert_eq!(read_one(&written), record, "{written}");
        assert_eq!(objections(&written), Some(Vec::new()), "{written}");
    }
}

/// The records above say all that records can say: each field of each struct is set in one of them.
#[test]
fn the_examples_have_every_field() {
    let mut seen = Seen::default();
    for (number, record) in records().iter().enumerate() {
        seen.take(number, record);
    }
    let unset: Vec<_> = seen.fields.iter().filter(|(_, field)| field.set.is_none()).map(|(name, _)| name).collect();
    assert!(unset.is_empty(), "{unset:?}");
    assert!(seen.fields.len() > 70, "{}", seen.fields.len());
}

#[test]
fn a_preset_is_written_with_the_keys_that_it_was_read_from() {
    for preset in Preset::ALL {
        for full in [false, true] {
            let mut sample = sample(preset, full);
            let record = read_one(&integration(json!([sample])));
            let written = &document(&record)["environments"]["production"]["bindings"][0];
            // A bundle is kept byte for byte, as one string.
            if let Some(bundle) = sample[preset.row().name].get_mut("bundle") {
                *bundle = bundle.to_string().into();
            }
            assert_eq!(*written, sample);
        }
    }
}

/// The rules that only the reader knows, by reason and the last key of the place.
///
/// They need more than one value, or no pattern says them.
const READER_ALONE: [(&Reason, &str); 26] = [
    // Of two values.
    (&reason::RECORD_DATES, "ends"),
    (&reason::RECORD_OWNERS, "application"),
    (&reason::RECORD_UNKNOWN_REFERENCE, "sandbox"),
    (&reason::BINDING_REUSABLE, "singleUse"),
    (&reason::BINDING_UNCONDITIONAL, "match"),
    (&reason::BINDING_UNCONDITIONAL, "owner"),
    (&reason::RECORD_VALUE, "dataClasses"),
    (&reason::RECORD_VALUE, "name"),
    (&reason::RECORD_VALUE, "orders-api"),
    // Of sizes.
    (&reason::LIMIT_TOO_LONG, "every"),
    (&reason::LIMIT_TOO_LONG, "max"),
    (&reason::LIMIT_TOO_LONG, "maxAge"),
    (&reason::LIMIT_TOO_LONG, "maxLife"),
    (&reason::LIMIT_TOO_LONG, "ttl"),
    (&reason::RECORD_VALUE, "ends"),
    (&reason::RECORD_VALUE, "maxLife"),
    (&reason::RECORD_VALUE, "ttl"),
    // Of what is reserved, or has a grammar of its own.
    (&reason::RECORD_VALUE, "carnet:read"),
    (&reason::RECORD_VALUE, "deny"),
    (&reason::RECORD_VALUE, "match"),
    (&reason::RECORD_VALUE, "production"),
    (&reason::RECORD_VALUE, "purpose"),
    (&reason::RECORD_VALUE, "sourceCidrs"),
    (&reason::RECORD_VALUE, "window"),
    (&reason::BINDING_KEYS, "jwks"),
    (&reason::BINDING_ISSUER, "jwksUri"),
];

/// Holds the schema against the reader.
///
/// It takes what the reader takes, and refuses what the reader refuses, but for what only the reader can know.
pub(super) fn hold(yaml: &str, outcome: &Result<Vec<Located>, Vec<Fault>>) {
    let Ok(documents) = super::read::tree::parse(yaml) else { return };
    let documents: Vec<_> = documents.iter().map(super::read::tree::Node::to_json).collect();
    let taken = documents.iter().all(|document| objections(document).is_some_and(|found| found.is_empty()));
    match outcome {
        Ok(_) => assert!(taken, "the reader takes it:\n{yaml}"),
        Err(faults) => {
            let last = |fault: &Fault| {
                let step = fault.at.rsplit('.').next().unwrap_or_default();
                step.split('[').next().unwrap_or_default().to_owned()
            };
            let known =
                |fault: &Fault| READER_ALONE.iter().any(|(reason, key)| **reason == *fault.reason && *key == last(fault));
            let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
            let unknown: Vec<_> = errors.filter(|fault| !known(fault)).map(ToString::to_string).collect();
            assert!(!taken || unknown.is_empty(), "the schema takes it: {unknown:?}\n{yaml}");
        }
    }
}

/// Unknown and missing keys are never a matter of the reader alone.
#[test]
fn keys_are_a_matter_of_the_schema() {
    let keys = [&reason::RECORD_UNKNOWN_KEY, &reason::RECORD_MISSING, &reason::RECORD_KIND];
    assert!(READER_ALONE.iter().all(|(reason, _)| !keys.contains(reason)));
}
