//! Evidence bundles, as a reader verifies them who has nothing but a key: by our program, and by a script that shares no code with it.

mod hostile;
pub mod sample;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet::journal::bundle::{BundleReport, verify};
use carnet::journal::tree::note::VerifierKey;
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::interop::process::{output, python, run};
use sample::{CLOSED, Case, digest, files, key, remade, succession};

type Contents = BTreeMap<String, Vec<u8>>;

/// What both verifiers say of each bundle, which they must agree on. Ours says the file that differs, the script a line of its own.
async fn both(bundles: &[(String, Vec<u8>)], key: &VerifierKey) -> Vec<(Result<BundleReport, String>, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut script = python("examples/verify_dossier.py");
    script.arg("--key").arg(key.to_string()).current_dir(folder.path());
    for (at, (_, bundle)) in bundles.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{at}.zip")), bundle).expect("written");
        script.arg(format!("{at}.zip"));
    }
    let Output { status, stdout, stderr } = run(script, String::new()).await;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
    assert!(stderr.is_empty(), "{stderr}");
    let ours: Vec<_> = bundles.iter().map(|(_, bundle)| verify(bundle, key).map_err(|fault| fault.to_string())).collect();
    assert_eq!(status.code(), Some(i32::from(ours.iter().any(Result::is_err))), "{stdout}");
    let mut all = Vec::new();
    for (at, ours) in ours.into_iter().enumerate() {
        let begins = format!("{at}.zip: ");
        let mut lines = stdout.lines().skip_while(|line| !line.starts_with(&begins));
        let first = lines.next().unwrap_or_else(|| panic!("{at} is judged: {stdout}"));
        let rest: Vec<&str> = lines.take_while(|line| line.starts_with("  ")).collect();
        let theirs = first.strip_prefix(&begins).expect("its line");
        assert_eq!(theirs.starts_with("holds: "), ours.is_ok(), "{}: {ours:?} {theirs}", bundles[at].0);
        assert_eq!(theirs.starts_with("does not hold: "), ours.is_err(), "{}: {ours:?} {theirs}", bundles[at].0);
        all.push((ours, [theirs].into_iter().chain(rest).collect::<Vec<_>>().join("\n")));
    }
    all
}

pub async fn one(bundle: &[u8], key: &VerifierKey) -> (Result<BundleReport, String>, String) {
    both(&[("one".to_owned(), bundle.to_vec())], key).await.remove(0)
}

/// Each bundle is refused by both verifiers, and ours names the file.
async fn refused(cases: Vec<(&str, Vec<u8>, &str)>, key: &VerifierKey) {
    let bundles: Vec<(String, Vec<u8>)> = cases.iter().map(|(name, bundle, _)| ((*name).to_owned(), bundle.clone())).collect();
    for ((ours, theirs), (name, _, wanted)) in both(&bundles, key).await.into_iter().zip(&cases) {
        let fault = ours.expect_err(name);
        assert!(fault.starts_with(wanted), "{name}: {wanted} {fault}");
        assert!(theirs.contains(wanted), "{name}: {wanted} {theirs}");
    }
}

