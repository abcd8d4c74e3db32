//! Certificates on the wire: enrolment, tokens by certificate, bound tokens, and what ends them. The partner's side is `openssl` and
//! `curl`, unmodified.

mod handshake;
mod linters;
pub mod tool;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::world::{Options, World, claims, post_form, records, send};
use tool::Machine;

pub const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

/// The usual integration, that may also show a certificate.
pub fn with_certificates(issuer: &str) -> String {
    mutual_tls(&records::usual(issuer))
}

/// An integration's record, that may also show a certificate.
pub fn mutual_tls(record: &str) -> String {
    let binding = "      - {name: data-centre, mtls: {}}\n";
    let sandbox = record.replacen(
        "    scopes: {orders-api: [orders:read, orders:write]}",
        &format!("{binding}    scopes: {{orders-api: [orders:read, orders:write]}}"),
        1,
    );
    sandbox.replacen("    scopes:\n      orders-api:\n", &format!("{binding}    scopes:\n      orders-api:\n"), 1)
}

pub async fn world() -> World {
    let world = World::start().await;
    world.onboard(&with_certificates(&world.partner.issuer)).await;
    world.clock.synchronise();
    world
}

/// Asks for an enrolment token as `ann`; `HTTP Basic` user and password, and the approval.
async fn ask(world: &World, environment: &str) -> (String, Value) {
    let body = json!({"integration": "globex/order-sync", "environment": environment, "reason": "a new machine"});
    let asked = world.admin_post("/v1/enrolments", "ann", &body).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let asked = asked.json();
    (format!("globex/order-sync:{}", asked["token"].as_str().expect("a token")), asked["approval"].clone())
}

async fn review(world: &World, approval: &Value, person: &str) -> u16 {
    let path = format!("/v1/approvals/{}", approval.as_str().expect("an id"));
    let seen = world.admin_get(&path, person).await;
    let body = json!({"verdict": "approve", "reason": "it is ours", "version": seen["version"]});
    world.admin_post(&format!("{path}/reviews"), person, &body).await.status
}

/// A machine with a certificate `one` for `environment`.
pub async fn enrolled(world: &World, environment: &str) -> Machine {
    let machine = Machine::new(world).await;
    let (user, approval) = ask(world, environment).await;
    assert_eq!(review(world, &approval, "sven").await, 200);
    machine.request("one", P256, "").await;
    let reply = machine.enrol(environment, "simpleenroll", "one", None, Some(&user)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    machine
}

async fn certificates_on_record(world: &World) -> usize {
    world.admin_get("/v1/journal?kind=certificate.issued&limit=1000", "alan").await["items"].as_array().expect("items").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_makes_the_request_and_curl_enrols_renews_and_gets_bound_tokens() {
    let world = world().await;
    let machine = Machine::new(&world).await;
    machine.request("one", P256, "").await;
    let (user, approval) = ask(&world, "production").await;

    // Not before a second person approved it, and not by the one who asked.
    assert_eq!(machine.enrol("production", "simpleenroll", "one", None, Some(&user)).await.status, 401);
    assert_eq!(review(&world, &approval, "ann").await, 409);
    assert_eq!(certificates_on_record(&world).await, 0);
    assert_eq!(review(&world, &approval, "sven").await, 200);

    // Only there, only for that integration, only with that secret.
    assert_eq!(machine.enrol("sandbox", "simpleenroll", "one", None, Some(&user)).await.status, 401);
    let other = user.replace("globex/order-sync", "globex/other");
    assert_eq!(machine.enrol("production", "simpleenroll", "one", None, Some(&other)).await.status, 401);
    assert_eq!(machine.enrol("production", "simpleenroll", "one", None, Some(&format!("{user}x"))).await.status, 401);
    assert_eq!(machine.enrol("production", "simpleenroll", "one", None, None).await.status, 401);
    assert_eq!(certificates_on_record(&world).await, 0);

    // A hundred at once: the token enrols one key once.
    let reply = machine.enrol("production", "simpleenroll", "one", None, Some(&user)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(machine.enrol("production", "simpleenroll", "one", None, Some(&user)).await.status, 401);
    assert_eq!(certificates_on_record(&world).await, 1);

    // The certificate is what the record says.
    let text = machine.openssl("x509 -in one.pem -noout -text").await;
    let name = "URI:spiffe://production.127.0.0.1/globex/order-sync";
    for expected in [name, "CA:FALSE", "Digital Signature", "TLS Web Client Authentication", "/production/crl"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    machine.openssl("verify -x509_strict -purpose sslclient -CAfile ca.pem one.pem").await;

    // A token by the certificate alone, bound to it.
    let minted = machine.token(Some("one"), "production", &[]).await;
    assert_eq!(minted.status, 200, "{minted:?}");
    let token = minted.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(minted.json()["token_type"], "Bearer");
    let thumbprint = machine.thumbprint("one").await;
    assert_eq!(claims(&token)["cnf"], json!({"x5t#S256": thumbprint}));
    assert_eq!(claims(&token)["binding"], "data-centre");
    let seen = world.introspect("production", &token).await.json();
    assert_eq!((&seen["active"], &seen["cnf"]), (&json!(true), &json!({"x5t#S256": thumbprint})), "{seen}");

    // Its own tokens it may ask about and revoke, by the same certificate.
    let own = format!("token={token}");
    let client = "client_id=globex/order-sync";
    let seen = machine.curl(Some("one"), "/production/introspect", &["-d", &own, "-d", client]).await;
    assert_eq!((seen.status, &seen.json()["active"]), (200, &json!(true)), "{seen:?}");
    let nameless = machine.curl(Some("one"), "/production/introspect", &["-d", &own]).await;
    assert_eq!(nameless.status, 401, "{nameless:?}");
    let revoked = machine.curl(Some("one"), "/production/revoke", &["-d", &own, "-d", client]).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));

    // An assertion beside the certificate: one client, and the token is bound all the same.
    let assertion = format!("client_assertion={}", world.assertion("production"));
    let kind = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let both = machine.token(Some("one"), "production", &["-d", &assertion, "-d", kind]).await;
    let both = both.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!((&claims(&both)["binding"], &claims(&both)["cnf"]["x5t#S256"]), (&json!("ci-main"), &json!(thumbprint)));

    // The next certificate by the one in use, for another key.
    machine.request("two", P256, "").await;
    let renewed = machine.enrol("production", "simplereenroll", "two", Some("one"), None).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_ne!(machine.serial("one").await, machine.serial("two").await);
    let minted = machine.token(Some("two"), "production", &[]).await;
    assert_eq!(
        claims(minted.json()["access_token"].as_str().expect("a token"))["cnf"]["x5t#S256"],
        machine.thumbprint("two").await
    );

    // Metadata names the way.
    let metadata = crate::world::get(world.public, "/production/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["mtls_endpoint_aliases"]["token_endpoint"], format!("{}/production/token", machine.mtls));
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn m_01_without_a_certificate_only_two_routes_answer() {
    let world = world().await;
    let machine = Machine::new(&world).await;
    let assertion = format!("client_assertion={}", world.assertion("production"));
    let kind = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for (path, arguments) in [
        (
            "/production/token",
            vec!["-d", "grant_type=client_credentials", "-d", "client_id=globex/order-sync", "-d", "scope=orders:read"],
        ),
        (
            "/production/token",
            vec![
                "-d",
                "grant_type=client_credentials",
                "-d",
                &assertion,
                "-d",
                kind,
                "-d",
                "audience=orders-api",
                "-d",
                "scope=orders:read",
            ],
        ),
        ("/production/introspect", vec!["-d", "token=x"]),
        ("/production/revoke", vec!["-d", "token=x"]),
        ("/production/jwks", vec![]),
        ("/production/crl", vec![]),
        ("/production/.well-known/oauth-authorization-server", vec![]),
    ] {
        let reply = machine.curl(None, path, &arguments).await;
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_client")), "{path}: {reply:?}");
    }
    // Renewal needs the certificate in use.
    machine.request("one", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "one", None, None).await.status, 400);
    assert_eq!(world.issued().await, 0);
}

/// M-03, M-17 and M-16: a name proves nothing, neither in a certificate of somebody else, nor in a form, nor in a header.
#[tokio::test(flavor = "multi_thread")]
async fn m_03_m_16_m_17_a_name_alone_is_nobody() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    let name = "subjectAltName=URI:spiffe://production.127.0.0.1/globex/order-sync";
    machine.openssl(&format!("genpkey {P256} -out fake.key")).await;
    machine.openssl(&format!("req -new -x509 -key fake.key -subj / -days 1 -addext {name} -out fake.pem")).await;
    assert_eq!(machine.token(Some("fake"), "production", &[]).await.status, 0, "the handshake fails");

    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "globex/order-sync"),
        ("audience", "orders-api"),
        ("scope", "orders:read"),
    ];
    let answer = post_form(world.public, "/production/token", &form).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_client")));

    let der = machine.openssl("x509 -in one.pem -outform DER -out one.der").await;
    drop(der);
    machine.openssl("base64 -A -in one.der -out one.b64").await;
    let b64 = machine.read("one.b64");
    for header in [
        format!("Client-Cert: :{b64}:"),
        format!("X-SSL-Client-Cert: {b64}"),
        "X-Forwarded-Client-Cert: URI=spiffe://production.127.0.0.1/globex/order-sync".to_owned(),
        "X-SSL-Client-Verify: SUCCESS".to_owned(),
    ] {
        let reply = machine.token(None, "production", &["-H", &header]).await;
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_client")), "{header}");
    }
    assert_eq!(world.issued().await, 0);
}

