//! The outbox: every change of the journal, told to each receiver in order.
//!
//! An event is a journal entry and delivery is a cursor: what has happened is on record before anybody is told, and nobody has to remember
//! to tell. Each receiver has a task and a cursor of its own, so one that is slow, away or lost holds up nobody else. An event is sent until
//! it is taken, or until the receiver had [`WebhookSection::give_up_after`](crate::config::WebhookSection); then its index is put
//! aside for a person, and the next one is sent. Every event arrives at least once, in order; its id is the same at every try.
//!
//! The cursor is a file beside the configuration: it decides about nothing but what is sent again.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Broker, event};
use crate::domain::log::entry::ChangeEntry;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::outbound::webhook::{Message, Secret};
use crate::outbound::{FetchUrl, Outbound};

/// The first pause after a failed try; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Indexes that are kept aside.
const MOST_ASIDE: usize = 1000;

/// How often the journal is looked at where no change wakes us.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A receiver of events.
pub struct Receiver {
    /// Its name in the configuration.
    pub name: String,
    /// Where events are sent.
    pub url: FetchUrl,
    /// What signs them.
    pub secret: Secret,
    /// The kinds of events, or the first words of them; empty means all.
    pub kinds: Vec<String>,
    /// How long one event is tried.
    pub give_up_after: Seconds,
    /// The file of the cursor.
    pub file: PathBuf,
    /// The client.
    pub outbound: std::sync::Arc<Outbound>,
    /// How far it is.
    pub progress: Mutex<Progress>,
}

/// How far a receiver is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Progress {
    /// The first entry that it has not been told of.
    pub next: u64,
    /// What it would not take.
    pub aside: Vec<u64>,
    /// Since when the present event fails, and with what.
    #[serde(skip)]
    pub failing: Option<Failing>,
    /// Moved by a person: the task begins there.
    #[serde(skip)]
    moved: bool,
}

/// A delivery that does not succeed.
#[derive(Clone, Debug)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// What came of the last try: a status, or why there was none.
    pub last: String,
    /// How many tries.
    pub tries: u32,
}

impl Receiver {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Sends everything from `index` on again.
    pub fn replay(&self, index: u64) -> std::io::Result<()> {
        self.change(|progress| {
            progress.next = index;
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

    /// Moves on from `index`, unless somebody moved it meanwhile.
    fn passed(&self, index: u64, aside: bool) {
        let moved = self.change(|progress| {
            if progress.moved {
                return;
            }
            progress.next = index + 1;
            progress.failing = None;
            if aside && progress.aside.len() < MOST_ASIDE {
                progress.aside.push(index);
            }
        });
        if moved.is_err() {
            // The event was taken, and may be sent once more after a restart.
            tracing::warn!(receiver = self.name, "the cursor of a receiver cannot be written");
        }
    }
}

/// Where a receiver left off; one that is new begins with what happens from now on.
///
/// # Errors
/// A file that cannot be read, or is no cursor of ours: guessing would lose events.
pub fn resume(file: &std::path::Path, size: u64) -> std::io::Result<Progress> {
    if let Some(progress) = look(file)? {
        // After a restore the log is shorter: what is written from there on is new.
        return Ok(Progress { next: progress.next.min(size), ..progress });
    }
    let progress = Progress { next: size, ..Progress::default() };
    write(file, &progress)?;
    Ok(progress)
}

/// What a cursor's file says; nothing where there is none.
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
    let next = file.with_extension("next");
    std::fs::write(&next, serde_json::to_vec(progress)?)?;
    std::fs::rename(&next, file)
}

/// Tells one receiver, for as long as the node lives.
pub async fn deliver(broker: Broker, receiver: std::sync::Arc<Receiver>) {
    let mut heads = broker.journal.follow();
    loop {
        heads.borrow_and_update();
        let from = receiver.progress().next;
        // A journal that does not answer has nothing new to tell.
        let entries = broker.journal.changes(from).await.unwrap_or_default();
        let whole = entries.len();
        for entry in entries {
            if receiver.progress().next > entry.index || receiver.progress().moved {
                break;
            }
            if receiver.wants(&entry) {
                send(&broker, &receiver, &entry).await;
            } else {
                receiver.passed(entry.index, false);
            }
        }
        // Moved by a person: what stands there now is where it begins.
        if receiver.progress().moved {
            let _taken = receiver.change(|progress| progress.moved = false);
        } else if whole == 0 {
            let _woken = tokio::time::timeout(LOOK_EVERY, heads.changed()).await;
        }
    }
}

/// Sends one event until it is taken, given up, or somebody moves the cursor.
async fn send(broker: &Broker, receiver: &Receiver, entry: &ChangeEntry) {
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    let id = event::id(broker.journal.view().state.epoch, entry.index);
    loop {
        let outcome = match event::of(broker, entry).await {
            Ok(body) => {
                let message = Message { id: &id, seconds: broker.clock.now().as_seconds(), body: &body };
                match receiver.outbound.deliver(&receiver.url, &receiver.secret, &message).await {
                    Ok(status) if (200..300).contains(&status) => return receiver.passed(entry.index, false),
                    Ok(status) => format!("status {status}"),
                    Err(fault) => fault.to_string(),
                }
            }
            Err(_) => "the journal does not answer".to_owned(),
        };
        if begun.elapsed() >= Duration::from_secs(u64::from(receiver.give_up_after.0)) {
            tracing::error!(receiver = receiver.name, entry = entry.index, outcome, "an event was given up; replay it");
            return receiver.passed(entry.index, true);
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
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
