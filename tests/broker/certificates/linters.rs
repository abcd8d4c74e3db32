//! What an independent judge of X.509 (PyPI `pkilint`: RFC 5280, RFC 6960, RFC 5480 and their neighbours) finds in what our authority
//! publishes. `openssl` accepts much that these documents forbid.

use serde_json::{Value, json};

use super::{P256, enrolled, world};
use crate::interop::process;
use crate::world::{World, get};

/// The one finding that is not ours: pkilint reads URIs by PyPI `validators`, which knows a list of schemes, and `spiffe` is not in it.
const UNKNOWN_SCHEME: &str = "Invalid URI syntax: \\\"spiffe://";

/// What a linter finds in a file; notices are opinions and are left out.
async fn findings(tool: &str, arguments: &[&str], files: &[std::path::PathBuf]) -> Vec<String> {
    let mut command = process::installed(tool);
    command.arg("lint").args(["-s", "WARNING", "-f", "JSON"]).args(arguments).args(files);
    let output = process::run(command, String::new()).await;
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{tool}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let results = told["results"].as_array().unwrap_or_else(|| panic!("{tool}: {told}")).clone();
    let descriptions = results.iter().flat_map(|one| one["finding_descriptions"].as_array().cloned().unwrap_or_default());
    descriptions.map(|one| one.to_string()).filter(|text| !text.contains(UNKNOWN_SCHEME)).collect()
}

/// Every certificate of a PEM file, each in a file of its own.
fn apart(pem: &str, folder: &std::path::Path, name: &str) -> Vec<std::path::PathBuf> {
    let one = |(number, text): (usize, &str)| {
        let path = folder.join(format!("{name}{number}.pem"));
        let body = text.split("-----END").next().expect("a body");
        std::fs::write(&path, format!("-----BEGIN CERTIFICATE-----{body}-----END CERTIFICATE-----\n")).expect("written");
        path
    };
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).enumerate().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_linter_accepts_chain_list_and_answer() {
    let world = world().await;
    let machine = enrolled(&world, "production").await;
    machine.request("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "rsa", Some("one"), None).await.status, 200);
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    let revoke = json!({"certificate": format!("production/{}", machine.serial("two").await), "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);

    let leaf = apart(&machine.read("one.pem"), machine.folder(), "leaf");
    let rsa = apart(&machine.read("rsa.pem"), machine.folder(), "rsa");
    let authorities = apart(&machine.read("ca.pem"), machine.folder(), "ca");
    machine.issuing("issuing.pem").await;
    assert!(leaf.len() == 1 && authorities.len() == 2);
    for file in leaf.iter().chain(&authorities).chain(&rsa[..1]) {
        let found = findings("lint_pkix_cert", &[], std::slice::from_ref(file)).await;
        assert!(found.is_empty(), "{}: {found:#?}", file.display());
    }
    // Names, key identifiers and algorithms fit between a certificate and the one that signed it.
    let pair = [machine.path("issuing.pem"), leaf[0].clone()];
    let found = findings("lint_pkix_signer_signee_cert_chain", &[], &pair).await;
    assert!(found.is_empty(), "{found:#?}");

    let found = findings("lint_crl", &["-t", "CRL", "-p", "PKIX"], &[list(&world, &machine).await]).await;
    assert!(found.is_empty(), "the list: {found:#?}");

    for certificate in ["one.pem", "two.pem"] {
        machine.openssl(&format!("ocsp -issuer issuing.pem -cert {certificate} -reqout question.der")).await;
        let question = std::fs::read(machine.path("question.der")).expect("a question");
        let answer = crate::world::send(world.public, "POST", "/production/ocsp", &[], &question).await;
        std::fs::write(machine.path("answer.der"), &answer.body).expect("written");
        let found = findings("lint_ocsp_response", &[], &[machine.path("answer.der")]).await;
        assert!(found.is_empty(), "the answer for {certificate}: {found:#?}");
    }

    // The judge is awake: a certificate without our care does not pass it.
    machine
        .openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout bad.key -subj / -days 1 -out bad.pem -addext basicConstraints=CA:TRUE",
        )
        .await;
    assert!(!findings("lint_pkix_cert", &[], &[machine.path("bad.pem")]).await.is_empty());
}

async fn list(world: &World, machine: &super::tool::Machine) -> std::path::PathBuf {
    let answer = get(world.public, "/production/crl").await;
    std::fs::write(machine.path("list.der"), &answer.body).expect("written");
    machine.path("list.der")
}
