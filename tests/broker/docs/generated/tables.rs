//! Tables from types, constants and schemas.

use std::collections::BTreeMap;
use std::time::Duration;

use carnet::domain::decision::controls::Criterion;
use carnet::domain::reason::{Class, Reason};
use carnet::domain::record::{Kind, schema};
use carnet::domain::registry::framework::Framework;
use carnet::http::metrics::{Metrics, Socket};
use serde_json::Value;

use super::kinds;
use crate::docs::page::files;
use crate::interop::process::file;

/// A field of a struct: name, type, documentation.
type Field = (String, String, String);

/// The fields of the structs below a folder, by the name of the struct.
fn structs(folder: &str) -> BTreeMap<String, Vec<Field>> {
    let mut found = BTreeMap::new();
    for path in files(folder, &["rs"]) {
        let text = std::fs::read_to_string(file(&path)).expect("a text");
        let parsed = syn::parse_file(&text).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        for item in parsed.items {
            if let syn::Item::Struct(item) = item {
                let fields = item.fields.iter().filter_map(|field| {
                    Some((field.ident.as_ref()?.to_string(), kind(&field.ty), documentation(&field.attrs)))
                });
                found.insert(item.ident.to_string(), fields.collect());
            }
        }
    }
    found
}

/// The last name of a type, and whether it is optional or a list: `Option<TlsFiles>`.
fn kind(ty: &syn::Type) -> String {
    let syn::Type::Path(path) = ty else { return String::new() };
    let Some(last) = path.path.segments.last() else { return String::new() };
    let inner = match &last.arguments {
        syn::PathArguments::AngleBracketed(arguments) => {
            let types = arguments.args.iter().filter_map(|argument| match argument {
                syn::GenericArgument::Type(ty) => Some(kind(ty)),
                _ => None,
            });
            types.collect::<Vec<_>>().join(", ")
        }
        _ => return last.ident.to_string(),
    };
    format!("{}<{inner}>", last.ident)
}

fn documentation(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(named) if named.path.is_ident("doc") => match &named.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// The smallest configuration, from which defaults are told.
const SMALLEST: &str = r#"
[journal]
url = "sqlite:///tmp/journal.db"
[keys]
kek_file = "Cargo.toml"
[staff]
issuer = "https://idp.acme.example"
roles = { security = ["security"] }
[environments.production]
issuer = "https://sts.acme.example/production"
"#;

/// Defaults of keys that have one, by section and key.
fn defaults() -> BTreeMap<&'static str, String> {
    let config = carnet::config::parse(SMALLEST, &file("")).expect("a valid configuration");
    let (listen, staff) = (&config.listen, &config.staff);
    let environment = config.environments.values().next().expect("an environment");
    BTreeMap::from([
        ("listen.public", listen.public.to_string()),
        ("listen.admin", listen.admin.to_string()),
        ("listen.mtls", listen.mtls.to_string()),
        ("listen.connections_per_address", listen.connections_per_address.to_string()),
        ("listen.body_limit", format!("{}KiB", listen.body_limit / 1024)),
        ("node.id", "the host name".to_owned()),
        ("node.grace", config.node.grace.to_string()),
        ("journal.replication", "synchronous".to_owned()),
        ("journal.archive_region", config.journal.archive_region.clone()),
        ("staff.audience", staff.audience.clone()),
        ("staff.person_claim", staff.person_claim.clone()),
        ("staff.max_age", staff.max_age.to_string()),
        ("staff.roles_claim", staff.roles_claim.clone()),
        ("environments.NAME.max_ttl", environment.max_ttl.to_string()),
        ("environments.NAME.trust_domain", "NAME and the host of the issuer".to_owned()),
        ("webhooks.NAME.give_up_after", "24h".to_owned()),
        ("signals.per_hour", "5".to_owned()),
    ])
}

