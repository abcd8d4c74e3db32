//! An entry as an event of the Open Cybersecurity Schema Framework.

use serde_json::{Value, json};

use super::class::{self, Account, Class};
use super::told::Told;
use crate::broker::event::{self, Part};
use crate::domain::elevation::Elevation;
use crate::domain::log::change::Change;
use crate::domain::log::entry::{ChangeEntry, Counted, Entry, Issued, RefusedEntry};
use crate::domain::people::actor::{Actor, Person};
use crate::domain::value::clock::Timestamp;

/// The version of the schema that every event is made by.
pub const VERSION: &str = "1.5.0";

/// The name of this product, of its log's service, and of the program as an actor.
const CARNET: &str = "Carnet";

/// The kind of a user: a person, or a system.
const PERSON: (u32, &str) = (1, "User");
const SYSTEM: (u32, &str) = (3, "System");

/// The severity: nothing to do, or something to look at.
const INFORMATIONAL: (u32, &str) = (1, "Informational");
const LOW: (u32, &str) = (2, "Low");
const MEDIUM: (u32, &str) = (3, "Medium");

pub(super) fn of(told: Told<'_>) -> Value {
    let class = class(told.entry);
    let ((class_uid, class_name), (activity_id, activity_name)) = class.numbers();
    let category = if class_uid / 1000 == 6 { (6, "Application Activity") } else { (3, "Identity & Access Management") };
    let (severity_id, severity) = severity(told.entry, class);
    let (kind, subject) = (told.entry.kind(), told.entry.subject());
    let mut event = json!({
        "category_uid": category.0, "category_name": category.1, "class_uid": class_uid, "class_name": class_name,
        "activity_id": activity_id, "activity_name": if activity_id == 99 { kind } else { activity_name },
        "type_uid": class_uid * 100 + activity_id, "type_name": format!("{class_name}: {activity_name}"),
        "severity_id": severity_id, "severity": severity, "status_id": 1, "status": "Success",
        "time": millis(told.entry.time()), "message": format!("{kind}: {subject}"),
        "metadata": {
            "version": VERSION, "uid": event::id(told.epoch, told.entry.index(), Part::Whole), "event_code": kind,
            "product": {"name": CARNET, "vendor_name": CARNET, "version": env!("CARGO_PKG_VERSION")},
            "log_name": told.origin, "sequence": told.entry.index(),
        },
    });
    match told.entry {
        Entry::Issued(entry) => issued(&mut event, entry),
        Entry::Refused(entry) => refused(&mut event, entry, told.origin),
        Entry::Counted(entry) => counted(&mut event, entry, told.origin),
        Entry::Change(entry) => changed(&mut event, (class, entry), told.elevation),
    }
    // Everything that the schema has no place for: the entry as it stands on record.
    event["unmapped"] = told.recorded;
    event
}

fn class(entry: &Entry) -> Class {
    match entry {
        Entry::Issued(_) => Class::Issued,
        Entry::Refused(_) | Entry::Counted(_) => Class::Refused,
        Entry::Change(entry) => class::of(&entry.change.what),
    }
}

/// How much somebody should care.
fn severity(entry: &Entry, class: Class) -> (u32, &'static str) {
    let signals = if let Entry::Change(entry) = entry { matches!(entry.change.what, Change::Signal(_)) } else { false };
    if class == Class::Refused {
        LOW
    } else if signals || class == Class::Account(Account::Disable) {
        MEDIUM
    } else {
        INFORMATIONAL
    }
}

fn issued(event: &mut Value, entry: &Issued) {
    let user = system(&entry.subject.to_string());
    event["actor"] = json!({"user": user});
    event["user"] = user;
    event["privileges"] = entry.scope.split(' ').collect();
    event["session"] = json!({
        "uid": entry.jti, "created_time": millis(entry.time), "expiration_time": millis(entry.exp),
        "credential_uid": entry.kid,
    });
    event["metadata"]["correlation_uid"] = json!(entry.request_id);
}

