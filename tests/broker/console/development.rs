//! The console of `carnet dev`: to be tried as it is, with demo people.

use std::net::SocketAddr;

use carnet::dev::{Options, start};

use crate::interop::Browser;
use crate::world::{get, post_form};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_it_signs_in_as_a_demo_person() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let broker = start(Options { public: any, admin: any, mtls: any, demo: any, data: None }).await.expect("it starts");
    let browser = Browser::start().await;
    assert_eq!(browser.goto(&format!("{}/", broker.console_url)).await, 200);
    browser.follow("#sven").await;
    assert_eq!(browser.url().await, format!("{}/console/approvals", broker.console_url));
    assert!(browser.text().await.contains("sven (security)") && browser.text().await.contains("Nothing waits."));
    browser.is_clean().await;
    // Its provider sends nobody elsewhere, and gives no token for a code that it never gave.
    let demo: SocketAddr = broker.demo_url.trim_start_matches("http://").parse().expect("an address");
    let elsewhere = "/staff/authorize?client_id=carnet-console&response_type=code&code_challenge_method=S256&code_challenge=x&state=s&nonce=n&person=sven&redirect_uri=https%3A%2F%2Fevil.example%2Fconsole%2Fcallback";
    assert_eq!(get(demo, elsewhere).await.status, 400);
    let forged =
        post_form(demo, "/staff/token", &[("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", "y")]).await;
    assert_eq!((forged.status, &forged.json()["error"]), (400, &"invalid_grant".into()));
    broker.shutdown().await;
}
