//! Tests of the contract. Every test runs against both stores.
//!
//! Those of `contract` and `rebuilding` run against every kind of servers too (`kinds`).

mod contract;
mod kinds;
mod rebuilding;
mod scale;
mod servers;
mod shifting;
mod single;

use std::sync::Arc;
use std::time::Duration;

use self::servers::{Kind, Running};
use super::*;
use crate::domain::state::recent_cuts::Cut;
use crate::domain::state::recent_cuts::CutWhat;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ClientId, IntegrationId};
use crate::domain::value::quota::{Allowance, Operation};

/// The clock of this machine.
struct Machine;

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        now()
    }

    fn monotonic(&self) -> Duration {
        std::time::UNIX_EPOCH.elapsed().expect("after 1970")
    }
}

fn at(port: u16) -> Index {
    Index::redis(Place::plain("127.0.0.1", port), Arc::new(Machine))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound").port()
}

/// Both stores. The servers run as long as the pair exists.
fn both() -> (Running, [Index; 2]) {
    let server = Running::given().unwrap_or_else(|| Running::start(Kind::One));
    server.flush();
    let redis = server.index();
    (server, [Index::in_process(), redis])
}

fn client(id: &str) -> ClientId {
    id.parse().expect("an integration")
}

fn environment() -> EnvironmentName {
    "production".parse().expect("a name")
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).expect("a time")
}

/// Near the machine's own time, since Redis expires keys by it.
fn now() -> Timestamp {
    time(i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("in range"))
}

fn marker(epoch: u64, index: u64) -> Marker {
    Marker { epoch, index, root: Digest::of(format!("{epoch}/{index}").as_bytes()), time: now() }
}

/// The lines of a partner and of one of its integrations.
fn keys() -> [RevocationKey; 2] {
    let integration: IntegrationId = "globex/a".parse().expect("an id");
    [RevocationKey::partner(&integration.partner), RevocationKey::integration(&integration)]
}

fn line(index: u64) -> Cut {
    let [key, _] = keys();
    Cut { environment: environment(), what: CutWhat::Before { key, index } }
}

fn token(id: &str) -> Cut {
    let expires = now().plus(Seconds(300));
    Cut { environment: environment(), what: CutWhat::Token { id: id.parse().expect("an id"), expires } }
}

fn snapshot(marker: Marker, cuts: Vec<Cut>) -> Snapshot {
    Snapshot { environment: environment(), marker, cuts }
}

fn update(prior: Marker, marker: Marker, cuts: Vec<Cut>) -> Update {
    Update { environment: environment(), prior, marker, cuts }
}

async fn liveness(index: &Index, id: &str, entry: u64) -> Liveness {
    index.is_cut(&environment(), &id.parse().expect("an id"), &keys(), entry, now()).await.expect("an answer")
}

/// The marker's key.
const KEY: &str = "carnet:{production}:complete";

async fn admit(index: &Index, caller: &str, size: u32, proof: Option<ProofKey>, at: Timestamp) -> Result<Admission, Away> {
    take(index, (caller, Operation::Exchange), Allowance { size, period: Seconds(60) }, proof, at).await
}

async fn take(
    index: &Index,
    (caller, operation): (&str, Operation),
    allowance: Allowance,
    proof: Option<ProofKey>,
    at: Timestamp,
) -> Result<Admission, Away> {
    let (environment, caller) = (environment(), client(caller));
    let proof = proof.map(|key| Shown { key, spent_until: None });
    index.admit(&Bucket { environment: &environment, caller: &caller, operation, allowance }, proof, at).await
}
