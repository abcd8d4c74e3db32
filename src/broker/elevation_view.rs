//! Builds the view of one elevation for its approver.
//!
//! It tells what was requested, what is left of it, who must agree, and how the integration usually behaves. Enter through
//! [`Broker::elevation_view`] for one, [`row`] for a list.

use super::Broker;
use super::failure::Failure;
use super::view::approval::OwnersView;
use super::view::elevation::{
    AskedView, BriefingView, DemandView, ElevationKind, ElevationView, EndedView, FallbackView, PrecedentView, RefusalView,
    ReviewView, ScopeView, UsualView,
};
use super::words::{Words, names, sealed};
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::elevation::{Asked, Briefing, Precedent, briefing};
use crate::domain::elevation::{Elevation, Ended, Request, Review};
use crate::domain::log::entry::Entry;
use crate::domain::reason;
use crate::domain::registry::api::Risk;
use crate::domain::registry::integration::{Approvers, Integration};
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ClientId, ElevationId, IntegrationId};
use crate::domain::value::text::Text;
use crate::journal::{Query, StoredEntry};

/// The number of recent refusals that are shown.
const REFUSALS: u32 = 5;

/// The number of newest entries that are counted for the usual behaviour.
///
/// It bounds the cost of a view, even if the journal has years of entries.
const COUNTED: u64 = 100_000;

/// The number of days that are shown.
const DAYS: u32 = 30;

impl Broker {
    /// Builds the full view, with the tokens of each day and the state of the ticket.
    ///
    /// Only for an approver who looks: a decision waits neither for the ticket system nor for a scan of the log.
    ///
    /// # Errors
    /// There is no such elevation, or the journal does not answer.
    pub async fn elevation_seen(&self, id: &ElevationId) -> Result<ElevationView, Failure> {
        let mut shown = self.elevation_view(id).await?;
        if let Some(briefing) = &mut shown.briefing {
            briefing.usual.tokens_by_day = Some(self.by_day(&shown.integration).await?);
        }
        if let (Some(tickets), Some(ticket)) = (&self.tickets, &shown.ticket) {
            shown.ticket_state = Some(tickets.look(ticket).await);
        }
        Ok(shown)
    }

    /// Builds the view without the parts that take longer to find out.
    ///
    /// # Errors
    /// There is no such elevation, or the journal does not answer.
    pub async fn elevation_view(&self, id: &ElevationId) -> Result<ElevationView, Failure> {
        let (view, now) = (self.journal.view(), self.now());
        let request = view.state.elevations.find(id).ok_or(&reason::NOT_FOUND)?;
        let seen = briefing(request, &view.state, now);
        let owners = seen.iter().flat_map(|(_, record)| [&record.purpose, &record.owners.business, &record.owners.application]);
        let words = Words::of(self, sealed(texts(request).chain(owners))).await?;
        let mut shown = row(request, &view.state, &words, now);
        if let Some((seen, record)) = seen {
            shown.briefing = Some(briefed(seen, record, &words, self.usual(&request.elevation.integration).await?));
        }
        Ok(shown)
    }

    /// The integration's tokens of each of the last days, today last.
    ///
    /// A day is `None` if not all of its entries were counted: there are too many, or they have left the database.
    async fn by_day(&self, integration: &IntegrationId) -> Result<Vec<Option<u64>>, Failure> {
        let now = self.now();
        let asked = now.minus(Seconds::days(DAYS));
        let (counted, since) = self.journal.issued_by_day(&integration.to_string(), COUNTED, asked).await?;
        let day = |time: Timestamp| time.as_seconds().div_euclid(86_400);
        // The day on which the counting begins is not whole, unless it is the oldest one asked for.
        let whole = if since > asked { day(since) + 1 } else { day(since) };
        let on = |day: i64| counted.iter().find(|(known, _)| *known == day).map_or(0, |(_, number)| *number);
        Ok((0..i64::from(DAYS)).rev().map(|ago| day(now) - ago).map(|day| (day >= whole).then(|| on(day))).collect())
    }

    /// The usual behaviour of the integration: its last token, and its last refusals.
    async fn usual(&self, integration: &IntegrationId) -> Result<UsualView, Failure> {
        let query = Query {
            from: self.journal.view().size.saturating_sub(COUNTED),
            kind: Some("refused".to_owned()),
            subject: Some(integration.to_string()),
            newest_first: true,
            limit: Some(REFUSALS),
            ..Query::default()
        };
        let refused = self.journal.entries(&query).await?;
        let client = Clients::One(ClientId::Integration(integration.clone()));
        let refusal = |stored: StoredEntry| {
            let Entry::Refused(refused) = stored.entry else { return None };
            Some(RefusalView { at: refused.time, reason: refused.reason, environment: refused.environment })
        };
        Ok(UsualView {
            last_token: self.journal.last_use_of(client).await?,
            last_refusals: refused.into_iter().filter_map(refusal).collect(),
            tokens_by_day: None,
        })
    }
}

