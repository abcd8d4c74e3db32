//! Dossiers of cases whose entries lie in segments, whose texts were erased, and whose certificates are long forgotten.

use std::collections::BTreeMap;

use carnet::domain::value::clock::Seconds;
use serde_json::{Value, json};

use super::{DAY, acknowledge, is_done, once, sign_off, started, told, waiting, waits_for};
use crate::bundle;
use crate::certificates::{self, P256, enrolled, mutual_tls};
use crate::cli::program::Program;
use crate::world::{World, records};

/// The dossier of a closed case, with its texts or as a partner gets it.
async fn dossier(world: &World, id: &str, for_partner: bool) -> Vec<u8> {
    let more = if for_partner { "?for=partner" } else { "" };
    let answer = world.admin_send("GET", &format!("/v1/offboardings/{id}/dossier{more}"), "alan", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body
}

/// Moves what is older than 30 days out of the database. Returns the first entry that stays.
async fn archived(world: &World) -> u64 {
    let journal = &world.running.as_ref().expect("runs").broker.journal;
    journal.archive(Seconds::days(30)).await.expect("sealed").expect("a segment").until
}

/// The names of files that differ.
fn differing(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names: Vec<&String> = one.keys().chain(other.keys()).collect();
    let mut names: Vec<String> = names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

fn json_of(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(&files[name]).expect("JSON")
}

/// The rows of a case's dependencies: API, environment, tokens, and when the last was issued.
fn rows(dependencies: &Value) -> Vec<(String, String, u64, i64)> {
    let rows = dependencies.as_array().expect("a list").iter();
    rows.map(|one| {
        let name = |name: &str| one[name].as_str().expect("a name").to_owned();
        (
            name("api"),
            name("environment"),
            one["tokens"].as_u64().expect("a number"),
            one["lastIssued"].as_i64().expect("a time"),
        )
    })
    .collect()
}

/// Has a text forgotten: `adam` asks, `sara` approves.
async fn forget(world: &World, digest: &str) {
    let asked =
        world.admin_post("/v1/texts/erase", "adam", &json!({"digests": [digest], "reason": "asked by the person"})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let path = format!("/v1/approvals/{}", asked.json()["approval"].as_str().expect("an id"));
    let version = world.admin_get(&path, "sara").await["version"].clone();
    let yes = json!({"verdict": "approve", "reason": "seen", "version": version});
    let answer = world.admin_post(&format!("{path}/reviews"), "sara", &yes).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Tokens in segments before the case began count with their number and last use. The dossier is the same bytes when the case's own tokens
/// have left the database as well. An erased text is missing from `texts.json` and the page, and from nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_dossier_is_the_same_where_its_entries_are_in_segments_and_a_text_is_erased() {
    let mut world = World::start().await;
    let busy = records::busy(&world.partner.issuer);
    world.onboard(&busy).await;
    for _ in 0..280 {
        assert_eq!(told(&world, "sandbox").await, "granted");
    }
    let last_sandbox = world.clock.seconds();
    world.advance(40 * DAY).await;
    assert_eq!(told(&world, "production").await, "granted");
    let last_production = world.clock.seconds();
    assert_eq!(archived(&world).await, 256, "most tokens for the sandbox");

    let id = started(&world).await;
    let seen = once(&world, &id, "the log is read", |case| waits_for(case).len() == 2).await;
    let wanted = [("production", 1, last_production), ("sandbox", 280, last_sandbox)];
    let wanted = wanted.map(|(environment, tokens, last)| ("orders-api".to_owned(), environment.to_owned(), tokens, last));
    assert_eq!(rows(&seen["dependencies"]), wanted);
    for environment in ["production", "sandbox"] {
        assert_eq!(acknowledge(&world, &id, environment).await.status, 201);
    }
    once(&world, &id, "the tests pass", |case| is_done(case, "tests-passed")).await;
    world.advance(3600).await;
    sign_off(&world, &id).await;
    let (first, for_partner) = (dossier(&world, &id, false).await, dossier(&world, &id, true).await);
    let files = bundle::sample::files(&first);
    assert_eq!(rows(&json_of(&files, "case.json")["dependencies"]), wanted);
    let tokens = json_of(&files, "tokens.json");
    assert_eq!((&tokens["living"], tokens["cut"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{tokens}");

    // Somebody else's tokens fill another segment, in which the token lies that lived when the case began.
    let entry = tokens["cut"][0]["entry"].as_u64().expect("an entry");
    world.onboard(&busy.replace("name: order-sync", "name: other")).await;
    for _ in 0..280 {
        assert_eq!(told(&world, "sandbox").await, "granted");
    }
    world.advance(40 * DAY).await;
    assert_eq!(told(&world, "sandbox").await, "granted");
    assert!((256..archived(&world).await).contains(&entry), "entry {entry} has left the database");
    assert!(dossier(&world, &id, false).await == first, "the same bytes");
    world.stop().await;
    world.boot().await;
    assert!(dossier(&world, &id, false).await == first, "also after a restart");

    let key = Program::of(&world, "sven").run(&["key", "show", "--checkpoint"]).await.ended(0).stdout.trim().to_owned();
    let key = key.parse().expect("a key");
    let whole = bundle::one(&first, &key).await.0.expect("it holds");
    assert_eq!(whole.told, Some(whole.named));
    let reason = json_of(&files, "case.json")["reason"].as_str().expect("a digest").to_owned();
    forget(&world, &reason).await;
    let erased = dossier(&world, &id, false).await;
    assert!(dossier(&world, &id, false).await == erased, "the same bytes, as long as nothing more is erased");
    let left = bundle::sample::files(&erased);
    assert_eq!(differing(&files, &left), ["README.html", "texts.json"]);
    for (name, content) in &left {
        assert!(!content.windows(20).any(|part| part == b"the contract is over"), "{name}");
    }
    let (ours, theirs) = bundle::one(&erased, &key).await;
    let report = ours.expect("it holds without the text");
    assert_eq!((report.named, report.told), (whole.named, Some(whole.named - 1)));
    assert!(theirs.contains("not in it: 1 of"), "{theirs}");
    assert!(dossier(&world, &id, true).await == for_partner, "a partner's never had it");
}

/// A certificate is forgotten two days after its end, when the next one is made. Its revocation stays in the dossier.
#[tokio::test(flavor = "multi_thread")]
async fn a_dossier_holds_after_its_certificates_are_forgotten() {
    let world = certificates::world().await;
    let machine = enrolled(&world, "production").await;
    let serial = machine.serial("one").await;
    let revoke = json!({"certificate": format!("production/{serial}"), "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    let id = started(&world).await;
    once(&world, &id, "the tests pass", |case| is_done(case, "tests-passed")).await;
    world.advance(60).await;
    sign_off(&world, &id).await;
    let first = dossier(&world, &id, false).await;
    let timeline = json_of(&bundle::sample::files(&first), "timeline.json");
    let revoked = |one: &&Value| one["subject"].as_str().is_some_and(|subject| subject.contains(&serial));
    assert_eq!(timeline.as_array().expect("a list").iter().filter(revoked).count(), 1, "{timeline}");

    world.onboard(&mutual_tls(&records::integration(&world.partner.issuer, "other", "77"))).await;
    // Not so long that the socket renews its certificate: `curl` goes by the clock of the machine.
    world.advance(3 * DAY + 3600).await;
    let asked = json!({"integration": "globex/other", "environment": "production", "reason": "a new machine"});
    let asked = world.admin_post("/v1/enrolments", "ann", &asked).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let user = format!("globex/other:{}", asked.json()["token"].as_str().expect("a token"));
    let waits = waiting(&world, "enrolment").await;
    assert_eq!(super::vote(&world, &waits[0], "sven").await.status, 200);
    machine.request("two", P256, "").await;
    let reply = machine.enrol("production", "simpleenroll", "two", None, Some(&user)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let state = world.running.as_ref().expect("runs").broker.journal.view().state.clone();
    let known = state.certificates.leaf(&"production".parse().expect("a name"), &serial.parse().expect("a number"));
    assert!(known.is_none(), "it is forgotten");
    assert!(dossier(&world, &id, false).await == first, "the same bytes");
}