/// The keys of `carnet.toml`: each field of `Config` is a section, and each field of its struct a key.
pub fn configuration() -> String {
    let structs = structs("src/config");
    let defaults = defaults();
    let mut page = String::new();
    let mut told = 0;
    for (section, ty, about) in &structs["Config"] {
        let inner = ty.rsplit(['<', ' ']).next().unwrap_or_default().trim_end_matches('>');
        let Some(fields) = structs.get(inner) else { continue };
        let name = if ty.starts_with("BTreeMap") { format!("{section}.NAME") } else { section.clone() };
        let heading = if ty.starts_with("Vec") { format!("[[{name}]]") } else { format!("[{name}]") };
        page.push_str(&format!("### {heading}\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n", about.trim()));
        for (key, ty, about) in fields {
            let default = defaults.get(format!("{name}.{key}").as_str());
            told += usize::from(default.is_some());
            let default = default.map_or_else(|| "–".to_owned(), |default| format!("`{default}`"));
            let form = if ty.contains("TlsFiles") { " Form: `{cert = \"…\", key = \"…\"}`." } else { "" };
            page.push_str(&format!("| `{key}` | {default} | {about}{form} |\n"));
        }
        page.push('\n');
    }
    assert_eq!(told, defaults.len(), "every default is told");
    page
}

/// The claims of an access token, in their order.
pub fn claims() -> String {
    let structs = structs("src/domain/credential");
    let rows = structs["Payload"].iter().map(|(name, _, about)| format!("| `{name}` | {about} |\n"));
    format!("| claim | meaning |\n|---|---|\n{}", rows.collect::<String>())
}

pub fn events() -> String {
    let mut page = "| kind | first word, for `kinds` |\n|---|---|\n".to_owned();
    for kind in kinds() {
        page.push_str(&format!("| `{kind}` | `{}` |\n", kind.split('.').next().unwrap_or_default()));
    }
    page
}

/// Every control by framework, and every criterion.
pub fn controls() -> String {
    let mut page = String::new();
    for framework in Framework::ALL {
        page.push_str(&format!("## {}\n\n| control | asks for | criteria |\n|---|---|---|\n", framework.title()));
        for control in carnet::domain::decision::controls::controls(framework) {
            let named = |one: &Criterion| format!("[`{0}`](#{0})", one.name());
            let criteria: Vec<String> = control.criteria.iter().map(named).collect();
            let criteria = if criteria.is_empty() { "none: not covered".to_owned() } else { criteria.join(", ") };
            let also = control.also.map(|also| format!(" ({also} of 1.1)")).unwrap_or_default();
            page.push_str(&format!("| {}{also} | {} | {criteria} |\n", control.id, control.asks));
        }
        page.push('\n');
    }
    page.push_str("## Criteria\n\n");
    for criterion in Criterion::ALL {
        let (name, says) = (criterion.name(), criterion.says());
        let (of, query) = (criterion.population(), criterion.query());
        page.push_str(&format!("### {name}\n\n{says}\n\n*Population:* {of}. *Query:* `GET {query}`\n\n"));
    }
    page
}

/// Every metric with its labels: all of them are counted once.
pub fn metrics() -> String {
    let metrics = Metrics::new("VERSION");
    let environment = "ENVIRONMENT".to_lowercase().parse().expect("a name");
    let open = metrics.connection(Socket::Public);
    metrics.exchange(&environment, None, Duration::ZERO);
    metrics.issued(&environment, &"api".parse().expect("a name"));
    metrics.refused(Reason::find("scope.missing").expect("a reason"));
    metrics.issuers(1, 1);
    metrics.request(Socket::Public, "/token", 200);
    metrics.mail([1, 0, 0], [0, 0, 0]);
    let text = metrics.encode();
    drop(open);
    let mut page = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else { continue };
        let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).expect("a type");
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let sample = text.lines().find(|line| !line.starts_with('#') && line.starts_with(name));
        let labels =
            sample.and_then(|line| line.split_once('{')).map_or("", |(_, rest)| rest.split('}').next().unwrap_or_default());
        let labels: Vec<String> =
            labels.split(',').filter_map(|label| Some(format!("`{}`", label.split_once('=')?.0))).collect();
        let labels = labels.into_iter().filter(|label| label != "`le`").collect::<Vec<_>>().join(", ");
        page.push_str(&format!("| `{name}{suffix}` | {kind} | {labels} | {} |\n", help.trim_end_matches('.')));
    }
    page
}

