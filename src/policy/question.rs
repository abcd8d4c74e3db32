//! A question of the decision in Cedar's words: entities and context.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression as Value};

use super::schema::TYPES;
use crate::domain::credential::possession::Possession;
use crate::domain::decision::guard::{Asked, Source};
use crate::domain::decision::way::Way;
use crate::domain::registry::api::Risk;
use crate::domain::registry::binding::{Admits, Binding, JwtKind};
use crate::domain::value::clock::Timestamp;

/// Why a question could not be put. A guard refuses then.
pub(super) type Unaskable = String;

/// The integration, its partner, the scope and its API.
pub(super) fn entities(asked: &Asked<'_>) -> Result<Entities, Unaskable> {
    let (partner, api) = (uid(&TYPES.partner, asked.integration.id.partner.as_str()), uid(&TYPES.api, asked.api.as_str()));
    let classes = asked.integration.data_classes.iter().map(|class| Value::new_string(class.clone()));
    let integration = [
        ("partner", Value::new_entity_uid(partner.clone())),
        ("dataClasses", Value::new_set(classes)),
        ("contractEnds", instant(asked.integration.contract.ends)),
    ];
    let scope = [("api", Value::new_entity_uid(api.clone())), ("risk", word(risk(asked.risk)))];
    let all = [
        entity(partner.clone(), [("verified", Value::new_bool(asked.verified))], None)?,
        entity(principal(asked), integration, Some(partner))?,
        entity(api.clone(), [], None)?,
        entity(resource(asked), scope, Some(api))?,
    ];
    Entities::from_entities(all, None).map_err(|error| error.to_string())
}

/// The request, with the values that change from request to request if `free`.
pub(super) fn request(asked: &Asked<'_>, free: bool) -> Result<Request, Unaskable> {
    let mut context = vec![
        ("environment", word(asked.environment.as_str())),
        ("elevated", Value::new_bool(asked.way != Way::Standing)),
        ("breakGlass", Value::new_bool(asked.way == Way::BreakGlass)),
        ("bound", Value::new_bool(asked.possession != Possession::Bearer)),
        ("dual", Value::new_bool(asked.possession == Possession::Dual)),
        ("binding", word(kind(asked.binding))),
        ("preset", word(preset(asked.binding))),
    ];
    if free {
        // A value that is not known stays out, and a policy that reads it fails.
        if let Source::Known(address) = asked.source {
            context.push(("source", Value::new_ip(address.to_canonical().to_string())));
        }
        if let Some(local) = asked.local {
            context.push(("weekday", Value::new_long(local.weekday.into())));
            context.push(("minute", Value::new_long(local.minute.into())));
        }
        context.push(("time", instant(asked.time)));
    }
    let context = Context::from_pairs(context.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let context = context.map_err(|error| error.to_string())?;
    let action = uid(&TYPES.action, "exchange");
    Request::new(principal(asked), action, resource(asked), context, None).map_err(|error| error.to_string())
}

fn principal(asked: &Asked<'_>) -> EntityUid {
    uid(&TYPES.integration, &asked.integration.id.to_string())
}

fn resource(asked: &Asked<'_>) -> EntityUid {
    uid(&TYPES.scope, &format!("{}/{}", asked.api, asked.scope))
}

fn uid(of: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(name))
}

fn entity<const N: usize>(
    uid: EntityUid,
    attributes: [(&str, Value); N],
    parent: Option<EntityUid>,
) -> Result<Entity, Unaskable> {
    let attributes: HashMap<String, Value> = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entity::new(uid, attributes, parent.into_iter().collect::<HashSet<_>>()).map_err(|error| error.to_string())
}

fn word(text: &str) -> Value {
    Value::new_string(text.to_owned())
}

fn instant(at: Timestamp) -> Value {
    Value::new_datetime(at.to_string())
}

const fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

fn kind(binding: &Binding) -> &'static str {
    match &binding.admits {
        Admits::Certificate => "mtls",
        Admits::Jwt(rule) => match rule.kind {
            JwtKind::Key => "key",
            JwtKind::Oidc => "oidc",
        },
    }
}

fn preset(binding: &Binding) -> &'static str {
    match &binding.admits {
        Admits::Certificate => "none",
        Admits::Jwt(rule) => rule.preset.map_or("none", |preset| preset.row().name),
    }
}
