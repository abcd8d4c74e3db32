//! SPIFFE: workloads of partners' trust domains, by JWT-SVID and X.509-SVID, and our own bundle. The trust domains are made by openssl.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::certificates::tool::{Machine, Reply};
use crate::cli::program::Program;
use crate::interop::process::{output, python};
use crate::uniqueness::integration;
use crate::world::issuer::{Behaviour, sign};
use crate::world::{Answer, Options, Provider, World, claims, get, records};

const ID: &str = "spiffe://mesh.globex.example/orders/sync";

/// A trust domain whose bundle is served where `mesh` serves its keys.
fn publish(mesh: &Provider, keys: &[Value], sequence: u64) {
    let bundle = json!({"keys": keys, "spiffe_sequence": sequence, "spiffe_refresh_hint": 300});
    mesh.behave(Behaviour { discovery: None, keys: Some((200, bundle.to_string())) });
}

fn jwt_key(of: &Provider) -> Value {
    let mut key = of.key.public().clone();
    key["use"] = "jwt-svid".into();
    key.as_object_mut().expect("a JWK").remove("alg");
    key
}

/// The usual integration that also admits `ID`, by the bundle at `mesh`.
fn admitting(issuer: &str, more: &str) -> String {
    let usual = records::usual(issuer);
    usual.replacen("    scopes:\n      orders-api:\n", &format!("{more}    scopes:\n      orders-api:\n"), 1)
}

fn binding(name: &str, id: &str, mesh: &Provider) -> String {
    format!("      - {{name: {name}, spiffe: {{id: \"{id}\", bundleUrl: \"{}/keys\"}}}}\n", mesh.issuer)
}

async fn world(meshes: &[(&str, &str, &Provider)]) -> World {
    let issuers = meshes.iter().map(|(_, _, mesh)| mesh.issuer.clone()).collect();
    let world = World::with(Options { issuers, ..Options::default() }).await;
    let more: String = meshes.iter().map(|(name, id, mesh)| binding(name, id, mesh)).collect();
    let usual = records::usual(&world.partner.issuer);
    let records = admitting(&world.partner.issuer, &more);
    assert_ne!(records, usual);
    world.onboard(&records).await;
    world
}

/// What a workload of the mesh gets from its agent: no issuer, no `jti`.
fn svid(world: &World, by: &Provider, change: &Value) -> String {
    let now = world.clock.seconds();
    let mut claims = json!({"sub": ID, "aud": [world.issuer("production")], "exp": now + 300, "iat": now});
    claims.as_object_mut().expect("claims").extend(change.as_object().expect("changes").clone());
    let header = json!({"alg": "ES256", "kid": by.key.kid().as_str(), "typ": "JWT"});
    sign(&by.key, &header.to_string(), &claims.to_string())
}

async fn exchange(world: &World, svid: &str) -> Answer {
    world.exchange("production", svid, "orders:read").await
}

/// Refused like anything of a stranger, and nothing minted.
async fn refused(world: &World, svid: &str, row: &str) {
    let before = world.issued().await;
    let answer = exchange(world, svid).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")), "{row}: {}", answer.text());
    assert_eq!(world.issued().await, before, "{row}");
}