/// Every reason, with what the OAuth endpoints and the admin API make of it.
pub fn reasons() -> String {
    let mut page = String::new();
    let mut first = "";
    for reason in Reason::all() {
        let word = reason.code.split('.').next().unwrap_or_default();
        if word != first {
            page.push_str(&format!("## {word}\n\n"));
            first = word;
        }
        page.push_str(&format!(
            "### {}\n\n{} {}\n\n*Fix:* {}\n\n*Kind:* {}\n\n",
            reason.code,
            reason.what,
            reason.why,
            reason.fix,
            class(reason.class)
        ));
    }
    page
}

/// The kind of a refusal, as `docs/reference/http.md` lists them.
fn class(class: Class) -> String {
    format!("[{class:?}](http.md#refusals)")
}

/// The keys of records, from their JSON Schemas.
pub fn records() -> String {
    let kinds =
        [(Kind::Api, "Api"), (Kind::Partner, "Partner"), (Kind::Integration, "Integration"), (Kind::Guardrail, "Guardrail")];
    let schemas = kinds.map(|(kind, name)| (name, schema(kind)));
    let shared = |name: &str| schemas[0].1["$defs"][name] == schemas[2].1["$defs"][name];
    let mut page = String::new();
    let mut bindings = String::new();
    for (name, schema) in &schemas {
        page.push_str(&format!("### {name}\n\n{}", keys(schema)));
        for (def, value) in
            schema["$defs"].as_object().into_iter().flatten().filter(|(_, value)| value.get("properties").is_some())
        {
            let is_shared = *name != "Partner" && shared(def) && schemas[0].1["$defs"].get(def).is_some();
            if is_shared && *name == "Api" {
                bindings.push_str(&format!("#### {def}\n\n{}", keys(value)));
            } else if !is_shared {
                page.push_str(&format!("#### {name}: {def}\n\n{}", keys(value)));
            }
        }
    }
    format!("{page}### Bindings\n\n{bindings}")
}

fn keys(map: &Value) -> String {
    let required: Vec<&str> = map["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut table = "| key | required | value |\n|---|---|---|\n".to_owned();
    for (key, value) in map["properties"].as_object().into_iter().flatten() {
        let is_required = if required.contains(&key.as_str()) { "yes" } else { "" };
        table.push_str(&format!("| `{key}` | {is_required} | {} |\n", form(value)));
    }
    table + "\n"
}

/// The form of a value in words.
fn form(value: &Value) -> String {
    let about = value["description"].as_str().map_or_else(String::new, |text| format!(": {text}"));
    let form = if let Some(name) = value["$ref"].as_str() {
        name.trim_start_matches("#/$defs/").to_owned()
    } else if let Some(values) = value["enum"].as_array() {
        values.iter().map(|value| format!("`{}`", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(" or ")
    } else if let Some(value) = value["const"].as_str() {
        format!("`{value}`")
    } else if let Some(any) = value["oneOf"].as_array().or(value["anyOf"].as_array()) {
        any.iter().map(form).collect::<Vec<_>>().join(", or ")
    } else {
        match value["type"].as_str() {
            Some("array") => format!("a list of {}", form(&value["items"])),
            Some("object") if value["additionalProperties"].is_object() => {
                format!("a map from names to {}", form(&value["additionalProperties"]))
            }
            Some("object") => "a map".to_owned(),
            Some("string") => value["pattern"]
                .as_str()
                .map_or_else(|| "text".to_owned(), |pattern| format!("text `{}`", pattern.replace('|', "\\|"))),
            Some(other) => other.to_owned(),
            None => "any value".to_owned(),
        }
    };
    form + &about
}
