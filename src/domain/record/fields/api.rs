//! `kind: Api`.

use serde_json::Value as Json;

use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::record::form::base::Form;
use crate::domain::record::form::definitions::{Definitions, label};
use crate::domain::record::form::field::{Optional, Or, Required, Stated};
use crate::domain::record::form::list::ByName;
use crate::domain::record::form::map::{map, through, whole};
use crate::domain::record::form::scalar::{ApiAudience, Lasting, Only, Personal, Word, Words, parsed};
use crate::domain::record::kind::Kind;
use crate::domain::record::read::place::Place;
use crate::domain::registry::api::{Api, Approval, Profile, Risk, ScopeEntry, TokenForm};
use crate::domain::registry::managed::ManagedBy;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ApiName, ClientId};

use super::binding::Bindings;
use super::managed::{MANAGED_BY, managed};

/// The API that is built in.
///
/// Its audience is the environment's issuer, its scopes are `carnet:*` (docs/reference/records.md).
pub(in crate::domain::record) const BUILT_IN: &str = "carnet";

/// Tokens live minutes: no record makes one live longer than this.
pub(in crate::domain::record) const LONGEST_TTL: Seconds = Seconds::hours(1);
/// Below this a token would be refused as too short as soon as it is made (15 s must be left).
pub(in crate::domain::record) const SHORTEST_TTL: Seconds = Seconds(30);

map! {
    Api as "" document Kind::Api {
        name: "metadata" = Required(through::<Metadata, _>());
        managed_by: "metadata" = managed::<Metadata>();
        owner: "owner" = Required(Personal);
        audience: "audience" = Required(ByName::judged(ApiAudience));
        token: "token" = Stated(whole(), TokenForm::DEFAULT);
        scopes: "scopes" = Required(ByName::some(whole(), "expected at least one scope"));
        // Callers have no `require` and no `sourceCidrs`: only maxAge can bound a reusable proof of theirs.
        callers: "callers" = Or(ByName::any(Bindings), Default::default());
        approval: "approval" = Or(Word(&[Approval::Plain, Approval::Signed]), Approval::Plain);
    }
    judge |fields, faults| {
        if let Some(audience) = &audience {
            if audience.is_empty() {
                let message = "expected an audience in at least one environment";
                faults.error(&fields.path("audience"), &reason::RECORD_MISSING, message);
            }
            let callers = callers.iter().flat_map(|callers| callers.keys());
            for environment in callers.filter(|environment| !audience.contains_key(*environment)) {
                let message = format!("the API has callers in {environment} and no audience there");
                faults.error(&format!("callers.{environment}"), &reason::RECORD_UNKNOWN_REFERENCE, message);
            }
        }
    }
}

struct Metadata {
    name: ApiName,
    managed_by: Option<ManagedBy>,
}

map! {
    Metadata as "metadata" {
        name: "name" = Required(FreeName);
        managed_by: "managedBy" = Optional(MANAGED_BY);
    }
    judge |_fields, faults| {
        faults.ground.managed_by = managed_by.flatten();
        // The `key` bindings of its callers are made out to it.
        faults.ground.client = name.clone().map(ClientId::Api);
    }
}

map! {
    TokenForm as "token" {
        profile: "profile" = Stated(Word(&[Profile::Rfc9068, Profile::Compat]), TokenForm::DEFAULT.profile);
        // PS256 is taken inbound only; our own tokens have four forms (docs/reference/records.md).
        alg: "alg" = Stated(Word(&[Alg::Es256, Alg::Rs256, Alg::EdDsa, Alg::Ed25519]), TokenForm::DEFAULT.alg);
        ttl: "ttl" = Stated(Lasting(SHORTEST_TTL, LONGEST_TTL), TokenForm::DEFAULT.ttl);
        require_bound: "require" = Or(Only("bound"), false);
    }
}

map! {
    ScopeEntry as "scopeEntry" {
        meaning: "meaning" = Required(Words);
        risk: "risk" = Required(Word(&[Risk::Low, Risk::Medium, Risk::High]));
    }
}

impl From<Metadata> for ApiName {
    fn from(metadata: Metadata) -> Self {
        metadata.name
    }
}

impl From<&ApiName> for Metadata {
    fn from(name: &ApiName) -> Self {
        Self { name: name.clone(), managed_by: None }
    }
}

/// The name of an API that is not built in.
struct FreeName;

impl Form for FreeName {
    type Value = ApiName;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<ApiName> {
        let name: ApiName = place.parse(faults)?;
        if name.as_str() == BUILT_IN {
            place.refuse("the API carnet is built in; choose another name", faults);
            return None;
        }
        Some(name)
    }

    fn write(&self, name: &ApiName) -> Json {
        parsed(label).write(name)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        label(definitions)
    }
}