fn refused(event: &mut Value, entry: &RefusedEntry, origin: &str) {
    fail(event, entry.reason.0.code, entry.reason.0.what);
    event["user"] = system(&entry.subject.to_string());
    event["service"] = json!({"name": origin, "uid": entry.environment});
    event["metadata"]["correlation_uid"] = json!(entry.request_id);
}

/// Several refusals of a minute. Those of strangers name nobody.
fn counted(event: &mut Value, entry: &Counted, origin: &str) {
    let reasons: Vec<&str> = entry.counts.keys().map(String::as_str).collect();
    fail(event, reasons.first().copied().unwrap_or_default(), &reasons.join(", "));
    let is_caller = entry.subject.contains('/');
    event["user"] = system(if is_caller { &entry.subject } else { "unknown" });
    event["service"] = json!({"name": origin, "uid": entry.subject});
    event["count"] = entry.counts.values().sum::<u64>().into();
}

fn fail(event: &mut Value, code: &str, detail: &str) {
    event["status_id"] = 2.into();
    event["status"] = "Failure".into();
    event["status_code"] = code.into();
    event["status_detail"] = detail.into();
    event["auth_protocol_id"] = 6.into();
    event["auth_protocol"] = "OAUTH 2.0".into();
}

fn changed(event: &mut Value, (class, entry): (Class, &ChangeEntry), elevation: Option<&Elevation>) {
    event["actor"] = actor(&entry.change.by);
    if let Some(request) = &entry.request_id {
        event["metadata"]["correlation_uid"] = json!(request);
    }
    let (kind, subject) = (entry.change.what.kind(), &entry.subject);
    let noun = kind.split('.').next().unwrap_or(kind);
    match class {
        Class::Account(_) => event["user"] = system(subject),
        Class::Entity(_) => {
            event["entity"] = json!({"name": subject, "uid": subject, "type": noun, "type_id": 99});
        }
        Class::Access(_) => {
            let whose = elevation.map_or_else(|| subject.clone(), |elevation| elevation.integration.to_string());
            event["user"] = system(&whose);
            let scopes = elevation.map(|elevation| elevation.scopes.to_string()).unwrap_or_default();
            event["privileges"] = scopes.split(' ').filter(|scope| !scope.is_empty()).collect();
            let api = elevation.map_or(subject.as_str(), |elevation| elevation.api.as_str());
            event["resources"] = json!([{"name": api, "uid": subject, "type": noun}]);
        }
        Class::Call(_) => {
            event["api"] = json!({"operation": kind, "service": {"name": CARNET}});
            // The journal keeps no addresses of people.
            event["src_endpoint"] = json!({"name": "not on record"});
            event["resources"] = json!([{"name": subject, "uid": subject, "type": noun}]);
        }
        // No change is one of these.
        Class::Issued | Class::Refused => {}
    }
}

/// A workload or a program as a user.
fn system(name: &str) -> Value {
    json!({"name": name, "uid": name, "type_id": SYSTEM.0, "type": SYSTEM.1})
}

fn actor(actor: &Actor) -> Value {
    let user = |person: &Person, (type_id, kind): (u32, &str)| json!({"user": {"uid": person.id, "domain": person.iss, "type_id": type_id, "type": kind}});
    let program = |name: &str| json!({"app_name": CARNET, "user": system(name)});
    match actor {
        Actor::Staff(person) => user(person, PERSON),
        Actor::Machine(person) => user(person, SYSTEM),
        Actor::Workload(integration) => json!({"user": system(&integration.to_string())}),
        Actor::Api(api) => json!({"user": system(&api.to_string())}),
        Actor::Operator => program("operator"),
        Actor::Broker => program("broker"),
        Actor::Directory => program("directory"),
    }
}

fn millis(time: Timestamp) -> i64 {
    time.as_seconds().saturating_mul(1000)
}
