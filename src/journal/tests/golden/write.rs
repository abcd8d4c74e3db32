//! Writing the next golden journal.

use sqlx::ConnectOptions as _;

use super::super::*;
use super::files::{Golden, Line, blobs, root, tables};
use super::{Examples, missing};
use crate::domain::examples::{Example, facts};
use crate::domain::fixture::NOON;
use crate::domain::log::change::Change;
use crate::domain::log::entry::Entry;
use crate::domain::log::journal::JournalChange;
use crate::domain::log::key::KeyChange;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ClientId;
use crate::journal::ForRequest;
use crate::journal::load::{self, Loaded};
use crate::journal::place;
use crate::journal::sqlite::column;
use crate::journal::sqlite::schema;
use crate::journal::store::batch::{Batch, MacKey, Row};
use crate::journal::store::keys::StoreKeys;
use crate::journal::store::snapshot::Checked;
use crate::journal::tree::merkle::leaf_hash;

/// As many entries as make a full tile, and so may be sealed in a segment.
const TILE: u64 = 256;

const DAY: i64 = 86_400;

/// A journal that is being written.
struct Writer {
    house: House,
    /// Seconds after noon.
    now: i64,
}

#[tokio::test]
#[ignore = "writes files of the repository: `make golden`"]
async fn write_what_is_in_no_golden_journal() {
    let known = Golden::all();
    let kinds: Vec<&str> = known.iter().flat_map(Golden::entries).map(|entry| entry.kind()).collect();
    let missing_kind = |kind: &str| !kinds.contains(&kind);
    let newest = |entry: &Entry| matches!(entry, Entry::Issued(issued) if issued.possession.is_some());
    let lacks_issued = !known.iter().flat_map(Golden::entries).any(|entry| newest(&entry));
    let again = |entry: &Entry| match entry {
        Entry::Change(entry) => {
            matches!(entry.change.what, Change::Journal(JournalChange::Reopened { again, .. }) if again > 0)
        }
        Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => false,
    };
    let lacks_again = !known.iter().flat_map(Golden::entries).any(|entry| again(&entry));
    // A token needs the records that allow it.
    let examples = if lacks_issued { Examples::sealed().changes() } else { missing() };
    if examples.is_empty() && !lacks_again && Change::kinds().all(|kind| !missing_kind(kind)) {
        return;
    }
    let mut writer = Writer { house: House::new(), now: 0 };
    writer.make(examples, missing_kind("issued")).await;
    if missing_kind("issued") {
        writer.make_entries().await;
    } else if lacks_issued {
        writer.make_issued().await;
    }
    if missing_kind("checkpoint-key.succeeded") {
        writer.wait(60);
        writer.house.succeed().await.expect("a new key").close().await;
    }
    if missing_kind("journal.archived") {
        writer.archive().await;
    }
    if missing_kind("journal.reopened") {
        writer.reopen().await;
    }
    if missing_kind("journal.moved") {
        writer.moves().await;
    }
    if lacks_again {
        writer.loses().await;
    }
    let directory = root().join((known.len() + 1).to_string());
    writer.golden(directory).await.write(&writer.house);
}

impl Writer {
    fn wait(&mut self, seconds: i64) {
        self.now += seconds;
        self.house.clock.set(self.now);
    }

    /// Makes the changes of the examples; as soon as the fixture's workload may have tokens, two of them.
    async fn make(&mut self, examples: Vec<Example>, mut issues: bool) {
        let journal = self.house.open().await.expect("opens");
        let mut refused = None;
        for (n, Example { mut change, texts }) in examples.into_iter().enumerate() {
            self.wait(2);
            let mut sealed = blobs(&mut change);
            for at in (0..sealed.len()).rev() {
                // A second authority stands under the root of the first.
                if journal.blob(&sealed[at].name).await.expect("reads").is_some() {
                    sealed.remove(at);
                }
            }
            let destroy = match &change.what {
                Change::Key(KeyChange::Retired { environment, kid }) => vec![BlobName::new(environment, "signing", kid)],
                _ => Vec::new(),
            };
            let request = ForRequest { id: format!("request-{n}").parse().expect("an id"), once: None };
            let proposal = |_: &_, _| {
                let (change, texts) = (change.clone(), texts.clone());
                Ok::<_, ()>(Proposal { change, texts, sealed: sealed.clone(), destroy: destroy.clone() })
            };
            let made = journal.change((n % 2 == 0).then_some(request), proposal).await;
            made.unwrap_or_else(|fault| panic!("{fault}: {change:?}")).expect("proposed");
            match fixture::decide("probe", "probe", &journal.view().state, journal.now()) {
                Decision::Granted(_) if issues => {
                    issues = false;
                    for number in ["1", "2"] {
                        record(&journal, &format!("proof-{number}"), number).await.expect("a token");
                    }
                }
                Decision::Granted(_) => {}
                Decision::NeedsElevation(reason) | Decision::Refused(reason) => refused = Some(reason),
            }
        }
        assert!(!issues, "the fixture's workload never may have a token: {refused:?}");
        journal.close().await;
    }

    /// Tokens alone, where an entry of one can say something new.
    async fn make_issued(&mut self) {
        let examples = Examples::sealed();
        self.write(|index, time, record| {
            let issued = examples.issued(index, time, record);
            let paid = issued.iter().filter_map(|entry| Some((ProofKey(entry.proof.id?), entry.proof.expires)));
            let rows = issued.iter().map(Row::issued).collect();
            (rows, paid.map(|(key, expires)| (key, ProofKey::remembered_until(expires))).collect())
        })
        .await;
    }

