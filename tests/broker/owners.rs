//! Owners of records are people, and people leave: what the directory says of them, and what follows for tokens.

use serde_json::{Value, json};

use crate::directory::{Source, operations};
use crate::world::{World, claims, records};

const GRACE: i64 = 14 * 86_400;

/// The entries of a kind, the oldest first.
async fn entries(world: &World, kind: &str) -> Vec<Value> {
    let found = world.admin_get(&format!("/v1/journal?kind={kind}&limit=1000"), "alan").await;
    found["items"].as_array().expect("entries").clone()
}

/// The number of entries of a kind.
async fn count(world: &World, kind: &str) -> usize {
    entries(world, kind).await.len()
}

pub async fn active(source: &Source, id: &str, active: bool) {
    let body = operations(&json!([{"op": "Replace", "path": "active", "value": active}]));
    source.done("PATCH", &format!("/Users/{id}"), Some(&body), 200).await;
}

/// A token that is never printed.
#[derive(PartialEq)]
struct Minted(String);

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a token")
    }
}

/// The exchange of the usual integration in production: its token, or the reason of the refusal.
async fn exchanged(world: &World) -> Result<Minted, String> {
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    let body = answer.json();
    match answer.status {
        200 => Ok(Minted(body["access_token"].as_str().expect("a token").to_owned())),
        400 => Err(body["reason"].as_str().expect("a reason").to_owned()),
        other => panic!("{other}: {}", answer.text()),
    }
}

/// The usual records with other owners.
fn owned(world: &World, business: &str, application: &str) -> String {
    let usual = records::usual(&world.partner.issuer);
    let owners = "owners: {business: jane@acme.example, application: raj@acme.example}";
    assert!(usual.contains(owners));
    usual.replace(owners, &format!("owners: {{business: {business}, application: {application}}}"))
}

async fn apply(world: &World, records: &str) -> crate::world::Answer {
    world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await
}

/// A source that knows the two owners of the usual records.
async fn provisioned() -> (Source, String, String) {
    let source = Source::start().await;
    let (jane, raj) = (source.person("jane@acme.example").await, source.person("raj@acme.example").await);
    (source, jane, raj)
}

/// The first entry holds those whom the directory knows, and nobody's address.
#[tokio::test]
async fn an_owner_who_leaves_ends_access_after_the_grace_and_is_back_at_once() {
    let source = Source::start().await;
    let world = &source.world;
    let unresolved = world.admin_get("/v1/directory", "alan").await["unresolved"].clone();
    assert_eq!(unresolved, json!(["globex/order-sync"]), "shown");
    exchanged(world).await.expect("and refuses nothing");
    let (jane, raj) = (source.person("Jane@ACME.example").await, source.person("raj@acme.example").await);
    let resolved = entries(world, "owner.resolved").await;
    let of = |at: usize| resolved[at]["inForce"]["globex/order-sync"].clone();
    assert_eq!((of(0), of(1)), (json!({"business": jane}), json!({"application": raj})));
    assert!(!json!(resolved).to_string().contains("acme.example"), "{resolved:?}");
    assert_eq!(world.admin_get("/v1/directory", "alan").await["unresolved"], json!([]));

    // Somebody who owns nothing leaves without an entry.
    let eve = source.person("eve@acme.example").await;
    active(&source, &eve, false).await;
    assert_eq!(count(world, "owner.left").await, 0);

    active(&source, &jane, false).await;
    let left = entries(world, "owner.left").await;
    let ends = left[0]["time"].as_i64().expect("a time") + GRACE;
    assert_eq!((left.len(), &left[0]["person"], &left[0]["by"]), (1, &json!(jane), &json!("directory")));
    let next = async || world.admin_get("/v1/integrations/globex/order-sync", "alan").await["endsNext"].clone();
    assert_eq!(next().await, json!({"what": "owner", "at": ends}));
    let list = world.admin_get("/v1/integrations", "alan").await["items"][0].clone();
    assert_eq!((&list["endsNext"]["what"], &list["effective"]["production"]["state"]), (&json!("owner"), &json!("granting")));
    let whole = claims(&exchanged(world).await.expect("granted").0);
    assert!(whole["exp"].as_i64().expect("an exp") < ends);

    world.advance(GRACE - 60).await;
    let capped = exchanged(world).await.expect("granted").0;
    assert_eq!(claims(&capped)["exp"], json!(ends), "no token lives longer");
    world.advance(60).await;
    let minted = world.issued().await;
    for environment in ["production", "sandbox"] {
        let refused = world.exchange(environment, &world.assertion(environment), "orders:read").await;
        assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!("owner.gone")), "{environment}");
        let request = refused.header("x-request-id").expect("an id");
        let explained = world.admin_get(&format!("/v1/explain/{request}"), "alan").await.to_string();
        assert!(explained.contains("owner.gone") && explained.contains(&jane), "{explained}");
    }
    assert_eq!(world.issued().await, minted, "nothing is minted");
    assert_eq!(world.introspect("production", &capped).await.json()["active"], false);
    let effective = world.admin_get("/v1/integrations/globex/order-sync", "alan").await["effective"]["production"].clone();
    let cause = json!({"reason": "owner.gone", "since": ends, "liftedBy": {"action": "apply", "role": "owner"}});
    assert_eq!((&effective["state"], &effective["causes"][0]), (&json!("refusing"), &cause), "{effective}");
    let shown = world.admin_get("/v1/directory", "alan").await;
    assert_eq!((&shown["gone"][0]["id"], &shown["gone"][0]["integrations"]), (&json!(jane), &json!(["globex/order-sync"])));

    // It counts after a start, of which the directory knows nothing.
    active(&source, &jane, true).await;
    let returned = entries(world, "owner.returned").await;
    assert_eq!((returned.len(), &returned[0]["person"], &returned[0]["by"]), (1, &json!(jane), &json!("directory")));
    exchanged(world).await.expect("granted again");
    assert_eq!(next().await["what"], "review");
    // The source repeats itself, and nothing is recorded for it.
    active(&source, &jane, true).await;
    assert_eq!((count(world, "owner.left").await, count(world, "owner.returned").await), (1, 1));
}

