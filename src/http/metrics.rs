//! The metrics, for Prometheus, under the prefix `carnet_`.
//!
//! There is no global registry: `serve` makes one [`Metrics`] and passes it on. Lower floors return facts; `http` and the
//! shell count them here. Every label is a word of ours (`&'static str`, a [`Reason`]) or a name from our own records,
//! never text that a caller sent, so the number of series is bounded (ABUSE D-15).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::domain::reason::Reason;
use crate::domain::value::names::{ApiName, EnvironmentName};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A kind of socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Socket {
    /// The socket for workloads and APIs.
    Public,
    /// The socket for staff, their tools and the console.
    Admin,
    /// The socket for workloads with a client certificate.
    Mtls,
    /// The socket for the company's source of people.
    Directory,
    /// The socket for the demo services of `carnet dev`.
    Demo,
    /// The socket for probes of an agent that ask if its files are current.
    Agent,
}

impl Socket {
    /// Its name in labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Admin => "admin",
            Self::Mtls => "mtls",
            Self::Directory => "directory",
            Self::Demo => "demo",
            Self::Agent => "agent",
        }
    }
}

impl EncodeLabelValue for Socket {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.as_str().encode(encoder)
    }
}

/// A name from our own records, as a label.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Name<N>(N);

impl EncodeLabelValue for Name<EnvironmentName> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

