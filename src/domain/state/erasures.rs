//! Texts that people ask us to forget: which requests wait, and which texts are still needed.
//!
//! A text leaves the store with the entry that says so. The state holds digests alone. Enter through [`State::needed`] for the rule: a version
//! in force and an open offboarding need their texts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::effects::{Effects, Entered};
use super::opening::Opening;
use super::{State, Versioned};
use crate::domain::log::text::TextChange;
use crate::domain::record::Record;
use crate::domain::state::offboarding::Case;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::{Text, TextDigest};

/// The version of an approval that has texts forgotten.
pub fn version(texts: &[Text]) -> Digest {
    Digest::of_json(&("erase", texts))
}

impl State {
    /// The texts that an approval would have forgotten, while it waits.
    pub fn erasure(&self, approval: &ApprovalId) -> Option<&[Text]> {
        self.erasures.get(approval).map(|texts| &**texts)
    }

    /// The first of some texts that a version in force or an open offboarding needs. It looks at all of them.
    pub fn needed(&self, texts: &BTreeSet<TextDigest>) -> Option<TextDigest> {
        let apis = self.apis.values().filter_map(|api| needed_by(api.current.as_ref(), texts, |one| Record::Api(one.clone())));
        let partners = self.partners.values().filter(|known| known.ending.as_ref().is_none_or(|ending| !ending.is_over()));
        let partners =
            partners.filter_map(|known| needed_by(known.current.as_ref(), texts, |one| Record::Partner(one.clone())));
        let integrations =
            self.integrations.values().filter(|known| known.ending.as_ref().is_none_or(|ending| !ending.is_over()));
        let integrations =
            integrations.filter_map(|known| needed_by(known.current.as_ref(), texts, |one| Record::Integration(one.clone())));
        let mut cases = self.offboardings.open().filter_map(|case| {
            let registered = case.integrations.iter().flat_map(|id| self.offboardings.registered(id));
            let registered = registered.map(|(_, known)| &known.what);
            of_case(case).chain(registered).filter_map(Text::digest).find(|digest| texts.contains(digest))
        });
        apis.chain(partners).chain(integrations).next().or_else(|| cases.next())
    }

    pub(super) fn apply_text(&mut self, entry: Entered<'_>, change: &TextChange) -> Effects {
        match change {
            TextChange::EraseAsked { texts, reason, approval } => {
                self.erasures.insert(approval.id.clone(), Arc::from(texts.as_slice()));
                self.open(entry.at, None, Opening { approval, reason: Some(reason), lifts: Vec::new() });
                Effects::judged()
            }
            // The texts leave the store with the change.
            TextChange::Erased { texts, .. } => {
                let done = |asked: &Arc<[Text]>| asked.iter().all(|text| texts.contains(text));
                let over: Vec<ApprovalId> =
                    self.erasures.iter().filter(|(_, asked)| done(asked)).map(|(id, _)| id.clone()).collect();
                for approval in over {
                    self.erasures.remove(&approval);
                    self.list_granted(Some(&approval));
                }
                Effects::unjudged()
            }
        }
    }
}

/// The texts of a case.
fn of_case(case: &Case) -> impl Iterator<Item = &Text> {
    let words = case.acknowledged.values().flat_map(|word| word.removed.iter().chain(&word.evidence));
    std::iter::once(&case.reason).chain(words)
}

/// The first of some texts that a version names.
fn needed_by<T>(
    version: Option<&Versioned<T>>,
    texts: &BTreeSet<TextDigest>,
    record: impl Fn(&T) -> Record,
) -> Option<TextDigest> {
    let mut record = record(&version?.record);
    record.texts_mut().into_iter().filter_map(|text| text.digest()).find(|digest| texts.contains(digest))
}
