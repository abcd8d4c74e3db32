//! Evidence for frameworks, as answers and bundles show it: no names of people and no texts of theirs.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::decision::controls::{Control, Criterion, Exception, Finding, Period, Verdict, controls};
use crate::domain::registry::framework::Framework;
use crate::domain::value::clock::Timestamp;

/// Intervals of one control that are listed. More are counted.
const MOST_INTERVALS: usize = 200;

/// Which controls of frameworks held over a period.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Evidence)]
pub struct EvidenceView {
    /// The first second of the period.
    from: Timestamp,
    /// Its last second.
    to: Timestamp,
    /// It was made of the entries before this one.
    until: u64,
    /// The newest checkpoint of the journal, which has all of these entries. A bundle has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    checkpoint: Option<String>,
    frameworks: Vec<FrameworkView>,
}

/// A framework.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EvidenceFramework)]
struct FrameworkView {
    /// `owasp-nhi`, `nist-csf`, `sp800-207` or `ai-rmf`.
    id: &'static str,
    title: &'static str,
    controls: Vec<ControlView>,
}

/// A control.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EvidenceControl)]
struct ControlView {
    /// Its name in the framework.
    id: &'static str,
    /// Its name in an earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    also: Option<&'static str>,
    /// What it asks for, in our own words.
    control: &'static str,
    /// `holds`, `exception`, or `not covered` where there was nothing to judge.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// The number of items that were judged, over all criteria.
    population: u64,
    /// The result, in words.
    result: String,
    /// Paths of the admin API that tell what is judged, as it is now.
    query: Vec<&'static str>,
    criteria: Vec<CriterionView>,
    /// Every time for which an item broke a criterion, the newest first.
    intervals: Vec<IntervalView>,
    /// Intervals beyond those that are listed.
    intervals_left_out: u64,
    /// The newest journal entries that show it.
    entries: Vec<u64>,
}

/// A criterion of a control.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EvidenceCriterion)]
struct CriterionView {
    #[schema(value_type = String)]
    criterion: Criterion,
    /// What must hold.
    says: &'static str,
    /// What it must hold of.
    of: &'static str,
    /// The largest number of them at one time in the period; of tokens and changes, how many there were.
    population: u64,
    /// The times for which one broke it.
    exceptions: u64,
    #[schema(value_type = String)]
    verdict: Verdict,
    query: &'static str,
}

/// A time for which an item broke a criterion.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EvidenceInterval)]
struct IntervalView {
    #[schema(value_type = String)]
    criterion: Criterion,
    item: String,
    why: String,
    /// May be before the period.
    from: Timestamp,
    /// Null if it lasts beyond the period.
    #[schema(required)]
    until: Option<Timestamp>,
    /// The newest entry about the item when it began.
    #[schema(required)]
    entry: Option<u64>,
}

impl EvidenceView {
    /// The report on one framework, or on all, by what was found.
    pub fn of(framework: Option<Framework>, period: Period, until: u64, findings: &[Finding]) -> Self {
        let all = Framework::ALL.into_iter().filter(|one| framework.is_none_or(|framework| *one == framework));
        let frameworks = all.map(|one| FrameworkView {
            id: one.name(),
            title: one.title(),
            controls: controls(one).iter().map(|control| ControlView::of(control, one.is_of_agents(), findings)).collect(),
        });
        Self { from: period.from, to: period.to, until, checkpoint: None, frameworks: frameworks.collect() }
    }

    /// The same, bound to a checkpoint that has its entries.
    #[must_use]
    pub fn in_checkpoint(self, checkpoint: String) -> Self {
        Self { checkpoint: Some(checkpoint), ..self }
    }

    /// The entries that show it.
    pub fn entries(&self) -> impl Iterator<Item = u64> {
        let controls = self.frameworks.iter().flat_map(|framework| &framework.controls);
        controls.flat_map(|control| {
            let began = control.intervals.iter().filter_map(|interval| interval.entry);
            control.entries.iter().copied().chain(began)
        })
    }
}

impl ControlView {
    fn of(control: &Control, agents_alone: bool, findings: &[Finding]) -> Self {
        let own = |criterion: &Criterion| findings.iter().find(|one| one.criterion == *criterion);
        let own: Vec<&Finding> = control.criteria.iter().filter_map(own).collect();
        let population = own.iter().map(|one| one.population.of(agents_alone)).sum();
        let broken: u64 = own.iter().map(|one| one.broken(agents_alone)).sum();
        let of = |finding: &&Finding| {
            let criterion = finding.criterion;
            finding.listed(agents_alone).map(|one| IntervalView::of(criterion, one)).collect::<Vec<_>>()
        };
        let mut intervals: Vec<IntervalView> = own.iter().flat_map(of).collect();
        intervals.sort_by(|one, other| (other.from, &one.item).cmp(&(one.from, &other.item)));
        intervals.truncate(MOST_INTERVALS);
        let entries = own.iter().flat_map(|one| &one.entries).filter(|(_, agent)| *agent || !agents_alone);
        let entries: BTreeSet<u64> = entries.map(|(index, _)| *index).collect();
        let query: BTreeSet<&str> = control.criteria.iter().map(|one| one.query()).collect();
        let verdict = control.verdict(findings, agents_alone);
        Self {
            id: control.id,
            also: control.also,
            control: control.asks,
            verdict,
            population,
            result: result(verdict, population, broken),
            query: query.into_iter().collect(),
            criteria: own.iter().map(|one| CriterionView::of(one, agents_alone)).collect(),
            intervals_left_out: broken - intervals.len() as u64,
            intervals,
            entries: entries.into_iter().rev().collect(),
        }
    }
}

/// The result in words.
fn result(verdict: Verdict, population: u64, broken: u64) -> String {
    let items = |number: u64, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    match verdict {
        Verdict::Holds => format!("no exception among {}", items(population, "item")),
        Verdict::Exception => format!("{} among {}", items(broken, "exception"), items(population, "item")),
        Verdict::NotCovered => "there was nothing to judge, or a part could not be judged".to_owned(),
    }
}

impl CriterionView {
    fn of(finding: &Finding, agents_alone: bool) -> Self {
        let criterion = finding.criterion;
        Self {
            criterion,
            says: criterion.says(),
            of: criterion.population(),
            population: finding.population.of(agents_alone),
            exceptions: finding.broken(agents_alone),
            verdict: finding.verdict(agents_alone),
            query: criterion.query(),
        }
    }
}

impl IntervalView {
    fn of(criterion: Criterion, one: &Exception) -> Self {
        let Exception { item, agent: _, why, from, until, entry } = one.clone();
        Self { criterion, item, why, from, until, entry }
    }
}
