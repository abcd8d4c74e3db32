//! C-8: what is said of bodies and of copies is read as RFC 9110 has it, at every route alike.

use serde_json::json;

use crate::world::days::{VERIFIED_ON, VERIFIED_UNTIL};
use crate::world::{World, get, send};

#[tokio::test]
async fn c_08_whoever_has_a_document_is_not_sent_it_again() {
    let world = World::start().await;
    for (socket, path) in [
        (world.public, "/production/jwks"),
        (world.public, "/production/jwks/ed25519"),
        (world.public, "/production/bundle"),
        (world.public, "/production/crl"),
        (world.public, "/production/.well-known/openid-configuration"),
        (world.public, "/.well-known/oauth-authorization-server/production"),
        (world.admin, "/openapi.json"),
    ] {
        let whole = get(socket, path).await;
        assert_eq!(whole.status, 200, "{path}");
        let tag = whole.header("etag").unwrap_or_else(|| panic!("{path}: a tag")).to_owned();
        let strong = tag.trim_start_matches("W/").to_owned();
        let known = |value: String| async move { send(socket, "GET", path, &[("if-none-match", &value)], b"").await };
        for good in [tag.clone(), strong.clone(), format!("W/{strong}"), format!("\"x\", W/{strong}"), "*".to_owned()] {
            let answer = known(good.clone()).await;
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{path} {good}");
            assert_eq!(
                (answer.header("etag"), answer.header("cache-control")),
                (Some(tag.as_str()), whole.header("cache-control"))
            );
        }
        for other in ["\"x\"".to_owned(), strong.trim_matches('"').to_owned(), format!("{strong} \"x\"")] {
            assert_eq!(known(other.clone()).await.status, 200, "{path} {other}");
        }
    }
    for path in ["/console/console.css", "/console/console.js"] {
        let origin = format!("localhost:{}", world.admin.port());
        let whole = crate::world::client::send_as(world.admin, &origin, path, &[]).await;
        let tag = whole.header("etag").expect("a tag").to_owned();
        let again = crate::world::client::send_as(world.admin, &origin, path, &[("if-none-match", &format!("W/{tag}"))]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
}

#[tokio::test]
async fn c_08_a_content_type_has_many_spellings() {
    let world = World::start().await;
    let ask = async |kind: &str| {
        let form = format!(
            "grant_type=client_credentials&client_assertion={}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion\
             -type%3Ajwt-bearer&audience=orders-api&scope=orders%3Aread",
            world.assertion("production")
        );
        send(world.public, "POST", "/production/token", &[("content-type", kind)], form.as_bytes()).await
    };
    let good = ["", ";", "; charset=\"utf-8\"", ";charset=UTF-8;", " ; Charset=\"UTF-8\" ; "];
    for more in good {
        for kind in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded"] {
            let answer = ask(&format!("{kind}{more}")).await;
            assert_eq!(answer.status, 200, "{kind}{more}: {}", answer.text());
        }
    }
    for kind in
        ["", "application/json", "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded; x"]
    {
        let answer = ask(kind).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("form.malformed")), "{kind}: {}", answer.text());
    }
    for more in good {
        let yaml = ("application/yaml", records());
        let kind = format!("Application/YAML{more}");
        let planned = world.admin_send("POST", "/v1/records/plan", "ann", Some((&kind, yaml.1))).await;
        assert_eq!(planned.status, 200, "{kind}: {}", planned.text());
        let kind = format!("application/JSON{more}");
        let body = json!({"token": "x", "reason": "y"}).to_string();
        let answer = world.admin_send("POST", "/v1/revocations", "sven", Some((&kind, body))).await;
        assert_ne!(answer.status, 415, "{kind}: {}", answer.text());
    }
}

fn records() -> String {
    format!(
        "apiVersion: carnet/v1\nkind: Partner\nmetadata: {{name: initech}}\nlegalName: Initech\ndomains: [initech.example]\n\
         contacts: {{technical: ops@initech.example, security: s@initech.example}}\n\
         verification: {{by: jane@acme.example, on: {VERIFIED_ON}, evidence: \"sha256:00\", expires: {VERIFIED_UNTIL}}}\n"
    )
}
