//! Evidence for frameworks: which of their controls held over a period, and what shows it; and reports as bundles.
//!
//! Enter through [`Broker::evidence`]. `decision::controls` judges the log entry by entry; this reads the log, and asks the live index, of which
//! no entry says whether it is whole. A report that somebody takes away is a bundle, and the entry of that has the digest of its manifest
//! ([`Broker::give_evidence`]). The bundle is made again of the same entries, at any later time.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::Broker;
use super::dossier::{bytes, unmade};
use super::failure::{Failure, Fault};
use super::view::evidence::EvidenceView;
use crate::domain::credential::claims::LONGEST_LIFE;
use crate::domain::decision::controls::{Assessment, Count, Criterion, Exception, Finding, Period};
use crate::domain::log::change::Change;
use crate::domain::log::entry::{ChangeEntry, Entry, Issued};
use crate::domain::log::evidence::EvidenceChange;
use crate::domain::people::actor::{Authorized, GiveEvidence, Read};
use crate::domain::reason;
use crate::domain::registry::evidence::{Evidence, Listed};
use crate::domain::registry::framework::Framework;
use crate::domain::state::State;
use crate::domain::state::cut;
use crate::domain::state::recent_cuts::{Cut, CutWhat};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::TokenId;
use crate::journal::bundle::{Parts, PlainTexts};
use crate::journal::{ForRequest, Query};
use crate::revocation::{Index, Liveness};

/// The entries that are read at a time.
const READ: u32 = 1000;

/// The entries of the live index that are looked up for one report.
const LOOKED_UP: usize = 200_000;

/// The look-ups that are under way at a time.
const AT_A_TIME: usize = 256;

/// What is missing by name. More is counted.
const NAMED: usize = 100;

/// How long a cut of a moment ago may take to stand in the live index.
const SETTLES: Duration = Duration::from_secs(2);

/// A question for evidence.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// A framework; all of them if none is named.
    pub framework: Option<Framework>,
    /// The first second; the last one where nothing is said.
    pub from: Option<Timestamp>,
    /// The last second; now where nothing is said, or where it lies ahead.
    pub to: Option<Timestamp>,
}

/// Which entries and which time a report is made of.
#[derive(Clone, Copy, Debug)]
struct Ground {
    framework: Option<Framework>,
    period: Period,
    /// The entries before this one.
    until: u64,
}

impl Broker {
    /// Judges the controls of frameworks over a period, or as they are now.
    ///
    /// # Errors
    /// The period lies ahead; the person has another long job under way, or the journal does not answer.
    pub async fn evidence(&self, by: &Authorized<Read>, wanted: Wanted) -> Result<EvidenceView, Failure> {
        let _turn = self.reading.turn(&by.staff().person)?;
        let (ground, listed) = self.ground(wanted).await?;
        let findings = self.assess(ground, listed.as_ref()).await?;
        let checkpoint = self.journal.checkpoint()?;
        Ok(EvidenceView::of(ground.framework, ground.period, ground.until, &findings).in_checkpoint(checkpoint))
    }

    /// Gives the same as a bundle: records what it is about, with the digest of its manifest. Returns the entry, by which it is fetched.
    ///
    /// # Errors
    /// As [`Self::evidence`].
    pub async fn give_evidence(
        &self,
        by: &Authorized<GiveEvidence>,
        wanted: Wanted,
        request: Option<ForRequest>,
    ) -> Result<u64, Failure> {
        let _turn = self.reading.turn(&by.staff().person)?;
        let (ground, listed) = self.ground(wanted).await?;
        let Ground { framework, period: Period { from, to }, until } = ground;
        let about = Evidence::Controls { framework, from, to, listed };
        self.give(by, about, until, request).await
    }

    /// Gives the report on the reviews of a period as a bundle, in the same way.
    ///
    /// # Errors
    /// There are too many of them, or the journal does not answer.
    pub async fn give_review_report(
        &self,
        by: &Authorized<GiveEvidence>,
        period: (Option<Timestamp>, Option<Timestamp>),
        request: Option<ForRequest>,
    ) -> Result<u64, Failure> {
        let _turn = self.reading.turn(&by.staff().person)?;
        let (from, to) = (period.0.unwrap_or_default(), period.1.unwrap_or_else(|| self.now()));
        let until = self.journal.view().size;
        self.give(by, Evidence::Reviews { from, to: to.min(self.now()) }, until, request).await
    }

    async fn give(
        &self,
        by: &Authorized<GiveEvidence>,
        about: Evidence,
        until: u64,
        request: Option<ForRequest>,
    ) -> Result<u64, Failure> {
        let parts = self.evidence_parts(&about, until).await?;
        let manifest = self.journal.bundle_manifest(&parts).await.map_err(unmade)?.digest();
        let change = |_: &State, _: Timestamp| Ok(EvidenceChange::Given { about: about.clone(), until, manifest });
        Ok(self.change_by(by, request, change).await?.index)
    }