    /// Entries that are no changes, as another node would write them; and as many of them as fill a tile.
    async fn make_entries(&mut self) {
        self.make_issued().await;
        let examples = Examples::sealed();
        self.write(|index, time, _| (examples.refused(index, time).iter().map(Row::refused).collect(), Vec::new())).await;
        self.write(|index, time, _| {
            let rows = (index..TILE.max(index) + 8).map(|index| Row::counted(&examples.counted(index, time)));
            (rows.collect(), Vec::new())
        })
        .await;
    }

    /// Writes a batch of rows from an index on, at a time, with the proofs that they spend.
    async fn write(&mut self, rows: impl FnOnce(u64, Timestamp, Digest) -> (Vec<Row>, Vec<Spent>)) {
        self.wait(60);
        let key = MacKey::of(&House::kek());
        let opened = place::open(&self.house.settings, false, &StoreKeys::of(&House::kek(), Arc::new(Seeded::new(1))))
            .await
            .expect("opens");
        let Loaded { head, mut tree, state, .. } = load::load(&opened.reader, &key, Checked::All).await.expect("loads");
        opened.reader.close().await.expect("closes");
        let ClientId::Integration(id) = "globex/order-sync".parse().expect("an id") else { panic!("an integration") };
        let record = state.integrations.get(&id).and_then(|one| one.current.as_ref()).expect("in force").version;
        let (rows, proofs) = rows(head.size, fixture::at(self.now), record);
        let mut store = opened.writer;
        let begun = store.begin(&head, &proofs).await.expect("begins");
        assert_eq!((begun.since.found.head, begun.fresh.len()), (head.clone(), proofs.len()));
        store.append(Batch::of(rows, false, &head, &mut tree, &key)).await.expect("appends");
        store.commit().await.expect("commits");
        store.close().await.expect("closes");
    }

    async fn archive(&mut self) {
        self.wait(40 * DAY);
        let journal = self.house.open().await.expect("opens");
        journal.archive(Seconds::days(30)).await.expect("seals").expect("a segment");
        journal.close().await;
    }

    /// Reopened after a restore, and after a clock that ran ahead.
    async fn reopen(&mut self) {
        self.wait(60);
        self.house.reopen(Seconds(60)).await.expect("reopens").close().await;
        self.wait(2 * DAY);
        let journal = self.house.open().await.expect("opens");
        make(&journal, revocation_of_token()).await;
        journal.close().await;
        self.wait(-DAY);
        self.house.correct_clock().await.expect("corrects").close().await;
    }

    /// Left for another database, and come from there.
    async fn moves(&mut self) {
        self.wait(60);
        let journal = self.house.open().await.expect("opens");
        let (place, view) = ("sqlite:///var/lib/carnet/journal.db".to_owned(), journal.view());
        let to = "postgres://db1.acme.example/carnet".to_owned();
        let moved = JournalChange::Moved { to, size: view.size, root: view.root };
        make(&journal, Change::from(moved).by(Actor::Operator)).await;
        let view = journal.view();
        let arrived = JournalChange::Arrived { from: place, size: view.size, root: view.root };
        make(&journal, Change::from(arrived).by(Actor::Operator)).await;
        journal.close().await;
    }

    /// Reopened after a loss of which one change is recorded again and two are given up.
    async fn loses(&mut self) {
        self.wait(60);
        let journal = self.house.open().await.expect("opens");
        let (epoch, mints_from) = (journal.view().state.epoch + 1, journal.view().time.plus(Seconds(60)));
        let reopened = JournalChange::Reopened { epoch, mints_from, corrects: None, again: 1, forgotten: 2 };
        make(&journal, Change::from(reopened).by(Actor::Operator)).await;
        make(&journal, revocation_of_token()).await;
        journal.close().await;
    }

    /// What was written.
    async fn golden(&self, directory: std::path::PathBuf) -> Golden {
        let journal = self.house.open().await.expect("opens");
        let (checkpoint, key) = (journal.checkpoint().expect("signs"), journal.signers().verifier().to_string());
        let mut connection = schema::reader(&self.house.database()).connect().await.expect("connects");
        let mut state = crate::domain::state::State::default();
        let (mut bodies, mut rows) = (Vec::new(), Vec::new());
        for index in 0..journal.view().size {
            let body = journal.body(index).await.expect("reads").expect("an entry");
            let entry = Entry::parse(body.as_bytes()).expect("reads");
            if let Entry::Change(entry) = &entry {
                state.apply(index, entry.time, &entry.change);
                state.forget_expired(entry.time);
            }
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM entries WHERE idx = ?").bind(column::sql(index));
            let row = super::row(&entry);
            rows.push(Line {
                index,
                time: row.time.as_seconds(),
                kind: row.kind.to_owned(),
                subject: row.subject,
                request: row.request,
                token: row.token,
                leaf: leaf_hash(body.as_bytes()).to_string(),
                state: facts::digest(&state).to_string(),
                left: count.fetch_one(&mut connection).await.expect("reads") == 0,
            });
            bodies.push(body);
        }
        let tables = tables(&mut connection).await;
        sqlx::Connection::close(connection).await.expect("closes");
        journal.close().await;
        let anchor = std::fs::read_to_string(self.house.settings.anchor.as_ref().expect("an anchor")).expect("reads");
        assert_eq!(rows.last().map(|last| last.time), Some(NOON + self.now));
        Golden { directory, bodies, rows, tables, checkpoint, key: key + "\n", anchor }
    }
}
