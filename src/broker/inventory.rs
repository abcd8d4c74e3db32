//! The inventory: every way in, one row for each, with what it reaches, when it was last used and what ends it.
//!
//! Enter through [`Broker::inventory`], which makes one page. A page costs the integrations that it looks at: texts of people, uses and
//! decisions are looked up for those alone. A filter may pass over many, so a page ends after [`LOOKED_AT`] integrations and says where the
//! next one begins, even where it shows nothing.

use std::ops::Bound;

use super::Broker;
use super::failure::Failure;
use super::view::approval::OwnersView;
use super::view::way_in::WayInView;
use super::words::{Words, sealed};
use crate::domain::credential::certificate::Leaf;
use crate::domain::decision::guard::{Guarded, Guards as _};
use crate::domain::decision::uses::Use;
use crate::domain::decision::ways_in::{Used, WayIn, secret_of, ways_in};
use crate::domain::registry::integration::Owners;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{IntegrationId, PartnerName};
use crate::domain::value::text::Text;

/// The most integrations that one page looks at.
const LOOKED_AT: usize = 500;

/// Integrations whose texts and uses are looked up together.
const TOGETHER: usize = 50;

/// The rows that somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// Of this partner.
    pub partner: Option<PartnerName>,
    /// Of the person with this address.
    pub owner: Option<String>,
    /// Those that end within this time.
    pub ends_within: Option<Seconds>,
    /// Those that nobody used for so long. A way in whose last use is unknown is left out.
    pub unused: Option<Seconds>,
}

/// A page of rows, and the key after which the next one begins.
#[derive(Debug)]
pub struct Inventory {
    /// The rows.
    pub rows: Vec<WayInView>,
    /// The key.
    pub next: Option<String>,
}

impl Broker {
    /// A page of at most `limit` rows that come after the key `after`: that of a row, or an integration.
    ///
    /// # Errors
    /// The store is away.
    pub async fn inventory(&self, sought: &Sought, after: Option<&str>, limit: usize) -> Result<Inventory, Failure> {
        let (view, now) = (self.journal.view(), self.now());
        let state = &view.state;
        let guard = self.guards(&view).await.of(state);
        let leaves: Vec<&Leaf> = state.certificates.leaves().filter(|leaf| now < leaf.ends).collect();
        let ids: Vec<&IntegrationId> = integrations(state, sought, after).take(LOOKED_AT + 1).collect();
        let is_cut = ids.len() > LOOKED_AT;
        let mut found: Vec<(String, WayInView)> = Vec::new();
        for ids in ids.get(..LOOKED_AT).unwrap_or(&ids).chunks(TOGETHER) {
            let ways: Vec<WayIn> = ids.iter().flat_map(|id| ways_in(state, id, &leaves, now)).collect();
            let ways = ways.iter().map(|way| (way.key(), way)).filter(|(key, _)| after.is_none_or(|after| follows(key, after)));
            // Without a filter nothing beyond the page is looked up.
            let most = if sought.takes_everything() { limit.saturating_sub(found.len()).saturating_add(1) } else { usize::MAX };
            let ways: Vec<(String, &WayIn)> = ways.take(most).collect();
            let texts = ways.iter().flat_map(|(_, way)| texts(state, way));
            let words = Words::of(self, sealed(texts)).await?;
            let mut clients: Vec<String> = ways.iter().map(|(_, way)| way.integration.to_string()).collect();
            clients.dedup();
            let uses = self.journal.newest_uses(&clients).await.map_err(Failure::from)?;
            for (key, way) in ways {
                let uses = uses.get(&way.integration.to_string()).map_or(&[][..], Vec::as_slice);
                let on = Guarded { state, guard: &*guard };
                if let Some(row) = row(way, (on, now), uses, &words, sought) {
                    found.push((key, row));
                }
                if found.len() > limit {
                    return Ok(page(found, limit));
                }
            }
            tokio::task::yield_now().await;
        }
        let next = ids.get(LOOKED_AT - 1).filter(|_| is_cut).map(ToString::to_string);
        Ok(Inventory { rows: found.into_iter().map(|(_, row)| row).collect(), next })
    }
}

