//! Reviews of access: silence refuses, an owner decides, security agrees to high risk, and nothing widens (docs/how-to/govern/reviews.md).

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::world::days::Day;
use crate::world::{Answer, World, records};

const DAY: i64 = 86_400;
const INTEGRATION: &str = "/v1/integrations/globex/order-sync";

async fn listed(world: &World) -> Vec<Value> {
    world.admin_get("/v1/reviews", "alan").await["items"].as_array().expect("items").clone()
}

/// The card of the review that is open in an environment, as `person` sees it.
async fn card(world: &World, environment: &str, person: &str) -> Value {
    let open = listed(world).await.into_iter().find(|one| one["environment"] == environment && one["state"] != "completed");
    let id = open.unwrap_or_else(|| panic!("no review of {environment} is open"))["id"].clone();
    world.admin_get(&format!("/v1/reviews/{}", id.as_str().expect("an id")), person).await
}

fn item(scope: &str, decision: &str) -> Value {
    json!({"api": "orders-api", "scope": scope, "decision": decision})
}

fn because(mut item: Value, reason: &str) -> Value {
    item["reason"] = json!(reason);
    item
}

async fn decide(world: &World, card: &Value, person: &str, items: &[Value]) -> Answer {
    let path = format!("/v1/reviews/{}/decisions", card["id"].as_str().expect("an id"));
    let body = json!({"version": card["version"], "items": items, "reason": "asked the team"});
    world.admin_post(&path, person, &body).await
}

