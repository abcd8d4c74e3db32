//! Reviews: for each environment of an integration, when the next one is due, what opens it earlier, and what was decided.
//!
//! Dates are kept as the entries made them, so an exchange compares one time. `recertifications` folds the changes, and the rules for
//! those who decide are in `decision::recertification`.

use imbl::{OrdMap, OrdSet};
use litemap::LiteMap;

use crate::domain::people::actor::{Actor, Person};
use crate::domain::registry::integration::OnSilence;
use crate::domain::registry::recertification::{CampaignTerms, OPEN_FOR, ReviewCause, ReviewId};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ApprovalId, CampaignId, EnvironmentName};
use crate::domain::value::seldom::Seldom;
use crate::domain::value::text::Text;

/// The reviews of one integration.
#[derive(Clone, Debug, Default)]
pub struct Reviews {
    /// By environment. One that left the record stays: the numbers of its reviews are used up.
    places: LiteMap<EnvironmentName, Place>,
    /// The approval of the version that the one in force was narrowed from, or is.
    pub(in crate::domain) approved: Option<ApprovalId>,
    /// The review that made the version in force what it is, if one did.
    pub narrowed: Option<Box<Narrowed>>,
    /// People who applied versions that were narrowed since then, without an approval.
    pub(in crate::domain) replaced: Seldom<Person>,
}

/// A review that made a version.
#[derive(Clone, Debug)]
pub struct Narrowed {
    /// The review.
    pub review: ReviewId,
    /// Who decided.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// The reviews of one integration in one environment.
#[derive(Clone, Debug)]
pub struct Place {
    /// The entries of completed reviews, the oldest first.
    pub done: Seldom<Done>,
    /// Since when the next one counts: the environment came into force, or the last review was completed.
    pub since: Timestamp,
    /// When the next one is due by the record's interval.
    pub due: Timestamp,
    /// What opens it besides.
    pub asked: Seldom<Asked>,
    /// The owner's word on the next one.
    pub word: Option<Box<Given>>,
}

/// The entries of a completed review.
#[derive(Clone, Debug)]
pub struct Done {
    /// The owner's word.
    pub first: u64,
    /// The owner.
    pub by: Option<Person>,
    /// The word of security, if one was needed.
    pub second: Option<u64>,
    /// When it was completed.
    pub at: Timestamp,
    /// When it was opened, and was due.
    pub opening: Opening,
}

/// A cause that opens a review: why, when, and when the review is due for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opening {
    /// Why.
    pub cause: ReviewCause,
    /// From then on it is open.
    pub opens: Timestamp,
    /// When it is due.
    pub due: Timestamp,
}

/// A cause besides the interval and the contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// What it opens.
    pub opening: Opening,
    /// The consequence of silence, if the cause has one of its own.
    pub on_silence: Option<OnSilence>,
}

/// A person's word on a review that is open.
#[derive(Clone, Debug)]
pub struct Given {
    /// The entry.
    pub entry: u64,
    /// Who.
    pub by: Actor,
    /// The second word, once it is given.
    pub second: Option<u64>,
}

/// A campaign.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What it asks for.
    pub terms: CampaignTerms,
    /// Who asked.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<Text>,
    /// The approval that it waits or waited for.
    pub approval: Option<ApprovalId>,
    /// When its reviews opened.
    pub started: Option<Timestamp>,
}

/// What is known of reviews besides those of single integrations.
#[derive(Clone, Debug, Default)]
pub struct Recertification {
    /// Since when reviews count. Nothing before that: no program knew of them.
    pub since: Option<Timestamp>,
    /// Reviews that everybody decided on, and that are not completed yet.
    pub(super) decided: OrdSet<ReviewId>,
    /// All campaigns.
    pub campaigns: OrdMap<CampaignId, Campaign>,
    /// What is known of the people who give the first word, by issuer and id.
    pub(super) reviewers: OrdMap<(String, String), Reviewer>,
}

/// How somebody reviews, as far as it decides who reviews next.
#[derive(Clone, Debug, Default)]
pub struct Reviewer {
    /// The person.
    pub person: Option<Person>,
    /// First words that this person gave.
    pub reviews: u32,
    /// Those in which every scope was kept.
    pub kept: u32,
    /// The seconds from the first view to the decision, of the newest for which they are known.
    pub seconds: Vec<u32>,
    /// Whether every scope was kept, of the newest.
    pub all_kept: Vec<bool>,
}

/// The reviews that the median of a reviewer is taken over.
const MEDIAN_OVER: usize = 10;

/// A median of fewer seconds than this says that nobody looked.
const TOO_FAST: u32 = 10;

/// So many reviews in which all was kept say that nobody looked.
const KEPT_OVER: usize = 20;

impl Place {
    pub(super) fn new(since: Timestamp, every: Seconds) -> Self {
        Self { done: Seldom::default(), since, due: since.plus(every), asked: Seldom::default(), word: None }
    }

