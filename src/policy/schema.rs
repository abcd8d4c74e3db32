//! The schema that guardrails are validated against (docs/reference/guardrails.md).

use std::sync::LazyLock;

use cedar_policy::{EntityTypeName, Schema, Validator};

/// The schema, as `carnet guardrail schema` prints it.
pub const SCHEMA: &str = r#"namespace Carnet {
  // Whether the partner's verification counts at this moment.
  entity Partner = { verified: Bool };
  entity Integration in [Partner] = {
    partner: Partner,
    dataClasses: Set<String>,
    // The first second after the contract.
    contractEnds: datetime,
  };
  entity Api;
  // Named API/SCOPE, as in "orders-api/orders:write".
  entity Scope in [Api] = {
    api: Api,
    // "low", "medium" or "high".
    risk: String,
  };
  action "exchange" appliesTo {
    principal: [Integration],
    resource: [Scope],
    context: {
      environment: String,
      // The scope rests on an elevation, approved or not.
      elevated: Bool,
      // The elevation began without an approval.
      breakGlass: Bool,
      // The token is bound to a key: of a certificate, or of DPoP proofs.
      bound: Bool,
      // An assertion and a certificate were shown together.
      dual: Bool,
      // "oidc", "key" or "mtls".
      binding: String,
      // "github", "gitlab", "kubernetes", "spiffe", or "none".
      preset: String,
      source: ipaddr,
      time: datetime,
      // From 1 (Monday) to 7, and from 0 to 1439, in the zone of [governance].
      weekday: Long,
      minute: Long,
    },
  };
}
"#;

// Invariant: the texts are those above; a test compiles against them.
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("the schema above");
    Validator::new(schema)
});

/// The names of the types of entities.
pub(super) struct Types {
    pub partner: EntityTypeName,
    pub integration: EntityTypeName,
    pub api: EntityTypeName,
    pub scope: EntityTypeName,
    pub action: EntityTypeName,
}

pub(super) static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let name = |name: &str| name.parse().expect("a name of the schema above");
    Types {
        partner: name("Carnet::Partner"),
        integration: name("Carnet::Integration"),
        api: name("Carnet::Api"),
        scope: name("Carnet::Scope"),
        action: name("Carnet::Action"),
    }
});

pub(super) fn validator() -> &'static Validator {
    &VALIDATOR
}
