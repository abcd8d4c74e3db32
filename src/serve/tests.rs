//! Tests of a composed broker that serves no request: what must hold if a part of it is held up.

use std::collections::BTreeSet;

use serde_json::json;

use super::furnish::furnish;
use super::prepare::prepared;
use super::*;
use crate::authn::UnverifiedAssertion;
use crate::authn::tests::fixtures::Signer;
use crate::broker::caller::Credential;
use crate::broker::elevation::Word;
use crate::broker::exchange::Request;
use crate::broker::failure::Failure;
use crate::broker::introspection::ClientCredential;
use crate::broker::revocation::Revoke;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::admission::Slot;
use crate::domain::decision::ask::{Ask, Target};
use crate::domain::elevation::Narrowing;
use crate::domain::fixture;
use crate::domain::people::actor::{Authorized, Permission, Person, Role, Staff};
use crate::domain::registry::approval::Verdict;
use crate::domain::state::Party;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, IntegrationId};
use crate::domain::value::quota::Operation;
use crate::http::health::Waits;
use crate::journal::Ended;
use crate::journal::Proposal;
use crate::server::{OsEntropy, SystemClock};

const CONFIGURATION: &str = r#"
[journal]
url = "sqlite://FOLDER/journal.db"
origin = "test.example/carnet"
[keys]
kek_file = "kek"
[staff]
issuer = "https://staff.example"
audience = "carnet"
roles = { security = ["security"] }
[environments.production]
issuer = "http://127.0.0.1:7400/production"
max_ttl = "10m"
[listen]
public = "127.0.0.1:7400"
admin = "127.0.0.1:7401"
"#;

async fn broker(folder: &tempfile::TempDir) -> Broker {
    broker_at(folder, Arc::new(SystemClock)).await
}

async fn broker_at(folder: &tempfile::TempDir, clock: Arc<dyn crate::domain::value::clock::Clock>) -> Broker {
    let file = folder.path().join("carnet.toml");
    std::fs::write(&file, CONFIGURATION.replace("FOLDER", &folder.path().display().to_string())).expect("written");
    Kek::create(&folder.path().join("kek"), &OsEntropy).expect("a key-encryption key");
    let config = crate::config::load(&file).expect("a valid configuration");
    let kek = Kek::load(&config.keys.kek_file).expect("a key-encryption key");
    let foundation = Foundation { kek, journal: journal_settings(&config).expect("settings") };
    let system = System { clock, entropy: Arc::new(OsEntropy) };
    let (broker, _) =
        furnish(&config, &foundation, &system, ("http://localhost:7401", &Waits::default())).await.expect("a broker");
    prepared(&broker, &config).await.expect("prepared");
    broker
}

/// A person with every role, who signed in just now.
fn authorized<P: Permission>(id: &str) -> Authorized<P> {
    let roles = [Role::Administrator, Role::Auditor, Role::Owner, Role::Security].into_iter().collect();
    let staff = Staff { person: person(id), roles, machine: false, fresh: true, until: Timestamp::MAX };
    Authorized::assertion(staff).expect("every role")
}

fn person(id: &str) -> Person {
    Person { iss: "https://staff.example".parse().expect("an issuer"), id: id.into(), name: None }
}

fn leaked() -> Revoke {
    let target = RevocationTarget::Partner { partner: "globex".parse().expect("a name") };
    Revoke { target, client: None, tokens_only: false, reason: "leaked".to_owned() }
}

/// I-11: security ends a person's access after the route admitted them.
///
/// No request of theirs changes anything.
#[tokio::test]
async fn i_11_no_operation_changes_anything_for_a_person_who_was_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(&folder).await;
    let why = "odd";
    let _unconfirmed = broker.cut_staff(&authorized("sara"), person("sven"), why, None).await.expect("cut");
    let (environment, partner): (EnvironmentName, _) =
        ("production".parse().expect("a name"), "globex".parse().expect("a name"));
    let integration: IntegrationId = "globex/order-sync".parse().expect("an id");
    let (party, seen) = (Party::Partner(partner), Digest::of(b"seen"));
    let kid = broker.journal.view().state.keys.all().next().expect("a key").key.kid.clone();
    let size = broker.journal.view().size;
    let records = r#"apiVersion: carnet/v1
