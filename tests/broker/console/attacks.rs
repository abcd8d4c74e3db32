//! The console under attack: forged forms, foreign markup, odd addresses, sessions that are over.

use serde_json::json;

use super::House;
use crate::world::{get, send};

/// A-05: another site's form, its script, a sibling's page, a form without a page, an old token: nothing is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_05_a_forged_form_does_nothing() {
    let house = House::open().await;
    let browser = &house.browser;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    browser.goto(&house.page(&id)).await;
    let value = async |name: &str| browser.tell("value", &[json!(format!("input[name={name}]"))]).await;
    let (token, version) = (value("token").await, value("version").await);
    let (token, version) = (token.as_str().expect("text").to_owned(), version.as_str().expect("text").to_owned());
    let fields = |token: &str| {
        format!("token={token}&version={version}&verdict=approve&scope-0=orders%3Awrite&duration=30m&reason=forged")
    };
    let path = format!("/console/approvals/{id}");
    // Another site that has learned everything, in the approver's own browser.
    let inputs: String = fields(&token)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| format!("<input name='{name}' value='{}'>", value.replace("%3A", ":")))
        .collect();
    let page = format!("<form method=post action='{}{path}'>{inputs}<button id=go>go</button></form>", house.console);
    browser.tell("elsewhere", &[json!(page)]).await;
    let status = browser.follow("#go").await;
    assert!(matches!(status, 401 | 403), "{status}");
    let script = format!(
        "<body><script>Promise.allSettled([fetch('{0}/v1/elevations/{id}/reviews', {{method: 'POST', mode: 'no-cors', credentials: 'include', headers: {{'content-type': 'text/plain'}}, body: '{{\"verdict\":\"approve\",\"reason\":\"x\",\"version\":\"{version}\"}}'}}), fetch('{0}{path}', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams('{1}')}})]).then(() => document.body.innerHTML = '<a id=done href=\"?done\">done</a>')</script>",
        house.console,
        fields(&token)
    );
    browser.tell("elsewhere", &[json!(script)]).await;
    browser.tell("await", &[json!("#done")]).await;
    browser.tell("seen", &[]).await;
    // The same by hand, with the cookie that a browser would send.
    let own = house.console.as_str();
    let sibling = own.replace("localhost", "evil.localhost");
    for (headers, token, status) in [
        (vec![], token.as_str(), 403),
        (vec![("origin", "null")], token.as_str(), 403),
        (vec![("origin", "http://evil.example")], token.as_str(), 403),
        (vec![("origin", sibling.as_str())], token.as_str(), 403),
        (vec![("origin", own), ("origin", "http://evil.example")], token.as_str(), 403),
        (vec![("origin", own), ("sec-fetch-site", "cross-site")], token.as_str(), 403),
        (vec![("origin", own), ("sec-fetch-site", "same-site")], token.as_str(), 403),
        (vec![("origin", own)], "", 403),
        (vec![("origin", own)], "0000000000000000000000", 403),
    ] {
        let answer = house.post(&path, &headers, &fields(token)).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
        assert!(answer.text().contains("staff.other-site"), "{}", answer.text());
    }
    // A-04: a new sign-in is a new session; the old one and its token are nothing any more.
    let old = browser.cookie().await;
    browser.goto(&house.at("/console/sign-in?anew=yes")).await;
    house.choose("sven").await;
    assert_ne!(browser.cookie().await, old);
    let answer = house.post(&path, &[("origin", own)], &fields(&token)).await;
    assert_eq!(answer.status, 403, "the token of the old session: {}", answer.text());
    let answer = send(house.world.admin, "GET", "/v1/approvals", &[("cookie", &old)], &[]).await;
    assert_eq!(answer.status, 401, "the old session");
    house.nothing_is_minted("scope.needs-elevation").await;
    let told = house.read(&format!("/v1/elevations/{id}")).await;
    assert_eq!(told["state"], "pending", "{told}");
}

