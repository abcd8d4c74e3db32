//! What is still to be told, by recipient, and how far the journal was read: the cursor of mail.
//!
//! It is a file beside the configuration, and has no address in it: a recipient stands there under a name that only this installation can
//! make of the address. What is told stands there as the places of entries.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::people::addressee::Addressee;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::zero::is_zero;
use crate::journal::file::replace;

/// The time between two digests to one recipient.
pub const BETWEEN: Seconds = Seconds::hours(1);

/// How long a notice is tried to be sent.
pub const GIVE_UP_AFTER: Seconds = Seconds::days(7);

/// The most notices that wait for one recipient; the oldest of more are dropped, and counted.
const MOST: usize = 1000;

/// How far mail is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Progress {
    /// The first entry of which nobody was chosen to be told.
    pub next: u64,
    /// What waits, by recipient.
    #[serde(default)]
    pub boxes: BTreeMap<String, Mailbox>,
}

/// What waits for one recipient.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mailbox {
    /// When the last digest was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
    /// Since when mail to it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Timestamp>,
    /// The notices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// The number of notices that were dropped because more waited than are kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

/// A notice that waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Waiting {
    /// The entry.
    pub entry: u64,
    /// The part of the entry.
    pub part: usize,
    /// As what the recipient is told.
    pub whom: Addressee,
    /// Whether it does not wait for the digest of the hour.
    pub at_once: bool,
    /// Since when it waits.
    pub since: Timestamp,
}

impl Progress {
    /// Adds a notice for a recipient.
    pub fn add(&mut self, recipient: String, waiting: Waiting) {
        let mailbox = self.boxes.entry(recipient).or_default();
        // Somebody who owns both halves of an integration is told once.
        if mailbox.waiting.iter().any(|known| (known.entry, known.part) == (waiting.entry, waiting.part)) {
            return;
        }
        if mailbox.waiting.len() >= MOST {
            mailbox.waiting.remove(0);
            mailbox.dropped += 1;
        }
        mailbox.waiting.push(waiting);
    }

    /// Recipients who are to be sent something now, each with what it is.
    pub fn due(&self, now: Timestamp) -> Vec<(String, Vec<Waiting>)> {
        self.boxes.iter().map(|(name, mailbox)| (name.clone(), mailbox.due(now))).filter(|(_, due)| !due.is_empty()).collect()
    }

    /// Notices that wait.
    pub fn waiting(&self) -> usize {
        self.boxes.values().map(|mailbox| mailbox.waiting.len()).sum()
    }

    /// Since when the mail fails that has failed longest.
    pub fn failing(&self) -> Option<Timestamp> {
        self.boxes.values().filter_map(|mailbox| mailbox.failing).min()
    }

    /// Forgets recipients for whom nothing waits and who may be sent a digest at any time.
    pub fn tidy(&mut self, now: Timestamp) {
        self.boxes.retain(|_, mailbox| !mailbox.waiting.is_empty() || !mailbox.may_have_digest(now));
    }
}

impl Mailbox {
    fn may_have_digest(&self, now: Timestamp) -> bool {
        self.sent.is_none_or(|sent| now.since(sent) >= BETWEEN)
    }

    /// All that waits, if the hour is over; else what does not wait for it.
    fn due(&self, now: Timestamp) -> Vec<Waiting> {
        let digest = self.may_have_digest(now);
        self.waiting.iter().filter(|one| digest || one.at_once).cloned().collect()
    }

    /// Takes out what was sent. A mail of nothing but urgent notices is no digest.
    pub fn told(&mut self, told: &[Waiting], now: Timestamp) {
        if told.iter().any(|one| !one.at_once) {
            self.sent = Some(now);
            self.dropped = 0;
        }
        self.failing = None;
        self.take_out(told);
    }

    /// Takes out what is not to be sent any more.
    pub fn take_out(&mut self, done: &[Waiting]) {
        self.waiting.retain(|one| !done.contains(one));
        self.failing = self.failing.filter(|_| !self.waiting.is_empty());
    }
}

/// Reads where a start goes on. The first start begins with the next entry.
///
/// # Errors
/// The file cannot be read or written, or is not ours: guessing would tell twice, or never.
pub fn resume(file: &Path, size: u64) -> std::io::Result<Progress> {
    if let Some(progress) = look(file)? {
        // After a restore the log is shorter, and the entries from its end on are new.
        return Ok(Progress { next: progress.next.min(size), ..progress });
    }
    let progress = Progress { next: size, ..Progress::default() };
    write(file, &progress)?;
    Ok(progress)
}

/// Reads the file; `None` if there is none.
///
/// # Errors
/// As [`resume`].
pub fn look(file: &Path) -> std::io::Result<Option<Progress>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write(file: &Path, progress: &Progress) -> std::io::Result<()> {
    replace(file, &serde_json::to_vec(progress)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds).expect("a time")
    }

    fn waiting(entry: u64, at_once: bool) -> Waiting {
        Waiting { entry, part: 0, whom: Addressee::Security, at_once, since: at(0) }
    }

    #[test]
    fn a_recipient_gets_one_digest_an_hour_and_what_is_urgent_at_once() {
        let mut progress = Progress::default();
        let due = |progress: &Progress, now| progress.due(at(now)).into_iter().flat_map(|(_, due)| due).collect::<Vec<_>>();
        progress.add("r".into(), waiting(1, false));
        progress.add("r".into(), waiting(1, false));
        let first = due(&progress, 0);
        assert_eq!(first, [waiting(1, false)], "the same notice waits once");
        progress.boxes.get_mut("r").expect("a box").told(&first, at(0));
        progress.add("r".into(), waiting(2, false));
        progress.add("r".into(), waiting(3, true));
        assert_eq!(due(&progress, 1), [waiting(3, true)]);
        progress.boxes.get_mut("r").expect("a box").told(&[waiting(3, true)], at(1));
        // The urgent one was no digest: the hour counts from the first.
        assert_eq!(due(&progress, 3599), []);
        assert_eq!(due(&progress, 3600), [waiting(2, false)]);
        progress.boxes.get_mut("r").expect("a box").told(&[waiting(2, false)], at(3600));
        progress.tidy(at(3601));
        assert_eq!(progress.boxes.len(), 1, "the hour is remembered");
        progress.tidy(at(7200));
        assert!(progress.boxes.is_empty());
    }

    #[test]
    fn what_waits_has_a_bound() {
        let mut progress = Progress::default();
        (0..1200).for_each(|entry| progress.add("r".into(), waiting(entry, false)));
        let mailbox = &progress.boxes["r"];
        assert_eq!((mailbox.waiting.len(), mailbox.dropped, mailbox.waiting[0].entry), (1000, 200, 200));
    }

    #[test]
    fn a_start_goes_on_where_the_last_one_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mail.cursor");
        assert_eq!(resume(&file, 7).expect("a new one").next, 7);
        let mut progress = resume(&file, 9).expect("the same");
        assert_eq!(progress.next, 7);
        progress.add("r".into(), waiting(8, false));
        write(&file, &progress).expect("written");
        let again = resume(&file, 9).expect("read");
        assert_eq!(again.boxes["r"].waiting, [waiting(8, false)]);
        assert_eq!(resume(&file, 3).expect("after a restore").next, 3);
        std::fs::write(&file, "{}").expect("written");
        assert!(resume(&file, 3).is_err());
    }
}