kind: Partner
metadata: {name: globex}
legalName: Globex Corporation
domains: [globex.example]
contacts: {technical: ops@globex.example, security: security@globex.example}
verification: {by: jane@acme.example, on: 2026-01-01, evidence: "sha256:00", expires: 2027-01-01}
"#;
    let word =
        || Word { verdict: Verdict::Approve, why: why.to_owned(), seen, narrowing: Narrowing::default(), signature: None };
    let id = "nothing";
    let refused = |failure: Option<Failure>| match failure {
        Some(Failure::Refused(reason)) => reason.code,
        Some(Failure::State(_) | Failure::Stopped(_) | Failure::Faults(_) | Failure::Collides(_) | Failure::Refuses(_)) => {
            "another failure"
        }
        None => "done",
    };
    let outcomes = [
        ("suspend", refused(broker.suspend(&authorized("sven"), &party, &BTreeSet::new(), why, None).await.err())),
        ("ask_resume", refused(broker.ask_resume(&authorized("sven"), &party, &[], why, None).await.err())),
        ("submit", refused(broker.submit(&authorized("sven"), &integration, why, None).await.err())),
        ("cut_staff", refused(broker.cut_staff(&authorized("sven"), person("raj"), why, None).await.err())),
        (
            "revoke",
            broker
                .revoke(&authorized("sven"), leaked(), None)
                .await
                .map_or_else(|denied| denied.refused.reason.code, |_| "done"),
        ),
        ("ask_lift", refused(broker.ask_lift(&authorized("sven"), &parsed(id), why, None).await.err())),
        ("approve", refused(broker.review(&authorized("sven"), &parsed(id), Verdict::Approve, why, seen, None).await.err())),
        ("deny", refused(broker.review(&authorized("sven"), &parsed(id), Verdict::Deny, why, seen, None).await.err())),
        ("rotate", refused(broker.rotate(&authorized("sven"), &environment, Alg::Es256, false, None).await.err())),
        ("taint", refused(broker.taint(&authorized("sven"), &environment, &kid, why, None).await.err())),
        ("rotate_authority", refused(broker.rotate_authority(&authorized("sven"), &environment, why, None).await.err())),
        (
            "ask_enrolment",
            refused(broker.ask_enrolment(&authorized("sven"), &integration, &environment, why, None).await.err()),
        ),
        ("review_elevation", refused(broker.review_elevation(&authorized("sven"), &parsed(id), word(), None).await.err())),
        ("end_elevation", refused(broker.end_elevation(&authorized("sven"), &parsed(id), why, None).await.err())),
        ("revoke_passkey", refused(broker.revoke_passkey(&authorized("sven"), &parsed(id), why, None).await.err())),
        ("apply", refused(broker.apply(&authorized("sven"), records, Default::default(), None).await.err())),
    ];
    for (operation, outcome) in outcomes {
        assert_eq!(outcome, "staff.cut", "{operation}");
    }
    assert_eq!(broker.journal.view().size, size, "nothing is on record");
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

/// A reader of the journal cannot delay a revocation.
///
/// It is recorded before living tokens are counted.
#[tokio::test]
async fn a_revocation_is_on_record_while_every_reader_of_the_journal_is_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(&folder).await;
    let busy = broker.journal.hold_readers().await;
    let sven = authorized("sven");
    let revoked = broker.revoke(&sven, leaked(), None);
    let revoked = tokio::time::timeout(Duration::from_secs(5), revoked).await.expect("it waits for no reader");
    let Ok((id, cut)) = revoked else { panic!("refused") };
    assert!(broker.journal.view().state.revocations.contains_key(&id));
    // The count comes once somebody can read.
    drop(busy);
    assert_eq!(broker.ended(&cut).await, Some(Ended::default()));
}

/// A proof that may be shown again is remembered once it admitted its caller; nobody else's is, so strangers fill no memory.
#[tokio::test]
async fn a_proof_is_remembered_if_it_admitted_somebody_and_may_be_shown_again() {
    for (reusable, repository, remembered) in [(true, "456789", true), (true, "1", false), (false, "456789", false)] {
        for minting in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let broker = broker_at(&folder, Arc::new(fixture::SetClock::new())).await;
            let signer = Signer::new(Alg::Es256, "k1");
            let keys = json!({"inline": json!({"keys": [signer.jwk()]}).to_string()});
            // Its own environment and keys are there already.
            for change in fixture::registry_with(&keys, !reusable).into_iter().skip(2) {
                let propose = |_: &_, _| Ok::<_, ()>(Proposal::from(change.clone()));
                broker.journal.change(None, propose).await.expect("running").expect("changed");
            }
            let following = tokio::spawn(broker.clone().follow());
            let last = broker.journal.view().seen.expect("a change");
            assert!(broker.follower.reached(last, Duration::from_secs(5)).await);
            let environment = fixture::production();
            let text = signer.token(&json!({
                "iss": fixture::WORKLOADS, "sub": "repo:globex/order-sync", "repository_id": repository, "jti": "one",
                "aud": "http://127.0.0.1:7400/production",
                "iat": fixture::at(0).as_seconds(), "exp": fixture::at(300).as_seconds(),
            }));
            let unverified = || UnverifiedAssertion::parse(&text).expect("a token");
            assert!(broker.verifier.remembered(&unverified()).is_none());
            let admitted = if minting {
                let request = Request {
                    environment,
                    proof: Credential::Assertion { text: text.clone(), slot: Slot::SubjectToken },
                    ask: Ask { target: Some(Target::Name("orders-api".to_owned())), scope: None, client: None },
                    source: None,
                    certificate: None,
                    possession: None,
                    id: "request".parse().expect("an id"),
                };
                broker.exchange(&request).await.map(drop)
            } else {
                let credential = ClientCredential::Assertion { text: text.clone(), client: None };
                broker.authenticate(&environment, &credential, Operation::Introspection).await.map(drop)
            };
            let refused = admitted.err().map(|denied| denied.refused.reason.code);
            assert_eq!(broker.verifier.remembered(&unverified()).is_some(), remembered, "{minting} {refused:?}");
            following.abort();
        }
    }
}
