//! Approvals on the wire: an approver is shown what would come into force or be undone, by whom, when and why, and the version that is
//! sent covers what was shown (docs/reference/admin-api.md; E-2, S-19).

use serde_json::{Value, json};
use sqlx::Row as _;

use crate::world::days::{VERIFIED_ON, VERIFIED_UNTIL};
use crate::world::{World, records};

/// Applies records as `ann`, with a reason.
async fn apply(world: &World, records: &str, why: &str) -> Value {
    let bearer = format!("Bearer {}", world.staff_token("ann"));
    let why = crate::world::client::escape(why);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml"), ("carnet-reason", why.as_str())];
    let answer = crate::world::send(world.admin, "POST", "/v1/records/apply", &headers, records.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The pending approval of a kind, as a list tells it.
async fn listed(world: &World, kind: &str) -> Value {
    let found = world.admin_get(&format!("/v1/approvals?state=pending&kind={kind}"), "sven").await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
    found["items"][0].clone()
}

/// The pending approval of a kind with all that is needed to decide.
pub async fn shown(world: &World, kind: &str) -> Value {
    let listed = listed(world, kind).await;
    let shown = world.admin_get(&format!("/v1/approvals/{}", listed["id"].as_str().expect("an id")), "sven").await;
    for member in ["id", "version", "state", "kind", "subject", "requestedBy", "reviews"] {
        assert_eq!(listed[member], shown[member], "{member}: {shown}");
    }
    shown
}

async fn review(world: &World, approval: &Value, person: &str, verdict: &str) -> crate::world::Answer {
    let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
    let body = json!({"verdict": verdict, "reason": "looked at", "version": approval["version"]});
    world.admin_post(&path, person, &body).await
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

fn partner() -> String {
    format!(
        r#"apiVersion: carnet/v1
kind: Partner
metadata: {{name: initech}}
legalName: Initech GmbH
domains: [initech.example]
contacts: {{technical: ops@initech.example, security: security@initech.example}}
verification: {{by: jane@acme.example, on: {VERIFIED_ON}, evidence: "commercial register", expires: {VERIFIED_UNTIL}}}
"#
    )
}

const API: &str = r#"apiVersion: carnet/v1
kind: Api
metadata: {name: stock-api}
owner: team:warehouse
audience: {production: https://stock.example}
token: {profile: rfc9068, alg: ES256, ttl: 5m}
scopes:
  stock:read: {meaning: See the stock, risk: low}
"#;

#[tokio::test]
async fn a_partner_and_an_api_are_shown_as_they_would_be_in_force() {
    let world = World::start().await;
    apply(&world, &(partner() + "---\n" + API), "MSA-3007 is signed").await;
    for (kind, wanted) in [
        (
            "partner",
            [
                "legalName: Initech GmbH",
                "by: \"jane@acme.example\"",
                "technical: \"ops@initech.example\"",
                "evidence: commercial register",
            ],
        ),
        ("api", ["owner: team:warehouse", "production: https://stock.example", "meaning: See the stock", "name: stock-api"]),
    ] {
        let shown = shown(&world, kind).await;
        let record = text(&shown, "record");
        for wanted in wanted {
            assert!(record.contains(wanted) || record.contains(&wanted.replace('"', "")), "{wanted}: {record}");
        }
        // It is the record: as it stands it can be applied again, and nothing changes.
        let again = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", record.to_owned()))).await;
        assert_eq!(again.json()["items"][0]["action"], "unchanged", "{}", again.text());
        let applied = &shown["applied"];
        assert_eq!((text(&applied["by"], "id"), text(applied, "reason")), ("ann", "MSA-3007 is signed"), "{shown}");
        assert_eq!(applied["at"], world.clock.seconds());
        assert!(shown["differences"].as_array().is_some_and(|all| all.iter().all(|one| one["from"].is_null())), "{shown}");
        assert_eq!(shown["barred"][0]["id"], "ann");
        // What is approved is what was shown.
        let mut other = shown.clone();
        other["version"] = json!("0".repeat(64));
        let refused = review(&world, &other, "sven", "approve").await;
        assert_eq!((refused.status, text(&refused.json(), "reason")), (412, "approval.version-seen"), "{}", refused.text());
        assert_eq!(review(&world, &shown, "sven", "approve").await.status, 200);
    }
}

/// An integration passes both slots; who looks second sees the first review, and what is still missing.
#[tokio::test]
async fn an_integration_is_shown_to_both_slots_with_who_applied_and_who_submitted() {
    let world = World::start().await;
    // Its partner is not verified yet, and one of its conditions looks like a mistake.
    let record = records::integration(&world.partner.issuer, "restock", "77").replace("partner: globex", "partner: initech");
    let record = record.replacen("repository_id: \"77\"", "repository_id: \"77\", event_name: Push", 1);
    apply(&world, &(partner() + "---\n" + &record), "MSA-3007 is signed").await;
    let why = json!({"reason": "the warehouse waits"});
    let submitted = world.admin_post("/v1/integrations/initech/restock/submit", "olga", &why).await;
    assert_eq!(submitted.status, 202, "{}", submitted.text());
    let first = shown(&world, "integration").await;
    let record = text(&first, "record");
    for wanted in ["purpose: Copies orders.", "jane@acme.example", "orders:write", "repository_id: \"77\"", "MSA-1"] {
        assert!(record.contains(wanted), "{wanted}: {record}");
    }
    assert_eq!((text(&first["applied"]["by"], "id"), text(&first["applied"], "reason")), ("ann", "MSA-3007 is signed"));
    assert_eq!((text(&first["submitted"]["by"], "id"), text(&first["submitted"], "reason")), ("olga", "the warehouse waits"));
    let barred: Vec<&str> = first["barred"].as_array().expect("a list").iter().map(|one| text(one, "id")).collect();
    assert_eq!(barred, ["olga", "ann"]);
    let differences = first["differences"].as_array().expect("a list");
    let widens = |one: &&Value| one["weight"] == "WIDENS";
    assert!(
        differences.iter().any(|one| widens(&one)) && differences.iter().all(|one| one["gains"].is_object() == widens(&one))
    );
    // Its contract ends in some years, which expires nothing soon.
    assert!(differences.iter().any(|one| one["at"] == "contract.ends" && one["weight"] == "neutral"), "{first}");
    assert_eq!(first["waitsFor"], json!(["partner.verification-expired"]), "{first}");
    // The warnings of plan, at lines of the record that is shown.
    let warning = first["warnings"].as_array().expect("a list").iter().find(|one| one["reason"] == "lint.letter-case");
    let warning = warning.unwrap_or_else(|| panic!("{}", first["warnings"]));
    let line: usize = text(warning, "at").split([':', ' ']).nth(1).and_then(|line| line.parse().ok()).expect("a line");
    assert!(record.lines().nth(line - 1).is_some_and(|line| line.contains("event_name")), "{warning}: {record}");

    assert_eq!(review(&world, &first, "sven", "approve").await.status, 200);
    let second = shown(&world, "integration").await;
    assert_eq!((&second["version"], &second["record"]), (&first["version"], &first["record"]));
    assert_eq!((text(&second["reviews"][0]["by"], "id"), &second["openSlots"]), ("sven", &json!(["owner"])));
}

#[tokio::test]
async fn a_held_change_is_shown_with_its_differences_and_their_weight() {
    let world = World::start().await;
    let changed = records::integration(&world.partner.issuer, "order-sync", "456789")
        .replace("        - scope: orders:list\n", "        - scope: orders:list\n        - scope: orders:write\n")
        .replace("max: 1h", "max: 30m")
        .replace("application: raj@acme.example", "application: mary@acme.example");
    apply(&world, &changed, "orders are to be corrected").await;
    let shown = shown(&world, "change").await;
    assert!(text(&shown, "record").contains("mary@acme.example"), "{shown}");
    let of = |weight: &str| {
        let all = shown["differences"].as_array().expect("a list").iter().filter(|one| one["weight"] == weight);
        all.cloned().collect::<Vec<_>>()
    };
    let scope = json!("environments.production.scopes.orders-api.orders:write");
    assert!(of("WIDENS").iter().any(|one| one["at"] == scope && one["to"] == "the whole API"), "{shown}");
    assert!(of("narrows").iter().any(|one| one["from"] == "1h" && one["to"] == "30m"), "{shown}");
    let owner = shown["differences"].as_array().expect("a list").iter().find(|one| one["at"] == "owners.application");
    let owner = owner.unwrap_or_else(|| panic!("{shown}"));
    assert_eq!((&owner["from"], &owner["to"]), (&json!("raj@acme.example"), &json!("mary@acme.example")));
    // A newer version replaces it: what was shown cannot be approved any more.
    apply(&world, &changed.replace("mary@", "marc@"), "another owner").await;
    let late = review(&world, &shown, "sven", "approve").await;
    assert_eq!((late.status, text(&late.json(), "reason")), (409, "approval.decided"), "{}", late.text());
    let newer = self::shown(&world, "change").await;
    assert!(newer["version"] != shown["version"] && text(&newer, "record").contains("marc@acme.example"));
    let mut mixed = newer.clone();
    mixed["version"] = shown["version"].clone();
    assert_eq!(review(&world, &mixed, "sven", "approve").await.status, 412);
    // Approved, it is still shown, and compared with nothing any more.
    for person in ["olga", "sven"] {
        assert_eq!(review(&world, &newer, person, "approve").await.status, 200);
    }
    let done = world.admin_get(&format!("/v1/approvals/{}", text(&newer, "id")), "alan").await;
    assert_eq!((&done["state"], &done["record"], &done["differences"]), (&json!("approved"), &newer["record"], &Value::Null));
}

#[tokio::test]
async fn a_resume_is_shown_with_what_was_stopped_by_whom_when_and_why() {
    let world = World::start().await;
    for (path, subject) in [("partners/globex", "globex"), ("integrations/globex/order-sync", "globex/order-sync")] {
        let act = async |verb: &str, person: &str, why: &str| {
            world.admin_post(&format!("/v1/{path}/{verb}"), person, &json!({"reason": why})).await.status
        };
        let stop = async |why: &str| act("suspend", "sven", why).await;
        let ask = async |why: &str| act("resume", "olga", why).await;
        assert_eq!(stop("odd calls at night").await, 201);
        let stopped_at = world.clock.seconds();
        world.advance(60).await;
        assert_eq!(ask("explained by Globex").await, 201);
        let first = shown(&world, "resume").await;
        let stopped = &first["stopped"];
        assert_eq!((text(&first, "subject"), text(stopped, "subject"), text(stopped, "how")), (subject, subject, "suspension"));
        assert_eq!((text(&stopped["by"], "id"), text(stopped, "reason")), ("sven", "odd calls at night"), "{first}");
        assert_eq!((&stopped["at"], &first["asked"]), (&json!(stopped_at), &json!(world.clock.seconds())));
        assert_eq!((text(&first["requestedBy"], "id"), text(&first, "reason")), ("olga", "explained by Globex"));
        if subject != "globex" {
            assert_eq!(text(&first["integration"], "purpose"), "Copies orders.");
        }
        let own = review(&world, &first, "sven", "approve").await;
        assert_eq!((own.status, text(&own.json(), "reason")), (409, "approval.own-request"));
        assert_eq!(review(&world, &first, "sara", "approve").await.status, 200);
        // Stopped once more for another reason: another version, and the old one approves nothing of it.
        assert_eq!(stop("a stolen key").await, 201);
        assert_eq!(ask("the key is replaced").await, 201);
        let second = shown(&world, "resume").await;
        assert_eq!(text(&second["stopped"], "reason"), "a stolen key");
        assert_ne!(first["version"], second["version"]);
        let mut mixed = second.clone();
        mixed["version"] = first["version"].clone();
        assert_eq!(review(&world, &mixed, "sara", "approve").await.status, 412);
        assert_eq!(review(&world, &second, "sara", "approve").await.status, 200);
        // And once more in the same second: it is the suspension that counts, not its time.
        assert_eq!(stop("another key").await, 201);
        assert_eq!(ask("that one as well").await, 201);
        let third = shown(&world, "resume").await;
        assert_eq!(third["stopped"]["at"], second["stopped"]["at"]);
        assert_ne!(third["version"], second["version"]);
        assert_eq!(review(&world, &third, "sara", "approve").await.status, 200);
        // What was stopped is told of the decided one, too.
        let done = world.admin_get(&format!("/v1/approvals/{}", text(&first, "id")), "alan").await;
        assert_eq!((&done["state"], &done["stopped"]), (&json!("approved"), &first["stopped"]));
    }
}

#[tokio::test]
async fn a_lift_names_what_was_revoked_and_no_id() {
    let world = World::start().await;
    let body = json!({"binding": "globex/order-sync/production/ci-main", "reason": "repository taken over"});
    let revoked = world.admin_post("/v1/revocations", "sven", &body).await.json();
    let lift = format!("/v1/revocations/{}/lift", text(&revoked, "id"));
    assert_eq!(world.admin_post(&lift, "sven", &json!({"reason": "recovered"})).await.status, 202);
    let first = shown(&world, "lift").await;
    let subject = "binding:globex/order-sync/production/ci-main";
    assert_eq!((text(&first, "subject"), text(&first["stopped"], "subject")), (subject, subject), "{first}");
    assert_eq!((text(&first["stopped"]["by"], "id"), text(&first["stopped"], "reason")), ("sven", "repository taken over"));
    assert_eq!((text(&first["requestedBy"], "id"), text(&first, "reason")), ("sven", "recovered"));
    let found = world.admin_get(&format!("/v1/approvals?subject={subject}"), "alan").await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "a list is filtered by what it shows: {found}");
    // Another revocation of the same thing is another version.
    let again = world.admin_post("/v1/revocations", "sven", &body).await.json();
    assert_eq!(review(&world, &first, "sara", "approve").await.status, 200);
    let lift = format!("/v1/revocations/{}/lift", text(&again, "id"));
    assert_eq!(world.admin_post(&lift, "sven", &json!({"reason": "recovered"})).await.status, 202);
    assert_ne!(shown(&world, "lift").await["version"], first["version"]);
}

#[tokio::test]
async fn an_enrolment_names_the_machine_its_integration_and_environment() {
    let world = World::start().await;
    let body = json!({"integration": "globex/order-sync", "environment": "production", "reason": "a new machine"});
    let asked = world.admin_post("/v1/enrolments", "olga", &body).await;
    assert!(asked.status < 300, "{}", asked.text());
    let shown = shown(&world, "enrolment").await;
    let enrolment = &shown["enrolment"];
    assert_eq!((text(enrolment, "integration"), text(enrolment, "environment")), ("globex/order-sync", "production"));
    assert!(text(enrolment, "spiffeId").ends_with("/globex/order-sync"), "{shown}");
    assert_eq!((text(&shown["requestedBy"], "id"), text(&shown, "reason")), ("olga", "a new machine"));
    assert_eq!(text(&shown["integration"], "purpose"), "Copies orders.");
    let token = asked.json()["token"].as_str().expect("a token").to_owned();
    let secret = token.split('.').nth(1).expect("a secret");
    assert!(!shown.to_string().contains(secret), "what enrols is shown to nobody but who asked");
}

#[tokio::test]
async fn an_elevation_is_shown_among_the_approvals_with_its_briefing() {
    let world = World::start().await;
    let body = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": "order 1001 is stuck", "ticket": "INC-7",
    });
    let asked = world.admin_post("/v1/elevations", "olga", &body).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let shown = shown(&world, "elevation").await;
    assert_eq!(shown["briefing"]["asked"][0]["meaning"], "Change orders", "{shown}");
    assert_eq!((text(&shown["briefing"], "purpose"), text(&shown, "reason")), ("Copies orders.", "order 1001 is stuck"));
    assert_eq!((text(&shown, "state"), &shown["openSlots"]), ("pending", &json!(["security"])));
    assert!(shown["briefing"]["usual"]["tokensByDay"].is_array());
}

/// S-19: a page reads the texts of what it shows, and no others: one that cannot be read harms only the page that it is on.
#[tokio::test]
async fn s_19_a_page_of_one_unseals_the_texts_of_one() {
    let world = World::in_file().await;
    for name in ["one", "two", "three"] {
        let partner =
            partner().replace("name: initech", &format!("name: {name}")).replace("initech.example", &format!("{name}.example"));
        apply(&world, &partner, &format!("because of {name}")).await;
        let cut = json!({"environment": "globex/order-sync/sandbox", "reason": format!("cut {name}")});
        assert_eq!(world.admin_post("/v1/revocations", "sven", &cut).await.status, 201);
    }
    let path = format!("sqlite://{}/journal.db", world.folder.path().display());
    let mut database = <sqlx::SqliteConnection as sqlx::Connection>::connect(&path).await.expect("opens");
    for list in ["/v1/approvals?state=pending", "/v1/revocations?state=standing"] {
        let all = world.admin_get(list, "alan").await;
        let all = all["items"].as_array().expect("items");
        assert_eq!(all.len(), 3);
        let reason = text(&all[2], "reason");
        let kept = sqlx::query("SELECT salt FROM texts WHERE text = ?").bind(reason);
        let kept: Vec<u8> = kept.fetch_one(&mut database).await.expect("read").get(0);
        let salt = async |database: &mut sqlx::SqliteConnection, salt: &[u8]| {
            let written = sqlx::query("UPDATE texts SET salt = ? WHERE text = ?").bind(salt.to_vec()).bind(reason.to_owned());
            assert_eq!(written.execute(database).await.expect("written").rows_affected(), 1);
        };
        salt(&mut database, b"short").await;
        let page = world.admin_get(&format!("{list}&limit=2"), "alan").await;
        let reasons: Vec<&Value> = page["items"].as_array().expect("items").iter().map(|one| &one["reason"]).collect();
        assert_eq!(reasons, [&all[0]["reason"], &all[1]["reason"]]);
        assert_eq!(world.admin_send("GET", list, "alan", None).await.status, 503, "{list}: it is read where it is shown");
        salt(&mut database, &kept).await;
    }
}

/// What people had forgotten is shown as forgotten: by a list, in the record and among the differences.
#[tokio::test]
async fn an_erased_text_is_shown_as_erased() {
    let mut world = World::in_file().await;
    let changed = records::integration(&world.partner.issuer, "order-sync", "456789")
        .replace("application: raj@acme.example", "application: mary@acme.example")
        .replace("max: 1h", "max: 2h");
    apply(&world, &changed, "somebody else").await;
    let before = shown(&world, "change").await;
    world.stop().await;
    let path = format!("sqlite://{}/journal.db", world.folder.path().display());
    let mut database = <sqlx::SqliteConnection as sqlx::Connection>::connect(&path).await.expect("opens");
    let gone = sqlx::query("DELETE FROM texts WHERE text IN ('mary@acme.example', 'raj@acme.example', 'somebody else')");
    assert!(gone.execute(&mut database).await.expect("deleted").rows_affected() >= 3);
    drop(database);
    world.boot().await;
    world.advance(0).await;
    let after = shown(&world, "change").await;
    assert_eq!(after["version"], before["version"]);
    let told = after.to_string();
    assert!(!told.contains("mary@") && !told.contains("raj@") && !told.contains("text:"), "{told}");
    assert!(text(&after, "record").contains("application: \"[erased]\""), "{}", after["record"]);
    assert_eq!((text(&after["applied"], "reason"), text(&after, "reason")), ("[erased]", "[erased]"));
    let owner = after["differences"].as_array().expect("a list").iter().find(|one| one["at"] == "owners.application");
    assert_eq!(owner.map(|one| (&one["from"], &one["to"])), Some((&json!("[erased]"), &json!("[erased]"))), "{after}");
    assert_eq!(after["warnings"], before["warnings"], "a text that is gone is no fault of the record");
}
