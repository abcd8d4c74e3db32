//! What a new version of a record changes, and whether each change widens or narrows.
//!
//! Enter through [`compare`]. The rule of the house: what is not clearly narrowing or harmless widens (docs/reference/records.md holds
//! such a change for approval), so a new field that nobody weighed here must be added as a widening. The facts that an approval rests on
//! (purpose, owners, contract, data classes, contacts) widen whichever way they change: nobody approved the other ones. Texts are compared as they
//! are; a caller that has sealed ones joins them first, or a plain and a sealed text count as different.

use super::Record;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::text::Text;

pub use access::{widens_access, widens_binding, widens_elevation, widens_target};

mod access;
mod api;
mod binding;
#[cfg(test)]
mod cases;
mod integration;
mod partner;

/// One field that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The field: `environments.production.limits.ttl`; bindings and scopes by their names.
    pub at: String,
    /// What it was; `None` where it was not there.
    pub from: Option<String>,
    /// What it is to be; `None` where it is gone.
    pub to: Option<String>,
    /// What that does.
    pub weight: Weight,
}

/// What a difference does, the riskiest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Somebody can do more, or somebody else answers for it; or it is not sure that nobody can.
    Widens,
    /// A date on which something that is newly recorded ends.
    Expires,
    /// Nobody can do more, somebody can do less.
    Narrows,
    /// Nobody can do more or less.
    Neutral,
}

impl Weight {
    /// As `plan` prints it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Widens => "WIDENS",
            Self::Expires => "EXPIRES",
            Self::Narrows => "narrows",
            Self::Neutral => "neutral",
        }
    }
}

/// What `new` changes of `old`, ordered by risk. The order of a list is no difference.
///
/// Without `old`, or where it is a record of another kind or name, everything is new.
///
/// # Errors
/// It takes more than `effort` has left: nothing is known then, and the new version counts as one that widens.
pub fn compare(old: Option<&Record>, new: &Record, effort: &mut Effort) -> Result<Vec<Difference>, Exhausted> {
    let mut found = Found::with(*effort);
    match (old, new) {
        (Some(Record::Api(old)), Record::Api(new)) if old.name == new.name => api::compare(old, new, &mut found),
        (Some(Record::Partner(old)), Record::Partner(new)) if old.name == new.name => partner::compare(old, new, &mut found),
        (Some(Record::Integration(old)), Record::Integration(new)) if old.id == new.id => {
            found.spend(old.exceptions.len().saturating_mul(new.exceptions.len()));
            integration::compare(old, new, &mut found);
        }
        (_, Record::Api(new)) => api::introduce(new, &mut found),
        (_, Record::Partner(new)) => partner::introduce(new, &mut found),
        (_, Record::Integration(new)) => integration::introduce(new, &mut found),
    }
    *effort = found.effort;
    found.exhausted.map_or(Ok(()), Err)?;
    found.list.sort_by_key(|difference| difference.weight);
    Ok(found.list)
}

/// Whether nothing in `differences` could let anybody do more: every one narrows or is neutral. Without a difference nothing is proved: a
/// version that is another one, and differs in nothing that is weighed here, waits for people.
pub fn is_provably_narrowing(differences: &[Difference]) -> bool {
    !differences.is_empty()
        && differences.iter().all(|difference| matches!(difference.weight, Weight::Narrows | Weight::Neutral))
}

/// Differences as they are found.
#[derive(Debug, Default)]
struct Found {
    list: Vec<Difference>,
    effort: Effort,
    exhausted: Option<Exhausted>,
}

impl Found {
    fn with(effort: Effort) -> Self {
        Self { effort, ..Self::default() }
    }

    /// Whether something widens. What was not compared to its end is not known not to.
    fn widens(&self) -> bool {
        self.exhausted.is_some() || self.list.iter().any(|difference| difference.weight == Weight::Widens)
    }

    /// Takes steps from the budget, before each comparison that takes more than the length of what is compared; whether there were so
    /// many left. Without them the caller compares nothing more.
    fn spend(&mut self, steps: usize) -> bool {
        if self.exhausted.is_none() {
            self.exhausted = self.effort.take(steps).err();
        }
        self.exhausted.is_none()
    }

    fn push(&mut self, at: impl Into<String>, from: Option<String>, to: Option<String>, weight: Weight) {
        self.list.push(Difference { at: at.into(), from, to, weight });
    }

    /// Two values that weigh the same whichever way they differ.
    fn value<T: PartialEq>(
        &mut self,
        at: impl Into<String>,
        (old, new): (&T, &T),
        show: impl Fn(&T) -> String,
        weight: Weight,
    ) {
        if old != new {
            self.push(at, Some(show(old)), Some(show(new)), weight);
        }
    }

    fn text(&mut self, at: &str, texts: (&Text, &Text), weight: Weight) {
        self.value(at, texts, shown_text, weight);
    }

    /// Two values of which a change narrows when `narrows(old, new)` says so, and widens otherwise.
    fn ranked<T: PartialEq>(
        &mut self,
        at: impl Into<String>,
        (old, new): (&T, &T),
        show: impl Fn(&T) -> String,
        narrows: impl Fn(&T, &T) -> bool,
    ) {
        if old != new {
            let weight = if narrows(old, new) { Weight::Narrows } else { Weight::Widens };
            self.push(at, Some(show(old)), Some(show(new)), weight);
        }
    }

    /// A ceiling that may be absent, which is the widest: adding or lowering it narrows.
    fn ceiling<T: PartialOrd + ToString>(&mut self, at: impl Into<String>, old: Option<&T>, new: Option<&T>) {
        if old != new {
            let narrows = match (old, new) {
                (None, Some(_)) => true,
                (Some(old), Some(new)) => new <= old,
                (_, None) => false,
            };
            let weight = if narrows { Weight::Narrows } else { Weight::Widens };
            self.push(at, old.map(ToString::to_string), new.map(ToString::to_string), weight);
        }
    }

    /// Two sets that weigh the same whichever way they differ. The order of a list is no difference.
    fn set<T: PartialEq>(
        &mut self,
        at: &str,
        (old, new): (&Vec<T>, &Vec<T>),
        show: impl Fn(&Vec<T>) -> String,
        weight: Weight,
    ) {
        if !self.spend(old.len().saturating_mul(new.len())) {
            return;
        }
        if old.iter().any(|member| !new.contains(member)) || new.iter().any(|member| !old.contains(member)) {
            self.push(at, Some(show(old)), Some(show(new)), weight);
        }
    }

    /// Two sets whose members each give something.
    fn members<T: PartialEq + ToString>(&mut self, at: &str, old: &[T], new: &[T]) {
        if !self.spend(old.len().saturating_mul(new.len())) {
            return;
        }
        for gone in old.iter().filter(|member| !new.contains(member)) {
            self.push(at, Some(gone.to_string()), None, Weight::Narrows);
        }
        for added in new.iter().filter(|member| !old.contains(member)) {
            self.push(at, None, Some(added.to_string()), Weight::Widens);
        }
    }
}

fn shown_text(text: &Text) -> String {
    match text {
        Text::Plain(text) => text.clone(),
        Text::Sealed(digest) => digest.to_string(),
    }
}

/// Members in a line; `none` for no condition.
fn list<T: ToString>(members: &[T], none: &str) -> String {
    if members.is_empty() {
        return none.to_owned();
    }
    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
