//! What all nodes see: sessions and begun sign-ins of the console, who is at work on a request with an idempotency key, what issuers and
//! the ticket system told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use carnet::domain::value::alg::Alg;
use carnet::domain::value::digest::Digest;
use carnet::journal::Journal;
use serde_json::{Value, json};

use crate::nodes::{Fellow, world};
use crate::webhooks::until;
use crate::world::client::raw;
use crate::world::issuer::{Behaviour, sign};
use crate::world::store::Database;
use crate::world::{Answer, Key, Redis, World, get, records};

/// Where the console is, as browsers see it: a load balancer sends them to any node.
const HOST: &str = "console.acme.example";
const ORIGIN: &str = "https://console.acme.example";

/// Two nodes behind one name, at which people sign in with a browser.
struct Pair {
    world: World,
    second: Fellow,
    /// It goes last: the journal is verified as the world ends.
    _database: Database,
}

impl Pair {
    async fn start() -> Self {
        let (database, mut world) = world().await;
        world.stop().await;
        world.staff.signs_in();
        let file = world.folder.path().join("carnet.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        let audience = "audience = \"carnet\"\n";
        assert!(text.contains(audience) && text.contains("[listen]\n"));
        let text = text.replacen(audience, &format!("{audience}client_id = \"carnet-console\"\n"), 1);
        let text = text.replacen("[listen]\n", &format!("[listen]\nadmin_url = \"{ORIGIN}\"\n"), 1);
        std::fs::write(&file, text).expect("written");
        world.boot().await;
        let second = Fellow::started(&world, "sts-2").await;
        Self { world, second, _database: database }
    }

    fn nodes(&self) -> [SocketAddr; 2] {
        [self.world.admin, self.second.admin]
    }

    fn redis(&self) -> &Redis {
        self.world.redis.as_ref().expect("a Redis")
    }

    /// The name of the only record of a kind.
    fn record(&self, kind: &str) -> String {
        let told = self.redis().command(&["KEYS", &format!("carnet:{kind}:*")]);
        let names: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(names.len(), 1, "{told}");
        names[0].to_owned()
    }

    async fn stop(mut self) {
        self.second.stop().await;
        self.world.stop().await;
    }
}

/// Asks a node by the name of the console, as a browser does.
async fn ask(node: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    raw(node, format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
}

/// The cookie of this name that an answer sets, as a browser sends it.
fn cookie(answer: &Answer, name: &str) -> String {
    let set = answer.headers.iter().filter(|(header, _)| header == "set-cookie").map(|(_, value)| value);
    let found = set.filter_map(|value| value.split(';').next()).find(|pair| pair.starts_with(name) && !pair.ends_with('='));
    found.unwrap_or_else(|| panic!("no {name}: {:?}", answer.headers)).to_owned()
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').expect("a query").1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {url}")).to_owned()
}

/// A sign-in that was begun: its cookie, and the path of the way back.
struct Begun {
    cookie: String,
    back: String,
    nonce: String,
}

async fn begin(node: SocketAddr) -> Begun {
    let answer = ask(node, "GET", "/console/sign-in", &[], "").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let url = answer.header("location").expect("a way").to_owned();
    let back = format!("/console/callback?code=c&state={}", parameter(&url, "state"));
    Begun { cookie: cookie(&answer, "__Host-carnet-sign-in"), back, nonce: parameter(&url, "nonce") }
}

async fn finish(world: &World, node: SocketAddr, begun: &Begun, person: &str, group: &str) -> Answer {
    let now = world.clock.seconds();
    world.staff.gives(world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": person, "aud": "carnet-console", "exp": now + 600, "iat": now, "auth_time": now,
        "groups": [group], "name": person, "nonce": begun.nonce,
    })));
    ask(node, "GET", &begun.back, &[("cookie", &begun.cookie)], "").await
}

/// The cookie of a new session.
async fn signed_in(world: &World, [at, back]: [SocketAddr; 2], person: &str) -> String {
    let answer = finish(world, back, &begin(at).await, person, "security").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    cookie(&answer, "__Host-carnet-session")
}

