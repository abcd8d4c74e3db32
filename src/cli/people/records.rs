//! `carnet validate`, `plan` and `apply`: records as code.
//!
//! `validate` needs no server: it checks form, lint, references within the files of `-f`, and the records' own `tests:`.
//! `plan` and `apply` check the form here, so that its faults have file and line. The server, which knows what is in force,
//! checks the rest.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::approval;
use super::planned::{diff, items, markdown};
use crate::cli::operate::serve::invalid;
use crate::cli::shell::answer::{Answer, Failure, cell};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::files::Files;
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::config;
use crate::domain::decision::check::{self, Surroundings};
use crate::domain::decision::guard_check::{Enumeration, Ground, Subject};
use crate::domain::decision::guard_warnings::warnings;
use crate::domain::reason;
use crate::domain::record::{self, Fault, Located, Record, Severity};
use crate::domain::registry::environment::{Environment, is_production};
use crate::domain::state::State;
use crate::domain::state::ours::Ours;
use crate::domain::value::clock::{Clock as _, Timestamp};
use crate::domain::value::names::EnvironmentName;
use crate::policy;
use crate::server::SystemClock;

/// The most questions that `validate` puts to guardrails.
const MOST_QUESTIONS: u64 = 50_000;

/// Arguments of `validate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Validate {
    /// File or folder with records; - for stdin; may be repeated
    #[arg(short, long, value_name = "DIR", required = true)]
    file: Vec<PathBuf>,
    /// Configuration with the environments; without it, those that the records name count
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The files are incomplete: an unknown reference is only a warning
    #[arg(long)]
    partial: bool,
}

/// Arguments of `plan`.
#[derive(Clone, Debug, clap::Args)]
pub struct Plan {
    /// File or folder with records; - for stdin; may be repeated
    #[arg(short, long, value_name = "DIR", required = true)]
    file: Vec<PathBuf>,
}

/// Arguments of `apply`.
#[derive(Clone, Debug, clap::Args)]
pub struct Apply {
    /// File or folder with records; - for stdin; may be repeated
    #[arg(short, long, value_name = "DIR", required = true)]
    file: Vec<PathBuf>,
    /// Apply only if the plan is still this one
    #[arg(long, value_name = "PLAN_ID")]
    plan: Option<String>,
    /// Reason; it is recorded, and shown to the people who approve
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Tokens of the last 30 days that the guardrails would have refused, as `carnet plan` tells
    #[arg(long, value_name = "NUMBER")]
    refuses: Option<u64>,
    /// Tokens of the last 30 days of which that is unknown, as `carnet plan` tells
    #[arg(long, value_name = "NUMBER")]
    unknown: Option<u64>,
}

/// Checks records offline.
pub fn validate(args: &Validate) -> Result<Answer, Failure> {
    let files = Files::read(&args.file)?;
    let (records, mut faults) = read(&files);
    // A file that could not be read may have what others refer to; that fault would be a false one.
    let whole = faults.is_empty();
    let around = surroundings(&records, args)?;
    let mut found = check::check(&records, &around);
    // They stop what is to be approved, which only the server knows.
    found.extend(check::too_long(&records, &around, |_| false));
    found.extend(guardrails(&records));
    for mut fault in found {
        if *fault.reason == reason::RECORD_UNKNOWN_REFERENCE {
            if !whole {
                continue;
            }
            if args.partial {
                fault.severity = Severity::Warning;
            }
        }
        faults.push(fault);
    }
    let wants_others = faults.iter().any(|fault| *fault.reason == reason::RECORD_UNKNOWN_REFERENCE && !args.partial);
    faults.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    let answer = verdict(&files, records.len(), &faults);
    Ok(if wants_others {
        answer.note("if the record that is referred to is elsewhere: name all files with -f, or say --partial")
    } else {
        answer
    })
}

/// The faults of the guardrails, or else what they would refuse of the integrations.
fn guardrails(records: &[Located]) -> Vec<Fault> {
    let faults = policy::faults(records, &|_, _| false);
    let guardrails = records.iter().filter_map(|located| match &located.record {
        Record::Guardrail(guardrail) => Some(guardrail.clone()),
        Record::Api(_) | Record::Integration(_) | Record::Partner(_) => None,
    });
    // One that names what other files have is still one that can be asked.
    let Some(set) = policy::set_of(&guardrails.collect::<Vec<_>>()) else { return faults };
    let state = State::default();
    // No time is known here: records are checked as at the beginning of 1970.
    let now = Timestamp::default();
    let (ground, subjects) = (Ground::of(&state, now).with(records), Subject::of(records, &state, now));
    let mut enumeration = Enumeration::new(&set, set.free_values(), &ground, MOST_QUESTIONS);
    let complete = enumeration.ask_all(&subjects).is_ok();
    let mut found = warnings(records, &enumeration.findings);
    let first = records.iter().find(|located| matches!(located.record, Record::Guardrail(_)));
    if let Some(located) = first.filter(|_| !complete) {
        let asked = enumeration.asked;
        let message = format!("there are more questions to the guardrails than may be asked: {asked} were asked");
        let (line, reason) = (located.line, &reason::GUARDRAIL_FORBIDS);
        let (file, at, severity) = (located.file.clone(), "cedar".to_owned(), Severity::Warning);
        found.push(Fault { file, line, column: 1, at, reason, message, severity });
    }
    faults.into_iter().chain(found).collect()
}

