//! The counts of uses under faults, and under hands that are not its own. How they follow the log: `tests/broker/uses.rs`.

use super::*;
use crate::domain::decision::uses::Tally;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::journal::{KnownDay, KnownUses, Portion, UseRow, UseText, UsesFault};

const DAY: Day = Day(20_000);

fn portion(at: u64, names: &[&str]) -> Portion {
    let key = |name: &&str| Digest::of(name.as_bytes());
    let time = fixture::at(0);
    let tally = Tally { count: at, first: time, last: time, until: at };
    let rows = names.iter().map(|name| UseRow { day: DAY, key: key(name), tally }).collect();
    let text = |name: &&str| UseText { key: key(name), client: String::new(), body: (*name).to_owned(), day: DAY };
    Portion { at, since: time, texts: names.iter().map(text).collect(), rows, forgets: Day(0) }
}

async fn counted(journal: &Journal) -> Result<(KnownUses, KnownDay), UsesFault> {
    let known = journal.uses().await?;
    let day = journal.uses_of(&known, DAY).await?;
    Ok((known, day))
}

async fn put(journal: &Journal, at: u64, names: &[&str]) -> Result<bool, crate::journal::Unavailable> {
    let (mut known, mut day) = counted(journal).await.expect("ours");
    journal.put_uses(&mut known, (DAY, &mut day), portion(at, names)).await
}

/// A write that failed may be durable: what is known after it is read again, and never guessed.
#[tokio::test]
async fn a_write_of_counts_that_fails_is_all_there_or_not_at_all() {
    for (fault, is_kept) in [(Fault::UsesLost, false), (Fault::UsesKept, true)] {
        let house = House::new();
        let journal = house.open().await.expect("opens");
        assert_eq!(put(&journal, 1, &["a", "b"]).await.ok(), Some(true));
        house.fail(fault);
        assert!(put(&journal, 2, &["b", "c"]).await.is_err(), "{fault:?}");
        let (known, day) = counted(&journal).await.expect("proved");
        let at = known.head.map(|head| head.at);
        assert_eq!((at, day.rows.len()), (Some(1 + u64::from(is_kept)), 2 + usize::from(is_kept)), "{fault:?}");
        // The log is not concerned.
        make(&journal, revocation()).await;
        journal.close().await;
    }
}

/// Attack: somebody who can write SQL makes a use that never was, or lets one vanish, so that access is kept or taken away.
#[tokio::test]
async fn counts_that_another_hand_changed_are_used_by_nobody() {
    for sql in [
        "UPDATE uses SET count = count + 1 WHERE use = (SELECT use FROM use_texts WHERE body = 'a')",
        "UPDATE uses SET last = last + 86400",
        "UPDATE uses SET until = until - 1",
        "UPDATE uses SET day = day - 1",
        "DELETE FROM uses WHERE use = (SELECT use FROM use_texts WHERE body = 'a')",
        "INSERT INTO uses SELECT day, zeroblob(32), count, first, last, until FROM uses LIMIT 1",
        "DELETE FROM uses",
        "DELETE FROM use_days",
        "UPDATE use_days SET tag = zeroblob(32)",
        "INSERT INTO use_days SELECT day + 1, tag FROM use_days",
        "DELETE FROM uses_head",
        "UPDATE uses_head SET at = at + 1",
        "UPDATE uses_head SET since = since - 1",
        "UPDATE uses_head SET tag = x''",
        "UPDATE use_texts SET body = 'c' WHERE body = 'a'",
        "DELETE FROM use_texts WHERE body = 'a'",
    ] {
        let house = House::new();
        let journal = house.open().await.expect("opens");
        assert_eq!(put(&journal, 1, &["a", "b"]).await.ok(), Some(true));
        house.sql(sql).await;
        let known = counted(&journal).await;
        let is_unsound = match &known {
            Err(UsesFault::Unsound) => true,
            // The texts of uses prove themselves.
            Ok(_) => matches!(journal.use_texts(&[Digest::of(b"a")]).await, Err(UsesFault::Unsound)),
            Err(UsesFault::Unavailable(_)) => false,
        };
        assert!(is_unsound, "{sql}");
        while !journal.clear_uses().await.expect("clears") {}
        assert_eq!(put(&journal, 3, &["a"]).await.ok(), Some(true), "{sql}: they begin anew");
        journal.close().await;
    }
}
