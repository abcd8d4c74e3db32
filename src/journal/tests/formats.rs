//! A journal whose entries have a newer format than this program reads.

use super::*;
use crate::domain::log::format::NEWEST;
use crate::domain::log::journal::JournalChange;
use crate::journal::fault::StopReason;

/// A running node records and mints nothing from there on, and none starts.
#[tokio::test]
async fn a_program_that_reads_less_than_is_recorded_stops_and_does_not_start() {
    let house = House::new();
    let (here, other) = (house.open().await.expect("opens"), house.open().await.expect("opens"));
    assert_eq!(here.view().state.format, NEWEST, "that of the program that made it");
    let raised = JournalChange::FormatRaised { to: NEWEST + 1 }.by(Actor::Operator);
    let raised = other.change(None, |_, _| Ok::<_, ()>(Proposal::from(raised.clone()))).await;
    raised.expect("the store takes it").expect("proposed");
    assert_eq!(here.refresh().await.expect_err("it stops").reason().code, "journal.stopped");
    assert!(matches!(here.health().stopped, Some(StopReason::Foreign { what, .. }) if what.contains("format")));
    here.close().await;
    other.close().await;
    let fault = house.open().await.err().expect("refused");
    assert!(matches!(&fault, OpenFault::Schema(format) if *format == format!("of entries {}", NEWEST + 1)), "{fault}");
}
