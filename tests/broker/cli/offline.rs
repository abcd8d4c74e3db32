//! What needs no server.

use carnet::domain::reason::Reason;

use super::program::Program;

#[tokio::test]
async fn every_reason_has_a_page_that_is_printed_offline() {
    let program = Program::alone();
    for reason in Reason::all() {
        let ran = program.run(&["explain", reason.code]).await.ended(0);
        assert!(ran.stdout.starts_with(reason.code) && ran.stderr.is_empty(), "{ran:?}");
        for part in [reason.what, reason.why, reason.fix] {
            assert!(ran.stdout.contains(part), "{ran:?}");
        }
    }
    let page = program.run(&["explain", "binding.no-match", "-o", "json"]).await.ended(0).json();
    assert_eq!(page["reason"], "binding.no-match");
    let unknown = program.run(&["explain", "binding.nope"]).await.ended(5);
    assert!(unknown.stdout.is_empty() && unknown.stderr.contains("binding.no-match"), "{unknown:?}");
}

#[tokio::test]
async fn wrong_use_is_exit_2_and_an_unknown_verb_suggests_the_one_that_was_meant() {
    let program = Program::alone();
    let wrong = program.run(&["exlpain"]).await.ended(2);
    assert!(wrong.stdout.is_empty() && wrong.stderr.contains("'explain'"), "{wrong:?}");
    program.run(&["token", "--env", "production"]).await.ended(2);
    program.run(&["approve", "x"]).await.ended(2);
    let help = program.run(&["token", "--help"]).await.ended(0);
    let examples = help.stdout.find("Examples:").expect("examples");
    assert!(examples < help.stdout.find("Usage:").expect("usage") && help.stderr.is_empty(), "{help:?}");
}

/// The commands of docs/reference/cli.md.
#[tokio::test]
async fn the_commands_of_the_contract_are_there() {
    let program = Program::alone();
    let commands: [&[&str]; 33] = [
        &["serve"],
        &["token"],
        &["explain"],
        &["can-i"],
        &["inspect"],
        &["validate"],
        &["plan"],
        &["apply"],
        &["approvals"],
        &["approve"],
        &["deny"],
        &["partner", "list"],
        &["partner", "show"],
        &["partner", "export"],
        &["partner", "suspend"],
        &["partner", "resume"],
        &["integration", "submit"],
        &["revoke", "token"],
        &["revoke", "lift"],
        &["key", "init"],
        &["key", "list"],
        &["key", "rotate"],
        &["key", "taint"],
        &["key", "show"],
        &["journal", "query"],
        &["journal", "prove"],
        &["journal", "at"],
        &["journal", "reopen"],
        &["journal", "migrate"],
        &["journal", "checkpoint"],
        &["doctor"],
        &["status"],
        &["completion"],
    ];
    for command in commands {
        let help = program.run(&[command, &["--help"]].concat()).await.ended(0);
        assert!(help.stdout.contains(&format!("Usage: carnet {}", command.join(" "))), "{help:?}");
    }
}

#[tokio::test]
async fn a_key_encryption_key_is_made_once_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::alone();
    let made = program.run(&["key", "init", "kek", "-o", "json"]).await.ended(0);
    assert_eq!(made.json()["mode"], "0600");
    let file = std::fs::metadata(program.home().join("kek")).expect("a file");
    assert_eq!((file.permissions().mode() & 0o777, file.len()), (0o600, 32));
    let before = std::fs::read(program.home().join("kek")).expect("readable");
    program.run(&["key", "init", "kek"]).await.ended(1);
    assert_eq!(std::fs::read(program.home().join("kek")).expect("readable"), before);
}

#[tokio::test]
async fn completions_are_printed_for_each_shell() {
    let program = Program::alone();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = program.run(&["completion", shell]).await.ended(0);
        assert!(ran.stdout.contains("carnet") && ran.stderr.is_empty(), "{shell}");
    }
}

