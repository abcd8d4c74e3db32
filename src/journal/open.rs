//! Starting the journal: made new, opened, or reopened after a restore.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::archive::segment::Shelf;
use super::evidence;
use super::fault::Loss;
use super::fault::{OpenFault, StopReason, Unavailable};
use super::handle::Journal;
use super::key::anchor::Anchor;
use super::key::data_key::DataKeys;
use super::key::kek::Kek;
use super::key::signers::{self, Signers};
use super::load::{self, Loaded};
use super::members::Members;
use super::past::{Compared, Past};
use super::place::{self, Opened};
use super::reopen::reopen;
use super::seen::covers;
use super::sequencer::Sequencer;
use super::sequencer::queue::{ChangeOutcome, ChangeRequest, Inbox};
use super::sequencer::view::{Shared, View};
use super::settings::{Location, Rest, Settings};
use super::start::{self, Start};
use super::store::batch::{Beside, MacKey};
use super::store::keys::StoreKeys;
use super::store::people::PeopleKey;
use super::store::reader::Reader;
use super::store::snapshot::Checked;
use super::store::uses::UsesKey;
use super::store::write::Write;
use super::tail::lost::Given;
use super::tree::merkle::Subtree;
use super::tree::note::{Kept, SignerKey};
use crate::domain::log::change::Change;
use crate::domain::log::format;
use crate::domain::log::journal::JournalChange;
use crate::domain::people::actor::Actor;
use crate::domain::value::clock::{Clock, Entropy, Seconds, Timestamp};
use crate::domain::value::steady::SteadyClock;

