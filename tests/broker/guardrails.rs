//! Guardrails on the wire: what one forbids is found before anybody asks, refused when somebody does, and recorded; and who may put one
//! in force (docs/explanation/guardrails.md).

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::world::{Answer, World, records};

/// In the sandbox `orders:write` stands in the usual record, and is of high risk.
const STANDING: &str = "context.environment == \"sandbox\" && resource.risk == \"high\" && !context.elevated";

fn guardrail(name: &str, mode: &str, condition: &str) -> String {
    format!(
        "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {{name: {name}}}\nmeaning: High-risk scopes need an elevation.\nmode: {mode}\n\
         cedar: |\n  forbid (principal, action == Carnet::Action::\"exchange\", resource)\n  when {{ {condition} }};\n"
    )
}

/// Applies records as a person, with the number of tokens that they say.
async fn apply_saying(world: &World, person: &str, records: &str, refuses: Option<&str>) -> Answer {
    let bearer = format!("Bearer {}", world.staff_token(person));
    let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/yaml")];
    headers.extend(refuses.map(|refuses| ("carnet-refuses", refuses)));
    crate::world::send(world.admin, "POST", "/v1/records/apply", &headers, records.as_bytes()).await
}

/// Applies records as a person; the action of the only document.
async fn apply(world: &World, person: &str, records: &str) -> String {
    let answer = apply_saying(world, person, records, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"][0]["action"].as_str().expect("an action").to_owned()
}

async fn ask(world: &World, environment: &str, scope: &str) -> Answer {
    world.exchange(environment, &world.assertion(environment), scope).await
}

/// Refused with this reason, and nothing is minted.
async fn refused(world: &World, environment: &str, scope: &str, reason: &str) -> Value {
    let before = world.issued().await;
    let answer = ask(world, environment, scope).await;
    let told = answer.json();
    assert_eq!(
        (answer.status, told["error"].as_str(), told["reason"].as_str()),
        (400, Some("invalid_scope"), Some(reason)),
        "{told}"
    );
    assert!(told["access_token"].is_null(), "{told}");
    assert_eq!(world.issued().await, before, "nothing is minted");
    told
}

async fn granted(world: &World, environment: &str, scope: &str) {
    let answer = ask(world, environment, scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The newest entry of a kind. A refusal is recorded a moment after it was answered.
async fn newest(world: &World, kind: &str) -> Value {
    for _ in 0..100 {
        let found = world.admin_get(&format!("/v1/journal?kind={kind}&limit=1000"), "alan").await;
        if let Some(entry) = found["items"].as_array().and_then(|items| items.last()) {
            return entry.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no {kind}")
}

async fn check(world: &World, yaml: &str) -> Value {
    let answer = world.admin_send("POST", "/v1/records/check", "alan", Some(("application/yaml", yaml.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Reviews the pending approval of a guardrail.
async fn review(world: &World, person: &str) {
    let found = world.admin_get("/v1/approvals?state=pending&kind=guardrail", person).await;
    let approval = &found["items"][0];
    let body = json!({"verdict": "approve", "reason": "looked at", "version": approval["version"]});
    let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
    let answer = world.admin_post(&path, person, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn what_a_guardrail_forbids_is_found_by_check_refused_at_the_exchange_and_recorded() {
    let world = World::start().await;
    granted(&world, "production", "orders:read").await;
    assert!(newest(&world, "issued").await["guardrails"].is_null(), "no guardrail is in force");
    // Before it is in force: by the files of its author, and by the plan.
    let planted = guardrail("no-standing-high-risk", "enforce", STANDING);
    let found = check(&world, &planted).await;
    let items = found["items"].as_array().expect("items");
    assert_eq!((items.len(), found["complete"].as_bool()), (1, Some(true)), "{found}");
    for (member, wanted) in [
        ("guardrail", "no-standing-high-risk"),
        ("integration", "globex/order-sync"),
        ("environment", "sandbox"),
        ("scope", "orders:write"),
        ("way", "standing"),
        ("verdict", "always"),
        ("mode", "enforce"),
    ] {
        assert_eq!(items[0][member], wanted, "{found}");
    }
    assert!(check(&world, "").await["items"].as_array().is_some_and(Vec::is_empty), "none is in force");
    let plan = world.admin_send("POST", "/v1/records/plan", "sven", Some(("application/yaml", planted.clone()))).await.json();
    let warning = plan["warnings"].as_array().and_then(|all| all.first()).expect("a warning");
    assert_eq!((warning["reason"].as_str(), plan["refuses"].as_u64()), (Some("guardrail.forbids"), Some(0)), "{plan}");

    assert_eq!(apply(&world, "sven", &planted).await, "narrow");
    let told = refused(&world, "sandbox", "orders:write", "guardrail.forbids").await;
    let detail = told["error_description"].as_str().expect("a description");
    for wanted in ["no-standing-high-risk", "High-risk scopes need an elevation.", "orders:write standing in sandbox, bearer"] {
        assert!(detail.contains(wanted), "{wanted}: {detail}");
    }
    let entry = newest(&world, "refused").await;
    assert_eq!(
        (entry["reason"].as_str(), entry["subject"].as_str()),
        (Some("guardrail.forbids"), Some("globex/order-sync")),
        "{entry}"
    );
    assert_eq!(
        entry["tree"].as_array().and_then(|tree| tree.last()).expect("a step")["check"],
        "guardrail no-standing-high-risk"
    );
    // All of a request is granted, or none of it.
    refused(&world, "sandbox", "orders:read orders:write", "guardrail.forbids").await;
    for (environment, scope) in [("sandbox", "orders:read"), ("production", "orders:read")] {
        granted(&world, environment, scope).await;
        let entry = newest(&world, "issued").await;
        assert_eq!(entry["guardrails"].as_str().map(str::len), Some(64), "{entry}");
        assert!(entry["shadow"].is_null(), "{entry}");
    }
    // What is told elsewhere is what an exchange is told.
    let path = "/v1/can-i?integration=globex/order-sync&environment=sandbox&api=orders-api&scope=orders:write";
    assert_eq!(world.admin_get(path, "alan").await["reason"], "guardrail.forbids");
    let report = world.admin_get("/v1/guardrails/no-standing-high-risk/report", "alan").await;
    assert_eq!(report["state"], "enforced", "{report}");
    assert!(report["refused"].as_u64().is_some_and(|refused| refused >= 1), "{report}");
    let listed = world.admin_get("/v1/guardrails", "alan").await;
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["by"]["id"]), (&json!("no-standing-high-risk"), &json!("sven")));
}

/// Cedar skips a policy that fails; the broker refuses what it was asked about.
#[tokio::test]
async fn a_guardrail_that_fails_refuses() {
    let world = World::start().await;
    let failing = guardrail("failing", "enforce", "context.minute * 9223372036854775807 + 9223372036854775807 > 0");
    // At midnight the product is 0, and the sum still fits.
    let to_one = 60 + 86_400 - world.clock.seconds() % 86_400;
    world.advance(to_one).await;
    assert_eq!(apply(&world, "sven", &failing).await, "narrow");
    let told = refused(&world, "production", "orders:read", "guardrail.failed").await;
    assert!(told["error_description"].as_str().is_some_and(|text| text.contains("could not be evaluated")), "{told}");
    let integration = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    let cause = &integration["effective"]["production"]["causes"][0];
    assert_eq!((cause["reason"].as_str(), cause["liftedBy"]["role"].as_str()), (Some("guardrail.failed"), Some("security")));
}

#[tokio::test]
async fn a_guardrail_in_shadow_decides_nothing_and_counts() {
    let world = World::start().await;
    assert_eq!(apply(&world, "sven", &guardrail("watch", "shadow", STANDING)).await, "narrow");
    for scope in ["orders:write", "orders:read", "orders:write"] {
        granted(&world, "sandbox", scope).await;
    }
    let entry = newest(&world, "issued").await;
    assert_eq!(entry["shadow"], json!(["watch"]), "{entry}");
    let report = world.admin_get("/v1/guardrails/watch/report", "alan").await;
    assert_eq!(
        (report["state"].as_str(), report["refuses"].as_u64(), report["refused"].as_u64()),
        (Some("shadow"), Some(2), Some(0))
    );
    assert_eq!(
        (&report["tokens"][0]["client"], &report["tokens"][0]["scope"]),
        (&json!("globex/order-sync"), &json!("orders:write"))
    );
    let found = check(&world, "").await;
    assert_eq!((&found["items"][0]["mode"], &found["items"][0]["verdict"]), (&json!("shadow"), &json!("always")), "{found}");
    // In shadow a guardrail that reads the address knows it, and one that fails counts as one that forbids.
    let address = guardrail("address", "shadow", "context.source.isLoopback()");
    assert_eq!(apply(&world, "sven", &address).await, "narrow");
    granted(&world, "production", "orders:read").await;
    assert_eq!(newest(&world, "issued").await["shadow"], json!(["address"]));
    assert_eq!(world.admin_get("/v1/guardrails/address/report", "alan").await["refuses"], 1);
}

/// Enforcing one stops what works today: whoever does it says how many tokens it would have refused.
#[tokio::test]
async fn who_enforces_a_guardrail_says_the_number_of_tokens_that_it_would_have_refused() {
    let world = World::start().await;
    for scope in ["orders:write", "orders:read", "orders:write"] {
        granted(&world, "sandbox", scope).await;
    }
    let enforced = guardrail("no-standing-high-risk", "enforce", STANDING);
    for said in [None, Some("0"), Some("1"), Some("3")] {
        let answer = apply_saying(&world, "sven", &enforced, said).await;
        let told = answer.json();
        assert_eq!(
            (answer.status, told["reason"].as_str(), told["refuses"].as_u64()),
            (409, Some("guardrail.refuses"), Some(2)),
            "{told}"
        );
        let listed = told["errors"][0].clone();
        assert_eq!(listed["at"], "globex/order-sync sandbox", "{told}");
        assert!(listed["message"].as_str().is_some_and(|text| text.contains("2 tokens for orders-api orders:write")), "{told}");
    }
    for malformed in ["", "-1", "two", "2,3", "99999999999999999999"] {
        assert_eq!(apply_saying(&world, "sven", &enforced, Some(malformed)).await.status, 400, "{malformed:?}");
    }
    granted(&world, "sandbox", "orders:write").await;
    // A number that was told may be given back for a while, because tokens are issued meanwhile.
    let answer = apply_saying(&world, "sven", &enforced, Some("2")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(newest(&world, "guardrail.applied").await["refuses"], 3, "the journal has the number of that moment");
    refused(&world, "sandbox", "orders:write", "guardrail.forbids").await;
    // Without a guardrail to enforce, any number but none is a mistake.
    let shadow = guardrail("watch", "shadow", STANDING);
    assert_eq!(apply_saying(&world, "sven", &shadow, Some("3")).await.status, 409);
    // An approval says it too: its approvers see the number.
    let other = guardrail("no-reading", "enforce", "resource == Carnet::Scope::\"orders-api/orders:read\"");
    assert_eq!(apply_saying(&world, "ann", &other, None).await.json()["refuses"], 1);
    assert_eq!(apply_saying(&world, "ann", &other, Some("1")).await.status, 200);
    assert_eq!(newest(&world, "guardrail.submitted").await["refuses"], 1);
}

#[tokio::test]
async fn security_enforces_at_once_and_nobody_else_does() {
    let world = World::start().await;
    let enforced = guardrail("no-standing-high-risk", "enforce", STANDING);
    let shadow = guardrail("no-standing-high-risk", "shadow", STANDING);
    // An owner, a machine whose groups say security, and somebody who signed in long ago: it opens an approval.
    assert_eq!(apply(&world, "ann", &enforced).await, "hold");
    let now = world.clock.seconds();
    let machine = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "robot-17", "aud": "carnet", "exp": now + 600, "iat": now, "groups": ["security"],
        "client_id": "automation",
    }));
    let stale = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "sara", "aud": "carnet", "exp": now + 600, "iat": now, "auth_time": now - 901,
        "groups": ["security"],
    }));
    for (name, token) in [("by-a-machine", machine), ("by-the-past", stale)] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml")];
        let record = guardrail(name, "enforce", STANDING);
        let answer = crate::world::send(world.admin, "POST", "/v1/records/apply", &headers, record.as_bytes()).await;
        let told = answer.json();
        assert_eq!(told["items"][0]["action"], "hold", "{told}");
        assert_eq!(world.admin_get(&format!("/v1/guardrails/{name}"), "alan").await["state"], "submitted");
        let denied = json!({"verdict": "deny", "reason": "one is enough", "version": told["approvals"][0]["version"]});
        let path = format!("/v1/approvals/{}/reviews", told["approvals"][0]["id"].as_str().expect("an id"));
        assert_eq!(world.admin_post(&path, "olga", &denied).await.status, 200);
    }
    granted(&world, "sandbox", "orders:write").await;
    // The approval takes an owner and somebody of security.
    review(&world, "sven").await;
    granted(&world, "sandbox", "orders:write").await;
    review(&world, "olga").await;
    refused(&world, "sandbox", "orders:write", "guardrail.forbids").await;
    // Nobody enforced it alone, so nobody puts it back alone.
    assert_eq!(apply(&world, "sven", &shadow).await, "hold");
    review(&world, "sara").await;
    review(&world, "ann").await;
    granted(&world, "sandbox", "orders:write").await;

    // From shadow to enforced by one person of security; back by the same person within a day.
    let tokens = world.admin_get("/v1/guardrails/no-standing-high-risk/report", "alan").await["refuses"].to_string();
    let answer = apply_saying(&world, "sven", &enforced, Some(&tokens)).await;
    assert_eq!((answer.status, answer.json()["items"][0]["action"].as_str()), (200, Some("narrow")), "{}", answer.text());
    refused(&world, "sandbox", "orders:write", "guardrail.forbids").await;
    assert_eq!(apply(&world, "sara", &shadow).await, "hold");
    refused(&world, "sandbox", "orders:write", "guardrail.forbids").await;
    assert_eq!(apply(&world, "sven", &shadow).await, "put-back");
    granted(&world, "sandbox", "orders:write").await;
    let tokens = world.admin_get("/v1/guardrails/no-standing-high-risk/report", "alan").await["refuses"].to_string();
    assert_eq!(apply_saying(&world, "sven", &enforced, Some(&tokens)).await.status, 200);
    // To apply the version in force again enforces nothing, and starts no new day.
    world.advance(23 * 3600).await;
    assert_eq!(apply(&world, "sven", &enforced).await, "unchanged");
    world.advance(3600).await;
    assert_eq!(apply(&world, "sven", &shadow).await, "hold");
    // Another text is an approval, whoever sends it.
    let wider =
        guardrail("no-standing-high-risk", "enforce", "context.environment == \"production\" && !context.elevated && false");
    let answer = world.admin_send("POST", "/v1/records/plan", "sven", Some(("application/yaml", wider))).await;
    assert_eq!(answer.status, 422, "it can never forbid: {}", answer.text());
    let other = guardrail("no-standing-high-risk", "enforce", "context.environment == \"staging\"");
    assert_eq!(apply(&world, "sven", &other).await, "hold");
    refused(&world, "sandbox", "orders:write", "guardrail.forbids").await;
}

#[tokio::test]
async fn a_guardrail_is_removed_by_an_owner_and_security() {
    let world = World::start().await;
    assert_eq!(apply(&world, "sven", &guardrail("no-standing-high-risk", "enforce", STANDING)).await, "narrow");
    let path = "/v1/guardrails/no-standing-high-risk/remove";
    let why = json!({"reason": "the agreement is signed"});
    for (person, status) in [("alan", 403), ("adam", 403), ("sven", 202)] {
        assert_eq!(world.admin_post(path, person, &why).await.status, status, "{person}");
    }
    assert_eq!(world.admin_post("/v1/guardrails/nothing/remove", "sven", &why).await.status, 404);
    let shown = crate::approvals::shown(&world, "guardrail").await;
    assert_eq!(shown["removes"], true, "{shown}");
    assert!(shown["record"].as_str().is_some_and(|record| record.contains("resource.risk == \"high\"")), "{shown}");
    assert_eq!(world.admin_get("/v1/guardrails/no-standing-high-risk", "alan").await["removal"], shown["id"]);
    review(&world, "sara").await;
    refused(&world, "sandbox", "orders:write", "guardrail.forbids").await;
    review(&world, "olga").await;
    granted(&world, "sandbox", "orders:write").await;
    assert!(newest(&world, "issued").await["guardrails"].is_null());
    assert_eq!(world.admin_send("GET", "/v1/guardrails/no-standing-high-risk", "alan", None).await.status, 404);
    // A removed one is new again.
    let tokens = apply_saying(&world, "sven", &guardrail("no-standing-high-risk", "enforce", STANDING), Some("1")).await;
    assert_eq!(tokens.json()["items"][0]["action"], "narrow", "{}", tokens.text());
}

/// Each kind of bad input: at its line, with its reason; and nothing is recorded.
#[tokio::test]
async fn a_guardrail_that_cannot_be_enforced_is_refused_with_line_and_reason() {
    let world = World::start().await;
    let whole = |cedar: &str| {
        let cedar = cedar.lines().map(|line| format!("  {line}\n")).collect::<String>();
        format!(
            "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {{name: rule}}\nmeaning: A rule.\nmode: enforce\ncedar: |\n{cedar}"
        )
    };
    let size = world.admin_get("/v1/journal/checkpoint", "alan").await;
    for (cedar, line, reason, wanted) in [
        (
            "forbid (principal, action, resource)\nwhen {\n  context.enviroment == \"x\" };",
            9,
            "guardrail.invalid",
            "enviroment",
        ),
        ("forbid (principal, action, resource)\nwhen { && };", 8, "guardrail.invalid", "unexpected"),
        ("permit (principal, action, resource);", 7, "guardrail.invalid", "forbid policies only"),
        ("forbid (principal, action, resource)\nwhen { resource.risk == 3 };", 8, "guardrail.invalid", "types"),
        ("forbid (principal in Carnet::Partner::\"globx\", action, resource);", 7, "record.unknown-reference", "globx"),
        (
            "forbid (principal, action, resource)\nunless { resource in Carnet::Api::\"nope\" };",
            8,
            "record.unknown-reference",
            "nope",
        ),
        ("forbid (principal is Carnet::Nobody, action, resource);", 7, "guardrail.invalid", "Nobody"),
    ] {
        let answer = apply_saying(&world, "sven", &whole(cedar), None).await;
        let told = answer.json();
        assert_eq!((answer.status, told["reason"].as_str()), (422, Some(reason)), "{cedar}: {told}");
        let fault = &told["errors"][0];
        assert_eq!(fault["at"], format!("records:{line} cedar"), "{cedar}: {told}");
        assert!(fault["message"].as_str().is_some_and(|text| text.contains(wanted)), "{wanted}: {told}");
    }
    let deep =
        whole(&format!("forbid (principal, action, resource)\nwhen {{ {}true{} }};", "(".repeat(3000), ")".repeat(3000)));
    let long = whole(&format!("// {}\nforbid (principal, action, resource);", "x".repeat(9000)));
    for (text, wanted) in [
        (deep, "brackets"),
        (long, "8192 bytes"),
        (whole("// \u{202e}hidden\nforbid (principal, action, resource);"), "control characters"),
        (guardrail("rule", "maybe", STANDING), "expected enforce or shadow"),
        (guardrail("Rule", "enforce", STANDING), "expected"),
        (guardrail("rule", "enforce", STANDING).replace("meaning:", "meanings:"), "meaning"),
    ] {
        let answer = apply_saying(&world, "sven", &text, None).await;
        assert_eq!(answer.status, 422, "{wanted}: {}", answer.text());
        assert!(answer.text().contains(wanted), "{wanted}: {}", answer.text());
    }
    // A check takes guardrails and nothing else.
    let usual = records::usual(&world.partner.issuer);
    let answer = world.admin_send("POST", "/v1/records/check", "alan", Some(("application/yaml", usual))).await;
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (422, Some("record.kind")), "{}", answer.text());
    assert_eq!(world.admin_get("/v1/journal/checkpoint", "alan").await["size"], size["size"]);
    granted(&world, "production", "orders:read").await;
}

/// Weekend and hours are those of the zone of the configuration; an address that is not inside is refused at the exchange.
#[tokio::test]
async fn address_and_hour_are_judged_at_each_exchange() {
    let world = World::start().await;
    let elsewhere = guardrail("inside", "enforce", "!context.source.isInRange(ip(\"203.0.113.0/24\"))");
    assert_eq!(apply(&world, "sven", &elsewhere).await, "narrow");
    let told = refused(&world, "production", "orders:read", "guardrail.forbids").await;
    assert!(told["error_description"].as_str().is_some_and(|text| text.contains("inside")), "{told}");
    let found = check(&world, "").await;
    let item = &found["items"][0];
    assert_eq!(item["verdict"], "sometimes", "{found}");
    let when = item["when"].to_string();
    assert!(when.contains("203.0.112.255") && when.contains("203.0.114.0") && !when.contains("203.0.113.0,"), "{when}");
    let review = check(&world, &guardrail("hours", "enforce", "context.minute < 360")).await;
    assert!(review["items"][0]["when"].to_string().contains("minute in 0, 359"), "{review}");
}

/// The command line: offline, against the server, and with the number.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_checks_applies_and_reports() {
    let world = World::start().await;
    granted(&world, "sandbox", "orders:write").await;
    let sven = Program::of(&world, "sven");
    let usual = records::usual(&world.partner.issuer);
    let planted = guardrail("no-standing-high-risk", "enforce", STANDING);
    sven.file("all.yaml", &format!("{usual}---\n{planted}"));
    sven.file("guardrail.yaml", &planted);
    sven.file("unknown.yaml", &guardrail("rule", "enforce", "principal in Carnet::Partner::\"globx\""));
    let told = sven.run(&["validate", "-f", "all.yaml"]).await.ended(0).stdout;
    assert!(
        told.contains("warning[guardrail.forbids] environments.sandbox: guardrail no-standing-high-risk refuses"),
        "{told}"
    );
    let told = sven.run(&["validate", "-f", "unknown.yaml"]).await.ended(2).stdout;
    assert!(told.contains("unknown.yaml:8:1: error[record.unknown-reference] cedar: there is no partner \"globx\""), "{told}");
    let told = sven.run(&["guardrail", "check", "-f", "guardrail.yaml"]).await.ended(0).stdout;
    assert!(told.contains("globex/order-sync") && told.contains("always"), "{told}");
    let told = sven.run(&["plan", "-f", "guardrail.yaml"]).await.ended(6).stdout;
    assert!(told.contains("would have refused 1 tokens") && told.contains("--refuses 1"), "{told}");
    let told = sven.run(&["apply", "-f", "guardrail.yaml"]).await.ended(1);
    assert!(told.stderr.contains("1 tokens of the last 30 days"), "{told:?}");
    sven.run(&["apply", "-f", "guardrail.yaml", "--refuses", "1"]).await.ended(0);
    let told = sven.run(&["guardrail", "list"]).await.ended(0).stdout;
    assert!(told.contains("no-standing-high-risk") && told.contains("enforced"), "{told}");
    let told = sven.run(&["guardrail", "report"]).await.ended(0).stdout;
    assert!(told.contains("it would have refused 1"), "{told}");
    let told = sven.run(&["guardrail", "schema"]).await.ended(0).stdout;
    assert!(told.starts_with("namespace Carnet {"), "{told}");
    let told = sven.run(&["guardrail", "remove", "no-standing-high-risk", "--reason", "replaced"]).await.ended(0).stdout;
    assert!(told.contains("owner"), "{told}");
}
