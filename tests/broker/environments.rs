//! An environment that is closed for everybody: who closes it, what ends with it, and that it never comes back.

use serde_json::{Value, json};

use crate::certificates::{self, enrolled};
use crate::elevation::{ask_as_workload, own_wish, refused, wish};
use crate::world::{Answer, World, get};

const DAY: i64 = 86_400;

async fn ask(world: &World, person: &str, confirm: &str) -> Answer {
    asked(world, person, "production", confirm).await
}

async fn asked(world: &World, person: &str, environment: &str, confirm: &str) -> Answer {
    let path = format!("/v1/environments/{environment}/close");
    world.admin_post(&path, person, &json!({"reason": "the platform is gone", "confirm": confirm})).await
}

/// The approvals to close an environment that wait.
async fn waiting(world: &World) -> Vec<Value> {
    let found = world.admin_get("/v1/approvals?state=pending&kind=environment", "alan").await;
    found["items"].as_array().expect("items").clone()
}

async fn vote(world: &World, approval: &Value, person: &str) -> Answer {
    let body = json!({"verdict": "approve", "reason": "seen", "version": approval["version"]});
    world.admin_post(&format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id")), person, &body).await
}

/// Closes an environment: `adam` asks, `olga` and `sven` approve.
pub async fn close(world: &World, environment: &str) {
    let asked = asked(world, "adam", environment, environment).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let waits = waiting(world).await;
    for person in ["olga", "sven"] {
        let answer = vote(world, &waits[0], person).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

async fn told(world: &World, environment: &str) -> String {
    let before = world.issued().await;
    let answer = world.exchange(environment, &world.assertion(environment), "orders:read").await;
    if answer.status == 200 {
        return "granted".to_owned();
    }
    assert_eq!((answer.status, world.issued().await), (400, before), "nothing is minted");
    answer.json()["reason"].as_str().expect("a reason").to_owned()
}

async fn state(world: &World) -> Vec<(Value, Value)> {
    let found = world.admin_get("/v1/environments", "alan").await;
    found["items"].as_array().expect("items").iter().map(|one| (one["id"].clone(), one["state"].clone())).collect()
}

/// Only an administrator asks, with the name once more; an owner and security approve; a denial leaves all as it is.
#[tokio::test]
async fn an_environment_is_closed_by_three_people() {
    let world = World::start().await;
    for person in ["ann", "sven", "alan"] {
        refused(&ask(&world, person, "production").await, 403, "staff.role");
    }
    let now = world.clock.seconds();
    let machine = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "robot", "aud": "carnet", "exp": now + 600, "iat": now, "auth_time": now,
        "groups": ["admins"], "client_id": "robot", "azp": "robot", "gty": "client-credentials",
    }));
    let bearer = format!("Bearer {machine}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = json!({"reason": "gone", "confirm": "production"}).to_string();
    let by_machine =
        crate::world::send(world.admin, "POST", "/v1/environments/production/close", &headers, body.as_bytes()).await;
    refused(&by_machine, 403, "staff.machine");
    for confirm in ["", "sandbox", "Production"] {
        let answer = ask(&world, "adam", confirm).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["at"]), (422, &json!("confirm")), "{}", answer.text());
    }
    assert_eq!(waiting(&world).await, Vec::<Value>::new());

    assert_eq!(ask(&world, "adam", "production").await.status, 202);
    let first = waiting(&world).await.remove(0);
    assert_eq!((&first["subject"], &first["slots"]), (&json!("production"), &json!(["owner", "security"])));
    // Whoever asks again replaces it, and does not decide it.
    assert_eq!(ask(&world, "adam", "production").await.status, 202);
    refused(&vote(&world, &first, "olga").await, 409, "approval.decided");
    let second = waiting(&world).await.remove(0);
    assert_eq!(vote(&world, &second, "olga").await.status, 200);
    refused(&vote(&world, &second, "ann").await, 403, "approval.slot");
    assert_eq!(told(&world, "production").await, "granted", "two of three people");
    assert_eq!(vote(&world, &second, "sven").await.status, 200);
    assert_eq!(told(&world, "production").await, "environment.closed");
    assert_eq!(state(&world).await, [(json!("production"), json!("closed")), (json!("sandbox"), json!("open"))]);
    assert_eq!(ask(&world, "adam", "production").await.status, 409);
}