impl EncodeLabelValue for Name<ApiName> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ExchangeLabels {
    environment: Name<EnvironmentName>,
    result: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct IssuedLabels {
    environment: Name<EnvironmentName>,
    api: Name<ApiName>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SocketLabels {
    socket: Socket,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    socket: Socket,
    route: String,
    status: u16,
}

/// What holds up the server of a journal that nodes share; 0 where the journal is in a file.
const DATABASE: [(&str, &str); 4] = [
    ("database_oldest_snapshot_seconds", "Age of the oldest transaction that keeps dead rows from being cleaned"),
    ("database_prepared_transactions", "Prepared transactions, none of which is ours"),
    ("database_idle_slots", "Replication slots that nobody uses"),
    ("database_held_back_bytes", "Bytes of log that replication slots hold back"),
];

/// All metrics. Any task can count into them cheaply.
pub struct Metrics {
    registry: Registry,
    exchanges: Family<ExchangeLabels, Counter>,
    exchange_duration: Histogram,
    revocation_effect: Histogram,
    issued: Family<IssuedLabels, Counter>,
    refusals: Family<ReasonLabels, Counter>,
    issuers: Family<ResultLabels, Gauge>,
    entries: Gauge,
    commits: Counter,
    commit_seconds: Counter<f64, AtomicU64>,
    database: [Gauge; 4],
    archive_waiting: Gauge,
    archive_unreadable: Gauge,
    live_index: Gauge<i64, AtomicI64>,
    requests: Family<RequestLabels, Counter>,
    panics: Counter<u64, AtomicU64>,
    connections: Family<SocketLabels, Gauge>,
    mails: Family<ResultLabels, Counter>,
    mail_waiting: Gauge,
    mail_failing: Gauge,
    mail_nobody: Gauge,
}

/// One open connection in `carnet_connections`. Dropping it counts the connection off.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Sealed entries that await another node: they do at the node that seals, and as long as it does.
pub struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

impl Metrics {
    /// All metrics at zero. `version` is this build's, for `carnet_build_info`.
    pub fn new(version: &'static str) -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix("carnet"),
            exchanges: Family::default(),
            // 50 µs … 3.3 s.
            exchange_duration: Histogram::new(exponential_buckets(0.000_05, 2.0, 17)),
            // 1 ms … 8.2 s.
            revocation_effect: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            issued: Family::default(),
            refusals: Family::default(),
            issuers: Family::default(),
            entries: Gauge::default(),
            commits: Counter::default(),
            commit_seconds: Counter::default(),
            database: Default::default(),
            archive_waiting: Gauge::default(),
            archive_unreadable: Gauge::default(),
            live_index: Gauge::default(),
            requests: Family::default(),
            panics: Counter::default(),
            connections: Family::default(),
            mails: Family::default(),
            mail_waiting: Gauge::default(),
            mail_failing: Gauge::default(),
            mail_nobody: Gauge::default(),
        };
        metrics.register(version);
        Arc::new(metrics)
    }

    fn register(&mut self, version: &'static str) {
        let registry = &mut self.registry;
        registry.register("exchanges", "Token requests, by outcome", self.exchanges.clone());
        registry.register(
            "revocation_effect_seconds",
            "From the record of a revocation until every live node and the live index have it",
            self.revocation_effect.clone(),
        );
        registry.register(
            "exchange_duration_seconds",
            "From the request's head to the answer of the token endpoint",
            self.exchange_duration.clone(),
        );
        registry.register("tokens_issued", "Tokens recorded, signed and released", self.issued.clone());
        registry.register("refusals", "Refusals of the OAuth endpoints, by reason", self.refusals.clone());
        registry.register("issuers", "Issuers whose keys are kept, by how they do", self.issuers.clone());
        registry.register("journal_entries", "Entries of the journal", self.entries.clone());
        registry.register(
            "journal_commits",
            "Durable commits; entries by commits is the size of a batch",
            self.commits.clone(),
        );
        registry.register("journal_commit_seconds", "Time of all durable commits", self.commit_seconds.clone());
        for ((name, help), gauge) in DATABASE.into_iter().zip(&self.database) {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "archive_waiting_entries",
            "Sealed entries that stay in the database until another node reads their file back",
            self.archive_waiting.clone(),
        );
        registry.register(
            "archive_unreadable",
            "1 while this node cannot read a sealed file of the archive",
            self.archive_unreadable.clone(),
        );
        registry.register("live_index_up", "1 when the live revocation index is complete", self.live_index.clone());
        registry.register("http_requests", "Answers, by route template", self.requests.clone());
        registry.register("http_panics", "Handlers that panicked: each is a defect", self.panics.clone());
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register("mails", "Mails, by outcome: sent, failed (a try), given-up", self.mails.clone());
        registry.register("mail_waiting", "Notices that wait to be mailed", self.mail_waiting.clone());
        registry.register("mail_failing_seconds", "The longest time that a mail has failed", self.mail_failing.clone());
        registry.register("mail_nobody", "Owners of integrations in force who have no address", self.mail_nobody.clone());
        registry.register("build", "This build", Info::new(vec![("version", version)]));
    }

    /// Counts an answer to a token request: a token, or a refusal for `reason`.
    pub fn exchange(&self, environment: &EnvironmentName, refused: Option<&'static Reason>, took: Duration) {
        let (result, reason) = refused.map_or(("issued", "none"), |reason| ("refused", reason.code));
        self.exchanges.get_or_create(&ExchangeLabels { environment: Name(environment.clone()), result, reason }).inc();
        self.exchange_duration.observe(took.as_secs_f64());
    }

    /// Counts a token that was issued.
    pub fn issued(&self, environment: &EnvironmentName, api: &ApiName) {
        self.issued.get_or_create(&IssuedLabels { environment: Name(environment.clone()), api: Name(api.clone()) }).inc();
    }

    /// Counts a refusal of an OAuth endpoint.
    pub fn refused(&self, reason: &'static Reason) {
        self.refusals.get_or_create(&ReasonLabels { reason: reason.code }).inc();
    }

    /// Sets the number of issuers with fresh keys, and of those without.
    pub fn issuers(&self, healthy: usize, unhealthy: usize) {
        for (result, number) in [("healthy", healthy), ("unhealthy", unhealthy)] {
            self.issuers.get_or_create(&ResultLabels { result }).set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// Sets the journal's size, and this process's commits with the time they took.
    pub fn journal(&self, entries: u64, commits: u64, took: Duration) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.commits.inc_by(commits.saturating_sub(self.commits.get()));
        let more = took.as_secs_f64() - self.commit_seconds.get();
        if more > 0.0 {
            self.commit_seconds.inc_by(more);
        }
    }

    /// Sets what holds up the server of the journal's database, in the order of [`DATABASE`].
    pub fn database(&self, values: [i64; 4]) {
        for (gauge, value) in self.database.iter().zip(values) {
            gauge.set(value);
        }
    }

    /// Sets the number of sealed entries that await another node. It is 0 again when the returned value is dropped.
    pub fn archive_waiting(&self, entries: u64) -> Waiting {
        self.archive_waiting.set(i64::try_from(entries).unwrap_or(i64::MAX));
        Waiting(self.archive_waiting.clone())
    }

    /// Sets the gauge that says if this node cannot read a sealed file.
    pub fn archive_unreadable(&self, is_unreadable: bool) {
        self.archive_unreadable.set(i64::from(is_unreadable));
    }

    /// Sets what is known of mail: sent, failed and given-up since the start; waiting, failing for seconds, nobody to tell.
    pub fn mail(&self, counts: [u64; 3], gauges: [u64; 3]) {
        for (result, number) in ["sent", "failed", "given-up"].into_iter().zip(counts) {
            let counter = self.mails.get_or_create(&ResultLabels { result });
            counter.inc_by(number.saturating_sub(counter.get()));
        }
        for (gauge, number) in [&self.mail_waiting, &self.mail_failing, &self.mail_nobody].into_iter().zip(gauges) {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// Counts how long a revocation took to reach every node and the live index.
    pub fn revocation_effect(&self, took: Duration) {
        self.revocation_effect.observe(took.as_secs_f64());
    }

    /// Sets the gauge that says if the live revocation index is complete.
    pub fn live_index(&self, is_up: bool) {
        self.live_index.set(i64::from(is_up));
    }

    /// Counts an answer. `route` is the template that matched, never a path.
    pub fn request(&self, socket: Socket, route: &str, status: u16) {
        self.requests.get_or_create(&RequestLabels { socket, route: route.to_owned(), status }).inc();
    }

    /// Counts a handler that panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// The number of handlers that panicked so far.
    pub fn panics(&self) -> u64 {
        self.panics.get()
    }

    /// Counts a connection until the returned value is dropped.
    pub fn connection(&self, socket: Socket) -> OpenConnection {
        let gauge = self.connections.get_or_create(&SocketLabels { socket }).clone();
        gauge.inc();
        OpenConnection(gauge)
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        let metrics = Metrics::new("9.9.9");
        let production: EnvironmentName = "production".parse().expect("a label");
        metrics.exchange(&production, None, Duration::from_millis(2));
        metrics.issued(&production, &"orders-api".parse().expect("a label"));
        metrics.live_index(true);
        metrics.request(Socket::Public, "/{*path}", 404);
        metrics.journal(12, 3, Duration::from_millis(1));
        let open = metrics.connection(Socket::Admin);
        let waiting = metrics.archive_waiting(256);
        let text = metrics.encode();
        for line in [
            r#"carnet_exchanges_total{environment="production",result="issued",reason="none"} 1"#,
            r#"carnet_tokens_issued_total{environment="production",api="orders-api"} 1"#,
            "carnet_live_index_up 1",
            r#"carnet_http_requests_total{socket="public",route="/{*path}",status="404"} 1"#,
            "carnet_http_panics_total 0",
            r#"carnet_connections{socket="admin"} 1"#,
            r#"carnet_build_info{version="9.9.9"} 1"#,
            "carnet_journal_commits_total 3",
            "carnet_archive_waiting_entries 256",
            "carnet_exchange_duration_seconds_count 1",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line}\n{text}");
        }
        drop((open, waiting));
        assert!(metrics.encode().contains(r#"carnet_connections{socket="admin"} 0"#));
        assert!(metrics.encode().contains("carnet_archive_waiting_entries 0"), "at the node that seals alone");
    }
}
