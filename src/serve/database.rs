//! Checks of the PostgreSQL server that keeps the journal: that what it confirms stays, that our session is ours, and what holds it up.

use super::finding::{Finding, Weight};
use super::gateways::journal_settings;
use crate::config::{Config, JournalUrl, Replication};
use crate::domain::value::clock::Seconds;
use crate::journal::{Defect, Location, PostgresHealth, StoreFault, look_at_postgres};

const NAME: &str = "postgresql";
const FIELD: &str = "journal.url";

/// The longest that a transaction of anybody may keep dead rows from being cleaned before somebody is told.
const OLD: Seconds = Seconds::minutes(5);

/// The most log that slots may hold back before somebody is told: 1 GiB.
const HELD_BACK: i64 = 1 << 30;

/// Looks at the server. Nothing is found where the journal is a file.
pub async fn look(config: &Config) -> Vec<Finding> {
    let JournalUrl::Postgres(url) = &config.journal.url else { return Vec::new() };
    let Ok(Location::Postgres { address, .. }) = journal_settings(config).map(|settings| settings.location) else {
        return Vec::new();
    };
    let fault = |detail: String, fix: &str| vec![Finding::other(Weight::Fault, NAME, detail, fix).at(FIELD)];
    match look_at_postgres(&address).await {
        Ok(Some(health)) => judged(&health, config.journal.replication),
        Ok(None) => {
            let detail = format!("{url} answers through a pooler that gives our session to others between two transactions");
            fault(detail, "connect to the server itself, or to a pooler of sessions (PgBouncer: pool_mode = session)")
        }
        // A start waits for it.
        Err(cause @ (StoreFault::Away(_) | StoreFault::Late(_))) => {
            let fix = "start it, or name hosts in [journal] url of which one takes writes; this node waits for it";
            vec![Finding::other(Weight::Warning, NAME, cause.to_string(), fix).at(FIELD)]
        }
        Err(cause) => fault(cause.to_string(), "let this user reach the server and its database; see the log of the server"),
    }
}

/// What the values of a server mean.
fn judged(health: &PostgresHealth, replication: Replication) -> Vec<Finding> {
    let may_lose = replication == Replication::Asynchronous;
    let defects = health.defects(may_lose);
    let mut found: Vec<Finding> = defects.iter().map(|defect| defective(*defect, health)).collect();
    if found.is_empty() {
        found.push(Finding::sound(NAME, sound(health)));
    }
    let mut warn = |detail: String, fix: &str| found.push(Finding::other(Weight::Warning, NAME, detail, fix).at(FIELD));
    if may_lose && !health.is_synchronous {
        let detail =
            "replication is asynchronous: a failover may lose acknowledged revocations and stop issuance for up to 24 h";
        warn(detail.to_owned(), "set synchronous_standby_names = 'ANY 1 (…)' with two standbys, and remove replication");
    }
    if health.oldest_snapshot > OLD {
        let detail = format!(
            "a transaction is open for {}: dead rows stay, and each commit costs more",
            health.oldest_snapshot.in_words()
        );
        warn(detail, "look for it in pg_stat_activity (xact_start), and end it");
    }
    if health.prepared > 0 {
        let detail =
            format!("{} prepared transactions keep dead rows from being cleaned, and none is Carnet's", health.prepared);
        warn(detail, "look at pg_prepared_xacts, and COMMIT PREPARED or ROLLBACK PREPARED them");
    }
    if health.idle_slots > 0 || health.held_back > HELD_BACK {
        let mib = health.held_back / (1 << 20);
        let detail = format!("{} replication slots are used by nobody; slots hold back {mib} MiB of log", health.idle_slots);
        warn(detail, "look at pg_replication_slots, and drop those of standbys that are gone");
    }
    if !health.sees_all {
        let detail = "our user does not see the transactions of others, so an old one goes unseen";
        warn(detail.to_owned(), "GRANT pg_read_all_stats TO our user");
    }
    found
}

fn version(health: &PostgresHealth) -> String {
    format!("PostgreSQL {}.{}", health.version / 10_000, health.version % 10_000)
}

fn sound(health: &PostgresHealth) -> String {
    let standbys = match (health.standbys, health.is_synchronous) {
        (0, false) => "no standby".to_owned(),
        (standbys, true) => format!("{standbys} standbys, and commits wait for them"),
        (standbys, false) => format!("{standbys} standbys, and commits do not wait for them"),
    };
    format!("{}, commits wait for the disk; {standbys}", version(health))
}

