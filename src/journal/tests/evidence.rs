//! Exports: written whole, without secrets, and believed by nobody before they are proved.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::journal::key::data_key::DataKeys;
use crate::journal::key::signers::Signers;
use crate::journal::tree::note::VerifierKey;
use crate::journal::tree::proof::InclusionProof;
use crate::journal::{export, prove_offline, verifier_key, verify_export};

fn out(house: &House, name: &str) -> PathBuf {
    house.directory.path().join(name)
}

async fn exported(house: &House, name: &str) -> (PathBuf, VerifierKey) {
    let dir = out(house, name);
    export(&house.settings, &House::kek(), &dir).await.expect("exports");
    (dir, verifier_key(&house.settings, &House::kek()).await.expect("the key"))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("reads") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

#[tokio::test]
async fn an_export_of_any_size_verifies_with_the_public_key_alone() {
    let house = House::new();
    let mut kept: Option<String> = None;
    // Around the widths at which tiles fill: 11, 256, 257 and 523 entries.
    for (step, tokens) in [1, 245, 1, 266].into_iter().enumerate() {
        let journal = if step == 0 { house.furnished().await } else { house.open().await.expect("opens") };
        issue(&journal, step * 1000..step * 1000 + tokens).await;
        let (size, root) = (journal.view().size, journal.view().root);
        let note = journal.checkpoint().expect("signs");
        // Of a running journal and of a stopped one: the same bytes but for nothing.
        let running = out(&house, &format!("running-{step}"));
        let report = journal.export(&House::kek(), &running).await.expect("exports");
        assert_eq!((report.size, report.root), (size, root));
        journal.close().await;
        let (dir, key) = exported(&house, &format!("stopped-{step}")).await;
        let names =
            |dir: &Path| files(dir).iter().map(|file| file.strip_prefix(dir).expect("below").to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&running), names(&dir));
        for name in names(&dir) {
            assert_eq!(fs::read(running.join(&name)).expect("reads"), fs::read(dir.join(&name)).expect("reads"), "{name:?}");
        }
        let report = verify_export(&dir, &key, kept.as_deref(), SILENT).expect("verifies");
        assert_eq!((report.size, report.root, report.anchored), (size, root, None));
        assert_eq!(report.kept.is_some(), kept.is_some(), "without a kept checkpoint nothing is said of later entries");
        assert_eq!(report, Report { anchored: None, ..house.verify(kept.as_deref()).await.expect("verifies") });
        for index in (0..size).step_by(7).chain([0, size - 1]) {
            let proof = prove_offline(&dir, index, &key).expect("proves");
            let text = proof.text();
            let read = InclusionProof::parse(&text, proof.entry.clone()).expect("C2SP tlog-proof");
            assert_eq!(read.verify(&key).expect("leads to the root").size, size);
            assert!(InclusionProof::parse(&text, proof.entry.replace("index", "indey")).expect("reads").verify(&key).is_err());
        }
        let none = prove_offline(&dir, size, &key).expect_err("no such entry");
        assert!(matches!(none, VerifyFault::NoEntry { index, size: all } if index == size && all == size), "{none}");
        kept = Some(note);
    }
    // The offline proof is the one that the journal itself gives.
    let journal = house.open().await.expect("opens");
    let (dir, key) = exported(&house, "last").await;
    let (online, offline) =
        (journal.prove(300).await.expect("reads").expect("an entry"), prove_offline(&dir, 300, &key).expect("proves"));
    assert_eq!((online.hashes, online.entry), (offline.hashes, offline.entry));
}

#[tokio::test]
async fn an_export_holds_no_key_no_text_and_no_salt() {
    let house = House::new();
    let journal = house.furnished().await;
    let revoked = make(&journal, revocation()).await;
    let said = revoked.view.state.revocations.values().next().expect("a revocation").reason.digest().expect("sealed");
    let row = journal.texts(&[said]).await.expect("reads").remove(&said).expect("is there");
    let key = journal.view().state.keys.all().next().expect("a key").key.clone();
    let names = [BlobName::new(&key.environment, "signing", &key.kid), BlobName::of_journal("checkpoint")];
    let mut secrets: Vec<Vec<u8>> = vec![row.text.into_bytes(), row.salt.to_vec(), b"the private half".to_vec()];
    for name in names {
        let blob = journal.blob(&name).await.expect("reads").expect("is there");
        secrets.push(House::kek().open(&blob).expect("opens").to_vec());
        secrets.push(blob.sealed);
    }
    journal.close().await;
    let (dir, _) = exported(&house, "export").await;
    for file in files(&dir) {
        let content = fs::read(&file).expect("reads");
        for secret in &secrets {
            assert!(!content.windows(secret.len()).any(|here| here == secret), "{file:?}");
        }
    }
    assert!(fs::read_to_string(dir.join("entries.ndjson")).expect("reads").contains("revocation.added"));
}

