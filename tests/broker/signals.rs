//! Signals: who may send what, what they end, what is held, and what a workload may say of itself.

use serde_json::{Value, json};

use crate::certificates::{self, enrolled};
use crate::world::{Answer, Options, World, records, send};

const SECTION: &str = "[[signals]]\ncaller = \"contracts\"\nkinds = [\"contract-ended\", \"compromised\", \"owner-left\"]\nsubjects = [\"globex/*\"]\nper_hour = 5\n";

async fn world() -> World {
    World::with(Options { configuration: SECTION.to_owned(), ..Options::default() }).await
}

/// A token of a machine without any group.
fn machine(world: &World, id: &str) -> String {
    let now = world.clock.seconds();
    world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": id, "aud": "carnet", "exp": now + 600, "iat": now, "azp": id, "client_id": id,
    }))
}

async fn as_machine(world: &World, id: &str, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", machine(world, id));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let headers = if method == "GET" { &headers[..1] } else { &headers[..] };
    send(world.admin, method, path, headers, body.as_bytes()).await
}

fn wish(subject: &str, kind: &str, reference: Option<&str>) -> Value {
    let mut body = json!({"subject": subject, "kind": kind, "reason": "not renewed"});
    if let Some(reference) = reference {
        body["reference"] = reference.into();
    }
    body
}

async fn by_machine(world: &World, subject: &str, kind: &str, reference: Option<&str>) -> Answer {
    as_machine(world, "contracts", "POST", "/v1/signals", &wish(subject, kind, reference)).await
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

async fn on_record(world: &World, kind: &str) -> usize {
    world.admin_get(&format!("/v1/journal?kind={kind}&limit=1000"), "alan").await["items"].as_array().expect("items").len()
}

/// Asks as `ann`, and has `sara` approve.
async fn resume(world: &World, path: &str) {
    let asked = world.admin_post(&format!("{path}/resume"), "ann", &json!({"reason": "a mistake"})).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let approval = asked.json();
    let body = json!({"verdict": "approve", "reason": "seen", "version": approval["version"]});
    let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
    assert_eq!(world.admin_post(&path, "sara", &body).await.status, 200);
}

const INTEGRATION: &str = "/v1/integrations/globex/order-sync";

/// Each kind suspends its subject with a reason of its own, cuts what was issued, and is lifted by `resume`.
#[tokio::test]
async fn a_signal_of_security_ends_access_at_once() {
    let world = world().await;
    for (kind, subject, path) in [
        ("contract-ended", "globex", "/v1/partners/globex"),
        ("use-case-ended", "globex/order-sync", INTEGRATION),
        ("compromised", "globex/order-sync/production", INTEGRATION),
        ("environment-ended", "globex/order-sync/production", INTEGRATION),
    ] {
        let token = world.minted().await;
        let answer = world.admin_post("/v1/signals", "sven", &wish(subject, kind, None)).await;
        let signal = answer.json();
        assert_eq!(
            (answer.status, &signal["state"], &signal["reason"]),
            (201, &json!("acted"), &json!("not renewed")),
            "{signal}"
        );
        assert_eq!(told(&world, "production").await, format!("signal.{kind}"));
        assert_eq!(told(&world, "sandbox").await == "granted", subject.ends_with("/production"));
        assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
        let shown = world.admin_get(path, "alan").await;
        let cause = shown["effective"]["production"]["causes"][0].clone();
        assert_eq!(
            (&cause["reason"], &cause["liftedBy"]["action"]),
            (&json!(format!("signal.{kind}")), &json!("resume")),
            "{cause}"
        );
        assert_eq!(shown["suspensions"][0]["id"], signal["suspension"]);
        assert_eq!(world.admin_get(&format!("/v1/signals/{}", signal["id"].as_str().expect("an id")), "alan").await, signal);
        resume(&world, path).await;
        assert_eq!(told(&world, "production").await, "granted");
        assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}), "revoked never revives");
    }
    assert_eq!(on_record(&world, "signal.received").await, 4);
}

