//! Decisions on the page: approve, shorten, narrow, deny; with the keyboard alone; and what a page shows.

use serde_json::json;

use super::House;
use crate::world::claims;

/// A person signs in, sees it all on one screen, and the workload's next exchange carries the scope.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_on_the_page_reaches_the_workload() {
    let house = House::open().await;
    let browser = &house.browser;
    house.world.minted().await;
    house.world.minted().await;
    let id = house.asked(|_| {}).await;
    house.nothing_is_minted("scope.needs-elevation").await;
    // The link of a mail leads through the sign-in to the page itself.
    house.world.clock.synchronise();
    browser.goto(&house.page(&id)).await;
    house.choose("sven").await;
    assert_eq!(browser.url().await, house.page(&id));
    let text = browser.text().await;
    for shown in [
        "globex/order-sync",
        "production",
        "by its own proof: binding ci-main",
        "Copies orders.",
        "jane@acme.example",
        "Change orders (risk high",
        "orders:list",
        "30m",
        "orders are stuck",
        "MSA-1",
        "1 of role security",
        "A scope of it is of high risk.",
        "This integration never had it before.",
        "█ 2 tokens in the last 30 days, 2 on the busiest, 2 today",
        "scope.needs-elevation",
        "on record: lets globex/order-sync have orders:write at orders-api in production for 30m",
        "carnet approve",
        "sven (security)",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    browser.is_clean().await;
    browser.fill("#reason", "the ticket says so").await;
    assert_eq!(browser.follow("button[value=approve]").await, 200);
    let text = browser.text().await;
    assert!(text.contains("active") && text.contains("approve by sven: the ticket says so"), "{text}");
    assert!(text.contains("You approved it: the ticket says so") && text.contains("It runs from"), "{text}");
    assert!(text.contains("Back to what waits"), "{text}");
    assert!(!text.contains("Why; it is recorded"), "{text}");
    browser.is_clean().await;
    let answer = house.exchanged().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = claims(answer.json()["access_token"].as_str().expect("a token"));
    assert_eq!(token["authorization_details"][0]["id"], json!(id));
    let told = house.read(&format!("/v1/elevations/{id}")).await;
    assert_eq!(told["reviews"][0]["by"]["id"], "sven");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_shortens_and_narrows_on_the_page() {
    let house = House::with(|records| {
        let listed = "    elevation:\n      - scope: orders:list\n        api: orders-api\n        max: 1h\n        approvers: {role: security, count: 1}\n";
        let endpoints = "        max: 1h\n        allow: [\"PATCH /v1/orders/{id}\", \"POST /v1/orders\"]\n";
        let records = records.replacen("        - scope: orders:list\n", "", 1);
        let records = records.replacen("    elevation:\n", listed, 1);
        let (before, after) = records.split_once("      - scope: orders:write\n").expect("the scope");
        format!("{before}      - scope: orders:write\n{}", after.replacen("        max: 1h\n", endpoints, 1))
    })
    .await;
    let browser = &house.browser;
    let both = house.asked(|wish| wish["scopes"] = json!(["orders:write", "orders:list"])).await;
    house.sign_in("sara").await;
    browser.goto(&house.page(&both)).await;
    browser.click("input[value='orders:list']").await;
    browser.fill("#duration", "10m").await;
    browser.fill("#reason", "less will do").await;
    assert_eq!(browser.follow("button[value=approve]").await, 200);
    let told = house.read(&format!("/v1/elevations/{both}")).await;
    assert_eq!((&told["scopes"], &told["duration"]), (&json!(["orders:write"]), &json!("10m")), "{told}");

    let write = house.asked(|_| {}).await;
    browser.goto(&house.page(&write)).await;
    browser.click("input[value='POST /v1/orders']").await;
    // Longer than what was asked for is not to be had here either.
    browser.fill("#duration", "50m").await;
    browser.fill("#reason", "more").await;
    assert_eq!(browser.follow("button[value=approve]").await, 422);
    assert!(browser.text().await.contains("elevation.not-narrower"));
    // The page is the form again, as it was filled in, with what is wrong beside the field.
    let duration = async |text: &str| {
        browser.fill("#duration", text).await;
        assert_eq!(browser.follow("button[value=approve]").await, 422, "{text}");
        let fault = browser.tell("describes", &[json!("#duration")]).await;
        let fault = fault.as_str().expect("a fault").to_owned();
        assert!(fault.contains("1m to 30m") && fault.contains(text), "{fault}");
        assert_eq!(browser.tell("value", &[json!("#duration")]).await, text);
        assert_eq!(browser.tell("value", &[json!("#reason")]).await, "more");
        let left = browser.tell("checked", &[]).await;
        assert_eq!(left, json!(["orders:write", "PATCH /v1/orders/{id}"]));
        browser.is_clean().await;
    };
    for text in ["50m", "soon", "0s", "30s", "-5m", "<b>"] {
        duration(text).await;
    }
    let told = house.read(&format!("/v1/elevations/{write}")).await;
    assert_eq!(told["reviews"], json!([]), "nothing was decided: {told}");
    browser.fill("#duration", "30m").await;
    browser.fill("#reason", "one endpoint").await;
    assert_eq!(browser.follow("button[value=approve]").await, 200);
    let told = house.read(&format!("/v1/elevations/{write}")).await;
    assert_eq!((&told["allow"], &told["duration"]), (&json!(["PATCH /v1/orders/{id}"]), &json!("30m")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_on_the_page_stays() {
    let house = House::open().await;
    let browser = &house.browser;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    assert!(browser.text().await.contains("globex/order-sync"));
    browser.is_clean().await;
    browser.follow("table a").await;
    assert_eq!(browser.url().await, house.page(&id));
    // A reason is asked for by the browser, and by us.
    browser.click("button[value=deny]").await;
    assert_eq!(browser.url().await, house.page(&id));
    browser.fill("#reason", "not today").await;
    browser.follow("button[value=deny]").await;
    assert!(browser.text().await.contains("deny by sven: not today"));
    house.nothing_is_minted("scope.needs-elevation").await;
    browser.goto(&house.at("/console/approvals")).await;
    assert!(browser.text().await.contains("Nothing waits."));
    browser.is_clean().await;
}

/// The whole way by keyboard: from the identity provider's page to the decision.
#[tokio::test(flavor = "multi_thread")]
async fn everything_works_with_the_keyboard_alone() {
    let house = House::open().await;
    let browser = &house.browser;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    let go = async |wanted: &str| {
        for _ in 0..40 {
            browser.tell("press", &[json!("Tab")]).await;
            let focused = browser.tell("focused", &[]).await;
            if focused.as_str().expect("text").contains(wanted) {
                return;
            }
        }
        panic!("{wanted} is not reached with Tab");
    };
    // The first thing reached leads past what is on every page.
    browser.tell("press", &[json!("Tab")]).await;
    assert!(browser.tell("focused", &[]).await.as_str().expect("text").contains("Skip to the content"));
    go("globex/order-sync").await;
    browser.tell("enter", &[json!("Enter")]).await;
    assert_eq!(browser.url().await, house.page(&id));
    go("INPUT duration").await;
    // The field is selected as it is reached, so that typing replaces it.
    browser.tell("type", &[json!("15m")]).await;
    go("TEXTAREA").await;
    browser.tell("type", &[json!("by keyboard")]).await;
    go("BUTTON verdict approve").await;
    browser.tell("enter", &[json!("Enter")]).await;
    let told = house.read(&format!("/v1/elevations/{id}")).await;
    assert_eq!((&told["state"], &told["duration"]), (&json!("active"), &json!("15m")), "{told}");
    assert_eq!(house.exchanged().await.status, 200);
}

/// E-06: what changed after the page was opened is not approved; E-09: the same form again is no second vote.
#[tokio::test(flavor = "multi_thread")]
async fn e_06_e_09_a_page_that_is_old_decides_nothing() {
    let house = House::open().await;
    let browser = &house.browser;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    browser.goto(&house.page(&id)).await;
    browser.fill("#reason", "as I saw it").await;
    // Somebody else's doing in between: here the form itself names a version that is not current.
    let version = browser.tell("value", &[json!("input[name=version]")]).await;
    let other = version.as_str().expect("a version").replace(|c: char| c.is_ascii_digit(), "0");
    browser.tell("set", &[json!("input[name=version]"), json!(other)]).await;
    assert_eq!(browser.follow("button[value=approve]").await, 412);
    assert!(browser.text().await.contains("approval.version-seen"));
    house.nothing_is_minted("scope.needs-elevation").await;
    browser.goto(&house.page(&id)).await;
    let token = browser.tell("value", &[json!("input[name=token]")]).await;
    let form = format!(
        "token={}&version={}&verdict=approve&scope-0=orders%3Awrite&duration=30m&reason=twice",
        token.as_str().expect("a token"),
        version.as_str().expect("a version")
    );
    let (path, own) = (format!("/console/approvals/{id}"), [("origin", house.console.as_str())]);
    assert_eq!(house.post(&path, &own, &form).await.status, 303);
    let again = house.post(&path, &own, &form).await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("approval.second-vote"), "{}", again.text());
}

/// W-5: who asked, and who has no say, see it all and are told who may decide, instead of a form that leads nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn w_5_who_may_not_decide_on_an_elevation_is_told_who_may() {
    let house = House::open().await;
    let browser = &house.browser;
    house.sign_in("sven").await;
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": "orders are stuck", "ticket": "INC-7",
    });
    let asked = house.send_json("/v1/elevations", &house.console, &wish).await;
    let id = asked.json()["id"].as_str().unwrap_or_else(|| panic!("{}", asked.text())).to_owned();
    browser.goto(&house.at("/console/approvals")).await;
    let queue = browser.text().await;
    for shown in ["orders:write (risk high) at orders-api in production, 30m", "orders are stuck (ticket INC-7)", "sven, "] {
        assert!(queue.contains(shown), "{shown}: {queue}");
    }
    for (person, code) in [("sven", "approval.own-request"), ("alan", "approval.slot")] {
        if person != "sven" {
            browser.tell("forget", &[]).await;
            house.sign_in(person).await;
        }
        browser.goto(&house.page(&id)).await;
        let text = browser.text().await;
        for shown in ["You cannot decide this", "It needs 1 of role security", code, "orders are stuck"] {
            assert!(text.contains(shown), "{person}: {shown}: {text}");
        }
        assert_eq!(browser.tell("buttons", &[]).await, json!(["Sign out"]), "{person}");
        browser.is_clean().await;
    }
}
