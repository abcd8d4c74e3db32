//! The journal under faults and under hands that are not its own. Real databases in temporary directories.

mod again;
mod answers;
mod archive;
mod beside;
mod bundle;
mod clock;
mod evidence;
mod faults;
mod forgetting;
mod formats;
mod golden;
mod living;
mod moving;
pub mod paging;
mod people;
mod recording;
mod spending;
mod succession;
mod tail;
mod tampering;
mod uses;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::answers::{Idempotency, Sealed};
use super::evidence::verify_database;
use super::evidence::{Report, SILENT, VerifyFault};
use super::fault::{OpenFault, RecordFault, StoreFault};
use super::handle::{Committed, Journal, Proposal, Recorded};
use super::key::kek::{BlobName, Kek};
use super::open::{self, Outside};
use super::settings::{Location, Rest, Settings};
use super::start::Start;
use super::store::Answer;
use super::store::batch::{Batch, Spent};
use super::store::head::{Found, Head};
use super::store::people::PeopleChange;
use super::store::snapshot::Exclusive;
use super::store::sums::SumKey;
use super::store::uses::UsesChange;
use super::store::write::{Author, Begun, Probe, Tried, Write};
use super::tail::lost::Given;
use crate::domain::credential::keys::SigningKey;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::grant::{Decision, Grant};
use crate::domain::fixture::{self, Seeded, SetClock};
use crate::domain::log::change::{Attributed, Change};
use crate::domain::log::key::KeyChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::Actor;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::RequestId;
use crate::domain::value::proof_key::ProofKey;

/// One journal in a directory, which is opened, killed and opened again.
pub struct House {
    pub directory: tempfile::TempDir,
    pub clock: Arc<SetClock>,
    pub faults: Arc<Mutex<Option<Fault>>>,
    pub settings: Settings,
    /// Whether a batch never goes at once.
    pub step_by_step: bool,
    starts: AtomicU64,
}

/// What the store does at its next step of that kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    BeginFails,
    AppendFails,
    /// The store takes back what was appended, so many times, and says that the same may go well.
    AppendAgain(u32),
    /// The same with the commit.
    CommitAgain(u32),
    /// Entries do not leave.
    LeaveFails,
    /// An answer is not kept.
    KeepFails,
    /// People are not written.
    PeopleLost,
    /// The write of people says that it fails, and is persisted.
    PeopleKept,
    /// Counts of uses are not written.
    UsesLost,
    /// The write of counts says that it fails, and is persisted.
    UsesKept,
    /// The commit fails, and nothing is persisted.
    CommitLost,
    /// The commit says that it fails, and is persisted.
    CommitKept,
    /// The process dies before the commit.
    KilledBefore,
    /// The process dies between the commit and its answer.
    KilledAfter,
    /// From now on the database may not grow.
    DiskFull,
    /// From now on it may again.
    DiskRoomy,
}

/// A store that fails as it is told to.
pub struct Faulty {
    inner: Box<dyn Write>,
    faults: Arc<Mutex<Option<Fault>>>,
    full: bool,
    step_by_step: bool,
}

