//! A narrower record from what was issued: on the wire, at the command line, and applied as it stands.

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::world::{World, records};

const DAY: i64 = 86_400;

async fn exchange(world: &World, repository: &str, scope: &str) -> crate::world::Answer {
    let mut claims = world.claims("sandbox");
    claims["repository_id"] = json!(repository);
    world.exchange("sandbox", &world.partner.sign(&claims), scope).await
}

async fn granted(world: &World, repository: &str, scope: &str) {
    let answer = exchange(world, repository, scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn suggestion(world: &World, name: &str) -> Value {
    world.admin_get(&format!("/v1/integrations/globex/{name}/suggestion"), "alan").await
}

/// Environment, scope or binding, suggestion.
fn parts(told: &Value) -> Vec<(String, String, String)> {
    let text = |part: &Value, name: &str| part[name].as_str().unwrap_or_default().to_owned();
    let all = told["parts"].as_array().expect("parts").iter();
    all.map(|part| {
        let what = ["scope", "binding", "api", "what"].into_iter().map(|name| text(part, name)).find(|text| !text.is_empty());
        (text(part, "environment"), what.unwrap_or_default(), text(part, "suggestion"))
    })
    .collect()
}

#[tokio::test]
async fn a_narrower_record_is_what_was_issued_and_applies_at_once() {
    let world = World::start().await;
    let quiet = |text: String| text.replace("onSilence: suspend", "onSilence: report");
    let one = |name: &str, repository: &str| quiet(records::integration(&world.partner.issuer, name, repository));
    let usual = quiet(records::usual(&world.partner.issuer));
    world.onboard(&[usual, one("second", "77"), one("third", "78")].join("---\n")).await;
    granted(&world, "78", "orders:write").await;
    let young = suggestion(&world, "order-sync").await;
    assert!(parts(&young).iter().all(|(_, _, says)| says == "keep"), "{young:#}");
    assert_eq!((&young["differences"], &young["applies"]), (&json!([]), &json!(true)), "{young:#}");
    world.advance(95 * DAY).await;
    granted(&world, "456789", "orders:read").await;
    granted(&world, "77", "orders:read orders:write").await;
    granted(&world, "78", "orders:read").await;
    world.running.as_ref().expect("runs").broker.count_uses().await.expect("counts");

    let told = suggestion(&world, "order-sync").await;
    let expected = [
        ("production", "environment", "remove"),
        ("sandbox", "environment", "keep"),
        ("sandbox", "orders-api", "keep"),
        ("sandbox", "orders:read", "keep"),
        ("sandbox", "orders:write", "remove"),
        ("sandbox", "ci", "keep"),
    ];
    assert_eq!(parts(&told), expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())), "{told:#}");
    assert!(told["differences"].as_array().is_some_and(|all| !all.is_empty()), "{told:#}");
    let widens = told["differences"].as_array().into_iter().flatten().any(|one| one["weight"] == "widens");
    assert!(!widens, "{told:#}");
    // A client that asks for everything each time: nobody can say, and it stays.
    let second = suggestion(&world, "second").await;
    let unknown: Vec<_> =
        parts(&second).into_iter().filter(|(_, _, says)| says == "unknown").map(|(_, what, _)| what).collect();
    assert_eq!(unknown, ["orders:read", "orders:write"], "{second:#}");
    let because = second["parts"].as_array().expect("parts").iter().filter(|part| part["scope"].is_string());
    let says = |part: &Value| part["because"].as_str().is_some_and(|text| text.starts_with("the client asks for everything"));
    assert!(because.filter(|part| part["environment"] == "sandbox").all(says), "{second:#}");
    // What it would have refused earlier is told.
    let third = suggestion(&world, "third").await;
    let write = third["parts"].as_array().expect("parts").iter().find(|part| part["scope"] == "orders:write").expect("it");
    assert_eq!((&write["suggestion"], &write["issuedBefore"], &write["issued90d"]), (&json!("remove"), &json!(1), &json!(0)));
    assert_eq!(write["because"], "not issued for 95 days", "{write}");

    // The command's stdout is a record that narrows, and is in force at once.
    let ann = Program::of(&world, "ann");
    let ran = ann.run(&["suggest", "globex/order-sync"]).await.ended(0);
    assert!(ran.stderr.contains("remove sandbox scope orders-api orders:write: never issued in 400 days"), "{ran:?}");
    assert_eq!(ran.stdout.trim_end(), told["record"].as_str().expect("YAML").trim_end());
    let third = ann.run(&["suggest", "globex/third"]).await.ended(0);
    assert!(third.stderr.contains("it would have refused 1 tokens of 400 days"), "{third:?}");
    ann.file("narrower.yaml", &ran.stdout);
    granted(&world, "456789", "orders:write").await;
    let applied = ann.run(&["apply", "-f", "narrower.yaml", "-o", "json"]).await.ended(0).json();
    assert_eq!(applied["items"][0]["action"], "narrow", "{applied}");
    let before = world.issued().await;
    let refused = exchange(&world, "456789", "orders:write").await;
    assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!("scope.not-contracted")), "{}", refused.text());
    assert_eq!(world.issued().await, before, "nothing is minted");
    granted(&world, "456789", "orders:read").await;

    // Nobody used it at all: nothing is left.
    let silent = world.advance(200 * DAY);
    silent.await;
    let nothing = suggestion(&world, "third").await;
    assert_eq!((&nothing["record"], &nothing["applies"]), (&json!(null), &json!(false)), "{nothing:#}");
    for (path, status) in [("globex/nope", 404), ("nope/order-sync", 404)] {
        let answer = world.admin_send("GET", &format!("/v1/integrations/{path}/suggestion"), "alan", None).await;
        assert_eq!(answer.status, status, "{path}");
    }
}
