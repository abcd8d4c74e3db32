//! Drift: what differs between files and what is in force, with whoever or whatever made it so; and exports, which differ in nothing.

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::world::{World, records};

const LIST: &str = "        - scope: orders:list\n";

async fn drift(world: &World, records: &str) -> Value {
    let before = entries(world).await;
    let answer = world.admin_send("POST", "/v1/records/drift", "alan", Some(("application/yaml", records.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(entries(world).await, before, "it records nothing");
    let found = answer.json();
    assert_eq!(found["drift"], !found["items"].as_array().expect("items").is_empty(), "{found}");
    found
}

async fn entries(world: &World) -> usize {
    let found = world.admin_get("/v1/journal?limit=1000", "alan").await;
    found["items"].as_array().expect("items").len()
}

async fn apply(world: &World, person: &str, records: &str) {
    let answer = world.admin_send("POST", "/v1/records/apply", person, Some(("application/yaml", records.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn post(world: &World, path: &str, person: &str, body: &Value) -> Value {
    let answer = world.admin_post(path, person, body).await;
    assert!(answer.status < 300, "{path}: {}", answer.text());
    answer.json()
}

/// `(kind, subject, state)` of each item.
fn states(found: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let items = found["items"].as_array().expect("items");
    items.iter().map(|item| (text(&item["kind"]), text(&item["subject"]), text(&item["state"]))).collect()
}

fn one(kind: &str, subject: &str, state: &str) -> (String, String, String) {
    (kind.to_owned(), subject.to_owned(), state.to_owned())
}

#[tokio::test]
async fn versions_that_differ_say_who_made_them() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    assert_eq!(drift(&world, &usual).await, json!({"drift": false, "records": 3, "items": []}));

    // At once, by security.
    let at = world.clock.seconds();
    let narrower = usual.replacen(LIST, "", 1);
    let bearer = format!("Bearer {}", world.staff_token("sven"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml"), ("carnet-reason", "odd+calls")];
    let answer = crate::world::send(world.admin, "POST", "/v1/records/apply", &headers, narrower.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = drift(&world, &usual).await;
    assert_eq!(states(&found), [one("Integration", "globex/order-sync", "differs")]);
    let item = &found["items"][0];
    let cause = &item["causes"][0];
    assert_eq!(
        (&cause["what"], &cause["by"]["id"], &cause["at"], &cause["reason"]),
        (&json!("applied"), &json!("sven"), &json!(at), &json!("odd calls"))
    );
    assert!(cause.get("approval").is_none(), "{cause}");
    let difference = &item["differences"][0];
    assert_eq!(
        (&difference["at"], &difference["weight"], &difference["from"]),
        (&json!("environments.production.scopes.orders-api.orders:list"), &json!("WIDENS"), &Value::Null),
        "what an apply of the file would change: {item}"
    );
    assert_eq!(drift(&world, &narrower).await["drift"], false);

    // By an approval, which is named.
    let changed = narrower.replacen("purpose: Copies orders.", "purpose: Copies all orders.", 1);
    apply(&world, "ann", &changed).await;
    assert_eq!(drift(&world, &narrower).await["drift"], false, "what waits is not in force");
    world.approve_all().await;
    let approvals = world.admin_get("/v1/approvals?kind=change&limit=1000", "sven").await;
    let newest =
        approvals["items"].as_array().expect("items").iter().max_by_key(|one| one["expires"].as_i64()).expect("one").clone();
    let found = drift(&world, &narrower).await;
    let cause = &found["items"][0]["causes"][0];
    assert_eq!((&cause["by"]["id"], &cause["approval"]), (&json!("ann"), &newest["id"]), "{found}");
}

#[tokio::test]
async fn what_only_one_side_has_is_drift() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let (api, rest) = usual.split_once("---\n").expect("documents");
    let found = drift(&world, rest).await;
    assert_eq!((states(&found), &found["records"]), (vec![one("Api", "orders-api", "no-file")], &json!(2)));
    assert_eq!(found["items"][0]["causes"][0]["by"]["id"], "ann", "{found}");
    let found = drift(&world, api).await;
    assert_eq!(states(&found), [one("Integration", "globex/order-sync", "no-file"), one("Partner", "globex", "no-file")]);

    let second = format!("{usual}---\n{}", records::integration(&world.partner.issuer, "second", "111111"));
    let found = drift(&world, &second).await;
    assert_eq!(states(&found), [one("Integration", "globex/second", "not-in-force")]);
    assert_eq!(found["items"][0]["causes"], json!([]), "nobody applied it");
    apply(&world, "ann", &second).await;
    let found = drift(&world, &second).await;
    assert_eq!(states(&found), [one("Integration", "globex/second", "not-in-force")]);
    let cause = &found["items"][0]["causes"][0];
    assert_eq!((&cause["what"], &cause["by"]["id"]), (&json!("waits"), &json!("ann")));
    assert_eq!(drift(&world, &usual).await["drift"], false, "a draft is not in force");

    let twice = format!("{usual}---\n{}", rest);
    let answer = world.admin_send("POST", "/v1/records/drift", "alan", Some(("application/yaml", twice))).await;
    assert_eq!((answer.status, &answer.json()["reason"]), (422, &json!("record.duplicate")), "{}", answer.text());
}

/// What people do at once is drift until it is lifted, or until the files have no longer what it stops.
#[tokio::test]
async fn what_stops_something_is_drift_until_the_files_say_so() {
    let world = World::start().await;
    let end = crate::world::days::Day(200);
    let secret = format!("exceptions:\n  - {{what: old key, control: network, owner: raj@acme.example, ends: {end}}}\n");
    let usual = records::usual(&world.partner.issuer) + &secret;
    apply(&world, "ann", &usual).await;
    world.approve_all().await;
    assert_eq!(drift(&world, &usual).await["drift"], false);

    let stop = json!({"reason": "odd calls", "environments": ["sandbox"]});
    let suspended = post(&world, "/v1/integrations/globex/order-sync/suspend", "sara", &stop).await;
    let found = drift(&world, &usual).await;
    assert_eq!(states(&found), [one("Integration", "globex/order-sync", "stopped")]);
    let cause = &found["items"][0]["causes"][0];
    assert_eq!(
        (&cause["what"], &cause["id"], &cause["by"]["id"], &cause["reason"], &cause["environments"]),
        (&json!("suspended"), &suspended["id"], &json!("sara"), &json!("odd calls"), &json!(["sandbox"]))
    );
    assert_eq!(found["items"][0]["differences"], json!([]));
    // The files have that environment no more, and nor has what is in force.
    let sandbox = usual.find("  sandbox:\n    bindings:").expect("sandbox");
    let production = usual.find("  production:\n    bindings:").expect("production");
    let without = format!("{}{}", &usual[..sandbox], &usual[production..]);
    let found = drift(&world, &without).await;
    assert_eq!(states(&found), [one("Integration", "globex/order-sync", "differs")]);
    assert!(found["items"][0]["causes"].as_array().expect("causes").iter().all(|cause| cause["what"] == "applied"), "{found}");

    post(&world, "/v1/integrations/globex/order-sync/resume", "ann", &json!({"reason": "explained"})).await;
    world.approve_all().await;
    assert_eq!(drift(&world, &usual).await["drift"], false);

    post(&world, "/v1/partners/globex/suspend", "sara", &json!({"reason": "odd"})).await;
    assert_eq!(states(&drift(&world, &usual).await), [one("Partner", "globex", "stopped")]);
    post(&world, "/v1/partners/globex/resume", "ann", &json!({"reason": "explained"})).await;
    world.approve_all().await;

    let revoke = json!({"binding": "globex/order-sync/production/ci-main", "reason": "leaked"});
    let revoked = post(&world, "/v1/revocations", "sara", &revoke).await;
    let found = drift(&world, &usual).await;
    let cause = &found["items"][0]["causes"][0];
    assert_eq!((&cause["what"], &cause["id"]), (&json!("revoked"), &revoked["id"]), "{found}");
    let renamed = usual.replacen("name: ci-main", "name: main", 1);
    let found = drift(&world, &renamed).await;
    assert!(found["items"][0]["causes"].as_array().expect("causes").iter().all(|cause| cause["what"] == "applied"), "{found}");
    let id = revoked["id"].as_str().expect("an id");
    post(&world, &format!("/v1/revocations/{id}/lift"), "sara", &json!({"reason": "changed"})).await;
    world.approve_all().await;
    assert_eq!(drift(&world, &usual).await["drift"], false);

    let exceptions = world.admin_get("/v1/exceptions", "alan").await;
    let id = exceptions["items"][0]["id"].as_str().expect("an id").to_owned();
    post(&world, &format!("/v1/exceptions/{id}/close"), "ann", &json!({"evidence": "deleted"})).await;
    world.approve_all().await;
    let found = drift(&world, &usual).await;
    let cause = &found["items"][0]["causes"][0];
    assert_eq!(
        (&cause["what"], &cause["of"], &cause["by"]["id"]),
        (&json!("exception-closed"), &json!("old key"), &json!("ann")),
        "{found}"
    );
    assert_eq!(drift(&world, &usual.replacen(&secret, "", 1)).await["drift"], false, "the line may leave the file at once");

    let close = json!({"reason": "no more", "confirm": "sandbox"});
    post(&world, "/v1/environments/sandbox/close", "adam", &close).await;
    world.approve_all().await;
    let found = drift(&world, &usual.replacen(&secret, "", 1)).await;
    assert_eq!(states(&found), [one("Api", "orders-api", "stopped"), one("Integration", "globex/order-sync", "stopped")]);
    assert_eq!(found["items"][0]["causes"][0]["what"], "environment-closed", "{found}");
}

/// Exit 0, 2 and 6; as a table, as data, and as Markdown.
#[tokio::test]
async fn drift_and_plan_at_the_command_line() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let program = Program::of(&world, "ann");
    program.file("records/all.yaml", &usual);
    let ran = program.run(&["drift", "-f", "records"]).await.ended(0);
    assert_eq!(ran.stdout, "3 records in the files · 0 differ\n");
    apply(&world, "sven", &usual.replacen(LIST, "", 1)).await;
    let ran = program.run(&["drift", "-f", "records"]).await.ended(6);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "~ Integration globex/order-sync  the version in force is another one");
    assert!(lines[1].starts_with("    the version in force was applied by sven") && lines[1].contains(" UTC"), "{ran:?}");
    assert!(lines[2].starts_with("    WIDENS   environments.production.scopes.orders-api.orders:list  + "), "{ran:?}");
    assert_eq!(lines[3], "3 records in the files · 1 differ");
    let data = program.run(&["drift", "-f", "records", "-o", "json"]).await.ended(6).json();
    assert_eq!((&data["drift"], &data["items"][0]["state"]), (&json!(true), &json!("differs")));
    let ran = program.run(&["drift", "-f", "records", "-o", "markdown"]).await.ended(6);
    assert!(ran.stdout.starts_with("### Carnet drift: 3 records in the files · 1 differ\n"), "{ran:?}");

    let (_, rest) = usual.split_once("---\n").expect("documents");
    program.file("some/rest.yaml", &rest.replacen(LIST, "", 1));
    program.run(&["drift", "-f", "some"]).await.ended(6);
    program.run(&["drift", "-f", "some", "--partial"]).await.ended(0);
    program.file("broken/a.yaml", "apiVersion: carnet/v1\nkind: Nothing\n");
    program.run(&["drift", "-f", "broken"]).await.ended(2);

    let ran = program.run(&["plan", "-f", "records", "-o", "markdown"]).await.ended(6);
    let told = ran.stdout;
    assert!(told.starts_with("### Carnet: 3 records, 1 to change, 1 widenings\n"), "{told}");
    assert!(told.contains("| **WIDENS** | <code>environments.production.scopes.orders-api.orders:list</code> |"), "{told}");
    assert!(told.contains("<code>globex/order-sync may have orders:list of orders-api in production at any time"), "{told}");
    let refused = program.run(&["whoami", "-o", "markdown"]).await.ended(2);
    assert!(refused.stderr.contains("-o markdown is for plan and drift"), "{refused:?}");
}

/// What is exported is in force: planned again it says no change, whatever the records say, and whatever stops them.
#[tokio::test]
async fn an_export_planned_again_says_no_change() {
    let world = World::start().await;
    let program = Program::of(&world, "ann");
    let back = async |what: &str| {
        let exported = program.run(&["partner", "export", "globex"]).await.ended(0);
        let yaml = program.run(&["partner", "export", "globex", "-o", "yaml"]).await.ended(0);
        assert_eq!(exported.stdout, yaml.stdout, "{what}");
        program.file("export/globex.yaml", &exported.stdout);
        let ran = program.run(&["plan", "-f", "export", "-o", "json"]).await.ended(0);
        assert_eq!(ran.json()["changes"], false, "{what}: {ran:?}");
        program.run(&["drift", "-f", "export", "--partial", "-o", "json"]).await
    };
    assert_eq!(back("the usual").await.code, 0);
    // Everything that a record can say.
    let all = include_str!("fixtures/records.yaml");
    apply(&world, "ann", all).await;
    world.approve_all().await;
    let integrations = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    assert_eq!(
        integrations["record"]["purpose"], "Copies shipped orders into Globex's warehouse system every ten minutes.",
        "it is in force: {integrations}"
    );
    assert_eq!(back("everything").await.code, 0);
    post(&world, "/v1/integrations/globex/order-sync/suspend", "sara", &json!({"reason": "odd"})).await;
    assert_eq!(back("suspended").await.code, 6, "it is stopped");
    program.run(&["partner", "export", "nobody"]).await.ended(5);

    // What waits is not in force, and is said.
    let wider = all.replacen("ends: 2027-11-30", "ends: 2028-11-30", 1);
    apply(&world, "ann", &wider).await;
    let ran = program.run(&["partner", "export", "globex"]).await.ended(0);
    assert!(ran.stderr.contains("globex/order-sync: another version waits"), "{ran:?}");
    assert!(ran.stdout.contains("2027-11-30") && !ran.stdout.contains("2028-11-30"), "{ran:?}");
}
