//! The table of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::checker::{self, Case};
use super::history::Event;
use super::round::{ENOUGH, Outcome};
use super::stage::Stage;

/// What a run showed.
#[derive(Default)]
pub struct Report {
    /// Rounds with enough tokens.
    pub counted: u32,
    /// Rounds with too few.
    pub thin: u32,
    /// Violations, each with its round.
    pub wrong: Vec<String>,
    /// How many violations there were before the present stage.
    judged: usize,
    minted: u64,
    faults: BTreeMap<String, u64>,
    answers: BTreeMap<String, u64>,
    /// Microseconds from the sending of a revocation to its acknowledgement.
    effects: Vec<u64>,
    healed: Vec<Duration>,
}

impl Report {
    /// Adds a round.
    pub fn add(&mut self, seed: u64, round: u32, outcome: Outcome) {
        eprintln!("round {round}: {} tokens, healed in {:?}, {:?}", outcome.minted, outcome.healed, outcome.faults);
        outcome.wrong.iter().for_each(|wrong| eprintln!("round {round}: {wrong}"));
        let enough = outcome.minted >= ENOUGH;
        self.counted += u32::from(enough);
        self.thin += u32::from(!enough);
        self.minted += outcome.minted;
        for (kind, count) in outcome.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.healed.push(outcome.healed);
        self.wrong.extend(outcome.wrong.into_iter().map(|wrong| format!("seed {seed} round {round}: {wrong}")));
    }

    /// Judges all that a stage did.
    pub fn judge(&mut self, stage: &Stage, seed: u64) {
        let events = stage.reach.history.read();
        let (export, key, verified) = stage.export();
        if let Err(fault) = verified {
            self.wrong.push(format!("seed {seed}: the journal does not verify: {fault}"));
        }
        self.count(&events);
        let reasons = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/reasons.md");
        let case = Case::read(events, &export, &key, std::path::Path::new(reasons));
        let found = checker::judge(&case);
        if !found.is_empty() || self.wrong.len() > self.judged {
            self.keep(stage);
        }
        self.wrong.extend(found.iter().map(|violation| format!("seed {seed}: {violation}")));
        self.judged = self.wrong.len();
    }

    /// Keeps history, export and logs of a stage that broke a rule.
    fn keep(&mut self, stage: &Stage) {
        let name = format!("carnet-faults-{}-{}", std::process::id(), self.counted);
        let place = std::env::temp_dir().join(name);
        let copied = std::process::Command::new("cp").arg("-r").arg(stage.folder.path()).arg(&place).status();
        if copied.is_ok_and(|status| status.success()) {
            self.wrong.push(format!("history, export and logs: {}", place.display()));
        }
    }

    fn count(&mut self, events: &[Event]) {
        for event in events.iter().filter(|event| event.op != "fault") {
            // Of an answer without error, `reason` is what somebody wrote.
            let told = event.answer["reason"].as_str().or(event.answer["error"].as_str()).filter(|_| event.status >= 400);
            let told = told.unwrap_or_default();
            *self.answers.entry(format!("{} {} {told}", event.op, event.status)).or_default() += 1;
        }
        let acknowledged =
            |event: &&Event| matches!(event.op.as_str(), "revoke" | "revoke-own" | "suspend") && event.status / 100 == 2;
        self.effects.extend(events.iter().filter(acknowledged).map(|event| event.received - event.sent));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut effects = self.effects.clone();
        effects.sort_unstable();
        let at = |hundredths: usize| effects.get((effects.len() * hundredths / 100).min(effects.len().saturating_sub(1)));
        let seconds =
            |time: Option<&u64>| time.map_or_else(|| "-".to_owned(), |&time| format!("{:?}", Duration::from_micros(time)));
        writeln!(f, "rounds          {} ({} more had fewer than {ENOUGH} tokens)", self.counted, self.thin)?;
        writeln!(f, "tokens          {}", self.minted)?;
        writeln!(f, "works again     at most {:?} after the last fault", self.healed.iter().max().unwrap_or(&Duration::ZERO))?;
        let (half, most, last) = (seconds(at(50)), seconds(at(99)), seconds(effects.last()));
        writeln!(f, "revocations     {} acknowledged: p50 {half}, p99 {most}, max {last}", effects.len())?;
        writeln!(f, "faults")?;
        self.faults.iter().try_for_each(|(kind, count)| writeln!(f, "  {count:>6} {kind}"))?;
        writeln!(f, "answers")?;
        self.answers.iter().try_for_each(|(kind, count)| writeln!(f, "  {count:>6} {kind}"))?;
        writeln!(f, "violations      {}", self.wrong.len())?;
        self.wrong.iter().try_for_each(|wrong| writeln!(f, "  {wrong}"))
    }
}
