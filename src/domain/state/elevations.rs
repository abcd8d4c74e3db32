//! All elevations, as the journal tells them. Nothing here forbids a change: it has happened.

use imbl::{HashMap, OrdMap, OrdSet};
use std::ops::Bound;

use super::effects::Entered;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::elevation::Elevation;
use crate::domain::elevation::Ended;
use crate::domain::elevation::Notice;
use crate::domain::elevation::Request;
use crate::domain::elevation::Review;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::people::actor::Actor;
use crate::domain::registry::approval::Verdict;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ElevationId, EnvironmentName, IntegrationId};

/// All elevations that were ever asked for: a fold of the journal, as [`State`](super::State) is.
#[derive(Clone, Debug, Default)]
pub struct Elevations {
    all: OrdMap<ElevationId, Request>,
    /// Those that may still matter to a decision: every exchange that asks for more looks at them.
    by_place: HashMap<(IntegrationId, EnvironmentName), Vec<ElevationId>>,
    /// Break-glass elevations that wait for a review. Every exchange asks whether one is overdue.
    unreviewed: OrdSet<ElevationId>,
    /// Those of which people may still have to be told something as time passes.
    unsettled: OrdSet<ElevationId>,
}

impl Elevations {
    /// One of them.
    pub fn find(&self, id: &ElevationId) -> Option<&Request> {
        self.all.get(id)
    }