/// E-18: nothing but the form's own POST changes anything.
#[tokio::test(flavor = "multi_thread")]
async fn e_18_looking_at_the_page_changes_nothing() {
    let house = House::open().await;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    let cookie = house.browser.cookie().await;
    for (method, query, status) in
        [("GET", "?verdict=approve&reason=x", 200), ("HEAD", "", 405), ("PUT", "", 405), ("DELETE", "", 405)]
    {
        let path = format!("/console/approvals/{id}{query}");
        let host = house.console.trim_start_matches("http://");
        let headers = [
            ("cookie", cookie.as_str()),
            ("origin", house.console.as_str()),
            ("purpose", "prefetch"),
            ("x-forwarded-host", host),
        ];
        let answer = send_to(&house, method, &path, &headers).await;
        assert_eq!(answer, status, "{method}");
    }
    assert_eq!(house.read(&format!("/v1/elevations/{id}")).await["state"], "pending");
    house.nothing_is_minted("scope.needs-elevation").await;
}

/// A request that names the console's own host.
async fn send_to(house: &House, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(house.world.admin).await.expect("connected");
    let host = house.console.trim_start_matches("http://");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    let line = String::from_utf8_lossy(&answer);
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// E-19, A-02: markup in whatever people write is text on the page.
#[tokio::test(flavor = "multi_thread")]
async fn e_19_a_02_markup_is_text() {
    const MARKUP: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><b id=bold>";
    let house = House::with(|records| {
        let quoted = MARKUP.replace('"', "\\\"");
        let records = records.replace("purpose: Copies orders.", &format!("purpose: \"{quoted}\""));
        records.replace("meaning: Change orders", &format!("meaning: \"{quoted}\""))
    })
    .await;
    let browser = &house.browser;
    browser.tell("authenticator", &[]).await;
    let id = house.asked(|wish| wish["reason"] = json!(MARKUP)).await;
    house.sign_in("sven").await;
    let inert = async || {
        let text = browser.text().await;
        assert!(text.contains("alert(1)") && text.contains("onerror=alert(2)"), "{text}");
        assert!(!browser.tell("html", &[]).await.as_str().expect("a page").contains("<b id="));
        browser.is_clean().await;
    };
    browser.goto(&house.page(&id)).await;
    inert().await;
    browser.fill("#reason", MARKUP).await;
    browser.follow("button[value=approve]").await;
    inert().await;
    browser.goto(&house.at("/console/passkeys")).await;
    browser.fill("#label", &MARKUP[..60]).await;
    browser.follow("form[data-create] button").await;
    assert!(browser.text().await.contains("alert(1)"));
    browser.is_clean().await;
    // A-19 and the rest of what a page may not do.
    let cookie = browser.cookie().await;
    let host = house.console.trim_start_matches("http://");
    let answer = crate::world::client::send_as(house.world.admin, host, "/console/approvals", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status, 200);
    let policy = answer.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && answer.header("access-control-allow-origin").is_none());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// E-15: a decision wants a sign-in of the last quarter of an hour, and the identity provider's word that there was one.
#[tokio::test(flavor = "multi_thread")]
async fn e_15_a_decision_wants_a_fresh_sign_in() {
    let house = House::open().await;
    let browser = &house.browser;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    // Sixteen minutes later it can be read and not decided.
    house.world.advance(16 * 60).await;
    assert_eq!(browser.goto(&house.page(&id)).await, 200);
    browser.fill("#reason", "late").await;
    assert_eq!(browser.follow("button[value=approve]").await, 403);
    assert!(browser.text().await.contains("staff.sign-in-too-old"));
    browser.is_clean().await;
    // Signing in again at a provider that does not say so of now changes nothing: by its clock it was a quarter of an hour ago.
    let old = browser.cookie().await;
    browser.follow("a.button").await;
    house.choose("sven").await;
    assert_ne!(browser.cookie().await, old, "a new session");
    browser.goto(&house.page(&id)).await;
    browser.fill("#reason", "still late").await;
    assert_eq!(browser.follow("button[value=approve]").await, 403);
    assert!(browser.text().await.contains("staff.sign-in-too-old"));
    house.nothing_is_minted("scope.needs-elevation").await;
    assert_eq!(house.read(&format!("/v1/elevations/{id}")).await["state"], "pending");
}

/// A-13: a session ends by rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_13_a_session_that_rests_is_over() {
    let house = House::open().await;
    house.sign_in("sven").await;
    let cookies = house.browser.tell("cookies", &[]).await;
    let cookies = cookies.as_array().expect("cookies");
    let session = cookies.iter().find(|one| one["name"] == "carnet-session").expect("a session");
    assert_eq!((&session["httpOnly"], &session["sameSite"]), (&json!(true), &json!("Lax")));
    let cookie = house.browser.cookie().await;
    house.world.advance(30 * 60 - 60).await;
    assert_eq!(get_as(&house, &cookie).await, 200);
    house.world.advance(30 * 60).await;
    assert_eq!(get_as(&house, &cookie).await, 401);
}