/// M-07: the leaf alone says who it is. M-09: another environment's certificate is none here.
#[tokio::test(flavor = "multi_thread")]
async fn m_07_m_09_a_certificate_is_of_one_integration_in_one_environment() {
    let world = world().await;
    let machine = enrolled(&world, "sandbox").await;
    assert_eq!(machine.token(Some("one"), "sandbox", &[]).await.status, 200);
    let reply = machine.token(Some("one"), "production", &[]).await;
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_client")), "{reply:?}");
    // Another client's name beside it.
    let reply = machine.token(Some("one"), "sandbox", &["-d", "client_id=globex/other"]).await;
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_client")), "{reply:?}");
    assert_eq!(world.issued().await, 1);
}

/// M-22: a certificate that is revoked, whose integration is suspended, or whose time is over, is refused on the connection that is open.
#[tokio::test(flavor = "multi_thread")]
async fn m_22_what_ends_a_certificate_ends_it_on_an_open_connection() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    let (mut one, mut two) = (machine.connect("one"), machine.connect("two"));
    let (status, body) = one.token("production");
    assert_eq!(status, 200, "{body}");
    let token: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(two.token("production").0, 200);

    let revoke = json!({"certificate": format!("production/{}", machine.serial("one").await), "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    let (status, body) = one.token("production");
    assert!(status == 400 && body.contains("certificate.revoked"), "{status} {body}");
    assert_eq!(two.token("production").0, 200, "the other one is another certificate");
    // What it got is cut with it (docs/explanation/revocation.md), also for who sees the token alone: the line of its integration there has moved.
    let entry = claims(token["access_token"].as_str().expect("a token"))["entry"].as_u64().expect("an entry");
    let lines = world.running.as_ref().expect("running").broker.journal.view().state.revoked_before.clone();
    let here = |key: &str| key == "integration:globex/order-sync/production";
    assert!(lines.iter().any(|(key, line)| here(key.as_str()) && *line > entry), "{lines:?}");
    let seen = world.introspect("production", token["access_token"].as_str().expect("a token")).await.json();
    assert_eq!(seen, json!({"active": false}));
    // It renews nothing, and its key enrols no more.
    machine.request("three", P256, "").await;
    let refused = machine.enrol("production", "simplereenroll", "three", Some("one"), None).await;
    assert!(refused.status == 403 && refused.body.contains("certificate.revoked"), "{refused:?}");
    std::fs::copy(machine.path("one.csr"), machine.path("again.csr")).expect("copied");
    let refused = machine.enrol("production", "simplereenroll", "again", Some("two"), None).await;
    assert!(refused.status == 400 && refused.body.contains("enrolment.revoked-key"), "{refused:?}");
    // And the world is told: openssl refuses it by the list.
    let text = machine.openssl("x509 -in one.pem -noout -text").await;
    let place = text.split("URI:http://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a place of the list");
    let path = place.split_once('/').map(|(_, path)| format!("/{path}")).expect("a path");
    let list = crate::world::get(world.public, &path).await;
    assert_eq!(crate::world::get(world.public, "/production/crl/none").await.status, 404);
    assert_eq!(crate::world::get(world.public, "/production/crl").await.header("content-type"), Some("application/pkix-crl"));
    std::fs::write(machine.path("list.der"), &list.body).expect("written");
    machine.openssl("crl -inform DER -in list.der -out list.pem").await;
    machine.openssl("crl -inform DER -in list.der -noout -CAfile ca.pem -verify").await;
    let text = machine.openssl("crl -inform DER -in list.der -noout -text").await;
    assert!(
        text.contains("X509v3 CRL Number") && text.contains("Next Update") && text.contains("Authority Key Identifier"),
        "{text}"
    );
    machine.openssl("verify -crl_check -CAfile ca.pem -CRLfile list.pem two.pem").await;
    let refused = machine.try_openssl(&["verify", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "list.pem", "one.pem"]).await;
    assert!(refused.expect_err("it is revoked").contains("certificate revoked"));

    // Whoever asks of one certificate is told the same.
    let port = world.public.port();
    machine.issuing("issuing.pem").await;
    // C-5: openssl speaks HTTP/1.0 and leaves the port out of Host.
    let url = format!("-url http://127.0.0.1:{port}/production/ocsp -CAfile ca.pem -issuer issuing.pem");
    let good = machine.openssl(&format!("ocsp {url} -cert two.pem -resp_text -reqout question.der")).await;
    for expected in ["two.pem: good", "OCSP Signing", "OCSP No Check", "OCSP Nonce"] {
        assert!(good.contains(expected), "{expected}: {good}");
    }
    let told = machine.openssl(&format!("ocsp {url} -sha256 -cert one.pem")).await;
    assert!(told.contains("one.pem: revoked") && told.contains("cessationOfOperation"), "{told}");
    let told = machine.openssl(&format!("ocsp {url} -serial 0x4142434445464748494a4b4c4d4e4f50")).await;
    assert!(told.contains(": unknown"), "{told}");
    // The same question in a path; and what is no question, or about somebody else's certificate.
    machine.openssl("base64 -A -in question.der -out question.b64").await;
    let path = machine.read("question.b64").trim().replace('+', "%2B").replace('=', "%3D");
    let answer = crate::world::get(world.public, &format!("/production/ocsp/{path}")).await;
    assert_eq!(answer.header("content-type"), Some("application/ocsp-response"));
    std::fs::write(machine.path("answer.der"), &answer.body).expect("written");
    let read = "ocsp -respin answer.der -no_nonce -CAfile ca.pem -issuer issuing.pem -cert two.pem";
    assert!(machine.openssl(read).await.contains("two.pem: good"));
    // C-5: every octet may be escaped; and the path names the environment, whatever the host, or none as in HTTP/1.0.
    let question = std::fs::read(machine.path("question.der")).expect("a question");
    let escaped: String = machine.read("question.b64").trim().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let post = |host: &str| {
        let kind = "content-type: application/ocsp-request";
        let head = format!("POST /production/ocsp HTTP/1.0\r\n{host}{kind}\r\ncontent-length: {}\r\n\r\n", question.len());
        [head.as_bytes(), &question].concat()
    };
    for request in [
        post(""),
        post("Host: 127.0.0.1\r\n"),
        post("Host: ocsp.acme.example\r\n"),
        format!("GET /production/ocsp/{escaped} HTTP/1.0\r\n\r\n").into_bytes(),
    ] {
        let answer = crate::world::client::raw(world.public, &request).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/ocsp-response")),
            "{}",
            answer.status
        );
        std::fs::write(machine.path("answer.der"), &answer.body).expect("written");
        assert!(machine.openssl(read).await.contains("two.pem: good"));
    }
    for broken in ["%", "%4", "%zz", "%2", "M%"] {
        let answer = crate::world::get(world.public, &format!("/production/ocsp/{broken}")).await;
        assert_eq!(answer.body, [0x30, 3, 0x0a, 1, 1], "{broken}");
    }
    let other = send(world.public, "POST", "/production/ocsp", &[("content-type", "text/plain")], &question).await;
    assert_eq!(other.body, [0x30, 3, 0x0a, 1, 1], "it says that it is something else");
    let list = crate::world::client::raw(world.public, b"GET /production/crl HTTP/1.0\r\n\r\n").await;
    assert_eq!((list.status, list.header("content-type")), (200, Some("application/pkix-crl")));
    // C-8: whoever has a list that says the same is not sent another one.
    let tag = list.header("etag").expect("a tag").to_owned();
    let again = send(world.public, "GET", "/production/crl", &[("if-none-match", &format!("\"x\", {tag}"))], b"").await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag.as_str())));
    let malformed = send(world.public, "POST", "/production/ocsp", &[("content-type", "application/ocsp-request")], b"x").await;
    assert_eq!(malformed.body, [0x30, 3, 0x0a, 1, 1]);
    let elsewhere = std::fs::read(machine.path("question.der")).expect("a question");
    let elsewhere = send(world.public, "POST", "/sandbox/ocsp", &[], &elsewhere).await;
    assert_eq!(elsewhere.body, [0x30, 3, 0x0a, 1, 6]);

    // Its time is over: the connection was opened in time.
    world.advance(24 * 3600 + 60).await;
    let (status, body) = two.token("production");
    assert!(status == 400 && body.contains("certificate.expired"), "{status} {body}");
    assert_eq!(machine.token(Some("two"), "production", &[]).await.status, 0, "a new handshake fails (M-02)");
}