const API: &str = r#"apiVersion: carnet/v1
kind: Api
metadata: {name: orders-api}
owner: team:orders
audience: {production: https://orders.example}
scopes:
  orders:read: {meaning: See orders, risk: low}
"#;

#[tokio::test]
async fn records_are_checked_offline_with_all_faults_at_once() {
    let program = Program::alone();
    program.file("records/api.yaml", API);
    let valid = program.run(&["validate", "-f", "records"]).await.ended(0);
    assert_eq!(valid.stdout, "valid: 1 record in 1 file, 0 errors, 0 warnings\n");

    let twice = API.replace("owner: team:orders", "ownr: team:orders").replace("risk: low", "risk: lowish");
    program.file("records/more/bad.yml", &twice);
    let ran = program.run(&["validate", "-f", "records"]).await.ended(2);
    for wanted in
        ["records/more/bad.yml:4:", "did you mean owner?", "records/more/bad.yml:7:", "INVALID:", "[record.unknown-key]"]
    {
        assert!(ran.stdout.contains(wanted), "{wanted}: {ran:?}");
    }
    let told = program.run(&["validate", "-f", "records", "-o", "json"]).await.ended(2).json();
    assert_eq!(told["valid"], false);
    assert!(told["faults"].as_array().expect("faults").iter().all(|fault| fault["file"] == "records/more/bad.yml"), "{told}");

    // What a file that cannot be read may hold is not reported missing; what is nowhere is, unless the folder is only a part.
    let stray = crate::world::records::integration("https://issuer.example", "order-sync", "1");
    let ran = program.run_with(&["validate", "-f", "-"], &stray).await.ended(2);
    assert!(ran.stdout.contains("there is no API orders-api") && ran.stdout.contains("there is no partner globex"), "{ran:?}");
    let partial = program.run_with(&["validate", "--partial", "-f", "-"], &stray).await.ended(0);
    assert!(partial.stdout.contains("warning[record.unknown-reference]"), "{partial:?}");
}

#[tokio::test]
async fn the_tests_of_a_record_are_run_offline() {
    let program = Program::alone();
    let record = |expect: &str| {
        let claims =
            r#"{iss: "https://issuer.example", repository_id: "1", repository_owner_id: "998877", ref: refs/heads/dev}"#;
        let tests = format!("tests:\n  - {{claims: {claims}, expect: {{environment: production, {expect}}}}}\n");
        crate::world::records::integration("https://issuer.example", "order-sync", "1") + &tests
    };
    program.run_with(&["validate", "--partial", "-f", "-"], &record("deny: binding.no-match")).await.ended(0);
    let failed = program.run_with(&["validate", "--partial", "-f", "-"], &record("allow: ci-main")).await.ended(2);
    assert!(failed.stdout.contains("record.test-failed"), "{failed:?}");
}

#[tokio::test]
async fn l_04_a_token_among_the_arguments_is_refused_and_not_repeated() {
    let canary = "eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOiJLQU5BUklFIn0.c2lnbmF0dXJl";
    let program = Program::alone();
    for arguments in [vec!["inspect", canary], vec!["token", "--assertion-file", canary], vec![canary]] {
        let ran = program.run(&arguments).await.ended(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.contains("eyJ"), "{ran:?}");
    }
}

#[tokio::test]
async fn who_has_no_proof_is_told_what_to_add() {
    let mut program = Program::alone();
    program.set("CARNET_PUBLIC_SERVER", "http://127.0.0.1:1");
    let token = ["token", "--env", "production", "--api", "orders-api", "--scope", "orders:read"];
    let ran = program.run(&token).await.ended(4);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("--assertion-file"), "{ran:?}");
    program.set("GITHUB_ACTIONS", "true");
    let ran = program.run(&token).await.ended(4);
    assert!(ran.stderr.contains("permissions:\n           id-token: write\n"), "{ran:?}");
}

#[tokio::test]
async fn a_context_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::alone();
    let text = "current = \"a\"\n[contexts.a]\nserver = \"http://127.0.0.1:1\"\nstaff_token_file = \"/nowhere\"\n";
    let path = program.file(".config/carnet/contexts.toml", text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let ran = program.run(&["partner", "list"]).await.ended(2);
    assert!(ran.stderr.contains("chmod 600"), "{ran:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    // Now it counts: the file that it names is not there.
    let ran = program.run(&["partner", "list"]).await.ended(2);
    assert!(ran.stderr.contains("cannot be read"), "{ran:?}");
    program.run(&["partner", "list", "--context", "b"]).await.ended(5);
}
