//! People are told of dates 60, 30 and 7 days before and on the day: each once, whatever happens to the node, and one event for each.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::webhooks::{Receiver, until, world as telling};
use crate::world::client::free_port;
use crate::world::{World, records};

const DAY: i64 = 86_400;

/// Midnight so many days from now, as a second, and as the last day of a record.
fn day(world: &World, days: i64) -> (i64, String) {
    let first = (world.clock.seconds() / DAY + days) * DAY;
    let last = carnet::domain::value::clock::Timestamp::from_seconds(first).expect("a time").last_day();
    (first, last)
}

/// The usual record with another end of the contract.
fn ending(world: &World, name: &str, last: &str) -> String {
    let repository = format!("{}", name.bytes().fold(1_u32, |all, byte| all * 31 % 1_000_003 + u32::from(byte)));
    let repository = if name == "order-sync" { "456789".to_owned() } else { repository };
    let record = records::integration(&world.partner.issuer, name, &repository);
    let contract = format!("ends: {}}}", crate::world::days::CONTRACT_ENDS);
    assert!(record.contains(&contract));
    record.replacen(&contract, &format!("ends: {last}}}"), 1)
}

async fn notice(world: &World) -> bool {
    world.running.as_ref().expect("runs").broker.notice_dates().await.expect("recorded")
}

/// Lets people be told of all that comes before `instant`, such as reviews.
async fn others(world: &World, instant: i64) {
    world.advance(instant - 100 - world.clock.seconds()).await;
    notice(world).await;
}

/// The entries of dates, the oldest first.
async fn entries(world: &World) -> Vec<Value> {
    let found = world.admin_get("/v1/journal?kind=dates.noticed&limit=1000", "alan").await;
    found["items"].as_array().expect("entries").clone()
}

/// All that people were told of the ends of contracts: the integration, and how many days before.
async fn told(world: &World) -> Vec<(String, i64)> {
    let all = entries(world).await;
    let items = all.iter().flat_map(|entry| entry["items"].as_array().expect("items"));
    let ends = items.filter(|item| item["date"]["of"] == "contract-ends");
    ends.map(|item| (item["date"]["integration"].as_str().expect("a name").to_owned(), item["days"].as_i64().expect("days")))
        .collect()
}

fn sync(days: &[i64]) -> Vec<(String, i64)> {
    days.iter().map(|days| ("globex/order-sync".to_owned(), *days)).collect()
}

/// Each warning comes once and at its time, also over a start; what ends refuses at its second, and not by an entry.
#[tokio::test]
async fn people_are_told_of_a_date_once_also_over_a_start() {
    let mut world = World::start().await;
    assert_eq!(entries(&world).await.len(), 1, "the first entry begins");
    assert_eq!(entries(&world).await[0]["items"], json!([]));
    let (end, last) = day(&world, 100);
    world.onboard(&ending(&world, "order-sync", &last)).await;
    for (number, days) in [60, 30, 7, 0].into_iter().enumerate() {
        let instant = end - days * DAY;
        others(&world, instant).await;
        world.advance(instant - 1 - world.clock.seconds()).await;
        assert!(!notice(&world).await, "{days}: not a second earlier");
        if days == 30 {
            // Down when it comes: a start tells it.
            world.stop().await;
            world.clock.advance(3_600);
            world.boot().await;
        } else {
            world.advance(1).await;
            assert!(notice(&world).await, "{days}");
        }
        assert!(!notice(&world).await, "{days}: once");
        world.stop().await;
        world.boot().await;
        world.advance(61).await;
        assert!(!notice(&world).await, "{days}: once, also after a start");
        assert_eq!(told(&world).await, sync(&[60, 30, 7, 0][..=number]));
    }
    let entry = entries(&world).await.pop().expect("an entry");
    assert_eq!((&entry["by"], &entry["subject"]), (&json!("broker"), &json!("dates")));
    let item =
        |of: &str, at: i64, days: u32| json!({"date": {"of": of, "integration": "globex/order-sync"}, "at": at, "days": days});
    // Two weeks later an offboarding opens by itself.
    let opens = item("offboarding-opens", end + 14 * DAY, 14);
    assert_eq!(entry["items"], json!([opens, item("contract-ends", end, 0)]));
}