fn defective(defect: Defect, health: &PostgresHealth) -> Finding {
    let means = || defect.means().to_owned();
    let (detail, fix) = match defect {
        Defect::Version => (format!("{} is older than 15", version(health)), "run PostgreSQL 15 or newer"),
        Defect::Encoding => (means(), "createdb --encoding=UTF8 --template=template0"),
        Defect::Fsync => (means(), "ALTER SYSTEM SET fsync = on, and reload"),
        Defect::FullPageWrites => (means(), "ALTER SYSTEM SET full_page_writes = on, and reload"),
        Defect::Commit => (means(), "set synchronous_commit = on in postgresql.conf, and for our user and database"),
        Defect::Recovery => (means(), "name the host that takes writes"),
        Defect::Replication => (
            format!(
                "{} standbys are connected, and no commit waits for them: a failover may lose acknowledged revocations",
                health.standbys
            ),
            "set synchronous_standby_names = 'ANY 1 (…)', or write replication = \"asynchronous\" if that may be",
        ),
    };
    Finding::other(Weight::Fault, NAME, detail, fix).at(FIELD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: PostgresHealth = PostgresHealth {
        version: 150_019,
        is_utf8: true,
        fsync: true,
        full_page_writes: true,
        commit_waits: true,
        in_recovery: false,
        standbys: 2,
        is_synchronous: true,
        oldest_snapshot: Seconds(3),
        prepared: 0,
        idle_slots: 0,
        held_back: 1 << 20,
        sees_all: true,
    };

    /// Every value that lets a confirmed commit be lost keeps a server from starting; the rest is told.
    #[test]
    fn a_server_that_may_lose_what_it_confirmed_is_a_fault() {
        use Replication::{Asynchronous, Synchronous};
        use Weight::{Fault, Sound, Warning};
        let good = || GOOD.clone();
        for (health, replication, weights, words) in [
            (
                good(),
                Synchronous,
                vec![Sound],
                "PostgreSQL 15.19, commits wait for the disk; 2 standbys, and commits wait for them",
            ),
            (PostgresHealth { standbys: 0, is_synchronous: false, ..good() }, Synchronous, vec![Sound], "no standby"),
            (PostgresHealth { version: 140_011, ..good() }, Synchronous, vec![Fault], "14.11 is older than 15"),
            (PostgresHealth { is_utf8: false, ..good() }, Synchronous, vec![Fault], "encoding"),
            (PostgresHealth { fsync: false, ..good() }, Synchronous, vec![Fault], "fsync"),
            (PostgresHealth { full_page_writes: false, ..good() }, Synchronous, vec![Fault], "full_page_writes"),
            (PostgresHealth { commit_waits: false, ..good() }, Synchronous, vec![Fault], "synchronous_commit"),
            (PostgresHealth { in_recovery: true, ..good() }, Synchronous, vec![Fault], "is a standby"),
            (PostgresHealth { is_synchronous: false, ..good() }, Synchronous, vec![Fault], "no commit waits"),
            (
                PostgresHealth { is_synchronous: false, ..good() },
                Asynchronous,
                vec![Sound, Warning],
                "stop issuance for up to 24 h",
            ),
            (PostgresHealth { fsync: false, ..good() }, Asynchronous, vec![Fault], "fsync"),
            (
                PostgresHealth { oldest_snapshot: Seconds(301), ..good() },
                Synchronous,
                vec![Sound, Warning],
                "open for 5 min 1 s",
            ),
            (PostgresHealth { prepared: 1, ..good() }, Synchronous, vec![Sound, Warning], "prepared"),
            (PostgresHealth { idle_slots: 1, ..good() }, Synchronous, vec![Sound, Warning], "used by nobody"),
            (PostgresHealth { held_back: 2 << 30, ..good() }, Synchronous, vec![Sound, Warning], "hold back 2048 MiB"),
            (PostgresHealth { sees_all: false, ..good() }, Synchronous, vec![Sound, Warning], "does not see"),
        ] {
            let found = judged(&health, replication);
            assert_eq!(found.iter().map(|one| one.weight).collect::<Vec<_>>(), weights, "{found:?}");
            assert!(found.last().is_some_and(|one| one.detail.contains(words)), "{words}: {found:?}");
        }
    }
}
