//! The page of one decision: the thing to decide on, the visitor's right to, and what they typed.
//!
//! Enter through [`page`] and [`read`]. After a wrong value the page comes back with the value and with what was expected.

use serde_json::{Value, json};

use super::node::Console;
use super::page::{Choice, Choices, Decision, Done, Frame, Typed, WhyNot, shown};
use super::session::Visitor;
use super::{briefing, dossier};
use crate::broker::elevation::Word;
use crate::broker::unsealed::ERASED;
use crate::domain::decision::elevation::Vote;
use crate::domain::elevation::{Narrowing, Request, Terms};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Verdict;
use crate::domain::value::clock::Seconds;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApprovalId, ElevationId};
use crate::domain::value::scope::Scope;
use crate::http::admin::Problem;
use crate::http::form::Form;

/// The most items in a numbered list of a form: more scopes or endpoints than a record of ours has.
const MOST: usize = 50;

/// The shortest elevation.
const SHORTEST: Seconds = Seconds::minutes(1);

/// The thing to decide on.
pub enum Which {
    /// An approval of governance.
    Approval(ApprovalId),
    /// An elevation.
    Elevation(ElevationId),
}

impl Which {
    /// Finds the thing with this id.
    pub fn find(console: &Console, id: &str) -> Result<Self, Problem> {
        let missing = || Problem::of(&reason::NOT_FOUND);
        let view = console.broker.journal.view();
        let approval: ApprovalId = id.parse().map_err(|_| missing())?;
        if view.state.approvals.contains_key(&approval) {
            return Ok(Self::Approval(approval));
        }
        let elevation: ElevationId = id.parse().map_err(|_| missing())?;
        view.state.elevations.find(&elevation).map(|_| Self::Elevation(elevation)).ok_or_else(missing)
    }
}

/// The page of one approval, with the values that the visitor typed before.
pub async fn page(console: &Console, visitor: &Visitor, id: &str, typed: Typed) -> Result<Decision, Problem> {
    let mut page = match Which::find(console, id)? {
        Which::Approval(name) => approval(console, visitor, &name).await?,
        Which::Elevation(name) => elevation(console, visitor, &name).await?,
    };
    page.typed = typed;
    for text in [&mut page.title, &mut page.state, &mut page.sentence, &mut page.refusal] {
        *text = shown(text);
    }
    for (_, value) in &mut page.rows {
        *value = shown(value);
    }
    Ok(page)
}

