//! Differences as they are found, and how values of the same form are compared.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Difference, Weight};
use crate::domain::record::form::scalar::word;
use crate::domain::registry::binding::Binding;
use crate::domain::registry::managed::ManagedBy;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::BindingName;
use crate::domain::value::text::Text;

/// Takes two values of one struct apart: each field becomes the pair of both.
///
/// Neither a field that is missing here compiles, nor one that is here and not compared, which is an unused variable: somebody weighs
/// it. After the semicolon stand fields that are known to be the same, or that are compared in a way of their own.
macro_rules! both {
    ($type:ident { $($field:ident),+ $(; $($other:ident),+)? $(,)? } = $pair:expr) => {
        let (old, new): (&$type, &$type) = $pair;
        let $type { $($field: _,)+ $($($other: _),+)? } = old;
        $(
            #[deny(unused_variables)]
            let $field = (&old.$field, &new.$field);
        )+
    };
}

pub(super) use both;

/// Differences as they are found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub list: Vec<Difference>,
    pub effort: Effort,
    pub exhausted: Option<Exhausted>,
}

impl Found {
    pub fn with(effort: Effort) -> Self {
        Self { effort, ..Self::default() }
    }

    /// Whether `new` may be wider than `old`.
    ///
    /// It counts as wider where the comparison did not come to its end, and where both differ without a difference here.
    pub fn widens<T: PartialEq + ?Sized>(&self, old: &T, new: &T) -> bool {
        let unseen = self.list.is_empty() && old != new;
        unseen || self.exhausted.is_some() || self.list.iter().any(|difference| difference.weight == Weight::Widens)
    }

    /// Takes steps from the budget; whether there were so many left.
    ///
    /// Asked before each comparison that takes more than the length of the compared values. Without steps the caller compares
    /// nothing more.
    pub fn spend(&mut self, steps: usize) -> bool {
        if self.exhausted.is_none() {
            self.exhausted = self.effort.take(steps).err();
        }
        self.exhausted.is_none()
    }

    pub fn push(&mut self, at: impl Into<String>, from: Option<String>, to: Option<String>, weight: Weight) {
        self.list.push(Difference { at: at.into(), from, to, weight, ends: None });
    }

    /// An end that may be absent, which is the widest: adding or bringing it forward narrows.
    pub fn end(&mut self, at: impl Into<String>, old: Option<Timestamp>, new: Option<Timestamp>) {
        let earlier = new.is_some_and(|new| old.is_none_or(|old| new <= old));
        self.end_as(at, (old, new), if earlier { Weight::Narrows } else { Weight::Widens });
    }

    /// An end of which a change weighs this.
    pub fn end_as(&mut self, at: impl Into<String>, (old, new): (Option<Timestamp>, Option<Timestamp>), weight: Weight) {
        if old != new {
            let (from, to) = (old.map(|end| end.last_day()), new.map(|end| end.last_day()));
            self.list.push(Difference { at: at.into(), from, to, weight, ends: new });
        }
    }

    /// Two values that weigh the same whichever way they differ.
    pub fn value<T: PartialEq>(
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

    pub fn text(&mut self, at: &str, texts: (&Text, &Text), weight: Weight) {
        self.value(at, texts, shown_text, weight);
    }

    /// Two values of which a change narrows when `narrows(old, new)` says so, and widens otherwise.
    pub fn ranked<T: PartialEq>(
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
    pub fn ceiling<T: PartialOrd + ToString>(&mut self, at: impl Into<String>, old: Option<&T>, new: Option<&T>) {
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
    pub fn set<T: PartialEq>(
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
    pub fn members<T: PartialEq + ToString>(&mut self, at: &str, old: &[T], new: &[T]) {
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

/// Who applies a record. Once people may again, somebody can do more.
pub(super) fn compare_managed(managed_by: (&Option<ManagedBy>, &Option<ManagedBy>), found: &mut Found) {
    let shown = |managed_by: &Option<ManagedBy>| managed_by.map_or_else(|| "people".to_owned(), word);
    found.ranked("metadata.managedBy", managed_by, shown, |_, new| new.is_some());
}

pub(super) fn shown_text(text: &Text) -> String {
    match text {
        Text::Plain(text) => text.clone(),
        Text::Sealed(digest) => digest.to_string(),
    }
}

/// Members in a line; `none` for no condition.
pub(super) fn list<T: ToString>(members: &[T], none: &str) -> String {
    if members.is_empty() {
        return none.to_owned();
    }
    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The keys of two maps, each once, in order.
pub(super) fn union<'a, K: Ord>(old: impl Iterator<Item = &'a K>, new: impl Iterator<Item = &'a K>) -> BTreeSet<&'a K> {
    old.chain(new).collect()
}

/// The bindings by their names; of two of one name the first.
pub(super) fn by_name(bindings: &[Binding]) -> BTreeMap<&BindingName, &Binding> {
    bindings.iter().rev().map(|binding| (&binding.name, binding)).collect()
}