/// Completes every open review: all that is there is still needed.
pub async fn keep_everything(world: &World) {
    for one in listed(world).await.iter().filter(|one| one["state"] != "completed") {
        let path = format!("/v1/reviews/{}", one["id"].as_str().expect("an id"));
        for (person, is_first) in [("omar", true), ("sara", false)] {
            let card = world.admin_get(&path, person).await;
            if card["state"] == "completed" {
                break;
            }
            let asked = card["items"].as_array().expect("items").iter().filter(|item| is_first || item["risk"] == "high");
            let keep = |one: &Value| because(item(one["scope"].as_str().expect("a scope"), "keep"), "it is needed");
            let items: Vec<Value> = asked.map(keep).collect();
            let answer = decide(world, &card, person, &items).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

async fn told(world: &World, environment: &str, scope: &str) -> String {
    let before = world.issued().await;
    let answer = world.exchange(environment, &world.assertion(environment), scope).await;
    if answer.status == 200 {
        return "granted".to_owned();
    }
    assert_eq!((answer.status, world.issued().await), (400, before), "nothing is minted");
    answer.json()["reason"].as_str().expect("a reason").to_owned()
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["reason"].as_str().unwrap_or_default().to_owned())
}

async fn entries(world: &World, kind: &str) -> Vec<Value> {
    let found = world.admin_get(&format!("/v1/journal?kind={kind}&limit=1000"), "alan").await;
    found["items"].as_array().expect("items").clone()
}

/// The regular review opens 30 days before its due date. Nobody answers: nothing is issued from then on, nothing lives past it, and `effective`
/// says why. One environment's review says nothing about its neighbour.
#[tokio::test]
async fn a_review_opens_in_time_and_its_silence_refuses() {
    let world = World::start().await;
    let activated = entries(&world, "integration.activated").await[0]["time"].as_i64().expect("a time");
    world.advance(59 * DAY).await;
    assert_eq!(listed(&world).await, [] as [Value; 0]);
    world.advance(2 * DAY).await;
    let open = listed(&world).await;
    assert_eq!(open.len(), 2, "{open:?}");
    for one in &open {
        assert_eq!((&one["state"], &one["cause"]), (&json!("open"), &json!("schedule")), "{one}");
        let due = activated + 90 * DAY;
        assert_eq!((&one["due"], &one["refusesFrom"]), (&json!(due), &json!(due)), "{one}");
        assert_eq!(one["opened"], due - 30 * DAY);
    }
    let due = activated + 90 * DAY;
    world.advance(due - 60 - world.clock.seconds()).await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    assert!(crate::world::claims(&token)["exp"].as_i64().expect("exp") <= due, "no life passes a known end");
    world.advance(due - world.clock.seconds()).await;
    assert_eq!(told(&world, "production", "orders:read").await, "review.overdue");
    assert!(!world.introspect("production", &token).await.json()["active"].as_bool().expect("active"));
    let effective = world.admin_get(INTEGRATION, "alan").await["effective"]["production"].clone();
    assert_eq!(
        effective["causes"][0],
        json!({"reason": "review.overdue", "since": due, "liftedBy": {"action": "review", "role": "owner"}}),
        "{effective}"
    );
    let late = card(&world, "production", "omar").await;
    assert_eq!((&late["state"], &late["needs"]), (&json!("lapsed"), &json!([{"role": "owner", "count": 1}])), "{late}");
    let items = [item("orders:read", "keep"), item("orders:list", "keep")];
    let done = decide(&world, &late, "omar", &items).await;
    assert_eq!((done.status, &done.json()["state"]), (200, &json!("completed")), "{}", done.text());
    assert_eq!(told(&world, "production", "orders:read").await, "granted");
    assert_eq!(told(&world, "sandbox", "orders:read").await, "review.overdue", "its neighbour is its own");
    let past = world.admin_get(&format!("/v1/reviews/{}", late["id"].as_str().expect("an id")), "alan").await;
    assert_eq!((&past["state"], &past["decisions"][0]["by"]["id"]), (&json!("completed"), &json!("omar")), "{past}");
    assert_eq!(refused(&decide(&world, &late, "omar", &items).await), (409, "review.not-open".to_owned()));
}

/// Who may decide, in which words, and that every item is decided on. Nothing that is refused is on record.
#[tokio::test]
async fn only_another_owner_decides_and_on_every_scope() {
    let world = World::start().await;
    world.advance(61 * DAY).await;
    let seen = card(&world, "sandbox", "omar").await;
    assert_eq!(seen["needs"], json!([{"role": "owner", "count": 1}, {"role": "security", "count": 1}]), "{seen}");
    let keep = [item("orders:read", "keep"), because(item("orders:write", "keep"), "the warehouse ships with it")];
    for (person, expected) in [
        ("ann", (409, "review.own-version")),
        ("olga", (409, "review.own-version")),
        ("sven", (403, "review.role")),
        ("adam", (403, "staff.role")),
        ("alan", (403, "staff.role")),
    ] {
        let (status, reason) = refused(&decide(&world, &seen, person, &keep).await);
        assert_eq!((status, reason.as_str()), expected, "{person}");
    }
    let mut other = seen.clone();
    other["version"] = json!("0".repeat(64));
    assert_eq!(refused(&decide(&world, &other, "omar", &keep).await), (412, "review.version-seen".to_owned()));
    let write = |decision: &str| because(item("orders:write", decision), "why");
    let with = |mut item: Value, allow: Value| {
        item["allow"] = allow;
        item
    };
    let unsound = [
        (vec![item("orders:read", "keep")], "expected a decision on orders:write of orders-api"),
        (vec![item("orders:read", "keep"), item("orders:write", "keep")], "expected a reason, because orders:write"),
        (vec![item("orders:read", "keep"), item("orders:read", "keep"), write("keep")], "expected one decision on orders:read"),
        (vec![item("orders:read", "keep"), write("keep"), item("orders:list", "keep")], "expected a scope of this review"),
        (vec![item("orders:read", "narrow"), write("keep")], "expected the endpoints that are left"),
        (
            vec![with(item("orders:read", "keep"), json!(["GET /v1/orders"])), write("keep")],
            "expected none, because it is no narrow",
        ),
    ];
    for (items, message) in unsound {
        let answer = decide(&world, &seen, "omar", &items).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().contains(message), "{message}: {}", answer.text());
    }
    assert_eq!(entries(&world, "review.decided").await.len(), 0, "nothing is on record");

    // High risk that stays takes a second person. The first word alone completes nothing.
    let first = decide(&world, &seen, "omar", &keep).await;
    assert_eq!((first.status, &first.json()["state"], &first.json()["version"]), (200, &json!("open"), &Value::Null));
    let waiting = card(&world, "sandbox", "sven").await;
    assert_eq!(waiting["needs"], json!([{"role": "security", "count": 1}]), "{waiting}");
    assert_eq!(refused(&decide(&world, &waiting, "omar", &[write("keep")]).await), (403, "review.role".to_owned()));
    assert_eq!(decide(&world, &waiting, "sven", &keep).await.status, 422, "those items alone");
    assert_eq!(decide(&world, &waiting, "sven", &[item("orders:write", "keep")]).await.status, 422, "a reason");
    let second = decide(&world, &waiting, "sven", &[write("elevation")]).await;
    assert_eq!((second.status, &second.json()["state"]), (200, &json!("completed")), "{}", second.text());
    assert_eq!(told(&world, "sandbox", "orders:write").await, "scope.needs-elevation");
    assert_eq!(told(&world, "sandbox", "orders:read").await, "granted");
    let decided = entries(&world, "review.decided").await;
    let of = |at: usize, name: &str| decided[at][name].clone();
    assert_eq!((of(0, "word"), of(1, "word"), of(1, "completes")), (json!("first"), json!("second"), json!(true)));
    assert_eq!(of(0, "seen").as_str().expect("a digest").len(), 64);
    assert!(of(0, "viewed").is_i64(), "{}", decided[0]);
    let completed = entries(&world, "review.completed").await;
    let version = world.admin_get(INTEGRATION, "alan").await["version"].clone();
    assert_eq!((completed.len(), &completed[0]["version"]), (1, &version), "{completed:?}");
}

/// What narrows is in force with the first word: what was issued and is not granted any more is cut, the rest lives.
#[tokio::test]
async fn what_a_review_takes_away_is_cut_at_once() {
    let world = World::start().await;
    world.advance(61 * DAY).await;
    let token = async |scope: &str| {
        let answer = world.exchange("production", &world.assertion("production"), scope).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    };
    let (read, list) = (token("orders:read").await, token("orders:list").await);
    let seen = card(&world, "production", "omar").await;
    let mut narrow = item("orders:read", "narrow");
    for (allow, status) in [
        (json!(["DELETE /v1/orders"]), 422),
        (json!(["GET /v1/orders", "GET /v1/orders/{id}"]), 422),
        (json!(["GET /v1/orders"]), 200),
    ] {
        narrow["allow"] = allow;
        let answer = decide(&world, &seen, "omar", &[narrow.clone(), item("orders:list", "keep")]).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let active = async |token: &str| {
        let mut active = true;
        for _ in 0..40 {
            active = world.introspect("production", token).await.json()["active"].as_bool().expect("active");
            if !active {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        active
    };
    assert!(!active(&read).await, "it had more endpoints");
    assert!(world.introspect("production", &list).await.json()["active"].as_bool().expect("active"));
    let record = world.admin_get(INTEGRATION, "alan").await["record"].clone();
    assert_eq!(record["environments"]["production"]["scopes"]["orders-api"][0]["allow"], json!(["GET /v1/orders"]));
    assert_eq!(world.admin_get(INTEGRATION, "alan").await["state"], "active");

    // The file in Git is behind now: `drift` names the review, and to apply it again is a widening like any other.
    let old = records::usual(&world.partner.issuer);
    let told = world.admin_send("POST", "/v1/records/drift", "alan", Some(("application/yaml", old.clone()))).await.json();
    let cause = &told["items"][0]["causes"][0];
    assert_eq!((&cause["what"], &cause["id"], &cause["by"]["id"]), (&json!("reviewed"), &seen["id"], &json!("omar")), "{told}");
    let plan = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", old))).await.json();
    let items = plan["items"].as_array().expect("items");
    let held = items.iter().find(|item| item["kind"] == "Integration").expect("one");
    assert_eq!(held["action"], "hold", "{plan}");
}

/// An environment that is left without scopes leaves the record. A change that waits is withdrawn, and the answer says so.
#[tokio::test]
async fn an_environment_without_scopes_leaves_and_a_waiting_change_is_withdrawn() {
    let world = World::start().await;
    world.advance(61 * DAY).await;
    let more = records::usual(&world.partner.issuer).replace("purpose: Copies orders.", "purpose: Copies all orders.");
    let plan = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", more))).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    let waiting = world.admin_get("/v1/approvals?state=pending&kind=change", "alan").await["items"][0]["id"].clone();
    let seen = card(&world, "sandbox", "omar").await;
    let done = decide(&world, &seen, "omar", &[item("orders:read", "remove"), item("orders:write", "remove")]).await;
    assert_eq!((done.status, &done.json()["withdrew"]), (200, &waiting), "{}", done.text());
    let shown = world.admin_get(&format!("/v1/approvals/{}", waiting.as_str().expect("an id")), "alan").await;
    assert_eq!(shown["state"], "withdrawn");
    let record = world.admin_get(INTEGRATION, "alan").await["record"].clone();
    assert!(record["environments"]["sandbox"].is_null(), "{record}");
    assert_eq!(told(&world, "production", "orders:read").await, "granted");
    let before = world.issued().await;
    assert_eq!(world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await.status, 400);
    assert_eq!(world.issued().await, before, "nothing is minted");
    assert!(listed(&world).await.iter().all(|one| one["environment"] != "sandbox" || one["state"] == "completed"));
}

fn campaign(due: i64, silence: &str, select: &Value) -> Value {
    json!({"select": select, "due": Day(due).to_string(), "onSilence": silence, "reason": "after the incident"})
}

/// Security starts a campaign; one whose silence suspends takes a second person of security. It never weakens the record's own silence.
#[tokio::test]
async fn a_campaign_opens_reviews_early_and_its_silence_suspends_what_it_covers() {
    let world = World::start().await;
    let all = json!({"all": true});
    for (body, status) in [
        (campaign(5, "report", &all), 422),
        (campaign(92, "report", &all), 422),
        (campaign(20, "report", &json!({})), 422),
        (campaign(20, "report", &json!({"all": true, "risk": "high"})), 422),
        (campaign(20, "report", &json!({"partner": "initech"})), 404),
        (campaign(20, "forget", &all), 422),
    ] {
        assert_eq!(world.admin_post("/v1/reviews", "sven", &body).await.status, status, "{body}");
    }
    for person in ["ann", "adam", "alan"] {
        assert_eq!(world.admin_post("/v1/reviews", person, &campaign(20, "report", &all)).await.status, 403, "{person}");
    }
    assert_eq!(listed(&world).await.len(), 0);

    let asked = world.admin_post("/v1/reviews", "sven", &campaign(20, "suspend", &json!({"risk": "high"}))).await;
    assert_eq!((asked.status, &asked.json()["covers"]), (202, &json!(2)), "{}", asked.text());
    let approval =
        world.admin_get(&format!("/v1/approvals/{}", asked.json()["approval"].as_str().expect("an id")), "alan").await;
    assert_eq!((&approval["kind"], &approval["campaign"]["onSilence"]), (&json!("review"), &json!("suspend")), "{approval}");
    let vote = async |person: &str| {
        let body = json!({"verdict": "approve", "reason": "seen", "version": approval["version"]});
        let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
        world.admin_post(&path, person, &body).await.status
    };
    assert_eq!((vote("sven").await, vote("olga").await, listed(&world).await.len()), (409, 403, 0));
    assert_eq!(vote("sara").await, 200);
    let open = listed(&world).await;
    assert!(open.len() == 2 && open.iter().all(|one| one["cause"] == "campaign"), "{open:?}");
    let seen = card(&world, "production", "omar").await;
    let items = [item("orders:read", "keep"), item("orders:list", "remove")];
    assert_eq!(decide(&world, &seen, "omar", &items).await.status, 200);
    world.advance(21 * DAY).await;
    assert_eq!(told(&world, "production", "orders:read").await, "granted", "it was reviewed");
    assert_eq!(told(&world, "sandbox", "orders:read").await, "review.overdue");
}

/// A version that extends the contract waits for a review in each environment, whoever approved it; the review opens for it.
#[tokio::test]
async fn an_extension_waits_for_reviews() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let longer = usual.replace(&crate::world::days::CONTRACT_ENDS.to_string(), &Day(1500).to_string());
    assert_ne!(usual, longer);
    let plan = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", longer))).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    assert!(plan.text().contains("review.missing"), "{}", plan.text());
    let before = world.admin_get(INTEGRATION, "alan").await["contract"]["ends"].clone();
    let id = world.admin_get("/v1/approvals?state=pending&kind=change", "alan").await["items"][0]["id"].clone();
    let shown = world.admin_get(&format!("/v1/approvals/{}", id.as_str().expect("an id")), "alan").await;
    assert_eq!(shown["waitsFor"], json!(["review"]), "{shown}");
    let needed = shown["reviewsNeeded"].as_array().expect("reviews").clone();
    assert_eq!((needed.len(), &needed[0]["reason"]), (2, &json!("review.missing")), "{shown}");
    world.approve_all().await;
    assert_eq!(world.admin_get(INTEGRATION, "alan").await["contract"]["ends"], before, "approved, and still waiting");
    let open = listed(&world).await;
    assert!(open.len() == 2 && open.iter().all(|one| one["cause"] == "contract-ending"), "{open:?}");
    let seen = card(&world, "production", "omar").await;
    assert_eq!(decide(&world, &seen, "omar", &[item("orders:read", "keep"), item("orders:list", "keep")]).await.status, 200);
    assert_eq!(world.admin_get(INTEGRATION, "alan").await["contract"]["ends"], before);
    let seen = card(&world, "sandbox", "omar").await;
    let keep = [item("orders:read", "keep"), because(item("orders:write", "keep"), "it ships")];
    assert_eq!(decide(&world, &seen, "omar", &keep).await.status, 200);
    let seen = card(&world, "sandbox", "sara").await;
    assert_eq!(decide(&world, &seen, "sara", &keep[1..]).await.status, 200);
    assert_ne!(world.admin_get(INTEGRATION, "alan").await["contract"]["ends"], before, "now it is in force");
}

/// A revocation opens the reviews of what it is about. Figures are for auditors and security; a report numbers people unless asked for names.
#[tokio::test]
async fn an_incident_opens_reviews_and_reviewers_are_told_to_few() {
    let world = World::start().await;
    let revoke = json!({"binding": "globex/order-sync/production/ci-main", "reason": "a leak", "tokensOnly": true});
    let answer = world.admin_post("/v1/revocations", "sven", &revoke).await;
    assert!(answer.status < 300, "{}", answer.text());
    let open = listed(&world).await;
    assert!(open.len() == 1 && open[0]["cause"] == "incident" && open[0]["environment"] == "production", "{open:?}");
    let seen = card(&world, "production", "omar").await;
    world.advance(7).await;
    assert_eq!(decide(&world, &seen, "omar", &[item("orders:read", "keep"), item("orders:list", "remove")]).await.status, 200);
    for (person, status) in [("ann", 403), ("adam", 403), ("alan", 200), ("sven", 200)] {
        let answer = world.admin_send("GET", "/v1/reviews/figures", person, None).await;
        assert_eq!(answer.status, status, "{person}");
    }
    let figures = world.admin_get("/v1/reviews/figures", "alan").await;
    let one = &figures["reviewers"][0];
    assert_eq!((&one["by"]["id"], &one["reviews"], &one["medianSeconds"]), (&json!("omar"), &json!(1), &json!(7)), "{figures}");
    assert_eq!((&one["shareKept"], &one["flagged"]), (&json!(0.0), &json!(false)), "{figures}");
    let report = world.admin_get("/v1/reviews/report", "alan").await;
    assert_eq!(report["population"], json!({"environments": 2, "reviewed": 1, "open": 0, "lapsed": 0}), "{report}");
    assert_eq!(report["reviews"][0]["decisions"][0]["by"], json!("reviewer 1"), "{report}");
    assert!(!report.to_string().contains("omar"), "{report}");
    let report = world.admin_get("/v1/reviews/report?names=true", "alan").await;
    assert_eq!(report["reviews"][0]["decisions"][0]["by"]["id"], json!("omar"), "{report}");
    let page = Program::of(&world, "alan").run(&["review", "report", "-o", "html"]).await.ended(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    assert!(page.contains("reviewer 1") && page.contains("orders:list") && !page.contains("omar"), "{page}");
    let refused = Program::of(&world, "alan").run(&["review", "list", "-o", "html"]).await.ended(2);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("-o html for review report"), "{refused:?}");
}
