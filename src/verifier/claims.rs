//! The claims of a verified token: each of its type, each that counts there. What a later broker adds is ignored.

use serde::Deserialize;
use serde_json::Value;

use super::jws::{Compact, present};
use super::policy::Policy;
use super::refusal::Refusal;
use crate::domain::credential::claims::Detail;
use crate::domain::credential::confirmation::Confirmation;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, Audience, BindingName, ClientId, EnvironmentName, Issuer, TokenId};
use crate::domain::value::numeric_date::{deserialize_ceiling, deserialize_floor};
use crate::domain::value::scope::ScopeSet;

/// Who may do what: what an API's handlers are told of a request that was let through.
#[derive(Clone, Debug)]
pub struct Access {
    /// `partner/integration`.
    pub client: ClientId,
    /// The environment.
    pub environment: EnvironmentName,
    /// This API.
    pub api: ApiName,
    /// The binding that admitted the workload.
    pub binding: BindingName,
    /// All scopes of the token.
    pub scope: ScopeSet,
    /// The token's id: what a revocation, or a question to the security team, names.
    pub id: TokenId,
    /// The journal entry that the token is on record by.
    pub entry: u64,
    /// The key that it is bound to.
    pub confirmation: Option<Confirmation>,
    /// Endpoint conditions; the request met them.
    pub conditions: Vec<Detail>,
    /// Elevations that are in the token: API logs line up with approvals by their ids.
    pub elevations: Vec<Elevation>,
    /// When the token ends.
    pub expires: Timestamp,
    /// The key that signed it.
    pub(crate) kid: String,
}

/// A just-in-time elevation that a token rests on.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
pub struct Elevation {
    /// Its id.
    pub id: String,
    /// The ticket that it was asked for by, if one was named.
    pub ticket: Option<String>,
}

/// As they are signed (docs/reference/claims.md). Twice the same member, or one of another type, is no token.
#[derive(Deserialize)]
struct Wire {
    iss: Issuer,
    aud: Audience,
    sub: ClientId,
    client_id: ClientId,
    #[serde(deserialize_with = "deserialize_floor")]
    exp: Timestamp,
    #[serde(deserialize_with = "deserialize_ceiling")]
    iat: Timestamp,
    #[serde(deserialize_with = "deserialize_ceiling")]
    nbf: Timestamp,
    jti: TokenId,
    scope: String,
    env: EnvironmentName,
    entry: u64,
    binding: BindingName,
    #[serde(default, deserialize_with = "present")]
    cnf: Option<Confirmation>,
    #[serde(default)]
    authorization_details: Vec<Value>,
}

/// Reads and judges them (RFC 9068 section 4).
pub(super) fn read(token: &Compact<'_>, policy: &Policy, now: Timestamp) -> Result<Access, Refusal> {
    let refused = |why| Err(Refusal::Token(why));
    let typ = token.header.typ.as_deref().unwrap_or_default();
    let short = typ.get(..12).filter(|head| head.eq_ignore_ascii_case("application/")).map_or(typ, |_| &typ[12..]);
    if !short.eq_ignore_ascii_case(policy.typ) {
        return refused("its typ is another");
    }
    let Ok(claims) = serde_json::from_slice::<Wire>(&token.payload) else {
        return refused("its claims are not those of a token");
    };
    if claims.iss != policy.issuer || claims.env != policy.environment {
        return refused("another issuer made it");
    }
    if claims.aud != policy.audience {
        return refused("it is for another audience");
    }
    if claims.sub != claims.client_id {
        return refused("its subject is not its client");
    }
    let ahead = now.plus(policy.leeway);
    if now.minus(policy.leeway) >= claims.exp || claims.nbf > ahead || claims.iat > ahead {
        return refused("it is not in its time");
    }
    let Ok(scope) = ScopeSet::parse(&claims.scope) else { return refused("its scope cannot be read") };
    let Some((conditions, elevations)) = details(claims.authorization_details, policy) else {
        return refused("it has conditions that are not understood");
    };
    Ok(Access {
        client: claims.client_id,
        environment: claims.env,
        api: policy.api.clone(),
        binding: claims.binding,
        scope,
        id: claims.jti,
        entry: claims.entry,
        confirmation: claims.cnf,
        conditions,
        elevations,
        expires: claims.exp,
        kid: token.header.kid.clone().unwrap_or_default(),
    })
}

/// Conditions and elevations. A type that is not understood might forbid what is asked: the token is not taken (RFC 9396 section 7).
fn details(all: Vec<Value>, policy: &Policy) -> Option<(Vec<Detail>, Vec<Elevation>)> {
    let (mut conditions, mut elevations) = (Vec::new(), Vec::new());
    for detail in all {
        if detail.get("type")?.as_str()? == "jit_elevation" {
            elevations.push(serde_json::from_value(detail).ok()?);
            continue;
        }
        let here = detail
            .get("locations")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(|at| at == policy.audience.as_str()));
        conditions.push(serde_json::from_value(detail).ok().filter(|_| here)?);
    }
    Some((conditions, elevations))
}