    /// All of them, by id.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.all.values()
    }

    /// Those with ids in this range, by id.
    pub fn among(&self, ids: (Bound<ElevationId>, Bound<ElevationId>)) -> impl Iterator<Item = &Request> {
        self.all.range(ids).map(|(_, request)| request)
    }

    /// Those of an integration in one environment that may still count, the oldest request first.
    pub fn of(&self, integration: &IntegrationId, environment: &EnvironmentName) -> impl DoubleEndedIterator<Item = &Request> {
        let ids = self.by_place.get(&(integration.clone(), environment.clone()));
        ids.into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// Break-glass elevations that nobody reviewed in time.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &Request> {
        self.unreviewed.iter().filter_map(|id| self.all.get(id)).filter(move |request| request.is_overdue(now))
    }

    /// Those of one integration that wait for a review.
    pub fn unreviewed_of(&self, integration: &IntegrationId) -> impl Iterator<Item = &Request> {
        self.unreviewed().filter(move |request| request.elevation.integration == *integration)
    }

    /// Break-glass elevations that wait for a review.
    pub fn unreviewed(&self) -> impl Iterator<Item = &Request> {
        self.unreviewed.iter().filter_map(|id| self.all.get(id))
    }

    /// The notice that people are to be given now.
    pub fn notice_due(&self, now: Timestamp) -> Option<(&ElevationId, Notice)> {
        let unsettled = self.unsettled.iter().filter_map(|id| self.all.get(id));
        unsettled.into_iter().find_map(|request| Some((&request.elevation.id, request.notice_due(now)?)))
    }

    /// Folds a change in. Returns the elevation whose tokens it cuts, if it cuts some.
    pub(super) fn apply(&mut self, entry: Entered<'_>, change: &ElevationChange) -> Option<RevocationTarget> {
        let (by, at) = (entry.by, entry.at);
        let over = match change {
            ElevationChange::Asked { elevation } => {
                self.add(elevation.as_ref().clone(), at);
                return None;
            }
            ElevationChange::Noticed { elevation, notice } => {
                self.notice(elevation, *notice);
                return None;
            }
            ElevationChange::Reviewed { elevation, verdict, reason, roles, narrowing, signature } => {
                let by = by.person()?.clone();
                let (reason, roles, narrowing) = (reason.clone(), roles.clone(), narrowing.clone());
                let signature = signature.clone();
                let review = Review { by, verdict: *verdict, reason, roles, narrowing, signature, at };
                self.review(elevation, review).then_some(elevation)?
            }
            ElevationChange::Ended { elevation, reason } => {
                self.end(elevation, Ended { by: by.clone(), reason: Some(reason.clone()), at });
                elevation
            }
        };
        let request = self.find(over)?;
        Some(RevocationTarget::Elevation { environment: request.elevation.environment.clone(), elevation: over.clone() })
    }

    fn add(&mut self, elevation: Elevation, at: Timestamp) {
        let place = (elevation.integration.clone(), elevation.environment.clone());
        let (id, approved) = (elevation.id.clone(), elevation.break_glass.then_some(at));
        let here = self.by_place.entry(place).or_default();
        here.retain(|known| self.all.get(known).is_some_and(|request| !request.is_closed(at)));
        here.push(id.clone());
        if elevation.break_glass {
            self.unreviewed.insert(id.clone());
        }
        self.unsettled.insert(id.clone());
        self.all.insert(id, Request { elevation, asked: at, reviews: Vec::new(), approved, ended: None, noticed: Vec::new() });
    }

    /// Adds a review. Returns whether it ended an elevation that ran: it denied a break-glass.
    fn review(&mut self, id: &ElevationId, review: Review) -> bool {
        let Some(request) = self.all.get_mut(id) else { return false };
        let (by, at, denied) = (review.by.clone(), review.at, review.verdict == Verdict::Deny);
        request.reviews.push(review);
        self.unreviewed.remove(id);
        if denied {
            self.unsettled.remove(id);
            if request.approved.is_some() && request.ended.is_none() {
                request.ended = Some(Ended { by: Actor::Staff(by), reason: None, at });
                return true;
            }
        } else if request.approved.is_none() && request.elevation.rule.open(&request.reviews, request.asked).is_empty() {
            let denied = request.reviews.iter().any(|review| review.verdict == Verdict::Deny);
            request.approved = (!denied).then_some(at);
        }
        false
    }

    fn notice(&mut self, id: &ElevationId, notice: Notice) {
        if let Some(request) = self.all.get_mut(id) {
            request.noticed.push(notice);
        }
        if notice != Notice::Ending {
            self.unsettled.remove(id);
        }
    }

    /// Ends one before its time. What has ended stays as it ended (ABUSE I-9).
    pub(in crate::domain) fn end(&mut self, id: &ElevationId, ended: Ended) {
        if let Some(request) = self.all.get_mut(id) {
            request.ended.get_or_insert(ended);
        }
        self.unsettled.remove(id);
    }

    /// Ends everything of these integrations that waits or runs; they are in their order. Returns how many.
    pub(in crate::domain) fn end_of(&mut self, integrations: &[IntegrationId], ended: &Ended) -> u64 {
        let own = |of: &IntegrationId| integrations.binary_search(of).is_ok();
        let places = self.by_place.iter().filter(|((of, _), _)| own(of)).flat_map(|(_, ids)| ids);
        let open = |id: &&ElevationId| {
            self.all.get(*id).is_some_and(|request| !request.is_closed(ended.at) && request.ended.is_none())
        };
        let open: Vec<ElevationId> = places.filter(open).cloned().collect();
        open.iter().for_each(|id| {
            self.end(id, ended.clone());
            self.unreviewed.remove(id);
        });
        u64::try_from(open.len()).unwrap_or(u64::MAX)
    }

    /// Ends all: after a `reopen` nobody knows what was decided since the backup.
    pub(in crate::domain) fn end_all(&mut self, at: Timestamp) -> Vec<(EnvironmentName, ElevationId)> {
        self.unsettled.clear();
        let open = self.all.values().filter(|request| !request.is_closed(at) && request.ended.is_none());
        let open: Vec<_> = open.map(|request| (request.elevation.environment.clone(), request.elevation.id.clone())).collect();
        for (_, id) in &open {
            self.end(id, Ended { by: Actor::Operator, reason: None, at });
        }
        open
    }
}