/// P-18: of a signal and a suspension, the oldest is told, and the end of the first leaves the second.
#[tokio::test]
async fn p_18_a_signal_and_a_suspension_end_one_by_one() {
    let world = world().await;
    let first = world.admin_post("/v1/signals", "sven", &wish("globex/order-sync", "contract-ended", None)).await.json();
    world.advance(1).await;
    let second = world.admin_post(&format!("{INTEGRATION}/suspend"), "sven", &json!({"reason": "odd"})).await.json();
    assert_eq!(told(&world, "production").await, "signal.contract-ended");
    let causes = world.admin_get(INTEGRATION, "alan").await["effective"]["production"]["causes"].clone();
    let causes: Vec<_> = causes.as_array().expect("causes").iter().map(|cause| cause["reason"].clone()).collect();
    assert_eq!(causes, [json!("signal.contract-ended"), json!("integration.suspended")]);
    let lift = |id: &Value| json!({"reason": "explained", "suspensions": [id]});
    for (id, left) in [(&first["suspension"], "integration.suspended"), (&second["id"], "granted")] {
        let asked = world.admin_post(&format!("{INTEGRATION}/resume"), "ann", &lift(id)).await;
        assert_eq!(asked.status, 201, "{}", asked.text());
        let body = json!({"verdict": "approve", "reason": "seen", "version": asked.json()["version"]});
        let path = format!("/v1/approvals/{}/reviews", asked.json()["id"].as_str().expect("an id"));
        assert_eq!(world.admin_post(&path, "sara", &body).await.status, 200);
        assert_eq!(told(&world, "production").await, left);
    }
}

