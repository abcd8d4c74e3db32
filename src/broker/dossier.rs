//! The dossier of an offboarding: what it consists of, out of the log and the case alone.
//!
//! Enter through [`Broker::dossier`]. The form of the file is `journal::evidence::bundle`. The same case gives the same bytes at any later
//! time: everything in it stood in the log before the closing entry said so, and texts of people are named by their digests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Broker;
use super::failure::Failure;
use crate::domain::decision::offboarding::{StepName, steps};
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::entry::{ChangeEntry, Entry, Issued};
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::people::actor::{Actor, Authorized, Read};
use crate::domain::reason;
use crate::domain::record::{self, Record};
use crate::domain::registry::approval::{Approval, Review, Verdict};
use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::state::about::About;
use crate::domain::state::offboarding::{Case, Outcome};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, OffboardingId};
use crate::domain::value::yaml;
use crate::journal::Unavailable;
use crate::journal::bundle::{BundleFault, Parts, PlainTexts};

/// The living tokens that a dossier lists one by one. It says how many more there were.
const TOKENS: usize = 10_000;

/// The entries that a dossier holds, the newest: each is a file, has a proof, and may be a version of a record. It says how many more there are.
const ENTRIES: usize = 3_000;

/// The bytes of all of them: a bundle has at most 64 MiB.
const ROOM: usize = 20 * 1024 * 1024;

impl Broker {
    /// The dossier of a closed case, as a file.
    ///
    /// # Errors
    /// There is no such case, it is open or was given up; the person has another long job under way, or the journal does not answer.
    pub async fn dossier(&self, by: &Authorized<Read>, id: &OffboardingId, texts: PlainTexts) -> Result<Vec<u8>, Failure> {
        let _turn = self.reading.turn(&by.staff().person)?;
        let view = self.journal.view();
        let case = view.state.offboardings.find(id.as_str()).ok_or(&reason::NOT_FOUND)?;
        let Some(Outcome::Closed { index, until, .. }) = case.outcome else {
            return Err(Failure::State(format!("{} is not closed; it has no dossier yet.", case.id)));
        };
        let parts = self.dossier_parts(case, until).await?;
        self.journal.bundle(parts, index, texts).await.map_err(unmade)
    }

    /// What the dossier of a case consists of, by the entries before `until`.
    ///
    /// # Errors
    /// The journal does not answer.
    pub(super) async fn dossier_parts(&self, case: &Case, until: u64) -> Result<Parts, Unavailable> {
        let view = self.journal.view();
        let about = About::of_party(&case.about, &view.state);
        let mut chosen: Vec<ChangeEntry> = Vec::new();
        let mut from = 0;
        loop {
            let changes = self.journal.changes(from).await?;
            let Some(last) = changes.last().map(|entry| entry.index) else { break };
            let before = changes.into_iter().filter(|entry| entry.index < until);
            chosen.extend(before.filter(|entry| about.holds(&Entry::Change(Box::new(entry.clone())))));
            if last >= until {
                break;
            }
            from = last + 1;
        }
        let mut living: Vec<Issued> = Vec::new();
        let mut more = 0_u64;
        let each = |issued: &Issued| {
            if case.at < issued.exp {
                if living.len() < TOKENS { living.push(issued.clone()) } else { more += 1 }
            }
        };
        self.journal.each_issued(&about.clients(), case.index, each).await?;
        let left_out = too_much(&chosen);
        let chosen = chosen.split_off(left_out);
        let files = files(case, (&chosen, left_out), (&living, more), &view.state);
        let entries: BTreeSet<u64> = chosen.iter().map(|entry| entry.index).collect();
        Ok(Parts { title: format!("Offboarding of {}", case.about), files, entries })
    }
}

/// How many of the entries, the oldest, a bundle has no room for.
fn too_much(entries: &[ChangeEntry]) -> usize {
    let mut room = ROOM;
    let fits = |entry: &&ChangeEntry| {
        let length = serde_json::to_vec(&entry.change).map_or(ROOM, |bytes| bytes.len());
        room = room.saturating_sub(length);
        room > 0
    };
    let fitting = entries.iter().rev().take(ENTRIES).take_while(fits).count();
    entries.len() - fitting
}

