//! What a partner did, and what was done about it: tokens and refusals by place, and changes with their authors.
//!
//! Enter through [`Broker::activity`]. Counts are of entries in the database. What entries do not know is told as not known: an issued token
//! does not say from which network it was asked for, nor a refusal through which binding.

use std::collections::BTreeMap;

use super::Broker;
use super::failure::Failure;
use super::view::activity::{ActivityView, DoneView, IssuedView, RefusedView, Window};
use super::words::{Words, names, sealed};
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::asked_for::AskedFor;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::reason::ReasonCode;
use crate::domain::state::State;
use crate::domain::state::about::{About, words};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, PartnerName};
use crate::domain::value::text::Text;
use crate::journal::{Page, Query};

/// The most refusals that are read for one answer. A client has a quota of them, and further ones are counted.
const REFUSALS: usize = 10_000;

/// The entries that are read at a time.
const READ: u32 = 1_000;

/// What is counted together.
type Place = (String, Option<EnvironmentName>, &'static str, AskedFor);

impl Broker {
    /// The activity of a partner in a window: with `before` a later page of its changes alone. The newest come first.
    ///
    /// # Errors
    /// The journal does not answer in time.
    pub async fn activity(
        &self,
        partner: &PartnerName,
        window: Window,
        (before, limit): (Option<u64>, u32),
    ) -> Result<(ActivityView, Option<u64>), Failure> {
        let view = self.journal.view();
        let about = About::of(partner, &view.state);
        let all =
            Query { since: Some(window.0), until: Some(window.1), about: Some(about), newest_first: true, ..Query::default() };
        let changes = Query { changes_alone: true, to: before, limit: Some(limit), ..all.clone() };
        let page = self.journal.page(&changes).await?;
        let more = self.journal.beyond(&changes, &page).await?;
        let items = self.done(&page, &view.state).await?;
        let mut shown = ActivityView::of(partner, window, items, more);
        if before.is_none() {
            let everything = (0, u64::MAX);
            let of_partner = Clients::Of(partner.clone());
            let (issued, counted) = self.journal.issued_by_place(&of_partner, everything, window).await?;
            shown.counted_from = Some(counted);
            shown.issued = Some(issued.into_iter().map(IssuedView::of).collect());
            let (refused, is_all) = self.refused(&all, &view.state).await?;
            (shown.refused, shown.refused_more) = (Some(refused), Some(!is_all));
        }
        Ok((shown, page.after))
    }

    /// The changes of a page, with the names and texts in plain.
    async fn done(&self, page: &Page, state: &State) -> Result<Vec<DoneView>, Failure> {
        let changes: Vec<&ChangeEntry> = page
            .entries
            .iter()
            .filter_map(|stored| match &stored.entry {
                Entry::Change(entry) => Some(&**entry),
                Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => None,
            })
            .collect();
        let texts = changes.iter().flat_map(|entry| names(&entry.change.by).chain(entry.change.what.reason()));
        let told = Words::of(self, sealed(texts)).await?;
        let plain = |text: &Text| told.plain(text).map(str::to_owned);
        let view = |entry: &&ChangeEntry| DoneView {
            index: entry.index,
            time: entry.time,
            kind: entry.change.what.kind(),
            about: words(&entry.subject, state),
            subject: entry.subject.clone(),
            by: told.actor(&entry.change.by),
            reason: entry.change.what.reason().and_then(plain),
        };
        Ok(changes.iter().map(view).collect())
    }

    /// The refusals by place, and whether these are all.
    async fn refused(&self, all: &Query, state: &State) -> Result<(Vec<RefusedView>, bool), Failure> {
        let mut places: BTreeMap<Place, (u64, Timestamp)> = BTreeMap::new();
        let (mut read, mut is_all) = (0, true);
        let mut add = |place: Place, count: u64, at: Timestamp| {
            let (known, last) = places.entry(place).or_insert((0, at));
            (*known, *last) = (known.saturating_add(count), at.max(*last));
        };
        for kind in ["refused", "refusals"] {
            let mut to = None;
            loop {
                let query = Query { kind: Some(kind.to_owned()), to, limit: Some(READ), ..all.clone() };
                let page = self.journal.page(&query).await?;
                read += page.entries.len();
                for stored in &page.entries {
                    match &stored.entry {
                        Entry::Refused(entry) => {
                            let environment = Some(entry.environment.clone());
                            let asked = AskedFor::of(entry, state);
                            add((entry.subject.to_string(), environment, entry.reason.0.code, asked), 1, entry.time);
                        }
                        Entry::Counted(entry) => {
                            for (code, count) in &entry.counts {
                                let Some(reason) = crate::domain::reason::Reason::find(code) else { continue };
                                let place = (entry.subject.clone(), None, reason.code, AskedFor::default());
                                add(place, *count, entry.time);
                            }
                        }
                        Entry::Issued(_) | Entry::Change(_) => {}
                    }
                }
                to = page.after;
                if to.is_none() {
                    break;
                }
                if read >= REFUSALS {
                    is_all = false;
                    break;
                }
            }
        }
        let view = |((integration, environment, code, asked), (count, last)): (Place, (u64, Timestamp))| {
            let reason = crate::domain::reason::Reason::find(code).map(ReasonCode)?;
            let AskedFor { api, network } = asked;
            Some(RefusedView { integration, environment, reason, api, binding: None, network, count, last })
        };
        Ok((places.into_iter().filter_map(view).collect(), is_all))
    }
}
