//! The records of a stage: two partners, with integrations that have room for a load.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::clients::Reach;
use super::wire::Request;
use crate::world::records;

/// The integrations. The first five, and those of initech, are barred at times; [`NEVER_BARRED`] is not.
pub const FLEET: [&str; 8] = [
    "globex/fleet-0",
    "globex/fleet-1",
    "globex/fleet-2",
    "globex/fleet-3",
    "globex/fleet-4",
    "globex/fleet-5",
    "initech/fleet-6",
    "initech/fleet-7",
];

/// An integration that no load bars.
pub const NEVER_BARRED: &str = FLEET[5];

/// The number of an integration, which is in its claims too.
pub fn number(integration: &str) -> usize {
    FLEET.iter().position(|one| *one == integration).expect("one of the fleet")
}

/// The claims that tell an integration's workload from others.
pub fn claims(integration: &str) -> Value {
    let (partner, name) = integration.split_once('/').expect("a name of two parts");
    let owner = if partner == "globex" { "998877" } else { "887766" };
    json!({
        "sub": format!("repo:{partner}/{name}"), "repository_id": format!("4567{}", number(integration)),
        "repository_owner_id": owner, "ref": "refs/heads/main",
    })
}

/// The record of an integration; narrow, it lacks `orders:list`.
pub fn integration(issuer: &str, integration: &str, narrow: bool) -> String {
    let (partner, name) = integration.split_once('/').expect("a name of two parts");
    let repository = format!("4567{}", number(integration));
    let mut text = records::integration(issuer, name, &repository);
    text = text.replace("    elevation:\n", "    limits: {exchangesPerMinute: 1000000}\n    elevation:\n");
    if narrow {
        text = text.replace("        - scope: orders:list\n", "");
    }
    if partner != "globex" {
        text = text.replace("globex", partner).replace("998877", "887766");
    }
    // The stage has one environment.
    let (from, to) = (text.find("  sandbox:\n").expect("a sandbox"), text.find("  production:\n").expect("a production"));
    text.replace_range(from..to, "");
    text
}

fn all(issuer: &str) -> String {
    let usual = records::usual(issuer);
    let mut documents: Vec<&str> = usual.split("---\n").collect();
    // The usual integration is none of the fleet.
    documents.truncate(2);
    let api: String =
        documents[0].lines().filter(|line| !line.starts_with("  sandbox:")).map(|line| format!("{line}\n")).collect();
    let api = api.replace("sandbox: https://orders.sandbox.example, ", "");
    let globex = documents[1].to_owned();
    let initech = globex.replace("globex", "initech").replace("Globex", "Initech");
    let fleet = FLEET.iter().map(|one| integration(issuer, one, false));
    [api, globex, initech].into_iter().chain(fleet).collect::<Vec<_>>().join("---\n")
}

/// Brings them into force: applied by `ann`, approved by `olga` and `sven`.
pub async fn onboard(reach: &Reach) {
    let text = all(&reach.partner.issuer);
    let apply = Request { line: "POST /v1/records/apply".into(), headers: Vec::new(), body: Some(("application/yaml", text)) };
    let applied = reach.staff(0, "ann", apply).await;
    assert_eq!(applied.status, 200, "{}", applied.body);
    approve_all(reach).await;
    for integration in FLEET {
        let submit = Request::json(&format!("/v1/integrations/{integration}/submit"), &json!({"reason": "ready"}));
        let answer = reach.staff(0, "ann", submit).await;
        assert!(answer.status < 300, "{}", answer.body);
    }
    approve_all(reach).await;
    for node in 0..reach.nodes() {
        // Another node follows each second.
        let begun = Instant::now();
        while active(reach, node).await != FLEET.len() {
            assert!(begun.elapsed() < Duration::from_secs(20), "node {node} does not know the records");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How many integrations a node knows as active.
async fn active(reach: &Reach, node: usize) -> usize {
    let list = reach.staff(node, "alan", Request::get("/v1/integrations?limit=1000")).await;
    list.body["items"].as_array().map_or(0, |items| items.iter().filter(|one| one["state"] == "active").count())
}

/// Approves what waits, by `olga` and `sven`.
pub async fn approve_all(reach: &Reach) {
    let pending = reach.staff(0, "alan", Request::get("/v1/approvals?state=pending&limit=1000")).await;
    for approval in pending.body["items"].as_array().expect("items") {
        for person in ["olga", "sven"] {
            review(reach, 0, approval, person).await;
        }
    }
}

/// Approves a version that was seen. Returns the status.
pub async fn review(reach: &Reach, node: usize, approval: &Value, person: &str) -> u16 {
    let id = approval["id"].as_str().unwrap_or_default();
    let body = json!({"verdict": "approve", "reason": "looked at", "version": approval["version"]});
    let answer = reach.staff(node, person, Request::json(&format!("/v1/approvals/{id}/reviews"), &body)).await;
    answer.status
}