impl House {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = Settings {
            location: Location::File(directory.path().join("journal.db")),
            origin: "sts.acme.example/carnet".to_owned(),
            dev: false,
            anchor: Some(directory.path().join("anchor")),
            node: None,
            create: true,
        };
        Self {
            directory,
            clock: Arc::new(SetClock::new()),
            faults: Arc::default(),
            settings,
            step_by_step: false,
            starts: AtomicU64::new(1),
        }
    }

    /// One whose batches go at once where they can, and one where they never do.
    pub fn each_way() -> [Self; 2] {
        [Self::new(), Self { step_by_step: true, ..Self::new() }]
    }

    pub fn kek() -> Kek {
        Kek::from_bytes([7; 32])
    }

    pub fn database(&self) -> PathBuf {
        self.directory.path().join("journal.db")
    }

    pub async fn open(&self) -> Result<Journal, OpenFault> {
        self.start(Start::Open).await
    }

    pub async fn reopen(&self, rest: Seconds) -> Result<Journal, OpenFault> {
        self.reopen_given(rest, &Given::default()).await
    }

    pub async fn reopen_given(&self, rest: Seconds, given: &Given) -> Result<Journal, OpenFault> {
        self.start(Start::Reopen(Rest { lasts: rest, corrects: false }, given)).await
    }

    pub async fn correct_clock(&self) -> Result<Journal, OpenFault> {
        self.start(Start::CorrectClock).await
    }

    pub async fn succeed(&self) -> Result<Journal, OpenFault> {
        self.start(Start::Succeed).await
    }

    async fn start(&self, start: Start<'_>) -> Result<Journal, OpenFault> {
        // Each start draws other numbers.
        let seed = self.starts.fetch_add(1, Ordering::Relaxed);
        let outside = Outside { clock: Arc::clone(&self.clock) as _, entropy: Arc::new(Seeded::new(seed)) };
        let faults = Arc::clone(&self.faults);
        let faulty =
            |inner| -> Box<dyn Write> { Box::new(Faulty { inner, faults, full: false, step_by_step: self.step_by_step }) };
        open::start(&self.settings, &Self::kek(), outside, start, faulty).await
    }

    /// A journal with the fixture's registry.
    pub async fn furnished(&self) -> Journal {
        let journal = self.open().await.expect("opens");
        for change in fixture::registry() {
            match change {
                Attributed { what: Change::Key(KeyChange::Created(key)), .. } => create_key(&journal, key).await,
                change => {
                    make(&journal, change).await;
                }
            }
        }
        journal
    }

    /// As [`Self::furnished`], with `count` tokens issued, and closed. Returns the last checkpoint.
    pub async fn with_tokens(&self, count: usize) -> String {
        let journal = self.furnished().await;
        issue(&journal, 0..count).await;
        let note = journal.checkpoint().expect("signs");
        journal.close().await;
        note
    }

    pub async fn verify(&self, kept: Option<&str>) -> Result<Report, VerifyFault> {
        verify_database(&self.settings, &Self::kek(), kept, SILENT).await
    }

    /// The same journal without its anchor: what whoever has only the database can know.
    pub fn without_anchor(&self) -> Settings {
        Settings { anchor: None, create: false, ..self.settings.clone() }
    }

    pub fn fail(&self, fault: Fault) {
        *self.faults.lock().expect("no panic") = Some(fault);
    }

    /// Moves the proofs of the first row of `consumed_lately` to `consumed`, as if their round were over.
    pub async fn to_consumed(&self) {
        self.sql(
            "WITH RECURSIVE at (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM at WHERE n < 100) \
             INSERT INTO consumed SELECT substr(proofs, 40 * n + 1, 32), 1796126400 + 300 + 90 FROM consumed_lately, at \
             WHERE 40 * n < length(proofs); DELETE FROM consumed_lately",
        )
        .await;
        self.sums_fit().await;
    }

    /// Makes the sums over the tables beside the entries fit what is in them, as a node of ours would have left them.
    pub async fn sums_fit(&self) {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.database());
        let mut connection = options.connect().await.expect("connects");
        let key = SumKey::of(&Self::kek());
        {
            let mut reading = super::sqlite::snapshot::Reading(connection.begin().await.expect("begins"));
            let head = super::load::head(&mut reading).await.expect("a head");
            super::sqlite::side::write_sums(&mut reading.0, &key, &head).await.expect("writes");
            reading.0.commit().await.expect("commits");
        }
        connection.close().await.expect("closes");
    }

    /// Runs SQL by another hand.
    pub async fn sql(&self, text: &'static str) {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.database());
        let mut connection = options.connect().await.expect("connects");
        sqlx::raw_sql(text).execute(&mut connection).await.expect("runs");
        connection.close().await.expect("closes");
    }
}

impl Faulty {
    fn takes(&self, wanted: &[Fault]) -> Option<Fault> {
        let mut planned = self.faults.lock().expect("no panic");
        planned.take_if(|fault| wanted.contains(fault))
    }

    async fn make_room(&mut self) -> Result<(), StoreFault> {
        if let Some(fault) = self.takes(&[Fault::DiskFull, Fault::DiskRoomy]) {
            self.full = fault == Fault::DiskFull;
        }
        // Of a connection, and a failed one is replaced: said each time.
        self.inner.limit_room(self.full).await
    }

    /// Takes back so many times what a fault says.
    fn take_back(&self, fault: fn(u32) -> Fault) -> Result<(), StoreFault> {
        let mut planned = self.faults.lock().expect("no panic");
        for left in 1..=3 {
            if *planned == Some(fault(left)) {
                *planned = (left > 1).then(|| fault(left - 1));
                return Err(StoreFault::Again("taken back for a test".into()));
            }
        }
        Ok(())
    }

    fn broken() -> StoreFault {
        StoreFault::Failed("broken for a test".into())
    }
}

impl Write for Faulty {
    fn write_as(&mut self, author: Author) {
        self.inner.write_as(author);
    }