/// Strangers ask, and each certificate of ours is an entry for ever: however many ask at once, one responder is made.
#[tokio::test(flavor = "multi_thread")]
async fn many_questions_at_once_make_one_responder() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    machine.issuing("issuing.pem").await;
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -reqout question.der").await;
    let question = std::fs::read(machine.path("question.der")).expect("a question");
    // Some hang up before they are answered; what they began is done to its end, and the others wait for it.
    for milliseconds in 1..10 {
        let left = send(world.public, "POST", "/production/ocsp", &[], &question);
        let _left = tokio::time::timeout(std::time::Duration::from_millis(milliseconds), left).await;
    }
    assert!(send(world.public, "POST", "/production/ocsp", &[], &question).await.body.len() > 100);
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (question, public) = (question.clone(), world.public);
        asked.spawn(async move { send(public, "POST", "/production/ocsp", &[], &question).await.body });
    }
    let ours = async || {
        let entries = world.admin_get("/v1/journal?kind=certificate.server-issued&limit=1000", "alan").await;
        let entries = entries["items"].as_array().expect("items").clone();
        entries.iter().filter(|entry| entry.to_string().contains("responder")).count()
    };
    // "Try later" (RFC 6960 section 4.2.1) is for those who would wait too long for the one that is made.
    for answer in asked.join_all().await {
        assert!(answer.len() > 100 || answer == [0x30, 3, 10, 1, 3], "{answer:?}");
    }
    assert!(send(world.public, "POST", "/production/ocsp", &[], &question).await.body.len() > 100);
    assert_eq!(ours().await, 1);
    // Past half of its life the next one is made, once again.
    world.advance(i64::from(carnet::domain::credential::certificate::SERVER_LIFE.0) / 2 + 60).await;
    let before = ours().await;
    for _ in 0..5 {
        assert!(send(world.public, "POST", "/production/ocsp", &[], &question).await.body.len() > 100);
    }
    assert_eq!(ours().await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn m_22_a_suspended_integration_is_refused_on_an_open_connection() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    let mut one = machine.connect("one");
    assert_eq!(one.token("production").0, 200);
    let path = "/v1/integrations/globex/order-sync/suspend";
    assert!(world.admin_post(path, "sven", &json!({"reason": "incident"})).await.status < 300);
    let (status, body) = one.token("production");
    assert!(status == 400 && body.contains("integration.suspended"), "{status} {body}");
    machine.request("two", P256, "").await;
    let refused = machine.enrol("production", "simplereenroll", "two", Some("one"), None).await;
    assert!(refused.status == 400 && refused.body.contains("enrolment.no-binding"), "{refused:?}");
}

/// T-09, certificate column: a token ends with the certificate that it is bound to; where less than the shortest life is left, there is none.
#[tokio::test(flavor = "multi_thread")]
async fn t_09_a_token_ends_with_its_certificate() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    let ends = world.admin_get("/v1/certificates", "alan").await["items"][0]["ends"].as_i64().expect("an end");
    let mut one = machine.connect("one");
    world.advance(ends - world.clock.seconds() - 100).await;
    let (status, body) = one.token("production");
    assert_eq!(status, 200, "{body}");
    let token: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(claims(token["access_token"].as_str().expect("a token"))["exp"], ends);
    world.advance(ends - world.clock.seconds() - 10).await;
    let (status, body) = one.token("production");
    assert!(status == 400 && body.contains("life.too-short"), "{status} {body}");
}

