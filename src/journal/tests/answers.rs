//! Requests that may come twice: known with their first change or not at all, and for a day.

use super::super::answers::{Before, ForRequest, Idempotency, MOST_ANSWERS, MOST_BYTES, Reply};
use super::super::fault::Unavailable;
use super::*;
use crate::domain::log::text::TextChange;
use crate::domain::value::digest::Digest;
use crate::domain::value::text::Text;

const DAY: i64 = 86_400;
const COUNT: &str = "SELECT count(*) FROM answers";

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

/// Keeps what is answered to a request that was begun at the end of the log.
async fn keep(journal: &Journal, (request, once): (&str, &Idempotency), done: bool, answer: Option<&[u8]>) {
    let (request, seen) = (id(request), journal.view().size);
    journal.keep_answer(Reply { request: &request, once, seen, done, answer }).await.expect("kept");
}

/// What is known of a key: which request was begun, whether it came to its end, and the answer.
async fn known(journal: &Journal, once: &Idempotency) -> Option<(String, bool, Option<Vec<u8>>)> {
    let before = journal.before(once).await.expect("reads");
    before.map(|Before { request, finished, answer, .. }| (request.to_string(), finished, answer))
}

fn begun(request: &str) -> Option<(String, bool, Option<Vec<u8>>)> {
    Some((request.to_owned(), false, None))
}

fn done(request: &str, answer: Option<&[u8]>) -> Option<(String, bool, Option<Vec<u8>>)> {
    Some((request.to_owned(), true, answer.map(<[u8]>::to_vec)))
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
            let patience = std::time::Duration::from_secs(1);
            let waited = tokio::time::timeout(patience, make_for(&journal, of("r-1", once))).await;
            assert!(waited.is_err(), "{fault:?}: nobody is answered");
            journal.kill();
            journal = house.open().await.expect("opens");
        } else {
            assert_eq!(make_for(&journal, of("r-1", once)).await.is_ok(), fault == Fault::CommitKept, "{fault:?}");
        }
        let stands = kept.contains(&fault);
        assert_eq!(journal.view().size, size + u64::from(stands), "{fault:?}");
        assert_eq!(known(&journal, &once).await, if stands { begun("r-1") } else { None }, "{fault:?}");
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
    let told = journal.before(&other).await.expect("reads").expect("begun");
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
    keep(&journal, ("r-1", &ann), true, Some(b"first")).await;
    // One that changed nothing is known by its answer.
    keep(&journal, ("r-2", &read), true, Some(b"plan")).await;
    // The answer of another request takes the place of neither.
    keep(&journal, ("r-3", &ann), true, Some(b"second")).await;
    keep(&journal, ("r-3", &read), false, None).await;
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
    assert_eq!(known(&journal, &ann).await, begun("r-4"));
    assert_eq!(spending::rows(&house, COUNT).await, 1, "what is forgotten goes with the next one");
}

