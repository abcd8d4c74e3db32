//! Elevation from the command line: an owner, an approver who sees all of it on one screen, and a workload with nobody beside it.

use std::time::Duration;

use serde_json::Value;

use super::program::Program;
use crate::world::World;

const ASKED: [&str; 8] = ["--env", "production", "--api", "orders-api", "--scope", "orders:write", "--for", "30m"];

fn elevate(more: &[&'static str]) -> Vec<&'static str> {
    [&["elevate"], &ASKED[..], more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_asks_and_security_sees_all_of_it_and_shortens() {
    let world = World::start().await;
    let (olga, sven, sara) = (Program::of(&world, "olga"), Program::of(&world, "sven"), Program::of(&world, "sara"));
    let who = ["-i", "globex/order-sync", "--reason", "order 1001 is stuck", "--ticket", "INC-7", "-o", "json"];
    let asked = olga.run(&elevate(&[&who[..], &["--save", "stuck"]].concat())).await.ended(0).json();
    let id = asked[0]["id"].as_str().expect("an id").to_owned();

    let screen = sven.run(&["elevations", "show", &id]).await.ended(0).stdout;
    for seen in [
        "olga",
        "Change orders",
        "risk high",
        "order 1001 is stuck",
        "INC-7",
        "jane@acme.example",
        "MSA-1",
        "of high risk",
        "role security",
    ] {
        assert!(screen.contains(seen), "{seen}: {screen}");
    }
    let listed = sven.run(&["approvals"]).await.ended(0).stdout;
    assert!(listed.contains(&id) && listed.contains("elevation"), "{listed}");
    olga.review("approve", &id, &["--reason", "mine"]).await.ended(1);
    let approved = sven.review("approve", &id, &["--reason", "seen", "--for", "5m", "-o", "json"]).await.ended(0);
    assert_eq!((&approved.json()["state"], &approved.json()["duration"]), (&"active".into(), &"5m".into()));
    assert!(approved.stderr.contains("on record: lets globex/order-sync have orders:write"), "{approved:?}");
    assert!(approved.stderr.contains("for 5m") && approved.stderr.contains("It runs from"), "{approved:?}");
    let listed = sara.run(&["elevations", "--state", "active"]).await.ended(0).stdout;
    assert!(listed.contains(&id), "{listed}");
    sara.run(&["elevations", "end", &id, "--reason", "done"]).await.ended(0);

    // What was saved is asked for again by its name, and denied this time.
    let again = olga.run(&["elevate", "--profile", "stuck", "--reason", "again", "-o", "json"]).await.ended(0).json();
    assert_eq!((&again[0]["scopes"], &again[0]["duration"]), (&serde_json::json!(["orders:write"]), &"30m".into()));
    let id = again[0]["id"].as_str().expect("an id").to_owned();
    sven.review("deny", &id, &["--reason", "not again"]).await.ended(0);
    sven.review("approve", &id, &["--reason", "x"]).await.ended(1);
    olga.run(&["elevate", "--profile", "nothing", "--reason", "x"]).await.ended(5);
    let denied =
        olga.run(&elevate(&["-i", "globex/order-sync", "--reason", "x", "--env", "sandbox", "-o", "json"])).await.ended(2);
    assert_eq!(denied.error()["reason"], "elevation.not-eligible");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_asks_for_itself_and_waits_until_somebody_has_decided() {
    let world = World::start().await;
    for (verdict, code) in [("approve", 0), ("deny", 3)] {
        let mut workload = Program::alone();
        workload.set("CARNET_PUBLIC_SERVER", &format!("http://{}", world.public));
        workload.file("jwt", &world.assertion("production"));
        let arguments = elevate(&["--own", "--assertion-file", "jwt", "--reason", "nightly repair", "-o", "json"]);
        let decide = async {
            let sven = Program::of(&world, "sven");
            loop {
                let waiting = sven.run(&["elevations", "--state", "pending", "-o", "json"]).await.ended(0).json();
                if let Some(id) = waiting[0]["id"].as_str() {
                    sven.review(verdict, id, &["--reason", "seen"]).await.ended(0);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let (ran, ()) = tokio::join!(workload.run(&arguments), decide);
        let ran = ran.ended(code);
        assert!(!ran.stderr.contains("pollToken") && !ran.stderr.contains("eyJ"), "{ran:?}");
        if code == 0 {
            let told: Value = ran.json();
            assert_eq!(told["state"], "active");
            world
                .admin_post(
                    &format!("/v1/elevations/{}/end", told["id"].as_str().expect("an id")),
                    "sara",
                    &serde_json::json!({"reason": "x"}),
                )
                .await;
        }
    }
}

/// Where an approval must be signed, `carnet approve` shows it all and says where; nothing is decided by it. A denial needs no passkey.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_passkey_is_needed_approve_prints_the_page() {
    let mut world = World::start().await;
    let usual = crate::world::records::usual(&world.partner.issuer);
    world.onboard(&usual.replacen("owner: team:orders\n", "owner: team:orders\napproval: signed\n", 1)).await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let text = text.replace("audience = \"carnet\"\n", "audience = \"carnet\"\nclient_id = \"console\"\n");
    let text = text.replace("[listen]\n", "[listen]\nadmin_url = \"https://carnet.acme.example\"\n");
    std::fs::write(&file, text).expect("written");
    world.boot().await;
    world.advance(0).await;
    let (olga, sven) = (Program::of(&world, "olga"), Program::of(&world, "sven"));
    let asked = olga.run(&elevate(&["-i", "globex/order-sync", "--reason", "stuck", "-o", "json"])).await.ended(0).json();
    let id = asked[0]["id"].as_str().expect("an id").to_owned();
    let page = format!("https://carnet.acme.example/console/approvals/{id}");
    let shown = sven.run(&["elevations", "show", &id]).await.ended(0).stdout;
    assert!(shown.contains(&page), "{shown}");
    let version = asked[0]["version"].as_str().expect("a version");
    for more in [vec![], vec!["--version", version]] {
        let ran = sven.run(&[&["approve", &id, "--reason", "x"], &more[..]].concat()).await.ended(4);
        assert!(ran.stderr.contains(&page) && ran.stderr.contains("Change orders") && ran.stdout.is_empty(), "{}", ran.stderr);
    }
    let told = world.admin_get(&format!("/v1/elevations/{id}"), "alan").await;
    assert_eq!((&told["state"], told["reviews"].as_array().map(Vec::len)), (&"pending".into(), Some(0)), "{told}");
    sven.review("deny", &id, &["--reason", "not now"]).await.ended(0);
}

/// W-4: a workload whose patience ends keeps what it needs to ask again: on stdout, and in a file of its own.
#[tokio::test(flavor = "multi_thread")]
async fn w_4_a_request_that_nobody_decided_in_time_can_be_taken_up_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start().await;
    let mut workload = Program::alone();
    workload.set("CARNET_PUBLIC_SERVER", &format!("http://{}", world.public));
    workload.file("jwt", &world.assertion("production"));
    let own = ["--own", "--assertion-file", "jwt", "--reason", "nightly repair", "--wait", "1s", "-o", "json"];
    let ran = workload.run(&elevate(&own)).await.ended(7);
    let (id, token) = (ran.json()["id"].as_str().expect("an id").to_owned(), ran.json()["pollToken"].clone());
    let token = token.as_str().expect("a poll token").to_owned();
    assert!(ran.stderr.contains(&format!("carnet elevate --resume {id}")) && !ran.stderr.contains(&token), "{ran:?}");
    let file = workload.home().join(".config/carnet/elevations").join(&id);
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);

    let ran = workload.run(&["elevate", "--resume", &id, "--wait", "0s"]).await.ended(0);
    assert!(ran.stdout.contains(&id) && ran.stdout.contains("pending") && ran.stdout.contains(&token), "{ran:?}");
    let version = world.admin_get(&format!("/v1/elevations/{id}"), "sven").await["version"].clone();
    let version = version.as_str().expect("a version");
    Program::of(&world, "sven").run(&["approve", &id, "--version", version, "--reason", "seen"]).await.ended(0);
    let ran = workload.run(&["elevate", "--resume", &id, "-o", "json"]).await.ended(0);
    assert_eq!(ran.json()["state"], "active");
    assert!(!file.exists(), "what is decided is not asked for again");
    workload.run(&["elevate", "--resume", &id]).await.ended(5);
    workload.run(&["elevate", "--resume", "../../x"]).await.ended(2);
}