/// a request gives a key and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_20_a_request_gives_a_key_and_nothing_else() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    let foreign = [
        " -addext subjectAltName=URI:spiffe://production.127.0.0.1/initech/order-sync",
        " -addext subjectAltName=URI:spiffe://production.127.0.0.1/globex/order-sync,DNS:globex.example",
        " -addext subjectAltName=DNS:globex.example",
        " -subj /CN=initech\\/order-sync",
        " -subj /O=Globex",
    ];
    for (number, names) in foreign.iter().enumerate() {
        let name = format!("foreign{number}");
        machine.request(&name, P256, names).await;
        let reply = machine.enrol("production", "simplereenroll", &name, Some("one"), None).await;
        assert!(reply.status == 400 && reply.body.contains("enrolment.foreign-name"), "{names}: {reply:?}");
    }
    for (number, weak) in [
        "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        "-algorithm EC -pkeyopt ec_paramgen_curve:secp521r1",
        "-algorithm ED448",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("weak{number}");
        machine.request(&name, weak, "").await;
        let reply = machine.enrol("production", "simplereenroll", &name, Some("one"), None).await;
        assert!(reply.status == 400 && reply.body.contains("enrolment.weak-key"), "{weak}: {reply:?}");
    }
    // Wishes are not names: an authority that can sign anything for ever becomes a leaf of a day.
    let own = " -addext subjectAltName=URI:spiffe://production.127.0.0.1/globex/order-sync";
    let wishes = format!(
        "{own} -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign -addext extendedKeyUsage=anyExtendedKeyUsage"
    );
    for (name, key, more) in [
        ("wishes", P256, wishes.as_str()),
        ("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", ""),
        ("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", ""),
        ("ed", "-algorithm ED25519", ""),
    ] {
        machine.request(name, key, more).await;
        let reply = machine.enrol("production", "simplereenroll", name, Some("one"), None).await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        let text = machine.openssl(&format!("x509 -in {name}.pem -noout -text")).await;
        assert!(text.contains("CA:FALSE") && !text.contains("Any Extended") && !text.contains("Certificate Sign"), "{text}");
        machine.openssl(&format!("verify -x509_strict -purpose sslclient -CAfile ca.pem {name}.pem")).await;
        assert_eq!(machine.token(Some(name), "production", &[]).await.status, 200, "{name}");
    }
    // The same key as of a certificate that lives, its point written in another form: it could come back after a revocation.
    machine.openssl("ec -in one.key -conv_form compressed -out compressed.key").await;
    machine.openssl("req -new -key compressed.key -subj / -outform DER -out compressed.csr.der").await;
    machine.openssl("base64 -in compressed.csr.der -out compressed.csr").await;
    let reply = machine.enrol("production", "simplereenroll", "compressed", Some("one"), None).await;
    assert!(reply.status == 400 && reply.body.contains("enrolment.weak-key"), "{reply:?}");
    // Proof of possession: by a hash that collides, and the signature of another key.
    machine.openssl("req -new -key rsa.key -sha1 -subj / -outform DER -out sha1.csr.der").await;
    machine.openssl("base64 -in sha1.csr.der -out sha1.csr").await;
    let reply = machine.enrol("production", "simplereenroll", "sha1", Some("one"), None).await;
    assert!(reply.status == 400 && reply.body.contains("enrolment.malformed"), "{reply:?}");
    let mut bent = std::fs::read(machine.path("p384.csr.der")).expect("a request");
    *bent.last_mut().expect("bytes") ^= 1;
    std::fs::write(machine.path("bent.csr.der"), bent).expect("written");
    machine.openssl("base64 -in bent.csr.der -out bent.csr").await;
    let reply = machine.enrol("production", "simplereenroll", "bent", Some("one"), None).await;
    assert!(reply.status == 400 && reply.body.contains("enrolment.malformed"), "{reply:?}");
    assert_eq!(certificates_on_record(&world).await, 5);
    let _kept = machine.folder();
}

/// The same by the program, as operators type it.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_approves_shows_rotates_and_revokes() {
    let world = world().await;
    let (ann, sven, adam) = (Program::of(&world, "ann"), Program::of(&world, "sven"), Program::of(&world, "adam"));
    let machine = Machine::new(&world).await;
    let pem = ann.run(&["ca", "show", "production", "--pem"]).await.ended(0).stdout;
    std::fs::write(machine.path("ca.pem"), pem).expect("written");

    let asked =
        ann.run(&["ca", "issue", "globex/order-sync", "--env", "production", "--reason", "a machine", "-o", "json"]).await;
    let asked = asked.ended(0);
    // W-2: the next steps are told in lines.
    let lines: Vec<&str> = asked.stderr.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("then, ") && !asked.stderr.contains("\\n"), "{asked:?}");
    let asked = asked.json();
    let approval = asked["approval"].as_str().expect("an approval");
    let seen = sven.run(&["approvals", "-o", "json"]).await.ended(0).json();
    assert!(seen.as_array().expect("a list").iter().any(|one| one["id"] == approval && one["kind"] == "enrolment"), "{seen}");
    sven.review("approve", approval, &["--reason", "it is ours"]).await.ended(0);
    machine.request("one", P256, "").await;
    let user = format!("globex/order-sync:{}", asked["token"].as_str().expect("a token"));
    let reply = machine.enrol("production", "simpleenroll", "one", None, Some(&user)).await;
    assert_eq!(reply.status, 200, "{reply:?}");

    // Another issuing key under the same root: what the first one signed still counts, and what the next one signs as well.
    let before = machine.read("one.pem");
    adam.run(&["ca", "rotate", "production", "--reason", "yearly"]).await.ended(0);
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200);
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    assert_eq!(machine.token(Some("two"), "production", &[]).await.status, 200);
    // From the root that was trusted all along; the issuing certificates come from the authority, not with the one that was issued.
    std::fs::copy(machine.path("ca.pem"), machine.path("root.pem")).expect("copied");
    machine.authorities("production").await;
    machine.openssl("verify -CAfile root.pem -untrusted ca.pem two.pem").await;
    assert_ne!(before, machine.read("two.pem"));

    // Each certificate names the list of the key that signed it, and both lists verify.
    for name in ["one", "two"] {
        let text = machine.openssl(&format!("x509 -in {name}.pem -noout -text")).await;
        let place = text.split("URI:http://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a place");
        let list = crate::world::get(world.public, &format!("/{}", place.split_once('/').expect("a path").1)).await;
        std::fs::write(machine.path("list.der"), &list.body).expect("written");
        machine.openssl("crl -inform DER -in list.der -out list.pem").await;
        let verified = format!("verify -crl_check -CAfile root.pem -untrusted ca.pem -CRLfile list.pem {name}.pem");
        machine.openssl(&verified).await;
    }

    let serial = machine.serial("one").await;
    let shown = sven.run(&["ca", "show", "production"]).await.ended(0).stdout;
    assert!(shown.contains(&serial) && shown.contains("retiring"), "{shown}");
    adam.run(&["ca", "revoke", "production", &serial, "--reason", "x"]).await.ended(3);
    sven.run(&["ca", "revoke", "production", &serial, "--reason", "stolen"]).await.ended(0);
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 400);
    assert_eq!(machine.token(Some("two"), "production", &[]).await.status, 200);
}

