//! `Idempotency-Key` on the wire (docs/reference/admin-api.md): what is sent twice is done once, whoever hangs up, starts anew or is away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use carnet::http::admin::listed;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use crate::admin::refused;
use crate::elevation::wish;
use crate::owners::{active, crowd};
use crate::world::client::send;
use crate::world::days::Day;
use crate::world::{Answer, Options, World, records};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn with_key(world: &World, person: &str, path: &str, key: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", world.staff_token(person));
    let headers = [("authorization", bearer.as_str()), JSON, ("idempotency-key", key)];
    send(world.admin, "POST", path, &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn what_is_sent_twice_with_a_key_is_done_once() {
    let world = World::start().await;
    let body = json!({"partner": "globex", "tokensOnly": true, "reason": "drill"});
    let path = "/v1/revocations";
    let (first, second) =
        tokio::join!(with_key(&world, "sven", path, "k1", &body), with_key(&world, "sven", path, "k1", &body));
    assert_eq!((first.status, second.status), (201, 201), "{}", second.text());
    assert_eq!(first.json(), second.json());
    assert_eq!(first.header("location"), second.header("location"));
    let cut = async || world.admin_get(path, "alan").await["items"].as_array().map_or(0, Vec::len);
    assert_eq!(cut().await, 1);
    let other = json!({"partner": "globex", "tokensOnly": true, "reason": "another"});
    let answer = with_key(&world, "sven", path, "k1", &other).await;
    refused(&answer, 422, "another body");
    assert_eq!(answer.json()["reason"], "request.idempotency-key-reused");
    // Of another person the key is another; without the role there is nothing to repeat.
    assert_eq!(with_key(&world, "sara", path, "k1", &body).await.status, 201);
    refused(&with_key(&world, "ann", path, "k1", &body).await, 403, "role");
    assert_eq!(cut().await, 2);
    refused(&with_key(&world, "sven", path, "a b", &body).await, 400, "no key");
    // A day later it is a new request.
    world.clock.advance(86_400);
    assert_eq!(with_key(&world, "sven", path, "k1", &other).await.status, 201);
    assert_eq!(cut().await, 3);
    // Who was cut is told nothing, not even again.
    assert_eq!(world.admin_post("/v1/staff/sven/cut", "sara", &json!({"reason": "left"})).await.status, 204);
    let answer = with_key(&world, "sven", path, "k1", &other).await;
    refused(&answer, 401, "cut");
    assert_eq!(answer.json()["reason"], "staff.cut");
    refused(&world.admin_send("GET", "/v1/keys", "sven", None).await, 401, "cut");
}

/// The reason is on record, so with another one it is another request.
#[tokio::test]
async fn another_reason_is_another_request() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.staff_token("ann"));
    let record = records::integration(&world.partner.issuer, "second", "31337");
    let apply = async |why: &str| {
        let kind = ("content-type", "application/yaml");
        let headers = [("authorization", bearer.as_str()), kind, ("idempotency-key", "k"), ("carnet-reason", why)];
        send(world.admin, "POST", "/v1/records/apply", &headers, record.as_bytes()).await
    };
    let first = apply("a+new+partner").await;
    assert_eq!(first.status, 200, "{}", first.text());
    let other = apply("an+audit+asks+for+it").await;
    refused(&other, 422, "another reason");
    assert_eq!(other.json()["reason"], "request.idempotency-key-reused");
    let again = apply("a+new+partner").await;
    assert_eq!((again.status, again.json()), (200, first.json()));
}