/// A-13: a session ends an hour after its token was issued (`[staff] max_age`), however busy it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_13_a_session_ends_however_busy_it_was() {
    let house = House::open().await;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    let cookie = house.browser.cookie().await;
    house.browser.goto(&house.page(&id)).await;
    for _ in 0..3 {
        house.world.advance(20 * 60 - 30).await;
        assert_eq!(get_as(&house, &cookie).await, 200);
    }
    house.world.advance(120).await;
    // The form of the page that is still open does nothing, and says so.
    house.browser.fill("#reason", "too late").await;
    assert_eq!(house.browser.follow("button[value=deny]").await, 401);
    assert!(house.browser.text().await.contains("Your session is over"));
    house.browser.is_clean().await;
    assert_eq!(get_as(&house, &cookie).await, 401);
}

/// A-13: a session ends by signing out, and by a cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_13_signing_out_and_a_cut_end_a_session() {
    let house = House::open().await;
    let browser = &house.browser;
    house.sign_in("sven").await;
    let cookie = browser.cookie().await;
    assert_eq!(browser.follow(".who button").await, 200);
    assert!(browser.text().await.contains("You are signed out"));
    browser.is_clean().await;
    assert_eq!(get_as(&house, &cookie).await, 401);
    browser.goto(&house.at("/console/sign-in?anew=yes")).await;
    house.choose("sven").await;
    let cookie = browser.cookie().await;
    assert_eq!(get_as(&house, &cookie).await, 200);
    let headers = [("cookie", cookie.as_str()), ("content-type", "application/json"), ("origin", house.console.as_str())];
    let cut = send(house.world.admin, "POST", "/v1/staff/sven/cut", &headers, br#"{"reason":"left"}"#).await;
    assert_eq!(cut.status, 204, "{}", cut.text());
    assert_eq!(get_as(&house, &cookie).await, 401);
    browser.goto(&house.at("/console/sign-in?anew=yes")).await;
    browser.follow("#sven").await;
    assert!(browser.text().await.contains("You have no role here"));
}

async fn get_as(house: &House, cookie: &str) -> u16 {
    send(house.world.admin, "GET", "/v1/approvals", &[("cookie", cookie)], &[]).await.status
}