/// P-18: no token, certificate or elevation from then on, what was issued is cut, and other environments go on.
#[tokio::test(flavor = "multi_thread")]
async fn p_18_a_closed_environment_gives_nothing_and_never_again() {
    let mut world = certificates::world().await;
    let machine = enrolled(&world, "production").await;
    let (token, other) = (world.minted().await, world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await);
    let other = other.json()["access_token"].as_str().expect("a token").to_owned();
    close(&world, "production").await;

    assert_eq!(told(&world, "production").await, "environment.closed");
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 403);
    refused(&world.admin_post("/v1/elevations", "ann", &wish("30m")).await, 409, "environment.closed");
    refused(&ask_as_workload(&world, &world.assertion("production"), &own_wish("30m")).await, 403, "environment.closed");
    let enrolment = json!({"integration": "globex/order-sync", "environment": "production", "reason": "new"});
    assert_eq!(world.admin_post("/v1/enrolments", "ann", &enrolment).await.status, 409);
    assert_eq!(told(&world, "sandbox").await, "granted");
    assert_eq!(world.introspect("sandbox", &other).await.json()["active"], true);

    let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    let closed = shown["effective"]["production"].clone();
    assert_eq!((&closed["state"], &closed["causes"][0]["reason"]), (&json!("refusing"), &json!("environment.closed")));
    assert!(closed["causes"][0]["since"].is_number() && closed["causes"][0].get("liftedBy").is_none(), "{closed}");
    let kinds = world.admin_get("/v1/journal?kind=environment.closed", "alan").await;
    assert_eq!(kinds["items"].as_array().map(Vec::len), Some(1), "{kinds}");

    // Keys, lists and introspection answer for 30 days, and not a day longer, also after a restart.
    for (days, status) in [(29, 200), (2, 410)] {
        world.advance(days * DAY).await;
        assert_eq!(get(world.public, "/production/jwks").await.status, status);
        assert_eq!(get(world.public, "/sandbox/jwks").await.status, 200);
        let introspected = world.introspect("production", &token).await;
        assert_eq!(introspected.status, status, "{}", introspected.text());
        let exchange = world.exchange("production", &world.assertion("production"), "orders:read").await;
        assert_eq!(exchange.status, if status == 200 { 400 } else { 410 });
        world.stop().await;
        world.boot().await;
    }
}

/// The configuration neither drops an environment that is open, nor brings one back, nor gives its issuer to another.
#[tokio::test]
async fn a_configuration_ends_no_environment_and_brings_none_back() {
    // Alone: several nodes start with the environments on record, whatever a file says.
    let mut world = World::in_file().await;
    let path = world.folder.path().join("carnet.toml");
    let usual = std::fs::read_to_string(&path).expect("a configuration");
    let (head, rest) = usual.split_once("[environments.production]").expect("production");
    let (section, tail) = rest.split_once("[listen]").expect("the rest");
    let without = format!("{head}[listen]{tail}");
    let renamed = format!("{head}[environments.live]{section}trust_domain = \"live.example\"\n[listen]{tail}");
    let moved = usual.replacen("/production\"", "/production2\"", 1);
    let boots = async |world: &mut World, text: &str| {
        world.stop().await;
        std::fs::write(&path, text).expect("written");
        world.try_boot().await.map_err(|fault| fault.to_string())
    };
    let told = boots(&mut world, &without).await.expect_err("production is open");
    assert!(told.contains("production is not configured any more"), "{told}");
    boots(&mut world, &usual).await.expect("as before");
    close(&world, "production").await;
    for (text, because) in [(&moved, "is closed and cannot be configured again"), (&renamed, "has the issuer of production")] {
        let told = boots(&mut world, text).await.expect_err("it comes back");
        assert!(told.contains(because), "{told}");
    }
    boots(&mut world, &usual).await.expect("it still answers");
    boots(&mut world, &without).await.expect("it is closed");
    assert_eq!(state(&world).await, [(json!("production"), json!("closed")), (json!("sandbox"), json!("open"))]);
    let told = boots(&mut world, &usual).await.expect_err("it comes back");
    assert!(told.contains("is closed and cannot be configured again"), "{told}");
    boots(&mut world, &without).await.expect("it is closed");
}
