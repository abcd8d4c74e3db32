//! Examples of everything that a journal entry can say: each kind of change, each optional field with and without a value, each
//! variant of each enum.
//!
//! Enter through [`Examples::changes`]. The golden journal (`journal::tests::golden`) is made of them, and its tests find what is missing:
//! [`coverage`] tells which fields and variants a serialised value has. Every struct is written out, so a new field does not compile
//! until it has a value here. [`facts`] is the canonical form of a state, of which the golden journal keeps a digest.

mod changes;
pub mod coverage;
mod dates;
mod entries;
mod offboardings;
mod owners;
mod records;
mod reviews;
mod suspensions;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use super::fixture::{Seeded, at};
use super::log::change::Attributed;
use super::people::actor::{Actor, Person, Role};
use super::registry::approval::{Approval, Kind, Review, Verdict};
use super::value::digest::Digest;
use super::value::names::Issuer;
use super::value::text::{Text, TextRow};

pub use super::state::facts;
pub use changes::{ORIGIN, targets};
pub use dates::dates;
pub use records::small_eligible;

/// Makes examples.
#[derive(Default)]
pub struct Examples {
    /// What sealed texts stand for, where texts are sealed, as in an entry.
    sealed: Option<RefCell<BTreeMap<String, TextRow>>>,
    /// What each text begins with.
    mark: &'static str,
}

/// What each personal text of [`Examples::marked`] begins with. Nothing else has it.
pub const MARK: &str = "personal text: ";

/// A change as it goes into the journal, with the texts that it brings.
pub struct Example {
    /// With its texts sealed.
    pub change: Attributed,
    /// What those stand for.
    pub texts: Vec<TextRow>,
}

/// Reads a name or another text that has a type of its own.
fn parsed<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

impl Examples {
    /// Examples whose texts are sealed.
    pub fn sealed() -> Self {
        Self { sealed: Some(RefCell::default()), ..Self::default() }
    }

    /// Examples whose texts are plain.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Examples whose texts are plain, and can be told from all else by their [`MARK`].
    pub fn marked() -> Self {
        Self { mark: MARK, ..Self::default() }
    }

    /// A text. One text always has the same salt, so that a change is the same whenever it is made.
    fn text(&self, words: &str) -> Text {
        let mut text = Text::Plain(format!("{}{words}", self.mark));
        if let Some(sealed) = &self.sealed {
            let [a, b, c, d, e, f, g, h, ..] = Digest::of(words.as_bytes()).0;
            let row = text.seal(&Seeded::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]))).expect("it was plain");
            sealed.borrow_mut().insert(row.digest.to_string(), row);
        }
        text
    }

    /// The change with the rows of the texts in it.
    fn example(&self, change: Attributed) -> Example {
        let json = serde_json::to_string(&change).expect("JSON");
        let rows = self.sealed.as_ref().map(RefCell::borrow);
        let rows = rows.iter().flat_map(|rows| rows.values()).filter(|row| json.contains(&row.digest.to_string()));
        Example { texts: rows.cloned().collect(), change }
    }

    /// A person whose name is known.
    fn named(&self, id: &str) -> Person {
        Person { iss: staff(), id: id.into(), name: Some(self.text(&format!("{id} of Acme"))) }
    }

    /// An approval of which nothing optional is set.
    fn approval(&self, id: &str, kind: Kind, (subject, version): (&str, Digest)) -> Approval {
        Approval {
            id: parsed(id),
            kind,
            subject: subject.to_owned(),
            version,
            requested_by: Actor::Staff(unnamed("raj")),
            barred: Vec::new(),
            slots: kind.slots(),
            expires: at(30 * 86_400),
            reviews: Vec::new(),
            withdrawn: false,
            reason: None,
            opened: Default::default(),
        }
    }

    /// The same approval with everything set that can be.
    fn full_approval(&self, approval: Approval) -> Approval {
        Approval {
            requested_by: Actor::Machine(self.named("pipeline")),
            barred: vec![self.named("raj"), unnamed("otto")],
            slots: [Role::Administrator, Role::Auditor, Role::Owner, Role::Reporter, Role::Security].into(),
            reviews: [Verdict::Approve, Verdict::Deny].map(|verdict| self.review(verdict)).into(),
            withdrawn: true,
            reason: Some(self.text("the partner moves its workloads")),
            ..approval
        }
    }

    fn review(&self, verdict: Verdict) -> Review {
        Review {
            by: self.named("sven"),
            verdict,
            reason: self.text("looked at it"),
            roles: [Role::Security].into(),
            at: at(60),
        }
    }
}

/// The issuer of staff tokens.
fn staff() -> Issuer {
    parsed("https://login.acme.example")
}

/// A person whose name is not known.
fn unnamed(id: &str) -> Person {
    Person { iss: staff(), id: id.into(), name: None }
}