    /// The bundle that was given by an entry.
    ///
    /// # Errors
    /// The entry gives none, or the journal does not answer.
    pub async fn evidence_bundle(&self, by: &Authorized<Read>, index: u64, texts: PlainTexts) -> Result<Vec<u8>, Failure> {
        let _turn = self.reading.turn(&by.staff().person)?;
        let entry = match self.journal.entry(index).await? {
            Some(Entry::Change(entry)) => entry,
            Some(Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_)) | None => {
                return Err(Failure::Refused(&reason::NOT_FOUND));
            }
        };
        let Change::Evidence(EvidenceChange::Given { about, until, manifest }) = &entry.change.what else {
            return Err(Failure::Refused(&reason::NOT_FOUND));
        };
        let parts = self.evidence_parts(about, *until).await?;
        let again = self.journal.bundle_manifest(&parts).await.map_err(unmade)?.digest();
        if again != *manifest {
            // Another version of the program may judge otherwise, or word it otherwise.
            let message = format!(
                "entry {index} has the digest of other files: this version of the program makes another report. Take it anew."
            );
            return Err(Failure::State(message));
        }
        self.journal.bundle(parts, index, texts).await.map_err(unmade)
    }

    /// What a bundle consists of.
    async fn evidence_parts(&self, about: &Evidence, until: u64) -> Result<Parts, Failure> {
        match about {
            Evidence::Controls { framework, from, to, listed } => {
                let ground = Ground { framework: *framework, period: Period { from: *from, to: *to }, until };
                let findings = self.assess(ground, listed.as_ref()).await?;
                let view = EvidenceView::of(*framework, ground.period, until, &findings);
                let entries: BTreeSet<u64> = view.entries().filter(|index| *index < until).collect();
                let title = framework.map_or("Evidence for frameworks", Framework::title).to_owned();
                let files = [("evidence.json".to_owned(), bytes(&json!(view)))].into();
                Ok(Parts { title, files, entries })
            }
            Evidence::Reviews { from, to } => self.review_report_parts((*from, *to), until).await,
        }
    }

    /// The entries and the time that a question is about, and what the live index has, if it is about now.
    async fn ground(&self, wanted: Wanted) -> Result<(Ground, Option<Listed>), Failure> {
        let (view, now) = (self.journal.view(), self.now());
        let to = wanted.to.unwrap_or(now).min(now);
        let from = wanted.from.unwrap_or(to);
        if from > to {
            let message = "expected a first second that is not after the last one, and does not lie ahead".to_owned();
            return Err(Failure::Faults(vec![Fault::invalid("from", message)]));
        }
        let ground = Ground { framework: wanted.framework, period: Period { from, to }, until: view.size };
        let listed = if to == now { self.listed(&view.state, now).await } else { None };
        Ok((ground, listed))
    }

    /// Reads the log and judges it.
    async fn assess(&self, ground: Ground, listed: Option<&Listed>) -> Result<Vec<Finding>, Failure> {
        let Ground { period, until, .. } = ground;
        let mut assessment = Assessment::of(period);
        let mut changes = Feed { next: Some(0), entries: VecDeque::new() };
        let mut tokens = Feed { next: Some(0), entries: VecDeque::new() };
        loop {
            if let Some(from) = changes.wants() {
                let mut page = self.journal.changes(from).await?;
                changes.next = page.last().map(|last| last.index + 1);
                page.retain(|entry| entry.index < until && entry.time <= period.to);
                changes.entries.extend(page);
            }
            if let Some(from) = tokens.wants() {
                let (page, next) = self.tokens(from, ground).await?;
                tokens.next = next;
                tokens.entries.extend(page);
            }
            // Whatever comes before all that may still be read.
            let (of_changes, of_tokens) = (changes.known(|entry| entry.index), tokens.known(|issued| issued.index));
            let horizon = of_changes.min(of_tokens);
            let changed = changes.take(|entry| entry.index < horizon);
            let issued = tokens.take(|issued| issued.index < horizon);
            if changed.is_empty() && issued.is_empty() && changes.next.is_none() && tokens.next.is_none() {
                break;
            }
            // Never on a thread that serves tokens.
            assessment = self.reading.desk.work(move || step(assessment, changed, issued)).await?;
        }
        let mut findings = self.reading.desk.work(move || assessment.finish()).await?;
        for finding in findings.iter_mut().filter(|one| one.criterion == Criterion::RevocationsListed) {
            match listed {
                Some(listed) => tell(finding, listed, period.to),
                None => finding.unjudged = true,
            }
        }
        Ok(findings)
    }

    /// Some of the tokens that lived in the period, and from where on there are more.
    async fn tokens(&self, from: u64, ground: Ground) -> Result<(Vec<Box<Issued>>, Option<u64>), Failure> {
        let Ground { period, until, .. } = ground;
        let query = Query {
            from,
            to: Some(until),
            kind: Some("issued".to_owned()),
            since: Some(period.from.minus(LONGEST_LIFE)),
            until: Some(period.to.plus(crate::domain::value::clock::Seconds(1))),
            limit: Some(READ),
            ..Query::default()
        };
        let page = self.journal.page(&query).await?;
        let next = page.after.map(|after| after + 1);
        let issued = page.entries.into_iter().filter_map(|stored| match stored.entry {
            Entry::Issued(issued) => Some(issued),
            Entry::Refused(_) | Entry::Counted(_) | Entry::Change(_) => None,
        });
        Ok((issued.collect(), next))
    }

    /// What the live index has of everything that is cut; `None` if it does not answer, is not up to date, or is asked too much.
    async fn listed(&self, state: &State, now: Timestamp) -> Option<Listed> {
        let mut cuts = cut::all(state);
        cuts.retain(|cut| !matches!(&cut.what, CutWhat::Token { expires, .. } if *expires <= now));
        // What was not looked up is not known to be there.
        if cuts.len() > LOOKED_UP {
            return None;
        }
        let asked = cuts.len() as u64;
        let mut missing = lacking(&self.live, cuts, now).await?;
        if !missing.is_empty() {
            // A cut of a moment ago is on its way there.
            tokio::time::sleep(SETTLES).await;
            missing = lacking(&self.live, missing, self.now()).await?;
        }
        let more = missing.len().saturating_sub(NAMED) as u64;
        missing.truncate(NAMED);
        Some(Listed { asked, missing: missing.iter().map(named).collect(), more })
    }
}