/// The decision rests on the journal alone: a node that starts without its directory refuses all the same.
#[tokio::test]
async fn an_owner_who_left_stays_gone_over_a_start_and_without_a_directory() {
    let (mut source, jane, _) = provisioned().await;
    source.done("DELETE", &format!("/Users/{jane}"), None, 204).await;
    assert_eq!(count(&source.world, "owner.left").await, 1, "deleted is gone");
    source.world.stop().await;
    let file = source.world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.split_once("[directory]").expect("the section").0).expect("written");
    source.world.boot().await;
    let world = &source.world;
    world.advance(GRACE - 30).await;
    exchanged(world).await.expect("granted");
    world.advance(30).await;
    assert_eq!(exchanged(world).await, Err("owner.gone".to_owned()));
    // A narrower version has the same owners, and nobody is back for that.
    let narrower = records::usual(&world.partner.issuer).replacen("        - scope: orders:list\n", "", 1);
    let answer = apply(world, &narrower).await;
    assert_eq!(answer.json()["items"][0]["action"], "narrow", "{}", answer.text());
    assert_eq!(exchanged(world).await, Err("owner.gone".to_owned()));
}

#[tokio::test]
async fn a_changed_address_is_the_same_person() {
    let (source, jane, raj) = provisioned().await;
    let world = &source.world;
    let renamed = operations(&json!([
        {"op": "Replace", "path": "userName", "value": "jane.doe@acme.example"},
        {"op": "Add", "path": "emails", "value": [{"type": "work", "value": "JD@acme.example"}]},
    ]));
    source.done("PATCH", &format!("/Users/{jane}"), Some(&renamed), 200).await;
    let answer = apply(world, &owned(world, "jd@ACME.example", "raj@acme.example")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let held = entries(world, "integration.change-held").await;
    assert_eq!(held[0]["owners"], json!({"business": jane, "application": raj}));
    world.approve_all().await;
    let changed = entries(world, "integration.changed").await;
    assert_eq!(changed[0]["owners"], json!({"business": jane, "application": raj}));
    active(&source, &jane, false).await;
    let left = entries(world, "owner.left").await;
    assert_eq!((left.len(), &left[0]["person"]), (1, &json!(jane)));
    world.advance(GRACE).await;
    assert_eq!(exchanged(world).await, Err("owner.gone".to_owned()));
}

/// Who is unknown, gone or twice the same is refused when a version is submitted; nothing is recorded.
#[tokio::test]
async fn a_version_names_two_present_people() {
    let (source, jane, _) = provisioned().await;
    let world = &source.world;
    let gone = source.person("gone@acme.example").await;
    active(&source, &gone, false).await;
    for (user_name, email) in [("eve", "twins@acme.example"), ("fay", "twins@acme.example"), ("jd", "jane2@acme.example")] {
        let user = json!({"userName": user_name, "active": true, "emails": [{"value": email}]});
        source.done("POST", "/Users", Some(&user), 201).await;
    }
    let also =
        operations(&json!([{"op": "Add", "path": "emails", "value": [{"type": "other", "value": "jane3@acme.example"}]}]));
    source.done("PATCH", &format!("/Users/{jane}"), Some(&also), 200).await;
    let cases = [
        ("nobody@acme.example", "raj@acme.example", "owner.unknown", "owners.business"),
        ("jane@acme.example", "nobody@acme.example", "owner.unknown", "owners.application"),
        ("jane@acme.example", "twins@acme.example", "owner.unknown", "owners.application"),
        ("gone@acme.example", "raj@acme.example", "owner.gone", "owners.business"),
        ("jane@acme.example", "JANE3@acme.example", "record.owners", "owners"),
    ];
    let integration = |business: &str, application: &str, name: &str, repository: &str| {
        records::integration(&world.partner.issuer, name, repository).replace(
            "owners: {business: jane@acme.example, application: raj@acme.example}",
            &format!("owners: {{business: {business}, application: {application}}}"),
        )
    };
    for (number, (business, application, reason, at)) in cases.into_iter().enumerate() {
        let before = world.admin_get("/v1/journal/proof?index=0", "alan").await["proof"].clone();
        let wider = owned(world, business, application);
        for path in ["plan", "apply"] {
            let body = Some(("application/yaml", wider.clone()));
            let answer = world.admin_send("POST", &format!("/v1/records/{path}"), "ann", body).await;
            let told = answer.json();
            assert_eq!((answer.status, &told["reason"]), (422, &json!(reason)), "{path} {}", answer.text());
            assert_eq!(told["errors"][0]["at"], format!("globex/order-sync {at}"), "{told}");
            assert_eq!(told["errors"].as_array().map(Vec::len), Some(1), "{told}");
        }
        assert_eq!(world.admin_get("/v1/journal/proof?index=0", "alan").await["proof"], before, "nothing was recorded");
        // A draft may name whom it likes, with a warning, until it is submitted.
        let name = format!("draft-{number}");
        let drafted = apply(world, &integration(business, application, &name, &format!("7{number}"))).await;
        assert_eq!(drafted.status, 200, "{}", drafted.text());
        assert!(drafted.json()["warnings"].to_string().contains(reason), "{}", drafted.text());
        let path = format!("/v1/integrations/globex/{name}/submit");
        let answer = world.admin_post(&path, "ann", &json!({"reason": "ready"})).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (422, &json!(reason)), "{}", answer.text());
    }
    assert_eq!(count(world, "integration.submitted").await, 1);
    let good = apply(world, &integration("jane@acme.example", "raj@acme.example", "good", "99")).await;
    assert!(!good.json()["warnings"].to_string().contains("owner"), "{}", good.text());
    let answer = world.admin_post("/v1/integrations/globex/good/submit", "ann", &json!({"reason": "ready"})).await;
    assert!(answer.status < 300, "{}", answer.text());
    world.approve_all().await;
    let activated = entries(world, "integration.activated").await;
    assert_eq!(activated.last().expect("an entry")["owners"]["business"], json!(jane));
}

