//! The claims of a verified token. A claim that this version does not know is ignored.

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

/// The facts of an accepted request, for an API's handlers.
#[derive(Clone, Debug)]
pub struct Access {
    /// `sub` and `client_id`: the client, `partner/integration`.
    pub client: ClientId,
    /// `env`: the environment.
    pub environment: EnvironmentName,
    /// This API.
    pub api: ApiName,
    /// `binding`: the binding that admitted the workload.
    pub binding: BindingName,
    /// `scope`: all scopes of the token, which may be more than the request needs.
    pub scope: ScopeSet,
    /// `jti`: the token's id, for a revocation or a question to the security team.
    pub id: TokenId,
    /// `entry`: the index of the token's entry in the journal.
    pub entry: u64,
    /// `cnf`: the key that the token is bound to.
    pub confirmation: Option<Confirmation>,
    /// `authorization_details`: the endpoint conditions. The request met them.
    pub conditions: Vec<Detail>,
    /// `authorization_details`: the elevations; their ids match API logs with approvals.
    pub elevations: Vec<Elevation>,
    /// `exp`: the time at which the token ends.
    pub expires: Timestamp,
    /// The `kid` of the key that signed it.
    pub(crate) kid: String,
}

/// A just-in-time elevation that a token was issued under.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
pub struct Elevation {
    /// Its id.
    pub id: String,
    /// The ticket that the request for it named, if any.
    pub ticket: Option<String>,
}

/// The claims as they are signed (docs/reference/claims.md).
///
/// A member that repeats, or has another type, refuses the token.
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

/// Parses the claims and checks them against the policy (RFC 9068 section 4).
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

/// Conditions and elevations; `None` if one is not understood.
///
/// An unknown type might forbid the request, so the token is refused (RFC 9396 section 7).
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