fn verdict(files: &Files, records: usize, faults: &[Fault]) -> Answer {
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    let warnings = faults.len() - errors;
    let mut text: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let word = if errors == 0 { "valid" } else { "INVALID" };
    text += &format!(
        "{word}: {} in {}, {}, {}\n",
        count(records, "record"),
        count(files.list.len(), "file"),
        count(errors, "error"),
        count(warnings, "warning")
    );
    let data = json!({
        "valid": errors == 0, "files": files.list.len(), "records": records, "errors": errors, "warnings": warnings,
        "faults": faults.iter().map(fault_data).collect::<Vec<_>>(),
    });
    Answer::of(data, text).exit(if errors == 0 { Exit::Ok } else { Exit::Usage })
}

fn fault_data(fault: &Fault) -> Value {
    let severity = if fault.severity == Severity::Error { "error" } else { "warning" };
    json!({
        "file": fault.file, "line": fault.line, "column": fault.column, "at": fault.at, "reason": fault.reason.code,
        "message": fault.message, "severity": severity,
    })
}

/// All records that can be read, and the faults of the others.
fn read(files: &Files) -> (Vec<Located>, Vec<Fault>) {
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for (name, text) in &files.list {
        match record::read(name, text) {
            Ok(read) => records.extend(read),
            Err(found) => faults.extend(found),
        }
    }
    (records, faults)
}

fn surroundings(records: &[Located], args: &Validate) -> Result<Surroundings, Failure> {
    let now = Some(SystemClock.now());
    let Some(path) = &args.config else {
        let environments = named(records);
        let production = environments.iter().filter(|name| is_production(name, None)).cloned().collect();
        return Ok(Surroundings { environments, production, now, ..Surroundings::default() });
    };
    let config = config::load(path).map_err(|faults| invalid(path, &faults))?;
    let environments = crate::serve::environments(&config);
    let ours = Ours::named(environments.iter());
    let counts = |(name, known): &(&EnvironmentName, &Environment)| is_production(name, known.production);
    let production = environments.iter().filter(counts).map(|(name, _)| name.clone()).collect();
    Ok(Surroundings { environments: environments.into_keys().collect(), production, ours, now, ..Surroundings::default() })
}

/// The environments that the records name.
fn named(records: &[Located]) -> BTreeSet<EnvironmentName> {
    let mut named = BTreeSet::new();
    for located in records {
        match &located.record {
            Record::Api(api) => named.extend(api.audience.keys().chain(api.callers.keys()).cloned()),
            Record::Integration(integration) => named.extend(integration.environments.keys().cloned()),
            Record::Guardrail(_) | Record::Partner(_) => {}
        }
    }
    named
}

/// Shows the changes that an apply would make. Exit 6 if there are any.
pub async fn plan(args: &Plan, reach: &Reach) -> Result<Answer, Failure> {
    let files = readable(&args.file)?;
    let admin = reach.places()?.admin().await?;
    let plan = send(&admin, "/v1/records/plan", &files, &[]).await?;
    let changes = plan["changes"] != false;
    let (text, markdown) = (diff(&plan), markdown(&plan));
    Ok(Answer::of(plan, text).markdown(markdown).exit(if changes { Exit::Changes } else { Exit::Ok }))
}

/// Applies the records.
pub async fn apply(args: &Apply, reach: &Reach) -> Result<Answer, Failure> {
    let files = readable(&args.file)?;
    let admin = reach.places()?.admin().await?;
    let mut headers: Vec<_> = args.plan.iter().map(|plan| ("if-match", format!("\"{plan}\""))).collect();
    headers.extend(args.reason.iter().map(|reason| ("carnet-reason", url::encode(reason))));
    headers.extend(args.refuses.iter().map(|number| ("carnet-refuses", number.to_string())));
    headers.extend(args.unknown.iter().map(|number| ("carnet-unknown", number.to_string())));
    let plan = send(&admin, "/v1/records/apply", &files, &headers).await?;
    let text = diff(&plan) + &next(&plan);
    let unused = args.reason.is_some() && plan["changes"] == false;
    let answer = Answer::of(plan, text);
    Ok(if unused { answer.note("nothing changed, so nothing was recorded, and neither was the reason") } else { answer })
}