/// Nobody has to ask again for it.
#[tokio::test]
async fn what_is_over_is_not_kept_any_longer() {
    let house = House::new();
    let journal = house.furnished().await;
    keep(&journal, ("r-1", &once("ann", "k")), true, Some(b"plan")).await;
    assert_eq!(spending::rows(&house, COUNT).await, 1);
    house.clock.set(DAY);
    let gone = async {
        while spending::rows(&house, COUNT).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("it goes by itself");
    journal.close().await;
}

/// A refusal is kept only for who had changed something before it.
#[tokio::test]
async fn a_refusal_is_an_answer_only_to_who_changed_something() {
    let house = House::new();
    let journal = house.furnished().await;
    let (idle, busy) = (once("ann", "idle"), once("ann", "busy"));
    keep(&journal, ("r-1", &idle), false, Some(b"no")).await;
    assert_eq!(known(&journal, &idle).await, None);
    make_for(&journal, of("r-2", busy)).await.expect("changes");
    keep(&journal, ("r-2", &busy), false, Some(b"half")).await;
    assert_eq!(known(&journal, &busy).await, done("r-2", Some(b"half")));
    // One that is not kept leaves the request begun.
    house.fail(Fault::KeepFails);
    make_for(&journal, of("r-3", idle)).await.expect("changes");
    let (request, seen) = (id("r-3"), journal.view().size);
    let reply = Reply { request: &request, once: &idle, seen, done: true, answer: Some(b"lost") };
    journal.keep_answer(reply).await.expect_err("not kept");
    assert_eq!(known(&journal, &idle).await, begun("r-3"));
    issue(&journal, 0..1).await;
    // What is too long, or no text, is done without an answer; where nothing was changed nothing is known.
    let long = vec![b'x'; MOST_BYTES as usize];
    for answer in [Some(&long[..]), None] {
        keep(&journal, ("r-3", &idle), true, answer).await;
        assert_eq!(known(&journal, &idle).await, done("r-3", None));
        keep(&journal, ("r-4", &once("ann", "plan")), true, answer).await;
        assert_eq!(known(&journal, &once("ann", "plan")).await, None);
    }
}

/// Of one person the newest answers are kept, as far as they fit. Nobody pushes out those of somebody else, and that something was changed
/// stays.
#[tokio::test]
async fn answers_are_bounded_by_person() {
    let house = House::new();
    let journal = house.furnished().await;
    let third = vec![b'x'; MOST_BYTES as usize / 3];
    let olga = once("olga", "k");
    keep(&journal, ("r-olga", &olga), true, Some(&third)).await;
    for number in 0..5 {
        house.clock.set(number);
        let (name, once) = (format!("r-{number}"), once("ann", &number.to_string()));
        if number == 0 {
            make_for(&journal, of(&name, once)).await.expect("changes");
        }
        keep(&journal, (&name, &once), true, Some(&third)).await;
    }
    let mut kept = Vec::new();
    for number in 0..5 {
        kept.push(known(&journal, &once("ann", &number.to_string())).await.map(|(_, _, answer)| answer.is_some()));
    }
    // With nonce and tag three do not fit.
    assert_eq!(kept, [Some(false), None, None, Some(true), Some(true)]);
    assert_eq!(known(&journal, &olga).await, done("r-olga", Some(&third)));

    house.clock.set(100);
    let changed = once("sven", "changed");
    make_for(&journal, of("r-changed", changed)).await.expect("changes");
    keep(&journal, ("r-changed", &changed), true, Some(b"first")).await;
    house.clock.set(101);
    for number in 0..MOST_ANSWERS {
        keep(&journal, ("r-sven", &once("sven", &number.to_string())), true, Some(b"plan")).await;
    }
    assert_eq!(known(&journal, &changed).await, done("r-changed", None), "the oldest answer");
    assert_eq!(spending::rows(&house, COUNT).await, 1 + 3 + 1 + i64::from(MOST_ANSWERS));
    house.clock.set(102);
    keep(&journal, ("r-sven", &once("sven", "more")), true, Some(b"plan")).await;
    assert_eq!(spending::rows(&house, COUNT).await, 1 + 3 + 1 + i64::from(MOST_ANSWERS));
    assert_eq!(known(&journal, &olga).await, done("r-olga", Some(&third)));
}

/// Answers are not readable beside the log, open in their own row alone, and go with an erasure.
#[tokio::test]
async fn answers_are_sealed_and_go_with_an_erasure() {
    const SAID: &[u8] = b"reason: stolen shoes";
    let house = House::new();
    let journal = house.furnished().await;
    let revoked = make(&journal, revocation()).await;
    let said = revoked.view.state.revocations.values().next().expect("a revocation").reason.clone();
    let (one, other, read) = (once("ann", "one"), once("ann", "other"), once("ann", "read"));
    for (name, once) in [("r-1", one), ("r-2", other)] {
        make_for(&journal, of(name, once)).await.expect("changes");
        keep(&journal, (name, &once), true, Some(SAID)).await;
    }
    keep(&journal, ("r-3", &read), true, Some(SAID)).await;
    assert!(!forgetting::holds(&forgetting::bytes(&house), b"stolen shoes"));
    assert_eq!(known(&journal, &one).await, done("r-1", Some(SAID)));
    // Moved by another hand, bent, or of another request it is as good as none.
    for hand in [
        "UPDATE answers SET answer = (SELECT answer FROM answers WHERE request = 'r-2') WHERE request = 'r-1'",
        "UPDATE answers SET answer = x'00' WHERE request = 'r-1'",
        "UPDATE answers SET answer = (SELECT answer FROM answers WHERE request = 'r-2'), request = 'r-9' WHERE request = 'r-1'",
    ] {
        house.sql(hand).await;
        let (_, _, answer) = known(&journal, &one).await.expect("done");
        assert_eq!(answer, None, "{hand}");
    }
    assert_eq!(known(&journal, &other).await, done("r-2", Some(SAID)));
    // One that was begun before the erasure, and is answered after it, may hold what was erased.
    let (late, seen) = (once("ann", "late"), journal.view().size);
    make_for(&journal, of("r-4", late)).await.expect("changes");
    let erased = TextChange::Erased { texts: vec![Text::Sealed(said.digest().expect("sealed"))], reason: "asked".into() };
    make(&journal, erased.clone().by(Actor::Operator)).await;
    let request = id("r-4");
    let reply = Reply { request: &request, once: &late, seen, done: true, answer: Some(SAID) };
    journal.keep_answer(reply).await.expect("taken");
    for (name, once) in [("r-2", other), ("r-4", late)] {
        assert_eq!(known(&journal, &once).await, done(name, None));
    }
    assert_eq!(known(&journal, &read).await, None, "it changed nothing, and may be asked again");
    keep(&journal, ("r-5", &read), true, Some(SAID)).await;
    assert_eq!(known(&journal, &read).await, done("r-5", Some(SAID)), "begun after it");
    // Another node erased something.
    let (late, seen, other) = (once("ann", "later"), journal.view().size, house.open().await.expect("opens"));
    make(&other, erased.by(Actor::Operator)).await;
    make_for(&journal, of("r-6", late)).await.expect("changes");
    let request = id("r-6");
    let reply = Reply { request: &request, once: &late, seen, done: true, answer: Some(SAID) };
    journal.keep_answer(reply).await.expect("taken");
    assert_eq!(known(&journal, &late).await, done("r-6", None));
}
