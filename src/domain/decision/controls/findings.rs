//! What an assessment finds.

use serde::Serialize;

use super::catalogue::Control;
use super::criterion::Criterion;
use crate::domain::value::clock::Timestamp;

/// The entries that are named as evidence of one criterion, the newest.
pub const MOST_ENTRIES: usize = 20;

/// What was found of one criterion.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The criterion.
    pub criterion: Criterion,
    /// The items, of everybody and of AI agents alone.
    pub population: Count,
    /// Every time for which an item broke it, the newest first.
    pub exceptions: Vec<Exception>,
    /// Exceptions that are counted and not listed.
    pub more: Count,
    /// Whether it could not be judged: what is asked did not answer, or has no past. Then no control that needs it holds.
    pub unjudged: bool,
    /// The newest entries that show it, with whether they are about an AI agent.
    pub entries: Vec<(u64, bool)>,
}

/// A number of items, and how many of them are of AI agents.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Count {
    /// All.
    pub all: u64,
    /// Those of AI agents.
    pub agents: u64,
}

/// An item that broke a criterion, and for how long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exception {
    /// The item, such as `globex/order-sync/production`.
    pub item: String,
    /// Whether it is of an AI agent.
    pub agent: bool,
    /// Why, in words. They name no person.
    pub why: String,
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` if it still does at the end of the period.
    pub until: Option<Timestamp>,
    /// The newest entry about it when it began, if there is one.
    pub entry: Option<u64>,
}

/// What is said of a control.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Verdict {
    /// At least one item broke it in the period.
    #[serde(rename = "exception")]
    Exception,
    /// No item broke it.
    #[serde(rename = "holds")]
    Holds,
    /// There was nothing to judge.
    #[serde(rename = "not covered")]
    NotCovered,
}

impl Count {
    /// Adds one.
    pub(super) fn add(&mut self, agent: bool) {
        self.all += 1;
        self.agents += u64::from(agent);
    }

    /// The greater of each.
    pub(super) fn max(self, other: Self) -> Self {
        Self { all: self.all.max(other.all), agents: self.agents.max(other.agents) }
    }

    /// The number that counts.
    pub fn of(self, agents_alone: bool) -> u64 {
        if agents_alone { self.agents } else { self.all }
    }
}

impl Finding {
    /// The exceptions that count, listed or not.
    pub fn broken(&self, agents_alone: bool) -> u64 {
        let listed = self.listed(agents_alone).count();
        self.more.of(agents_alone) + listed as u64
    }

    /// The exceptions that are listed and count.
    pub fn listed(&self, agents_alone: bool) -> impl Iterator<Item = &Exception> {
        self.exceptions.iter().filter(move |one| one.agent || !agents_alone)
    }

    /// The verdict on this criterion alone.
    pub fn verdict(&self, agents_alone: bool) -> Verdict {
        Verdict::of([self], agents_alone)
    }
}

impl Control {
    /// The verdict, by what was found.
    pub fn verdict(&self, findings: &[Finding], agents_alone: bool) -> Verdict {
        Verdict::of(findings.iter().filter(|one| self.criteria.contains(&one.criterion)), agents_alone)
    }
}

impl Verdict {
    fn of<'f>(findings: impl IntoIterator<Item = &'f Finding>, agents_alone: bool) -> Self {
        let (mut population, mut broken, mut unjudged) = (0, 0, false);
        for one in findings {
            population += one.population.of(agents_alone);
            broken += one.broken(agents_alone);
            unjudged |= one.unjudged;
        }
        match (broken, population) {
            (1.., _) => Self::Exception,
            (0, 1..) if !unjudged => Self::Holds,
            (0, _) => Self::NotCovered,
        }
    }
}
