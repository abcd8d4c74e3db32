//! Presets: shorthands of platforms, expanded to rules with immutable claims first.
//!
//! Claim names: GitHub "OpenID Connect reference" (`repository_id`, `repository_owner_id`), GitLab "ID token authentication"
//! (`project_id`, `namespace_id`), Kubernetes "Schema for service account private claims" (`kubernetes.io`).

use super::binding::{Settings, condition, extra_audience, issuer};
use super::keys::{self, Shape};
use super::place::{Fields, Place};
use super::spiffe;
use crate::domain::reason;
use crate::domain::record::fault::{Faults, shown};
use crate::domain::record::write;
use crate::domain::registry::binding::{ClaimPath, Condition, ExtraAudience, JwtKind, JwtRule, KeySource, Matcher, Preset};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;

/// The issuer of GitHub Actions at github.com.
pub(in crate::domain::record) const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// The issuer of GitLab CI at gitlab.com.
pub(in crate::domain::record) const GITLAB: &str = "https://gitlab.com";

/// What a preset stands for.
struct Plan {
    shape: &'static Shape,
    issuer: Option<&'static str>,
    /// Key of the record, claim, and what the value must look like. The first ones are immutable and required.
    ids: [(&'static str, &'static str, Form); 2],
    /// Keys that are also the names of claims.
    more: &'static [&'static str],
    /// The claims that name the partner on a platform that others use too.
    owner: &'static [&'static str],
    settings: Settings,
}

#[derive(Clone, Copy)]
enum Form {
    Digits,
    Label,
    Uid,
}

/// A platform that hands a workload the same token until it expires: reusable, so its age is bounded.
const REUSED: Settings = Settings { single_use: false, max_life: Seconds::hours(1), max_age: Some(JwtRule::LONGEST_MAX_AGE) };

/// `spiffe` is no platform whose claims are known, and has a reader of its own.
fn plan(preset: Preset) -> Option<Plan> {
    Some(match preset {
        Preset::Spiffe => return None,
        Preset::Github => Plan {
            shape: &keys::GITHUB,
            issuer: Some(GITHUB),
            ids: [("repositoryId", "repository_id", Form::Digits), ("ownerId", "repository_owner_id", Form::Digits)],
            more: &["ref", "environment"],
            owner: &["repository_owner_id"],
            settings: Settings { single_use: true, max_age: None, ..REUSED },
        },
        Preset::Gitlab => Plan {
            shape: &keys::GITLAB,
            issuer: Some(GITLAB),
            ids: [("projectId", "project_id", Form::Digits), ("namespaceId", "namespace_id", Form::Digits)],
            more: &["ref", "environment"],
            owner: &["namespace_id"],
            settings: Settings { max_life: Seconds::hours(24), ..REUSED },
        },
        Preset::Kubernetes => Plan {
            shape: &keys::KUBERNETES,
            issuer: None,
            ids: [
                ("namespace", "/kubernetes.io/namespace", Form::Label),
                ("serviceAccountUid", "/kubernetes.io/serviceaccount/uid", Form::Uid),
            ],
            more: &[],
            // A cluster's issuer is the partner's own.
            owner: &[],
            settings: REUSED,
        },
    })
}

/// The rule that a preset stands for.
pub(in crate::domain::record) fn expand(preset: Preset, place: &Place<'_>, faults: &mut Faults) -> Option<JwtRule> {
    let Some(plan) = plan(preset) else { return spiffe::spiffe(place, faults) };
    let fields = place.fields(plan.shape, faults)?;
    let issuer = match (fields.get("issuer"), plan.issuer) {
        (Some(place), _) => issuer(place, faults),
        (None, Some(known)) => known.parse().ok(),
        (None, None) => None,
    };
    let matchers = matchers(&plan, &fields, faults);
    let settings = settings(&plan, &fields, faults);
    let audience = extra_audience(&fields, faults);
    let owner: Option<Vec<ClaimPath>> = plan.owner.iter().map(|claim| claim.parse().ok()).collect();
    let (issuer, settings) = (issuer?, settings?);
    Some(JwtRule {
        kind: JwtKind::Oidc,
        keys: KeySource::Discovery(issuer.clone()),
        issuer,
        matchers: matchers?,
        owner: owner?,
        audience: audience?,
        algs: Alg::WORKLOAD.to_vec(),
        typ: Vec::new(),
        single_use: settings.single_use,
        max_life: settings.max_life,
        max_age: settings.max_age,
        preset: Some(preset),
    })
}