    /// The number of the next review.
    pub fn number(&self) -> u32 {
        u32::try_from(self.done.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// When the last review was completed.
    pub fn completed(&self) -> Option<Timestamp> {
        self.done.last().map(|done| done.at)
    }

    /// What the interval of the record opens.
    pub fn schedule(&self) -> Opening {
        let opens = self.due.minus(OPEN_FOR).max(self.since);
        Opening { cause: ReviewCause::Schedule, opens, due: self.due }
    }

    /// The time from which on silence refuses, where the record or production says that it does.
    pub(super) fn refuses_from(&self, strict: bool) -> Option<Timestamp> {
        let of_asked = |asked: &Asked| {
            let refuses = match asked.on_silence {
                Some(OnSilence::Suspend) => true,
                Some(OnSilence::Report) => false,
                None => strict,
            };
            refuses.then_some(asked.opening.due)
        };
        let of_record = strict.then_some(self.due);
        self.asked.iter().filter_map(of_asked).chain(of_record).min()
    }

    /// Adds a cause. Of two of one kind the one that is due first counts.
    pub(super) fn ask(&mut self, asked: Asked) {
        let same = |known: &Asked| known.opening.cause == asked.opening.cause && known.on_silence == asked.on_silence;
        if self.asked.iter().any(|known| same(known) && known.opening.due <= asked.opening.due) {
            return;
        }
        self.asked.retain(|known| !same(known));
        self.asked.push(asked);
    }
}

impl Asked {
    /// A cause from `opens` on, with the usual time to answer.
    pub(super) fn usual(cause: ReviewCause, opens: Timestamp) -> Self {
        Self { opening: Opening { cause, opens, due: opens.plus(OPEN_FOR) }, on_silence: None }
    }
}

impl Reviews {
    /// The reviews in an environment, whether it is in the record or was.
    pub fn place(&self, environment: &EnvironmentName) -> Option<&Place> {
        self.places.get(environment)
    }

    /// The approval of the version in force, or of the one that it was narrowed from.
    pub fn approved(&self) -> Option<&ApprovalId> {
        self.approved.as_ref()
    }

    /// By environment.
    pub fn places(&self) -> impl Iterator<Item = (&EnvironmentName, &Place)> {
        self.places.iter()
    }

    /// Makes room for so many environments, and no more.
    pub(super) fn expect(&mut self, environments: usize) {
        if self.places.is_empty() {
            self.places = LiteMap::with_capacity(environments);
        }
    }

    pub(super) fn place_mut(&mut self, environment: &EnvironmentName) -> Option<&mut Place> {
        self.places.get_mut(environment)
    }

    pub(super) fn places_mut(&mut self) -> &mut LiteMap<EnvironmentName, Place> {
        &mut self.places
    }
}

impl Campaign {
    /// The due date of its reviews, if they opened at `started`: there is always some time to answer.
    pub fn due(&self, started: Timestamp) -> Timestamp {
        let least = started.plus(Seconds::days(crate::domain::registry::recertification::CAMPAIGN_DAYS.0));
        self.terms.due.max(least)
    }
}

impl Recertification {
    /// A campaign.
    pub fn campaign(&self, id: &str) -> Option<(&CampaignId, &Campaign)> {
        self.campaigns.get_key_value(id)
    }

    /// Reviews that everybody decided on, and that are not completed yet.
    pub fn decided(&self) -> impl Iterator<Item = &ReviewId> {
        self.decided.iter()
    }

    /// The people who gave first words.
    pub fn reviewers(&self) -> impl Iterator<Item = &Reviewer> {
        self.reviewers.values()
    }

    /// How a person reviews.
    pub fn reviewer(&self, person: &Person) -> Option<&Reviewer> {
        self.reviewers.get(&key(person))
    }

    pub(super) fn reviewed(&mut self, person: &Person, seconds: Option<u32>, all_kept: bool) {
        let reviewer = self.reviewers.entry(key(person)).or_default();
        reviewer.person = Some(person.clone());
        reviewer.reviews = reviewer.reviews.saturating_add(1);
        reviewer.kept = reviewer.kept.saturating_add(u32::from(all_kept));
        newest(&mut reviewer.all_kept, all_kept, KEPT_OVER);
        if let Some(seconds) = seconds {
            newest(&mut reviewer.seconds, seconds, MEDIAN_OVER);
        }
    }
}

fn key(person: &Person) -> (String, String) {
    (person.iss.to_string(), person.id.to_string())
}

fn newest<T>(list: &mut Vec<T>, one: T, most: usize) {
    if list.len() >= most {
        list.remove(0);
    }
    list.push(one);
}

impl Reviewer {
    /// The median of the seconds from the first view to the decision.
    pub fn median(&self) -> Option<u32> {
        let mut sorted = self.seconds.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }

    /// Whether somebody else should look next time: the last ten were decided too fast, or the last twenty kept everything.
    pub fn is_flagged(&self) -> bool {
        let fast = self.seconds.len() >= MEDIAN_OVER && self.median().is_some_and(|median| median < TOO_FAST);
        fast || (self.all_kept.len() >= KEPT_OVER && self.all_kept.iter().all(|kept| *kept))
    }
}