/// Lifts a revocation: `sven` asks, `sara` approves.
async fn lift(world: &World, id: &str) {
    let asked = world.admin_post(&format!("/v1/revocations/{id}/lift"), "sven", &json!({"reason": "recovered"})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let path = format!("/v1/approvals/{}", asked.json()["approval"].as_str().expect("an approval"));
    let body = json!({"verdict": "approve", "reason": "ok", "version": world.admin_get(&path, "sara").await["version"]});
    let answer = world.admin_post(&format!("{path}/reviews"), "sara", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_jwt_svid_is_its_trust_domains_by_the_bundle_and_nothing_else() {
    let (mesh, other) = (Provider::start().await, Provider::start().await);
    let sig = other.key.public().clone();
    publish(&mesh, &[jwt_key(&mesh), sig, json!({"kty": "EC", "use": "wit-svid"}), json!({"use": 7})], 5);
    publish(&other, &[jwt_key(&other)], 1);
    let world = world(&[("mesh", ID, &mesh), ("lab", "spiffe://lab.globex.example/sync", &other)]).await;

    let answer = exchange(&world, &svid(&world, &mesh, &json!({}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!((&claims(&token)["binding"], &claims(&token)["sub"]), (&json!("mesh"), &json!("globex/order-sync")));
    // SVIDs are shown again, and some agents write an issuer into them that says nothing.
    for change in [json!({}), json!({"iss": "https://spire.globex.example"}), json!({"aud": world.issuer("production")})] {
        assert_eq!(exchange(&world, &svid(&world, &mesh, &change)).await.status, 200, "{change}");
    }
    let rows = [
        ("another workload", svid(&world, &mesh, &json!({"sub": "spiffe://mesh.globex.example/orders/other"}))),
        ("a longer path", svid(&world, &mesh, &json!({"sub": format!("{ID}/x")}))),
        ("another trust domain's key", svid(&world, &other, &json!({}))),
        ("another trust domain, its ID not admitted", svid(&world, &other, &json!({"sub": "spiffe://lab.globex.example/x"}))),
        ("an unknown trust domain", svid(&world, &mesh, &json!({"sub": "spiffe://mesh.initech.example/orders/sync"}))),
        ("the trust domain alone", svid(&world, &mesh, &json!({"sub": "spiffe://mesh.globex.example"}))),
        ("upper case", svid(&world, &mesh, &json!({"sub": ID.replace("mesh", "Mesh")}))),
        ("another audience", svid(&world, &mesh, &json!({"aud": [world.issuer("sandbox")]}))),
        ("a foreign audience besides", svid(&world, &mesh, &json!({"aud": [world.issuer("production"), "x"]}))),
        ("over", svid(&world, &mesh, &json!({"exp": world.clock.seconds() - 1}))),
        ("no end", svid(&world, &mesh, &json!({"exp": null}))),
        ("no iat: nobody knows its age", svid(&world, &mesh, &json!({"iat": null}))),
        (
            "a partner's issuer with the ID as subject",
            world.partner.sign(&json!({
                "iss": world.partner.issuer, "sub": ID, "aud": world.issuer("production"), "exp": world.clock.seconds() + 300,
                "iat": world.clock.seconds(), "jti": "x1",
            })),
        ),
    ];
    for (row, svid) in &rows {
        refused(&world, svid, row).await;
    }

    // An older bundle brings no withdrawn key back; a newer one without keys ends everything.
    let thief = Provider::start().await;
    publish(&mesh, &[jwt_key(&thief)], 4);
    world.advance(310).await;
    let _refreshing = exchange(&world, &svid(&world, &mesh, &json!({}))).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    refused(&world, &svid(&world, &thief, &json!({})), "rolled back").await;
    assert_eq!(exchange(&world, &svid(&world, &mesh, &json!({}))).await.status, 200);
    publish(&mesh, &[], 6);
    world.advance(310).await;
    let _refreshing = exchange(&world, &svid(&world, &mesh, &json!({}))).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    refused(&world, &svid(&world, &mesh, &json!({})), "withdrawn").await;
}

/// `carnet token` looked for an issuer that a JWT-SVID has no need of, and kept every such proof at home.
#[tokio::test]
async fn a_workload_shows_its_jwt_svid_by_the_command_line() {
    let mesh = Provider::start().await;
    publish(&mesh, &[jwt_key(&mesh)], 1);
    let world = world(&[("mesh", ID, &mesh)]).await;
    let program = Program::of(&world, "sven");
    let asked = ["token", "--env", "production", "--api", "orders-api", "--scope", "orders:read", "--assertion-file", "-"];
    let ran = program.run_with(&asked, &svid(&world, &mesh, &json!({}))).await.ended(0);
    assert_eq!(claims(ran.stdout.trim())["binding"], "mesh");
    // Nor is one sent that is nobody's.
    let ran = program.run_with(&asked, &svid(&world, &mesh, &json!({"sub": "orders/sync"}))).await.ended(4);
    assert!(ran.stderr.contains("its sub is no SPIFFE ID"), "{ran:?}");
}

/// S-4: a workload whose agent writes an issuer into its SVIDs is admitted by that issuer or by its trust domain, as the bindings of the day
/// say. A revocation of either, or of a binding of either, counts for both, also after the binding left the record.
#[tokio::test]
async fn a_jwt_svid_is_barred_by_each_issuer_that_it_names() {
    let (mesh, agent) = (Provider::start().await, Provider::start().await);
    publish(&mesh, &[jwt_key(&mesh)], 1);
    agent.behave(Behaviour { discovery: None, keys: Some((200, json!({"keys": [mesh.key.public()]}).to_string())) });
    let issuers = vec![mesh.issuer.clone(), agent.issuer.clone()];
    let world = World::with(Options { issuers, ..Options::default() }).await;
    let by_agent = format!(
        "      - {{name: agent, oidc: {{issuer: \"{}\", match: {{sub: \"{ID}\"}}, singleUse: false, maxAge: 30m}}}}\n",
        agent.issuer
    );
    let alone = admitting(&world.partner.issuer, &binding("mesh", ID, &mesh));
    let both = admitting(&world.partner.issuer, &format!("{by_agent}{}", binding("mesh", ID, &mesh)));
    world.onboard(&both).await;
    let named = || svid(&world, &mesh, &json!({"iss": agent.issuer}));
    let by = async || {
        let answer = exchange(&world, &named()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        (claims(&token)["binding"].as_str().expect("a binding").to_owned(), token)
    };
    let stays_out = async |row: &str| {
        let before = world.issued().await;
        let answer = exchange(&world, &named()).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("trust.revoked")), "{row}: {}", answer.text());
        assert_eq!(world.issued().await, before, "{row}");
    };
    let revoke = async |body: Value| {
        let answer = world.admin_post("/v1/revocations", "sven", &body).await;
        assert_eq!(answer.status, 201, "{body}: {}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    };
    let lift = async |id: String| lift(&world, &id).await;
    assert_eq!(by().await.0, "agent");
    let mesh_binding = json!({"binding": "globex/order-sync/production/mesh", "reason": "x"});
    let agent_binding = json!({"binding": "globex/order-sync/production/agent", "reason": "x"});
    let domain = json!({"issuer": "spiffe://mesh.globex.example", "reason": "x"});
    let issuer = json!({"issuer": agent.issuer, "reason": "x"});
    for subject in [&mesh_binding, &domain, &agent_binding, &issuer] {
        let id = revoke(subject.clone()).await;
        stays_out(&format!("both in the record, {subject}")).await;
        lift(id).await;
    }
    // Its proofs would meet the other binding: two people take it out while its issuer is revoked.
    let id = revoke(issuer.clone()).await;
    let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", alone.clone()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let plan = answer.json();
    let item =
        plan["items"].as_array().expect("items").iter().find(|item| item["kind"] == "Integration").expect("an integration");
    assert_eq!(item["action"], "hold", "{item}");
    world.approve_all().await;
    stays_out("the record names the issuer no more").await;
    // An SVID that does not name the issuer is not its.
    assert_eq!(exchange(&world, &svid(&world, &mesh, &json!({}))).await.status, 200);
    lift(id).await;
    let (binding, token) = by().await;
    assert_eq!(binding, "mesh");
    // The token remembers which issuer its proof named.
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    for subject in [&issuer, &agent_binding, &domain, &mesh_binding] {
        let id = revoke(subject.clone()).await;
        stays_out(&format!("one in the record, {subject}")).await;
        assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
        lift(id).await;
    }
}

/// S-7: an X.509-SVID names no audience, and every environment that had its ID would take it. So an ID belongs to one environment, of one
/// integration: at apply, where it is another one's in force, and at submit, where drafts met.
#[tokio::test]
async fn s_7_a_spiffe_id_belongs_to_one_environment() {
    let mesh = Provider::start().await;
    publish(&mesh, &[jwt_key(&mesh)], 1);
    let world = world(&[("mesh", ID, &mesh)]).await;
    let other = |name: &str| format!("spiffe://mesh.globex.example/orders/{name}");
    let by_url = |id: &str| format!("spiffe: {{id: \"{id}\", bundleUrl: \"{}/keys\"}}", mesh.issuer);
    let inline = format!("spiffe: {{id: \"{ID}\", bundle: {}}}", json!({"keys": [jwt_key(&mesh)]}));
    let apply = async |records: String| {
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records))).await;
        (answer.status, answer.json())
    };
    let collides = |(status, body): &(u16, Value), with: &str| {
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("{body}"));
        let told = errors.iter().all(|error| {
            let message = error["message"].as_str().expect("a message");
            error["reason"] == "binding.overlap" && message.contains("X.509-SVID") && message.contains(with)
        });
        assert!(*status == 422 && !errors.is_empty() && told, "{body}");
    };
    for binding in [by_url(ID), inline] {
        let answer = apply(integration("second", "sandbox", &binding)).await;
        collides(&answer, "globex/order-sync/production/mesh");
    }
    // One record, two environments.
    let sandbox = "    scopes: {orders-api: [orders:read, orders:write]}\n";
    let in_both = |id: &str| {
        let line = binding("mesh", id, &mesh);
        admitting(&world.partner.issuer, &line).replacen(sandbox, &format!("{line}{sandbox}"), 1)
    };
    let answer = apply(in_both(ID)).await;
    collides(&answer, "globex/order-sync/");
    assert_eq!(answer.1["errors"].as_array().map(Vec::len), Some(1), "the one in force stands: {}", answer.1);
    let answer = apply(in_both(&other("both"))).await;
    collides(&answer, "globex/order-sync/");

    // An ID of its own in each is what it should be; and of two drafts that have one, the second is not submitted.
    for (name, environment) in [("third", "sandbox"), ("fourth", "production")] {
        let (status, body) = apply(integration(name, environment, &by_url(&other("sync2")))).await;
        assert_eq!(status, 200, "{body}");
    }
    let submit = async |name: &str| {
        let path = format!("/v1/integrations/globex/{name}/submit");
        let answer = world.admin_post(&path, "ann", &json!({"reason": "ready"})).await;
        (answer.status, answer.json())
    };
    assert!(submit("third").await.0 < 300);
    collides(&submit("fourth").await, "globex/third/sandbox/ci");

    // To move it is a change like any other.
    let line = binding("mesh", ID, &mesh);
    let moved = records::usual(&world.partner.issuer).replacen(sandbox, &format!("{line}{sandbox}"), 1);
    let (status, body) = apply(moved).await;
    assert_eq!(status, 200, "{body}");
}

/// A trust domain's authority, in the folder of a machine.
async fn authority(machine: &Machine, name: &str) -> Value {
    let profile = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign";
    machine.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key")).await;
    // openssl adds its own basicConstraints unless it is told not to read its configuration.
    machine
        .openssl(&format!(
            "req -x509 -new -key {name}.key -subj /O={name} -days 30 -config /dev/null {profile} -out {name}.pem"
        ))
        .await;
    machine.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der")).await;
    let der = std::fs::read(machine.path(&format!("{name}.der"))).expect("a certificate");
    json!({"kty": "EC", "crv": "P-256", "use": "x509-svid", "x": "", "y": "", "x5c": [STANDARD.encode(der)]})
}

/// A leaf for `id` by an authority.
async fn leaf(machine: &Machine, name: &str, by: &str, extensions: &str) {
    machine.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key")).await;
    certify(machine, name, by, extensions, "-sha256").await;
}

/// A certificate for the key `NAME.key`.
async fn certify(machine: &Machine, name: &str, by: &str, extensions: &str, hash: &str) {
    machine.openssl(&format!("req -new -key {name}.key -subj / -config /dev/null -out {name}.req")).await;
    std::fs::write(machine.path(&format!("{name}.cnf")), extensions.replace("; ", "\n")).expect("written");
    let sign = format!("x509 -req -in {name}.req -CA {by}.pem -CAkey {by}.key -days 1 -extfile {name}.cnf -out {name}.pem");
    let sign = format!("{sign} {hash}");
    machine.openssl(&sign).await;
}

fn profile(id: &str) -> String {
    format!(
        "subjectAltName=critical,URI:{id}; basicConstraints=critical,CA:FALSE; keyUsage=critical,digitalSignature; \
         extendedKeyUsage=serverAuth,clientAuth"
    )
}

/// The token by the certificate `good`, once the broker has fetched the new bundle of `mesh`.
async fn minted_once_fetched(world: &World, mesh: &Provider, machine: &Machine) -> Reply {
    world.advance(310).await;
    let mut minted = machine.token(Some("good"), "production", &[]).await;
    for _ in 0..60 {
        if minted.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        let _fetching = exchange(world, &svid(world, mesh, &json!({}))).await;
        minted = machine.token(Some("good"), "production", &[]).await;
    }
    assert_eq!(minted.status, 200, "{minted:?}");
    minted
}

/// A certificate has no `jti`: it pays again where a JWT-SVID of the same ID pays once, and the journal verifies with both.
#[tokio::test(flavor = "multi_thread")]
async fn an_x509_svid_spends_nothing_where_jwt_svids_are_for_single_use() {
    let mesh = Provider::start().await;
    publish(&mesh, &[], 1);
    let world = World::with(Options { issuers: vec![mesh.issuer.clone()], ..Options::default() }).await;
    let once = binding("mesh", ID, &mesh).replace("spiffe: {", "spiffe: {singleUse: true, ");
    world.onboard(&admitting(&world.partner.issuer, &once)).await;
    world.clock.synchronise();
    let machine = Machine::new(&world).await;
    let root = authority(&machine, "mesh").await;
    publish(&mesh, &[root, jwt_key(&mesh)], 2);
    leaf(&machine, "good", "mesh", &profile(ID)).await;
    minted_once_fetched(&world, &mesh, &machine).await;
    assert_eq!(machine.token(Some("good"), "production", &[]).await.status, 200);

    let named = svid(&world, &mesh, &json!({"jti": "once"}));
    let answer = exchange(&world, &named).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    refused(&world, &named, "the same JWT-SVID again").await;
    refused(&world, &svid(&world, &mesh, &json!({})), "a JWT-SVID without a jti").await;
}

/// S-4: an X.509-SVID is refused while any binding that admits its ID is revoked, whichever of them is met first; and for no other ID.
#[tokio::test(flavor = "multi_thread")]
async fn an_x509_svid_is_barred_by_every_binding_of_its_id() {
    let mesh = Provider::start().await;
    publish(&mesh, &[], 1);
    let other = "spiffe://mesh.globex.example/orders/other";
    let world = world(&[("mesh", ID, &mesh), ("spare", ID, &mesh), ("other", other, &mesh)]).await;
    world.clock.synchronise();
    let machine = Machine::new(&world).await;
    let root = authority(&machine, "mesh").await;
    publish(&mesh, &[root, jwt_key(&mesh)], 2);
    leaf(&machine, "good", "mesh", &profile(ID)).await;
    minted_once_fetched(&world, &mesh, &machine).await;
    for (name, bars) in [("mesh", true), ("spare", true), ("other", false)] {
        let revoke = json!({"binding": format!("globex/order-sync/production/{name}"), "reason": "x"});
        let revoked = world.admin_post("/v1/revocations", "sven", &revoke).await;
        assert_eq!(revoked.status, 201, "{}", revoked.text());
        let reply = machine.token(Some("good"), "production", &[]).await;
        let expected = if bars { (400, json!("trust.revoked")) } else { (200, Value::Null) };
        assert_eq!((reply.status, reply.json()["reason"].clone()), expected, "{name}: {reply:?}");
        lift(&world, revoked.json()["id"].as_str().expect("an id")).await;
    }
}

/// M-05, M-06, M-08: identity is the leaf's, by the bundle of its own trust domain.
#[tokio::test(flavor = "multi_thread")]
async fn m_08_an_x509_svid_counts_by_the_bundle_of_its_own_trust_domain() {
    let (mesh, lab) = (Provider::start().await, Provider::start().await);
    publish(&mesh, &[], 1);
    publish(&lab, &[], 1);
    let world = world(&[("mesh", ID, &mesh), ("lab", "spiffe://lab.globex.example/sync", &lab)]).await;
    world.clock.synchronise();
    let machine = Machine::new(&world).await;
    let (mesh_root, lab_root) = (authority(&machine, "mesh").await, authority(&machine, "lab").await);
    authority(&machine, "rogue").await;
    publish(&mesh, &[mesh_root], 2);
    publish(&lab, &[lab_root], 2);
    leaf(&machine, "good", "mesh", &profile(ID)).await;
    // The bundles are new: nobody is let in by them before they were fetched.
    assert_eq!(machine.token(Some("good"), "production", &[]).await.status, 0, "unknown authorities fail the handshake");
    let minted = minted_once_fetched(&world, &mesh, &machine).await;
    let token = minted.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(claims(&token)["cnf"]["x5t#S256"], machine.thumbprint("good").await);
    assert_eq!((&claims(&token)["binding"], &claims(&token)["sub"]), (&json!("mesh"), &json!("globex/order-sync")));
    // An SVID is no leaf of ours: it enrols nobody.
    machine.request("two", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "").await;
    let reply = machine.enrol("production", "simplereenroll", "two", Some("good"), None).await;
    assert!(matches!(reply.status, 400 | 401 | 403), "{reply:?}");

    // Beside an assertion it is an ingredient all the same.
    let assertion = format!("client_assertion={}", world.assertion("production"));
    let kind = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let both = machine.token(Some("good"), "production", &["-d", &assertion, "-d", kind]).await;
    assert_eq!(both.status, 200, "{both:?}");
    let both = both.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(claims(&both)["binding"], "ci-main");
    assert_eq!(world.introspect("production", &both).await.json()["active"], true);

    // Whoever revokes the trust domain ends what it signed, as the one proof and as the second.
    let revoke = json!({"issuer": "spiffe://mesh.globex.example", "reason": "its authority was stolen"});
    let revoked = world.admin_post("/v1/revocations", "sven", &revoke).await;
    assert_eq!(revoked.status, 201, "{}", revoked.text());
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
    assert_eq!(world.introspect("production", &both).await.json(), json!({"active": false}));
    // Also for who reads the index and has the token alone.
    let entry = claims(&both)["entry"].as_u64().expect("an entry");
    let lines = world.running.as_ref().expect("running").broker.journal.view().state.revoked_before.clone();
    let here = |key: &str| key == "integration:globex/order-sync/production";
    assert!(lines.iter().any(|(key, line)| here(key.as_str()) && *line > entry), "{lines:?}");
    let alone = machine.token(Some("good"), "production", &[]).await;
    assert_eq!((alone.status, &alone.json()["reason"]), (400, &json!("trust.revoked")), "{alone:?}");
    let assertion = format!("client_assertion={}", world.assertion("production"));
    let kind = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let beside = machine.token(Some("good"), "production", &["-d", &assertion, "-d", kind]).await;
    assert_eq!((beside.status, &beside.json()["reason"]), (400, &json!("trust.revoked")), "{beside:?}");
    let path = format!("/v1/revocations/{}/lift", revoked.json()["id"].as_str().expect("an id"));
    assert!(world.admin_post(&path, "sven", &json!({"reason": "replaced"})).await.status < 300);
    assert_eq!(world.admin_get("/v1/approvals", "sara").await["items"].as_array().map(Vec::is_empty), Some(false));
    for approval in world.admin_get("/v1/approvals?limit=1000", "sara").await["items"].as_array().expect("items") {
        if approval["state"] == "pending" {
            let body = json!({"verdict": "approve", "reason": "replaced", "version": approval["version"]});
            let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
            assert!(world.admin_post(&path, "sara", &body).await.status < 300);
        }
    }
    assert_eq!(machine.token(Some("good"), "production", &[]).await.status, 200, "lifted");

    let before = world.issued().await;
    let rows = [
        ("forged", "rogue", profile(ID)),
        ("by-the-other", "lab", profile(ID)),
        ("not-admitted", "mesh", profile("spiffe://mesh.globex.example/orders/other")),
        ("two-names", "mesh", profile(ID).replace("URI:", "URI:spiffe://mesh.globex.example/x,URI:")),
        ("no-name", "mesh", profile(ID).replace(&format!("critical,URI:{ID}"), "DNS:globex.example")),
        ("an-authority", "mesh", profile(ID).replace("CA:FALSE", "CA:TRUE")),
        ("signs-lists", "mesh", profile(ID).replace("digitalSignature", "digitalSignature,cRLSign")),
        ("no-usage", "mesh", profile(ID).replace("keyUsage=critical,digitalSignature; ", "")),
        ("server-only", "mesh", profile(ID).replace("serverAuth,clientAuth", "serverAuth")),
        ("any-usage", "mesh", profile(ID).replace("serverAuth,clientAuth", "clientAuth,anyExtendedKeyUsage")),
    ];
    for (name, by, extensions) in &rows {
        leaf(&machine, name, by, extensions).await;
        let reply = machine.token(Some(name), "production", &[]).await;
        assert!(matches!(reply.status, 0 | 400), "{name}: {reply:?}");
    }
    // M-20: keys and hashes that nobody should trust, certified by an authority that is the partner's own.
    let huge = output(python("tests/broker/interop/huge_key.py"), String::new()).await;
    std::fs::write(machine.path("huge.key"), huge + "\n").expect("written");
    for (name, key, hash) in [
        ("huge", None, "-sha256"),
        ("small", Some("-algorithm RSA -pkeyopt rsa_keygen_bits:1024"), "-sha256"),
        ("bitcoin", Some("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"), "-sha256"),
        ("brainpool", Some("-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1"), "-sha256"),
        ("sha1", Some("-algorithm EC -pkeyopt ec_paramgen_curve:P-256"), "-sha1"),
    ] {
        if let Some(key) = key {
            machine.openssl(&format!("genpkey {key} -out {name}.key")).await;
        }
        certify(&machine, name, "mesh", &profile(ID), hash).await;
        let reply = machine.token(Some(name), "production", &[]).await;
        // openssl itself shows no certificate where TLS 1.3 has no name for the curve.
        assert!(matches!(reply.status, 0 | 400), "M-20 {name}: {reply:?}");
    }
    assert_eq!(world.issued().await, before);
    // The authority itself still counts: it was the keys.
    assert_eq!(machine.token(Some("good"), "production", &[]).await.status, 200);
    let before = before + 1;
    // Nor in the other environment, which names no bundle.
    assert_ne!(machine.token(Some("good"), "sandbox", &[]).await.status, 200);
    assert_eq!(world.issued().await, before);

    // The bundle goes, and with it whoever it stood for.
    publish(&mesh, &[], 3);
    world.advance(310).await;
    let _fetching = exchange(&world, &svid(&world, &mesh, &json!({}))).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_ne!(machine.token(Some("good"), "production", &[]).await.status, 200);
    assert_eq!(world.issued().await, before);
}

/// Our own bundle: a leaf of ours verifies by it, and the number grows with each change.
#[tokio::test]
async fn our_bundle_verifies_our_leaves() {
    let world = World::start().await;
    let answer = get(world.public, "/production/bundle").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.text());
    let bundle = answer.json();
    let [key] = bundle["keys"].as_array().expect("keys").as_slice() else { panic!("{bundle}") };
    assert_eq!((&key["use"], &key["kid"], key["x5c"].as_array().map(Vec::len)), (&json!("x509-svid"), &Value::Null, Some(1)));
    assert_eq!(bundle["spiffe_refresh_hint"], 300);
    let machine = Machine::new(&world).await;
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", key["x5c"][0].as_str().expect("base64"));
    std::fs::write(machine.path("root.pem"), pem).expect("written");
    // The key of the JWK is that of the certificate, as a reader of JWK alone would take it.
    let text = machine.openssl("x509 -in root.pem -noout -pubkey").await;
    let der = STANDARD.decode(text.lines().filter(|line| !line.starts_with('-')).collect::<String>()).expect("base64");
    let point = [key["x"].as_str(), key["y"].as_str()]
        .map(|part| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part.expect("text")).expect("base64url"));
    assert!(der.ends_with(&point.concat()));
    machine.openssl("verify -CAfile root.pem -untrusted ca.pem ca.pem").await;
    let before = bundle["spiffe_sequence"].as_u64().expect("a number");
    let rotated = world.admin_post("/v1/authorities/production/rotate", "adam", &json!({"reason": "yearly"})).await;
    assert!(rotated.status < 300, "{}", rotated.text());
    let after = get(world.public, "/production/bundle").await.json();
    assert!(after["spiffe_sequence"].as_u64().expect("a number") > before, "{after}");
    assert_eq!(get(world.public, "/sandbox/bundle").await.json()["keys"].as_array().map(Vec::len), Some(1));
}