async fn who(node: SocketAddr, cookie: &str) -> (u16, Value) {
    let answer = ask(node, "GET", "/v1/whoami", &[("cookie", cookie)], "").await;
    (answer.status, answer.json())
}

async fn sign_out(node: SocketAddr, cookie: &str) -> Answer {
    let page = ask(node, "GET", "/console/approvals", &[("cookie", cookie)], "").await.text();
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let headers = [("cookie", cookie), ("origin", ORIGIN), form];
    ask(node, "POST", "/console/sign-out", &headers, &format!("token={token}")).await
}

/// a browser goes from node to node, a sign-in is finished once, and a session ends everywhere.
#[tokio::test]
async fn a_browser_goes_from_node_to_node() {
    let pair = Pair::start().await;
    let (world, [first, second]) = (&pair.world, pair.nodes());
    let begun = begin(first).await;
    let answer = finish(world, second, &begun, "sven", "security").await;
    assert_eq!(answer.status, 303, "begun at one, finished at the other: {}", answer.text());
    let session = cookie(&answer, "__Host-carnet-session");
    for node in [first, second] {
        let again = finish(world, node, &begun, "sara", "security").await;
        assert_eq!(again.status, 400, "it is over at every node: {}", again.text());
        assert!(!again.headers.iter().any(|(name, value)| name == "set-cookie" && value.contains("carnet-session=")));
        let (status, told) = who(node, &session).await;
        assert_eq!(
            (status, told["person"]["id"].as_str(), told["person"]["name"].as_str()),
            (200, Some("sven"), Some("sven")),
            "{told}"
        );
    }
    // A page of one node is answered at the other, with its token.
    let out = sign_out(second, &session).await;
    assert_eq!(out.status, 200, "{}", out.text());
    for node in [first, second] {
        assert_eq!(who(node, &session).await.0, 401, "signed out everywhere");
    }
    assert_eq!(pair.redis().command(&["KEYS", "carnet:session:*"]).trim(), "");

    // Another one is ended by a cut that the other node recorded.
    let session = signed_in(world, [second, first], "sven").await;
    assert_eq!(who(second, &session).await.0, 200);
    let cut = world.admin_post("/v1/staff/sven/cut", "sara", &json!({"reason": "left"})).await;
    assert_eq!(cut.status, 204, "{}", cut.text());
    for node in [second, first] {
        assert_eq!(who(node, &session).await.0, 401, "cut");
    }

    // Rest and age are what the record says, whatever Redis keeps.
    let session = signed_in(world, [first, second], "sara").await;
    world.advance(29 * 60).await;
    assert_eq!(who(first, &session).await.0, 200);
    world.advance(29 * 60).await;
    assert_eq!(who(second, &session).await.0, 200, "the other node knows of the last request");
    world.advance(3 * 60).await;
    assert_eq!(who(first, &session).await.0, 401, "it is older than max_age");
    let session = signed_in(world, [first, second], "sara").await;
    world.advance(30 * 60).await;
    assert_eq!(who(second, &session).await.0, 401, "it rested");
    pair.stop().await;
}