/// A key is good for its day whatever becomes of the node; and the answer comes without its secret.
#[tokio::test]
async fn what_was_done_before_a_restart_is_not_done_again() {
    let mut world = World::start().await;
    let asked = json!({"integration": "globex/order-sync", "environment": "production", "reason": "a new machine"});
    let cut = json!({"partner": "globex", "tokensOnly": true, "reason": "drill"});
    let plan = |world: &World| {
        let bearer = format!("Bearer {}", world.staff_token("ann"));
        let (admin, record) = (world.admin, records::usual(&world.partner.issuer));
        async move {
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml"), ("idempotency-key", "k")];
            send(admin, "POST", "/v1/records/plan", &headers, record.as_bytes()).await
        }
    };
    let enrolled = with_key(&world, "ann", "/v1/enrolments", "k", &asked).await;
    let revoked = with_key(&world, "sven", "/v1/revocations", "k", &cut).await;
    let ended = with_key(&world, "sven", "/v1/staff/olga/cut", "k", &json!({"reason": "left"})).await;
    let planned = plan(&world).await;
    assert_eq!((enrolled.status, revoked.status, ended.status, planned.status), (201, 201, 204, 200));
    let mut without = enrolled.json();
    assert!(without.as_object_mut().expect("an object").remove("token").is_some());
    // What somebody asked for; the broker's own work goes on.
    let all = async |world: &World| {
        let entries = world.admin_get("/v1/journal?limit=1000", "alan").await["items"].clone();
        let entries = entries.as_array().expect("a list").iter().filter(|entry| !entry["requestId"].is_null()).count();
        (entries, world.admin_get("/v1/approvals", "alan").await["items"].as_array().map(Vec::len))
    };
    let before = all(&world).await;
    world.clock.advance(3_600);
    world.stop().await;
    world.boot().await;
    assert_eq!(with_key(&world, "ann", "/v1/enrolments", "k", &asked).await.json(), without);
    let again = with_key(&world, "sven", "/v1/revocations", "k", &cut).await;
    assert_eq!((again.status, again.header("location")), (201, revoked.header("location")));
    assert_eq!(again.json(), revoked.json());
    assert_eq!(with_key(&world, "sven", "/v1/staff/olga/cut", "k", &json!({"reason": "left"})).await.status, 204);
    let again = plan(&world).await;
    assert_eq!((again.status, again.json()), (200, planned.json()));
    let other = json!({"partner": "globex", "tokensOnly": false, "reason": "drill"});
    refused(&with_key(&world, "sven", "/v1/revocations", "k", &other).await, 422, "another body");
    assert_eq!(all(&world).await, before);
    // The second answer has the headers of every answer, each once.
    let names = |answer: &Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&with_key(&world, "sven", "/v1/revocations", "k", &cut).await), names(&revoked));
}

/// Who hangs up while it is done, and sends it again, gets the answer of the one time that it was done.
#[tokio::test]
async fn who_hangs_up_and_comes_again_finds_it_done_once() {
    let world = World::start().await;
    let body = json!({"partner": "globex", "tokensOnly": true, "reason": "drill"});
    let bearer = world.staff_token("sven");
    for number in 0..40_u64 {
        let key = format!("k{number}");
        let sent = body.to_string();
        let head = format!(
            "POST /v1/revocations HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{sent}",
            world.admin,
            sent.len()
        );
        let mut stream = tokio::net::TcpStream::connect(world.admin).await.expect("connects");
        stream.write_all(head.as_bytes()).await.expect("writes");
        tokio::time::sleep(Duration::from_micros(number * 200)).await;
        drop(stream);
        let answer = with_key(&world, "sven", "/v1/revocations", &key, &body).await;
        assert_eq!(answer.status, 201, "{number}: {}", answer.text());
    }
    let entries = world.admin_get("/v1/journal?kind=revocation.added&limit=1000", "alan").await;
    assert_eq!(entries["items"].as_array().map(Vec::len), Some(40));
}