/// A version that waits takes no force while its owner is gone; one that names somebody else lifts what the owner's leaving ended.
#[tokio::test]
async fn a_version_with_a_present_owner_lifts_it() {
    let (source, jane, raj) = provisioned().await;
    let world = &source.world;
    let eve = source.person("eve@acme.example").await;
    let answer = apply(world, &owned(world, "jane@acme.example", "eve@acme.example")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    active(&source, &eve, false).await;
    world.approve_all().await;
    assert_eq!(count(world, "integration.changed").await, 0);
    let waits = world.admin_get("/v1/integrations/globex/order-sync", "alan").await["waitsFor"].clone();
    assert_eq!(waits, json!(["owner.gone"]));
    active(&source, &jane, false).await;
    world.advance(GRACE).await;
    assert_eq!(exchanged(world).await, Err("owner.gone".to_owned()));
    let fay = source.person("fay@acme.example").await;
    let answer = apply(world, &owned(world, "fay@acme.example", "raj@acme.example")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(exchanged(world).await, Err("owner.gone".to_owned()), "until it is approved");
    world.approve_all().await;
    let changed = entries(world, "integration.changed").await;
    assert_eq!(changed[0]["owners"], json!({"business": fay, "application": raj}));
    exchanged(world).await.expect("granted");
}

/// A world with so many integrations besides the usual one, each with two owners of its own; and their ids.
pub async fn crowd(pairs: usize) -> (Source, Vec<String>) {
    let source = Source::start().await;
    let mut ids = vec![source.person("jane@acme.example").await, source.person("raj@acme.example").await];
    let mut all = Vec::new();
    for pair in 0..pairs {
        let (business, application) = (format!("b{pair}@acme.example"), format!("a{pair}@acme.example"));
        ids.push(source.person(&business).await);
        ids.push(source.person(&application).await);
        let record = records::integration(&source.world.partner.issuer, &format!("i{pair}"), &format!("8{pair}"));
        all.push(record.replace("jane@acme.example", &business).replace("raj@acme.example", &application));
    }
    source.world.onboard(&all.join("---\n")).await;
    (source, ids)
}

/// A stolen token of the source ends at most the bound, whichever way it is used; somebody of security decides about the rest.
#[tokio::test]
async fn a_stolen_token_of_the_source_ends_no_more_than_the_bound() {
    let (source, ids) = crowd(3).await;
    let world = &source.world;
    for (number, id) in ids.iter().enumerate() {
        match number % 3 {
            0 => active(&source, id, false).await,
            1 => drop(source.done("DELETE", &format!("/Users/{id}"), None, 204).await),
            _ => drop(source.done("PUT", &format!("/Users/{id}"), Some(&json!({"userName": id, "active": false})), 200).await),
        }
    }
    assert_eq!(count(world, "owner.left").await, 3);
    let shown = world.admin_get("/v1/directory", "sven").await;
    let held = shown["held"].as_array().expect("holds").clone();
    let people: Vec<&str> =
        held.iter().flat_map(|hold| hold["people"].as_array().expect("people")).filter_map(|one| one["id"].as_str()).collect();
    assert_eq!((people.len(), shown["gone"].as_array().map(Vec::len)), (5, Some(3)), "{shown}");
    assert_eq!(count(world, "directory.held").await, 5);
    // Going back and forth within the hour ends no more than going once.
    active(&source, &ids[0], true).await;
    active(&source, &ids[6], true).await;
    active(&source, &ids[6], false).await;
    active(&source, &ids[0], false).await;
    let shown = world.admin_get("/v1/directory", "sven").await;
    assert_eq!(shown["gone"].as_array().map(Vec::len), Some(3), "{shown}");
    world.advance(GRACE).await;
    let held = world.admin_get("/v1/directory", "sven").await["held"].as_array().expect("holds").clone();
    let granted = world.admin_get("/v1/integrations", "alan").await;
    let refusing = granted["items"].as_array().expect("items").iter();
    let refusing = refusing.filter(|one| one["effective"]["production"]["state"] == "refusing").count();
    assert!(refusing <= 3, "{granted}");

    let confirm = |id: &Value| json!({"id": id, "reason": "a team was sold"});
    for person in ["ann", "adam", "alan"] {
        let refused = world.admin_post("/v1/directory/confirm", person, &confirm(&held[0]["id"])).await;
        assert_eq!((refused.status, &refused.json()["reason"]), (403, &json!("staff.role")), "{person}");
    }
    let refused = by_a_machine(world, "security", "/v1/directory/confirm", &confirm(&held[0]["id"])).await;
    assert_eq!((refused.status, &refused.json()["reason"]), (403, &json!("staff.machine")), "{}", refused.text());
    let unknown = world.admin_post("/v1/directory/confirm", "sven", &confirm(&json!("nothing"))).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    for hold in &held {
        let done = world.admin_post("/v1/directory/confirm", "sven", &confirm(&hold["id"])).await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert_eq!(done.json()["people"].as_array().map(Vec::len), hold["people"].as_array().map(Vec::len));
    }
    let again = world.admin_post("/v1/directory/confirm", "sven", &confirm(&held[0]["id"])).await;
    assert_eq!(again.status, 404, "it is confirmed once");
    let shown = world.admin_get("/v1/directory", "sven").await;
    assert_eq!((&shown["held"], shown["gone"].as_array().map(Vec::len)), (&json!([]), Some(8)), "{shown}");
    assert_eq!(entries(world, "directory.confirmed").await[0]["by"]["staff"]["id"], "sven");
    world.advance(GRACE).await;
    for item in world.admin_get("/v1/integrations", "alan").await["items"].as_array().expect("items") {
        assert_eq!(item["effective"]["production"]["causes"][0]["reason"], "owner.gone", "{item}");
    }
}

/// A request by a machine of the company with a staff token in this group.
async fn by_a_machine(world: &World, group: &str, path: &str, body: &Value) -> crate::world::Answer {
    let now = world.clock.seconds();
    let token = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "robot", "aud": "carnet", "exp": now + 600, "iat": now, "idtyp": "app", "groups": [group],
    }));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    crate::world::send(world.admin, "POST", path, &headers, body.to_string().as_bytes()).await
}

