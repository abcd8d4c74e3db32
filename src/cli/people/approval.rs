//! `carnet approvals`, `approve` and `deny`: reviews from the command line.
//!
//! Nobody decides on what they did not see. A terminal shows everything before it asks, and sends the version that it showed;
//! a script must name the version that somebody saw.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use serde_json::{Value, json};

use super::elevation;
use crate::cli::shell::answer::{Answer, Failure, block, cell, one_line, prompt, stderr, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach, given};
use crate::cli::shell::url;
use crate::domain::value::digest::Digest;
use crate::http::console::briefing::{self, who};
use crate::http::console::dossier;

/// Arguments of `approvals`.
#[derive(Clone, Debug, clap::Args)]
pub struct Approvals {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// List decided approvals too
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Show everything that is needed to decide: the changes, who requested it, when and why
    #[command(before_help = "Examples:\n  carnet approvals show 4fJq8Zr0\n  carnet approvals show 4fJq8Zr0 -o yaml")]
    Show {
        /// Id, as `carnet approvals` lists it
        #[arg(value_name = "APPROVAL")]
        id: String,
    },
}

/// Arguments of `approve` and `deny`.
#[derive(Clone, Debug, clap::Args)]
pub struct Review {
    /// Id, as `carnet approvals` lists it
    #[arg(value_name = "APPROVAL")]
    id: String,
    /// Reason; it is recorded. A terminal asks for it if it is absent
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Approve an elevation for this duration only
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
    /// Approve only this scope of an elevation; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Approve only this endpoint of an elevation; may be repeated
    #[arg(long, value_name = "METHOD /PATH")]
    allow: Vec<String>,
    /// Version that you saw, from `carnet approvals show`; with --reason nothing is asked
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

/// The verdict of a review.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The request is approved.
    Approve,
    /// The request is denied.
    Deny,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// Lists approvals, or shows one.
pub async fn approvals(args: Approvals, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    if let Some(Verb::Show { id }) = args.verb {
        let found = admin.get(&url::path(&["approvals", &id])).await?;
        let text = screen(&found);
        return Ok(Answer::of(found, text));
    }
    let path = if args.all { "/v1/approvals" } else { "/v1/approvals?state=pending" };
    let items = admin.list(path, usize::MAX).await?;
    let rows: Vec<_> = items.iter().map(row).collect();
    let headings = ["APPROVAL", "KIND", "SUBJECT", "STATE", "NEEDS", "REQUESTED BY", "WHY", "EXPIRES", "VERSION"];
    Ok(Answer::of(items.into(), table(&headings, &rows)))
}

fn row(item: &Value) -> Vec<String> {
    let mut cells: Vec<String> = ["id", "kind", "subject", "state", "openSlots"].iter().map(|name| cell(item, name)).collect();
    cells.extend([who(&item["requestedBy"]), shortened(&cell(item, "reason")), time(&item["expires"]), cell(item, "version")]);
    cells
}

/// Shortens a text to the width of a column.
fn shortened(text: &str) -> String {
    const WIDTH: usize = 40;
    if text.chars().count() <= WIDTH { text.to_owned() } else { text.chars().take(WIDTH - 1).chain(['…']).collect() }
}

/// Everything that is needed to decide, on one screen.
///
/// A record comes first, so that its changes are next to the question.
fn screen(one: &Value) -> String {
    if cell(one, "kind") == "elevation" {
        return elevation::screen(one);
    }
    let mut text = String::new();
    if let Some(record) = one["record"].as_str() {
        text += record;
        text.push('\n');
    }
    let mut line = |name: &str, value: &str| {
        let _infallible = writeln!(text, "{name:<12} {}", one_line(value));
    };
    line("approval", &format!("{}  {}", cell(one, "id"), cell(one, "state")));
    // The version comes last, where `carnet help approve` and every message look for it.
    let (version, lines): (Vec<_>, Vec<_>) = dossier::lines(one).into_iter().partition(|(name, _)| *name == "version");
    for (name, value) in lines {
        line(name, &value);
    }
    for (weight, at, change) in dossier::differences(one) {
        line("changes", &format!("{weight:<8} {at}  {change}"));
    }
    for finding in dossier::findings(one) {
        line("finding", &finding);
    }
    for (name, value) in version {
        line(name, &value);
    }
    text
}

/// Reviews one approval.
pub async fn review(args: &Review, verdict: Verdict, reach: &Reach) -> Result<Answer, Failure> {
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let reason = given(&args.reason);
    if reason.is_none() && !terminal {
        return Err(Failure::usage("a review in a script says why").fix(script(args, verdict)));
    }
    let admin = reach.places()?.admin().await?;
    let found = admin.get(&url::path(&["approvals", &args.id])).await?;
    let sentence = sentence(args, verdict, &found);
    // A passkey signs in a browser, at the console's own address.
    if let Some(page) = found["page"].as_str().filter(|_| verdict == Verdict::Approve) {
        let failure = Failure::new(Exit::SignIn, "this API takes approvals with the approver's passkey alone");
        return Err(failure.why(format!("{}{sentence}", screen(&found))).fix(format!("approve at {page}")));
    }
    let (version, reason) = match (given(&args.version), reason) {
        (Some(version), Some(reason)) => (version, reason),
        (version, reason) if terminal => {
            // The version that is sent is the one that is shown here, and no later one.
            let reason = ask(&format!("{}{sentence}", screen(&found)), verdict, reason)?;
            (version.unwrap_or_else(|| cell(&found, "version")), reason)
        }
        _ => {
            let failure = Failure::usage("a review in a script names the version that was seen");
            return Err(failure.why("nobody is asked here, so nobody was shown what this decides").fix(script(args, verdict)));
        }
    };
    whole(&version, &args.id)?;
    let body = body(args, verdict, &version, &reason);
    let outcome = send(&admin, &args.id, &body).await?;
    let text = format!("{}  {}\n", args.id, cell(&outcome, "state"));
    Ok(Answer::of(outcome.clone(), text).note(format!("{sentence}. {}", dossier::next(&outcome))))
}

/// Accepts a version as it was shown. The beginning of one could be that of another, which nobody saw.
fn whole(version: &str, id: &str) -> Result<(), Failure> {
    if Digest::try_from(version.to_owned()).is_ok() {
        return Ok(());
    }
    let failure = Failure::usage("--version takes a whole version: 64 hexadecimal digits");
    let count = version.chars().count();
    Err(failure
        .why(format!("{version} has {count} characters"))
        .fix(format!("take it from the end of `carnet approvals show {id}`")))
}

/// An approval that waits, who may give it, and the command that does.
///
/// `never` says who may not. The command names the version, so that it also runs in a script.
pub fn waits(approval: &Value, never: &str) -> String {
    let (id, kind, subject) = (cell(approval, "id"), cell(approval, "kind"), cell(approval, "subject"));
    let roles: Vec<&str> = approval["openSlots"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let people = roles.iter().map(|role| format!("one person with the role {role}")).collect::<Vec<_>>().join(" and ");
    let version = cell(approval, "version");
    format!(
        "approval {id}  {kind} {subject}: needs {people}, and never {never}\n  \
         look   carnet approvals show {id}\n  next   carnet approve {id} --version {version} --reason \"looked at\"\n"
    )
}

async fn send(admin: &Admin, id: &str, body: &Value) -> Result<Value, Failure> {
    admin.post(&url::path(&["approvals", id, "reviews"]), body).await
}

fn body(args: &Review, verdict: Verdict, version: &str, reason: &str) -> Value {
    let mut body = json!({"verdict": verdict.word(), "reason": reason, "version": version});
    let lists = [("scopes", &args.scope), ("allow", &args.allow)];
    for (name, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
        body[name] = json!(values);
    }
    if let Some(duration) = &args.duration {
        body["duration"] = duration.clone().into();
    }
    body
}

/// The sentence that will be recorded; for an elevation with its narrowing.
fn sentence(args: &Review, verdict: Verdict, found: &Value) -> String {
    let approves = verdict == Verdict::Approve;
    if cell(found, "kind") != "elevation" {
        return dossier::sentence(found, approves);
    }
    let mut told = found.clone();
    if !args.scope.is_empty() {
        told["scopes"] = json!(args.scope);
    }
    if let Some(duration) = &args.duration {
        told["duration"] = duration.clone().into();
    }
    briefing::sentence(&told, approves)
}

/// The commands with which a script reviews.
fn script(args: &Review, verdict: Verdict) -> String {
    format!(
        "look at it with carnet approvals show {id}, which ends with its version; then: carnet {word} {id} --version VERSION --reason TEXT",
        id = args.id,
        word = verdict.word()
    )
}

/// Shows everything and asks. Returns the reason, if the person said yes.
fn ask(screen: &str, verdict: Verdict, reason: Option<String>) -> Result<String, Failure> {
    stderr(&block(screen));
    let nothing = |what: &str| Failure::new(Exit::Failure, format!("{what}; nothing was sent"));
    let reason = reason.unwrap_or_else(|| prompt("Why? It is recorded: "));
    if reason.is_empty() {
        return Err(nothing("no reason was given"));
    }
    let question = match verdict {
        Verdict::Approve => "Approve this? [y/N] ",
        Verdict::Deny => "Deny this? [y/N] ",
    };
    let said = prompt(question).to_ascii_lowercase();
    if said == "y" || said == "yes" { Ok(reason) } else { Err(nothing("the answer was not y")) }
}