/// Entries that were read and not judged yet.
struct Feed<T> {
    /// Where to read on; `None` at the end.
    next: Option<u64>,
    entries: VecDeque<T>,
}

impl<T> Feed<T> {
    /// Where to read on, if nothing is left of what was read.
    fn wants(&self) -> Option<u64> {
        self.next.filter(|_| self.entries.is_empty())
    }

    /// The index before which everything was read.
    fn known(&self, index: impl Fn(&T) -> u64) -> u64 {
        match (self.next, self.entries.back()) {
            (None, _) => u64::MAX,
            (Some(next), None) => next,
            (Some(_), Some(last)) => index(last) + 1,
        }
    }

    /// Takes the first ones, as long as they are wanted.
    fn take(&mut self, wanted: impl Fn(&T) -> bool) -> VecDeque<T> {
        let rest = self.entries.iter().position(|entry| !wanted(entry)).unwrap_or(self.entries.len());
        let rest = self.entries.split_off(rest);
        std::mem::replace(&mut self.entries, rest)
    }
}

/// Judges entries in the order of the log.
fn step(mut assessment: Assessment, mut changes: VecDeque<ChangeEntry>, tokens: VecDeque<Box<Issued>>) -> Assessment {
    for issued in tokens {
        while let Some(change) = changes.pop_front_if(|change| change.index < issued.index) {
            assessment.change(&change);
        }
        assessment.token(&issued);
    }
    changes.iter().for_each(|change| assessment.change(change));
    assessment
}

/// Writes down what the live index lacks. The log does not know since when.
fn tell(finding: &mut Finding, listed: &Listed, at: Timestamp) {
    finding.population = Count { all: listed.asked, agents: 0 };
    let except = |item: &String| Exception {
        item: item.clone(),
        agent: false,
        why: "the live index does not have it, so who asks there is told that its tokens are good".to_owned(),
        from: at,
        until: None,
        entry: None,
    };
    finding.exceptions = listed.missing.iter().map(except).collect();
    finding.more = Count { all: listed.more, agents: 0 };
}

/// Those that the index lacks; `None` if it does not tell.
async fn lacking(index: &Index, cuts: Vec<Cut>, now: Timestamp) -> Option<Vec<Cut>> {
    let mut missing = Vec::new();
    let mut cuts = cuts.into_iter();
    loop {
        let some: Vec<Cut> = cuts.by_ref().take(AT_A_TIME).collect();
        if some.is_empty() {
            return Some(missing);
        }
        let mut asked = JoinSet::new();
        for cut in some {
            let index = index.clone();
            asked.spawn(async move { (look(&index, &cut, now).await, cut) });
        }
        for (found, cut) in asked.join_all().await {
            match found? {
                Liveness::Cut => {}
                Liveness::Live => missing.push(cut),
                Liveness::Unknown => return None,
            }
        }
    }
}

/// Asks as a reader does: for the token, or for one with the line's key and the last entry that the line cuts.
async fn look(index: &Index, cut: &Cut, now: Timestamp) -> Option<Liveness> {
    let nobody: TokenId = "nobody".parse().ok()?;
    let answer = match &cut.what {
        CutWhat::Token { id, .. } => index.is_cut(&cut.environment, id, &[], u64::MAX, now).await,
        CutWhat::Before { key, index: line } => {
            let keys = std::slice::from_ref(key);
            index.is_cut(&cut.environment, &nobody, keys, line.saturating_sub(1), now).await
        }
    };
    answer.ok()
}

fn named(cut: &Cut) -> String {
    match &cut.what {
        CutWhat::Token { id, .. } => format!("{} token:{id}", cut.environment),
        CutWhat::Before { key, .. } => format!("{} {key}", cut.environment),
    }
}