async fn import(world: &World, person: &str, people: &[(&str, bool)], confirm: Option<usize>) -> crate::world::Answer {
    let people: Vec<Value> = people.iter().map(|(email, active)| json!({"email": email, "active": active})).collect();
    let mut body = json!({"people": people});
    if let Some(number) = confirm {
        body["confirmLeft"] = number.into();
    }
    world.admin_post("/v1/directory/import", person, &body).await
}

/// A whole list: one faulty line changes nobody, an empty file makes nobody gone, and the brake holds here too.
#[tokio::test]
async fn a_list_of_people_is_taken_whole_or_not_at_all() {
    let world = World::start().await;
    let without = import(&world, "adam", &[("jane@acme.example", true)], None).await;
    assert_eq!((without.status, &without.json()["reason"]), (409, &json!("directory.none")), "{}", without.text());
    let (source, ids) = crowd(3).await;
    let world = &source.world;
    for person in ["ann", "sven", "alan"] {
        let refused = import(world, person, &[], None).await;
        assert_eq!((refused.status, &refused.json()["reason"]), (403, &json!("staff.role")), "{person}");
    }
    let refused = by_a_machine(world, "admins", "/v1/directory/import", &json!({"people": []})).await;
    assert_eq!((refused.status, &refused.json()["reason"]), (403, &json!("staff.machine")), "{}", refused.text());
    let people = async || world.admin_get("/v1/directory", "alan").await["people"].clone();
    let before = people().await;
    for bad in [
        &[("jane@acme.example", false), ("no address", true)][..],
        &[("jane@acme.example", false), ("JANE@acme.example", true)],
        &[("new@acme.example", true), ("New@acme.example", true)],
        &[("jane@acme.example", false), ("a\u{202e}b@acme.example", true)],
    ] {
        let refused = import(world, "adam", bad, Some(6)).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["at"]), (422, &json!("people[1]")), "{}", refused.text());
    }
    let empty = import(world, "adam", &[], None).await;
    assert_eq!((empty.status, empty.json()), (200, json!({"changed": 0, "lacking": 8, "left": 0})));
    for wrong in [0, 7, 9] {
        let refused = import(world, "adam", &[], Some(wrong)).await;
        assert_eq!((refused.status, &refused.json()["reason"]), (409, &json!("directory.left")), "{}", refused.text());
    }
    assert_eq!((people().await, count(world, "owner.left").await), (before, 0), "nobody was changed");

    let jane = [("JANE@acme.example", false), ("new@acme.example", true)];
    let one = import(world, "adam", &jane, None).await;
    assert_eq!((one.status, one.json()), (200, json!({"changed": 2, "lacking": 7, "left": 0})), "{}", one.text());
    let left = entries(world, "owner.left").await;
    assert_eq!((left.len(), &left[0]["person"]), (1, &json!(ids[0])));
    let imported = entries(world, "directory.imported").await;
    let last = imported.last().expect("an entry");
    assert_eq!((&last["by"]["staff"]["id"], &last["people"], &last["left"]), (&json!("adam"), &json!(2), &json!(0)));
    let all = import(world, "adam", &jane, Some(7)).await;
    assert_eq!((all.status, all.json()), (200, json!({"changed": 0, "lacking": 7, "left": 7})), "{}", all.text());
    assert_eq!(count(world, "owner.left").await, 3);
    let held = world.admin_get("/v1/directory", "sven").await["held"].clone();
    assert_eq!((held.as_array().map(Vec::len), held[0]["people"].as_array().map(Vec::len)), (Some(1), Some(5)), "{held}");
    let back = import(world, "adam", &[("jane@acme.example", true)], None).await;
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(entries(world, "owner.returned").await[0]["person"], json!(ids[0]));
}