/// a cut that is on record, and that not every reader knows yet, is acknowledged to nobody; the same request is told once it is, and
/// cuts nothing twice.
#[tokio::test]
async fn r_03_a_cut_is_acknowledged_once_it_is_confirmed_however_often_it_is_sent() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let cut = json!({"partner": "globex", "tokensOnly": true, "reason": "drill"});
    let why = json!({"reason": "odd"});
    let asked = world.admin_post("/v1/elevations", "olga", &wish("30m")).await;
    let elevation = format!("/v1/elevations/{}", text(&asked, "id"));
    let yes = json!({"verdict": "approve", "reason": "looked at", "version": asked.json()["version"]});
    assert_eq!(world.admin_post(&format!("{elevation}/reviews"), "sven", &yes).await.status, 200);
    let (cuts, suspend) = ("/v1/revocations", "/v1/integrations/globex/order-sync/suspend");
    let (end, taint) = (&*format!("{elevation}/end"), "/v1/keys/sandbox/taint");
    let sandbox = json!({"kid": signing_key(&world, "sandbox").await, "reason": "odd"});
    let key = json!({"key": format!("production/{}", signing_key(&world, "production").await.as_str().expect("a kid")), "reason": "odd"});
    let all = [("sven", cuts, "k1", &cut), ("sven", suspend, "k1", &why), ("sven", end, "k1", &why)];
    let all = [&all[..], &[("adam", taint, "k1", &sandbox), ("sven", cuts, "k2", &key)]].concat();
    world.redis.as_mut().expect("redis").kill();
    for _ in 0..2 {
        for (person, path, key, body) in &all {
            let answer = with_key(&world, person, path, key, body).await;
            refused(&answer, 503, path);
            assert_eq!(answer.json()["reason"], "revocation.pending", "{path}");
        }
    }
    world.redis.as_mut().expect("redis").restart_empty().await;
    let told = async |person: &str, path: &str, key: &str, body: &Value| {
        for _ in 0..50 {
            let answer = with_key(&world, person, path, key, body).await;
            if answer.status != 503 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path}: never confirmed")
    };
    let mut answers = Vec::new();
    for (person, path, key, body) in &all {
        answers.push(told(person, path, key, body).await);
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [201, 201, 200, 204, 201]);
    assert_eq!(answers[0].header("location"), Some(format!("/v1/revocations/{}", text(&answers[0], "id")).as_str()));
    assert_eq!(text(&answers[2], "state"), "ended");
    for (kind, count) in [("revocation.added", 2), ("integration.suspended", 1), ("elevation.ended", 1), ("key.tainted", 1)] {
        let entries = world.admin_get(&format!("/v1/journal?kind={kind}"), "alan").await;
        assert_eq!(entries["items"].as_array().map(Vec::len), Some(count), "{kind}");
    }
}

/// The key that signs there.
async fn signing_key(world: &World, environment: &str) -> Value {
    let keys = world.admin_get("/v1/keys", "alan").await["items"].clone();
    let all = keys.as_array().expect("a list").iter();
    let mut active = all.filter(|key| key["environment"] == environment && key["state"] == "active");
    active.next().expect("a key")["kid"].clone()
}

/// Who is cut while they wait for the turn of a key is told nothing, not even what they were answered before.
#[tokio::test]
async fn who_is_cut_while_they_wait_is_told_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("an address"));
    let world = World::with(Options { issuers: vec![issuer.clone()], ..Options::default() }).await;
    let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
    let keys = json!({"keys": [world.partner.key.public()]}).to_string();
    let (heard, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (hears, waits) = (Arc::clone(&heard), Arc::clone(&released));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let discovers = String::from_utf8_lossy(&asked[..read]).contains("openid-configuration");
            if discovers {
                hears.notify_one();
                waits.notified().await;
            }
            let body = if discovers { &document } else { &keys };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
            let _sent = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await;
        }
    });
    let probe = json!({"issuer": issuer});
    let ask = || with_key(&world, "sven", "/v1/issuers/probe", "k", &probe);
    let cut = async {
        heard.notified().await;
        // The second has shown who it is, and waits.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let answer = world.admin_post("/v1/staff/sven/cut", "sara", &json!({"reason": "left"})).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        released.notify_one();
    };
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ask().await
    };
    let (first, second, ()) = tokio::join!(ask(), second, cut);
    assert_eq!(first.status, 200, "{}", first.text());
    refused(&second, 401, "cut");
    assert_eq!(second.json()["reason"], "staff.cut");
}

