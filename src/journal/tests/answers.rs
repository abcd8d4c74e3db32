//! Requests that may come twice: known with their first change or not at all, and for a day.

use super::super::answers::{Done, ForRequest, Idempotency, MOST_BYTES};
use super::super::fault::Unavailable;
use super::*;
use crate::domain::digest::Digest;
use crate::domain::text::Text;

const DAY: i64 = 86_400;

fn once(person: &str, key: &str) -> Idempotency {
    Idempotency { person: Digest::of(person.as_bytes()), key: Digest::of(key.as_bytes()), fingerprint: Digest::of(b"a body") }
}

fn id(name: &str) -> RequestId {
    name.parse().expect("a name")
}

fn of(name: &str, once: Idempotency) -> Option<ForRequest> {
    Some(ForRequest { id: id(name), once: Some(once) })
}

/// Makes a change for `request`.
async fn make_for(journal: &Journal, request: Option<ForRequest>) -> Result<(), Unavailable> {
    let made = journal.change(request, |_, _| Ok::<_, ()>(Proposal::from(revocation_of_token()))).await?;
    made.map(|_| ()).map_err(|()| unreachable!("it is proposed"))
}

/// What is known of a key: which request was done, and the answer.
async fn known(journal: &Journal, once: &Idempotency) -> Option<(String, Option<Vec<u8>>)> {
    let done = journal.done(once).await.expect("reads");
    done.map(|Done { request, answer, .. }| (request.to_string(), answer))
}

fn done(request: &str, answer: Option<&[u8]>) -> Option<(String, Option<Vec<u8>>)> {
    Some((request.to_owned(), answer.map(<[u8]>::to_vec)))
}

/// F-09: whatever becomes of the commit and of its answer, the key is known if and only if the change stands.
#[tokio::test]
async fn f_09_a_request_is_known_exactly_if_its_change_stands() {
    let lost = [Fault::BeginFails, Fault::AppendFails, Fault::CommitLost, Fault::KilledBefore];
    let kept = [Fault::CommitKept, Fault::KilledAfter];
    for fault in lost.into_iter().chain(kept) {
        let house = House::new();
        let mut journal = house.furnished().await;
        let (size, once) = (journal.view().size, once("ann", "k"));
        house.fail(fault);
        if [Fault::KilledBefore, Fault::KilledAfter].contains(&fault) {
            let patience = std::time::Duration::from_millis(300);
            let waited = tokio::time::timeout(patience, make_for(&journal, of("r-1", once))).await;
            assert!(waited.is_err(), "{fault:?}: nobody is answered");
            journal.kill();
            journal = house.open().await.expect("opens");
        } else {
            assert_eq!(make_for(&journal, of("r-1", once)).await.is_ok(), fault == Fault::CommitKept, "{fault:?}");
        }
        let stands = kept.contains(&fault);
        assert_eq!(journal.view().size, size + u64::from(stands), "{fault:?}");
        assert_eq!(known(&journal, &once).await, if stands { done("r-1", None) } else { None }, "{fault:?}");
        // Sent again it is another request, and changes nothing where the first one did.
        assert_eq!(make_for(&journal, of("r-2", once)).await.is_ok(), !stands, "{fault:?}");
        assert_eq!(journal.view().size, size + 1, "{fault:?}");
        journal.close().await;
        house.verify(None).await.expect("verifies");
    }
}

