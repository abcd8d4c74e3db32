//! A narrower record from what was issued (`carnet suggest`): a proposal to people, which changes nothing.

use super::Broker;
use super::failure::Failure;
use super::view::suggestion::SuggestionView;
use crate::domain::decision::suggestion::suggest;
use crate::domain::decision::uses::{KEPT, Use};
use crate::domain::reason;
use crate::domain::record::{self, Record, compare};
use crate::domain::value::day::Day;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::IntegrationId;
use crate::domain::value::yaml;

impl Broker {
    /// A narrower record of an integration; `None` if there is no such integration, or no version of it is in force.
    ///
    /// # Errors
    /// The store is away.
    pub async fn suggestion(&self, id: &IntegrationId) -> Result<Option<SuggestionView>, Failure> {
        let (view, now) = (self.journal.view(), self.now());
        let Some(known) = view.state.integrations.get(id) else { return Ok(None) };
        let Some(current) = &known.current else { return Ok(None) };
        let rows = self.journal.uses_of_client(&id.to_string(), Day::of(now.minus(KEPT))).await?;
        let issued = |(day, tally, counted)| match counted {
            Use::Issued(issued) => Some((day, tally, *issued)),
            Use::Seen(_) | Use::Forbidden { .. } => None,
        };
        let uses: Vec<_> = rows.into_iter().filter_map(issued).collect();
        let since = known.non_use.counts_from().max(current.record.contract.starts);
        let suggestion = suggest(&current.record, since, &uses, now);
        let (before, _) = self.unsealed(Record::Integration((*current.record).clone())).await?;
        let mut shown = SuggestionView::of(id, current.version, &suggestion.parts);
        if let Some(narrower) = suggestion.record {
            let (mut narrower, _) = self.unsealed(Record::Integration(narrower)).await?;
            let differences = compare(Some(&before), &narrower, &mut Effort::default());
            let differences = differences.map_err(|_| Failure::Refused(&reason::RECORD_EFFORT))?;
            shown.applies = narrower.texts_mut().iter().all(|text| text.plain().is_some());
            shown.record = Some(yaml::write(&record::document(&narrower)));
            shown.add(&differences, now);
        }
        Ok(Some(shown))
    }
}
