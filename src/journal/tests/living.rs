//! The count of what a cut ended, wherever the tokens were issued.

use super::*;
use crate::domain::state::cut::Reach;
use crate::journal::Ended;

/// Cuts everything of the fixture's partner, and counts.
async fn cut(journal: &Journal, what: &Attributed) -> Ended {
    let Change::Revocation(RevocationChange::Added { target, .. }) = &what.what else { panic!("a revocation") };
    let reach = Mutex::new(None);
    let made = journal.change(None, |state, _| {
        *reach.lock().expect("no panic") = Some(Reach::of(target, state));
        Ok::<_, ()>(Proposal::from(what.clone()))
    });
    let index = made.await.expect("the store takes it").expect("proposed").index;
    let reach = reach.lock().expect("no panic").take().expect("proposed");
    journal.ended_by(&reach, index).await.expect("counts")
}

/// Cuts what was issued, and refuses nothing later.
fn of(target: RevocationTarget) -> Attributed {
    match revocation() {
        Attributed { what: Change::Revocation(RevocationChange::Added { id, reason, client, .. }), by } => {
            RevocationChange::Added { id, target, tokens_only: true, reason, client }.by(by)
        }
        other => panic!("{other:?}"),
    }
}

fn everywhere() -> [Attributed; 3] {
    let integration = "globex/order-sync".parse().expect("an id");
    [
        of(RevocationTarget::Partner { partner: "globex".parse().expect("a name") }),
        of(RevocationTarget::Integration { integration }),
        of(RevocationTarget::Environment { environment: fixture::production() }),
    ]
}

/// Tokens of before a start, of this node and of another one count, each once.
#[tokio::test]
async fn a_cut_counts_what_was_issued_before_a_start_and_by_others() {
    for what in everywhere() {
        let house = House::new();
        house.with_tokens(5).await;
        let journal = house.open().await.expect("opens");
        let other = house.open().await.expect("opens");
        issue(&journal, 5..8).await;
        issue(&other, 8..12).await;
        issue(&journal, 12..13).await;
        let ended = cut(&journal, &what).await;
        assert_eq!((ended.tokens, ended.last.is_some()), (13, true), "{what:?}");
        // Nothing is cut twice, and what is issued since is not cut.
        issue(&journal, 13..15).await;
        assert_eq!(cut(&journal, &what).await.tokens, 2, "{what:?}");
    }
}

/// What has expired is not counted.
#[tokio::test]
async fn a_cut_counts_no_token_that_expired() {
    for (seconds, living) in [(200, 3), (3600, 0)] {
        for what in everywhere() {
            let house = House::new();
            let journal = house.furnished().await;
            issue(&journal, 0..3).await;
            house.clock.set(seconds);
            assert_eq!(cut(&journal, &what).await.tokens, living, "after {seconds} s {what:?}");
        }
    }
}

/// A count goes to the places of the tokens: nobody looks for them again, among whatever else was written.
#[tokio::test]
async fn a_cut_reads_the_places_that_are_known() {
    let house = House::new();
    house.with_tokens(4).await;
    let journal = house.open().await.expect("opens");
    let nobody = of(RevocationTarget::Integration { integration: "globex/other".parse().expect("an id") });
    assert_eq!(cut(&journal, &nobody).await, Ended::default(), "learns the places");
    issue(&journal, 4..6).await;
    // A search by kind or client would find none of them.
    house.sql("UPDATE entries SET kind = 'hidden', subject = 'nobody' WHERE kind = 'issued'").await;
    assert_eq!(cut(&journal, &revocation()).await.tokens, 6);
}
