//! The outbox: delivers every change of the journal to each webhook receiver, in order.
//!
//! An event is a journal entry, or one date of it, and delivery is a cursor: an event is on record before anybody is told, and no
//! operation has to trigger a delivery. Each receiver has its own task and cursor, so one that is slow, away or lost delays no other. An event is
//! sent until the receiver accepts it, or until [`WebhookSection::give_up_after`](crate::config::WebhookSection) has passed. Then
//! its index is set aside for a person, and the next event is sent. All other events arrive at least once, in order, each with the
//! same id at every try.
//!
//! The cursor is a file beside the configuration. It decides only which events are sent again.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cursor::Told;
use super::pause::Pause;
use super::{Broker, event};
use crate::domain::log::entry::ChangeEntry;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::zero::is_zero;
use crate::journal::file::replace;
use crate::outbound::webhook::{Message, Secret};
use crate::outbound::{FetchUrl, Outbound};

/// The most indexes that are kept aside.
const MOST_ASIDE: usize = 1000;

/// How often the journal is checked when no change wakes the task.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A receiver of events.
pub struct Receiver {
    /// Its name in the configuration.
    pub name: String,
    /// The URL that events are sent to.
    pub url: FetchUrl,
    /// The secret that signs them.
    pub secret: Secret,
    /// The kinds of events, or the first words of them; empty means all.
    pub kinds: Vec<String>,
    /// How long one event is tried.
    pub give_up_after: Seconds,
    /// The file of the cursor.
    pub file: PathBuf,
    /// The client for outgoing requests.
    pub outbound: std::sync::Arc<Outbound>,
    /// The progress of its delivery.
    pub progress: Mutex<Progress>,
}

/// The progress of a receiver.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Progress {
    /// The index of the first entry that was not delivered yet.
    pub next: u64,
    /// The number of its events that were delivered: an entry of several is not sent anew after a start.
    #[serde(default, skip_serializing_if = "is_zero")]
    part: usize,
    /// The indexes of the events that were given up.
    pub aside: Vec<u64>,
    /// The failure of the current event, if it fails.
    #[serde(skip)]
    pub failing: Option<Failing>,
    /// Set when a person moves the cursor: the task begins there.
    #[serde(skip)]
    moved: bool,
}

/// A delivery that does not succeed.
#[derive(Clone, Debug)]
pub struct Failing {
    /// When the first try failed.
    pub since: Timestamp,
    /// The outcome of the last try: a status, or the fault.
    pub last: String,
    /// The number of tries.
    pub tries: u32,
}

impl Receiver {
    /// A copy of its progress.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Sends everything from `index` on again.
    pub fn replay(&self, index: u64) -> std::io::Result<()> {
        self.change(|progress| {
            (progress.next, progress.part) = (index, 0);
            progress.aside.retain(|aside| *aside < index);
            progress.failing = None;
            progress.moved = true;
        })
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) -> std::io::Result<()> {
        let mut progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut progress);
        write(&self.file, &progress)
    }

    fn wants(&self, entry: &ChangeEntry) -> bool {
        let kind = entry.change.what.kind();
        let is =
            |wanted: &String| kind == wanted || kind.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('.'));
        self.kinds.is_empty() || self.kinds.iter().any(is)
    }

    /// Moves the cursor past an event of `index`, and writes it down.
    fn passed(&self, index: u64, next: Option<usize>, aside: bool) {
        self.keep(|progress| progress.pass(index, next, aside));
    }

    /// Moves the cursor past an entry that is not wanted, in memory: a round of entries is written down once.
    fn passed_over(&self, index: u64) {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pass(index, None, false);
    }

    /// Changes the cursor and writes it down, if that can be done.
    fn keep(&self, change: impl FnOnce(&mut Progress)) {
        if self.change(change).is_err() {
            // In memory the cursor has moved. After a restart the event may be sent once more.
            tracing::warn!(receiver = self.name, "the cursor of a receiver cannot be written");
        }
    }
}

impl Told for Receiver {
    fn cursor_name(&self) -> String {
        format!("webhook-{}", self.name)
    }

    fn cursor(&self) -> Vec<u8> {
        // Invariant: numbers are JSON.
        serde_json::to_vec(&self.progress()).unwrap_or_default()
    }

    fn go_on_from(&self, body: &[u8]) -> bool {
        let Ok(other) = serde_json::from_slice::<Progress>(body) else { return false };
        self.change(|progress| *progress = Progress { moved: true, ..other }).is_ok()
    }
}