/// The usual records with certificates.
pub async fn onboard(world: &World) {
    world.onboard(&with_certificates(&world.partner.issuer)).await;
}

/// The one-time token of an approved enrolment.
pub async fn enrolment_token(world: &World, environment: &str) -> String {
    let (user, approval) = ask(world, environment).await;
    assert_eq!(review(world, &approval, "sven").await, 200);
    user.rsplit_once(':').expect("a token").1.to_owned()
}

/// For a world whose proxies are trusted: a token bound to a certificate, that certificate as `Client-Cert` has it, and another one.
pub async fn bound_by_proxy(world: &World) -> (String, String, String) {
    world.onboard(&with_certificates(&world.partner.issuer)).await;
    world.clock.synchronise();
    let machine = enrolled(world, "production").await;
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    let mut fields = Vec::new();
    for name in ["one", "two"] {
        machine.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der")).await;
        machine.openssl(&format!("base64 -A -in {name}.der -out {name}.b64")).await;
        fields.push(format!(":{}:", machine.read(&format!("{name}.b64")).trim()));
    }
    let minted = machine.token(Some("one"), "production", &[]).await;
    assert_eq!(minted.status, 200, "{minted:?}");
    let token = minted.json()["access_token"].as_str().expect("a token").to_owned();
    let other = fields.pop().expect("two");
    (token, fields.pop().expect("one"), other)
}

/// C-5: environments that share a path are told apart by the host, which `openssl ocsp` sends without its port.
#[tokio::test]
async fn c_05_a_host_without_its_port_tells_environments_apart() {
    let two = "[environments.blue]\nissuer = \"https://blue.example:8443/shared\"\n[environments.green]\nissuer = \"https://green.example:8443/shared\"\n";
    let world = World::with(Options { configuration: two.to_owned(), ..Options::default() }).await;
    for (host, status) in [
        ("blue.example:8443", 200),
        ("blue.example", 200),
        ("GREEN.example", 200),
        ("red.example", 421),
        ("red.example:8443", 421),
        ("blue.example.red.example", 421),
    ] {
        let kind = "content-type: application/ocsp-request\r\ncontent-length: 1";
        for raw in [
            format!("POST /shared/ocsp HTTP/1.0\r\nhost: {host}\r\n{kind}\r\n\r\nx"),
            format!("GET /shared/ocsp/eA%3D%3D HTTP/1.0\r\nhost: {host}\r\n\r\n"),
        ] {
            let answer = crate::world::client::raw(world.public, raw.as_bytes()).await;
            assert_eq!(answer.status, status, "{raw}: {}", answer.text());
            let is_answered = answer.header("content-type") == Some("application/ocsp-response");
            assert_eq!(is_answered, status == 200, "{raw}");
        }
    }
    // Elsewhere a host is its port, too.
    let raw = "GET /shared/jwks HTTP/1.0\r\nhost: blue.example\r\n\r\n";
    assert_eq!(crate::world::client::raw(world.public, raw.as_bytes()).await.status, 421);
}

/// C-4: the unmodified EST client of GlobalSign enrols and re-enrols. It takes an answer of exactly one certificate, in the order of DER.
#[tokio::test(flavor = "multi_thread")]
async fn c_04_a_client_of_others_enrols_and_re_enrols() {
    let world = world().await;
    let machine = Machine::new(&world).await;
    let (user, approval) = ask(&world, "production").await;
    assert_eq!(review(&world, &approval, "sven").await, 200);
    // It takes one trusted certificate: the root, from which the socket's own chain leads on.
    machine.root("root.pem").await;
    let run = async |arguments: &[&str]| {
        let mut command = crate::interop::process::built("estclient");
        command.args(arguments).args(["-server", &machine.host(), "-explicit", "root.pem", "-aps", "production"]);
        command.current_dir(machine.folder());
        crate::interop::process::output(command, String::new()).await
    };
    let authorities = run(&["cacerts"]).await;
    assert_eq!(authorities.matches("BEGIN CERTIFICATE").count(), 2, "{authorities}");
    machine.request("one", P256, "").await;
    machine.openssl("req -inform DER -in one.csr.der -out one.csr.pem").await;
    let (name, token) = user.rsplit_once(':').expect("a token");
    run(&["enroll", "-csr", "one.csr.pem", "-user", name, "-pass", token, "-out", "one.pem"]).await;
    machine.openssl("verify -CAfile ca.pem one.pem").await;
    let first = machine.serial("one").await;
    run(&["reenroll", "-csr", "one.csr.pem", "-certs", "one.pem", "-key", "one.key", "-out", "two.pem"]).await;
    assert_ne!(machine.serial("two").await, first);
    std::fs::copy(machine.path("two.pem"), machine.path("one.pem")).expect("copied");
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200);
    assert_eq!(machine.read("one.pem").matches("BEGIN CERTIFICATE").count(), 1);
}

/// C-4, by curl and openssl: one certificate, and the fields of RFC 7030 section 4.2.3.
#[tokio::test(flavor = "multi_thread")]
async fn c_04_an_answer_holds_exactly_the_certificate_that_was_issued() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    for (operation, with) in [("simplereenroll", Some("one")), ("cacerts", None)] {
        let more = ["-D", "head", "-H", "content-type: application/pkcs10; charset=\"UTF-8\";", "--data-binary", "@one.csr"];
        let more = if operation == "cacerts" { &more[..2] } else { &more[..] };
        let reply = machine.curl(with, &format!("/.well-known/est/production/{operation}"), more).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let head = machine.read("head").to_ascii_lowercase();
        assert!(head.contains("content-transfer-encoding: base64"), "{head}");
        assert!(head.contains("content-type: application/pkcs7-mime; smime-type=certs-only"), "{head}");
        std::fs::write(machine.path("answer.p7"), &reply.body).expect("written");
        machine.openssl("base64 -d -in answer.p7 -out answer.der").await;
        let printed = machine.openssl("pkcs7 -inform DER -in answer.der -print_certs").await;
        let wanted = if operation == "cacerts" { 2 } else { 1 };
        assert_eq!(printed.matches("BEGIN CERTIFICATE").count(), wanted, "{printed}");
    }
}

/// S-9: each certificate is an entry for ever, so one integration gets so many an hour.
#[tokio::test(flavor = "multi_thread")]
async fn s_09_re_enrolment_is_bounded() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    let renew = async || machine.enrol("production", "simplereenroll", "one", Some("one"), None).await;
    for _ in 1..60 {
        let reply = renew().await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    for _ in 0..3 {
        let reply = renew().await;
        assert!(reply.status == 429 && reply.body.starts_with("quota.exceeded: "), "{reply:?}");
    }
    assert_eq!(certificates_on_record(&world).await, 60);
    // The certificate in use still buys tokens.
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200);
}

