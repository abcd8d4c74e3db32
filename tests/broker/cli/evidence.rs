//! Evidence from the command line: online, from the journal itself, and from an export that trusts nothing but a key.

use serde_json::json;

use super::program::Program;
use crate::world::{Options, World, get};

/// How long a reopened journal rests.
const LONGEST: u32 = carnet::journal::LONGEST_ASSERTION.0;

/// The path of a world's configuration.
fn configuration(world: &World) -> String {
    world.folder.path().join("carnet.toml").display().to_string()
}

#[tokio::test]
async fn entries_checkpoints_and_proofs_are_told_by_a_running_server() {
    let world = World::start().await;
    world.minted().await;
    let auditor = Program::of(&world, "alan");
    let issued = auditor.run(&["journal", "query", "--kind", "issued", "-o", "json"]).await.ended(0).json();
    assert_eq!(issued.as_array().map(Vec::len), Some(1), "{issued}");
    let index = issued[0]["index"].as_u64().expect("an index").to_string();
    let all = auditor.run(&["journal", "query", "--limit", "2", "-o", "json"]).await.ended(0).json();
    assert_eq!(all.as_array().map(Vec::len), Some(2));

    let key = auditor.run(&["key", "show", "--checkpoint"]).await.ended(0).stdout;
    let note = auditor.run(&["journal", "checkpoint"]).await.ended(0).stdout;
    assert!(note.starts_with("test.example/carnet\n"), "{note}");
    let proof = auditor.run(&["journal", "prove", &index, "--key", key.trim()]).await.ended(0);
    assert!(proof.stdout.starts_with("c2sp.org/tlog-proof@v1\n") && proof.stderr.starts_with("entry  {"), "{proof:?}");
    let unkeyed = auditor.run(&["journal", "prove", &index]).await.ended(0);
    assert!(unkeyed.stderr.contains("--key"), "{unkeyed:?}");
    auditor.run(&["journal", "prove", "100000"]).await.ended(5);
    // Another key than the one that signed: nothing is printed.
    let other = "test.example/carnet+69fb3c92+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    let ran = auditor.run(&["journal", "prove", &index, "--key", other]).await;
    assert!(ran.code == 1 && ran.stdout.is_empty(), "{ran:?}");
}

/// I-8: a revocation that was acknowledged holds on after the database was put back from a copy that lacks it.
#[tokio::test]
async fn i_8_a_revocation_that_a_restored_journal_lost_is_recorded_again() {
    let mut world = World::with(Options { file: true, ..Options::default() }).await;
    let token = world.minted().await;
    world.stop().await;
    let (database, copy) = (world.folder.path().join("journal.db"), world.folder.path().join("copy.db"));
    std::fs::copy(&database, &copy).expect("copied");
    world.boot().await;
    let revocation = json!({"integration": "globex/order-sync", "reason": "stolen laptop"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revocation).await.status, 201);
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    let reason = refused.json()["reason"].clone();
    assert!(refused.status == 400 && reason.is_string(), "{}", refused.text());
    world.stop().await;
    for rest in ["journal.db-wal", "journal.db-shm"] {
        let _gone = std::fs::remove_file(world.folder.path().join(rest));
    }
    std::fs::copy(&copy, &database).expect("put back");

    let (config, program) = (configuration(&world), Program::alone());
    let tail = world.folder.path().join("journal.tail").display().to_string();
    let reopen = ["journal", "reopen", "-c", &config, "--confirm", "test.example/carnet"];
    let told = program.run(&reopen).await.ended(2).stderr;
    assert!(
        told.contains("lost 1 revocations") && told.contains(&format!("--tail {tail}")) && told.contains("--forget 1"),
        "{told}"
    );
    program.run(&[&reopen[..], &["--forget", "2"]].concat()).await.ended(2);
    program.run(&[&reopen[..], &["--tail", &config]].concat()).await.ended(2);
    let reopened = program.run(&[&reopen[..], &["--tail", &tail, "-o", "json"]].concat()).await.ended(0).json();
    assert_eq!((&reopened["epoch"], &reopened["again"]), (&json!(2), &json!(1)), "{reopened}");

    // After the rest, with a new key: the revocation is in force as it was, and on record by the person who made it.
    world.clock.synchronise();
    world.boot().await;
    world.advance(i64::from(LONGEST) + 120).await;
    let rotated = world.admin_post("/v1/keys/production/rotate", "adam", &json!({"alg": "ES256", "acceptOutage": true})).await;
    assert!(rotated.status < 300, "{}", rotated.text());
    let issued = world.issued().await;
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((refused.status, &refused.json()["reason"]), (400, &reason), "{}", refused.text());
    assert_eq!(world.introspect("production", &token).await.json()["active"], false);
    assert_eq!(world.issued().await, issued, "nothing was minted");
    let recorded = world.admin_get("/v1/journal?kind=revocation.added", "alan").await;
    assert_eq!(recorded["items"].as_array().map(Vec::len), Some(1), "{recorded}");
    assert_eq!(recorded["items"][0]["by"]["staff"]["id"], "sven", "{recorded}");
}