/// Redis holds nothing that its reader could use, and takes nothing from whoever writes there.
#[tokio::test]
async fn a_record_that_was_changed_or_moved_signs_nobody_in() {
    let pair = Pair::start().await;
    let (world, [first, second]) = (&pair.world, pair.nodes());
    let session = signed_in(world, [first, second], "sven").await;
    let own = pair.record("session");
    let secret = session.split_once('=').expect("a pair").1;
    assert_eq!(own, format!("carnet:session:{}", Digest::of(secret.as_bytes())), "the name is a digest of the cookie");
    let written = pair.redis().command(&["GET", &own]);
    assert!(!written.contains("sven") && !written.contains(secret), "{written}");
    let left: i64 = pair.redis().command(&["PTTL", &own]).trim().parse().expect("a number");
    assert!((1..=31 * 60_000).contains(&left), "{left}");

    // The record of one person under the name of another's session.
    pair.redis().command(&["RENAME", &own, "aside"]);
    let other = signed_in(world, [first, second], "sara").await;
    let others = pair.record("session");
    pair.redis().command(&["COPY", "aside", &others, "REPLACE"]);
    for node in [first, second] {
        assert_eq!(who(node, &other).await.0, 401, "nobody is sven by it");
        assert_eq!(who(node, &session).await.0, 401);
    }
    // At its own name it is what it was; changed, it is nothing. Neither is a begun sign-in a session.
    pair.redis().command(&["COPY", "aside", &own, "REPLACE"]);
    assert_eq!(who(second, &session).await.0, 200);
    for (at, bytes) in [("0", "xxxx"), ("40", "xxxx"), ("0", "")] {
        pair.redis().command(&["COPY", "aside", &own, "REPLACE"]);
        pair.redis().command(&["SETRANGE", &own, at, bytes]);
        if bytes.is_empty() {
            pair.redis().command(&["APPEND", &own, "x"]);
        }
        assert_eq!(who(first, &session).await.0, 401, "changed at {at}");
    }
    let begun = begin(first).await;
    let pending = pair.record("sign-in");
    pair.redis().command(&["COPY", &pending, &own, "REPLACE"]);
    assert_eq!(who(second, &session).await.0, 401);
    // The record of a sign-in that is put back after it was taken out finds its code spent.
    pair.redis().command(&["COPY", &pending, "aside", "REPLACE"]);
    let answer = finish(world, second, &begun, "sara", "security").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    pair.redis().command(&["COPY", "aside", &pending, "REPLACE"]);
    let again = ask(first, "GET", &begun.back, &[("cookie", &begun.cookie)], "").await;
    assert_eq!(again.status, 400, "{}", again.text());
    pair.stop().await;
}