#[tokio::test]
async fn the_same_case_is_the_same_bytes_and_holds_with_its_key_alone() {
    let case = Case::new();
    let told = case.told();
    assert_eq!(told, Case::new().told());
    let (ours, theirs) = one(&told, case.key()).await;
    let report = ours.expect("holds");
    assert_eq!(
        (report.origin.as_str(), report.closing, report.kind.as_str()),
        ("test.example/carnet", 21, "offboarding.closed")
    );
    assert_eq!((report.closed.as_seconds(), report.files, report.entries), (CLOSED, 7, 4));
    assert_eq!((report.named, report.told), (3, Some(3)));
    assert!(theirs.starts_with("holds: 7 files, 4 of them entries of test.example/carnet, closed by entry 21"), "{theirs}");
    assert!(theirs.contains("not proved: README.html") && !theirs.contains("not in it"), "{theirs}");
    let names: Vec<String> = files(&told).into_keys().collect();
    let wanted = [
        "README.html",
        "case.json",
        "journal/11.json",
        "journal/11.proof",
        "journal/2.json",
        "journal/2.proof",
        "journal/20.json",
        "journal/20.proof",
        "journal/21.proof",
        "journal/5.json",
        "journal/5.proof",
        "journal/checkpoint",
        "journal/closing.json",
        "manifest.json",
        "records/order-sync.1.yaml",
        "tests.json",
        "texts.json",
    ];
    assert_eq!(names, wanted);
    let page = String::from_utf8(files(&told)["README.html"].clone()).expect("text");
    assert!(page.contains("Jane D\u{f6}e") && page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");

    // Python's own reader sees the same files.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("case.zip"), &told).expect("written");
    let program = "import json, sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                   print(json.dumps([[i.filename, i.file_size, i.compress_type, list(i.date_time)] for i in z.infolist()]))";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", program]).arg(folder.path().join("case.zip"));
    let seen: Value = serde_json::from_str(&output(command, String::new()).await).expect("JSON");
    let own: Vec<Value> =
        files(&told).iter().map(|(name, content)| json!([name, content.len(), 0, [2026, 12, 1, 12, 34, 56]])).collect();
    assert_eq!(seen, Value::from(own));
}

/// Without the texts, or without some, everything else is the same and holds.
#[tokio::test]
async fn a_bundle_holds_without_texts_that_were_erased_or_left_out() {
    let case = Case::new();
    let left_out = case.left_out();
    let (ours, theirs) = one(&left_out, case.key()).await;
    let report = ours.expect("holds");
    assert_eq!((report.named, report.told), (3, None));
    assert!(theirs.contains("not in it: names of people and free text (3 texts)"), "{theirs}");
    let all = files(&left_out);
    assert!(!all.contains_key("texts.json"));
    for row in &case.texts {
        assert!(
            all.values()
                .all(|content| !String::from_utf8_lossy(content).contains(row.text.split('\n').next().expect("a line")))
        );
    }

    let mut erased = Case::new();
    let forgotten = erased.texts.remove(0);
    let parts = erased.parts.clone();
    erased.texts.insert(0, forgotten.clone());
    let rows = erased.texts[1..].to_vec();
    let bundle = carnet::journal::bundle::assemble(&parts, &erased.proved(), Some(rows)).expect("made");
    let (ours, theirs) = one(&bundle, case.key()).await;
    assert_eq!(ours.map(|report| (report.named, report.told)), Ok((3, Some(2))));
    assert!(theirs.contains("not in it: 1 of 3 texts, erased or taken out"), "{theirs}");
    let (gone, there) = (files(&bundle), files(&case.told()));
    assert!(gone.values().all(|content| !String::from_utf8_lossy(content).contains(&forgotten.text)));
    for (name, content) in there.iter().filter(|(name, _)| !["README.html", "texts.json"].contains(&name.as_str())) {
        assert_eq!(gone.get(name), Some(content), "{name}");
    }
}

/// Each byte of a bundle, changed in the file as it is, and changed in a file that is put into a sound archive again.
#[tokio::test]
async fn no_byte_of_a_bundle_may_differ() {
    let case = Case::new();
    let bundle = case.told();
    let (mut bent, mut remade_ones) = (0, 0);
    for place in 0..bundle.len() {
        let mut one = bundle.clone();
        one[place] ^= 1;
        verify(&one, case.key()).expect_err("a byte of the archive");
        bent += 1;
    }
    let all = files(&bundle);
    for (name, content) in all.iter().filter(|(name, _)| *name != "README.html") {
        let is_under = !name.ends_with(".proof") && name != "journal/closing.json" && name != "journal/checkpoint";
        for place in 0..content.len() {
            let mut one = all.clone();
            one.get_mut(name).expect("a file")[place] ^= 1;
            let fault = verify(&remade(&one), case.key()).expect_err(name);
            if is_under {
                assert_eq!(fault.name(), Some(&**name), "{place}: {fault}");
            }
            remade_ones += 1;
        }
    }
    // The page is for reading, and both say that it proves nothing.
    let mut page = all.clone();
    page.insert("README.html".to_owned(), b"<p>All is well.".to_vec());
    one(&remade(&page), case.key()).await.0.expect("holds");
    page.remove("README.html");
    one(&remade(&page), case.key()).await.0.expect("holds");

    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("case.zip"), &bundle).expect("written");
    let mut script = python("tests/broker/interop/dossier.py");
    script.arg(case.key().to_string()).arg(folder.path().join("case.zip"));
    let counted: Value = serde_json::from_str(&output(script, String::new()).await).expect("JSON");
    assert_eq!(counted, json!({"bytes": bent, "remade": remade_ones}));
}

