//! Compiles one guardrail: its text to policies, or every flaw with its line.

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Effect, EntityUid, Policy, PolicyId, PolicySet, ValidationMode};

use super::bounds;
use super::flaw::Flaw;
use super::free::free_values;
use super::schema::{TYPES, validator};
use crate::domain::decision::guard_check::FreeValues;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::value::names::GuardrailName;

/// A guardrail that can be evaluated.
#[derive(Debug)]
pub struct Compiled {
    pub(super) name: GuardrailName,
    pub(super) meaning: String,
    pub(super) mode: Mode,
    pub(super) policies: Vec<Policy>,
    pub(super) free: FreeValues,
    /// The partners, integrations, APIs and scopes that it names.
    pub named: Vec<Named>,
}

/// Something that a guardrail names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// Its type.
    pub entity: Entity,
    /// Its name, such as `globex` or `orders-api/orders:write`.
    pub name: String,
    /// The line of the text, from 1.
    pub line: u32,
}

/// The types of things that a guardrail can name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entity {
    /// `Carnet::Partner`.
    Partner,
    /// `Carnet::Integration`.
    Integration,
    /// `Carnet::Api`.
    Api,
    /// `Carnet::Scope`.
    Scope,
}

/// Compiles a guardrail.
///
/// # Errors
/// Every flaw that Cedar tells at once; at least one.
pub fn compile(record: &Guardrail) -> Result<Compiled, Vec<Flaw>> {
    let text = record.cedar.as_str();
    bounds::check(text).map_err(|flaw| vec![flaw])?;
    let set: PolicySet = text.parse().map_err(|error| flaws(text, &DetailedError::from(&error)))?;
    let policies = forbidding(record, &set)?;
    let set = PolicySet::from_policies(policies.clone()).map_err(|error| flaws(text, &DetailedError::from(&error)))?;
    let result = validator().validate(&set, ValidationMode::Strict);
    let errors = result.validation_errors().map(DetailedError::from);
    // A warning tells of a policy that can never forbid, or of a text that misleads its readers.
    let found: Vec<Flaw> =
        errors.chain(result.validation_warnings().map(DetailedError::from)).flat_map(|error| flaws(text, &error)).collect();
    if !found.is_empty() {
        return Err(found);
    }
    let free = free_values(&policies)?;
    let named = policies.iter().flat_map(Policy::entity_literals).filter_map(|uid| named(text, &uid)).collect();
    let (name, meaning, mode) = (record.name.clone(), record.meaning.clone(), record.mode);
    Ok(Compiled { name, meaning, mode, policies, free, named })
}

/// The policies in the order of the text, each with an id of its own among all guardrails.
fn forbidding(record: &Guardrail, set: &PolicySet) -> Result<Vec<Policy>, Vec<Flaw>> {
    let flaw = |message: &str| vec![Flaw { line: 1, message: message.to_owned() }];
    if set.templates().next().is_some() {
        return Err(flaw("expected forbid policies without slots such as ?principal"));
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    if policies.is_empty() || policies.len() > bounds::MOST_POLICIES {
        return Err(flaw(&format!("expected 1 to {} forbid policies", bounds::MOST_POLICIES)));
    }
    if policies.iter().any(|policy| policy.effect() == Effect::Permit) {
        return Err(flaw("expected forbid policies only: a record permits, and a guardrail never does"));
    }
    // Cedar numbers them: policy0, policy1, …, policy10.
    policies.sort_by_key(|policy| (AsRef::<str>::as_ref(policy.id()).len(), policy.id().clone()));
    let id = |at: usize| PolicyId::new(format!("{}#{}", record.name, at + 1));
    Ok(policies.into_iter().enumerate().map(|(at, policy)| policy.new_id(id(at))).collect())
}

/// What Cedar says, with the lines of the text.
fn flaws(text: &str, error: &DetailedError) -> Vec<Flaw> {
    let line = error.source_locations.first().map_or(1, |label| line_at(text, label.loc.start));
    let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    let message = format!("{}{help}", error.message).chars().filter(|c| !c.is_control()).take(400).collect();
    std::iter::once(Flaw { line, message }).chain(error.related.iter().flat_map(|error| flaws(text, error))).collect()
}

fn line_at(text: &str, byte: usize) -> u32 {
    let before = text.bytes().take(byte).filter(|byte| *byte == b'\n').count();
    u32::try_from(before).map_or(u32::MAX, |before| before.saturating_add(1))
}

/// Something of ours that the text names; the action is not.
fn named(text: &str, uid: &EntityUid) -> Option<Named> {
    let types = [
        (&TYPES.partner, Entity::Partner),
        (&TYPES.integration, Entity::Integration),
        (&TYPES.api, Entity::Api),
        (&TYPES.scope, Entity::Scope),
    ];
    let entity = types.into_iter().find(|(name, _)| *name == uid.type_name()).map(|(_, entity)| entity)?;
    let name = uid.id().unescaped().to_owned();
    let line = text.find(&format!("\"{}\"", uid.id().escaped())).map_or(1, |at| line_at(text, at));
    Some(Named { entity, name, line })
}

impl Entity {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Integration => "integration",
            Self::Api => "API",
            Self::Scope => "scope",
        }
    }
}