/// Roles: a machine that is named sends what its section allows, and may read and do nothing else, whatever its groups are.
#[tokio::test]
async fn a_machine_that_is_named_sends_and_nothing_else() {
    let world = world().await;
    let refused = |answer: &Answer, status: u16, reason: &str| {
        assert_eq!((answer.status, &answer.json()["reason"]), (status, &json!(reason)), "{}", answer.text());
    };
    for person in ["ann", "adam", "alan"] {
        let answer = world.admin_post("/v1/signals", person, &wish("globex/order-sync", "compromised", None)).await;
        refused(&answer, 403, "staff.role");
    }
    let other = as_machine(&world, "robot", "POST", "/v1/signals", &wish("globex/order-sync", "compromised", None)).await;
    refused(&other, 403, "staff.role");
    for (subject, kind) in [("globex", "compromised"), ("initech/x", "compromised"), ("globex/order-sync", "use-case-ended")] {
        let answer = by_machine(&world, subject, kind, None).await;
        let reason = if subject.starts_with("initech") { (404, "resource.not-found") } else { (403, "signal.not-allowed") };
        refused(&answer, reason.0, reason.1);
    }
    for path in ["/v1/signals", "/v1/whoami", INTEGRATION, "/v1/journal", "/v1/partners"] {
        refused(&as_machine(&world, "contracts", "GET", path, &Value::Null).await, 403, "staff.role");
    }
    // In a group of security it still is what its section says.
    let now = world.clock.seconds();
    let grown = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "contracts", "aud": "carnet", "exp": now + 600, "iat": now, "auth_time": now, "groups": ["security"],
    }));
    let bearer = format!("Bearer {grown}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = json!({"reason": "x"}).to_string();
    refused(&send(world.admin, "POST", &format!("{INTEGRATION}/suspend"), &headers, body.as_bytes()).await, 403, "staff.role");
    refused(&send(world.admin, "GET", "/v1/signals", &headers[..1], b"").await, 403, "staff.role");

    for body in [
        json!({"subject": "globex/order-sync", "kind": "compromised"}),
        json!({"subject": "globex/order-sync", "kind": "odd", "reason": "x"}),
        json!({"subject": "globex/order-sync", "kind": "owner-left ", "reason": "x"}),
        json!({"subject": "globex//x", "kind": "compromised", "reason": "x"}),
        json!({"subject": "globex/order-sync", "kind": "compromised", "reason": "x", "by": "ann"}),
        json!({"subject": "globex/order-sync", "kind": "compromised", "reason": "x", "reference": "a b"}),
    ] {
        let answer = as_machine(&world, "contracts", "POST", "/v1/signals", &body).await;
        assert_eq!(answer.status, 422, "a_17 {body}: {}", answer.text());
    }
    let bearer = format!("Bearer {}", machine(&world, "contracts"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/secevent+jwt")];
    let event = send(world.admin, "POST", "/v1/signals", &headers, b"e30.e30.").await;
    assert_eq!(event.status, 415, "{}", event.text());
    assert!(event.text().contains("RFC 8935"), "{}", event.text());
    assert_eq!((told(&world, "production").await.as_str(), on_record(&world, "signal.received").await), ("granted", 0));

    let sent = by_machine(&world, "globex/order-sync", "compromised", None).await;
    assert_eq!((sent.status, sent.json()["by"]["id"].clone()), (201, json!("contracts")), "{}", sent.text());
    assert_eq!(told(&world, "production").await, "signal.compromised");
}

/// A signal that says the same again does nothing: with a reference for good, without one while what the first did stands.
#[tokio::test]
async fn a_signal_that_says_the_same_does_nothing() {
    let world = world().await;
    for reference in [Some("CRM-77"), None] {
        let first = by_machine(&world, "globex/order-sync", "contract-ended", reference).await;
        let again = by_machine(&world, "globex/order-sync", "contract-ended", reference).await;
        assert_eq!((first.status, again.status), (201, 200), "{}", again.text());
        assert_eq!(first.json(), again.json());
        assert_eq!(world.admin_get(INTEGRATION, "alan").await["suspensions"].as_array().map(Vec::len), Some(1));
        resume(&world, INTEGRATION).await;
        let later = by_machine(&world, "globex/order-sync", "contract-ended", reference).await;
        assert_eq!(later.status, if reference.is_some() { 200 } else { 201 }, "{}", later.text());
        let expected = if reference.is_some() { "granted" } else { "signal.contract-ended" };
        assert_eq!(told(&world, "production").await, expected);
    }
    // Another sender says it for themselves.
    let own = world.admin_post("/v1/signals", "sven", &wish("globex/order-sync", "contract-ended", Some("CRM-77"))).await;
    assert_eq!(own.status, 201, "{}", own.text());
}

/// A machine that is stolen or runs away ends three of six integrations; a person is asked for the others, and may go on without bounds.
#[tokio::test]
async fn a_machine_that_runs_away_is_held_until_a_person_decides() {
    let world = world().await;
    for number in 1..6 {
        world.onboard(&records::integration(&world.partner.issuer, &format!("more-{number}"), &format!("77{number}"))).await;
    }
    let subjects = ["order-sync", "more-1", "more-2", "more-3", "more-4", "more-5"].map(|name| format!("globex/{name}"));
    let mut held = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        let answer = by_machine(&world, subject, "contract-ended", None).await;
        let signal = answer.json();
        let expected = if number < 3 { (201, "acted") } else { (202, "held") };
        assert_eq!((answer.status, signal["state"].as_str().expect("a state")), expected, "{subject}: {signal}");
        held.extend((number >= 3).then(|| signal["id"].as_str().expect("an id").to_owned()));
    }
    assert_eq!((on_record(&world, "signal.received").await, on_record(&world, "signal.held").await), (3, 3));
    let state = async |subject: &str| {
        let shown = world.admin_get(&format!("/v1/integrations/{subject}"), "alan").await;
        shown["effective"]["production"]["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!((state(&subjects[2]).await.as_str(), state(&subjects[3]).await.as_str()), ("refusing", "granting"));
    // Another word for it, or the same again, is held as well.
    assert_eq!(by_machine(&world, &subjects[3], "contract-ended", None).await.status, 200);
    assert_eq!(by_machine(&world, &format!("{}/production", subjects[4]), "compromised", None).await.status, 202);

    let decide = async |id: &str, verb: &str, person: &str| {
        world.admin_post(&format!("/v1/signals/{id}/{verb}"), person, &json!({"reason": "looked at"})).await
    };
    for person in ["ann", "adam", "alan"] {
        assert_eq!(decide(&held[0], "confirm", person).await.status, 403);
    }
    let by_itself =
        as_machine(&world, "contracts", "POST", &format!("/v1/signals/{}/confirm", held[0]), &json!({"reason": "x"})).await;
    assert_eq!(by_itself.status, 403);
    assert_eq!(decide(&held[0], "confirm", "sven").await.json()["state"], "acted");
    assert_eq!(decide(&held[1], "dismiss", "sven").await.json()["state"], "dismissed");
    assert_eq!(decide(&held[1], "confirm", "sven").await.status, 409);
    assert_eq!((state(&subjects[3]).await.as_str(), state(&subjects[4]).await.as_str()), ("refusing", "granting"));
    assert_eq!(decide("nope", "confirm", "sven").await.status, 404);
    // A person is never held.
    let partner = world.admin_post("/v1/signals", "sven", &wish("globex", "compromised", None)).await;
    assert_eq!(partner.status, 201, "{}", partner.text());
    assert_eq!(state(&subjects[5]).await, "refusing");
    // After a day its share is free again; within an hour it has no more than it is given.
    world.advance(86_401).await;
    for number in 0..6 {
        let answer = by_machine(&world, "globex/order-sync", "contract-ended", Some(&format!("CRM-{number}"))).await;
        assert_eq!(answer.status, if number < 5 { 201 } else { 202 }, "{number}: {}", answer.text());
    }
    let listed = world.admin_get("/v1/signals?state=held", "alan").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(3), "{listed}");
}

/// A workload says of itself that it is compromised, in its own environment; its certificates are on hold until it is resumed.
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_calls_itself_compromised_and_its_certificates_are_on_hold() {
    let world = certificates::world().await;
    let machine = enrolled(&world, "production").await;
    let path = "/production/signals";
    let say = async |proof: Option<&str>, body: &Value| {
        let bearer = proof.map(|proof| format!("Bearer {proof}"));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(bearer.iter().map(|bearer| ("authorization", bearer.as_str())));
        send(world.public, "POST", path, &headers, body.to_string().as_bytes()).await
    };
    let body = json!({"kind": "compromised", "reason": "a key was in a log"});
    assert_eq!(say(None, &body).await.status, 401);
    assert_eq!(say(Some(&world.assertion("sandbox")), &body).await.status, 403, "another environment's proof");
    assert_eq!(say(Some(&world.api_proof("production")), &body).await.status, 403);
    for wrong in
        [json!({"kind": "contract-ended", "reason": "x"}), json!({"kind": "compromised", "reason": "x", "subject": "initech"})]
    {
        assert_eq!(say(Some(&world.assertion("production")), &wrong).await.status, 422, "{wrong}");
    }
    assert_eq!((told(&world, "production").await.as_str(), told(&world, "sandbox").await.as_str()), ("granted", "granted"));
    let state = async || {
        let listed = world.admin_get("/v1/certificates", "alan").await;
        listed["items"][0]["state"].as_str().unwrap_or_else(|| panic!("{listed}")).to_owned()
    };
    assert_eq!(state().await, "valid");

    let said = say(Some(&world.assertion("production")), &body).await;
    assert_eq!((said.status, &said.json()["subject"]), (201, &json!("globex/order-sync/production")), "{}", said.text());
    assert_eq!(
        (told(&world, "production").await.as_str(), told(&world, "sandbox").await.as_str()),
        ("signal.compromised", "granted")
    );
    let again = say(Some(&world.assertion("production")), &body).await;
    assert_eq!((again.status, again.json()), (200, said.json()));
    let other = json!({"kind": "compromised", "reason": "x", "reference": "another"});
    assert_eq!(say(Some(&world.assertion("production")), &other).await.status, 200, "one suspension is enough");
    let listed = world.admin_get("/v1/signals", "alan").await;
    assert_eq!(listed["items"][0]["by"]["integration"], "globex/order-sync", "{listed}");
    assert_eq!(state().await, "held");
    let list = machine.openssl("crl -inform DER -noout -text -in list.crl");
    let fetched = crate::world::get(world.public, "/production/crl").await;
    std::fs::write(machine.path("list.crl"), &fetched.body).expect("written");
    assert!(list.await.contains("Certificate Hold"), "the list says why");

    resume(&world, INTEGRATION).await;
    assert_eq!((told(&world, "production").await.as_str(), state().await.as_str()), ("granted", "valid"));
    let fetched = crate::world::get(world.public, "/production/crl").await;
    std::fs::write(machine.path("list.crl"), &fetched.body).expect("written");
    let list = machine.openssl("crl -inform DER -noout -text -in list.crl").await;
    assert!(list.contains("No Revoked Certificates"), "{list}");
}

/// A machine says that an owner left: nothing is suspended, the access ends after the grace, and an approved version goes on.
#[tokio::test]
async fn without_an_owner_an_integration_lasts_for_the_grace() {
    let world = world().await;
    let sent = by_machine(&world, "globex/order-sync", "owner-left", None).await;
    assert_eq!((sent.status, &sent.json()["suspension"]), (201, &Value::Null), "{}", sent.text());
    assert_eq!(by_machine(&world, "globex/order-sync", "owner-left", None).await.status, 200);
    let shown = world.admin_get(INTEGRATION, "alan").await;
    assert_eq!((&shown["suspensions"], &shown["effective"]["production"]["state"]), (&json!([]), &json!("granting")));

    let day = 86_400;
    world.advance(14 * day - 90).await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((answer.status, answer.json()["expires_in"].as_i64() <= Some(90)), (200, true), "{}", answer.text());
    world.advance(91).await;
    assert_eq!(told(&world, "production").await, "owner.gone");
    let cause = world.admin_get(INTEGRATION, "alan").await["effective"]["production"]["causes"][0].clone();
    assert_eq!((&cause["reason"], &cause["liftedBy"]["action"]), (&json!("owner.gone"), &json!("apply")), "{cause}");

    let usual = records::usual(&world.partner.issuer).replacen("raj@acme.example", "rita@acme.example", 1);
    world.onboard(&usual).await;
    assert_eq!(told(&world, "production").await, "granted");
    assert_eq!(by_machine(&world, "globex/order-sync", "owner-left", None).await.status, 201, "what the first did is over");
}