/// Whatever a POST changes, its key goes with the change: each route here changes something, and leaves a key that was begun and done.
#[tokio::test]
async fn every_route_that_changes_something_is_done_once() {
    let configuration =
        "[[signals]]\ncaller = \"contracts\"\nkinds = [\"contract-ended\"]\nsubjects = [\"*\"]\nper_hour = 1\n".to_owned();
    let world = World::with(Options { configuration, ..Options::default() }).await;
    let record = records::integration(&world.partner.issuer, "fourth", "79")
        + &format!("exceptions: [{{what: old key, control: list, owner: r@acme.example, ends: {}}}]\n", Day(100));
    world.onboard(&record).await;
    let mut seen = Seen { world: &world, routes: BTreeSet::new() };
    let why = json!({"reason": "a drill"});

    let asked = seen.post("/v1/elevations", "/v1/elevations", "olga", &wish("30m")).await;
    let elevation = text(&asked, "id");
    let yes = json!({"verdict": "approve", "reason": "looked at", "version": asked.json()["version"]});
    seen.post("/v1/elevations/{id}/reviews", &format!("/v1/elevations/{elevation}/reviews"), "sven", &yes).await;
    seen.post("/v1/elevations/{id}/end", &format!("/v1/elevations/{elevation}/end"), "sven", &why).await;

    let enrol = json!({"integration": "globex/order-sync", "environment": "production", "reason": "a new machine"});
    let asked = seen.post("/v1/enrolments", "/v1/enrolments", "ann", &enrol).await;
    let approval = text(&asked, "approval");
    let version = world.admin_get(&format!("/v1/approvals/{approval}"), "alan").await["version"].clone();
    let yes = json!({"verdict": "approve", "reason": "looked at", "version": version});
    seen.post("/v1/approvals/{id}/reviews", &format!("/v1/approvals/{approval}/reviews"), "sven", &yes).await;

    seen.apply(&records::integration(&world.partner.issuer, "second", "77")).await;
    let second = "/v1/integrations/globex/second/submit";
    seen.post("/v1/integrations/{p}/{i}/submit", second, "ann", &why).await;
    let third = records::integration(&world.partner.issuer, "third", "78");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", third))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let third = "/v1/integrations/globex/third/discard";
    seen.post("/v1/integrations/{p}/{i}/discard", third, "ann", &why).await;

    let guardrail = "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {name: rule}\nmeaning: A rule.\nmode: enforce\n\
                     cedar: 'forbid (principal, action, resource) when { context.environment == \"staging\" };'\n";
    let applied = world.admin_send("POST", "/v1/records/apply", "sven", Some(("application/yaml", guardrail.to_owned()))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    seen.post("/v1/guardrails/{id}/remove", "/v1/guardrails/rule/remove", "ann", &why).await;

    let cut = json!({"partner": "globex", "reason": "a drill"});
    let revoked = seen.post("/v1/revocations", "/v1/revocations", "sven", &cut).await;
    let lift = format!("/v1/revocations/{}/lift", text(&revoked, "id"));
    seen.post("/v1/revocations/{id}/lift", &lift, "sven", &why).await;

    for (route, path) in
        [("/v1/integrations/{p}/{i}", "/v1/integrations/globex/order-sync"), ("/v1/partners/{p}", "/v1/partners/globex")]
    {
        seen.post(&format!("{route}/suspend"), &format!("{path}/suspend"), "sven", &why).await;
        seen.post(&format!("{route}/resume"), &format!("{path}/resume"), "ann", &why).await;
    }

    let listed_exceptions = world.admin_get("/v1/exceptions", "ann").await;
    let path = format!("/v1/exceptions/{}/close", listed_exceptions["items"][0]["id"].as_str().expect("an id"));
    seen.post("/v1/exceptions/{id}/close", &path, "ann", &json!({"evidence": "deleted"})).await;

    let due = Day(60).to_string();
    let campaign = json!({"select": {"all": true}, "due": due, "onSilence": "report", "reason": "a drill"});
    seen.post("/v1/reviews", "/v1/reviews", "sven", &campaign).await;
    let open = world.admin_get("/v1/reviews?integration=globex/fourth&environment=production", "omar").await;
    let path = format!("/v1/reviews/{}", open["items"][0]["id"].as_str().expect("an id"));
    let card = world.admin_get(&path, "omar").await;
    let removed = |item: &Value| json!({"api": item["api"], "scope": item["scope"], "decision": "remove"});
    let items: Vec<Value> = card["items"].as_array().expect("items").iter().map(removed).collect();
    let decided = json!({"version": card["version"], "items": items, "reason": "a drill"});
    seen.post("/v1/reviews/{id}/decisions", &format!("{path}/decisions"), "omar", &decided).await;

    let sent = json!({"subject": "globex/second", "kind": "compromised", "reason": "a drill"});
    seen.post("/v1/signals", "/v1/signals", "sven", &sent).await;
    for (number, verb) in [(0, "confirm"), (1, "dismiss")] {
        let path = format!("/v1/signals/{}/{verb}", held_signal(&world, number).await);
        seen.post(&format!("/v1/signals/{{id}}/{verb}"), &path, "sven", &why).await;
    }
    let entries = world.admin_get("/v1/journal?kind=elevation.ended&limit=1", "ann").await;
    let erase = json!({"digests": [entries["items"][0]["reason"]], "reason": "a drill"});
    seen.post("/v1/texts/erase", "/v1/texts/erase", "adam", &erase).await;
    let dependency = json!({"integration": "globex/fourth", "api": "orders-api", "environment": "sandbox", "what": "a drill"});
    seen.post("/v1/dependencies", "/v1/dependencies", "ann", &dependency).await;
    let over = json!({"reason": "a drill", "confirm": "globex/fourth"});
    let path = "/v1/integrations/globex/fourth/offboard";
    let begun = seen.post("/v1/integrations/{p}/{i}/offboard", path, "sven", &over).await;
    let path = format!("/v1/offboardings/{}", text(&begun, "id"));
    let word = json!({"api": "orders-api", "environment": "sandbox", "removed": [], "evidence": "a drill"});
    seen.post("/v1/offboardings/{id}/acknowledgements", &format!("{path}/acknowledgements"), "olga", &word).await;
    seen.post("/v1/offboardings/{id}/abort", &format!("{path}/abort"), "ann", &why).await;
    let partner = records::usual(&world.partner.issuer).replace("globex", "initrode");
    let partner = partner.split("---\n").nth(1).expect("a partner").to_owned();
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", partner))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let over = json!({"reason": "a drill", "confirm": "initrode"});
    seen.post("/v1/partners/{p}/offboard", "/v1/partners/initrode/offboard", "sven", &over).await;
    let close = json!({"reason": "gone", "confirm": "sandbox"});
    seen.post("/v1/environments/{environment}/close", "/v1/environments/sandbox/close", "adam", &close).await;

    seen.post("/v1/evidence", "/v1/evidence", "alan", &json!({"about": "controls"})).await;
    let rotate = json!({"alg": "ES256", "acceptOutage": true});
    let key = seen.post("/v1/keys/{environment}/rotate", "/v1/keys/production/rotate", "adam", &rotate).await;
    let taint = json!({"kid": key.json()["kid"], "reason": "a drill"});
    seen.post("/v1/keys/{environment}/taint", "/v1/keys/production/taint", "adam", &taint).await;
    seen.post("/v1/authorities/{environment}/rotate", "/v1/authorities/production/rotate", "adam", &why).await;
    seen.post("/v1/staff/{id}/cut", "/v1/staff/olga/cut", "sven", &why).await;

    let posts = listed().into_iter().filter(|(method, _)| *method == "post").map(|(_, path)| path.to_owned());
    let left: BTreeSet<String> = posts.filter(|path| !seen.routes.contains(path)).collect();
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    // Most of these change nothing that is in the log. A passkey takes a browser (`console::signatures` revokes one), and the people
    // directory a source, as in the next test.
    let known = [
        "/v1/configuration/apply",
        "/v1/directory/confirm",
        "/v1/directory/import",
        "/v1/issuers/probe",
        "/v1/journal/formats/raise",
        "/v1/passkeys/{id}/revoke",
        "/v1/records/check",
        "/v1/records/drift",
        "/v1/records/plan",
        "/v1/webhooks/{name}/replay",
    ];
    assert_eq!(left, known, "a route that no line above sends");
}

/// The routes of the people directory, with a source that says of four people that they left.
#[tokio::test]
async fn routes_of_the_directory_are_done_once() {
    let (source, ids) = crowd(1).await;
    for id in &ids {
        active(&source, id, false).await;
    }
    let mut seen = Seen { world: &source.world, routes: BTreeSet::new() };
    let shown = source.world.admin_get("/v1/directory", "sven").await;
    let confirm = json!({"id": shown["held"][0]["id"], "reason": "a team was sold"});
    seen.post("/v1/directory/confirm", "/v1/directory/confirm", "sven", &confirm).await;
    let people = json!({"people": [{"email": "jane@acme.example", "active": true}]});
    seen.post("/v1/directory/import", "/v1/directory/import", "adam", &people).await;
}

/// The id of a signal that is held: of a machine that may send one an hour.
async fn held_signal(world: &World, number: usize) -> String {
    let now = world.clock.seconds();
    let token = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "contracts", "aud": "carnet", "exp": now + 600, "iat": now, "azp": "contracts",
    }));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for reference in [format!("first-{number}"), format!("second-{number}")] {
        let sent = json!({"subject": "globex/second", "kind": "contract-ended", "reason": "a drill", "reference": reference});
        let answer = send(world.admin, "POST", "/v1/signals", &headers, sent.to_string().as_bytes()).await;
        if answer.status == 202 {
            return text(&answer, "id");
        }
    }
    panic!("the second is held")
}

