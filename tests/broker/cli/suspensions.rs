//! Suspensions and drafts by the command line: of one environment, lifted one by one, shown, and discarded.

use serde_json::{Value, json};

use super::program::Program;
use crate::world::{World, records};

const SUBJECTS: [(&str, &str, &str); 2] =
    [("integration", "globex/order-sync", "integration.suspended"), ("partner", "globex", "partner.suspended")];

/// What an exchange is told.
async fn told(world: &World, environment: &str) -> String {
    let answer = world.exchange(environment, &world.assertion(environment), "orders:read").await;
    if answer.status == 200 { "granted".to_owned() } else { answer.json()["reason"].as_str().expect("a reason").to_owned() }
}

/// The lines of `show` that begin with `name`.
async fn shown(program: &Program, what: &str, id: &str, name: &str) -> Vec<String> {
    let text = program.run(&[what, "show", id]).await.ended(0).stdout;
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

/// The flags reach the server: one environment is suspended and shown as such, and one suspension of two is lifted.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_of_one_environment_is_made_shown_and_lifted() {
    let world = World::start().await;
    let [ann, sven, sara, alan] = ["ann", "sven", "sara", "alan"].map(|person| Program::of(&world, person));
    for (what, id, reason) in SUBJECTS {
        let suspend = [what, "suspend", id, "--environment", "sandbox", "--reason", "odd calls"];
        let text = sven.run(&suspend).await.ended(0).stdout;
        assert!(text.starts_with(&format!("{id}  suspend done\n")), "{text}");
        let first = text.lines().find_map(|line| line.strip_prefix("suspension ")).expect("its id").to_owned();
        let both = ["--environment", "sandbox", "--environment", "production", "-o", "json"];
        let second = [&[what, "suspend", id, "--reason", "a stolen key"][..], &both].concat();
        let second: Value = sven.run(&second).await.ended(0).json();
        assert_eq!((&second["id"], &second["done"]), (&json!(id), &json!("suspend")), "{second}");
        assert_eq!(second["environments"], json!(["production", "sandbox"]), "{second}");
        let second = second["suspension"].as_str().expect("its id").to_owned();
        assert_ne!(first, second);

        let lines = shown(&alan, what, id, "suspended").await;
        let wanted = [("in sandbox ", "odd calls", &first), ("in production, sandbox ", "a stolen key", &second)];
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, (place, why, suspension)) in lines.iter().zip(wanted) {
            assert!(line.contains(place) && line.contains("by sven"), "{line}");
            assert!(line.ends_with(&format!(": {why} (suspension {suspension})")), "{line}");
        }
        for environment in ["production", "sandbox"] {
            assert_eq!(told(&world, environment).await, reason);
        }

        // Of two the second is lifted: production grants again, and the sandbox waits for the first.
        lift(&world, (&ann, &sara), &[what, "resume", id, "--suspension", &second]).await;
        let lines = shown(&alan, what, id, "suspended").await;
        assert!(lines.len() == 1 && lines[0].contains(&first), "{lines:?}");
        assert_eq!((told(&world, "production").await.as_str(), told(&world, "sandbox").await.as_str()), ("granted", reason));
        let places = [shown(&alan, what, id, "production ").await, shown(&alan, what, id, "sandbox ").await].concat();
        assert!(places[0].ends_with("grants tokens"), "{places:?}");
        assert!(places[1].contains(&format!("({reason} since 20")) && places[1].contains("lifted by: resume, security"));

        // Without an id all are lifted; and of those that are named, each.
        let third = sven.run(&[what, "suspend", id, "--reason", "both", "-o", "json"]).await.ended(0).json();
        assert_eq!(third["environments"], json!([]), "{third}");
        let third = third["suspension"].as_str().expect("its id").to_owned();
        lift(&world, (&ann, &sara), &[what, "resume", id, "--suspension", &first, "--suspension", &third]).await;
        assert!(shown(&alan, what, id, "suspended").await.is_empty());
        sven.run(&suspend).await.ended(0);
        lift(&world, (&ann, &sara), &[what, "resume", id]).await;
        assert_eq!(told(&world, "sandbox").await, "granted");
    }
    let unknown = ["integration", "suspend", "globex/order-sync", "--environment", "moon", "--reason", "x"];
    let ran = sven.run(&unknown).await.ended(2);
    assert!(ran.stderr.contains("there is no environment moon"), "{ran:?}");
}

/// Asks, and has the second person approve.
async fn lift(world: &World, (asks, approves): (&Program, &Program), command: &[&str]) {
    let asked = asks.run(&[command, &["--reason", "explained", "-o", "json"]].concat()).await.ended(0).json();
    assert_eq!(asked["asked"], "resume", "{asked}");
    let id = asked["approval"].as_str().expect("an approval");
    let version = world.admin_get(&format!("/v1/approvals/{id}"), "alan").await["version"].clone();
    let version = version.as_str().expect("a version");
    approves.run(&["approve", id, "--version", version, "--reason", "seen"]).await.ended(0);
}

/// A draft is discarded, and its name is applied again; what is no draft is told by its state.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_discarded() {
    let world = World::start().await;
    let ann = Program::of(&world, "ann");
    ann.file("new.yaml", &records::integration(&world.partner.issuer, "restock", "456790"));
    let discard = ["integration", "discard", "globex/restock", "--reason", "never needed"];
    for json in [false, true] {
        ann.run(&["apply", "-f", "new.yaml"]).await.ended(0);
        let ran = ann.run(&[&discard[..], if json { &["-o", "json"] } else { &[] }].concat()).await.ended(0);
        if json {
            assert_eq!(ran.json(), json!({"id": "globex/restock", "done": "discard"}));
        } else {
            assert_eq!(ran.stdout, "globex/restock  discard done\n");
        }
        ann.run(&["integration", "show", "globex/restock"]).await.ended(5);
    }
    ann.run(&discard).await.ended(5);
    let listed = ann.run(&["journal", "query", "--kind", "integration.discarded"]).await.ended(0).stdout;
    assert!(listed.contains("never needed"), "{listed}");
    let active = ["integration", "discard", "globex/order-sync", "--reason", "never needed", "-o", "json"];
    let told = ann.run(&active).await.ended(1).error();
    assert_eq!(told["reason"], "lifecycle.state");
    assert!(told["message"].as_str().is_some_and(|text| text.contains("is active; only a draft can be discarded")), "{told}");
}