#[tokio::test]
async fn a_journal_is_reopened_only_under_its_name_and_rests_then() {
    let mut world = World::start().await;
    world.stop().await;
    let config = configuration(&world);
    let program = Program::alone();
    program.run(&["journal", "reopen", "-c", &config, "--confirm", "another"]).await.ended(2);
    let arguments = ["journal", "reopen", "-c", &config, "--confirm", "test.example/carnet", "-o", "json"];
    let reopened = program.run(&arguments).await.ended(0).json();
    let from = reopened["mintsFrom"].as_str().expect("a time").to_owned();
    // The command went by the machine's clock.
    world.clock.synchronise();
    world.boot().await;
    let arguments = ["token", "--env", "production", "--api", "orders-api", "--scope", "orders:read", "--assertion-file", "-"];
    let user = Program::of(&world, "sven");
    let ran = user.run_with(&arguments, &world.assertion("production")).await.ended(7);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("with a new proof in ") && !ran.stderr.contains(" 1 s"), "{ran:?}");

    // Everybody is told from when on.
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    let wait: u32 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!(refused.status == 503 && (LONGEST - 120..=LONGEST + 120).contains(&wait), "{wait}: {}", refused.text());
    assert_eq!(get(world.public, "/readyz").await.status, 503);
    let told = get(world.admin, "/readyz?verbose").await.json();
    let minting = told["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "minting").expect("a check");
    assert!(minting["ok"] == false && minting["detail"].as_str().is_some_and(|detail| detail.contains(&from)), "{told}");
    let status = user.run(&["status"]).await.ended(7);
    assert!(status.stdout.contains(&from), "{status:?}");
    // Its last second, and the first one after it.
    world.clock.advance(i64::from(wait) - 1);
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
    assert_eq!(refused.json()["reason"], "journal.reopened");
    world.advance(1).await;
    let rotated = world.admin_post("/v1/keys/production/rotate", "adam", &json!({"alg": "ES256", "acceptOutage": true})).await;
    assert!(rotated.status < 300, "{}", rotated.text());
    world.minted().await;
}