/// RFC 9440: a proxy that ends TLS hands the certificate on. Only one that the operator named, and only in one readable field.
#[tokio::test(flavor = "multi_thread")]
async fn a_named_proxy_hands_the_certificate_on() {
    let world =
        World::with(Options { configuration: "trusted_proxies = [\"127.0.0.0/8\"]\n".to_owned(), ..Options::default() }).await;
    world.onboard(&with_certificates(&world.partner.issuer)).await;
    world.clock.synchronise();
    let machine = enrolled(&world, "production").await;
    machine.openssl("x509 -in one.pem -outform DER -out one.der").await;
    machine.openssl("base64 -A -in one.der -out one.b64").await;
    let field = format!(":{}:", machine.read("one.b64").trim());
    let form = b"grant_type=client_credentials&client_id=globex%2Forder-sync&audience=orders-api&scope=orders%3Aread";
    let ask = async |fields: &[&str]| {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(fields.iter().map(|field| ("client-cert", *field)));
        send(world.public, "POST", "/production/token", &headers, form).await
    };
    let none = ask(&[]).await;
    assert_eq!((none.status, &none.json()["error"]), (400, &json!("invalid_client")), "{}", none.text());
    // S-12: what a trusted proxy sends is read or refused. Dropped, the second of these would be given a token that is bound to nothing.
    let exchange = async |fields: &[(&str, &str)]| {
        let assertion = world.assertion("production");
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={assertion}&subject_token_type=urn%3A\
             ietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&audience=orders-api&scope=orders%3Aread"
        );
        let headers = [&[("content-type", "application/x-www-form-urlencoded")], fields].concat();
        send(world.public, "POST", "/production/token", &headers, form.as_bytes()).await
    };
    let long = format!(":{}:", "MIIB".repeat(2500));
    for bad in [
        vec![field.as_str(), field.as_str()],
        vec![field.trim_matches(':')],
        vec!["::"],
        vec![""],
        vec![":eHg=:"],
        vec![":%%:"],
        vec!["-----BEGIN CERTIFICATE-----"],
        vec![long.as_str()],
    ] {
        let fields: Vec<(&str, &str)> = bad.iter().map(|field| ("client-cert", *field)).collect();
        for answer in [ask(&bad).await, exchange(&fields).await] {
            assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")), "{}", answer.text());
        }
    }
    for chain in ["", ":eHg=:", "x", &format!("{field}, ")] {
        let answer = exchange(&[("client-cert", &field), ("client-cert-chain", chain)]).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")), "{chain}: {}", answer.text());
    }
    let orphan = exchange(&[("client-cert-chain", &field)]).await;
    assert_eq!((orphan.status, &orphan.json()["error"]), (400, &json!("invalid_request")), "{}", orphan.text());
    // Nor is one that verifies nowhere here passed over.
    let key = rcgen::KeyPair::generate().expect("a key");
    let foreign =
        rcgen::CertificateParams::new(vec!["x.example".to_owned()]).expect("a name").self_signed(&key).expect("signed");
    let foreign = format!(":{}:", base64::engine::general_purpose::STANDARD.encode(foreign.der()));
    for answer in [ask(&[&foreign]).await, exchange(&[("client-cert", &foreign)]).await] {
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_client")), "{}", answer.text());
    }
    let asking = [("content-type", "application/x-www-form-urlencoded"), ("client-cert", foreign.as_str())];
    for endpoint in ["introspect", "revoke"] {
        let form = format!(
            "token=x&client_assertion={}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
            world.api_proof("production")
        );
        let answer = send(world.public, "POST", &format!("/production/{endpoint}"), &asking, form.as_bytes()).await;
        assert_eq!(answer.status, 401, "{endpoint}: {}", answer.text());
    }
    // Probes are answered whatever the proxy says.
    assert_eq!(send(world.public, "GET", "/livez", &[("client-cert", "::"), ("forwarded", "x")], b"").await.status, 200);
    assert_eq!(world.issued().await, 0);
    let answer = ask(&[&field]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let thumbprint = machine.thumbprint("one").await;
    assert_eq!(claims(answer.json()["access_token"].as_str().expect("a token"))["cnf"]["x5t#S256"], thumbprint);
    let revoke = json!({"certificate": format!("production/{}", machine.serial("one").await), "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    assert_eq!(ask(&[&field]).await.json()["reason"], "certificate.revoked");
    // From a peer that is no trusted proxy the fields say nothing (ABUSE M-16).
    let closed = World::start().await;
    let headers = [("client-cert", "::"), ("client-cert-chain", "x"), ("forwarded", "nonsense")];
    assert_eq!(send(closed.public, "GET", "/production/jwks", &headers, b"").await.status, 200);
}

/// While the live index is ahead of the journal, the journal may have lost a revocation: no certificate is issued or called good.
#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_is_issued_or_called_good_while_the_live_index_is_ahead() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    world.onboard(&with_certificates(&world.partner.issuer)).await;
    world.clock.synchronise();
    let machine = enrolled(&world, "production").await;
    let (user, approval) = ask(&world, "production").await;
    assert_eq!(review(&world, &approval, "sven").await, 200);
    machine.request("two", P256, "").await;
    machine.issuing("issuing.pem").await;
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -reqout question.der").await;
    let question = std::fs::read(machine.path("question.der")).expect("a question");
    let status = async || {
        let kind = [("content-type", "application/ocsp-request")];
        send(world.public, "POST", "/production/ocsp", &kind, &question).await.body
    };
    let is_ready = async |wanted: u16| {
        for _ in 0..200 {
            if crate::world::get(world.public, "/readyz").await.status == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("/readyz did not become {wanted}");
    };
    let later = [0x30, 3, 0x0a, 1, 3];
    assert_ne!(status().await, later);

    let redis = world.redis.as_ref().expect("redis");
    redis.command(&["HSET", "carnet:{production}:complete", "index", "999999"]);
    is_ready(503).await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let first = machine.enrol("production", "simpleenroll", "two", None, Some(&user)).await;
    let renewed = machine.enrol("production", "simplereenroll", "two", Some("one"), None).await;
    assert_eq!((first.status, renewed.status), (503, 503), "{first:?} {renewed:?}");
    assert_eq!(status().await, later);
    assert_eq!(crate::world::get(world.public, "/production/crl").await.status, 503);
    assert_eq!(certificates_on_record(&world).await, 1);
    // Redis that goes away takes the doubt along to nowhere.
    redis.signal("-STOP");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(status().await, later);
    assert_eq!(crate::world::get(world.public, "/production/crl").await.status, 503);
    redis.signal("-CONT");
    // Nor does a value that says nothing, in the place of the one that said it.
    redis.command(&["HSET", "carnet:{production}:complete", "index", "banana"]);
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let told = crate::world::get(world.admin, "/readyz?verbose").await.text();
    assert!(told.contains("its index is no number"), "{told}");
    assert_eq!(status().await, later);
    assert_eq!(crate::world::get(world.public, "/production/crl").await.status, 503);

    redis.command(&["DEL", "carnet:{production}:complete"]);
    is_ready(200).await;
    assert_eq!(machine.enrol("production", "simpleenroll", "two", None, Some(&user)).await.status, 200);
    assert_ne!(status().await, later);
    assert_eq!(crate::world::get(world.public, "/production/crl").await.status, 200);
    assert_eq!(certificates_on_record(&world).await, 2);
}

/// A live index that has not answered since the start may hold what the journal lost: no certificate is called good until it is heard. The
/// mTLS socket has its certificate all the same, and answers that it cannot.
#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_is_called_good_before_the_live_index_is_heard() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    world.onboard(&with_certificates(&world.partner.issuer)).await;
    world.clock.synchronise();
    let mut machine = enrolled(&world, "production").await;
    machine.request("two", P256, "").await;
    machine.issuing("issuing.pem").await;
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -reqout question.der").await;
    let question = std::fs::read(machine.path("question.der")).expect("a question");
    let kind = [("content-type", "application/ocsp-request")];
    let later = [0x30, 3, 0x0a, 1, 3];

    world.stop().await;
    world.redis.as_ref().expect("redis").signal("-STOP");
    world.boot().await;
    machine.follow(&world);
    for _ in 0..3 {
        assert_eq!(crate::world::get(world.public, "/production/crl").await.status, 503);
        assert_eq!(send(world.public, "POST", "/production/ocsp", &kind, &question).await.body, later);
        let renewed = machine.enrol("production", "simplereenroll", "two", Some("one"), None).await;
        assert_eq!(renewed.status, 503, "{renewed:?}");
        let known = machine.curl(None, "/.well-known/est/production/cacerts", &[]).await;
        assert_eq!(known.status, 200, "the socket presents a certificate of the authority: {known:?}");
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    assert_eq!(certificates_on_record(&world).await, 1);

    world.redis.as_ref().expect("redis").signal("-CONT");
    for _ in 0..200 {
        if crate::world::get(world.public, "/readyz").await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(crate::world::get(world.public, "/production/crl").await.status, 200);
    assert_ne!(send(world.public, "POST", "/production/ocsp", &kind, &question).await.body, later);
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
}

/// After a restore nobody knows which certificates were revoked since: every authority is tainted, the node runs all the same, and an operator
/// makes a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_journal_trusts_no_certificate_until_an_operator_makes_an_authority() {
    let mut world = world().await;
    let machine = enrolled(&world, "production").await;
    let old = machine.read("ca.pem");
    world.stop().await;
    let config = world.folder.path().join("carnet.toml").display().to_string();
    let origin = std::fs::read_to_string(&config).expect("a file");
    let origin =
        origin.lines().find_map(|line| line.strip_prefix("origin = ")).expect("an origin").trim_matches('"').to_owned();
    Program::alone().run(&["journal", "reopen", "-c", &config, "--confirm", &origin]).await.ended(0);
    world.boot().await;
    let seen = world.admin_get("/v1/authorities?environment=production", "alan").await;
    assert!(seen["items"].as_array().expect("items").iter().all(|one| one["state"] == "tainted"), "{seen}");
    assert_eq!(crate::world::get(world.public, "/production/crl").await.status, 503);

    Program::of(&world, "adam").run(&["ca", "rotate", "production", "--reason", "restored"]).await.ended(0);
    let again = Machine::new_when_ready(&world).await;
    assert_ne!(again.read("ca.pem"), old, "another root");
    std::fs::copy(machine.path("one.pem"), again.path("one.pem")).expect("copied");
    std::fs::copy(machine.path("one.key"), again.path("one.key")).expect("copied");
    assert_eq!(again.token(Some("one"), "production", &[]).await.status, 0, "the handshake fails");
}

/// The example of a workload: enrols, renews, and leaves a pair that works, or the one that was there.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_script_enrols_and_renews() {
    let world = world().await;
    let machine = Machine::new(&world).await;
    let (user, approval) = ask(&world, "production").await;
    assert_eq!(review(&world, &approval, "sven").await, 200);
    std::fs::write(machine.path("token"), user.rsplit_once(':').expect("a token").1).expect("written");
    let run = async |verb: &str| {
        let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients/certificate.sh"));
        command
            .arg(verb)
            .current_dir(machine.folder())
            .env("CARNET_MTLS", &machine.mtls)
            .env("CARNET_ENVIRONMENT", "production");
        command.env("CARNET_CA", "ca.pem").env("CARNET_DIR", "own").env("CARNET_INTEGRATION", "globex/order-sync");
        command.env("CARNET_ENROLMENT_FILE", "token");
        tokio::task::spawn_blocking(move || command.output().expect("the script runs")).await.expect("it ran")
    };
    assert_eq!(run("renew").await.status.code(), Some(58), "curl has no certificate to show yet");
    let enrolled = run("enrol").await;
    assert!(enrolled.status.success(), "{enrolled:?}");
    let first = machine.serial("own/current/chain").await;
    let refused = run("enrol").await;
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("enrolment.refused"), "{refused:?}");
    assert_eq!(machine.serial("own/current/chain").await, first, "the pair stays");
    assert!(run("renew").await.status.success());
    assert_ne!(machine.serial("own/current/chain").await, first);
    // One pair and the link to it; nothing else is left.
    assert_eq!(std::fs::read_dir(machine.path("own")).expect("a folder").count(), 2);
    std::fs::copy(machine.path("own/current/chain.pem"), machine.path("own.pem")).expect("copied");
    std::fs::copy(machine.path("own/current/key.pem"), machine.path("own.key")).expect("copied");
    assert_eq!(machine.token(Some("own"), "production", &[]).await.status, 200);
}

