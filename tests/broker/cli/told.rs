//! What the program tells somebody who is new: what was wrong, what there is, and the command that comes next.

use carnet::dev::{Options, start};
use serde_json::json;

use super::program::Program;
use crate::interop::process::Server;
use crate::world::client::free_port;
use crate::world::days::{CONTRACT_ENDS, VERIFIED_UNTIL};
use crate::world::{World, get, records};

/// W-2: who asks learns who may approve, and the command runs in a script as it is printed.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_names_the_command_that_approves_it() {
    let world = World::start().await;
    let (sven, sara) = (Program::of(&world, "sven"), Program::of(&world, "sara"));
    sven.run(&["integration", "suspend", "globex/order-sync", "--reason", "odd calls"]).await.ended(0);
    let told = sven.run(&["integration", "resume", "globex/order-sync", "--reason", "explained"]).await.ended(0).stdout;
    assert!(told.contains("needs one person with the role security, and never sven"), "{told}");
    let command = told.lines().find_map(|line| line.trim().strip_prefix("next   carnet ")).expect("a command");
    let words: Vec<&str> = command.split(" \"").next().expect("words").split(' ').chain(["looked"]).collect();
    assert!(words.contains(&"--version"), "{told}");
    sven.run(&words).await.ended(1);
    sara.run(&words).await.ended(0);
    assert_eq!(world.admin_get("/v1/integrations/globex/order-sync", "alan").await["state"], "active");
}

/// Nobody decides on what they did not see, so the beginning of a version is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_version_is_refused_in_words() {
    let world = World::start().await;
    let (olga, sven) = (Program::of(&world, "olga"), Program::of(&world, "sven"));
    let what = ["elevate", "-i", "globex/order-sync", "--env", "production", "--api", "orders-api", "--scope", "orders:write"];
    let what = [&what[..], &["--for", "30m", "--reason", "stuck", "--ticket", "INC-7", "-o", "json"]].concat();
    let id = olga.run(&what).await.ended(0).json()[0]["id"].as_str().expect("an id").to_owned();
    let screen = sven.run(&["approvals", "show", &id]).await.ended(0).stdout;
    let version = world.admin_get(&format!("/v1/approvals/{id}"), "alan").await["version"].clone();
    let version = version.as_str().expect("a version");
    assert_eq!(screen.lines().last(), Some(format!("version      {version}").as_str()), "{screen}");
    // Nothing runs yet, so there is no time from and to.
    assert!(screen.contains("from its approval on") && !screen.contains("from - to -"), "{screen}");
    let short = sven.run(&["approve", &id, "--version", &version[..12], "--reason", "seen"]).await.ended(2);
    assert!(short.stderr.contains("a whole version: 64 hexadecimal digits"), "{short:?}");
    assert!(short.stderr.contains(&format!("`carnet approvals show {id}`")), "{short:?}");
    sven.run(&["approve", &id, "--version", version, "--reason", "seen"]).await.ended(0);
}

/// The version of a record comes last too, after its changes; and who applied and submitted it is barred once.
#[tokio::test(flavor = "multi_thread")]
async fn the_screen_of_a_record_ends_with_its_version() {
    let world = World::start().await;
    let ann = Program::of(&world, "ann");
    let changed = records::integration(&world.partner.issuer, "order-sync", "456789").replace("max: 1h", "max: 2h");
    ann.file("change.yaml", &changed);
    ann.run(&["apply", "-f", "change.yaml"]).await.ended(0);
    let new = records::integration(&world.partner.issuer, "restock", "456790");
    ann.file("new.yaml", &new);
    ann.run(&["apply", "-f", "new.yaml"]).await.ended(0);
    ann.run(&["integration", "submit", "globex/restock", "--reason", "ready"]).await.ended(0);
    let all = ann.run(&["approvals", "-o", "json"]).await.ended(0).json();
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    for one in all.as_array().expect("a list") {
        let screen = ann.run(&["approvals", "show", one["id"].as_str().expect("an id")]).await.ended(0).stdout;
        let last = format!("version      {}", one["version"].as_str().expect("a version"));
        assert_eq!(screen.lines().last(), Some(last.as_str()), "{screen}");
        assert!(screen.contains("not ann;") && !screen.contains("ann or ann"), "{screen}");
    }
}