/// A later end is told of by itself, and an end that is taken away is told of no more.
#[tokio::test]
async fn a_date_that_moves_is_told_anew_and_one_that_goes_is_not() {
    let world = World::start().await;
    let (end, last) = day(&world, 70);
    let (_, sooner) = day(&world, 65);
    let with_end =
        ending(&world, "order-sync", &last).replacen("  sandbox:\n", &format!("  sandbox:\n    ends: {sooner}\n"), 1);
    world.onboard(&with_end).await;
    world.advance(end - 60 * DAY - world.clock.seconds()).await;
    assert!(notice(&world).await);
    assert_eq!(told(&world).await, sync(&[60]));
    let environment = json!({"of": "environment-ends", "integration": "globex/order-sync", "environment": "sandbox"});
    let items = entries(&world).await.pop().expect("an entry")["items"].clone();
    assert_eq!(items[0]["date"], environment, "it comes first: {items}");
    let (later, last) = day(&world, 100);
    world.onboard(&ending(&world, "order-sync", &last)).await;
    // A longer contract waits for reviews.
    crate::reviews::keep_everything(&world).await;
    others(&world, later - 61 * DAY).await;
    world.advance(later - 61 * DAY - world.clock.seconds()).await;
    assert!(!notice(&world).await, "the days before the old end are nothing any more");
    world.advance(DAY).await;
    assert!(notice(&world).await);
    assert_eq!(told(&world).await, sync(&[60, 60]));
}

/// What is suspended ends all the same, and people have to know it who could resume it.
#[tokio::test]
async fn what_is_suspended_is_told_too() {
    let world = World::start().await;
    let (end, last) = day(&world, 100);
    world.onboard(&ending(&world, "order-sync", &last)).await;
    let suspended = world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &json!({"reason": "odd"})).await;
    assert_eq!(suspended.status, 201);
    world.advance(end - 60 * DAY - world.clock.seconds()).await;
    assert!(notice(&world).await);
    assert_eq!(told(&world).await, sync(&[60]));
}

/// A clock that nobody believes tells nothing, and loses nothing.
#[tokio::test]
async fn a_clock_that_jumps_tells_nothing_and_loses_nothing() {
    let world = World::start().await;
    let (end, last) = day(&world, 100);
    world.onboard(&ending(&world, "order-sync", &last)).await;
    for by in [90 * DAY, -90 * DAY] {
        world.clock.jump(by);
        let broker = &world.running.as_ref().expect("runs").broker;
        assert!(broker.notice_dates().await.map_or(true, |recorded| !recorded), "{by}");
        world.clock.jump(-by);
        world.advance(0).await;
        assert_eq!(told(&world).await, [], "{by}");
    }
    world.advance(end - 60 * DAY - world.clock.seconds()).await;
    assert!(notice(&world).await);
    assert_eq!(told(&world).await, sync(&[60]));
}

/// One event for each date of an entry, in order, with an id of its own and names of ours alone; the entry that begins is none.
#[tokio::test(flavor = "multi_thread")]
async fn each_date_is_an_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut receiver = Receiver::at(port, folder.path(), "good");
    receiver.accepts_any_time();
    let mut world = telling(folder.path(), &[("good", port, "kinds = [\"dates\"]")]).await;
    let (end, last) = day(&world, 100);
    let names = ["order-sync", "second", "third"];
    for name in names {
        world.onboard(&ending(&world, name, &last)).await;
    }
    let ends = |receiver: &Receiver| -> Vec<Value> {
        let of_contract = |event: &Value| event["event"]["data"]["entry"]["items"][0]["date"]["of"] == "contract-ends";
        receiver.taken().into_iter().filter(of_contract).collect()
    };
    others(&world, end - 60 * DAY).await;
    world.advance(end - 60 * DAY - world.clock.seconds()).await;
    assert!(notice(&world).await);
    receiver.start().await;
    until("the events", async || ends(&receiver).len() >= 3).await;
    // A start sends none again.
    world.stop().await;
    world.boot().await;
    others(&world, end - 30 * DAY).await;
    world.advance(end - 30 * DAY - world.clock.seconds()).await;
    notice(&world).await;
    until("the next events", async || ends(&receiver).len() >= 6).await;
    let taken = ends(&receiver);
    assert_eq!(taken.len(), 6, "{taken:?}");
    let entry = entries(&world).await.into_iter().find(|entry| entry["items"][0]["date"]["of"] == "contract-ends");
    let entry = entry.expect("an entry");
    for (number, (event, name)) in taken.iter().zip(names).enumerate() {
        let (id, event) = (&event["id"], &event["event"]);
        assert_eq!(*id, json!(format!("evt_1_{}_{number}", entry["index"])));
        assert_eq!(event["type"], "dates.noticed");
        assert_eq!(event["data"]["subject"], format!("globex/{name}"));
        let item = json!({"date": {"of": "contract-ends", "integration": format!("globex/{name}")}, "at": end, "days": 60});
        assert_eq!(event["data"]["entry"], json!({"kind": "dates.noticed", "items": [item]}));
        assert!(!event.to_string().contains("acme.example\""), "{event}");
    }
    let ids: BTreeSet<String> = taken.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 6);
}