/// Files that come, go or change places in a sound archive.
#[tokio::test]
async fn a_file_that_is_missing_or_too_much_is_named() {
    let case = Case::new();
    let all = files(&case.told());
    let with = |change: &dyn Fn(&mut Contents)| {
        let mut files = all.clone();
        change(&mut files);
        remade(&files)
    };
    let less = |name: &'static str| with(&|files| drop(files.remove(name)));
    let more = |name: &'static str, content: &[u8]| with(&|files| drop(files.insert(name.to_owned(), content.to_vec())));
    let swapped = |one: &'static str, other: &'static str| {
        with(&|files| {
            let (a, b) = (files[one].clone(), files[other].clone());
            files.insert(one.to_owned(), b);
            files.insert(other.to_owned(), a);
        })
    };
    // A manifest that fits the changed files is not the one that was closed.
    let refit = with(&|files| {
        let case = String::from_utf8(files["case.json"].clone()).expect("text").replace("frozen", "frosen").into_bytes();
        let manifest = String::from_utf8(files["manifest.json"].clone()).expect("text");
        let manifest = manifest.replace(&digest(&files["case.json"]), &digest(&case));
        files.insert("case.json".to_owned(), case);
        files.insert("manifest.json".to_owned(), manifest.into_bytes());
    });
    let text = format!(r#"{{"{}":{{"salt":"{}","text":"x"}}}}"#, "text:".to_owned() + &"0".repeat(64), "0".repeat(32));
    refused(
        vec![
            ("no manifest", less("manifest.json"), "manifest.json"),
            ("no closing entry", less("journal/closing.json"), "journal/closing.json"),
            ("no checkpoint", less("journal/checkpoint"), "journal/checkpoint"),
            ("no proof of the closing entry", less("journal/21.proof"), "journal/21.proof"),
            ("no proof of an entry", less("journal/5.proof"), "journal/5.proof"),
            ("no entry", less("journal/5.json"), "journal/5.json"),
            ("no record", less("records/order-sync.1.yaml"), "records/order-sync.1.yaml"),
            ("another file", more("more.json", b"{}"), "more.json"),
            ("another entry", more("journal/6.json", b"{}"), "journal/6.json"),
            ("another proof", more("journal/6.proof", b"{}"), "journal/6.proof"),
            ("no successions", more("journal/successions.json", b"[]"), "journal/successions.json"),
            ("a text that nobody names", more("texts.json", text.as_bytes()), "texts.json"),
            ("texts with a space", more("texts.json", b"{ }"), "texts.json"),
            ("entries swapped", swapped("journal/2.json", "journal/5.json"), "journal/2.json"),
            ("proofs swapped", swapped("journal/2.proof", "journal/5.proof"), "journal/2.proof"),
            ("closing entry swapped", swapped("journal/closing.json", "journal/5.json"), "journal/closing.json"),
            ("the manifest refit", refit, "manifest.json"),
        ],
        case.key(),
    )
    .await;
    refused(vec![("another key", case.told(), "journal/checkpoint")], key(6).verifier()).await;
}

/// What the log itself says is believed, so a closing entry must be one.
#[tokio::test]
async fn an_entry_that_closes_nothing_is_no_closing_entry() {
    let signed = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        // Put together without the checks of the maker.
        let mut files = files(&Case::new().told());
        let proved = case.proved();
        for proof in proved.entries.iter().chain([&proved.closing]) {
            files.insert(format!("journal/{}.proof", proof.index), proof.text().into_bytes());
        }
        files.insert("journal/closing.json".to_owned(), proved.closing.entry.clone().into_bytes());
        files.insert("journal/checkpoint".to_owned(), proved.closing.checkpoint.clone().into_bytes());
        remade(&files)
    };
    verify(&signed(&|_| {}), Case::new().key()).expect("put together, it holds");
    refused(
        vec![
            ("no digest", signed(&|case| case.closing["manifest"] = Value::Null), "journal/closing.json"),
            ("no digits", signed(&|case| case.closing["manifest"] = "A".repeat(64).into()), "journal/closing.json"),
            ("another digest", signed(&|case| case.closing["manifest"] = "0".repeat(64).into()), "manifest.json"),
            ("no kind", signed(&|case| case.closing["kind"] = Value::Null), "journal/closing.json"),
            ("another time", signed(&|case| case.closing["time"] = (CLOSED + 2).into()), "journal/closing.json"),
            ("no time", signed(&|case| case.closing["time"] = (-1).into()), "journal/closing.json"),
        ],
        Case::new().key(),
    )
    .await;
    let mut other = Case::new();
    other.closing["manifest"] = "0".repeat(64).into();
    let fault = carnet::journal::bundle::assemble(&other.parts, &other.proved(), None).expect_err("another manifest");
    assert_eq!(fault.name(), Some("manifest.json"));
}

