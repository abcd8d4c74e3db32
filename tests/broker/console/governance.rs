//! Approvals of every kind on the page: what is shown, who may decide, what a decision leads to.

use serde_json::{Value, json};

use super::House;
use crate::world::days::{VERIFIED_ON, VERIFIED_UNTIL};
use crate::world::{World, records};

const MARKUP: &str = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><b id=bold>";

/// A world in which one approval of each kind waits, and their ids by kind; every text in it is markup as well.
async fn waiting() -> (House, Value) {
    let (world, ids) = asked().await;
    (House::around(world).await, ids)
}

/// The same once the partner is resumed: while it is suspended, nothing of it is given more.
async fn waiting_for_a_resumed_partner() -> (House, Value) {
    let (world, ids) = asked().await;
    let resume = format!("/v1/approvals/{}", ids["resume"].as_str().expect("an id"));
    let version = world.admin_get(&resume, "sara").await["version"].clone();
    let yes = json!({"verdict": "approve", "reason": "explained", "version": version});
    let resumed = world.admin_post(&format!("{resume}/reviews"), "sara", &yes).await;
    assert_eq!(resumed.status, 200, "{}", resumed.text());
    (House::around(world).await, ids)
}

async fn asked() -> (World, Value) {
    let world = World::in_file().await;
    let post = async |path: &str, person: &str, body: Value| {
        let answer = world.admin_post(path, person, &body).await;
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer.json()
    };
    let quoted = MARKUP.replace('"', "\\\"");
    let changed = records::integration(&world.partner.issuer, "order-sync", "456789")
        .replace("purpose: Copies orders.", &format!("purpose: \"Corrects orders. {quoted}\""))
        .replace("max: 1h", "max: 2h");
    let usual = records::usual(&world.partner.issuer);
    let api = usual.split("---").next().expect("the API").replace("See orders", &format!("\"See orders {quoted}\""));
    let partner = format!(
        "apiVersion: carnet/v1\nkind: Partner\nmetadata: {{name: initech}}\nlegalName: \"Initech GmbH {quoted}\"\ndomains: [initech.example]\ncontacts: {{technical: ops@initech.example, security: security@initech.example}}\nverification: {{by: jane@acme.example, on: {VERIFIED_ON}, evidence: register, expires: {VERIFIED_UNTIL}}}\n"
    );
    let second = records::integration(&world.partner.issuer, "second", "77");
    let records = [partner, api, changed, second].join("\n---\n");
    let bearer = format!("Bearer {}", world.staff_token("ann"));
    let why = crate::world::client::escape(&format!("asked by the warehouse {MARKUP}"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml"), ("carnet-reason", why.as_str())];
    let applied = crate::world::send(world.admin, "POST", "/v1/records/apply", &headers, records.as_bytes()).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    // What reorders text is no markup, and misleads as well.
    let why = |text: &str| json!({"reason": format!("{text} {MARKUP} \u{202e}")});
    post("/v1/integrations/globex/second/submit", "olga", why("ready")).await;
    let mut cut = why("repository taken over");
    cut["binding"] = json!("globex/order-sync/production/ci-main");
    let revoked = post("/v1/revocations", "sven", cut).await;
    let lift = format!("/v1/revocations/{}/lift", revoked["id"].as_str().expect("an id"));
    post(&lift, "sven", why("recovered")).await;
    let mut machine = why("a new machine");
    machine["integration"] = json!("globex/order-sync");
    machine["environment"] = json!("production");
    post("/v1/enrolments", "olga", machine).await;
    post("/v1/partners/globex/suspend", "sven", why("odd calls at night")).await;
    post("/v1/partners/globex/resume", "olga", why("explained")).await;
    let found = world.admin_get("/v1/approvals?state=pending", "alan").await;
    let ids = found["items"].as_array().expect("items").iter();
    let ids: Value = ids.map(|one| (one["kind"].as_str().expect("a kind").to_owned(), one["id"].clone())).collect();
    (world, ids)
}

/// E-2: the page of each kind says what would come into force or be undone, by whom, when and why; E-19: markup in it is text.
#[tokio::test(flavor = "multi_thread")]
async fn e_2_e_19_every_kind_has_a_page_with_all_that_is_needed_to_decide() {
    let (house, ids) = waiting().await;
    let browser = &house.browser;
    house.sign_in("sven").await;
    // The queue tells them apart.
    let queue = browser.text().await;
    for (about, what, why) in [
        ("initech", "partner, new or changed", "asked by the warehouse"),
        ("orders-api", "API, new or changed", "asked by the warehouse"),
        ("globex/second", "onboarding of an integration", "ready"),
        ("globex/order-sync", "change of an active integration", "asked by the warehouse"),
        ("binding:globex/order-sync/production/ci-main", "end of a revocation", "recovered"),
        ("globex/order-sync/production", "first certificate of a machine", "a new machine"),
        ("globex", "end of a suspension", "explained"),
    ] {
        let row = queue.lines().any(|line| line.starts_with(&format!("{about}\t{what}\t{why}")));
        assert!(row, "{about}: {queue}");
    }
    assert!(queue.contains("\\u{202e}") && !queue.contains('\u{202e}'), "{queue}");
    assert!(queue.contains("in 30 days") || queue.contains("in 29 days"), "{queue}");
    browser.is_clean().await;
    let pages: [(&str, &[&str]); 7] = [
        ("partner", &["partner, new or changed: initech", "legalName: \"Initech GmbH", "by ann on", "asked by the warehouse"]),
        ("api", &["API, new or changed: orders-api", "See orders", "WIDENS", "by ann on"]),
        (
            "integration",
            &["onboarding of an integration: globex/second", "by olga on", "ready", "owner and security, two people"],
        ),
        ("change", &["Corrects orders.", "1h → 2h", "WIDENS", "by ann on", "asked by the warehouse"]),
        (
            "lift",
            &["revocation of binding:globex/order-sync/production/ci-main", "by sven on", "repository taken over", "recovered"],
        ),
        ("enrolment", &["one machine of globex/order-sync in production", "by olga on", "a new machine", "Copies orders."]),
        ("resume", &["suspension of globex, by sven on", "odd calls at night", "by olga on", "explained"]),
    ];
    for (kind, wanted) in pages {
        let id = ids[kind].as_str().unwrap_or_else(|| panic!("{kind}: {ids}"));
        assert_eq!(browser.goto(&house.page(id)).await, 200, "{kind}");
        let text = browser.text().await;
        for wanted in wanted {
            assert!(text.contains(wanted), "{kind}: {wanted}: {text}");
        }
        assert!(text.contains("alert(1)") && text.contains("onerror=alert(2)"), "{kind}: {text}");
        assert!(!text.contains('\u{202e}'), "{kind}: {text}");
        let page = browser.tell("html", &[]).await;
        assert!(!page.as_str().expect("a page").contains("<b id="), "{kind}");
        let version = browser.tell("value", &[json!("input[name=version]")]).await;
        assert_eq!(version, house.read(&format!("/v1/approvals/{id}")).await["version"], "what is sent is what is shown");
        browser.is_clean().await;
    }
}

/// W-5: a decision is confirmed with what it leads to, and who decided or may not is told so instead of a form.
#[tokio::test(flavor = "multi_thread")]
async fn w_5_a_decision_is_confirmed_and_who_may_not_is_told_who_may() {
    let (house, ids) = waiting_for_a_resumed_partner().await;
    let browser = &house.browser;
    house.sign_in("sven").await;
    let page = |kind: &str| house.page(ids[kind].as_str().expect("an id"));
    // Without a reason the page comes back, with what was expected beside the field.
    browser.goto(&page("change")).await;
    browser.fill("#reason", " ").await;
    assert_eq!(browser.follow("button[value=approve]").await, 422);
    let fault = browser.tell("describes", &[json!("#reason")]).await;
    assert!(fault.as_str().is_some_and(|fault| fault.contains("Say why")), "{fault}");
    browser.is_clean().await;
    browser.fill("#reason", "I read it").await;
    assert_eq!(browser.follow("button[value=approve]").await, 200);
    let text = browser.text().await;
    for wanted in ["You approved it: I read it", "Nothing changes yet: owner has still to approve", "Back to what waits"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("Why; it is recorded"), "{text}");
    browser.is_clean().await;
    browser.follow(".done a").await;
    assert_eq!(browser.url().await, house.at("/console/approvals"));
    // The last word that was needed: it is in force, and the page says so.
    browser.goto(&page("partner")).await;
    browser.fill("#reason", "called them back").await;
    browser.follow("button[value=approve]").await;
    let text = browser.text().await;
    assert!(text.contains("approved") && text.contains("This version is in force."), "{text}");
    browser.goto(&page("lift")).await;
    browser.fill("#reason", "not yet").await;
    browser.follow("button[value=deny]").await;
    let text = browser.text().await;
    assert!(text.contains("You denied it: not yet") && text.contains("Nothing changes."), "{text}");
    // A version that is not current decides nothing, and the way back is there.
    browser.goto(&page("enrolment")).await;
    browser.fill("#reason", "late").await;
    browser.tell("set", &[json!("input[name=version]"), json!("0".repeat(64))]).await;
    assert_eq!(browser.follow("button[value=approve]").await, 412);
    assert!(browser.text().await.contains("Back to the approval"));
    let untouched = format!("/v1/approvals/{}", ids["enrolment"].as_str().expect("an id"));
    assert_eq!(house.read(&untouched).await["state"], "pending");
    browser.is_clean().await;
    // Their own request: no form, but why and who may.
    let own = house.console.as_str();
    let stopped = house.send_json("/v1/integrations/globex/order-sync/suspend", own, &json!({"reason": "odd"})).await;
    assert_eq!(stopped.status, 201, "{}", stopped.text());
    let asked = house.send_json("/v1/integrations/globex/order-sync/resume", own, &json!({"reason": "explained"})).await;
    let approval = asked.json()["approval"].as_str().unwrap_or_else(|| panic!("{}", asked.text())).to_owned();
    browser.goto(&house.page(&approval)).await;
    let text = browser.text().await;
    for wanted in [
        "You cannot decide this",
        "Nobody approves what they applied or submitted.",
        "It needs security, not sven",
        "approval.own-request",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(browser.tell("buttons", &[]).await, json!(["Sign out"]));
    browser.is_clean().await;
}