/// S-17: a hand that can write SQL takes away that a proof was spent, with or without making the journal look older than it is. The broker does
/// not start, mints nothing, and names the table or the entry; `journal verify` does the same.
#[tokio::test]
async fn s_17_a_spent_proof_that_was_deleted_by_hand_pays_for_nothing() {
    let mut world = World::in_file().await;
    let proof = world.assertion("production");
    assert_eq!(world.exchange("production", &proof, "orders:read").await.status, 200);
    world.minted().await;
    world.stop().await;
    let config = configuration(&world);
    let (database, whole) = (world.folder.path().join("journal.db"), world.folder.path().join("whole.db"));
    std::fs::copy(&database, &whole).expect("copied");
    let program = Program::alone();
    let forget = "DELETE FROM consumed_lately WHERE first = (SELECT min(first) FROM consumed_lately)";
    for (sql, named) in [
        (forget.to_owned(), "consumed_lately"),
        ("UPDATE last_use SET time = time - 60".to_owned(), "last_use"),
        ("UPDATE round SET first = 1000".to_owned(), "round"),
        (format!("{forget}; UPDATE head SET sums = x''"), "its proof is not among the spent ones"),
        (
            format!("{forget}; ALTER TABLE head DROP COLUMN sums; UPDATE meta SET version = 4"),
            "its proof is not among the spent ones",
        ),
    ] {
        by_hand(&database, &sql);
        let refused = world.try_boot().await.expect_err("the journal was changed").to_string();
        assert!(refused.contains(named), "{sql}: {refused}");
        let verified = program.run(&["journal", "verify", "-c", &config]).await.ended(1);
        assert!(verified.stderr.contains("proof") || verified.stderr.contains(named), "{sql}: {verified:?}");
        assert_eq!(by_hand(&database, "SELECT count(*) FROM entries WHERE kind = 'issued'"), "2");
        for rest in ["journal.db-wal", "journal.db-shm"] {
            let _absent = std::fs::remove_file(world.folder.path().join(rest));
        }
        std::fs::copy(&whole, &database).expect("put back");
    }
    // A journal of the version before is brought up where its entries bear out the tables, and the proof stays spent.
    for sql in ["SELECT 1", "ALTER TABLE head DROP COLUMN sums; UPDATE meta SET version = 4"] {
        by_hand(&database, sql);
        world.boot().await;
        let replayed = world.exchange("production", &proof, "orders:read").await;
        assert_eq!((replayed.status, &replayed.json()["reason"]), (400, &json!("assertion.replayed")), "{}", replayed.text());
        world.minted().await;
        world.stop().await;
    }
}