/// A preset whose `singleUse` was switched off is bounded by age like those that are reusable from the start.
fn settings(plan: &Plan, fields: &Fields<'_>, faults: &mut Faults) -> Option<Settings> {
    let settings = plan.settings.read(fields, faults)?;
    let max_age = match (settings.single_use, settings.max_age) {
        (false, None) => REUSED.max_age,
        // The preset's own bound is for reusable proofs; a single-use one is bounded only where the record says so.
        (true, _) if fields.get("maxAge").is_none() => None,
        (_, age) => age,
    };
    Some(Settings { max_age, ..settings })
}

fn matchers(plan: &Plan, fields: &Fields<'_>, faults: &mut Faults) -> Option<Vec<Matcher>> {
    let mut matchers = Vec::new();
    let mut whole = true;
    let ids = plan.ids.map(|(key, claim, form)| (key, claim, Some(form)));
    let more = plan.more.iter().map(|key| (*key, *key, None));
    for (key, claim, form) in ids.into_iter().chain(more) {
        let Some(place) = fields.get(key) else {
            whole &= form.is_none();
            continue;
        };
        let condition = match form {
            Some(form) => id(place, form, faults),
            None => condition(place, faults),
        };
        match condition.zip(claim.parse().ok()) {
            Some((condition, claim)) => matchers.push(Matcher { claim, condition }),
            None => whole = false,
        }
    }
    whole.then_some(matchers)
}

/// The inverse of [`expand`]: the key of the preset, and its fields as an author would write them.
pub(in crate::domain::record) fn preset(preset: Preset, rule: &JwtRule) -> (&'static str, serde_json::Value) {
    let Some(plan) = plan(preset) else { return (keys::SPIFFE.name, spiffe::written(rule)) };
    let mut fields = write::Fields::default();
    fields.unless(plan.issuer == Some(rule.issuer.as_str()), "issuer", || rule.issuer.as_str().into());
    let ids = plan.ids.map(|(key, claim, _)| (key, claim));
    for (key, claim) in ids.into_iter().chain(plan.more.iter().map(|key| (*key, *key))) {
        let found = rule.matchers.iter().find(|matcher| matcher.claim.as_str() == claim);
        if let Some(matcher) = found {
            fields.add(key, write::condition(&matcher.condition));
        }
    }
    if let Some(ExtraAudience::Value(audience)) = &rule.audience {
        fields.add("audience", audience.as_str());
    }
    let Settings { single_use, max_life, max_age } = plan.settings;
    fields.unless(rule.single_use == single_use, "singleUse", || rule.single_use.into());
    // A reusable proof has the preset's age where the record says nothing, a single-use one has none.
    let age = if rule.single_use { None } else { max_age.or(REUSED.max_age) };
    let told = JwtRule { max_age: if rule.max_age == age { None } else { rule.max_age }, ..rule.clone() };
    write::times(&told, max_life, &mut fields);
    (plan.shape.name, fields.into_value())
}

/// An immutable id: one exact value of its form.
fn id(place: &Place<'_>, form: Form, faults: &mut Faults) -> Option<Condition> {
    let text = place.scalar(faults)?;
    let (fine, expected): (bool, _) = match form {
        Form::Digits => (text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit()), "an id of digits, not a name"),
        Form::Label => (text.parse::<crate::domain::value::names::ApiName>().is_ok(), "a namespace in lower case"),
        Form::Uid => {
            let uid = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-';
            (text.len() == 36 && text.bytes().all(uid), "a uid such as 4c8e9ef1-0f2c-4a7c-9d2e-0d1b7a3c5e6f, not a name")
        }
    };
    if !fine {
        let reason = if text.contains('*') { &reason::BINDING_WILDCARD } else { &reason::RECORD_VALUE };
        faults.error(&place.at, reason, format!("expected {expected}: {}", shown(text)));
        return None;
    }
    Some(Condition::Equals(text.to_owned()))
}
