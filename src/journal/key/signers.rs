//! The checkpoint key, and how another one takes its place.
//!
//! Enter through [`Signers`] to sign, [`Keys`] to read kept notes of a log that is at hand, and [`Lineage`] to read notes of others. A
//! succession is a note that both keys sign: the old one names its successor, and the new one proves that it exists. The note is a change
//! of the log, so an export has it, and a holder of an old verifier key can follow it to the new one offline. For [`HANDOVER`] checkpoints have both signatures, for those who
//! cannot; then the old key signs no more. Its sealed half goes with the next succession.
//!
//! **What an old key is still worth.** It verifies what somebody kept from its time, and an anchor or a checkpoint in the live index of a log
//! no longer than it was when the key was succeeded: a node that ran beside the succession may have written one. For whoever trusts the new key it verifies nothing else. It is
//! worth as much as before to those who trust it still, and in an older copy of the journal that is put back with an anchor of that time:
//! only a checkpoint that is kept elsewhere, in Redis or by an auditor, tells of that.

use super::kek::BlobName;
use crate::domain::log::change::Change;
use crate::domain::log::entry::Entry;
use crate::domain::log::journal::JournalChange;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::journal::tree::note::{Checkpoint, Kept, NoteFault, SignerKey, VerifierKey, sign};

/// The kind of the change.
pub(in crate::journal) const SUCCEEDED: &str = "checkpoint-key.succeeded";

/// The time for which checkpoints have the signature of the previous key as well.
pub const HANDOVER: Seconds = Seconds::days(90);

/// The succession of one key by another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Succession {
    from: VerifierKey,
    to: VerifierKey,
}

/// Keys of one log, each the successor of the one before. One of them is trusted to begin with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lineage {
    keys: Vec<VerifierKey>,
    trusted: usize,
}

/// The keys of a log that is at hand, with the size of the log at each succession.
///
/// The last of them is trusted.
#[derive(Clone)]
pub struct Keys {
    lineage: Lineage,
    /// For each key but the last, the entry of its succession.
    succeeded_at: Vec<u64>,
}

/// The keys that sign checkpoints. Neither printable nor serialisable.
pub struct Signers {
    current: SignerKey,
    earlier: Option<(SignerKey, Timestamp)>,
    keys: Keys,
}

impl Succession {
    /// The statement, signed by both.
    pub fn statement(from: &SignerKey, to: &SignerKey) -> Result<String, NoteFault> {
        let both = Self { from: from.verifier().clone(), to: to.verifier().clone() };
        sign(&both.text(), &[from, to])
    }

    /// Reads a statement, whose two signatures are found right.
    pub fn read(statement: &str) -> Result<Self, NoteFault> {
        let mut lines = statement.lines().skip(1);
        let mut key = |before: &str| lines.next().and_then(|line| line.strip_prefix(before)?.parse().ok());
        let (from, to) = key("checkpoint key ").zip(key("succeeded by ")).ok_or(NoteFault::Key)?;
        let read = Self { from, to };
        let is_ours = read.from.name() == read.to.name() && read.from != read.to;
        for key in [&read.from, &read.to] {
            if key.open(statement)? != read.text() || !is_ours {
                return Err(NoteFault::Key);
            }
        }
        Ok(read)
    }

    fn text(&self) -> String {
        format!("{}\ncheckpoint key {}\nsucceeded by {}\n", self.from.name(), self.from, self.to)
    }
}

impl Lineage {
    /// The keys before and after `trusted`, as far as `successions`, in their order, lead.
    pub fn around(trusted: &VerifierKey, successions: &[Succession]) -> Self {
        let mut keys = vec![trusted.clone()];
        for earlier in successions.iter().rev() {
            if keys.first() == Some(&earlier.to) && !keys.contains(&earlier.from) {
                keys.insert(0, earlier.from.clone());
            }
        }
        let at = keys.len() - 1;
        for later in successions {
            if keys.last() == Some(&later.from) && !keys.contains(&later.to) {
                keys.push(later.to.clone());
            }
        }
        Self { keys, trusted: at }
    }

    /// The key that is trusted.
    pub fn trusted(&self) -> &VerifierKey {
        // Invariant: made with at least one key, at that index.
        &self.keys[self.trusted]
    }

    /// Whether `key` is the trusted one, or came before it.
    pub fn reaches(&self, key: &VerifierKey) -> bool {
        self.keys[..=self.trusted].contains(key)
    }

    /// The text of a note that the trusted key signed, or one that came after it.
    pub fn open<'n>(&self, note: &'n str) -> Result<&'n str, NoteFault> {
        open(&self.keys[self.trusted..], note)
    }

    /// The same of a note that somebody kept: it may be from the time of an earlier key.
    pub fn open_kept<'n>(&self, note: &'n str) -> Result<&'n str, NoteFault> {
        open(&self.keys, note)
    }
}