impl Sought {
    /// Whether no row is passed over.
    fn takes_everything(&self) -> bool {
        let Self { partner: _, owner, ends_within, unused } = self;
        owner.is_none() && ends_within.is_none() && unused.is_none()
    }
}

/// The first `limit` of the rows; there are more.
fn page(mut found: Vec<(String, WayInView)>, limit: usize) -> Inventory {
    found.truncate(limit);
    let next = found.last().map(|(key, _)| key.clone());
    Inventory { rows: found.into_iter().map(|(_, row)| row).collect(), next }
}

/// The integration that a key begins with, and whether the key is of a row of it.
fn integration_of(key: &str) -> (Option<IntegrationId>, bool) {
    let (id, is_row) = key.split_once(':').map_or((key, false), |(id, _)| (id, true));
    (id.parse().ok(), is_row)
}

/// Whether a row comes after the key. Integrations are in order by partner and name, and the rows of one by their keys.
fn follows(key: &str, after: &str) -> bool {
    let ((own, _), (other, is_row)) = (integration_of(key), integration_of(after));
    own != other || (is_row && key > after)
}

fn integrations<'s>(state: &'s State, sought: &Sought, after: Option<&str>) -> impl Iterator<Item = &'s IntegrationId> {
    let partner = sought.partner.clone();
    let mut from = match after.map(integration_of) {
        Some((Some(id), true)) => Bound::Included(id),
        Some((Some(id), false)) => Bound::Excluded(id),
        Some((None, _)) | None => Bound::Unbounded,
    };
    if let Some(least) = partner.as_ref().map(IntegrationId::least_of)
        && !matches!(&from, Bound::Included(id) | Bound::Excluded(id) if *id >= least)
    {
        from = Bound::Included(least);
    }
    let rest = state.integrations.range((from, Bound::Unbounded)).map(|(id, _)| id);
    rest.take_while(move |id| partner.as_ref().is_none_or(|own| id.partner == *own))
}

fn owners<'s>(state: &'s State, way: &WayIn) -> Option<&'s Owners> {
    Some(&state.integrations.get(&way.integration)?.current.as_ref()?.record.owners)
}

fn texts<'s>(state: &'s State, way: &WayIn) -> impl Iterator<Item = &'s Text> {
    let owners = owners(state, way).into_iter().flat_map(|owners| [&owners.business, &owners.application]);
    owners.chain(secret_of(state, way).map(|secret| &secret.owner))
}

/// The row of a way in, if it is asked for.
fn row(
    way: &WayIn,
    (on, now): (Guarded<'_>, Timestamp),
    uses: &[(Timestamp, Use)],
    words: &Words,
    sought: &Sought,
) -> Option<WayInView> {
    let plain = |text: &Text| words.plain(text).map(str::to_owned);
    if let Some(address) = &sought.owner
        && !texts(on.state, way).filter_map(|text| words.plain(text)).any(|known| known.eq_ignore_ascii_case(address))
    {
        return None;
    }
    let told = way.standing(on, now)?;
    if let Some(within) = sought.ends_within
        && told.ends.is_none_or(|end| end.at > now.plus(within))
    {
        return None;
    }
    let (since, is_known) = (told.since, !matches!(told.used, Used::Unknown));
    let mut row = WayInView::of(way, told, uses);
    if let Some(unused) = sought.unused
        && !(is_known && row.last_use.or(since).is_some_and(|last| now >= last.plus(unused)))
    {
        return None;
    }
    if let Some(owners) = owners(on.state, way) {
        row.owners = OwnersView { business: plain(&owners.business), application: plain(&owners.application) };
    }
    if let Some(secret) = secret_of(on.state, way) {
        (row.what, row.owner) = (Some(secret.what.clone()), plain(&secret.owner));
    }
    Some(row)
}