/// `require: dual`: an assertion and a certificate of one integration. Whoever has one of them has nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_asks_for_two_proofs_takes_neither_alone() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    let usual = with_certificates(&world.partner.issuer);
    let dual = usual.replacen("  production:\n    bindings:\n", "  production:\n    require: dual\n    bindings:\n", 1);
    assert_ne!(dual, usual);
    world.onboard(&dual).await;
    let before = world.issued().await;
    let assertion = world.assertion("production");
    let alone = world.exchange("production", &assertion, "orders:read").await;
    assert_eq!((alone.status, &alone.json()["reason"]), (400, &json!("proof.single")), "{}", alone.text());
    let proof = crate::possession::fresh_proof(&world).await;
    let form = format!(
        "grant_type=client_credentials&client_assertion={assertion}&audience=orders-api&scope=orders%3Aread&client_assertion_type={}",
        "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("dpop", proof.as_str())];
    let bound = send(world.public, "POST", "/production/token", &headers, form.as_bytes()).await;
    assert_eq!((bound.status, &bound.json()["reason"]), (400, &json!("proof.single")), "{}", bound.text());
    let certificate = machine.token(Some("one"), "production", &[]).await;
    assert_eq!((certificate.status, &certificate.json()["reason"]), (400, &json!("proof.single")), "{certificate:?}");
    assert_eq!(world.issued().await, before);
    let assertion = format!("client_assertion={assertion}");
    let kind = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let both = machine.token(Some("one"), "production", &["-d", &assertion, "-d", kind]).await;
    assert_eq!(both.status, 200, "{both:?}");
    let token = both.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(claims(&token)["cnf"]["x5t#S256"], machine.thumbprint("one").await);
    // Less is a widening.
    let applied = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", usual))).await;
    assert!(applied.text().contains("WIDENS"), "{}", applied.text());
}