fn open<'n>(keys: &[VerifierKey], note: &'n str) -> Result<&'n str, NoteFault> {
    for key in keys {
        match key.open(note) {
            Err(NoteFault::Unsigned) => {}
            outcome => return outcome,
        }
    }
    Err(NoteFault::Unsigned)
}

impl Keys {
    /// The checkpoint of a note that was kept outside of the log.
    ///
    /// The key that signs now signed it, or an earlier one while the log was no longer than at its succession. Without that limit a thief of an old key could sign a later head, and prove a loss by it.
    pub fn open(&self, note: &str) -> Result<Kept, NoteFault> {
        let ends = self.succeeded_at.iter().copied().chain([u64::MAX]);
        for (key, end) in self.lineage.keys.iter().zip(ends) {
            match key.open(note).and_then(Kept::parse) {
                Ok(kept) if kept.checkpoint.size <= end => return Ok(kept),
                Ok(_) | Err(NoteFault::Unsigned) => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(NoteFault::Unsigned)
    }

    /// Whether `key` is one of them.
    pub fn reaches(&self, key: &VerifierKey) -> bool {
        self.lineage.reaches(key)
    }
}

impl Signers {
    /// The first key of a log.
    pub fn first(key: SignerKey) -> Self {
        let lineage = Lineage::around(key.verifier(), &[]);
        Self { current: key, earlier: None, keys: Keys { lineage, succeeded_at: Vec::new() } }
    }

    /// The keys of a log with these `successions`, which are the entries `succeeded_at`.
    ///
    /// `earlier` is the key before the current one, and the time until which it signs as well. None if the current key is not the one that
    /// the changes name.
    pub(super) fn of_line(
        (current, earlier): (SignerKey, Option<(SignerKey, Timestamp)>),
        successions: &[Succession],
        succeeded_at: Vec<u64>,
    ) -> Option<Self> {
        let lineage = Lineage::around(current.verifier(), successions);
        let is_whole = lineage.keys.len() == successions.len() + 1 && lineage.trusted == successions.len();
        is_whole.then_some(Self { current, earlier, keys: Keys { lineage, succeeded_at } })
    }

    /// Replaces the key that signs now by `next`, and returns the statement of it.
    ///
    /// That holds from the entry `at` and the time `now` on.
    pub fn succeeded(self, next: SignerKey, (at, now): (u64, Timestamp)) -> Result<(Self, String), NoteFault> {
        let statement = Succession::statement(&self.current, &next)?;
        let (mut keys, mut succeeded_at) = (self.keys.lineage.keys, self.keys.succeeded_at);
        keys.push(next.verifier().clone());
        succeeded_at.push(at);
        let lineage = Lineage { trusted: keys.len() - 1, keys };
        let earlier = Some((self.current, now.plus(HANDOVER)));
        Ok((Self { current: next, earlier, keys: Keys { lineage, succeeded_at } }, statement))
    }

    /// Signs a checkpoint: with the key, and with the one before while that is handed over.
    pub fn sign(&self, checkpoint: &Checkpoint, now: Timestamp) -> Result<String, NoteFault> {
        checkpoint.signed(&self.signing(now))
    }

    /// Signs a checkpoint with the key alone. The note is the same each time, until another key succeeds it.
    pub fn sign_alone(&self, checkpoint: &Checkpoint) -> Result<String, NoteFault> {
        checkpoint.signed(&[&self.current])
    }

    /// Signs a checkpoint that is kept with its epoch, as [`Self::sign`] does.
    pub fn sign_kept(&self, kept: &Kept, now: Timestamp) -> Result<String, NoteFault> {
        let text = kept.text();
        if Kept::parse(&text)? != *kept {
            return Err(NoteFault::Checkpoint);
        }
        sign(&text, &self.signing(now))
    }

    fn signing(&self, now: Timestamp) -> Vec<&SignerKey> {
        let earlier = self.earlier.as_ref().filter(|(_, until)| now < *until).map(|(key, _)| key);
        earlier.into_iter().chain([&self.current]).collect()
    }

    /// The key that a reader trusts today.
    pub fn verifier(&self) -> &VerifierKey {
        self.keys.lineage.trusted()
    }

    /// It, and all that were before it.
    pub fn lineage(&self) -> &Lineage {
        &self.keys.lineage
    }

    /// The same, each with how long the log was when it was succeeded.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// How many keys there were before.
    pub fn number(&self) -> usize {
        self.keys.lineage.trusted
    }
}

/// The name of the sealed seed of the key with this number.
pub fn name(number: usize) -> BlobName {
    match number {
        0 => BlobName::of_journal("checkpoint"),
        number => BlobName::of_journal(&format!("checkpoint-{number}")),
    }
}

/// The succession that an entry states, and when.
pub fn stated(entry: &[u8]) -> Option<(Succession, Timestamp)> {
    let (statement, time) = said(entry)?;
    Some((Succession::read(&statement).ok()?, time))
}

/// The statement of a succession that an entry has. Its signatures are not verified.
pub fn statement(entry: &[u8]) -> Option<String> {
    said(entry).map(|(statement, _)| statement)
}

fn said(entry: &[u8]) -> Option<(String, Timestamp)> {
    // Few of many entries are worth parsing.
    std::str::from_utf8(entry).ok().filter(|text| text.contains(SUCCEEDED))?;
    let Ok(Entry::Change(entry)) = Entry::parse(entry) else { return None };
    let Change::Journal(JournalChange::CheckpointKeySucceeded { statement }) = &entry.change.what else { return None };
    Some((statement.clone(), entry.time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SignerKey {
        SignerKey::from_seed("log.example", &[seed; 32]).expect("a key")
    }

    fn succession(from: u8, to: u8) -> Succession {
        Succession::read(&Succession::statement(&key(from), &key(to)).expect("signed")).expect("signed by both")
    }

    #[test]
    fn a_statement_needs_both_signatures_and_says_nothing_else() {
        let statement = Succession::statement(&key(1), &key(2)).expect("signed");
        let text = statement.split_once("\n\n").expect("a note").0.to_owned() + "\n";
        for signers in [vec![key(1)], vec![key(2)], vec![key(1), key(3)], vec![key(3), key(2)]] {
            let note = sign(&text, &signers.iter().collect::<Vec<_>>()).expect("signed");
            assert!(Succession::read(&note).is_err(), "{note}");
        }
        let (one, two) = (key(1), key(2));
        let other = SignerKey::from_seed("other.example", &[1; 32]).expect("a key");
        for (text, signers) in [
            (text.replace("log.example\n", "other.example\n"), [&one, &two]),
            (format!("{text}and more\n"), [&one, &two]),
            (text.replace(&two.verifier().to_string(), &one.verifier().to_string()), [&one, &one]),
            (text.replace(&one.verifier().to_string(), &other.verifier().to_string()), [&other, &two]),
        ] {
            assert!(Succession::read(&sign(&text, &signers).expect("signed")).is_err(), "{text}");
        }
        for bad in ["", "\n\n\n", "log.example\ncheckpoint key x\nsucceeded by y\n\n— a b\n"] {
            assert!(Succession::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn trust_goes_forward_and_back_only_for_what_was_kept() {
        let checkpoint =
            Checkpoint { origin: "log.example".to_owned(), size: 7, root: crate::domain::value::digest::Digest::of(b"x") };
        let notes: Vec<String> = (1..=4).map(|seed| checkpoint.signed(&[&key(seed)]).expect("signed")).collect();
        // The fourth is somebody else's, and a key that follows itself in a ring is met once.
        let successions = [succession(1, 2), succession(2, 3), succession(3, 1)];
        for trusted in 1..=3_u8 {
            let lineage = Lineage::around(key(trusted).verifier(), &successions[..2]);
            let opened: Vec<bool> = notes.iter().map(|note| lineage.open(note).is_ok()).collect();
            let kept: Vec<bool> = notes.iter().map(|note| lineage.open_kept(note).is_ok()).collect();
            assert_eq!(opened, [trusted <= 1, trusted <= 2, true, false], "{trusted}");
            assert_eq!(kept, [true, true, true, false], "{trusted}");
            assert!(lineage.reaches(key(1).verifier()) && lineage.reaches(key(trusted).verifier()));
            assert_eq!(lineage.reaches(key(3).verifier()), trusted == 3);
            assert!(Lineage::around(key(trusted).verifier(), &successions).keys.len() <= 3);
        }
        assert!(Lineage::around(key(1).verifier(), &[succession(2, 3)]).open(&notes[2]).is_err(), "a gap is no way");
    }

    #[test]
    fn two_keys_sign_while_one_is_handed_over() {
        let checkpoint =
            Checkpoint { origin: "log.example".to_owned(), size: 7, root: crate::domain::value::digest::Digest::of(b"x") };
        let now = Timestamp::from_seconds(1_000_000).expect("a time");
        let (signers, statement) = Signers::first(key(1)).succeeded(key(2), (7, now)).expect("signed");
        assert_eq!(Succession::read(&statement), Ok(succession(1, 2)));
        let by = |note: &str| [1, 2].map(|seed| key(seed).verifier().open(note).is_ok());
        assert_eq!(by(&signers.sign(&checkpoint, now).expect("signed")), [true, true]);
        assert_eq!(by(&signers.sign(&checkpoint, now.plus(HANDOVER)).expect("signed")), [false, true]);
        assert_eq!((signers.verifier(), signers.number()), (key(2).verifier(), 1));
        // An anchor by the old key alone is of a log that was no longer than when it was succeeded.
        for (seed, size, holds) in [(1, 7, true), (1, 8, false), (2, 7, true), (2, 8, true), (3, 7, false)] {
            let note = Checkpoint { size, ..checkpoint.clone() }.signed(&[&key(seed)]).expect("signed");
            assert_eq!(signers.keys().open(&note).is_ok(), holds, "{seed} {size}");
        }
    }
}