/// L-01, L-02 on a copy, by somebody without the checkpoint key.
#[tokio::test]
async fn l_01_l_02_an_export_that_was_touched_is_refused_with_its_entry() {
    let house = House::new();
    house.with_tokens(300).await;
    let (dir, key) = exported(&house, "export").await;
    let lines = |change: &dyn Fn(&mut Vec<String>)| {
        let path = dir.join("entries.ndjson");
        let mut all: Vec<String> = fs::read_to_string(&path).expect("reads").lines().map(str::to_owned).collect();
        change(&mut all);
        fs::write(path, all.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("writes");
    };
    type Touch<'a> = (&'static str, Box<dyn Fn() + 'a>, Option<u64>);
    let cases: Vec<Touch<'_>> = vec![
        ("edited", Box::new(|| lines(&|all| all[100] = all[100].replace("orders:read", "orders:root"))), Some(100)),
        ("edited, newest", Box::new(|| lines(&|all| all[309] = all[309].replace("orders:read", "orders:root"))), Some(309)),
        ("deleted", Box::new(|| lines(&|all| drop(all.remove(100)))), Some(100)),
        ("swapped", Box::new(|| lines(&|all| all.swap(100, 101))), Some(100)),
        ("duplicated", Box::new(|| lines(&|all| all.insert(100, all[99].clone()))), Some(100)),
        ("appended", Box::new(|| lines(&|all| all.push(all[309].clone()))), Some(310)),
        ("cut", Box::new(|| lines(&|all| all.truncate(305))), Some(305)),
        ("a tile bent", Box::new(|| bend(&dir.join("tile/0/000"), 32 * 77)), Some(77)),
        ("the edge bent", Box::new(|| bend(&dir.join("tile/0/001.p/54"), 32 * 3)), Some(259)),
        ("an upper tile bent", Box::new(|| bend(&dir.join("tile/1/000.p/1"), 0)), Some(0)),
        ("a bundle bent", Box::new(|| bend(&dir.join("tile/entries/000"), 40)), Some(0)),
        ("a tile gone", Box::new(|| fs::remove_file(dir.join("tile/0/001.p/54")).expect("removes")), Some(256)),
        ("checkpoint: size", Box::new(|| note(&dir, "\n310\n", "\n309\n")), None),
        ("checkpoint: origin", Box::new(|| note(&dir, "sts.acme.example", "sts.evil.example")), None),
        ("checkpoint gone", Box::new(|| fs::remove_file(dir.join("checkpoint")).expect("removes")), None),
        ("entries gone", Box::new(|| fs::remove_file(dir.join("entries.ndjson")).expect("removes")), None),
    ];
    let whole: Vec<(PathBuf, Vec<u8>)> =
        files(&dir).into_iter().map(|file| (file.clone(), fs::read(file).expect("reads"))).collect();
    for (name, touch, index) in cases {
        touch();
        let fault = verify_export(&dir, &key, None, SILENT).expect_err(name);
        assert_eq!(fault.index(), index, "{name}: {fault}");
        for (file, content) in &whole {
            fs::write(file, content).expect("writes");
        }
    }
    verify_export(&dir, &key, None, SILENT).expect("put back, it holds");

    // A proof from bent tiles or a bent bundle is not given.
    bend(&dir.join("tile/0/000"), 32 * 77);
    assert_eq!(prove_offline(&dir, 76, &key).expect_err("bent").index(), Some(76));
    bend(&dir.join("tile/0/000"), 32 * 77);
    bend(&dir.join("tile/entries/000"), 40);
    assert_eq!(prove_offline(&dir, 0, &key).expect_err("bent").index(), Some(0));
}

fn bend(file: &Path, at: usize) {
    let mut content = fs::read(file).expect("reads");
    content[at] ^= 1;
    fs::write(file, content).expect("writes");
}

fn note(dir: &Path, from: &str, to: &str) {
    let path = dir.join("checkpoint");
    let text = fs::read_to_string(&path).expect("reads");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).expect("writes");
}