/// A whole log of somebody's own, signed in the name of the key; and a checkpoint with a line more. Both are in every proof as well.
#[tokio::test]
async fn a_checkpoint_is_believed_for_its_one_signature() {
    let own = Case { signer: key(6), ..Case::new() };
    let case = Case::new();
    let with = |bundle: &[u8], note: &dyn Fn(&str) -> String| {
        let mut files = files(bundle);
        let before = String::from_utf8(files["journal/checkpoint"].clone()).expect("text");
        let after = note(&before);
        for (_, content) in files.iter_mut().filter(|(name, _)| name.ends_with(".proof") || *name == "journal/checkpoint") {
            let text = String::from_utf8(content.clone()).expect("text");
            assert!(text.ends_with(&before), "{text}");
            *content = text.replace(&before, &after).into_bytes();
        }
        remade(&files)
    };
    let id = |key: &VerifierKey| {
        let text = key.to_string();
        u32::from_str_radix(text.split('+').nth(1).expect("an id"), 16).expect("an id").to_be_bytes()
    };
    let in_our_name = |note: &str| {
        let (text, signature) = note.trim_end().rsplit_once(' ').expect("a signature");
        let mut blob = STANDARD.decode(signature).expect("base64");
        blob[..4].copy_from_slice(&id(case.key()));
        format!("{text} {}\n", STANDARD.encode(blob))
    };
    let witnessed = |note: &str| format!("{note}\u{2014} witness.example AAAAAAA=\n");
    verify(&with(&case.told(), &|note| note.to_owned()), case.key()).expect("put together, it holds");
    verify(&own.told(), own.key()).expect("with its own key");
    refused(
        vec![
            ("of another key", own.told(), "journal/checkpoint"),
            ("in the name of the key", with(&own.told(), &in_our_name), "journal/checkpoint"),
            ("with a line more", with(&case.told(), &witnessed), "journal/checkpoint"),
        ],
        case.key(),
    )
    .await;
}

/// The log's key may have been succeeded before the case was closed, or since.
#[tokio::test]
async fn an_old_key_leads_to_the_one_that_signed_and_no_key_leads_back() {
    let [first, second, third, other] = [1, 2, 3, 4].map(key);
    let mut case = Case::new();
    case.successions = vec![succession(&first, &second), succession(&second, &third)];
    case.signer = key(3);
    let bundle = case.told();
    for trusted in [&first, &second, &third] {
        one(&bundle, trusted.verifier()).await.0.expect("it leads to the third");
    }
    refused(vec![("another key", bundle.clone(), "journal/checkpoint")], other.verifier()).await;
    case.signer = key(1);
    let early = case.told();
    one(&early, first.verifier()).await.0.expect("as before");
    refused(vec![("the key before", early, "journal/checkpoint")], third.verifier()).await;

    case.signer = key(3);
    let with = |statements: Value| {
        let mut files = files(&bundle);
        files.insert("journal/successions.json".to_owned(), statements.to_string().into_bytes());
        remade(&files)
    };
    let half = succession(&first, &third).rsplit_once("\u{2014}").expect("two signatures").0.to_owned();
    refused(
        vec![
            ("a gap", with(json!([case.successions[0]])), "journal/checkpoint"),
            ("in another order", with(json!([case.successions[1], case.successions[0]])), "journal/checkpoint"),
            ("signed by one", with(json!([half])), "journal/successions.json"),
            (
                "by the wrong keys",
                with(json!([case.successions[0].replace("succeeded by", "Succeeded by")])),
                "journal/successions.json",
            ),
            ("to itself", with(json!([succession(&first, &first)])), "journal/successions.json"),
            ("no list", with(json!({})), "journal/successions.json"),
            ("no text", with(json!([1])), "journal/successions.json"),
            ("empty", with(json!([])), "journal/successions.json"),
        ],
        first.verifier(),
    )
    .await;
}