/// Why there is no dossier: what the journal says, or that its tree does not hold.
pub(super) fn unmade(fault: BundleFault) -> Failure {
    match fault {
        BundleFault::Unavailable(unavailable) => unavailable.into(),
        fault @ (BundleFault::Zip(_)
        | BundleFault::File { .. }
        | BundleFault::Note(_)
        | BundleFault::NoEntry(_)
        | BundleFault::Tree) => {
            tracing::error!(%fault, "a dossier could not be made");
            Failure::State(format!("the dossier cannot be made: {fault}"))
        }
    }
}

fn files(
    case: &Case,
    (entries, left_out): (&[ChangeEntry], usize),
    (living, more): (&[Issued], u64),
    state: &State,
) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut put = |name: &str, value: &Value| drop(files.insert(name.to_owned(), bytes(value)));
    let mut told = of_case(case, state);
    told["entriesLeftOut"] = left_out.into();
    put("case.json", &told);
    put("timeline.json", &entries.iter().map(line).collect());
    put("tokens.json", &tokens(case, living, more));
    put("certificates.json", &entries.iter().filter_map(certificate).collect());
    let tests = case.tested.iter().map(|(run, tested)| json!({"run": run, "at": tested.at, "tests": tested.tests}));
    put("tests.json", &tests.collect());
    let words = case.acknowledged.iter().map(|(on, word)| {
        json!({"api": on.api, "environment": on.environment, "by": word.by, "byAPerson": word.by.person().is_some(),
            "removed": word.removed, "evidence": word.evidence, "at": word.at})
    });
    put("acknowledgements.json", &words.collect());
    for entry in entries {
        if let Some((name, text)) = version(entry, entries) {
            files.insert(name, text.into_bytes());
        }
    }
    files
}

/// A value as a file of a bundle.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text.into_bytes()
}

/// The case as it was when people had signed it off.
fn of_case(case: &Case, state: &State) -> Value {
    // The last test is over by then, and nothing of a case depends on a later time.
    let then = case.tested.values().map(|tested| tested.at).max().unwrap_or(case.at);
    let steps = steps(case, state, then).into_iter().filter(|step| step.name != StepName::Closed);
    let dependencies = state.offboardings.dependencies(case);
    let dependencies = dependencies.iter().map(|on| {
        let found = case.found.iter().flat_map(|found| &found.found).find(|found| found.on == *on);
        let registered = case.integrations.iter().flat_map(|id| state.offboardings.registered(id));
        let registered = registered.filter(|(known, _)| *known == on);
        let what: Vec<Value> = registered.map(|(_, one)| json!({"what": one.what, "by": one.by, "at": one.at})).collect();
        json!({"api": on.api, "environment": on.environment, "tokens": found.map(|found| found.tokens),
            "lastIssued": found.map(|found| found.last), "registered": what})
    });
    json!({
        "id": case.id, "subject": case.about, "integrations": case.integrations, "started": case.at, "by": case.by,
        "reason": case.reason, "entry": case.index, "steps": steps.collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
        "signOff": case.sign_off.as_ref().and_then(|id| state.approvals.get(id)).map(|approval| signed(approval)),
    })
}

fn signed(approval: &Approval) -> Value {
    let one = |review: &Review| json!({"by": review.by, "roles": review.roles, "verdict": review.verdict, "reason": review.reason, "at": review.at});
    let reviews: Vec<Value> = approval.reviews.iter().map(one).collect();
    json!({"approval": approval.id, "version": approval.version, "reviews": reviews})
}

fn line(entry: &ChangeEntry) -> Value {
    json!({"index": entry.index, "time": entry.time, "kind": entry.change.what.kind(), "subject": entry.subject, "by": entry.change.by})
}