/// A silence is told once a day, and any word ends it; the doctor says so too.
#[tokio::test]
async fn a_silent_source_is_told_once_a_day() {
    let (source, ..) = provisioned().await;
    let world = &source.world;
    let settle = async || world.running.as_ref().expect("it runs").broker.settle().await.expect("settled");
    let silent = async || world.admin_get("/v1/directory", "alan").await["silentSince"].clone();
    world.advance(7 * 86_400 - 60).await;
    settle().await;
    assert_eq!((count(world, "directory.silent").await, silent().await), (0, Value::Null));
    world.advance(60).await;
    for (seconds, told) in [(0, 1), (86_400 - 1, 1), (1, 2), (86_400, 3)] {
        world.advance(seconds).await;
        settle().await;
        assert_eq!(count(world, "directory.silent").await, told);
    }
    let since = entries(world, "directory.heard").await.last().expect("a word")["time"].clone();
    assert_eq!((silent().await, entries(world, "directory.silent").await[0]["since"].clone()), (since.clone(), since));
    source.done("GET", "/Users?count=1", None, 200).await;
    assert_eq!(silent().await, Value::Null, "a question is a word");
    assert_eq!(world.admin_get("/v1/directory", "alan").await["lastWord"], json!(world.clock.seconds()));
    settle().await;
    assert_eq!(count(world, "directory.silent").await, 3);
    world.advance(7 * 86_400).await;
    settle().await;
    assert_eq!(count(world, "directory.silent").await, 4);
}