/// Runs SQL beside the broker; the first column of the first row, where there is one.
fn by_hand(database: &std::path::Path, sql: &str) -> String {
    let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nrow = None\n\
                   for one in sys.argv[2].split('; '):\n    row = c.execute(one).fetchone()\nc.close()\nprint(row[0] if row else '')";
    let ran =
        std::process::Command::new("python3").args(["-c", program]).arg(database).arg(sql).output().expect("python3 runs");
    assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

/// A planned change of the checkpoint key, while the server runs and is used: it goes on, and signs with both.
#[tokio::test]
async fn a_running_server_takes_another_checkpoint_key_over() {
    let world = World::start().await;
    let auditor = Program::of(&world, "alan");
    let config = configuration(&world);
    let first = auditor.run(&["key", "show", "--checkpoint"]).await.ended(0).stdout;
    for round in 0..2 {
        let arguments = ["key", "succeed", "--checkpoint", "-c", &config, "--confirm", "test.example/carnet", "-o", "json"];
        let succeeded = auditor.run(&arguments).await.ended(0).json();
        world.minted().await;
        assert_eq!(get(world.public, "/readyz").await.status, 200, "{round}");
        let shown = auditor.run(&["key", "show", "--checkpoint"]).await.ended(0).stdout;
        assert_eq!(succeeded["key"], shown.trim());
        let note = auditor.run(&["journal", "checkpoint"]).await.ended(0).stdout;
        assert_eq!(note.matches("\n— test.example/carnet ").count(), 2, "{note}");
        // Whoever pinned the first key follows it.
        auditor.run(&["journal", "verify", "-c", &config, "--key", first.trim()]).await.ended(0);
    }
    // A revocation is confirmed by the live index, so that followed as well.
    let answer = world.admin_post("/v1/revocations", "sven", &json!({"partner": "globex", "reason": "a test"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// L-01, L-02 as an auditor meets them: an export verifies with its key alone, a kept checkpoint tells what was cut, and a changed byte
/// is named.
#[tokio::test]
async fn l_01_l_02_an_export_is_verified_with_nothing_but_its_key() {
    let world = World::start().await;
    world.minted().await;
    let config = configuration(&world);
    let program = Program::alone();
    let folder = world.folder.path().join("export");
    let export = folder.display().to_string();
    let key = program.run(&["key", "show", "--checkpoint", "-c", &config]).await.ended(0).stdout;
    // Of a server that runs.
    let verified = program.run(&["journal", "verify", "-c", &config, "-o", "json"]).await.ended(0).json();
    assert!(verified["entries"].as_u64().is_some_and(|entries| entries > 10), "{verified}");
    // A pinned key counts there too: another one is not passed over.
    program.run(&["journal", "verify", "-c", &config, "--key", key.trim()]).await.ended(0);
    let other = "test.example/carnet+69fb3c92+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    let ran = program.run(&["journal", "verify", "-c", &config, "--key", other]).await;
    assert!(ran.code == 1 && ran.stdout.is_empty(), "{ran:?}");
    program.run(&["journal", "export", &export, "-c", &config]).await.ended(0);
    program.run(&["journal", "export", &export, "-c", &config]).await.ended(2);
    let ran = program.run(&["journal", "verify", &export, "--key", key.trim()]).await.ended(0);
    assert!(ran.stderr.contains("later entries"), "{ran:?}");
    let proof = program.run(&["journal", "prove", "3", "--export", &export, "--key", key.trim()]).await.ended(0);
    assert!(proof.stdout.starts_with("c2sp.org/tlog-proof@v1\nindex 3\n"), "{proof:?}");
    program.run(&["journal", "prove", "99999", "--export", &export, "--key", key.trim()]).await.ended(5);
    // A checkpoint that knows more than the export.
    world.minted().await;
    let note = Program::of(&world, "alan").run(&["journal", "checkpoint"]).await.ended(0).stdout;
    let kept = world.folder.path().join("kept").display().to_string();
    std::fs::write(&kept, note).expect("written");
    program.run(&["journal", "verify", &export, "--key", key.trim(), "--checkpoint", &kept]).await.ended(1);
    program.run(&["journal", "verify", "-c", &config, "--checkpoint", &kept]).await.ended(0);
    // A changed entry.
    let entries = folder.join("entries.ndjson");
    let text = std::fs::read_to_string(&entries).expect("entries");
    std::fs::write(&entries, text.replacen("globex", "gl0bex", 1)).expect("written");
    let ran = program.run(&["journal", "verify", &export, "--key", key.trim(), "-o", "json"]).await.ended(1);
    assert!(ran.stderr.contains("\"index\""), "{ran:?}");
}

/// What `[journal] retention` does: turned on later, it moves old entries out of the database, and whoever reads or proves has them all.
#[tokio::test]
async fn old_entries_leave_the_database_and_all_evidence_stays() {
    let mut world = World::start().await;
    for _ in 0..260 {
        world.minted().await;
    }
    let before = world.admin_get("/v1/journal?limit=1000", "alan").await["items"].clone();
    let before = before.as_array().expect("items");
    let note = Program::of(&world, "alan").run(&["journal", "checkpoint"]).await.ended(0).stdout;
    let kept = world.folder.path().join("kept").display().to_string();
    std::fs::write(&kept, note).expect("written");
    world.stop().await;
    let config = configuration(&world);
    let text = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, text.replace("[journal]", "[journal]\nretention = \"1d\"")).expect("written");
    world.clock.advance(3 * 86_400);
    world.boot().await;
    let segments = world.store.segments(world.folder.path());
    let mut archived = serde_json::Value::Null;
    for _ in 0..500 {
        archived = world.admin_get("/v1/journal?kind=journal.archived", "alan").await["items"][0].clone();
        if archived.is_object() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(
        (&archived["first"], &archived["until"], &archived["by"]),
        (&0.into(), &256.into(), &"broker".into()),
        "{archived}"
    );
    assert_eq!(std::fs::read_dir(&segments).expect("a directory").count(), 1);

    // Pages of the API go on where entries have left, in any size, and by kind.
    for (query, limit, order) in
        [("", 1000), ("", 100), ("&kind=issued", 50), ("&kind=partner.verified", 1000), ("&subject=nobody", 10)]
            .into_iter()
            .flat_map(|(query, limit)| [(query, limit, ""), (query, limit, "&order=newest")])
    {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                world.admin_get(&format!("/v1/journal?to={}&limit={limit}{query}{order}{cursor}", before.len()), "alan").await;
            all.extend(page["items"].as_array().expect("items").clone());
            // Whether what has left matches is not looked up for a number.
            assert!(page["more"].is_null() || page["more"].is_u64(), "{page}");
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let wanted = before.iter().filter(|entry| match query {
            "&kind=issued" => entry["kind"] == "issued",
            "&kind=partner.verified" => entry["kind"] == "partner.verified",
            "&subject=nobody" => false,
            _ => true,
        });
        let mut wanted: Vec<_> = wanted.cloned().collect();
        if !order.is_empty() {
            wanted.reverse();
        }
        assert_eq!(all, wanted, "{query} {limit} {order}");
    }
    let program = Program::of(&world, "alan");
    let key = program.run(&["key", "show", "--checkpoint"]).await.ended(0).stdout;
    program.run(&["journal", "prove", "200", "--key", key.trim()]).await.ended(0);
    world.minted().await;

    let export = world.folder.path().join("export").display().to_string();
    program.run(&["journal", "verify", "-c", &config, "--checkpoint", &kept]).await.ended(0);
    program.run(&["journal", "export", &export, "-c", &config]).await.ended(0);
    program.run(&["journal", "verify", &export, "--key", key.trim(), "--checkpoint", &kept]).await.ended(0);
    // Without its segment the journal is not whole, and says so.
    world.leaves_unverified("it deletes a segment");
    std::fs::remove_dir_all(&segments).expect("removed");
    let ran = program.run(&["journal", "verify", "-c", &config]).await.ended(1);
    assert!(ran.stderr.contains("segment"), "{ran:?}");
    let answer = world.admin_send("GET", "/v1/journal?from=200&to=201", "alan", None).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    // A change is in the database, and nobody needs the segment to decide.
    world.minted().await;
    world.stop().await;
}

/// The key that signs checkpoints is succeeded on the machine; who keeps the old one finds the new one in an export.
#[tokio::test]
async fn a_checkpoint_key_is_succeeded_and_the_old_one_leads_to_it() {
    let mut world = World::start().await;
    world.minted().await;
    let config = configuration(&world);
    let program = Program::alone();
    let shown = async || program.run(&["key", "show", "--checkpoint", "-c", &config]).await.ended(0).stdout.trim().to_owned();
    let (before, arguments) = (shown().await, ["key", "succeed", "--checkpoint", "-c", &config, "--confirm"]);
    program.run(&[&arguments[..], &["another"]].concat()).await.ended(2);
    assert_eq!(shown().await, before);
    world.stop().await;
    let done = program.run(&[&arguments[..], &["test.example/carnet", "-o", "json"]].concat()).await.ended(0).json();
    let key = shown().await;
    assert_eq!((done["key"].as_str(), done["before"].as_str()), (Some(&*key), Some(&*before)));
    assert_ne!(key, before);

    world.boot().await;
    let token = world.minted().await;
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    let told = world.admin_get("/v1/journal?kind=checkpoint-key.succeeded", "alan").await;
    assert_eq!((&told["items"][0]["index"], &told["items"][0]["by"]), (&done["entry"], &"operator".into()), "{told}");
    let note = world.admin_get("/v1/journal/checkpoint", "alan").await;
    assert_eq!(
        (note["key"].as_str(), note["checkpoint"].as_str().expect("a note").matches("\u{2014} ").count()),
        (Some(&*key), 2)
    );
    let export = world.folder.path().join("export").display().to_string();
    program.run(&["journal", "export", &export, "-c", &config]).await.ended(0);
    let other = "test.example/carnet+69fb3c92+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    for (key, exit) in [(&*key, 0), (&*before, 0), (other, 1)] {
        program.run(&["journal", "verify", "-c", &config, "--key", key]).await.ended(exit);
        program.run(&["journal", "verify", &export, "--key", key]).await.ended(exit);
        program.run(&["journal", "prove", "3", "--export", &export, "--key", key]).await.ended(exit);
    }
    world.stop().await;
}
