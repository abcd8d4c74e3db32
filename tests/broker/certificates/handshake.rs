//! What the mTLS socket takes at its edges: the first second of a process, an index that is away, early data.

use serde_json::json;

use super::tool::Machine;
use super::{P256, enrolled, onboard, world};
use crate::world::{Options, World};

/// M-12: a certificate that was revoked before a restart is refused by the first answer after it, and one that was not is taken.
#[tokio::test(flavor = "multi_thread")]
async fn m_12_a_revoked_certificate_is_refused_in_the_first_second_of_a_process() {
    let mut world = world().await;
    let mut machine = enrolled(&world, "production").await;
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    let revoke = json!({"certificate": format!("production/{}", machine.serial("one").await), "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    for _ in 0..5 {
        world.stop().await;
        world.boot().await;
        machine.follow(&world);
        let before = world.issued().await;
        // The socket may not speak TLS yet (status 0); what it says first is this.
        let mut reply = machine.token(Some("one"), "production", &[]).await;
        for _ in 0..100 {
            if reply.status != 0 {
                break;
            }
            reply = machine.token(Some("one"), "production", &[]).await;
        }
        assert_eq!((reply.status, &reply.json()["reason"]), (400, &json!("certificate.revoked")), "{reply:?}");
        assert_eq!(world.issued().await, before);
        assert_eq!(machine.token(Some("two"), "production", &[]).await.status, 200);
    }
}

/// M-13: where nobody can say whether a certificate was revoked, nobody is let in; and who asks our list does not take an old one.
#[tokio::test(flavor = "multi_thread")]
async fn m_13_what_nobody_knows_is_not_good() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    onboard(&world).await;
    world.clock.synchronise();
    let machine = enrolled(&world, "production").await;
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200);

    let list = crate::world::get(world.public, "/production/crl").await;
    std::fs::write(machine.path("list.der"), &list.body).expect("written");
    machine.openssl("crl -inform DER -in list.der -out list.pem").await;
    let check = |at: i64| format!("verify -attime {at} -crl_check -CAfile ca.pem -CRLfile list.pem two.pem");
    // A certificate that outlives this list.
    let fetched = world.clock.seconds();
    world.advance(3600).await;
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    machine.openssl(&check(fetched + 3700)).await;
    let late = check(fetched + 24 * 3600 + 60);
    let late: Vec<&str> = late.split(' ').collect();
    assert!(machine.try_openssl(&late).await.expect_err("it is old").contains("CRL has expired"));
    // The list of one environment says nothing about the other.
    let list = crate::world::get(world.public, "/sandbox/crl").await;
    std::fs::write(machine.path("list.der"), &list.body).expect("written");
    machine.openssl("crl -inform DER -in list.der -out list.pem").await;
    let now = check(fetched + 3700);
    let now: Vec<&str> = now.split(' ').collect();
    assert!(machine.try_openssl(&now).await.expect_err("another's list").contains("unable to get certificate CRL"));

    let before = world.issued().await;
    world.redis.as_mut().expect("a Redis").kill();
    let mut reply = machine.token(Some("one"), "production", &[]).await;
    assert_eq!((reply.status, &reply.json()["error"]), (503, &json!("temporarily_unavailable")), "{reply:?}");
    reply = machine.token(None, "production", &[]).await;
    assert_ne!(reply.status, 200);
    assert_eq!(world.issued().await, before);
}

/// M-23: there is no session to resume, so there is no early data; what a client sends early never reaches a route.
#[tokio::test(flavor = "multi_thread")]
async fn m_23_nothing_is_minted_by_early_data() {
    let world = world().await;
    let machine: Machine = enrolled(&world, "production").await;
    let before = world.issued().await;
    let connect = format!("s_client -connect {} -CAfile ca.pem -cert one.pem -cert_chain one.pem -key one.key", machine.host());
    let open = async |more: &str| {
        let arguments = format!("{connect} -ign_eof {more}");
        let arguments: Vec<&str> = arguments.split(' ').collect();
        // The server ends a connection on which nothing is asked, which openssl reports as a failure.
        let told = machine.try_openssl(&arguments).await.unwrap_or_else(|told| told);
        assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
        told
    };
    let (first, older) = tokio::join!(open("-tls1_3 -sess_out session.pem"), open("-tls1_2 -sess_out older.pem"));
    assert!(first.contains("Early data was not sent") && !first.contains("Post-Handshake New Session Ticket"), "{first}");
    assert!(!machine.path("session.pem").exists(), "no ticket is given");
    assert!(older.contains("New, TLSv1.2"), "{older}");
    // TLS 1.2 has tickets and sessions of its own.
    if machine.path("older.pem").exists() {
        let again = open("-tls1_2 -sess_in older.pem").await;
        assert!(again.contains("New, TLSv1.2") && !again.contains("Reused, "), "{again}");
    }
    assert_eq!(world.issued().await, before);
}

/// Found by the fuzz target `question`: a length near 2^64 made the reader of questions panic.
#[tokio::test]
async fn a_question_whose_lengths_lie_is_malformed() {
    let world = World::start().await;
    let question = include_bytes!("../../fuzz/corpus/question/length-of-2-to-the-64.der");
    let answer = crate::world::send(world.public, "POST", "/production/ocsp", &[], question).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &[0x30, 3, 0x0a, 1, 1][..]));
}
