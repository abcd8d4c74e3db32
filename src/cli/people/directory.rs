//! `carnet directory`: the people whom records name as owners, and who of them left.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::shell::answer::{Answer, Failure, cell, field, table, time};
use crate::cli::shell::reach::{Admin, Reach};
use crate::domain::value::names::HoldId;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Directory {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Send the whole list of people: a CSV file with the header email,active
    #[command(
        before_help = "Examples:\n  carnet directory import people.csv\n  carnet directory import people.csv --confirm-left 2 -o json"
    )]
    Import {
        /// The list; - for stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Number of active people whom the list lacks; with it they count as gone
        #[arg(long, value_name = "N")]
        confirm_left: Option<usize>,
    },
    /// Confirm that the owners left whom the brake holds
    #[command(
        before_help = "Examples:\n  carnet directory confirm 4fJq8Zr0 --reason \"a team was sold\"\n  carnet directory confirm 4fJq8Zr0 --reason \"a team was sold\" -o json"
    )]
    Confirm {
        /// Hold, as `carnet directory` lists it
        #[arg(value_name = "ID")]
        id: HoldId,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Runs it.
pub async fn run(args: Directory, reach: &Reach) -> Result<Answer, Failure> {
    match args.verb {
        None => show(&reach.admin().await?).await,
        Some(Verb::Import { file, confirm_left }) => import(reach, &file, confirm_left).await,
        Some(Verb::Confirm { id, reason }) => {
            let done = reach.admin().await?.post("/v1/directory/confirm", &json!({"id": id, "reason": reason})).await?;
            let count = done["people"].as_array().map_or(0, Vec::len);
            Ok(Answer::of(done, format!("{count} people count as gone from now on\n")))
        }
    }
}

async fn show(admin: &Admin) -> Result<Answer, Failure> {
    let found = admin.get("/v1/directory").await?;
    let people = &found["people"];
    let counts = [("active", "active"), ("inactive", "left"), ("forgotten", "left and forgotten")];
    let counts: Vec<String> = counts.iter().map(|(name, word)| format!("{} {word}", cell(people, name))).collect();
    let mut text = field("directory", if found["configured"] == true { "configured" } else { "not configured" });
    text += &field("people", &counts.join(", "));
    let last = if found["lastWord"].is_null() { "never".to_owned() } else { time(&found["lastWord"]) };
    text += &field("last word", &last);
    if !found["silentSince"].is_null() {
        text += &field("silent", &format!("since {}, longer than it may be", time(&found["silentSince"])));
    }
    for id in found["unresolved"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text += &field("unknown", &format!("an owner of {id}"));
    }
    let mut rows = Vec::new();
    for hold in found["held"].as_array().into_iter().flatten() {
        let since = format!("held since {}", time(&hold["at"]));
        rows.extend(hold["people"].as_array().into_iter().flatten().map(|one| row(one, since.clone(), cell(hold, "id"))));
    }
    for one in found["gone"].as_array().into_iter().flatten() {
        rows.push(row(one, format!("gone since {}", time(&one["since"])), "-".to_owned()));
    }
    if !rows.is_empty() {
        text += &format!("\n{}", table(&["PERSON", "USER NAME", "STATE", "HOLD", "OWNS"], &rows));
    }
    Ok(Answer::of(found, text))
}

fn row(one: &Value, state: String, hold: String) -> Vec<String> {
    vec![cell(one, "id"), cell(one, "userName"), state, hold, cell(one, "integrations")]
}

async fn import(reach: &Reach, file: &Path, confirm_left: Option<usize>) -> Result<Answer, Failure> {
    let name = file.display().to_string();
    let text = if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.map_err(|error| Failure::usage(format!("{name} cannot be read: {}", error.kind())))?;
    let (people, lines) = read(&text).map_err(|fault| Failure::usage(format!("{name}:{fault}; nobody was changed")))?;
    let mut body = json!({"people": people});
    if let Some(number) = confirm_left {
        body["confirmLeft"] = number.into();
    }
    let done = reach.admin().await?.post("/v1/directory/import", &body).await;
    let done = done.map_err(|failure| at_lines(failure, &name, &lines))?;
    let text = format!("{} people in the list, of whom it says something new of {}\n", people.len(), cell(&done, "changed"));
    let lacking = done["lacking"].as_u64().unwrap_or_default();
    let note = (lacking > 0 && confirm_left.is_none()).then(|| {
        format!(
            "the list lacks {lacking} active people, who stay as they are; with --confirm-left {lacking} they count as gone"
        )
    });
    let answer = Answer::of(done, text);
    Ok(if let Some(note) = note { answer.note(note) } else { answer })
}

/// Reads a list: each person, and the line that each stands in.
fn read(text: &str) -> Result<(Vec<Value>, Vec<usize>), String> {
    let mut rows =
        text.trim_start_matches('\u{feff}').lines().enumerate().map(|(at, line)| (at + 1, line.trim_end_matches('\r')));
    let header = rows.next().map(|(_, header)| header.trim().to_ascii_lowercase());
    if header.as_deref() != Some("email,active") {
        return Err("1: expected the header email,active".to_owned());
    }
    let (mut people, mut lines) = (Vec::new(), Vec::new());
    for (line, row) in rows.filter(|(_, row)| !row.trim().is_empty()) {
        let (email, active) =
            row.split_once(',').ok_or_else(|| format!("{line}: expected an address, a comma, and true or false"))?;
        let active = match active.trim().to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            _ => return Err(format!("{line}: expected true or false after the comma")),
        };
        let email = email.trim();
        if email.contains('"') || !email.contains('@') {
            return Err(format!("{line}: expected an e-mail address, without quotes"));
        }
        people.push(json!({"email": email, "active": active}));
        lines.push(line);
    }
    Ok((people, lines))
}