#[tokio::test]
async fn a_key_is_of_one_request_and_of_all_changes_that_are_made_for_it() {
    let house = House::new();
    let journal = house.furnished().await;
    let (size, ann, olga) = (journal.view().size, once("ann", "k"), once("olga", "k"));
    for _ in 0..3 {
        make_for(&journal, of("r-1", ann)).await.expect("changes");
    }
    make_for(&journal, of("r-2", ann)).await.expect_err("done by another request");
    let other = Idempotency { fingerprint: Digest::of(b"another body"), ..ann };
    make_for(&journal, of("r-3", other)).await.expect_err("done by another request");
    make_for(&journal, of("r-4", olga)).await.expect("another person's key");
    make_for(&journal, of("r-5", once("ann", "l"))).await.expect("another key");
    assert_eq!(journal.view().size, size + 5);
    assert!(journal.health().writable, "a key that is taken is no fault of the store");
    let told = journal.done(&other).await.expect("reads").expect("done");
    assert_eq!((told.fingerprint, told.request.as_str()), (ann.fingerprint, "r-1"));
    // Nothing was done for this one.
    assert_eq!(known(&journal, &once("ann", "m")).await, None);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_whatever_starts_anew() {
    let house = House::new();
    let mut journal = house.furnished().await;
    let (ann, read) = (once("ann", "k"), once("ann", "read"));
    make_for(&journal, of("r-1", ann)).await.expect("changes");
    journal.keep_answer(&id("r-1"), &ann, (true, Some(b"first"))).await.expect("kept");
    // One that changed nothing is known by its answer.
    journal.keep_answer(&id("r-2"), &read, (true, Some(b"plan"))).await.expect("kept");
    // The answer of another request takes the place of neither.
    journal.keep_answer(&id("r-3"), &ann, (true, Some(b"second"))).await.expect("kept");
    for _ in 0..2 {
        assert_eq!(known(&journal, &ann).await, done("r-1", Some(b"first")));
        assert_eq!(known(&journal, &read).await, done("r-2", Some(b"plan")));
        journal.close().await;
        house.verify(None).await.expect("verifies");
        journal = house.open().await.expect("opens");
    }
    house.clock.set(DAY - 1);
    assert_eq!(known(&journal, &ann).await, done("r-1", Some(b"first")));
    house.clock.set(DAY);
    assert_eq!(known(&journal, &ann).await, None);
    make_for(&journal, of("r-4", ann)).await.expect("a new request");
    assert_eq!(known(&journal, &ann).await, done("r-4", None));
    assert_eq!(rows(&house).await, 1, "what is forgotten goes with the next one");
}

/// A refusal is kept only for who had changed something before it.
#[tokio::test]
async fn a_refusal_is_an_answer_only_to_who_changed_something() {
    let house = House::new();
    let journal = house.furnished().await;
    let (idle, busy) = (once("ann", "idle"), once("ann", "busy"));
    journal.keep_answer(&id("r-1"), &idle, (false, Some(b"no"))).await.expect("taken");
    assert_eq!(known(&journal, &idle).await, None);
    make_for(&journal, of("r-2", busy)).await.expect("changes");
    journal.keep_answer(&id("r-2"), &busy, (false, Some(b"half"))).await.expect("kept");
    assert_eq!(known(&journal, &busy).await, done("r-2", Some(b"half")));
    // One that is not kept leaves the request done.
    house.fail(Fault::KeepFails);
    make_for(&journal, of("r-3", idle)).await.expect("changes");
    journal.keep_answer(&id("r-3"), &idle, (true, Some(b"lost"))).await.expect_err("not kept");
    assert_eq!(known(&journal, &idle).await, done("r-3", None));
    issue(&journal, 0..1).await;
}

/// Of one person the newest answers are kept, as far as they fit. Nobody pushes out those of somebody else, and which requests were done
/// stays.
#[tokio::test]
async fn answers_are_bounded_by_person() {
    let house = House::new();
    let journal = house.furnished().await;
    let third = vec![b'x'; MOST_BYTES as usize / 3];
    let olga = once("olga", "k");
    journal.keep_answer(&id("r-olga"), &olga, (true, Some(&third))).await.expect("kept");
    for number in 0..5 {
        house.clock.set(number);
        let (name, once) = (format!("r-{number}"), once("ann", &number.to_string()));
        journal.keep_answer(&id(&name), &once, (true, Some(&third))).await.expect("kept");
    }
    let mut kept = Vec::new();
    for number in 0..5 {
        let known = known(&journal, &once("ann", &number.to_string())).await.expect("done");
        kept.push(known.1.is_some());
    }
    assert_eq!(kept, [false, false, false, true, true], "with nonce and tag three do not fit");
    assert_eq!(known(&journal, &olga).await, done("r-olga", Some(&third)));
}

/// Answers are not readable beside the log, open in their own row alone, and go with an erasure.
#[tokio::test]
async fn answers_are_sealed_and_go_with_an_erasure() {
    let house = House::new();
    let journal = house.furnished().await;
    let revoked = make(&journal, revocation()).await;
    let said = revoked.view.state.revocations.values().next().expect("a revocation").reason.clone();
    let (one, other) = (once("ann", "one"), once("ann", "other"));
    for (name, once) in [("r-1", one), ("r-2", other)] {
        make_for(&journal, of(name, once)).await.expect("changes");
        journal.keep_answer(&id(name), &once, (true, Some(b"reason: stolen shoes"))).await.expect("kept");
    }
    assert!(!forgetting::holds(&forgetting::bytes(&house), b"stolen shoes"));
    assert_eq!(known(&journal, &one).await, done("r-1", Some(b"reason: stolen shoes")));
    // Moved by another hand, bent, or of another request it is as good as none.
    for hand in [
        "UPDATE answers SET answer = (SELECT answer FROM answers WHERE request = 'r-2') WHERE request = 'r-1'",
        "UPDATE answers SET answer = x'00' WHERE request = 'r-1'",
        "UPDATE answers SET answer = (SELECT answer FROM answers WHERE request = 'r-2'), request = 'r-3' WHERE request = 'r-1'",
    ] {
        house.sql(hand).await;
        let (_, answer) = known(&journal, &one).await.expect("done");
        assert_eq!(answer, None, "{hand}");
    }
    assert_eq!(known(&journal, &other).await, done("r-2", Some(b"reason: stolen shoes")));
    let erased = What::TextErased { texts: vec![Text::Sealed(said.digest().expect("sealed"))], reason: "asked".into() };
    make(&journal, Change { by: Actor::Operator, what: erased }).await;
    assert_eq!(known(&journal, &other).await, done("r-2", None));
}

async fn rows(house: &House) -> i64 {
    use sqlx::{ConnectOptions as _, Row as _};
    let mut connection = super::super::schema::reader(&house.database()).connect().await.expect("connects");
    let row = sqlx::query("SELECT count(*) FROM answers").fetch_one(&mut connection).await.expect("reads");
    row.try_get(0).expect("a number")
}