    fn goes_at_once(&self, prior: &Head, rows: usize, proofs: &[Spent]) -> bool {
        !self.step_by_step && self.inner.goes_at_once(prior, rows, proofs)
    }

    fn record<'a>(&'a mut self, batch: Batch, proofs: &'a [Spent]) -> Answer<'a, Tried> {
        Box::pin(async move {
            self.make_room().await?;
            match self.takes(&[Fault::BeginFails, Fault::AppendFails, Fault::CommitLost, Fault::KilledBefore]) {
                Some(Fault::KilledBefore) => return std::future::pending().await,
                Some(_) => return Err(Self::broken()),
                None => {}
            }
            let tried = self.inner.record(batch, proofs).await?;
            // What did not go at once goes step by step, and fails there.
            let fault = if tried == Tried::Done { self.takes(&[Fault::CommitKept, Fault::KilledAfter]) } else { None };
            match fault {
                Some(Fault::CommitKept) => Err(Self::broken()),
                Some(_) => std::future::pending().await,
                None => Ok(tried),
            }
        })
    }

    fn begin<'a>(&'a mut self, known: &'a Head, proofs: &'a [Spent]) -> Answer<'a, Begun> {
        Box::pin(async move {
            if self.takes(&[Fault::BeginFails]).is_some() {
                return Err(Self::broken());
            }
            self.make_room().await?;
            self.inner.begin(known, proofs).await
        })
    }

    fn spend<'a>(&'a mut self, proofs: &'a [Spent]) -> Answer<'a, std::collections::HashSet<ProofKey>> {
        self.inner.spend(proofs)
    }

    fn purge(&mut self, slice: u8, now: Timestamp) -> Answer<'_, ()> {
        self.inner.purge(slice, now)
    }

    fn claim<'a>(&'a mut self, once: &'a Idempotency, request: &'a RequestId, now: Timestamp) -> Answer<'a, bool> {
        self.inner.claim(once, request, now)
    }

    fn append(&mut self, batch: Batch) -> Answer<'_, ()> {
        Box::pin(async move {
            self.inner.append(batch).await?;
            self.take_back(Fault::AppendAgain)?;
            match self.takes(&[Fault::AppendFails]) {
                Some(_) => Err(Self::broken()),
                None => Ok(()),
            }
        })
    }

    fn commit(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            if let Err(fault) = self.take_back(Fault::CommitAgain) {
                self.inner.abort().await?;
                return Err(fault);
            }
            match self.takes(&[Fault::CommitLost, Fault::CommitKept, Fault::KilledBefore, Fault::KilledAfter]) {
                None => self.inner.commit().await,
                Some(Fault::CommitKept) => {
                    self.inner.commit().await?;
                    Err(Self::broken())
                }
                Some(Fault::KilledAfter) => {
                    self.inner.commit().await?;
                    std::future::pending().await
                }
                Some(Fault::KilledBefore) => std::future::pending().await,
                Some(_) => {
                    self.inner.abort().await?;
                    Err(Self::broken())
                }
            }
        })
    }

    fn abort(&mut self) -> Answer<'_, ()> {
        self.inner.abort()
    }

    fn settle(&mut self) -> Answer<'_, Found> {
        self.inner.settle()
    }

    fn leave(&mut self, from: u64, until: u64) -> Answer<'_, ()> {
        if self.takes(&[Fault::LeaveFails]).is_some() {
            return Box::pin(async { Err(Self::broken()) });
        }
        self.inner.leave(from, until)
    }

    fn keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> Answer<'_, ()> {
        Box::pin(async move {
            self.make_room().await?;
            if !all.is_empty() && self.takes(&[Fault::KeepFails]).is_some() {
                return Err(Self::broken());
            }
            self.inner.keep(all, now).await
        })
    }

    fn put_uses<'a>(&'a mut self, change: Option<&'a UsesChange>) -> Answer<'a, bool> {
        Box::pin(async move {
            self.make_room().await?;
            match self.takes(&[Fault::UsesLost, Fault::UsesKept]) {
                Some(Fault::UsesKept) => {
                    self.inner.put_uses(change).await?;
                    Err(Self::broken())
                }
                Some(_) => Err(Self::broken()),
                None => self.inner.put_uses(change).await,
            }
        })
    }

    fn put_people<'a>(&'a mut self, change: &'a PeopleChange) -> Answer<'a, bool> {
        Box::pin(async move {
            self.make_room().await?;
            match self.takes(&[Fault::PeopleLost, Fault::PeopleKept]) {
                Some(Fault::PeopleKept) => {
                    self.inner.put_people(change).await?;
                    Err(Self::broken())
                }
                Some(_) => Err(Self::broken()),
                None => self.inner.put_people(change).await,
            }
        })
    }

    fn probe(&mut self, probe: Probe) -> Answer<'_, ()> {
        Box::pin(async move {
            self.make_room().await?;
            self.inner.probe(probe).await
        })
    }

    fn scrub(&mut self) -> Answer<'_, ()> {
        self.inner.scrub()
    }

    fn maintenance(&self) -> Arc<tokio::sync::Notify> {
        self.inner.maintenance()
    }

    fn maintain(&mut self) -> Answer<'_, ()> {
        self.inner.maintain()
    }

    fn exclusive(&mut self) -> Answer<'_, Box<dyn Exclusive + '_>> {
        self.inner.exclusive()
    }

    fn close(&mut self) -> Answer<'_, ()> {
        self.inner.close()
    }

    fn limit_room(&mut self, is_full: bool) -> Answer<'_, ()> {
        self.inner.limit_room(is_full)
    }
}