/// While Redis is away nobody is taken for signed in, and what it loses is signed out.
#[tokio::test]
async fn without_redis_nobody_is_signed_in() {
    let mut pair = Pair::start().await;
    let nodes = pair.nodes();
    let session = signed_in(&pair.world, nodes, "sven").await;
    let begun = begin(nodes[0]).await;
    assert_eq!(who(nodes[0], &session).await.0, 200);
    let before = pair.world.running.as_ref().expect("runs").broker.journal.view().seen;
    pair.world.redis.as_mut().expect("a Redis").kill();
    let body = json!({"partner": "globex", "tokensOnly": true, "reason": "drill"}).to_string();
    for node in nodes {
        let (status, told) = who(node, &session).await;
        assert_eq!((status, told["reason"].as_str()), (503, Some("store.unavailable")), "{told}");
        let page = ask(node, "GET", "/console/approvals", &[("cookie", &session)], "").await;
        assert_eq!(page.status, 503, "{}", page.text());
        let headers = [("cookie", session.as_str()), ("origin", ORIGIN), ("content-type", "application/json")];
        let asked = ask(node, "POST", "/v1/revocations", &headers, &body).await;
        assert_eq!(asked.status, 503, "{}", asked.text());
        assert_eq!(sign_out(node, &session).await.status, 503, "nobody is told that they are signed out");
        assert_eq!(ask(node, "GET", "/console/sign-in", &[], "").await.status, 503);
        let back = finish(&pair.world, node, &begun, "sara", "security").await;
        assert_eq!(back.status, 503, "{}", back.text());
        assert!(!back.headers.iter().any(|(name, _)| name == "set-cookie"));
        assert_eq!(ask(node, "GET", "/console/console.css", &[("cookie", &session)], "").await.status, 200, "it needs nobody");
    }
    assert_eq!(pair.world.running.as_ref().expect("runs").broker.journal.view().seen, before, "nothing was done");
    pair.world.redis.as_mut().expect("a Redis").restart_empty().await;
    let begun_again = Instant::now();
    while get(pair.world.public, "/readyz").await.status != 200 || get(pair.second.public, "/readyz").await.status != 200 {
        assert!(begun_again.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for node in nodes {
        // The connection that was lost is found out by the first who asks.
        while who(node, &session).await.0 == 503 {
            assert!(begun_again.elapsed() < Duration::from_secs(15));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(who(node, &session).await.0, 401, "signed out");
        assert_eq!(finish(&pair.world, node, &begun, "sara", "security").await.status, 400);
    }
    let session = signed_in(&pair.world, nodes, "sven").await;
    assert_eq!(who(nodes[0], &session).await.0, 200);
    pair.stop().await;
}

async fn keyed(world: &World, node: SocketAddr, key: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", world.staff_token("sven"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
    crate::world::send(node, "POST", "/v1/revocations", &headers, body.to_string().as_bytes()).await
}

async fn cuts(world: &World) -> usize {
    world.admin_get("/v1/revocations?limit=1000", "alan").await["items"].as_array().map_or(0, Vec::len)
}

/// F-09: two nodes get one request: one does it, and the other has its answer, or says when to ask for it.
#[tokio::test]
async fn one_request_at_two_nodes_is_done_once() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let nodes = [world.admin, second.admin];
    let mut told_to_wait = 0;
    for round in 0..20 {
        let (key, body) =
            (format!("k{round}"), json!({"partner": "globex", "tokensOnly": true, "reason": format!("drill {round}")}));
        let before = cuts(&world).await;
        let (one, other) = tokio::join!(keyed(&world, nodes[0], &key, &body), keyed(&world, nodes[1], &key, &body));
        let mut done = None;
        for answer in [&one, &other] {
            if answer.status == 409 {
                assert_eq!(answer.json()["reason"], "idempotency.begun", "{}", answer.text());
                assert_eq!(answer.header("retry-after"), Some("1"));
                told_to_wait += 1;
            } else {
                assert_eq!(answer.status, 201, "{}", answer.text());
                assert!(done.is_none_or(|done| done == answer.json()), "one answer");
                done = Some(answer.json());
            }
        }
        let done = done.expect("one did it");
        for node in nodes {
            let again = keyed(&world, node, &key, &body).await;
            assert_eq!((again.status, again.json()), (201, done.clone()), "it is repeated everywhere");
            let reused = keyed(&world, node, &key, &json!({"partner": "globex", "reason": "another"})).await;
            assert_eq!(reused.json()["reason"], "request.idempotency-key-reused", "{}", reused.text());
        }
        assert_eq!(cuts(&world).await, before + 1, "it was done once");
    }
    assert!(told_to_wait > 0, "both were never at work at once");
    assert_eq!(world.redis.as_ref().expect("a Redis").command(&["KEYS", "carnet:request:*"]).trim(), "", "no word is left");
    second.stop().await;
    world.stop().await;
}

/// A node that died at its work blocks the key for seconds. A word that is lost lets nothing be done twice, and stops nobody who revokes.
#[tokio::test]
async fn a_word_ends_with_its_node_and_is_not_needed() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let framed = |parts: &[&[u8]]| {
        let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
        let all: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [&length[..], part]).collect();
        Digest::of_parts(&all)
    };
    let (person, key) = (framed(&[world.staff.issuer.as_bytes(), b"sven"]), framed(&[b"/v1/revocations", b"dead"]));
    let name = format!("carnet:request:{}", Digest::of_parts(&[&person.0, &key.0]));
    let body = json!({"partner": "globex", "tokensOnly": true, "reason": "drill"});
    let before = cuts(&world).await;
    world.redis.as_ref().expect("a Redis").command(&["SET", &name, "a node that died", "PX", "1500"]);
    let refused = keyed(&world, second.admin, "dead", &body).await;
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (409, Some("idempotency.begun")), "{}", refused.text());
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(cuts(&world).await, before, "nothing was done");
    tokio::time::sleep(Duration::from_millis(1700)).await;
    let done = keyed(&world, second.admin, "dead", &body).await;
    assert_eq!(done.status, 201, "{}", done.text());

    // Without Redis the journal alone decides: a revocation is on record, and once.
    world.redis.as_mut().expect("a Redis").kill();
    let (one, other) = tokio::join!(keyed(&world, world.admin, "alone", &body), keyed(&world, second.admin, "alone", &body),);
    for answer in [&one, &other] {
        let reason = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
        let known = ["revocation.pending", "idempotency.begun", "store.unavailable"];
        assert!(known.contains(&reason.as_str()), "{}: {}", answer.status, answer.text());
    }
    world.redis.as_mut().expect("a Redis").restart_empty().await;
    let begun = Instant::now();
    let again = loop {
        let again = keyed(&world, second.admin, "alone", &body).await;
        if again.status == 201 {
            break again;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", again.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(keyed(&world, world.admin, "alone", &body).await.json(), again.json());
    assert_eq!(cuts(&world).await, before + 2, "done once");
    second.stop().await;
    world.stop().await;
}

/// K-20, I-13: several nodes ask an issuer no oftener than one, and each has the keys that another was told.
#[tokio::test]
async fn nodes_share_what_an_issuer_told_one_of_them() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let nodes = [world.public, second.public];
    let forged = |world: &World| {
        let (key, _) = Key::generate(Alg::Es256).expect("a key");
        let header = json!({"alg": "ES256", "kid": key.kid().as_str(), "typ": "JWT"});
        sign(&key, &header.to_string(), &world.claims("production").to_string())
    };
    for node in nodes {
        assert_eq!(world.exchange_proof_at(node, &world.assertion("production")).await.status, 200);
    }
    // A stranger invents kids, at every node.
    world.advance(31).await;
    let (before, issued) = (world.partner.hits(), world.issued().await);
    for _ in 0..5 {
        for node in nodes {
            let refused = world.exchange_proof_at(node, &forged(&world)).await;
            assert_eq!(refused.status, 400, "{}", refused.text());
        }
    }
    assert_eq!(world.partner.hits() - before, 2, "one of them asked, for the document and the keys");
    assert_eq!(world.issued().await, issued, "nothing was minted");

    // The issuer has a new key: the node that is asked first fetches it, and the other one takes it over.
    world.advance(31).await;
    let (key, _) = Key::generate(Alg::Es256).expect("a key");
    let set = json!({"keys": [key.public()]}).to_string();
    world.partner.behave(Behaviour { discovery: None, keys: Some((200, set)) });
    let signed = |world: &World| {
        let header = json!({"alg": "ES256", "kid": key.kid().as_str(), "typ": "JWT"});
        sign(&key, &header.to_string(), &world.claims("production").to_string())
    };
    let before = world.partner.hits();
    for node in nodes {
        let answer = world.exchange_proof_at(node, &signed(&world)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let gone = world.exchange_proof_at(node, &world.assertion("production")).await;
        assert_eq!(gone.status, 400, "the old key is withdrawn everywhere: {}", gone.text());
    }
    assert_eq!(world.partner.hits() - before, 2);

    // An answer that somebody kept and put back is too old to count, and one under another name does not open.
    let redis = |world: &World, arguments: &[&str]| world.redis.as_ref().expect("a Redis").command(arguments);
    let names = |world: &World, kind: &str| -> Vec<String> {
        redis(world, &["KEYS", &format!("carnet:{kind}:*")]).split_whitespace().map(str::to_owned).collect()
    };
    let kept = names(&world, "keys");
    for (at, name) in kept.iter().enumerate() {
        redis(&world, &["COPY", name, &format!("aside:{at}"), "REPLACE"]);
        redis(&world, &["PERSIST", &format!("aside:{at}")]);
    }
    world.partner.behave(Behaviour { discovery: None, keys: None });
    world.advance(31).await;
    for node in nodes {
        assert_eq!(world.exchange_proof_at(node, &world.assertion("production")).await.status, 200, "the first key is back");
    }
    for (at, name) in kept.iter().enumerate() {
        redis(&world, &["COPY", &format!("aside:{at}"), name, "REPLACE"]);
    }
    for node in nodes {
        let refused = world.exchange_proof_at(node, &signed(&world)).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    second.stop().await;
    world.stop().await;
}

type Tracker = Arc<(AtomicUsize, Mutex<Option<&'static str>>)>;

async fn ticket(State(tracker): State<Tracker>) -> Response {
    tracker.0.fetch_add(1, Ordering::SeqCst);
    match *tracker.1.lock().expect("the tracker") {
        None => StatusCode::BAD_GATEWAY.into_response(),
        Some(state) => axum::Json(json!({"status": state})).into_response(),
    }
}

/// One node asks the ticket system for all. A node that is told nothing new asks for itself, and an old word is nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_asks_the_ticket_system_for_all() {
    let tracker: Tracker = Arc::new((AtomicUsize::new(0), Mutex::new(Some("open"))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let origin = format!("http://{}", listener.local_addr().expect("bound"));
    let router = axum::Router::new().route("/{ticket}", axum::routing::get(ticket)).with_state(Arc::clone(&tracker));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (_database, mut world) = world().await;
    world.onboard(&records::usual(&world.partner.issuer).replace("require: [reason]", "require: [open-ticket]")).await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let text = text.replace("[outbound]\n", &format!("[outbound]\ntickets = [\"{origin}\"]\n"));
    let secret = world.folder.path().join("tracker");
    std::fs::write(&secret, "tracker-token\n").expect("written");
    let section = format!(
        "[tickets]\nurl = \"{origin}/{{ticket}}\"\ntoken_file = \"{}\"\npointer = \"/status\"\nopen = [\"open\"]\n",
        secret.display()
    );
    std::fs::write(&file, text + &section).expect("written");
    world.boot().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": "x", "ticket": "INC-7",
    });
    let asked = world.admin_post("/v1/elevations", "olga", &wish).await.json();
    let path = format!("/v1/elevations/{}", asked["id"].as_str().expect("an id"));
    let version = world.admin_get(&path, "alan").await["version"].clone();
    let word = json!({"verdict": "approve", "reason": "x", "version": version});
    let approved = world.admin_post(&format!("{path}/reviews"), "sven", &word).await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    let (public, other) = (world.public, second.public);
    let write = async |world: &World, node: SocketAddr| {
        let proof = world.assertion("production");
        let form = [
            ("grant_type", crate::world::TOKEN_EXCHANGE),
            ("subject_token", proof.as_str()),
            ("subject_token_type", crate::world::TYPE_JWT),
            ("audience", "orders-api"),
            ("scope", "orders:write"),
        ];
        raw(node, &crate::world::client::form_request(world.public, "/production/token", &form)).await
    };
    until("both nodes know", async || write(&world, public).await.status == 200 && write(&world, other).await.status == 200)
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = tracker.0.load(Ordering::SeqCst);
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for node in [public, other] {
            let answer = write(&world, node).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    let asked = tracker.0.load(Ordering::SeqCst) - before;
    assert!((2..=6).contains(&asked), "one of two nodes asks each second: {asked} times in 4 s");

    // Nobody answers, and somebody puts an old word back again and again.
    let redis = |arguments: &[&str]| world.redis.as_ref().expect("a Redis").command(arguments);
    let name = redis(&["KEYS", "carnet:ticket:*"]).trim().to_owned();
    redis(&["COPY", &name, "aside"]);
    *tracker.1.lock().expect("the tracker") = None;
    let begun = Instant::now();
    until("no node takes it for open", async || {
        redis(&["COPY", "aside", &name, "REPLACE"]);
        let (one, two) = (write(&world, public).await, write(&world, other).await);
        [one, two].iter().all(|answer| answer.json()["reason"] == "elevation.ticket-unknown")
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let issued = world.issued().await;
    for _ in 0..6 {
        redis(&["COPY", "aside", &name, "REPLACE"]);
        for node in [public, other] {
            assert_eq!(write(&world, node).await.json()["reason"], "elevation.ticket-unknown");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(world.issued().await, issued, "nothing was minted");

    // The node that asked is gone: the other one asks for itself.
    *tracker.1.lock().expect("the tracker") = Some("open");
    world.stop().await;
    until("it goes on at the other", async || write(&world, other).await.status == 200).await;
    second.stop().await;
}

/// How long the other node takes to follow each of so many revocations, and how long until it is acknowledged; in order.
async fn follows(world: &World, other: &Journal, rounds: u64) -> [Vec<Duration>; 2] {
    let (mut follows, mut acknowledged) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // At no fixed place between two looks of the other node.
        tokio::time::sleep(Duration::from_millis(round * 37 % 200)).await;
        let body = json!({"partner": "globex", "tokensOnly": true, "reason": format!("round {round}")});
        let before = other.view().seen;
        let begun = Instant::now();
        let watch = async {
            while other.view().seen == before {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            begun.elapsed()
        };
        let post = async {
            let answer = world.admin_post("/v1/revocations", "sven", &body).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
            begun.elapsed()
        };
        let (seen, done) = tokio::join!(watch, post);
        follows.push(seen);
        acknowledged.push(done);
    }
    [follows, acknowledged].map(|mut times| {
        times.sort();
        times
    })
}

/// A node that is told of news follows long before it would have looked by itself, twice a second.
#[tokio::test]
async fn a_node_follows_at_once() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let other = second.running.as_ref().expect("runs").broker.journal.clone();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let [times, _] = follows(&world, &other, 31).await;
    assert!(times[15] < Duration::from_millis(200), "{times:?}");
    // A word that is not true does nothing, and neither does a flood of them.
    let size = other.view().size;
    for told in ["999999999", "x", "-1", ""] {
        world.redis.as_ref().expect("a Redis").command(&["PUBLISH", "carnet:news:0", told]);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((other.view().size, other.health().stopped), (size, None));
    let [times, _] = follows(&world, &other, 31).await;
    assert!(times[15] < Duration::from_millis(200), "after a false word: {times:?}");
    second.stop().await;
    world.stop().await;
}

/// How long a node takes to follow what another one records. Prints it with wake-ups, and without them.
#[tokio::test]
#[ignore = "a measurement"]
async fn measures_how_soon_a_node_follows() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let other = second.running.as_ref().expect("runs").broker.journal.clone();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for told in [true, false] {
        if !told {
            world.redis.as_ref().expect("a Redis").command(&["ACL", "SETUSER", "default", "resetchannels"]);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let [follows, acknowledged] = follows(&world, &other, 300).await;
        for (what, times) in [("the other node follows", follows), ("it is acknowledged", acknowledged)] {
            let (p50, p99, most) = (times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1]);
            println!("wake-ups {told}: {what} after p50 {p50:?}, p99 {p99:?}, max {most:?}");
        }
    }
    second.stop().await;
    world.stop().await;
}

/// A number that a plan told at one node is said at another one, by the person who was told it.
#[tokio::test]
async fn a_number_that_one_node_told_is_said_at_another() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let rule = "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {name: rule}\nmeaning: A rule of ours.\nmode: enforce\ncedar: |\n  \
                forbid (principal, action == Carnet::Action::\"exchange\", resource)\n  when { context.environment == \"sandbox\" };\n";
    let send = async |node: SocketAddr, person: &str, path: &str, said: Option<&str>| {
        let bearer = format!("Bearer {}", world.staff_token(person));
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/yaml")];
        headers.extend(said.map(|said| ("carnet-refuses", said)));
        crate::world::send(node, "POST", path, &headers, rule.as_bytes()).await
    };
    let issue = async || {
        let answer = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    issue().await;
    let planned = send(world.admin, "sven", "/v1/records/plan", None).await;
    assert_eq!((planned.status, &planned.json()["refuses"]), (200, &json!(1)), "{}", planned.text());
    issue().await;
    let size = || world.running.as_ref().expect("runs").broker.journal.view().state.guardrails.in_force().count();
    let entries = |running: &Option<carnet::serve::Running>| running.as_ref().expect("runs").broker.journal.view().size;
    until("the other node follows", async || entries(&second.running) == entries(&world.running)).await;
    // Another person was told nothing, and nobody was told another number.
    for (person, said) in [("sara", Some("1")), ("sven", Some("3")), ("sven", None)] {
        let refused = send(second.admin, person, "/v1/records/apply", said).await;
        assert_eq!((refused.status, &refused.json()["reason"]), (409, &json!("guardrail.refuses")), "{}", refused.text());
    }
    assert_eq!(size(), 0, "nothing was applied");
    // Whoever writes to Redis puts nothing there that counts.
    let redis = |arguments: &[&str]| world.redis.as_ref().expect("a Redis").command(arguments);
    let names = redis(&["KEYS", "carnet:numbers:*"]);
    assert!(names.lines().count() >= 2, "{names}");
    let kept: Vec<(String, String)> = names
        .lines()
        .map(|name| (name.to_owned(), format!("{name}:kept")))
        .inspect(|(name, kept)| drop(redis(&["COPY", name, kept])))
        .collect();
    for (name, _) in &kept {
        redis(&["SET", name, "x"]);
    }
    assert_eq!(send(second.admin, "sven", "/v1/records/apply", Some("1")).await.status, 409);
    for (name, kept) in &kept {
        redis(&["COPY", kept, name, "REPLACE"]);
    }
    let applied = send(second.admin, "sven", "/v1/records/apply", Some("1")).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    until("the first node follows", async || size() == 1).await;
    second.stop().await;
    world.stop().await;
}

/// `carnet nodes` tells of a node that folds another state than others, and so does that node.
#[tokio::test]
async fn a_state_that_nodes_fold_otherwise_is_told_of_each() {
    let (database, mut world) = world().await;
    until("it told what it folds", async || database.ask("SELECT length(folded) >= 40 FROM nodes WHERE id = 'sts-1'") == "t")
        .await;
    let unready = async || {
        let listed = world.admin_get("/v1/nodes", "alan").await;
        let items = listed["items"].as_array().expect("items");
        items.iter().map(|node| node["unready"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(unready().await, [""]);
    // A node of another program, as its row tells it: the same last changes, and other digests.
    let rows = "INSERT INTO nodes (id, instance, version, size, ahead, unready, format, folded, lease_until) SELECT 'sts-9', 'x', '9', size, 0, \
                NULL, format, substring(folded FROM length(folded) - 39 FOR 8) || decode(repeat('00', 32), 'hex'), \
                clock_timestamp() + interval '1 hour' FROM nodes WHERE id = 'sts-1' RETURNING id";
    assert_eq!(database.ask(rows), "sts-9");
    until("the node is not ready", async || get(world.public, "/readyz").await.status == 503).await;
    let told = unready().await;
    for (said, other) in told.iter().zip(["sts-9", "sts-1"]) {
        assert!(said.contains(&format!("this node has another state than {other}:")), "{told:?}");
    }
    let ran = crate::cli::program::Program::of(&world, "alan").run(&["nodes"]).await.ended(0);
    assert_eq!(ran.stdout.matches("this node has another state than").count(), 2, "{}", ran.stdout);
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(database.ask("SELECT count(*) FROM entries WHERE kind = 'issued'"), "0", "nothing was minted");
    // A node that is gone is compared with nobody.
    database.ask("UPDATE nodes SET lease_until = clock_timestamp() WHERE id = 'sts-9' RETURNING id");
    until("the node is ready again", async || get(world.public, "/readyz").await.status == 200).await;
    assert_eq!(unready().await, ["", ""]);
    world.stop().await;
}