/// The same failure with the lines of the file in place of the numbers of the people.
fn at_lines(mut failure: Failure, name: &str, lines: &[usize]) -> Failure {
    for (text, _) in &mut failure.faults {
        let number =
            text.split_once("people[").and_then(|(_, rest)| rest.split_once(']')).and_then(|(number, _)| number.parse().ok());
        if let Some((number, line)) = number.and_then(|number: usize| Some((number, lines.get(number)?))) {
            *text = text.replace(&format!("people[{number}]"), &format!("{name}:{line}"));
        }
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let good = "\u{feff}Email,Active\r\njane@acme.example,true\r\n\r\nraj@acme.example, FALSE\r\n";
        let (people, lines) = read(good).expect("a list");
        assert_eq!(lines, [2, 4]);
        let wanted =
            [json!({"email": "jane@acme.example", "active": true}), json!({"email": "raj@acme.example", "active": false})];
        assert_eq!(people, wanted);
        assert_eq!(read("email,active\n").expect("nobody").0.len(), 0);
        for (bad, line) in [
            ("", "1:"),
            ("jane@acme.example,true\n", "1:"),
            ("email,active\njane@acme.example,true\nraj@acme.example\n", "3:"),
            ("email,active\njane@acme.example,yes\n", "2:"),
            ("email,active\njane,true\n", "2:"),
            ("email,active\n\"jane@acme.example\",true\n", "2:"),
        ] {
            let fault = read(bad).expect_err("refused");
            assert!(fault.starts_with(line), "{fault}");
        }
    }

    #[test]
    fn a_fault_names_the_line_of_the_file() {
        let mut failure = Failure::usage("x");
        failure.faults = vec![("people[1]: twice".to_owned(), Value::Null), ("people[9]: odd".to_owned(), Value::Null)];
        let told: Vec<String> = at_lines(failure, "people.csv", &[2, 4]).faults.into_iter().map(|(text, _)| text).collect();
        assert_eq!(told, ["people.csv:4: twice", "people[9]: odd"]);
    }
}
