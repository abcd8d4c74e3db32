//! What this listener says of itself: `ServiceProviderConfig`, `ResourceTypes` and `Schemas` (RFC 7643 sections 5 to 7), and users.

use serde_json::{Value, json};

use super::attribute::{self, USER};
use crate::domain::people::member::{Email, Member, Profile};
use crate::http::form::Form;

/// The most users of an answer.
pub const MOST_USERS: usize = 200;

/// The path of everything here.
pub const BASE: &str = "/scim/v2";

/// `GET /ServiceProviderConfig`.
pub fn provider() -> Value {
    let supported = |supported: bool| json!({"supported": supported});
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": supported(true),
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": MOST_USERS},
        "changePassword": supported(false),
        "sort": supported(false),
        "etag": supported(false),
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of [directory] token_files",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{BASE}/ServiceProviderConfig")},
    })
}

/// The one kind of resource.
pub fn user_type() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "People whom records may name as owners",
        "schema": USER,
        "schemaExtensions": [],
        "meta": {"resourceType": "ResourceType", "location": format!("{BASE}/ResourceTypes/User")},
    })
}

/// The attributes of a user that are kept. `externalId` belongs to every resource (RFC 7643 section 3.1), so it is not among them.
pub fn user_schema() -> Value {
    let attribute = |name: &str, kind: &str, description: &str| {
        json!({
            "name": name, "type": kind, "multiValued": false, "description": description, "required": false,
            "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none",
        })
    };
    let mut name = attribute("userName", "string", "The name by which the person signs in");
    name["required"] = json!(true);
    name["uniqueness"] = json!("server");
    let mut active = attribute("active", "boolean", "False for somebody who left");
    // It has a value always, and cannot be removed.
    active["required"] = json!(true);
    let mut emails = attribute("emails", "complex", "The person's addresses");
    emails["multiValued"] = json!(true);
    emails["subAttributes"] = json!([
        attribute("value", "string", "The address"),
        attribute("type", "string", "Its use, such as work"),
        attribute("primary", "boolean", "True for the preferred one"),
    ]);
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": USER,
        "name": "User",
        "description": "What is kept of a person; everything else that is sent is dropped",
        "attributes": [name, active, emails],
        "meta": {"resourceType": "Schema", "location": format!("{BASE}/Schemas/{USER}")},
    })
}

/// A list (RFC 7644 section 3.4.2). `start` is the place of its first resource among `total`, counted from 1.
pub fn list(resources: &[Value], start: usize, total: usize) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

/// The place of a user. It is relative: the host that the source calls may be a proxy's.
pub fn place(member: &Member) -> String {
    format!("{BASE}/Users/{}", member.id)
}

/// The attributes that somebody wants to see (RFC 7644 section 3.9), by their names in lower case.
pub enum Shown {
    /// All of them.
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

impl Shown {
    /// By the parameters of a query: `attributes` counts before `excludedAttributes`.
    pub fn of(query: &Form<'_>) -> Self {
        let names = |list: &str| list.split(',').map(|name| attribute::top(name).to_ascii_lowercase()).collect();
        match (query.get("attributes"), query.get("excludedAttributes")) {
            (Some(only), _) => Self::Only(names(only)),
            (None, Some(without)) => Self::Without(names(without)),
            (None, None) => Self::All,
        }
    }

    /// Whether an attribute is shown. RFC 7643 section 3.1: `id` always is, and so is what the document is.
    fn has(&self, name: &str) -> bool {
        let is = |names: &[String]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        match self {
            Self::All => true,
            Self::Only(names) => matches!(name, "id" | "schemas") || is(names),
            Self::Without(names) => matches!(name, "id" | "schemas") || !is(names),
        }
    }
}

/// A user, with the attributes that somebody wants to see.
pub fn shown(member: &Member, shown: &Shown) -> Value {
    let mut user = user(member);
    if let Some(user) = user.as_object_mut() {
        user.retain(|name, _| shown.has(name));
    }
    user
}

/// A user.
pub fn user(member: &Member) -> Value {
    let mut user = json!({
        "schemas": [USER],
        "id": member.id,
        "active": member.active,
        "meta": {"resourceType": "User", "location": place(member)},
    });
    if let (Some(Profile { user_name, external_id, emails }), Some(user)) = (&member.profile, user.as_object_mut()) {
        user.insert("userName".to_owned(), json!(user_name));
        user.extend(external_id.iter().map(|id| ("externalId".to_owned(), json!(id))));
        if !emails.is_empty() {
            user.insert("emails".to_owned(), emails.iter().map(email).collect());
        }
    }
    user
}

fn email(email: &Email) -> Value {
    json!(email)
}
