//! `carnet elevate` and `carnet elevations`: scopes for a limited time.
//!
//! People or the workload itself request them. The screen shows what an approver sees.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::inventory;
use crate::cli::shell::answer::{Answer, Failure, cell, one_line, table, time};
use crate::cli::shell::context;
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Places, Reach, given};
use crate::cli::shell::url;
use crate::cli::workload::own;
use crate::cli::workload::proof::{self, Surroundings};
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{EnvironmentName, IntegrationId};
use crate::http::console::briefing::{self, who};
use crate::journal::file::private_folder;

/// Arguments of `elevate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Elevate {
    /// Integration; with --own the proof names it
    #[arg(short, long, value_name = "PARTNER/INTEGRATION", required_unless_present_any = ["own", "profile", "resume"])]
    integration: Option<IntegrationId>,
    /// Environment; may be repeated, with one elevation for each
    #[arg(long, value_name = "ENV", required_unless_present_any = ["profile", "resume"])]
    env: Vec<EnvironmentName>,
    /// API, by name
    #[arg(long, value_name = "API", required_unless_present_any = ["profile", "resume"])]
    api: Option<String>,
    /// Scope; may be repeated
    #[arg(long, value_name = "SCOPE", required_unless_present_any = ["profile", "resume"])]
    scope: Vec<String>,
    /// Limit to this endpoint, out of those that the record allows; may be repeated
    #[arg(long, value_name = "METHOD /PATH")]
    allow: Vec<String>,
    /// Duration
    #[arg(long = "for", value_name = "DURATION", required_unless_present_any = ["profile", "resume"])]
    duration: Option<String>,
    /// Reason; it is recorded, and shown to the people who approve
    #[arg(long, value_name = "TEXT", required_unless_present = "resume")]
    reason: Option<String>,
    /// Ticket that it belongs to
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,
    /// Start (RFC 3339); if absent, it starts when it is approved
    #[arg(long, value_name = "TIME")]
    starts: Option<String>,
    /// Break-glass: start without an approval, if the record allows it
    ///
    /// Security reviews it within a day.
    #[arg(long, conflicts_with_all = ["own", "starts"])]
    break_glass: bool,
    /// Request as the workload itself, by its own proof, and wait for the decision
    #[arg(long)]
    own: bool,
    /// Time that --own and --resume wait; 0s prints the answer, with the poll token, at once
    #[arg(long, value_name = "DURATION", default_value = "4h")]
    wait: String,
    /// Wait again for an elevation that --own requested on this machine
    #[arg(long, value_name = "ELEVATION", conflicts_with_all = ["own", "integration", "profile", "save", "break_glass"])]
    resume: Option<String>,
    /// Audience of the workload's JWT, if the binding names another than the issuer
    #[arg(long, value_name = "AUDIENCE", requires = "own")]
    audience: Option<String>,
    /// File with the workload's JWT; - for stdin
    #[arg(long, env = "CARNET_ASSERTION_FILE", hide_env_values = true, value_name = "FILE|-", requires = "own")]
    assertion_file: Option<String>,
    /// Issuer of the environment, if it is not PUBLIC-SERVER/ENV
    #[arg(long, env = "CARNET_ISSUER", hide_env_values = true, value_name = "URL")]
    issuer: Option<String>,
    /// Take integration, environments, API, scopes, endpoints and duration from this saved profile
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Save them as a profile of this name
    #[arg(long, value_name = "NAME", conflicts_with = "profile")]
    save: Option<String>,
}

/// Arguments of `elevations`.
#[derive(Clone, Debug, clap::Args)]
pub struct Elevations {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only in this state: pending, approved, active, ended, denied, expired, withdrawn, unreviewed
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only of this integration
    #[arg(short, long, value_name = "PARTNER/INTEGRATION")]
    integration: Option<IntegrationId>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Show everything about one, as its approver sees it
    #[command(before_help = "Examples:\n  carnet elevations show 4fJq8Zr0\n  carnet elevations show 4fJq8Zr0 -o json")]
    Show {
        /// Elevation
        #[arg(value_name = "ELEVATION")]
        id: String,
    },
    /// End an elevation, or withdraw a request; its tokens are revoked
    #[command(
        before_help = "Examples:\n  carnet elevations end 4fJq8Zr0 --reason done\n  carnet elevations end 4fJq8Zr0 --reason done -o json"
    )]
    End {
        /// Elevation
        #[arg(value_name = "ELEVATION")]
        id: String,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// A saved profile: the terms of a request that is often made.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    integration: Option<IntegrationId>,
    environments: Vec<EnvironmentName>,
    api: String,
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    duration: String,
}

/// Requests an elevation.
pub async fn elevate(args: Elevate, reach: &Reach) -> Result<Answer, Failure> {
    if let Some(id) = &args.resume {
        return own::resume(id, wait(&args)?).await;
    }
    let wanted = wanted(&args)?;
    let mut body = json!({
        "api": wanted.api, "scopes": wanted.scopes, "allow": wanted.allow, "duration": wanted.duration, "reason": args.reason,
    });
    for (name, value) in [("ticket", &args.ticket), ("starts", &args.starts)] {
        if let Some(value) = value {
            body[name] = value.clone().into();
        }
    }
    if args.own {
        return own(&args, &wanted, &body, &reach.places()?).await;
    }
    let integration = wanted.integration.ok_or_else(|| Failure::usage("an integration is wanted: -i PARTNER/INTEGRATION"))?;
    body["integration"] = json!(integration);
    body["environments"] = json!(wanted.environments);
    if args.break_glass {
        body["breakGlass"] = true.into();
    }
    let told = reach.places()?.admin().await?.post("/v1/elevations", &body).await?;
    let items = told.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = listed(&items);
    let mut answer = Answer::of(Value::from(items.clone()), text);
    for item in items.iter().filter(|item| cell(item, "state") == "pending") {
        answer = answer.note(format!("approve with: carnet approve {}", cell(item, "id")));
    }
    Ok(answer)
}