/// L-02: an honest export of a cut log is found by the checkpoint that its reader kept.
#[tokio::test]
async fn l_02_an_older_export_and_another_history_are_shown_by_the_kept_checkpoint() {
    let house = House::new();
    house.with_tokens(3).await;
    let (dir, key) = exported(&house, "older").await;
    let journal = house.open().await.expect("opens");
    issue(&journal, 10..14).await;
    let kept = journal.checkpoint().expect("signs");
    journal.close().await;
    let fault = verify_export(&dir, &key, Some(&kept), SILENT).expect_err("older");
    assert!(matches!(fault, VerifyFault::Cut { size: 13, known: 17, by: "kept checkpoint" }), "{fault}");
    assert_eq!(fault.to_string(), "entries 13 to 16 are missing: the kept checkpoint is of 17 entries");
    assert_eq!(verify_export(&dir, &key, None, SILENT).expect("by itself it holds").kept, None);

    // The same key and the same length, and another past: only the owner of the key can make it.
    let seed = House::kek();
    let reader = crate::journal::place::read(&house.settings, &DataKeys::of(&House::kek())).await.expect("opens").0;
    let signer = Signers::stored(&reader, &seed, key.name()).await.expect("the key");
    let root = crate::domain::value::digest::Digest::of(b"another past");
    let forged = crate::journal::tree::note::Checkpoint { origin: key.name().to_owned(), size: 12, root };
    let forged = signer.sign(&forged, fixture::at(0)).expect("signs");
    assert!(matches!(verify_export(&dir, &key, Some(&forged), SILENT), Err(VerifyFault::Forked { known: 12, .. })));
    // Signed over a history that is not in the directory.
    fs::write(dir.join("checkpoint"), forged).expect("writes");
    assert!(verify_export(&dir, &key, None, SILENT).is_err());
    assert!(prove_offline(&dir, 3, &key).is_err());
}

#[tokio::test]
async fn only_the_right_key_and_log_are_believed() {
    let house = House::new();
    house.with_tokens(1).await;
    let (dir, key) = exported(&house, "export").await;
    let other = VerifierKey::new(key.name(), [3; 32]).expect("a key");
    assert!(matches!(verify_export(&dir, &other, None, SILENT), Err(VerifyFault::Note { which: "export's checkpoint", .. })));
    assert!(prove_offline(&dir, 0, &other).is_err());
    for garbage in ["", "x", "sts.acme.example/carnet\n11\nAAAA\n\n"] {
        assert!(matches!(
            verify_export(&dir, &key, Some(garbage), SILENT),
            Err(VerifyFault::Note { which: "kept checkpoint", .. })
        ));
    }
}

/// At its place an export is whole or not there.
#[tokio::test]
async fn an_export_replaces_nothing_and_leaves_nothing_behind_when_it_fails() {
    let house = House::new();
    house.with_tokens(300).await;
    let (dir, key) = exported(&house, "export").await;
    let again = export(&house.settings, &House::kek(), &dir).await.expect_err("is there");
    assert!(matches!(&again, VerifyFault::File { cause, .. } if cause.kind() == std::io::ErrorKind::AlreadyExists), "{again}");
    verify_export(&dir, &key, None, SILENT).expect("untouched");
    let empty = out(&house, "empty");
    fs::create_dir(&empty).expect("makes");
    export(&house.settings, &House::kek(), &empty).await.expect("an empty directory is a place");
    verify_export(&empty, &key, None, SILENT).expect("verifies");

    house.sql("UPDATE entries SET body = replace(body, 'orders:read', 'orders:root') WHERE idx = 300").await;
    let place = out(&house, "failed");
    assert_eq!(export(&house.settings, &House::kek(), &place).await.expect_err("does not hold").index(), Some(300));
    assert!(!place.exists());
    let left: Vec<_> =
        fs::read_dir(house.directory.path()).expect("reads").map(|file| file.expect("an entry").file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

/// While a node writes, a verifier sees one consistent moment, and the anchor is never ahead of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_journal_verifies_at_any_moment() {
    let house = House::new();
    let journal = house.furnished().await;
    let writer = {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                issue(&journal, n * 10..n * 10 + 10).await;
                make(&journal, revocation_of_token()).await;
            }
        })
    };
    let mut last = 0;
    let mut rounds = 0;
    while !writer.is_finished() {
        let kept = journal.checkpoint().expect("signs");
        let report = house.verify(Some(&kept)).await.expect("verifies");
        assert!(report.size >= last && report.kept.is_some_and(|kept| kept <= report.size));
        last = report.size;
        rounds += 1;
    }
    writer.await.expect("no panic");
    assert!(rounds > 1);
    journal.close().await;
    assert_eq!(house.verify(None).await.expect("verifies").size, 10 + 440);
}

/// A long proof tells how far it is, of a journal and of an export.
#[tokio::test]
async fn a_proof_tells_how_far_it_is() {
    let house = House::new();
    house.with_tokens(600).await;
    let (dir, key) = exported(&house, "copy").await;
    let size = house.verify(None).await.expect("verifies").size;
    let heard = Mutex::new(Vec::new());
    let progress = |proved, all| heard.lock().expect("no panic").push((proved, all));
    verify_database(&house.settings, &House::kek(), None, &progress).await.expect("verifies");
    verify_export(&dir, &key, None, &progress).expect("verifies");
    let steps = [(256, size), (512, size)];
    assert_eq!(*heard.lock().expect("no panic"), [steps, steps].concat());
}
