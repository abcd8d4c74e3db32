//! Queries: which entries somebody asks for, and what a query says of an entry wherever it stands.

use crate::domain::log::entry::Entry;
use crate::domain::state::about::{About, actor};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{RequestId, TokenId};

/// A choice of entries.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// From this index on.
    pub from: u64,
    /// Before this index; to the end where nothing is said.
    pub to: Option<u64>,
    /// Exactly this kind; found by an index, but for `issued`, which nearly all are.
    pub kind: Option<String>,
    /// Exactly this subject.
    pub subject: Option<String>,
    /// This request; found by an index.
    pub request_id: Option<RequestId>,
    /// The issuance of this token.
    ///
    /// It is found by looking through `from..to`: bound that by the time that the id begins with, or by the longest life of a token.
    pub token: Option<TokenId>,
    /// Not before this second.
    pub since: Option<Timestamp>,
    /// Before this second.
    pub until: Option<Timestamp>,
    /// By this person, integration, `operator` or `broker`; of tokens and refusals, by this client.
    pub actor: Option<String>,
    /// About this partner and everything of it.
    pub about: Option<About>,
    /// Changes alone: no tokens and no refusals.
    pub changes_alone: bool,
    /// Newest first.
    pub newest_first: bool,
    /// At most so many; 100 where nothing is said, never more than 1000.
    pub limit: Option<u32>,
}

/// An entry as it is stored, and as it reads.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// The exact bytes that were hashed.
    pub json: String,
    /// The entry in them.
    pub entry: Entry,
}

/// The most entries of one answer.
const LONGEST_LIST: u32 = 1000;

/// The most entries that a count looks for: a reader wants to know whether it is a page more or a thousand.
pub const COUNTED: u32 = 100_000;

impl Query {
    /// The most entries of its answer.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).min(LONGEST_LIST) as usize
    }

    /// Whether it asks for entries of a kind that leave the database. Changes are all in it.
    pub fn may_have_left(&self) -> bool {
        !self.changes_alone && self.kind.as_deref().is_none_or(|kind| matches!(kind, "issued" | "refused" | "refusals"))
    }

    /// Whether it asks for every entry between its bounds, but for its times.
    pub fn wants_every_one(&self) -> bool {
        let Self {
            from: _,
            to: _,
            kind,
            subject,
            request_id,
            token,
            since: _,
            until: _,
            actor,
            about,
            changes_alone,
            newest_first: _,
            limit: _,
        } = self;
        !changes_alone
            && kind.is_none()
            && subject.is_none()
            && request_id.is_none()
            && token.is_none()
            && actor.is_none()
            && about.is_none()
    }

    /// Whether it asks for this entry, wherever that stands.
    pub fn wants(&self, entry: &Entry) -> bool {
        let (request, token) = match entry {
            Entry::Issued(entry) => (Some(&entry.request_id), Some(&entry.jti)),
            Entry::Refused(entry) => (Some(&entry.request_id), None),
            Entry::Counted(_) => (None, None),
            Entry::Change(entry) => (entry.request_id.as_ref(), None),
        };
        (!self.changes_alone || matches!(entry, Entry::Change(_)))
            && self.kind.as_deref().is_none_or(|kind| kind == entry.kind())
            && self.subject.as_ref().is_none_or(|wanted| *wanted == entry.subject())
            && self.since.is_none_or(|since| entry.time() >= since)
            && self.until.is_none_or(|until| entry.time() < until)
            && self.actor.as_ref().is_none_or(|wanted| *wanted == actor(entry))
            && self.about.as_ref().is_none_or(|about| about.holds(entry))
            && self.request_id.as_ref().is_none_or(|wanted| Some(wanted) == request)
            && self.token.as_ref().is_none_or(|wanted| Some(wanted) == token)
    }
}