/// Clock and randomness of the process.
#[derive(Clone)]
pub struct Outside {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Journal {
    /// Opens the journal and proves it, or makes a new one if the settings ask for it.
    pub async fn open(
        settings: &Settings,
        kek: &Kek,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenFault> {
        start(settings, kek, Outside { clock, entropy }, Start::Open, |writer| writer).await
    }

    /// Puts a restored or forked journal back to work, in a new epoch and with a new anchor.
    ///
    /// The epoch is recorded; in it every signing key is tainted and nothing is minted while the journal rests. What was taken away in a lost
    /// part is taken away again, by what is `given`. Not for a journal whose entries do not hold.
    pub async fn reopen(
        settings: &Settings,
        kek: &Kek,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        (rest, given): (Rest, &Given),
    ) -> Result<Self, OpenFault> {
        start(settings, kek, Outside { clock, entropy }, Start::Reopen(rest, given), |writer| writer).await
    }

    /// Corrects the time of a journal whose newest entry is later than the clock.
    ///
    /// It begins a new epoch, recorded at the clock's time. In it every signing key is tainted and every elevation ended, since tokens that
    /// were issued under the wrong clock live too long. All entries are proved first, and proofs that they spent and that count again are
    /// put back among the spent ones.
    pub async fn correct_clock(
        settings: &Settings,
        kek: &Kek,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, OpenFault> {
        start(settings, kek, Outside { clock, entropy }, Start::CorrectClock, |writer| writer).await
    }

    /// Replaces the key that signs checkpoints, by a change that both keys sign.
    ///
    /// For [`super::HANDOVER`] both sign checkpoints. Another node on this journal takes the key over at its next commit.
    pub async fn succeed_checkpoint_key(
        settings: &Settings,
        kek: &Kek,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, OpenFault> {
        start(settings, kek, Outside { clock, entropy }, Start::Succeed, |writer| writer).await
    }
}

/// Starts with the writer that `wrap` makes of ours: where the failure table of the tests gets in.
pub(super) async fn start(
    settings: &Settings,
    kek: &Kek,
    outside: Outside,
    start: Start<'_>,
    wrap: impl FnOnce(Box<dyn Write>) -> Box<dyn Write>,
) -> Result<Journal, OpenFault> {
    let anchor = settings.anchor.clone().map(Anchor::at);
    // A database that is gone while its anchor is there was not there for the first time.
    let may_create = settings.create && matches!(start, Start::Open) && !anchor.as_ref().is_some_and(Anchor::exists);
    let key = MacKey::of(kek);
    let Opened { mut writer, reader, shelf, nodes, scratch } =
        place::open(settings, may_create, &StoreKeys::of(kek, Arc::clone(&outside.entropy))).await?;
    // Before the journal is read: another process may move both on, and the log must be the later of the two.
    let anchored = anchored(anchor.as_ref(), start)?;
    let lost = lost(anchor.as_ref(), start)?;
    let loaded = load::load(&reader, &key, Checked::All).await?;
    let fresh = loaded.head.size == 0;
    if fresh && !may_create {
        return Err(load::inconsistent(0, "the log is empty"));
    }
    let clock = Arc::new(SteadyClock::over(Arc::clone(&outside.clock)));
    let seed = new_seed(&outside);
    let made = SignerKey::from_seed(&settings.origin, &seed).map_err(|_| origin_fault(settings, ""))?;
    let signers = if fresh {
        Signers::first(made)
    } else {
        suits(settings, &loaded)?;
        start.may_open(loaded.state.moved.as_deref())?;
        let signers = Signers::stored(&reader, kek, &settings.origin).await?;
        if !matches!(start, Start::Reopen(..)) {
            let is_new = anchored.is_none() && is_newcomer(settings).await?;
            let is_shared = nodes.is_some();
            holds((anchor.as_ref().filter(|_| !is_new), anchored), is_shared, &signers, (&reader, &key), &loaded).await?;
        }
        signers
    };
    if !loaded.summed {
        sum(&mut *writer, &shelf, &key).await?;
    }
    let Loaded { head, tree, state, .. } = loaded;
    let state = Arc::new(state);
    let view = View::of(&head, Arc::clone(&state));
    let loss = match (&lost, start) {
        (None, _) | (_, Start::Reopen(..)) => None,
        (Some(note), Start::Open | Start::CorrectClock | Start::Succeed | Start::Move(_) | Start::Arrive(_)) => {
            let (keys, origin) = (signers.keys().clone(), state.origin.clone());
            let view = Arc::new(View::of(&head, Arc::clone(&state)));
            let past = Past { reader: reader.clone(), tree: tree.clone(), size: head.size, view, origin, keys };
            proves_loss(&past, note).await?
        }
    };
    let (queue, work) = mpsc::channel(QUEUE);
    let mut sequencer = Sequencer {
        inbox: Inbox::of(work),
        store: wrap(writer),
        reader: reader.clone(),
        shared: Arc::new(Shared::new(view, clock, signers)),
        key,
        kek: kek.lend(),
        origin: settings.origin.clone(),
        anchor,
        head,
        tree,
        state,
        proved: Instant::now(),
        anchored: 0,
        tailed: None,
        untold: Vec::new(),
        tail_began: Timestamp::default(),
        purge: (0, Timestamp::default()),
        forgot: Timestamp::default(),
        erased: 0,
        loss: None,
        is_taken_back: false,
        is_contended: false,
    };
    if fresh {
        let what = JournalChange::Opened { origin: settings.origin.clone(), dev: settings.dev, format: format::NEWEST }.into();
        let sealed = vec![kek.seal(signers::name(0), &*seed, &*outside.entropy)];
        by_operator(&mut sequencer, what, Beside { sealed, ..Beside::default() }).await?;
    }
    match (start, loss) {
        (Start::Open, Some(Loss { epoch, size, .. })) => {
            // The process stays up, with everything that reads; it records and mints nothing.
            let head = sequencer.head.size;
            let _told = sequencer.shared.stop(StopReason::Lost { epoch, size, head });
        }
        (Start::CorrectClock | Start::Succeed | Start::Move(_) | Start::Arrive(_), Some(Loss { size, .. })) => {
            return Err(OpenFault::Rollback { anchored: size, head: sequencer.head.size });
        }
        (Start::Open, None) => {}
        (Start::Reopen(rest, given), _) => reopen(&mut sequencer, (rest, Some(given)), &shelf).await?,
        (Start::CorrectClock, None) => {
            reopen(&mut sequencer, (Rest { lasts: Seconds(0), corrects: true }, None), &shelf).await?;
        }
        (Start::Succeed, None) => succeed(&mut sequencer, kek, &outside).await?,
        (Start::Move(_), None) if sequencer.state.moved.is_some() => {}
        (Start::Move(to), None) => {
            let what = start::leaving(to, &sequencer.head);
            by_operator(&mut sequencer, what, Beside::default()).await?;
        }
        (Start::Arrive(from), None) => {
            let what = start::arriving(from, &sequencer.head);
            by_operator(&mut sequencer, what, Beside::default()).await?;
        }
    }
    sequencer.write_anchor().await;
    if (lost.is_some() || matches!(start, Start::Reopen(..))) && sequencer.shared.running().is_ok() {
        forget_loss(&sequencer);
    }
    let (shared, origin) = (Arc::clone(&sequencer.shared), sequencer.origin.clone());
    let task = tokio::spawn(sequencer.run());
    let entropy = outside.entropy;
    let (sealing, people, uses) = (kek.of_answers(), PeopleKey::of(kek), UsesKey::of(kek));
    Ok(Journal::new(super::handle::Parts {
        shared,
        queue,
        reader,
        shelf,
        sealing,
        people,
        uses,
        origin,
        entropy,
        members: Members::of(nodes),
        task,
        scratch,
    }))
}

/// Proves the log that a start would open, as a start does, and writes nothing.
///
/// None if a start would make a new one.
pub async fn examine(settings: &Settings, kek: &Kek) -> Result<Option<Past>, OpenFault> {
    let anchor = settings.anchor.clone().map(Anchor::at);
    let anchored = anchored(anchor.as_ref(), Start::Open)?;
    if matches!(settings.location, Location::Temporary) {
        return Ok(None);
    }
    let (reader, shelf) = match place::read(settings, &DataKeys::of(kek)).await {
        Err(OpenFault::Missing(_)) if anchored.is_none() && settings.create => return Ok(None),
        read => read?,
    };
    let key = MacKey::of(kek);
    let loaded = load::load(&reader, &key, Checked::All).await?;
    if loaded.head.size == 0 {
        let newborn = anchored.is_none() && settings.create;
        return if newborn { Ok(None) } else { Err(load::inconsistent(0, "the log is empty")) };
    }
    suits(settings, &loaded)?;
    Start::Open.may_open(loaded.state.moved.as_deref())?;
    let signers = Signers::stored(&reader, kek, &settings.origin).await?;
    let is_new = anchored.is_none() && is_newcomer(settings).await?;
    let is_shared = place::nodes(settings).is_some();
    holds((anchor.as_ref().filter(|_| !is_new), anchored), is_shared, &signers, (&reader, &key), &loaded).await?;
    if !loaded.summed {
        let mut snapshot = reader.snapshot().await?;
        evidence::proves_beside((&mut *snapshot, &shelf), &key).await?;
        snapshot.end_reading().await?;
    }
    let Loaded { head, tree, state, .. } = loaded;
    let (keys, origin) = (signers.keys().clone(), state.origin.clone());
    let view = Arc::new(View::of(&head, Arc::new(state)));
    let past = Past { reader, tree, size: head.size, view, origin, keys };
    if let Some(note) = lost(anchor.as_ref(), Start::Open)?
        && let Some(loss) = proves_loss(&past, &note).await?
    {
        return Err(OpenFault::Rollback { anchored: loss.size, head: past.size });
    }
    Ok(Some(past))
}

/// Whether the note beside the anchor proves that the log lost entries.
async fn proves_loss(past: &Past, note: &str) -> Result<Option<Loss>, OpenFault> {
    match past.compare(note, None).await? {
        Compared::Superseded | Compared::Extended => Ok(None),
        Compared::Lost(loss) => Ok(Some(loss)),
        Compared::Unsigned | Compared::Doubtful { .. } => {
            Err(load::inconsistent(past.size(), "this journal did not sign the note beside the anchor"))
        }
    }
}

/// Forgets the proof of a loss: the log has all entries again, or was reopened.
///
/// A file that stays is compared again at the next start, with the same result.
fn forget_loss(sequencer: &Sequencer) {
    if let Some(Err(fault)) = sequencer.anchor.as_ref().map(Anchor::forget_lost) {
        tracing::warn!(%fault, "the proof of a loss that is over cannot be removed");
    }
}

/// Writes the first sums over the side tables of a journal of an earlier version.
///
/// All entries prove those tables first, as in `verify`: an attacker who deletes the sums only makes this start a long one.
async fn sum(writer: &mut dyn Write, shelf: &Shelf, key: &MacKey) -> Result<(), OpenFault> {
    tracing::info!("the journal keeps no sums over its spent proofs yet: they are proved by all entries, once");
    let mut locked = writer.exclusive().await?;
    let head = evidence::proves_beside((&mut *locked, shelf), key).await?;
    Ok(locked.write_sums(&key.sums, &head).await?)
}

/// The text of the anchor; a reopening believes none.
fn anchored(anchor: Option<&Anchor>, start: Start<'_>) -> Result<Option<String>, OpenFault> {
    match (anchor, start) {
        (Some(anchor), Start::Open | Start::Succeed | Start::CorrectClock | Start::Move(_) | Start::Arrive(_)) => anchor.text(),
        (None, _) | (_, Start::Reopen(..)) => Ok(None),
    }
}

/// The note that may prove a loss. A reopening ignores it, and a file that cannot be read.
fn lost(anchor: Option<&Anchor>, start: Start<'_>) -> Result<Option<String>, OpenFault> {
    match (anchor, start) {
        (Some(anchor), Start::Open | Start::Succeed | Start::CorrectClock | Start::Move(_) | Start::Arrive(_)) => {
            anchor.lost_text()
        }
        (None, _) | (_, Start::Reopen(..)) => Ok(None),
    }
}

/// Makes the next checkpoint key.
///
/// The anchor has both signatures before the change is on record, so it holds whichever key a start finds.
async fn succeed(sequencer: &mut Sequencer, kek: &Kek, outside: &Outside) -> Result<(), OpenFault> {
    let seed = new_seed(outside);
    let fault = |_| load::inconsistent(0, "the origin is not a name for a key");
    let next = SignerKey::from_seed(&sequencer.origin, &seed).map_err(fault)?;
    let stored = Signers::stored(&sequencer.reader, kek, &sequencer.origin).await?;
    let number = stored.number();
    let (signers, statement) = stored.succeeded(next, (sequencer.head.size, sequencer.shared.now())).map_err(fault)?;
    sequencer.shared.signers.store(Arc::new(signers));
    sequencer.anchored = 0;
    sequencer.write_anchor().await;
    if let Some(anchor) = sequencer.anchor.as_ref().filter(|_| sequencer.anchored != sequencer.head.size) {
        return Err(anchor.fault("it cannot be written"));
    }
    let beside = Beside {
        sealed: vec![kek.seal(signers::name(number + 1), &*seed, &*outside.entropy)],
        destroyed: number.checked_sub(1).map(signers::name).into_iter().collect(),
        ..Beside::default()
    };
    by_operator(sequencer, JournalChange::CheckpointKeySucceeded { statement }.into(), beside).await
}

fn new_seed(outside: &Outside) -> Zeroizing<[u8; 32]> {
    let mut seed = Zeroizing::new([0; 32]);
    outside.entropy.fill(&mut *seed);
    seed
}

fn origin_fault(settings: &Settings, found: &str) -> OpenFault {
    OpenFault::Origin { found: found.to_owned(), configured: settings.origin.clone() }
}

/// Whether it is the journal that the configuration means.
fn suits(settings: &Settings, loaded: &Loaded) -> Result<(), OpenFault> {
    if loaded.state.format > format::NEWEST {
        return Err(OpenFault::Schema(format!("of entries {}", loaded.state.format)));
    }
    if loaded.state.dev != settings.dev {
        return Err(OpenFault::Dev(loaded.state.dev));
    }
    if loaded.state.origin == settings.origin { Ok(()) } else { Err(origin_fault(settings, &loaded.state.origin)) }
}

/// Whether this is a node that the journal does not know yet. One that it knows has an anchor, or lost it.
async fn is_newcomer(settings: &Settings) -> Result<bool, OpenFault> {
    let (Some(mut nodes), Some(id)) = (place::nodes(settings), &settings.node) else { return Ok(false) };
    Ok(!nodes.all().await?.iter().any(|known| known.id == *id))
}

/// Whether the head extends the anchored checkpoint.
async fn holds(
    (anchor, note): (Option<&Anchor>, Option<String>),
    is_shared: bool,
    signers: &Signers,
    (reader, key): (&Reader, &MacKey),
    loaded: &Loaded,
) -> Result<(), OpenFault> {
    let Some(anchor) = anchor else { return Ok(()) };
    let Some(Kept { checkpoint, epoch }) = note.map(|note| anchor.counts(&note, signers)).transpose()? else {
        // A journal that was killed between its first entry and its first anchor has no past to lose.
        let newborn = loaded.head.size == 1;
        return if newborn { Ok(()) } else { Err(anchor.fault("the file is not there, although the journal has a past")) };
    };
    // An operator reopened the log at another node, and accepted it as it was then, with all that this node has seen.
    if is_shared
        && checkpoint.origin == loaded.state.origin
        && let Some(epoch) = epoch.filter(|epoch| *epoch < loaded.state.epoch)
    {
        return covers(&anchor.tail(), key, (reader, &loaded.tree), epoch).await;
    }
    let rollback = OpenFault::Rollback { anchored: checkpoint.size, head: loaded.head.size };
    if checkpoint.origin != loaded.state.origin || checkpoint.size > loaded.head.size {
        return Err(rollback);
    }
    let roots = reader.roots(&loaded.tree, &[Subtree::whole(checkpoint.size)]).await?;
    if roots.is_some_and(|roots| roots == [checkpoint.root]) { Ok(()) } else { Err(rollback) }
}

async fn by_operator(sequencer: &mut Sequencer, what: Change, beside: Beside) -> Result<(), OpenFault> {
    let is_correction = matches!(what, Change::Journal(JournalChange::Reopened { corrects: Some(_), .. }));
    if let Some(fault) = sequencer.shared.clock_fault().filter(|_| !is_correction) {
        return Err(fault.into());
    }
    let change = what.by(Actor::Operator);
    let asked = ChangeRequest { seen: sequencer.head.last_change, request: None, change, beside };
    match sequencer.change(asked, || false).await? {
        ChangeOutcome::Done(_) => Ok(()),
        // Another process writes to this journal right now.
        ChangeOutcome::Stale => Err(Unavailable::BUSY.into()),
    }
}

/// Grants and changes that may wait for the next commit; beyond it callers are told to come again.
const QUEUE: usize = 4096;
