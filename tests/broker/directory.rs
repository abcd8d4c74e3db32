//! The people directory as Entra and Okta see it, and as it is seen by those who have no business there.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::world::client::{free_port, send_as};
use crate::world::{Answer, World, send};

const TOKEN: &str = "source-token-0123456789-0123456789";
const NEXT: &str = "source-token-next-23456789-0123456789";
const JSON: &str = "application/scim+json";

/// A world with a directory, which its source calls.
pub struct Source {
    pub world: World,
    at: SocketAddr,
}

impl Source {
    pub async fn start() -> Self {
        Self::over(World::start().await, "").await
    }

    /// A directory over a world that has been running without one, with more lines in its section or after it.
    pub async fn over(mut world: World, more: &str) -> Self {
        world.stop().await;
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let folder = world.folder.path();
        std::fs::write(folder.join("scim-token"), format!("{TOKEN}\n")).expect("written");
        std::fs::write(folder.join("scim-token-next"), NEXT).expect("written");
        let section = format!("[directory]\nlisten = \"{at}\"\ntoken_files = [\"scim-token\", \"scim-token-next\"]\n{more}");
        let file = folder.join("carnet.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration") + &section;
        std::fs::write(file, text).expect("written");
        world.boot().await;
        Self { world, at }
    }

    /// A request as the source sends it.
    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [("authorization", bearer.as_str()), ("content-type", JSON)];
        let headers = if body.is_empty() { &headers[..1] } else { &headers[..] };
        let answer = send(self.at, method, &format!("/scim/v2{path}"), headers, body.as_bytes()).await;
        if answer.status != 204 {
            assert_eq!(answer.header("content-type"), Some(JSON), "{}", answer.text());
        }
        answer
    }

    /// The same, where it succeeds with this status.
    pub async fn done(&self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let answer = self.ask(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// Takes in a person with this user name. Returns the id.
    pub async fn person(&self, user_name: &str) -> String {
        let user = self.done("POST", "/Users", Some(&json!({"userName": user_name, "active": true})), 201).await;
        user["id"].as_str().expect("an id").to_owned()
    }

    /// Everybody, as one list.
    async fn everybody(&self) -> Value {
        self.done("GET", "/Users", None, 200).await["Resources"].clone()
    }
}

/// A path and query with everything escaped that Entra and Okta escape.
fn filter(text: &str) -> String {
    format!("/Users?filter={}", crate::world::client::escape(text))
}

pub fn operations(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

/// <https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups>
#[tokio::test]
async fn entra_provisions_changes_and_disables_a_user() {
    let source = Source::start().await;
    // The connection test looks for somebody who is nobody.
    let found = source.done("GET", &filter("userName eq \"38dca5ae-1a3d-4f1b-8f2e-6f0d6a2d2a6b\""), None, 200).await;
    assert_eq!((&found["totalResults"], &found["Resources"]), (&json!(0), &json!([])));
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "userName": "Test_User@testuser.com", "active": true,
        "emails": [{"primary": true, "type": "work", "value": "Test_User@testuser.com"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "roles": [],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Orders"},
    });
    let created = source.ask("POST", "/Users", Some(&user)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("psn_") && id.len() == 26, "{id}");
    let at = format!("/Users/{id}");
    assert_eq!(created.header("location"), Some(format!("/scim/v2{at}").as_str()));
    let kept = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": id, "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User@testuser.com", "active": true,
        "emails": [{"primary": true, "type": "work", "value": "Test_User@testuser.com"}],
        "meta": {"resourceType": "User", "location": format!("/scim/v2{at}")},
    });
    assert_eq!(created.json(), kept, "nothing else is kept");
    assert_eq!(source.done("GET", &at, None, 200).await, kept);
    for text in ["userName eq \"TEST_user@testuser.com\"", "externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\""] {
        let found = source.done("GET", &filter(text), None, 200).await;
        assert_eq!((&found["totalResults"], &found["Resources"]), (&json!(1), &json!([kept])), "{text}");
    }
    let again = source.ask("POST", "/Users", Some(&user)).await;
    assert_eq!((again.status, &again.json()["scimType"]), (409, &json!("uniqueness")), "{}", again.text());

    let changed = operations(&json!([
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updatedEmail@microsoft.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
    ]));
    let changed = source.done("PATCH", &at, Some(&changed), 200).await;
    assert_eq!(changed["emails"], json!([{"primary": true, "type": "work", "value": "updatedEmail@microsoft.com"}]));
    let renamed = operations(&json!([{"op": "Replace", "path": "userName", "value": "5b50642d@contoso.com"}]));
    let renamed = source.done("PATCH", &at, Some(&renamed), 200).await;
    assert_eq!((&renamed["id"], &renamed["userName"]), (&json!(id), &json!("5b50642d@contoso.com")), "the same person");

    for (value, active) in [(json!("False"), false), (json!("True"), true), (json!(false), false)] {
        let body = operations(&json!([{"op": "Replace", "path": "active", "value": value}]));
        assert_eq!(source.done("PATCH", &at, Some(&body), 200).await["active"], active);
    }
    let found = source.done("GET", &filter("userName eq \"5b50642d@contoso.com\""), None, 200).await;
    assert_eq!(found["Resources"][0]["active"], false, "inactive people are found");

    source.done("DELETE", &at, None, 204).await;
    let back = operations(&json!([{"op": "Replace", "path": "active", "value": true}]));
    for (method, body) in [("GET", None), ("DELETE", None), ("PATCH", Some(&back)), ("PUT", Some(&user))] {
        let gone = source.ask(method, &at, body).await;
        assert_eq!((gone.status, &gone.json()["status"]), (404, &json!("404")), "{method}: {}", gone.text());
    }
    assert_eq!(source.everybody().await, json!([]));
    // The name is free: whoever gets it is somebody else.
    let other = source.person("5b50642d@contoso.com").await;
    assert_ne!(other, id);
}