/// Makes a signing key with a sealed private half of its own.
pub async fn create_key(journal: &Journal, mut key: SigningKey) {
    let name = BlobName::new(&key.environment, "signing", &key.kid);
    let blob = House::kek().seal(name, b"the private half", &Seeded::new(2));
    key.sealed = blob.digest();
    let change = KeyChange::Created(key).by(Actor::Broker);
    let proposal = |_: &_, _| Ok::<_, ()>(Proposal { sealed: vec![blob.clone()], ..change.clone().into() });
    journal.change(None, proposal).await.expect("the store takes it").expect("proposed");
}

/// Issues tokens for the proofs `proof-N`, all at once.
pub async fn issue(journal: &Journal, numbers: std::ops::Range<usize>) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in numbers {
        let journal = journal.clone();
        tasks.spawn(async move { record(&journal, &format!("proof-{n}"), &n.to_string()).await.map(|_| ()) });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.expect("no panic").expect("recorded");
    }
}

/// Makes a change.
pub async fn make(journal: &Journal, change: Attributed) -> Committed {
    let made = journal.change(None, |_, _| Ok::<_, ()>(Proposal::from(change.clone()))).await;
    made.expect("the store takes it").expect("proposed")
}

/// Revokes everything of the fixture's partner.
pub fn revocation() -> Attributed {
    let what = RevocationChange::Added {
        id: "revocation-1".parse().expect("an id"),
        target: RevocationTarget::Partner { partner: "globex".parse().expect("a name") },
        tokens_only: false,
        reason: "stolen laptop".into(),
        client: None,
    };
    what.by(Actor::Operator)
}

/// Exchanges the proof `jti`, decided on the newest state.
pub async fn record(journal: &Journal, jti: &str, name: &str) -> Result<Recorded<Box<Grant>>, RecordFault> {
    let view = journal.view();
    let grant = fixture::granted(jti, name, &view.state, journal.now());
    let (jti, name) = (jti.to_owned(), name.to_owned());
    journal.record(view.seen, grant, Box::new(move |state, now| fixture::decide(&jti, &name, state, now))).await
}

/// Whether the proof `jti` is spent.
pub async fn is_spent(journal: &Journal, jti: &str) -> bool {
    let proof = ProofKey::of(&fixture::WORKLOADS.parse().expect("an issuer"), &jti.parse().expect("an id"));
    journal.is_spent(&proof).await.expect("reads")
}

/// Revokes one token that never was.
pub fn revocation_of_token() -> Attributed {
    let what = RevocationChange::Added {
        id: "revocation-2".parse().expect("an id"),
        target: RevocationTarget::Token {
            environment: fixture::production(),
            id: "nobody".parse().expect("an id"),
            expires: fixture::at(600),
        },
        tokens_only: false,
        reason: "a test".into(),
        client: None,
    };
    what.by(Actor::Operator)
}

impl House {
    /// First index and size after of every batch.
    pub async fn batches(&self) -> Vec<(u64, u64)> {
        use sqlx::{ConnectOptions as _, Row as _};
        let options = super::sqlite::schema::reader(&self.database());
        let mut connection = options.connect().await.expect("connects");
        let rows = sqlx::query("SELECT first, size_after FROM batches ORDER BY first").fetch_all(&mut connection).await;
        let number = |row: &sqlx::sqlite::SqliteRow, at: usize| row.try_get::<i64, _>(at).expect("a number").unsigned_abs();
        rows.expect("reads").iter().map(|row| (number(row, 0), number(row, 1))).collect()
    }
}