/// The settings are on record, and one that lets something last longer is told beforehand.
#[tokio::test]
async fn a_longer_grace_is_told() {
    let mut source = Source::over(World::start().await, "silent_after = \"2d\"\n[governance]\nowner_grace = \"3d\"\n").await;
    let changed = entries(&source.world, "configuration.changed").await;
    let last = changed.last().expect("an entry");
    assert_eq!(
        (&last["governance"]["ownerGrace"], &last["directory"]["silentAfter"]),
        (&json!(259_200), &json!(172_800)),
        "{last}"
    );
    assert!(last["directory"]["listen"].is_string() && last["directory"]["tls"] == false, "{last}");
    assert!(!json!(changed).to_string().contains("source-token"), "no secret");
    assert_eq!(count(&source.world, "configuration.widened").await, 0, "a shorter one is not told");
    let jane = source.person("jane@acme.example").await;
    active(&source, &jane, false).await;
    source.world.advance(3 * 86_400).await;
    assert_eq!(exchanged(&source.world).await, Err("owner.gone".to_owned()));
    source.world.stop().await;
    let file = source.world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.replace("\"3d\"", "\"4d\"").replace("\"2d\"", "\"5d\"")).expect("written");
    source.world.boot().await;
    let widened = entries(&source.world, "configuration.widened").await;
    let told = json!([
        {"setting": "governance.owner_grace", "from": 259_200, "to": 345_600},
        {"setting": "directory.silent_after", "from": 172_800, "to": 432_000},
    ]);
    assert_eq!((widened.len(), &widened[0]["settings"]), (1, &told), "{widened:?}");
    let after = entries(&source.world, "configuration.changed").await;
    assert!(after.last().expect("an entry")["index"].as_u64() > widened[0]["index"].as_u64());
    exchanged(&source.world).await.expect("the date moved with the configuration");
}
