//! The standards' examples, replayed: the bytes of tests/broker/fixtures/standards with the names of its world put in place of ours. Nothing
//! else of a request is changed, and of an answer status, headers and body are compared as they stand in the fixture.
//!
//! A caller that has made itself known is told `reason` and `request_id` besides (docs/reference/http.md#refusals); then the fixture's members
//! must all be there, and only these two more.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::world::client::{escape, raw};
use crate::world::{Answer, Provider, World, claims, get, header};

const RESOURCE: &str = "https://orders.api.prod.internal.example";
const AUDIENCE: &str = "https://orders.example";

/// One request and the answer that the standards want.
struct Example {
    request: &'static str,
    response: &'static str,
}

macro_rules! example {
    ($name:literal) => {
        Example {
            request: include_str!(concat!("fixtures/standards/", $name, ".request.http")),
            response: include_str!(concat!("fixtures/standards/", $name, ".response.http")),
        }
    };
}

const C1: Example = example!("C1");
const C2: Example = example!("C2");
const D1: Example = example!("D1");
const D2: Example = example!("D2");
const D3: Example = example!("D3");
const H2: Example = example!("H2");

/// The example's assertion, as it stands in the requests.
fn assertion() -> &'static str {
    D1.request.split("subject_token=").nth(1).and_then(|rest| rest.split('&').next()).expect("a subject token")
}