/// The texts that a [`row`] shows.
pub fn texts(request: &Request) -> impl Iterator<Item = &Text> {
    let of_reviews = request.reviews.iter().flat_map(|review| review.by.name.iter().chain([&review.reason]));
    let of_end = request.ended.iter().flat_map(|ended| names(&ended.by).chain(&ended.reason));
    names(&request.elevation.requested_by).chain([&request.elevation.reason]).chain(of_reviews).chain(of_end)
}

/// Builds the view of one elevation for a list: its request, what is left of it, and its approvals.
pub fn row(request: &Request, state: &State, words: &Words, now: Timestamp) -> ElevationView {
    let asked = &request.elevation;
    let terms = request.terms();
    let period = request.period();
    let say = |text: &Text| words.plain(text).map(str::to_owned);
    ElevationView {
        id: asked.id.clone(),
        version: request.version(state),
        state: request.standing(now),
        kind: ElevationKind::Elevation,
        subject: asked.integration.to_string(),
        integration: asked.integration.clone(),
        environment: asked.environment.clone(),
        api: asked.api.clone(),
        scopes: terms.scopes,
        allow: terms.allow,
        duration: terms.duration.to_string(),
        asked: AskedView {
            at: request.asked,
            scopes: asked.scopes.clone(),
            allow: asked.allow.clone(),
            duration: asked.duration.to_string(),
            starts: asked.starts,
        },
        reason: say(&asked.reason),
        ticket: asked.ticket.clone(),
        tied: asked.tied,
        break_glass: asked.break_glass,
        binding: asked.binding.clone(),
        requested_by: words.actor(&asked.requested_by),
        expires: asked.expires,
        starts: period.map(|(starts, _)| starts).or(asked.starts),
        ends: period.map(|(_, ends)| ends),
        needs: asked.rule.demands.iter().map(demand).collect(),
        open: request.open(now).into_iter().map(demand).collect(),
        reviews: request.reviews.iter().map(|one| review(one, words)).collect(),
        unreviewed: request.lacks_review(),
        ended: request.ended.as_ref().map(|ended| end(ended, words)),
        signed: request.is_signed(state),
        risk: risk(state, asked),
        briefing: None,
        page: None,
        ticket_state: None,
        cut: None,
        last_expires: None,
    }
}

fn review(review: &Review, words: &Words) -> ReviewView {
    let narrowing = review.narrowing.clone();
    ReviewView {
        by: words.person(&review.by),
        verdict: review.verdict,
        reason: words.plain(&review.reason).map(str::to_owned),
        at: review.at,
        roles: review.roles.clone(),
        scopes: narrowing.scopes,
        allow: narrowing.allow,
        duration: narrowing.duration.map(|duration| duration.to_string()),
        signed: review.signature.is_some(),
    }
}

fn end(ended: &Ended, words: &Words) -> EndedView {
    let reason = ended.reason.as_ref().and_then(|reason| words.plain(reason)).map(str::to_owned);
    EndedView { by: words.actor(&ended.by), at: ended.at, reason }
}

fn demand(demand: &Approvers) -> DemandView {
    let fallback = demand.fallback.as_ref();
    DemandView {
        role: demand.role,
        people: demand.people.clone(),
        count: demand.count,
        fallback: fallback.map(|one| FallbackView { role: one.role, after: one.after.to_string() }),
    }
}

/// The highest risk among the scopes that were asked for, as the catalogue has them.
fn risk(state: &State, asked: &Elevation) -> Option<Risk> {
    let catalogue = &state.apis.get(&asked.api)?.current.as_ref()?.record.scopes;
    asked.scopes.iter().filter_map(|scope| catalogue.get(scope)).map(|entry| entry.risk).max()
}

fn briefed(seen: Briefing<'_>, record: &Integration, words: &Words, usual: UsualView) -> BriefingView {
    let say = |text: &Text| words.plain(text).map(str::to_owned);
    let scope = |asked: Asked<'_>| ScopeView {
        scope: asked.scope.clone(),
        meaning: asked.meaning.to_owned(),
        risk: asked.risk,
        allow: asked.allow.to_vec(),
        max: asked.max,
    };
    let precedent = |one: Precedent<'_>| PrecedentView {
        id: one.id.clone(),
        state: one.state,
        asked: one.asked,
        scopes: one.scopes.into_iter().cloned().collect(),
    };
    BriefingView {
        asked: seen.asked.into_iter().map(scope).collect(),
        standing: seen.standing.to_vec(),
        data_classes: seen.data_classes.to_vec(),
        contract: seen.contract.to_owned(),
        contract_ends: seen.contract_ends,
        partner_verified: seen.partner_verified,
        issuer: seen.issuer.cloned(),
        running: seen.running.into_iter().map(precedent).collect(),
        precedents: seen.precedents.into_iter().map(precedent).collect(),
        flags: seen.flags,
        purpose: say(&record.purpose),
        usual,
        owners: OwnersView { business: say(&record.owners.business), application: say(&record.owners.application) },
    }
}