impl Progress {
    /// Moves past an event of `index`, unless a person moved the cursor meanwhile. `next` is the next event of the same entry.
    fn pass(&mut self, index: u64, next: Option<usize>, aside: bool) {
        if self.moved {
            return;
        }
        (self.next, self.part) = next.map_or((index + 1, 0), |next| (index, next));
        self.failing = None;
        // An entry of which several events are given up is replayed once.
        if aside && self.aside.len() < MOST_ASIDE && self.aside.last() != Some(&index) {
            self.aside.push(index);
        }
    }
}

/// Reads where a receiver left off. A new receiver begins with the next entry.
///
/// # Errors
/// The file cannot be read or written, or is not one of our cursors: guessing would lose events.
pub fn resume(file: &std::path::Path, size: u64) -> std::io::Result<Progress> {
    if let Some(progress) = look(file)? {
        // After a restore the log is shorter, and the entries from its end on are new.
        let part = if progress.next < size { progress.part } else { 0 };
        return Ok(Progress { next: progress.next.min(size), part, ..progress });
    }
    let progress = Progress { next: size, ..Progress::default() };
    write(file, &progress)?;
    Ok(progress)
}

/// Reads a cursor's file; `None` if there is no file.
///
/// # Errors
/// As [`resume`].
pub fn look(file: &std::path::Path) -> std::io::Result<Option<Progress>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(file: &std::path::Path, progress: &Progress) -> std::io::Result<()> {
    replace(file, &serde_json::to_vec(progress)?)
}

/// Delivers events to one receiver, for as long as the node runs.
pub async fn deliver(broker: Broker, receiver: std::sync::Arc<Receiver>) {
    let mut heads = broker.journal.follow();
    loop {
        heads.borrow_and_update();
        let from = receiver.progress().next;
        // If the journal does not answer, no event is delivered in this round.
        let entries = broker.journal.changes(from).await.unwrap_or_default();
        let whole = entries.len();
        let mut passed_over = false;
        for entry in entries {
            if receiver.progress().next > entry.index || receiver.progress().moved {
                break;
            }
            if receiver.wants(&entry) {
                send_all(&broker, &receiver, &entry).await;
            } else {
                receiver.passed_over(entry.index);
                passed_over = true;
            }
        }
        if passed_over {
            receiver.keep(|_| {});
        }
        // A person moved the cursor, and the next round begins there.
        if receiver.progress().moved {
            let _taken = receiver.change(|progress| progress.moved = false);
        } else if whole == 0 {
            let _woken = tokio::time::timeout(LOOK_EVERY, heads.changed()).await;
        }
    }
}

/// Sends the events of an entry, from the first that was not delivered yet, unless a person moves the cursor.
async fn send_all(broker: &Broker, receiver: &Receiver, entry: &ChangeEntry) {
    let parts = event::parts(entry);
    let Progress { next, part: delivered, .. } = receiver.progress();
    let first = if next == entry.index { delivered } else { 0 };
    let number = parts.len();
    if first >= number {
        return receiver.passed(entry.index, None, false);
    }
    for (at, part) in parts.into_iter().enumerate().skip(first) {
        let accepted = send(broker, receiver, entry, part).await;
        if receiver.progress().moved {
            return;
        }
        receiver.passed(entry.index, (at + 1 < number).then_some(at + 1), !accepted);
    }
}

/// Sends one event until it is accepted or given up, or a person moves the cursor. Returns whether it was accepted.
async fn send(broker: &Broker, receiver: &Receiver, entry: &ChangeEntry, part: event::Part<'_>) -> bool {
    let (begun, mut pause) = (Instant::now(), Pause::default());
    let id = event::id(broker.journal.view().state.epoch, entry.index, part);
    loop {
        let outcome = match event::of(broker, entry, part).await {
            Ok(body) => {
                let message = Message { id: &id, seconds: broker.clock.now().as_seconds(), body: &body };
                match receiver.outbound.deliver(&receiver.url, &receiver.secret, &message).await {
                    Ok(status) if (200..300).contains(&status) => return true,
                    Ok(status) => format!("status {status}"),
                    Err(fault) => fault.to_string(),
                }
            }
            Err(_) => "the journal does not answer".to_owned(),
        };
        if begun.elapsed() >= Duration::from_secs(u64::from(receiver.give_up_after.0)) {
            tracing::error!(receiver = receiver.name, entry = entry.index, outcome, "an event was given up; replay it");
            return false;
        }
        let now = broker.clock.now();
        let mut moved = false;
        let _kept = receiver.change(|progress| {
            moved = progress.moved;
            let failing = progress.failing.get_or_insert_with(|| Failing { since: now, last: String::new(), tries: 0 });
            failing.last = outcome;
            failing.tries += 1;
        });
        if moved {
            return false;
        }
        tokio::time::sleep(pause.take()).await;
    }
}