#[tokio::test]
async fn the_program_verifies_a_bundle_offline_and_says_what_it_cannot_know() {
    let case = Case::new();
    let program = Program::alone();
    let put = |name: &str, bundle: &[u8]| std::fs::write(program.home().join(name), bundle).expect("written");
    put("globex.zip", &case.told());
    let key = case.key().to_string();
    let ran = program.run(&["journal", "verify", "globex.zip", "--key", &key]).await.ended(0);
    assert!(ran.stdout.starts_with("verified globex.zip: 7 files, 4 of them entries of test.example/carnet\n"), "{ran:?}");
    assert!(ran.stdout.contains("closed by entry 21 (offboarding.closed) on 2026-12-01T12:34:57Z"), "{ran:?}");
    for note in ["README.html was not verified", "whether other entries belong to the case", "whether the log goes on"] {
        assert!(ran.stderr.contains(note), "{note}: {ran:?}");
    }
    assert!(!ran.stderr.contains("texts"), "{ran:?}");
    let told = program.run(&["journal", "verify", "globex.zip", "--key", &key, "-o", "json"]).await.ended(0).json();
    assert_eq!((&told["closing"], &told["entries"], &told["texts"]), (&json!(21), &json!(4), &json!({"named": 3, "told": 3})));

    put("partner.zip", &case.left_out());
    let ran = program.run(&["journal", "verify", "partner.zip", "--key", &key]).await.ended(0);
    assert!(ran.stderr.contains("names of people and free text (3) are left out"), "{ran:?}");
    let rows = case.texts[1..].to_vec();
    put("erased.zip", &carnet::journal::bundle::assemble(&case.parts, &case.proved(), Some(rows)).expect("made"));
    let ran = program.run(&["journal", "verify", "erased.zip", "--key", &key]).await.ended(0);
    assert!(ran.stderr.contains("1 of 3 texts are missing"), "{ran:?}");

    let mut changed = files(&case.told());
    changed.insert("tests.json".to_owned(), b"[1]".to_vec());
    put("changed.zip", &remade(&changed));
    let ran = program.run(&["journal", "verify", "changed.zip", "--key", &key]).await.ended(1);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("tests.json: its SHA-256 is "), "{ran:?}");
    let ran = program.run(&["journal", "verify", "changed.zip", "--key", &key, "-o", "json"]).await.ended(1);
    assert!(ran.stderr.contains(r#""file":"tests.json""#), "{ran:?}");
    let other = sample::key(6).verifier().to_string();
    let ran = program.run(&["journal", "verify", "globex.zip", "--key", &other]).await.ended(1);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("not signed by the expected key"), "{ran:?}");
    program.run(&["journal", "verify", "none.zip", "--key", &key]).await.ended(2);
    program.run(&["journal", "verify", "globex.zip"]).await.ended(2);
    put("kept", b"");
    let ran = program.run(&["journal", "verify", "globex.zip", "--key", &key, "--checkpoint", "kept"]).await.ended(2);
    assert!(ran.stderr.contains("--checkpoint is for an export"), "{ran:?}");
}

#[tokio::test]
async fn the_script_is_used_as_it_says() {
    let case = Case::new();
    let folder = tempfile::tempdir().expect("a folder");
    let ran = async |arguments: &[&str]| {
        let mut script = python("examples/verify_dossier.py");
        script.args(arguments).current_dir(folder.path());
        run(script, String::new()).await.status.code()
    };
    let key = case.key().to_string();
    std::fs::write(folder.path().join("case.zip"), case.told()).expect("written");
    assert_eq!(ran(&["--key", &key, "case.zip"]).await, Some(0));
    assert_eq!(ran(&["--key", &key, "case.zip", "none.zip"]).await, Some(1));
    assert_eq!(ran(&["--key", &key.replace("+", "-"), "case.zip"]).await, Some(2));
    assert_eq!(ran(&["case.zip"]).await, Some(2));
}

/// The seeds of the fuzz target: whole bundles but for the page, which nothing proves.
fn seeds() -> [(&'static str, Vec<u8>); 2] {
    let case = Case::new();
    [("told.zip", case.told()), ("left-out.zip", case.left_out())].map(|(name, bundle)| {
        let mut files = files(&bundle);
        files.remove("README.html");
        (name, remade(&files))
    })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/bundle")
}

/// Run it after the form of a bundle changed: `cargo test --test broker bundle::write_seeds -- --ignored`.
#[test]
#[ignore = "writes files"]
fn write_seeds() {
    std::fs::create_dir_all(folder()).expect("a folder");
    for (name, bundle) in seeds() {
        std::fs::write(folder().join(name), bundle).expect("written");
    }
}

#[test]
fn the_seeds_are_of_the_form_of_today() {
    for (name, bundle) in seeds() {
        assert!(std::fs::read(folder().join(name)).expect("a seed") == bundle, "{name}: see write_seeds");
    }
}
