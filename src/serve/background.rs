//! The background tasks of a running broker. Each runs as long as the node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::broker::Broker;
use crate::domain::value::clock::Seconds;
use crate::http::metrics::Metrics;
use crate::journal::ArchiveFault;

/// How often a node looks whether it may begin, or must end, a task of which there may be one.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs a task of which there may be one among the nodes that share a journal, whenever and as long as this node holds the lease for it.
///
/// It is dropped wherever it waits, as at the end of the node. Its changes are decided on the newest state, and a cursor compares its
/// generation, so an end that comes late does no harm.
pub async fn alone<F: Future<Output = ()>>(broker: Broker, task: impl Fn(Broker) -> F) {
    let changed = async |runs: bool| {
        while broker.journal.runs().is_some() != runs {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    loop {
        changed(true).await;
        tokio::select! {
            () = task(broker.clone()) => return,
            () = changed(false) => tracing::info!("another node runs the tasks of which there may be one"),
        }
    }
}

/// Opens the keys that another node has put on record, with each change of them.
pub async fn own_keys(broker: Broker) {
    let mut heads = broker.journal.follow();
    loop {
        let change = heads.borrow_and_update().index;
        if broker.take_up_keys().await.is_err() {
            tracing::warn!("a key that another node made cannot be opened yet; trying again");
            tokio::time::sleep(SETTLE_EVERY).await;
            continue;
        }
        if heads.wait_for(|head| head.index != change).await.is_err() {
            return;
        }
    }
}

/// The interval at which keys are looked for whose time has come and that await the nodes.
const ACTIVATE_EVERY: Duration = Duration::from_secs(1);

/// Lets keys of our own sign once every node that lives knows them.
pub async fn activations(broker: Broker) {
    let mut ticks = interval(ACTIVATE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if broker.activate_keys().await.is_err() {
            // The key before it signs on.
            tracing::warn!("a signing key whose time has come could not be activated; trying again");
        }
    }
}

/// The interval at which due keys of issuers are fetched.
///
/// A change of bindings is looked at at once.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// Refreshes the keys of the staff's issuer, and of every issuer that a binding in force names.
///
/// Keys are fetched ahead of requests.
pub async fn issuers(broker: Broker) {
    let mut heads = broker.journal.follow();
    loop {
        let (number, mut sources) = {
            let candidates = &broker.journal.view().state.candidates;
            (candidates.sources_number(), candidates.sources())
        };
        sources.push(broker.staff.source().clone());
        broker.issuers.keep_fresh(sources).await;
        // Most changes leave the sources as they are.
        let others = || broker.journal.view().state.candidates.sources_number() != number;
        let _ = timeout(REFRESH_EVERY, heads.wait_for(|_| others())).await;
    }
}

/// The interval of [`consequences`].
///
/// Time alone can change the state: a key's time on the ladder ends, a contract starts.
const SETTLE_EVERY: Duration = Duration::from_secs(10);

/// Records the consequences that follow from the state by themselves.
pub async fn consequences(broker: Broker) {
    let mut ticks = interval(SETTLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if broker.settle().await.is_err() {
            // Ending a right never waits for this. The journal's own health says what is wrong.
            tracing::warn!("what follows from the journal could not be recorded; trying again");
        }
        broker.run_offboardings().await;
    }
}

/// The interval at which old entries are looked for, and the pause between two segments.
const ARCHIVE_EVERY: Duration = Duration::from_secs(60);
const ARCHIVE_NEXT: Duration = Duration::from_secs(1);

/// How long sealed entries may await another node before the log says so.
const READ_BACK_WITHIN: Duration = Duration::from_secs(60);

/// Moves entries that are older than `retention` out of the database.
pub async fn retention(broker: Broker, metrics: Arc<Metrics>, retention: Seconds) {
    let (mut waiting, mut since) = (None, None);
    loop {
        let sealed = broker.journal.archive(retention).await;
        if !matches!(sealed, Err(ArchiveFault::Awaited(_))) {
            (waiting, since) = (None, None);
        }
        let pause = match sealed {
            Ok(Some(segment)) => {
                tracing::info!(first = segment.first, until = segment.until, digest = %segment.digest, "entries were sealed");
                ARCHIVE_NEXT
            }
            Ok(None) => ARCHIVE_EVERY,
            Err(ArchiveFault::Awaited(awaited)) => {
                let entries = awaited.segment.until - awaited.segment.first;
                // The gauge of the round before is dropped first, which sets it to 0.
                drop(waiting.take());
                waiting = Some(metrics.archive_waiting(entries));
                if since.get_or_insert_with(Instant::now).elapsed() < READ_BACK_WITHIN {
                    ARCHIVE_NEXT
                } else {
                    tracing::error!(%awaited, "old entries stay in the database");
                    ARCHIVE_EVERY
                }
            }
            Err(fault) => {
                tracing::error!(%fault, "old entries stay in the database");
                ARCHIVE_EVERY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// The interval at which a node looks for sealed files to read back, and the pause after one that it could not read.
const READ_BACK_EVERY: Duration = Duration::from_secs(60);
const READ_BACK_AGAIN: Duration = Duration::from_secs(5);

/// Reads sealed files back for the node that seals them, as soon as they are on record.
pub async fn read_back(broker: Broker, metrics: Arc<Metrics>) {
    let mut heads = broker.journal.follow();
    let mut told = None;
    loop {
        let sealed = || broker.journal.view().state.archive.until();
        let until = sealed();
        let pause = match broker.journal.read_back().await {
            Ok(()) => {
                if told.take().is_some() {
                    tracing::info!("sealed files of the archive can be read again");
                }
                metrics.archive_unreadable(false);
                READ_BACK_EVERY
            }
            Err(ArchiveFault::Segment(fault)) => {
                let fault = fault.to_string();
                if told.as_ref() != Some(&fault) {
                    tracing::error!(
                        fault,
                        "a sealed file of the archive cannot be read back: its entries stay in the database"
                    );
                }
                metrics.archive_unreadable(true);
                told = Some(fault);
                READ_BACK_AGAIN
            }
            // The database is away, which the health of the journal says.
            Err(ArchiveFault::Unavailable(_) | ArchiveFault::Awaited(_) | ArchiveFault::Foreign(_)) => READ_BACK_AGAIN,
        };
        if let Ok(Err(_)) = timeout(pause, heads.wait_for(|_| sealed() != until)).await {
            return;
        }
    }
}

/// The interval at which texts of people who left long ago are looked for. They are not shown meanwhile.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Forgets the texts of people whose time is over.
pub async fn people(broker: Broker) {
    let mut ticks = interval(FORGET_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(fault) = broker.forget_people().await {
            tracing::warn!(?fault, "texts of people who left stay in the directory; trying again in an hour");
        }
    }
}

/// Records what the directory says of owners: what another node wrote, and what a crash left out.
pub async fn owners(broker: Broker) {
    let mut ticks = interval(SETTLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        broker.settle_owners_soon().await;
    }
}

/// Copies the health of journal, live index and issuers into the metrics, each second.
pub async fn gauges(broker: Broker, metrics: Arc<Metrics>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        broker.follower.effects.take().into_iter().for_each(|took| metrics.revocation_effect(took));
        metrics.live_index(broker.follower.is_live(broker.clock.now()));
        let health = broker.journal.health();
        metrics.journal(broker.journal.view().size, health.commits, health.commit_time);
        if let Some((database, _)) = &health.database {
            metrics.database([
                i64::from(database.oldest_snapshot.0),
                database.prepared,
                database.idle_slots,
                database.held_back,
            ]);
        }
        let issuers = broker.issuers.health();
        let healthy = issuers.iter().filter(|issuer| issuer.is_healthy()).count();
        metrics.issuers(healthy, issuers.len() - healthy);
        if let Some(mail) = &broker.mail {
            let (progress, done) = (mail.progress(), mail.done());
            let failing = progress.failing().map_or(0, |since| u64::from(broker.now().since(since).0));
            let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            let gauges = [count(progress.waiting()), failing, count(done.nobody.len())];
            metrics.mail([done.sent, done.failed, done.given_up], gauges);
        }
    }
}
