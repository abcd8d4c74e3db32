//! The admin API, from the description that the server itself gives at `/openapi.json`.

use serde_json::Value;

use crate::world::World;
use crate::world::client::get;

pub async fn routes() -> String {
    let world = World::start().await;
    let described = get(world.admin, "/openapi.json").await.json();
    let mut page = "| route | does | roles |\n|---|---|---|\n".to_owned();
    let paths = described["paths"].as_object().expect("paths");
    let mut rows: Vec<(String, String)> = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods").iter().filter(|(name, _)| is_method(name)) {
            let summary = operation["summary"].as_str().unwrap_or_default();
            let roles: Vec<&str> = operation["x-roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let roles = if roles.is_empty() { "–".to_owned() } else { roles.join(", ") };
            rows.push((path.clone(), format!("| `{} {path}` | {summary} | {roles} |\n", method.to_uppercase())));
        }
    }
    rows.sort();
    page.extend(rows.into_iter().map(|(_, row)| row));
    page
}

fn is_method(name: &str) -> bool {
    ["get", "post", "put", "patch", "delete"].contains(&name)
}