async fn approval(console: &Console, visitor: &Visitor, id: &ApprovalId) -> Result<Decision, Problem> {
    let told = console.broker.approval_view(id).await?.ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let told = json!(told);
    let (view, now) = (console.broker.journal.view(), console.broker.now());
    let approval = view.state.approvals.get(id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let judged = approval.review(&visitor.staff, approval.version, now).map(|_| ());
    let who = format!("It needs {}.", dossier::needs(&told));
    let title = format!("{}: {}", dossier::kind(&told), told["subject"].as_str().unwrap_or_default());
    let differences = dossier::differences(&told);
    let flags = dossier::findings(&told);
    Ok(Decision {
        title,
        state: told["state"].as_str().unwrap_or_default().to_owned(),
        rows: dossier::lines(&told),
        flags: flags.iter().map(|flag| shown(flag)).collect(),
        differences: differences.into_iter().map(|(weight, at, change)| (weight, shown(&at), shown(&change))).collect(),
        record: told["record"].as_str().unwrap_or_default().to_owned(),
        sentence: dossier::sentence(&told, true),
        refusal: dossier::sentence(&told, false),
        ..judged_page(visitor, &told, judged, who)
    })
}

async fn elevation(console: &Console, visitor: &Visitor, id: &ElevationId) -> Result<Decision, Problem> {
    let told = json!(console.broker.elevation_seen(id).await?);
    let (view, now) = (console.broker.journal.view(), console.broker.now());
    let request = view.state.elevations.find(id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    // A denial needs no passkey, so this asks if the visitor may decide at all.
    let nothing = Narrowing::default();
    let vote = Vote { verdict: Verdict::Deny, seen: request.version(&view.state), narrowing: &nothing, signature: None };
    let judged = request.review(&visitor.staff, vote, &view.state, now).map(|_| ());
    let open: Vec<String> = told["open"].as_array().into_iter().flatten().map(briefing::demand).collect();
    let who = format!("It needs {}; not who asked, applied the record or enrolled the workload.", open.join(", and "));
    let state = told["state"].as_str().unwrap_or_default();
    Ok(Decision {
        title: format!("{} asks for more in {}", request.elevation.integration, request.elevation.environment),
        state: if request.lacks_review() { format!("{state}, and nobody has looked at it") } else { state.to_owned() },
        rows: briefing::lines(&told),
        flags: briefing::flags(&told),
        terms: Some(choices(&told, &request.terms())),
        sentence: briefing::sentence(&told, true),
        refusal: briefing::sentence(&told, false),
        signed: told["signed"] == true,
        ..judged_page(visitor, &told, judged, who)
    })
}

/// The part of the page about the visitor: their own decision, their right to decide, or why not.
fn judged_page(visitor: &Visitor, told: &Value, judged: Result<(), &'static Reason>, who: String) -> Decision {
    let person = &visitor.staff.person;
    let of_visitor = |review: &&Value| review["by"]["iss"] == person.iss.as_str() && review["by"]["id"] == *person.id;
    let own = told["reviews"].as_array().into_iter().flatten().find(of_visitor);
    let done = own.map(|review| {
        let verb = if review["verdict"] == "approve" { "approved" } else { "denied" };
        let why = review["reason"].as_str().unwrap_or(ERASED);
        Done { said: shown(&format!("You {verb} it: {why}")), next: shown(&dossier::next(told)) }
    });
    // The state already explains a decided thing. For a pending one, a visitor who may not decide is told who may.
    let waits = told["state"] == "pending" || told["unreviewed"] == true;
    let why_not = judged.err().filter(|_| waits && done.is_none()).map(|reason| WhyNot {
        why: format!("{} {}", reason.what, reason.why),
        who: shown(&who),
        code: reason.code,
    });
    Decision {
        frame: Some(Frame::of(visitor)),
        id: told["id"].as_str().unwrap_or_default().to_owned(),
        version: told["version"].as_str().unwrap_or_default().to_owned(),
        open: judged.is_ok(),
        stale: !visitor.staff.fresh,
        done,
        why_not,
        ..Decision::default()
    }
}

fn choices(told: &Value, terms: &Terms) -> Choices {
    let meaning = |scope: &Scope| {
        let asked = told["briefing"]["asked"].as_array().into_iter().flatten();
        let found = asked.into_iter().find(|one| one["scope"] == scope.as_str());
        found.and_then(|one| one["meaning"].as_str()).unwrap_or("no longer in the catalogue").to_owned()
    };
    let scope = |(number, scope): (usize, &Scope)| Choice {
        field: format!("scope-{number}"),
        value: scope.to_string(),
        says: meaning(scope),
    };
    let endpoint = |(number, endpoint): (usize, Endpoint)| Choice {
        field: format!("allow-{number}"),
        value: endpoint.to_string(),
        says: String::new(),
    };
    Choices {
        scopes: terms.scopes.iter().enumerate().take(MOST).map(scope).collect(),
        allow: endpoints(told, terms).into_iter().enumerate().take(MOST).map(endpoint).collect(),
        duration: terms.duration.to_string(),
    }
}

/// The endpoints to choose from: the requested ones, or the record's if all scopes have the same.
fn endpoints(told: &Value, terms: &Terms) -> Vec<Endpoint> {
    if !terms.allow.is_empty() {
        return terms.allow.clone();
    }
    let lists: Vec<&Value> = told["briefing"]["asked"].as_array().into_iter().flatten().map(|one| &one["allow"]).collect();
    match lists.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => {
            serde_json::from_value((*first).clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The fault of a form that is not a decision.
pub enum Unread {
    /// The visitor can correct the values.
    Typed(Typed),
    /// The form is not one of ours.
    Problem(Problem),
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Parses a decision; for an elevation, with its narrowing.
pub fn read(console: &Console, form: &Form<'_>, elevation: Option<(&Request, &Value)>) -> Result<Word, Unread> {
    let verdict = match form.get("verdict") {
        Some("approve") => Verdict::Approve,
        Some("deny") => Verdict::Deny,
        _ => return Err(Problem::of(&reason::REQUEST_INVALID).into()),
    };
    let seen = form.get("version").and_then(|version| version.to_owned().try_into().ok());
    let seen = seen.ok_or_else(|| Problem::of(&reason::APPROVAL_STALE))?;
    let mut faults = Vec::new();
    let why = form.get("reason").map(str::trim).unwrap_or_default();
    match why.chars().count() {
        0 => faults.push(("reason", "Say why: it is recorded, and read by whoever looks back.".to_owned())),
        1..=1000 => {}
        more => faults.push(("reason", format!("At most 1000 characters are kept; these are {more}."))),
    }
    // A denial denies everything.
    let narrowing = match elevation.filter(|_| verdict == Verdict::Approve) {
        Some((request, told)) => narrowing(form, request, told, &mut faults)?,
        None => Narrowing::default(),
    };
    if !faults.is_empty() {
        let fields = form.names().filter_map(|name| Some((name.to_owned(), form.get(name)?.to_owned()))).collect();
        return Err(Unread::Typed(Typed { fields, faults }));
    }
    let signature = match (form.get("answer"), &console.broker.passkeys) {
        (Some(answer), Some(passkeys)) => {
            Some(passkeys.read(answer, seen).map_err(|_| Problem::of(&reason::ELEVATION_SIGNATURE_INVALID))?)
        }
        _ => None,
    };
    Ok(Word { verdict, why: why.to_owned(), seen, narrowing, signature })
}

/// Parses the narrowing. The form lacks what the approver unchecked; the duration may be shorter.
fn narrowing(
    form: &Form<'_>,
    request: &Request,
    told: &Value,
    faults: &mut Vec<(&'static str, String)>,
) -> Result<Narrowing, Problem> {
    let invalid = || Problem::of(&reason::REQUEST_INVALID);
    let terms = request.terms();
    let chosen = |prefix: &str| (0..MOST).filter_map(|number| form.get(&format!("{prefix}-{number}"))).collect::<Vec<_>>();
    let scopes: Vec<Scope> = chosen("scope").into_iter().map(str::parse).collect::<Result<_, _>>().map_err(|_| invalid())?;
    let offered = endpoints(told, &terms);
    let allow: Vec<Endpoint> = chosen("allow").into_iter().map(str::parse).collect::<Result<_, _>>().map_err(|_| invalid())?;
    if scopes.is_empty() {
        faults.push(("scopes", "Leave at least one scope, or deny.".to_owned()));
    }
    if allow.is_empty() && !offered.is_empty() {
        faults.push(("allow", "Leave at least one endpoint, or deny.".to_owned()));
    }
    let typed = form.get("duration").map(str::trim).unwrap_or_default();
    let duration = Seconds::parse(typed);
    let most = terms.duration;
    match duration {
        None => {
            faults.push(("duration", format!("Expected a duration such as 15m, from {SHORTEST} to {most}, and not {typed:?}.")))
        }
        Some(duration) if duration < SHORTEST || most < duration => {
            let code = reason::ELEVATION_WIDENS.code;
            faults.push((
                "duration",
                format!("Expected {SHORTEST} to {most}, as it was asked for, and not {duration} ({code})."),
            ));
        }
        Some(_) => {}
    }
    let all_scopes = terms.scopes.iter().all(|scope| scopes.contains(scope)) && scopes.len() == terms.scopes.len();
    let all_endpoints = allow == offered;
    Ok(Narrowing {
        scopes: (!all_scopes).then(|| scopes.into_iter().collect()),
        allow: (!all_endpoints).then_some(allow),
        duration: duration.filter(|duration| *duration != terms.duration),
    })
}