fn tokens(case: &Case, living: &[Issued], more: u64) -> Value {
    let found = case.found.as_ref();
    let issued = found.map(|found| &found.found);
    let one = |issued: &Issued| {
        json!({"jti": issued.jti, "environment": issued.environment, "api": issued.api, "client": issued.subject,
            "issued": issued.time, "expires": issued.exp, "entry": issued.index})
    };
    json!({"issued": issued, "living": found.map(|found| found.living), "lastExpires": found.and_then(|found| found.last),
        "cut": living.iter().map(one).collect::<Vec<_>>(), "more": more})
}

fn certificate(entry: &ChangeEntry) -> Option<Value> {
    let Change::Certificate(CertificateChange::Issued { leaf, .. }) = &entry.change.what else { return None };
    Some(json!({"entry": entry.index, "issued": entry.time, "certificate": leaf}))
}

/// A version of a record that an entry brought, with the approval that it waits for; a draft waits for none yet.
struct Version<'e> {
    record: Record,
    version: Digest,
    approval: Option<&'e ApprovalId>,
}

impl<'e> Version<'e> {
    fn of(change: &'e Change) -> Option<Self> {
        if let Change::Integration(IntegrationChange::Drafted { record, .. } | IntegrationChange::Narrowed { record, .. }) =
            change
        {
            return Some(Self::of_integration(record, None));
        }
        if let Change::Integration(IntegrationChange::ChangeHeld { record, approval, .. }) = change {
            return Some(Self::of_integration(record, Some(&approval.id)));
        }
        if let Change::Partner(PartnerChange::Submitted { record, approval }) = change {
            let version = Digest::of_json(record);
            return Some(Self { record: Record::Partner(record.as_ref().clone()), version, approval: Some(&approval.id) });
        }
        None
    }

    fn of_integration(record: &Integration, approval: Option<&'e ApprovalId>) -> Self {
        Self { record: Record::Integration(record.clone()), version: Digest::of_json(record), approval }
    }
}

/// The approval that the submission of a draft opened.
fn submitted(change: &Change, version: Digest) -> Option<&ApprovalId> {
    let Change::Integration(IntegrationChange::Submitted { approval, .. }) = change else { return None };
    (approval.version == version).then_some(&approval.id)
}

/// The word of somebody who decided on an approval.
fn word(entry: &ChangeEntry, of: &ApprovalId) -> Option<String> {
    let Change::Approval(ApprovalChange::Reviewed { approval, verdict, .. }) = &entry.change.what else { return None };
    let word = match verdict {
        Verdict::Approve => "approved",
        Verdict::Deny => "denied",
    };
    (approval == of).then(|| format!("# Entry {}, {}: {word} by {}.\n", entry.index, entry.time, who(&entry.change.by)))
}

/// A version of a record: the name of its file, and its text with who applied and approved it.
fn version(entry: &ChangeEntry, all: &[ChangeEntry]) -> Option<(String, String)> {
    let Version { record, version, approval } = Version::of(&entry.change.what)?;
    let approval = approval.or_else(|| all.iter().find_map(|other| submitted(&other.change.what, version)));
    let mut text = format!("# Entry {}, {}: applied by {}.\n", entry.index, entry.time, who(&entry.change.by));
    text.extend(approval.into_iter().flat_map(|approval| all.iter().filter_map(|other| word(other, approval))));
    text += &yaml::write(&record::document(&record));
    let (kind, name) = record.name();
    let name = name.replace('/', ".");
    Some((format!("records/{}-{name}-{:08}.yaml", kind.to_lowercase(), entry.index), text))
}

/// Who did something, by an id of the identity provider or a word of ours.
fn who(actor: &Actor) -> String {
    match actor {
        Actor::Staff(person) => person.id.to_string(),
        Actor::Machine(person) => format!("the machine {}", person.id),
        Actor::Workload(integration) => format!("the workload of {integration}"),
        Actor::Api(api) => format!("the workload of {api}"),
        Actor::Operator => "the operator".to_owned(),
        Actor::Broker => "the broker".to_owned(),
        Actor::Directory => "the people directory".to_owned(),
    }
}