/// The approvals that were opened, the roles that may review them, and the next commands.
fn next(plan: &Value) -> String {
    let mut text = String::new();
    for approval in plan["approvals"].as_array().into_iter().flatten() {
        text += &approval::waits(approval, "who applied it");
    }
    for item in items(plan).iter().filter(|item| cell(item, "action") == "draft") {
        let subject = cell(item, "subject");
        let Some((partner, name)) = subject.split_once('/') else { continue };
        text += &format!("draft {subject}: nothing is in force until it is submitted and approved\n");
        text += &format!("  next   carnet integration submit {partner}/{name} --reason \"ready\"\n");
    }
    text
}

/// The files, if their records are valid.
pub fn readable(paths: &[PathBuf]) -> Result<Files, Failure> {
    let files = Files::read(paths)?;
    let (_, faults) = read(&files);
    if faults.is_empty() {
        return Ok(files);
    }
    let mut failure =
        Failure::usage("the records are not valid; nothing was sent").fix("`carnet validate` shows the same, offline");
    failure.faults = faults.iter().map(|fault| (fault.to_string(), fault_data(fault))).collect();
    Err(failure)
}

/// Sends the files. Places in the answer are those in the files.
pub async fn send(admin: &Admin, path: &str, files: &Files, headers: &[(&'static str, String)]) -> Result<Value, Failure> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = ("application/yaml", files.joined().into_bytes());
    let mut plan = admin.post_as(path, body, &headers).await.map_err(|failure| placed(failure, files))?;
    for warning in plan["warnings"].as_array_mut().into_iter().flatten() {
        warning["at"] = at(&cell(warning, "at"), files).into();
    }
    Ok(plan)
}

/// Moves faults from lines of the sent text to lines of the person's files.
fn placed(mut failure: Failure, files: &Files) -> Failure {
    for (text, fault) in &mut failure.faults {
        fault["at"] = at(&cell(fault, "at"), files).into();
        *text = format!("{}: {} [{}]", cell(fault, "at"), cell(fault, "message"), cell(fault, "reason"));
    }
    failure
}

/// Turns the server's `records:12 contract.ends` into `partners/globex.yaml:4 contract.ends`.
fn at(at: &str, files: &Files) -> String {
    let (line, path) = at.strip_prefix("records:").and_then(|rest| rest.split_once(' ')).unwrap_or_default();
    match line.parse().ok().and_then(|line| files.place(line)) {
        Some((file, line)) => format!("{file}:{line} {path}").trim_end().to_owned(),
        None => at.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// W-2: each command runs as printed, and every approval names the roles that may give it.
    #[test]
    fn what_was_applied_says_what_comes_next() {
        let plan = json!({"items": [
            {"kind": "Integration", "subject": "globex/order-sync", "action": "draft"},
            {"kind": "Partner", "subject": "globex", "action": "hold"},
        ], "approvals": [
            {"id": "a1", "kind": "partner", "subject": "globex", "version": "ab12", "openSlots": ["security"]},
            {"id": "a2", "kind": "api", "subject": "orders-api", "version": "cd34", "openSlots": ["owner", "security"]},
        ]});
        let told = next(&plan);
        assert!(told.contains("approval a1  partner globex: needs one person with the role security, and"), "{told}");
        assert!(told.contains("one person with the role owner and one person with the role security, and"), "{told}");
        let commands: Vec<&str> = told.lines().filter_map(|line| line.trim().strip_prefix("next   ")).collect();
        assert_eq!(commands.len(), 3, "{told}");
        assert_eq!(commands[0], "carnet approve a1 --version ab12 --reason \"looked at\"");
        for command in commands {
            let command = command.replace("\"looked at\"", "looked").replace('"', "");
            crate::cli::Cli::try_parse_from(command.split(' ')).unwrap_or_else(|fault| panic!("{command}: {fault}"));
        }
        assert_eq!(next(&json!({"items": [], "approvals": []})), "");
    }

    #[test]
    fn faults_of_the_server_are_told_in_the_files_of_their_author() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = Files { list: vec![file("a.yaml", "1\n2\n"), file("b.yaml", "1\n2\n")] };
        let mut failure = Failure::usage("invalid");
        failure.faults = vec![(String::new(), json!({"at": "records:5 x", "message": "m", "reason": "record.value"}))];
        let failure = placed(failure, &files);
        assert_eq!(failure.faults[0].0, "b.yaml:2 x: m [record.value]");
        assert_eq!(failure.faults[0].1["at"], "b.yaml:2 x");
        assert_eq!(at("elsewhere", &files), "elsewhere");
    }
}
