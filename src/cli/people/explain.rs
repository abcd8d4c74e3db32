//! `carnet explain`: the page of a reason, offline, or the decision tree of one exchange.

use serde_json::{Value, json};

use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::reason::Reason;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Explain {
    /// Request id (X-Request-Id), or a reason such as binding.no-match
    #[arg(value_name = "REQUEST_ID|REASON", required_unless_present = "list")]
    what: Option<String>,
    /// List all reasons
    #[arg(long, conflicts_with = "what")]
    list: bool,
}

/// Runs it.
pub async fn run(args: Explain, reach: &Reach) -> Result<Answer, Failure> {
    let Some(what) = args.what else { return Ok(list()) };
    if let Some(reason) = Reason::find(&what) {
        return Ok(page(reason));
    }
    // A reason has a dot, a request id has none.
    if what.contains('.') {
        return Err(unknown(&what));
    }
    let explained = reach.places()?.admin().await?.get(&url::path(&["explain", &what])).await?;
    let text = tree(&explained);
    Ok(Answer::of(explained, text))
}

fn page(reason: &Reason) -> Answer {
    let data = json!({"reason": reason.code, "what": reason.what, "why": reason.why, "fix": reason.fix});
    let text = format!("{}  {}\n  why  {}\n  fix  {}\n", reason.code, reason.what, reason.why, reason.fix);
    Answer::of(data, text)
}

fn list() -> Answer {
    let all = Reason::all();
    let rows: Vec<_> = all.iter().map(|reason| vec![reason.code.to_owned(), reason.what.to_owned()]).collect();
    let data = all.iter().map(|reason| json!({"reason": reason.code, "what": reason.what})).collect::<Vec<_>>();
    Answer::of(data.into(), table(&["REASON", "WHAT"], &rows))
}

fn unknown(what: &str) -> Failure {
    let family = what.split('.').next().unwrap_or_default();
    let near: Vec<_> =
        Reason::all().into_iter().map(|reason| reason.code).filter(|code| code.split('.').next() == Some(family)).collect();
    let fix =
        if near.is_empty() { "carnet explain --list".to_owned() } else { format!("known of this family: {}", near.join(", ")) };
    Failure::new(Exit::Missing, format!("there is no reason {what}")).fix(fix)
}

/// The decision tree: one line per check, with `ok` or `NO`.
pub fn tree(explained: &Value) -> String {
    let text = |name: &str| explained.get(name).and_then(Value::as_str);
    let reason = text("reason");
    let page = reason.and_then(Reason::find);
    let mut lines = match (reason, page) {
        (None, _) => "issued\n".to_owned(),
        (Some(code), None) => format!("refused {code}\n"),
        (Some(code), Some(page)) => format!("refused {code}  {}\n", page.what),
    };
    let client = text("client").unwrap_or("a stranger");
    lines += &format!("  what   {client} in {} at {}\n", cell(explained, "environment"), time(&explained["time"]));
    lines += &checks(explained);
    if let Some(page) = page {
        lines += &format!("  fix    {}\n", page.fix);
    }
    let entry = explained.get("entry").and_then(Value::as_u64).map(|entry| format!(" · entry {entry}")).unwrap_or_default();
    lines + &format!("  where  request {}{entry}\n", text("request").unwrap_or("-"))
}

/// The checks of a decision, one per line, with the wanted and the seen value of each that fails.
pub fn checks(explained: &Value) -> String {
    let mut lines = String::new();
    let steps = explained["tree"].as_array().map(Vec::as_slice).unwrap_or_default();
    let width = steps.iter().map(|step| cell(step, "check").chars().count()).max().unwrap_or(0);
    let held = steps.iter().filter(|step| step.get("holds") == Some(&Value::Bool(true))).count();
    if !steps.is_empty() {
        lines += &format!("  why    {held} of {} checks hold\n", steps.len());
    }
    for step in steps {
        let (check, want, seen) = (cell(step, "check"), cell(step, "want"), cell(step, "seen"));
        lines += &if step.get("holds") == Some(&Value::Bool(true)) {
            format!("           ok   {check:<width$}  {seen}\n")
        } else {
            format!("           NO   {check:<width$}  want {want}   got {seen}\n")
        };
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_page() {
        let all = Reason::all();
        assert!(all.len() > 40);
        for reason in all {
            let text = page(reason).text;
            assert!(text.starts_with(reason.code) && text.contains("\n  why  ") && text.contains("\n  fix  "), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_told_as_a_tree() {
        let explained = json!({
            "request": "r1", "environment": "production", "time": 1_795_600_800, "client": "globex/order-sync",
            "entry": 7, "reason": "binding.no-match", "tree": [
                {"check": "claim.repository_id", "want": "456789", "seen": "456789", "holds": true},
                {"check": "claim.ref", "want": "refs/heads/main", "seen": "refs/heads/dev", "holds": false},
            ],
        });
        let text = tree(&explained);
        assert!(text.contains("  why    1 of 2 checks hold\n"), "{text}");
        assert!(text.contains("\n           ok   claim.repository_id  456789\n"), "{text}");
        assert!(text.contains("\n           NO   claim.ref            want refs/heads/main   got refs/heads/dev\n"), "{text}");
        assert!(text.ends_with("  where  request r1 · entry 7\n"), "{text}");
    }
}