/// The terms, from the arguments or a saved profile; saves them with `--save`.
fn wanted(args: &Elevate) -> Result<Profile, Failure> {
    let path = context::default_path().ok().map(|path| path.with_file_name("elevations.toml"));
    let broken = |path: &PathBuf| Failure::usage(format!("{} cannot be read", path.display()));
    let mut saved: BTreeMap<String, Profile> = match &path {
        Some(path) if path.exists() => {
            let text = std::fs::read_to_string(path).map_err(|_| broken(path))?;
            toml::from_str(&text).map_err(|error| broken(path).why(error.message().to_owned()))?
        }
        _ => BTreeMap::new(),
    };
    let base = match &args.profile {
        Some(name) => saved.get(name).cloned().ok_or_else(|| {
            let known = saved.keys().cloned().collect::<Vec<_>>().join(", ");
            Failure::new(Exit::Missing, format!("nothing is saved as {name}")).fix(format!("saved are: {known}"))
        })?,
        None => Profile::default(),
    };
    let or = |given: &[String], saved: Vec<String>| if given.is_empty() { saved } else { given.to_vec() };
    let wanted = Profile {
        integration: args.integration.clone().or(base.integration),
        environments: if args.env.is_empty() { base.environments } else { args.env.clone() },
        api: args.api.clone().unwrap_or(base.api),
        scopes: or(&args.scope, base.scopes),
        allow: or(&args.allow, base.allow),
        duration: args.duration.clone().unwrap_or(base.duration),
    };
    if let (Some(name), Some(path)) = (&args.save, &path) {
        saved.insert(name.clone(), wanted.clone());
        let unsaved = |_| Failure::new(Exit::Failure, format!("{} cannot be written", path.display()));
        let text = toml::to_string(&saved).map_err(|_| Failure::new(Exit::Failure, "what is saved is no TOML"))?;
        if let Some(folder) = path.parent() {
            private_folder(folder).map_err(unsaved)?;
        }
        std::fs::write(path, text).map_err(unsaved)?;
    }
    Ok(wanted)
}

/// Requests as the workload itself, and waits.
async fn own(args: &Elevate, wanted: &Profile, body: &Value, places: &Places) -> Result<Answer, Failure> {
    let [environment] = wanted.environments.as_slice() else {
        return Err(Failure::usage("a workload asks for one environment at a time: its proof is for one"));
    };
    let issuer = match given(&args.issuer) {
        Some(issuer) => issuer,
        None => places.issuer(environment.as_str())?,
    };
    let variable = |name: &str| std::env::var(name).ok();
    let around = Surroundings { variable: &variable, exists: &|path| path.is_file() };
    let file = given(&args.assertion_file).map(PathBuf::from);
    let source = proof::find(file.as_deref(), places.assertion_url.as_deref(), &issuer, &around)?;
    own::ask(issuer, &source, args.audience.as_deref(), body, wait(args)?).await
}

fn wait(args: &Elevate) -> Result<Seconds, Failure> {
    Seconds::parse(&args.wait).ok_or_else(|| Failure::usage("--wait takes a duration such as 30m"))
}

/// Lists, shows and ends elevations.
pub async fn elevations(args: Elevations, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match args.verb {
        Some(Verb::Show { id }) => {
            let found = admin.get(&url::path(&["elevations", &id])).await?;
            let text = screen(&found);
            Ok(Answer::of(found, text))
        }
        Some(Verb::End { id, reason }) => {
            let ended = admin.post(&url::path(&["elevations", &id, "end"]), &json!({"reason": reason})).await?;
            let cut = inventory::ended(&ended).map(|sentence| format!("{sentence}\n")).unwrap_or_default();
            let text = format!("{id}  {}\n{cut}", cell(&ended, "state"));
            Ok(Answer::of(ended, text))
        }
        None => {
            let integration = args.integration.map(|integration| integration.to_string());
            let filters = [("state", args.state), ("integration", integration)];
            let pairs: Vec<(&str, &str)> =
                filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            let query = if pairs.is_empty() { String::new() } else { format!("?{}", url::form(&pairs)) };
            let items = admin.list(&format!("/v1/elevations{query}"), usize::MAX).await?;
            let text = listed(&items);
            Ok(Answer::of(items.into(), text))
        }
    }
}

fn listed(items: &[Value]) -> String {
    let row = |item: &Value| {
        let mut cells: Vec<String> =
            ["id", "state", "integration", "environment", "api", "scopes"].iter().map(|name| cell(item, name)).collect();
        cells.extend([cell(item, "duration"), time(&item["ends"]), who(&item["requestedBy"])]);
        cells
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    table(&["ELEVATION", "STATE", "INTEGRATION", "ENV", "API", "SCOPES", "FOR", "ENDS", "REQUESTED BY"], &rows)
}

/// Everything that an approver must see, on one screen: the lines of the approval page.
///
/// See docs/how-to/govern/approve.md.
pub fn screen(one: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _infallible = writeln!(text, "{name:<12} {}", one_line(value));
    };
    line("elevation", &format!("{}  {}", cell(one, "id"), cell(one, "state")));
    for (name, value) in briefing::lines(one) {
        line(name, &value);
    }
    let flags = briefing::flags(one);
    line("unusual", &if flags.is_empty() { "nothing".to_owned() } else { flags.join(" ") });
    if let Some(page) = one["page"].as_str() {
        line("page", page);
    }
    line("version", &cell(one, "version"));
    text
}