/// The cadence of the record: measured by the key and not by the certificate, shown, and a late key refused where the record says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_as_old_as_its_first_certificate_and_a_late_one_admits_no_more() {
    let world = world().await;
    let usual = with_certificates(&world.partner.issuer);
    let offboarding = "offboarding: {trigger: contract-end, contact: ops@globex.example}\n";
    let with = |more: &str| usual.replacen(offboarding, &format!("rotation: {{certificate: 1d{more}}}\n{offboarding}"), 1);
    world.onboard(&with("")).await;
    let machine = enrolled(&world, "production").await;
    let keys = async || world.admin_get("/v1/integrations/globex/order-sync", "alan").await["keys"].clone();
    let first = keys().await;
    assert_eq!((first.as_array().map(Vec::len), &first[0]["late"]), (Some(1), &json!(false)), "{first}");

    // Twenty hours later the same key gets another certificate, and is no younger for it.
    world.advance(20 * 3600).await;
    let renewed = machine.enrol("production", "simplereenroll", "one", Some("one"), None).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    world.advance(5 * 3600).await;
    let late = keys().await;
    assert_eq!((&late[0]["since"], &late[0]["late"]), (&first[0]["since"], &json!(true)), "{late}");
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200, "it is only shown");

    world.onboard(&with(", onLate: refuse")).await;
    let before = world.issued().await;
    let refused = machine.token(Some("one"), "production", &[]).await;
    assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!("certificate.key-late")), "{refused:?}");
    let again = machine.enrol("production", "simplereenroll", "one", Some("one"), None).await;
    assert!(again.status == 403 && again.body.contains("certificate.key-late"), "{again:?}");
    assert_eq!(world.issued().await, before);
    machine.request("two", P256, "").await;
    let renewed = machine.enrol("production", "simplereenroll", "two", Some("one"), None).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(machine.token(Some("two"), "production", &[]).await.status, 200);
}

/// The same for the keys of a partner's issuer: a key is as old as its first use here.
#[tokio::test]
async fn an_issuers_key_is_as_old_as_its_first_use_and_a_late_one_admits_no_more() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let offboarding = "offboarding: {trigger: contract-end, contact: ops@globex.example}\n";
    let with = |more: &str| usual.replacen(offboarding, &format!("rotation: {{issuerKeys: 1d{more}}}\n{offboarding}"), 1);
    let keys = async || world.admin_get("/v1/integrations/globex/order-sync", "alan").await["keys"].clone();
    world.minted().await;
    assert_eq!(keys().await, json!([]), "nothing is measured that no record asks for");
    world.onboard(&with("")).await;
    world.minted().await;
    let began = world.clock.seconds();
    let first = keys().await;
    let production = first.as_array().expect("keys").iter().find(|key| key["environment"] == "production").expect("a key");
    assert_eq!((&production["issuer"], &production["late"]), (&json!(world.partner.issuer), &json!(false)), "{first}");
    assert_eq!((production["since"].as_i64(), production["due"].as_i64()), (Some(began), Some(began + 86_400)));
    world.minted().await;
    let used = world.admin_get("/v1/journal?kind=issuer-key.first-used", "alan").await;
    assert_eq!(used["items"].as_array().map(Vec::len), Some(1), "{used}");
    world.advance(86_400).await;
    assert_eq!(keys().await[0]["late"], true);
    world.minted().await;
    world.onboard(&with(", onLate: refuse")).await;
    let before = world.issued().await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("assertion.key-late")), "{}", answer.text());
    assert_eq!(world.issued().await, before);
}

/// M-15: another certificate of the same integration, with another key, in the middle of an elevation: the elevation is the integration's.
/// Somebody else's certificate has none of it.
#[tokio::test(flavor = "multi_thread")]
async fn m_15_an_elevation_outlives_a_certificate_and_is_nobody_elses() {
    let world = world().await;
    world
        .onboard(&records::integration(&world.partner.issuer, "other-sync", "111222").replacen(
            "    scopes:\n      orders-api:\n",
            "      - {name: data-centre, mtls: {}}\n    scopes:\n      orders-api:\n",
            1,
        ))
        .await;
    let machine = enrolled(&world, "production").await;
    let body = json!({
        "api": "orders-api", "scopes": ["orders:write"], "duration": "30m", "reason": "a repair",
    });
    let arguments = ["-H", "content-type: application/json", "-d", &body.to_string()];
    let asked = machine.curl(Some("one"), "/production/elevations", &arguments).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = format!("/v1/elevations/{}", asked.json()["id"].as_str().expect("an id"));
    // Who enrolled the machine that asks does not agree to what it asks for: ann asked for its enrolment.
    let version = world.admin_get(&path, "alan").await["version"].clone();
    let word = json!({"verdict": "approve", "reason": "x", "version": version});
    let own = world.admin_post(&format!("{path}/reviews"), "ann", &word).await;
    assert_eq!((own.status, &own.json()["reason"]), (409, &json!("approval.own-request")), "{}", own.text());
    assert_eq!(world.admin_post(&format!("{path}/reviews"), "sara", &word).await.status, 200);
    let write = ["-d", "grant_type=client_credentials", "-d", "audience=orders-api", "-d", "scope=orders:write"];
    let token = async |name: &str, client: &str| {
        machine.curl(Some(name), "/production/token", &[&write[..], &["-d", client]].concat()).await
    };
    assert_eq!(token("one", "client_id=globex/order-sync").await.status, 200);
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    let renewed = token("two", "client_id=globex/order-sync").await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(
        claims(renewed.json()["access_token"].as_str().expect("a token"))["cnf"]["x5t#S256"],
        machine.thumbprint("two").await
    );
    // Another integration's machine.
    let body = json!({"integration": "globex/other-sync", "environment": "production", "reason": "another machine"});
    let asked = world.admin_post("/v1/enrolments", "ann", &body).await.json();
    assert_eq!(review(&world, &asked["approval"], "sven").await, 200);
    machine.request("other", P256, "").await;
    let user = format!("globex/other-sync:{}", asked["token"].as_str().expect("a token"));
    assert_eq!(machine.enrol("production", "simpleenroll", "other", None, Some(&user)).await.status, 200);
    let refused = token("other", "client_id=globex/other-sync").await;
    assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!("scope.needs-elevation")), "{refused:?}");
    let borrowed = token("other", "client_id=globex/order-sync").await;
    assert_eq!((borrowed.status, &borrowed.json()["error"]), (400, &json!("invalid_client")), "{borrowed:?}");
}