/// A-08, A-03: what comes back to the console with another state, of another issuer, twice, or as a refusal, signs nobody in, and nothing
/// that came with it is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_08_a_03_an_answer_to_another_sign_in_signs_nobody_in() {
    let house = House::open().await;
    let host = house.console.trim_start_matches("http://").to_owned();
    let begin = async || {
        let answer = crate::world::client::send_as(house.world.admin, &host, "/console/sign-in?to=//evil.example", &[]).await;
        assert_eq!(answer.status, 303);
        let place = answer.header("location").expect("a place").to_owned();
        assert!(place.contains("code_challenge_method=S256") && place.contains("nonce="), "{place}");
        let state = place.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state").to_owned();
        let cookie = answer.header("set-cookie").and_then(|line| line.split(';').next()).expect("a cookie").to_owned();
        (cookie, state)
    };
    for query in [
        "code=stolen&state=wrong",
        "code=stolen",
        "code=stolen&state=STATE&iss=https%3A%2F%2Fevil.example",
        "error=%3Cscript%3Ealert(1)%3C%2Fscript%3E&error_description=%3Cb%3E&state=STATE",
        "code=stolen&state=STATE",
        "state=STATE",
        "code=a&code=b&state=STATE",
        "",
    ] {
        let (cookie, state) = begin().await;
        let path = format!("/console/callback?{}", query.replace("STATE", &state));
        let answer = crate::world::client::send_as(house.world.admin, &host, &path, &[("cookie", &cookie)]).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains("The sign-in failed") && !answer.text().contains("alert"), "{}", answer.text());
        assert!(answer.header("set-cookie").is_none_or(|line| !line.contains("carnet-session")), "{query}");
        // It is used up.
        let path = format!("/console/callback?code=x&state={state}");
        let again = crate::world::client::send_as(house.world.admin, &host, &path, &[("cookie", &cookie)]).await;
        assert_eq!(again.status, 400);
        assert!(again.text().contains("within ten minutes"));
    }
    // Somebody of the company without a role among us.
    house.browser.goto(&house.at("/console/approvals")).await;
    assert_eq!(house.browser.follow("#nobody").await, 403);
    assert!(house.browser.text().await.contains("You have no role here"));
    assert_eq!(house.browser.cookie().await, "");
    // Without the cookie it was begun in another browser (login forgery), and ten minutes later it is over.
    let (cookie, state) = begin().await;
    let path = format!("/console/callback?code=x&state={state}");
    assert!(crate::world::client::send_as(house.world.admin, &host, &path, &[]).await.text().contains("within ten minutes"));
    house.world.advance(601).await;
    let late = crate::world::client::send_as(house.world.admin, &host, &path, &[("cookie", &cookie)]).await;
    assert!(late.text().contains("within ten minutes"));
}

/// A-07, A-11: pages live at one address; another name is sent there or refused, and no header of the request makes a link.
#[tokio::test(flavor = "multi_thread")]
async fn a_07_a_11_pages_have_one_address() {
    let house = House::open().await;
    let numeric = get(house.world.admin, "/console/approvals").await;
    assert_eq!(numeric.status, 307);
    assert_eq!(numeric.header("location"), Some(house.at("/console/approvals").as_str()));
    let foreign = crate::world::client::send_as(house.world.admin, "rebound.evil.example", "/console/approvals", &[]).await;
    assert_eq!(foreign.status, 421);
    let host = house.console.trim_start_matches("http://");
    let headers = [("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example"), ("x-forwarded-proto", "https")];
    let answer = crate::world::client::send_as(house.world.admin, host, "/console/approvals", &headers).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/console/sign-in?to=/console/approvals")));
    let answer = crate::world::client::send_as(house.world.admin, host, "/console/sign-in", &headers).await;
    assert!(answer.header("location").is_some_and(|place| !place.contains("evil")));
    // Bytes that no header can hold are no address, and no defect either.
    for host in [host, "127.0.0.1"] {
        let mut request = b"GET /console/approvals/a\xff?\xff HTTP/1.1\r\nhost: ".to_vec();
        request.extend_from_slice(format!("{host}\r\nconnection: close\r\n\r\n").as_bytes());
        let answer = crate::world::client::raw(house.world.admin, &request).await;
        assert!(matches!(answer.status, 303 | 400 | 404), "{host}: {}", answer.text());
    }
    // A-15: a session in a query is none.
    assert_eq!(get(house.world.admin, "/v1/approvals?carnet-session=x").await.status, 401);
}