impl Example {
    /// Sends the request with `change` made in its body: pairs of the example's text and ours.
    async fn replay(&self, world: &World, change: &[(&str, &str)]) -> Answer {
        let (head, body) = self.request.split_once("\r\n\r\n").expect("a head");
        let usual = [("ptr_acme-freight".to_owned(), escape("globex/order-sync")), (escape(RESOURCE), escape(AUDIENCE))];
        let changes = change.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).chain(usual);
        let body = changes.fold(body.to_owned(), |body, (from, to)| body.replace(&from, &to));
        let mut lines = head.split("\r\n");
        let start = lines.next().expect("a request line").replacen(" /", " /production/", 1);
        let mut head = format!("{start}\r\nConnection: close\r\n");
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            let value = match name {
                "Host" => world.public.to_string(),
                "Content-Length" => body.len().to_string(),
                "DPoP" => crate::possession::fresh_proof(world).await,
                _ => value.to_owned(),
            };
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        raw(world.public, format!("{head}\r\n{body}").as_bytes()).await
    }

    fn body(&self) -> &str {
        self.response.split_once("\r\n\r\n").expect("a head").1
    }

    /// Status and headers as in the fixture.
    fn assert_head(&self, name: &str, answer: &Answer) {
        let mut lines = self.response.split_once("\r\n\r\n").expect("a head").0.split("\r\n");
        let status: u16 =
            lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok()).expect("one");
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        for line in lines {
            let (header, value) = line.split_once(": ").expect("a header");
            if header != "Content-Length" {
                assert_eq!(answer.header(&header.to_ascii_lowercase()), Some(value), "{name}: {header}");
            }
        }
    }

    /// The fixture, byte for byte.
    fn assert_exact(&self, name: &str, answer: &Answer) {
        self.assert_head(name, answer);
        assert_eq!(String::from_utf8_lossy(&answer.body), self.body(), "{name}");
    }

    /// The fixture, with what a known caller is told besides.
    fn assert_known(&self, name: &str, answer: &Answer, reason: &str) {
        self.assert_head(name, answer);
        let wanted: Map<String, Value> = serde_json::from_str(self.body()).expect("an object");
        let mut told: Map<String, Value> = serde_json::from_slice(&answer.body).expect("an object");
        assert_eq!(told.remove("reason"), Some(json!(reason)), "{name}: {}", answer.text());
        assert_eq!(told.remove("request_id").as_ref().and_then(Value::as_str), answer.header("x-request-id"), "{name}");
        assert_eq!(told.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{name}");
        assert_eq!(told["error"], wanted["error"], "{name}");
        let described = |members: &Map<String, Value>| members["error_description"].as_str().expect("a text").to_owned();
        assert!(described(&told).starts_with(&described(&wanted)), "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn c1_a_grant_beside_a_proof_gives_a_token_that_is_bound() {
    let world = World::start().await;
    let answer = C1.replay(&world, &[(assertion(), &world.assertion("production"))]).await;
    C1.assert_head("C1", &answer);
    let wanted: Map<String, Value> = serde_json::from_str(C1.body()).expect("an object");
    let told: Map<String, Value> = serde_json::from_slice(&answer.body).expect("an object");
    // The world's record has endpoint conditions besides.
    assert!(wanted.keys().all(|name| told.contains_key(name)), "{}", answer.text());
    assert_eq!((&told["token_type"], &told["scope"]), (&wanted["token_type"], &wanted["scope"]));
}

#[tokio::test]
async fn c2_an_assertion_that_is_no_good_is_an_invalid_grant_for_every_cause() {
    let world = World::start().await;
    // The issuer of the example is nobody here.
    C2.assert_exact("unknown issuer", &C2.replay(&world, &[]).await);
    // An issuer that nobody registered, with a good signature and a good audience.
    let stranger = Provider::start().await;
    let mut claims = world.claims("production");
    claims["iss"] = json!(stranger.issuer);
    let unknown = stranger.sign(&claims);
    C2.assert_exact("unregistered issuer", &C2.replay(&world, &[(assertion(), &unknown)]).await);

    let mut claims = world.claims("production");
    claims["exp"] = json!(world.clock.seconds() - 1);
    claims["iat"] = json!(world.clock.seconds() - 100);
    let expired = world.partner.sign(&claims);
    C2.assert_known("expired", &C2.replay(&world, &[(assertion(), &expired)]).await, "assertion.expired");

    let good = world.assertion("production");
    assert_eq!(C2.replay(&world, &[(assertion(), &good)]).await.status, 200);
    C2.assert_known("replayed", &C2.replay(&world, &[(assertion(), &good)]).await, "assertion.replayed");
    assert_eq!(world.issued().await, 1, "nothing was minted but for the good one");
}

#[tokio::test]
async fn d1_an_exchange_answers_in_the_form_of_the_example() {
    let world = World::start().await;
    let answer = D1.replay(&world, &[(assertion(), &world.assertion("production"))]).await;
    D1.assert_head("D1", &answer);
    let wanted: Map<String, Value> = serde_json::from_str(D1.body()).expect("an object");
    let mut told: Map<String, Value> = serde_json::from_slice(&answer.body).expect("an object");
    // Endpoint conditions are ours: they stand in the answer as in the token (docs/reference/claims.md).
    assert_eq!(told.remove("authorization_details"), Some(parts(&told["access_token"])[1]["authorization_details"].clone()));
    assert_eq!(told.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for member in ["issued_token_type", "token_type", "scope"] {
        assert_eq!(told[member], wanted[member], "{member}");
    }
    let (left, most) = (told["expires_in"].as_i64().expect("a number"), wanted["expires_in"].as_i64().expect("a number"));
    assert!((1..=most).contains(&left), "{left}");

    // The token: the example's header, and its claims but for the certificate's binding.
    let [wanted_header, wanted_claims] = parts(&wanted["access_token"]);
    let [header, claims] = parts(&told["access_token"]);
    let names = |object: &Value| object.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&header), names(&wanted_header));
    assert_eq!((&header["alg"], &header["typ"]), (&wanted_header["alg"], &wanted_header["typ"]));
    for name in names(&wanted_claims).iter().filter(|name| *name != "cnf") {
        let same_kind = std::mem::discriminant(&claims[name]) == std::mem::discriminant(&wanted_claims[name]);
        assert!(same_kind, "{name}: {} like {}", claims[name], wanted_claims[name]);
    }
    assert_eq!((&claims["scope"], &claims["aud"]), (&wanted_claims["scope"], &json!(AUDIENCE)));
}

fn parts(token: &Value) -> [Value; 2] {
    let token = token.as_str().expect("a token");
    [header(token), claims(token)]
}

#[tokio::test]
async fn d2_a_subject_token_that_is_no_good_is_an_invalid_request() {
    let world = World::start().await;
    D2.assert_exact("D2", &D2.replay(&world, &[]).await);
    assert_eq!(world.issued().await, 0);
}

#[tokio::test]
async fn d3_a_target_that_the_caller_may_not_reach_is_like_one_that_does_not_exist() {
    let world = World::start().await;
    let payroll = "https://payroll.api.prod.internal.example";
    let unknown = D3.replay(&world, &[(assertion(), &world.assertion("production"))]).await;
    D3.assert_known("unknown", &unknown, "target.not-contracted");

    let api = format!(
        r#"
apiVersion: carnet/v1
kind: Api
metadata: {{name: payroll}}
owner: team:payroll
audience: {{production: "{payroll}"}}
token: {{profile: rfc9068, alg: ES256, ttl: 5m}}
scopes:
  salaries:read: {{meaning: See salaries, risk: high}}
"#
    );
    world.onboard(&api).await;
    let metadata = get(world.public, "/production/.well-known/oauth-authorization-server").await.json();
    let listed = metadata["protected_resources"].as_array().is_some_and(|resources| resources.contains(&json!(payroll)));
    assert!(listed, "the API is there now: {metadata}");
    let forbidden = D3.replay(&world, &[(assertion(), &world.assertion("production"))]).await;
    D3.assert_known("forbidden", &forbidden, "target.not-contracted");

    let without_id = |answer: &Answer| {
        let mut told = answer.json();
        told["request_id"].take();
        told
    };
    assert_eq!(without_id(&unknown), without_id(&forbidden), "one answer for both");
    assert_eq!(world.issued().await, 0);
}

#[tokio::test]
async fn h2_a_token_that_is_none_of_ours_is_inactive_and_nothing_else() {
    let world = World::start().await;
    let proof = |world: &World| world.api_proof("production");
    let garbage = H2.replay(&world, &[("RS_CLIENT_ASSERTION", &proof(&world))]).await;
    H2.assert_exact("garbage", &garbage);

    // The same for a good signature of somebody else, and for one of ours that was revoked.
    let foreign = world.assertion("production");
    let token = world.minted().await;
    let active = H2.replay(&world, &[("garbage", &token), ("RS_CLIENT_ASSERTION", &proof(&world))]).await;
    assert_eq!(active.json()["active"], true, "{}", active.text());
    let id = claims(&token)["jti"].clone();
    let revoked = world.admin_post("/v1/revocations", "sven", &json!({"token": id, "reason": "an example"})).await;
    assert!(revoked.status < 300, "{}", revoked.text());
    for (name, token) in [("foreign", &foreign), ("revoked", &token)] {
        let answer = H2.replay(&world, &[("garbage", token), ("RS_CLIENT_ASSERTION", &proof(&world))]).await;
        H2.assert_exact(name, &answer);
    }

    // A caller that shows no good proof is another thing: 401.
    assert_eq!(H2.replay(&world, &[]).await.status, 401);
}

/// Members of the example that stand for what is not built yet: publishing one is a promise.
const NOT_YET: [&str; 1] = ["introspection_signing_alg_values_supported"];
const METHODS_NOT_YET: [&str; 1] = ["spiffe_jwt"];

#[tokio::test]
async fn metadata_has_the_members_of_the_example() {
    let world = World::start().await;
    let issuer = world.issuer("production");
    let example = include_str!("fixtures/standards/metadata.json").replace("https://sts.prod.broker.example", &issuer);
    let example: Map<String, Value> = serde_json::from_str(&example.replace(RESOURCE, AUDIENCE)).expect("an object");
    let appended = get(world.public, "/production/.well-known/oauth-authorization-server").await;
    let inserted = get(world.public, "/.well-known/oauth-authorization-server/production").await;
    assert_eq!((appended.status, &appended.body), (200, &inserted.body));
    assert_eq!(appended.header("content-type"), Some("application/json"));
    let told: Map<String, Value> = serde_json::from_slice(&appended.body).expect("an object");

    for (member, wanted) in &example {
        let ours = told.get(member);
        match (member.as_str(), wanted) {
            (member, _) if NOT_YET.contains(&member) => assert_eq!(ours, None, "{member}"),
            // The same members, at the address of the world's own socket.
            ("mtls_endpoint_aliases", Value::Object(wanted)) => {
                let aliases = ours.and_then(Value::as_object).expect("aliases");
                assert!(aliases.keys().eq(wanted.keys()), "{aliases:?}");
                assert!(aliases.values().all(|url| url.as_str().is_some_and(|url| url.starts_with("https://127.0.0.1:"))));
            }
            // Catalogue and algorithms are the world's own; the example's algorithms are among them.
            ("scopes_supported", _) => assert!(ours.is_some_and(|ours| contains(ours, &[json!("orders:read")])), "{ours:?}"),
            (_, Value::Array(wanted)) => {
                let built: Vec<Value> =
                    wanted.iter().filter(|value| !METHODS_NOT_YET.iter().any(|method| value == method)).cloned().collect();
                assert!(ours.is_some_and(|ours| contains(ours, &built)), "{member}: {ours:?} holds {built:?}");
                let promised = ours.is_some_and(|ours| METHODS_NOT_YET.iter().any(|method| contains(ours, &[json!(method)])));
                assert!(!promised, "{member}: {ours:?}");
            }
            _ => assert_eq!(ours, Some(wanted), "{member}"),
        }
    }
    // RFC 8414 section 2: empty arrays are left out; and we have no authorization endpoint (docs/security/standards.md#empty-members-of-metadata).
    assert!(told.values().all(|value| value.as_array().is_none_or(|list| !list.is_empty())), "{told:?}");
    assert!(!told.contains_key("response_types_supported") && !told.contains_key("authorization_endpoint"), "{told:?}");
}

fn contains(list: &Value, values: &[Value]) -> bool {
    list.as_array().is_some_and(|list| values.iter().all(|value| list.contains(value)))
}