/// Sends each with a key of its own, and looks at what came of it.
struct Seen<'w> {
    world: &'w World,
    routes: BTreeSet<String>,
}

impl Seen<'_> {
    async fn post(&mut self, route: &str, path: &str, person: &str, body: &Value) -> Answer {
        let before = done(self.world).await;
        let answer = with_key(self.world, person, path, route, body).await;
        self.look(route, before, &answer).await;
        let again = with_key(self.world, person, path, route, body).await;
        assert_eq!((again.status, again.header("location")), (answer.status, answer.header("location")), "{route}");
        assert_eq!(done(self.world).await, before + 1, "{route}: twice is once");
        answer
    }

    async fn apply(&mut self, record: &str) {
        let (route, before) = ("/v1/records/apply", done(self.world).await);
        let bearer = format!("Bearer {}", self.world.staff_token("ann"));
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml"), ("idempotency-key", "k")];
        let answer = send(self.world.admin, "POST", route, &headers, record.as_bytes()).await;
        self.look(route, before, &answer).await;
        let again = send(self.world.admin, "POST", route, &headers, record.as_bytes()).await;
        assert_eq!((again.status, again.json()), (answer.status, answer.json()));
        assert_eq!(done(self.world).await, before + 1, "{route}: twice is once");
    }

    /// An entry names the request, and its key was begun with it and then done.
    async fn look(&mut self, route: &str, before: i64, answer: &Answer) {
        assert!((200..300).contains(&answer.status), "{route}: {}", answer.text());
        assert_eq!(done(self.world).await, before + 1, "{route}: its key is not known by a change");
        let request = answer.header("x-request-id").expect("an id");
        let entries = self.world.admin_get(&format!("/v1/journal?requestId={request}"), "alan").await;
        assert!(!entries["items"].as_array().expect("a list").is_empty(), "{route}: no entry names the request");
        assert!(self.routes.insert(route.to_owned()), "{route} is sent once");
    }
}

/// Keys that a change brought, and that were answered.
async fn done(world: &World) -> i64 {
    let count = world.store.ask(world.folder.path(), "SELECT count(*) FROM answers WHERE stage = 'done'");
    count.parse().expect("a number")
}

fn text(answer: &Answer, member: &str) -> String {
    answer.json()[member].as_str().unwrap_or_else(|| panic!("{member} in {}", answer.text())).to_owned()
}