/// <https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20/>
#[tokio::test]
async fn okta_provisions_puts_and_deactivates_a_user() {
    let source = Source::start().await;
    let first = source.done("GET", "/Users?startIndex=1&count=2", None, 200).await;
    assert_eq!((&first["totalResults"], &first["startIndex"], &first["itemsPerPage"]), (&json!(0), &json!(1), &json!(0)));
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [],
        "password": "1mz050nq", "active": true,
    });
    let created = source.done("POST", "/Users", Some(&user), 201).await;
    let at = format!("/Users/{}", created["id"].as_str().expect("an id"));
    assert!(!created.to_string().contains("1mz050nq"));
    let deactivated = operations(&json!([{"op": "replace", "value": {"active": false}}]));
    assert_eq!(source.done("PATCH", &at, Some(&deactivated), 200).await["active"], false);
    // A PUT of the whole user without `active` brings nobody back.
    let mut put = user.clone();
    put.as_object_mut().expect("an object").remove("active");
    put["userName"] = json!("another.user@okta.local");
    put["id"] = json!("psn_somebody-else");
    let changed = source.done("PUT", &at, Some(&put), 200).await;
    assert_eq!(changed["id"], created["id"]);
    assert_eq!((&changed["active"], &changed["userName"]), (&json!(false), &json!("another.user@okta.local")));
    put["active"] = json!(true);
    assert_eq!(source.done("PUT", &at, Some(&put), 200).await["active"], true);
    for name in ["b", "c", "d"] {
        source.person(&format!("{name}@okta.local")).await;
    }
    let mut seen = Vec::new();
    for start in [1, 3, 5] {
        let page = source.done("GET", &format!("/Users?startIndex={start}&count=2"), None, 200).await;
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(4), &json!(start)));
        seen.extend(page["Resources"].as_array().expect("users").iter().map(|user| user["id"].to_string()));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "each once");
    let counted = source.done("GET", "/Users?count=0", None, 200).await;
    assert_eq!((&counted["totalResults"], &counted["Resources"]), (&json!(4), &json!([])));
    for (wish, seen) in [
        ("attributes=userName", vec!["id", "schemas", "userName"]),
        (
            "attributes=urn:ietf:params:scim:schemas:core:2.0:User:USERNAME,emails.value",
            vec!["emails", "id", "schemas", "userName"],
        ),
        ("excludedAttributes=meta,id,active", vec!["emails", "externalId", "id", "schemas", "userName"]),
    ] {
        for path in [format!("{at}?{wish}"), format!("{}&{wish}", filter("userName eq \"another.user@okta.local\""))] {
            let found = source.done("GET", &path, None, 200).await;
            let user = found["Resources"].get(0).unwrap_or(&found);
            let mut names: Vec<_> = user.as_object().expect("a user").keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, seen, "{path}");
        }
    }
    for (path, name) in [("/ServiceProviderConfig", "patch"), ("/ResourceTypes/User", "schema"), ("/Schemas", "Resources")] {
        assert!(!source.done("GET", path, None, 200).await[name].is_null(), "{path}");
    }
    for path in
        ["/Groups", "/Groups?startIndex=1&count=100", "/Groups/g1", "/Schemas/x", "/ResourceTypes/Group", "/Users/psn_x"]
    {
        source.done("GET", path, None, 404).await;
    }
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let source = Source::start().await;
    let jane = format!("/Users/{}", source.person("jane@acme.example").await);
    let raj = json!({"userName": "raj@acme.example", "externalId": "1"});
    source.done("POST", "/Users", Some(&raj), 201).await;
    let before = source.everybody().await;
    let active = |value: Value| {
        operations(&json!([{"op": "replace", "path": "userName", "value": "x@acme.example"},
        {"op": "replace", "path": "active", "value": value}]))
    };
    let too_many = operations(&json!(vec![json!({"op": "replace", "path": "active", "value": false}); 101]));
    for (method, path, body, status, kind) in [
        ("PATCH", jane.as_str(), active(json!("disabled")), 400, "invalidValue"),
        ("PATCH", &jane, active(json!([true, false])), 400, "invalidValue"),
        ("PATCH", &jane, operations(&json!([{"op": "remove", "path": "active"}])), 400, "mutability"),
        ("PATCH", &jane, operations(&json!([{"op": "remove"}])), 400, "noTarget"),
        (
            "PATCH",
            &jane,
            operations(&json!([{"op": "replace", "path": "userName", "value": "RAJ@acme.example"}])),
            409,
            "uniqueness",
        ),
        ("PATCH", &jane, operations(&json!([{"op": "replace", "path": "externalId", "value": "1"}])), 409, "uniqueness"),
        ("PATCH", &jane, too_many, 400, "invalidSyntax"),
        ("PATCH", &jane, json!({"Operations": []}), 400, "invalidSyntax"),
        ("PATCH", &jane, json!([]), 400, "invalidSyntax"),
        ("PUT", &jane, json!({"active": false}), 400, "invalidValue"),
        ("PUT", &jane, raj.clone(), 409, "uniqueness"),
        ("POST", "/Users", json!({"active": true}), 400, "invalidValue"),
        ("POST", "/Users", json!({"userName": "a\u{202e}b"}), 400, "invalidValue"),
        ("POST", "/Users", json!({"userName": "Jane@acme.example"}), 409, "uniqueness"),
        ("POST", "/Users", json!("jane"), 400, "invalidSyntax"),
    ] {
        let refused = source.ask(method, path, Some(&body)).await;
        assert_eq!(refused.status, status, "{method} {body}: {}", refused.text());
        let told = refused.json();
        assert_eq!((&told["scimType"], &told["status"]), (&json!(kind), &json!(status.to_string())), "{method} {body}");
        assert_eq!(told["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    }
    for (text, kind) in [("userName co \"jane\"", "invalidFilter"), ("active eq true", "invalidFilter")] {
        let refused = source.ask("GET", &filter(text), None).await;
        assert_eq!((refused.status, &refused.json()["scimType"]), (400, &json!(kind)), "{text}: {}", refused.text());
    }
    let twice = format!("{}&filter=x", filter("userName eq \"jane@acme.example\""));
    assert_eq!(source.ask("GET", &twice, None).await.status, 400, "which of both is meant");
    assert_eq!(source.ask("GET", "/Users?count=all", None).await.status, 400);
    // Other media types, other methods, and a body beyond the limit.
    let bearer = format!("Bearer {TOKEN}");
    let sent = async |method: &str, media: &str, body: &[u8]| {
        let headers = [("authorization", bearer.as_str()), ("content-type", media)];
        send(source.at, method, &format!("/scim/v2{jane}"), &headers, body).await
    };
    let left = active(json!(false)).to_string();
    assert_eq!(sent("PATCH", "text/plain", left.as_bytes()).await.status, 415);
    assert_eq!(sent("POST", JSON, left.as_bytes()).await.status, 405);
    let doubled = br#"{"Operations":[{"op":"replace","path":"active","value":true,"value":false}]}"#;
    assert_eq!(sent("PATCH", JSON, doubled).await.status, 400, "two programs would read two requests");
    let large = sent("PATCH", JSON, &vec![b' '; 70_000]).await;
    assert_eq!((large.status, large.header("content-type")), (413, Some(JSON)), "{}", large.text());
    assert_eq!(source.everybody().await, before);
    // The same request is fine as application/json.
    assert_eq!(sent("PATCH", "application/json; charset=utf-8", left.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn only_the_tokens_of_the_source_open_the_directory_and_they_open_nothing_else() {
    let source = Source::start().await;
    let jane = source.person("jane@acme.example").await;
    let staff = format!("Bearer {}", source.world.staff_token("adam"));
    let workload = format!("Bearer {}", source.world.minted().await);
    let put = br#"{"userName":"mallory@acme.example"}"#;
    let wrong = [
        None,
        Some("Bearer "),
        Some("Bearer source-token-0123456789-012345678"),
        Some("Basic c291cmNlLXRva2VuLTAxMjM0NTY3ODktMDEyMzQ1Njc4OTo="),
        Some("DPoP source-token-0123456789-0123456789"),
        Some(staff.as_str()),
        Some(workload.as_str()),
    ];
    for (number, authorization) in wrong.into_iter().enumerate() {
        for (method, path) in [
            ("GET", "/Users".to_owned()),
            ("GET", "/ServiceProviderConfig".to_owned()),
            ("GET", "/Groups".to_owned()),
            ("POST", "/Users".to_owned()),
            ("PUT", format!("/Users/{jane}")),
            ("PATCH", format!("/Users/{jane}")),
            ("DELETE", format!("/Users/{jane}")),
        ] {
            let mut headers = vec![("content-type", JSON)];
            headers.extend(authorization.map(|value| ("authorization", value)));
            let body: &[u8] = if matches!(method, "POST" | "PUT" | "PATCH") { put } else { b"" };
            let answer = send(source.at, method, &format!("/scim/v2{path}"), &headers, body).await;
            assert_eq!(answer.status, 401, "{method} {path} with number {number}: {}", answer.text());
            assert_eq!((answer.header("www-authenticate"), answer.header("content-type")), (Some("Bearer"), Some(JSON)));
        }
    }
    let bearer = format!("Bearer {TOKEN}");
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(send(source.at, "GET", "/scim/v2/Users", &twice, b"").await.status, 401, "we do not choose one");
    let everybody = source.everybody().await;
    assert_eq!((everybody.as_array().map(Vec::len), &everybody[0]["userName"]), (Some(1), &json!("jane@acme.example")));
    // Both tokens count: one takes the other's place without a gap.
    let next = format!("Bearer {NEXT}");
    assert_eq!(send(source.at, "GET", "/scim/v2/Users", &[("authorization", next.as_str())], b"").await.status, 200);
    // The listener has nothing else, and other listeners do not know its token.
    for path in
        ["/", "/livez", "/readyz", "/metrics", "/openapi.json", "/v1/whoami", "/console", "/production/jwks", "/scim/v2/Me"]
    {
        let answer = send_as(source.at, "localhost", path, &[("authorization", bearer.as_str())]).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, Some(JSON)), "{path}: {}", answer.text());
    }
    for path in ["/v1/whoami", "/v1/integrations", "/v1/journal"] {
        let answer = send(source.world.admin, "GET", path, &[("authorization", bearer.as_str())], b"").await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.text());
    }
    for socket in [source.world.public, source.world.admin] {
        let answer = send(socket, "GET", "/scim/v2/Users", &[("authorization", bearer.as_str())], b"").await;
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
}

#[tokio::test]
async fn people_stay_over_a_start_and_leavers_are_forgotten_after_thirty_days() {
    let mut source = Source::over(World::in_file().await, "").await;
    let left = source.person("left.long.ago@acme.example").await;
    let stays = source.person("stays@acme.example").await;
    let body = operations(&json!([{"op": "replace", "value": {"active": false}}]));
    source.done("PATCH", &format!("/Users/{left}"), Some(&body), 200).await;
    source.world.stop().await;
    source.world.boot().await;
    assert_eq!(source.done("GET", &format!("/Users/{left}"), None, 200).await["active"], false);
    assert_eq!(source.done("GET", &format!("/Users/{stays}"), None, 200).await["active"], true);
    source.world.advance(30 * 86_400 - 10).await;
    assert_eq!(source.everybody().await.as_array().map(Vec::len), Some(2));
    source.world.advance(10).await;
    source.done("GET", &format!("/Users/{left}"), None, 404).await;
    assert_eq!(source.everybody().await.as_array().map(Vec::len), Some(1));
    // The name is free at once. Whoever comes back is somebody else, and a new word of the source does not wake the old one.
    let back = source.person("Left.Long.Ago@acme.example").await;
    assert_ne!(back, left);
    source.done("PATCH", &format!("/Users/{left}"), Some(&body), 404).await;
    source.world.stop().await;
    let files = std::fs::read_dir(source.world.folder.path()).expect("a folder").flatten();
    let stored: Vec<u8> = files.filter_map(|file| std::fs::read(file.path()).ok()).flatten().collect();
    let has = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("stays@acme.example") && has(&left), "else this looks in the wrong place");
    assert!(!has("left.long.ago@acme.example"), "the texts are gone from the store and its logs");
    source.world.boot().await;
    assert_eq!(source.everybody().await.as_array().map(Vec::len), Some(2));
}

/// Attack: somebody who can write SQL makes a leaver active again.
#[tokio::test]
async fn a_directory_that_another_hand_changed_answers_nothing_and_tokens_go_on() {
    let mut source = Source::over(World::in_file().await, "").await;
    let jane = format!("/Users/{}", source.person("jane@acme.example").await);
    let body = operations(&json!([{"op": "replace", "value": {"active": false}}]));
    source.done("PATCH", &jane, Some(&body), 200).await;
    source.world.stop().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(source.world.folder.path().join("journal.db"));
    let mut hand = options.connect().await.expect("connects");
    let bent = sqlx::query("UPDATE people SET body = replace(body, 'false', 'true')").execute(&mut hand).await.expect("runs");
    assert_eq!(bent.rows_affected(), 1);
    hand.close().await.expect("closes");
    source.world.boot().await;
    for (method, path, body) in
        [("GET", "/Users", None), ("GET", jane.as_str(), None), ("PATCH", &jane, Some(&body)), ("DELETE", &jane, None)]
    {
        let answer = source.ask(method, path, body).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{method}: {}", answer.text());
    }
    source.world.minted().await;
}

/// A library that nobody here wrote asks what it knows to ask of a SCIM server (PyPI `scim2-tester`).
#[tokio::test]
async fn a_tester_of_scim_servers_finds_no_fault() {
    let source = Source::start().await;
    let mut command = crate::interop::process::python("tests/broker/interop/directory.py");
    command.arg(format!("http://{}/scim/v2", source.at));
    let found = crate::interop::process::output(command, TOKEN.to_owned()).await;
    let found: Vec<Value> = serde_json::from_str(&found).expect("JSON");
    let faults: Vec<&Value> = found.iter().filter(|one| one["status"] == "ERROR" || one["status"] == "CRITICAL").collect();
    // RFC 7644 section 3.4.3: a search by POST is not supported, and is answered 404.
    let titles: Vec<&Value> = faults.iter().map(|one| &one["title"]).collect();
    assert_eq!(titles, ["search_with_attributes"], "{faults:#?}");
    let passed = found.iter().filter(|one| one["status"] == "SUCCESS").count();
    assert!(passed > 20, "{passed} of {found:#?}");
}