/// An empty list would say that nothing of that kind ever happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_entry_that_is_none_is_refused() {
    let world = World::start().await;
    let alan = Program::of(&world, "alan");
    let wrong = alan.run(&["journal", "query", "--kind", "refusd"]).await.ended(2);
    assert!(wrong.stderr.contains("there is no kind of entry refusd; did you mean refused?"), "{wrong:?}");
    let answer = world.admin_send("GET", "/v1/journal?kind=nothing.like-it", "alan", None).await;
    assert_eq!((answer.status, &answer.json()["reason"]), (422, &json!("request.invalid")), "{}", answer.text());
    assert!(answer.json()["errors"][0]["message"].as_str().expect("words").contains("integration.suspended"));
    for kind in ["issued", "refused", "refusals", "integration.suspended"] {
        alan.run(&["journal", "query", "--kind", kind]).await.ended(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_what_opened_an_approval_is_listed() {
    let world = World::start().await;
    let ann = Program::of(&world, "ann");
    ann.file("new.yaml", &records::integration(&world.partner.issuer, "restock", "456790"));
    ann.run(&["apply", "-f", "new.yaml"]).await.ended(0);
    ann.run(&["integration", "submit", "globex/restock", "--reason", "MSA-7 is signed"]).await.ended(0);
    let listed = ann.run(&["journal", "query", "--kind", "integration.submitted", "--limit", "1"]).await.ended(0).stdout;
    assert!(listed.contains("MSA-7 is signed"), "{listed}");
    // Nothing is recorded of an apply that changes nothing.
    let again = ann.run(&["apply", "-f", "new.yaml", "--reason", "once more"]).await.ended(0);
    assert!(again.stderr.contains("neither was the reason"), "{again:?}");
}

/// A refusal names the state that was seen and the one that is wanted.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_the_state_forbids_names_the_state() {
    let world = World::start().await;
    let (ann, sven) = (Program::of(&world, "ann"), Program::of(&world, "sven"));
    let refused = async |who: &Program, what: &str, verb: &str, name: &str| {
        let ran = who.run(&[what, verb, name, "--reason", "again", "-o", "json"]).await.ended(1);
        assert_eq!(ran.error()["reason"], "lifecycle.state");
        ran.error()["message"].as_str().expect("words").to_owned()
    };
    let id = "globex/order-sync";
    let told = refused(&ann, "integration", "submit", id).await;
    assert!(told.contains("globex/order-sync is active; only a draft can be submitted"), "{told}");
    let told = refused(&sven, "integration", "resume", id).await;
    assert!(told.contains("globex/order-sync is active; only a suspended integration can be resumed"), "{told}");
    let told = refused(&sven, "partner", "resume", "globex").await;
    assert!(told.contains("globex is not suspended"), "{told}");
    // Another suspension is always taken; to lift one takes its id.
    for _ in 0..2 {
        sven.run(&["integration", "suspend", id, "--reason", "odd"]).await.ended(0);
    }
    let unknown = ["integration", "resume", id, "--reason", "again", "--suspension", "entry-0", "-o", "json"];
    let told = sven.run(&unknown).await.ended(1).error()["message"].to_string();
    assert!(told.contains("entry-0 is no suspension of globex/order-sync that is in force"), "{told}");
}

/// What comes into force for the first time replaces nothing; and a plan shows the days that the record has.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_happens_in_the_days_of_its_records() {
    let world = World::start().await;
    let ann = Program::of(&world, "ann");
    let usual = records::usual(&world.partner.issuer);
    let globex = usual.split("---\n").nth(1).expect("the partner");
    ann.file("new.yaml", &globex.replace("globex", "initech"));
    let plan = ann.run(&["plan", "-f", "new.yaml"]).await.ended(6).stdout;
    assert!(plan.contains("held: it comes into force when it is approved"), "{plan}");
    assert!(plan.contains(&format!("verification.expires  + {VERIFIED_UNTIL}\n")), "{plan}");
    ann.file("known.yaml", &globex.replace("Globex Corporation", "Globex and Sons"));
    let plan = ann.run(&["plan", "-f", "known.yaml"]).await.ended(6).stdout;
    assert!(plan.contains("held: the version in force stays until this one is approved"), "{plan}");
}

#[tokio::test]
async fn one_record_alone_is_validated_as_a_part() {
    let program = Program::alone();
    let one = records::integration("https://issuer.example", "order-sync", "456789");
    program.file("one.yaml", &one);
    let ran = program.run(&["validate", "-f", "one.yaml"]).await.ended(2);
    assert!(ran.stderr.contains("--partial"), "{ran:?}");
    let ran = program.run(&["validate", "-f", "one.yaml", "--partial"]).await.ended(0);
    assert!(!ran.stderr.contains("--partial"), "{ran:?}");
    // Days are told as the record has them.
    program.file("one.yaml", &one.replace(&format!("ends: {CONTRACT_ENDS}"), "ends: 2025-11-30"));
    let ran = program.run(&["validate", "-f", "one.yaml", "--partial"]).await.ended(2);
    assert!(ran.stdout.contains("the contract ends at 2025-11-30, which is not after its start at 2026-01-01"), "{ran:?}");
}

/// Commands go on finding the development broker that was there first.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_development_broker_leaves_the_first_in_place() {
    let program = Program::alone();
    let dev = async || {
        let ports = [(); 4].map(|()| format!("127.0.0.1:{}", free_port()));
        let [public, admin, mtls, demo] = &ports;
        let words = ["dev", "--public", public, "--admin", admin, "--mtls", mtls, "--demo", demo, "-o", "json"];
        (Server::start(program.command(&words)).await, admin.clone())
    };
    let (_first, at) = dev().await;
    let (second, _) = dev().await;
    drop(second);
    let whoami = program.run(&["whoami"]).await.ended(0);
    assert!(whoami.stdout.contains(&at), "{whoami:?}");
    let nobody = program.run(&["whoami", "--as", "bob"]).await.ended(4);
    assert!(nobody.stderr.contains("bob is none of the demo people") && nobody.stderr.contains("olga (owner)"), "{nobody:?}");
}

/// A proxy beside `carnet dev` may ask for verdicts, as the how-to pages show.
#[tokio::test(flavor = "multi_thread")]
async fn the_development_broker_tells_verdicts_to_this_machine() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let broker = start(Options { public: any, admin: any, mtls: any, demo: any, data: None }).await.expect("it starts");
    let answer = get(broker.running.public, "/production/verify?api=orders-api&scope=orders:read").await;
    assert_eq!((answer.status, &answer.json()["reason"]), (401, &json!("token.missing")), "{}", answer.text());
    broker.shutdown().await;
}
