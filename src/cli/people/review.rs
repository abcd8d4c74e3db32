//! `carnet review`: reviews of partners' access, what people decide, and campaigns.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::evidence::take_away;
use crate::cli::shell::answer::{Answer, Failure, cell, field, one_line, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::domain::registry::recertification::{ItemVerdict, ReviewId};
use crate::domain::value::names::PartnerName;
use crate::journal::bundle::html;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Review {
    /// List reviews that are open or past their due date
    #[command(before_help = "Examples:\n  carnet review list\n  carnet review list --all -o json")]
    List {
        /// Completed ones too
        #[arg(long)]
        all: bool,
        /// Only those of this partner
        #[arg(long, value_name = "PARTNER")]
        partner: Option<PartnerName>,
    },
    /// Show a review: scopes, figures, suggestions, and what was decided
    #[command(
        before_help = "Examples:\n  carnet review show rev_globex.order-sync.production.1\n  carnet review show rev_globex.order-sync.production.1 -o json"
    )]
    Show {
        /// Review, as `carnet review list` shows it
        #[arg(value_name = "REVIEW")]
        id: ReviewId,
    },
    /// Decide on each scope of a review; what narrows is in force at once
    #[command(
        before_help = "Examples:\n  carnet review decide rev_globex.order-sync.production.1 --version VERSION --keep orders-api/orders:read --remove orders-api/orders:write --reason \"asked the team\"\n  carnet review decide rev_globex.order-sync.production.1 --version VERSION -f decisions.json --reason \"asked the team\""
    )]
    Decide(Box<Decide>),
    /// Start a campaign of reviews
    #[command(
        before_help = "Examples:\n  carnet review start --risk high --due 2027-02-01 --on-silence suspend --reason \"after the incident\"\n  carnet review start --partner globex --due 2027-02-01 --on-silence report --reason \"yearly\""
    )]
    Start(Start),
    /// Report who decided what, when and why
    #[command(
        before_help = "Examples:\n  carnet review report --from 2026-10-01 --to 2026-12-31 -o json\n  carnet review report --from 2026-10-01 -o html > reviews.html\n  carnet review report --from 2026-10-01 --bundle > reviews.zip\n  carnet review report --names"
    )]
    Report {
        /// First day
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// Last day
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
        /// Name reviewers; without it they are numbered
        #[arg(long)]
        names: bool,
        /// Take it away as a bundle, a ZIP archive that `carnet journal verify` verifies; it has the entries, which name reviewers
        #[arg(long, conflicts_with = "names")]
        bundle: bool,
    },
    /// Show how people review; for auditors and security
    #[command(before_help = "Examples:\n  carnet review figures\n  carnet review figures -o json")]
    Figures,
}

/// A decision.
#[derive(Clone, Debug, clap::Args)]
pub struct Decide {
    /// Review, as `carnet review list` shows it
    #[arg(value_name = "REVIEW")]
    id: ReviewId,
    /// Version that you saw, as `carnet review show` shows it
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// Keep a scope as it is; may be repeated
    #[arg(long, value_name = "API/SCOPE")]
    keep: Vec<String>,
    /// Let a scope take an elevation from now on; may be repeated
    #[arg(long, value_name = "API/SCOPE")]
    elevation: Vec<String>,
    /// Remove a scope; may be repeated
    #[arg(long, value_name = "API/SCOPE")]
    remove: Vec<String>,
    /// Decisions as JSON: a list of {"api", "scope", "decision", "allow", "reason"}; takes `narrow` too
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Reason; it is recorded, and stands for each high-risk scope that is kept by --keep
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// A campaign.
#[derive(Clone, Debug, clap::Args)]
pub struct Start {
    /// Everything
    #[arg(long, conflicts_with_all = ["partner", "risk"], required_unless_present_any = ["partner", "risk"])]
    all: bool,
    /// Integrations of this partner
    #[arg(long, value_name = "PARTNER")]
    partner: Option<PartnerName>,
    /// Environments with a scope of this risk
    #[arg(long, value_name = "RISK", value_parser = ["low", "medium", "high"])]
    risk: Option<String>,
    /// Last day to answer: 7 to 90 days ahead
    #[arg(long, value_name = "DATE")]
    due: String,
    /// Consequence where nobody answers
    #[arg(long, value_name = "WHAT", value_parser = ["suspend", "report"])]
    on_silence: String,
    /// Reason; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Runs it.
pub async fn run(verb: Review, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Review::List { all, partner } => list(&admin, all, partner.as_ref()).await,
        Review::Show { id } => show(&admin, &id).await,
        Review::Decide(decide) => self::decide(&admin, *decide).await,
        Review::Start(start) => self::start(&admin, &start).await,
        Review::Report { from, to, bundle: true, .. } => bundle(&admin, (from, to)).await,
        Review::Report { from, to, names, bundle: false } => report(&admin, (from, to), names).await,
        Review::Figures => figures(&admin).await,
    }
}

async fn list(admin: &Admin, all: bool, partner: Option<&PartnerName>) -> Result<Answer, Failure> {
    let path = match partner {
        Some(partner) => format!("/v1/reviews?partner={partner}"),
        None => "/v1/reviews".to_owned(),
    };
    let items = admin.list(&path, usize::MAX).await?;
    let shown: Vec<Value> = items.into_iter().filter(|item| all || item["state"] != "completed").collect();
    let row = |item: &Value| {
        vec![
            cell(item, "id"),
            cell(item, "state"),
            cell(item, "integration"),
            cell(item, "environment"),
            cell(item, "cause"),
            time(&item["due"]),
            needs(item),
        ]
    };
    let heads = ["REVIEW", "STATE", "INTEGRATION", "ENVIRONMENT", "CAUSE", "DUE", "NEEDS"];
    let text = table(&heads, &shown.iter().map(row).collect::<Vec<_>>());
    Ok(Answer::of(shown.into(), text))
}

fn needs(item: &Value) -> String {
    let roles: Vec<&str> = item["needs"].as_array().into_iter().flatten().filter_map(|need| need["role"].as_str()).collect();
    roles.join(", then ")
}

async fn show(admin: &Admin, id: &ReviewId) -> Result<Answer, Failure> {
    let card = admin.get(&url::path(&["reviews", &id.to_string()])).await?;
    let text = screen(&card);
    Ok(Answer::of(card, text))
}

fn screen(card: &Value) -> String {
    let mut text = String::new();
    for (name, value) in [
        ("review", cell(card, "id")),
        ("state", cell(card, "state")),
        ("of", format!("{} in {}", cell(card, "integration"), cell(card, "environment"))),
        ("cause", cell(card, "cause")),
        ("opened", time(&card["opened"])),
        ("due", time(&card["due"])),
        ("needs", needs(card)),
    ] {
        text += &field(name, &value);
    }
    if !card["refusesFrom"].is_null() {
        text += &field("silence", &format!("nothing is issued from {} on", time(&card["refusesFrom"])));
    }
    if !card["version"].is_null() {
        for (name, value) in [
            ("purpose", one_line(&cell(card, "purpose"))),
            ("business", cell(&card["owners"], "business")),
            ("application", cell(&card["owners"], "application")),
            ("contract", format!("{} until {}", cell(&card["contract"], "ref"), time(&card["contract"]["ends"]))),
        ] {
            text += &field(name, &value);
        }
        let binding = |one: &Value| field("admits", &format!("{}: {}", cell(one, "name"), one_line(&cell(one, "admits"))));
        text.extend(all(&card["bindings"]).map(binding));
        text += "\n";
        text += &items(card);
    }
    for one in all(&card["decisions"]) {
        let by = one["by"]["name"].as_str().or(one["by"]["id"].as_str()).unwrap_or("somebody").to_owned();
        let _ =
            writeln!(text, "{} word by {by} on {}: {}", cell(one, "word"), time(&one["at"]), one_line(&cell(one, "reason")));
        for item in all(&one["items"]) {
            let _ = writeln!(text, "    {} {} {}", cell(item, "decision"), cell(item, "api"), cell(item, "scope"));
        }
    }
    if !card["version"].is_null() {
        text += &field("version", &cell(card, "version"));
    }
    text
}

fn items(card: &Value) -> String {
    let row = |item: &Value| {
        let allow: Vec<&str> = all(&item["allow"]).filter_map(Value::as_str).collect();
        let reach = if allow.is_empty() { "the whole API".to_owned() } else { allow.join(", ") };
        vec![
            format!("{}/{}", cell(item, "api"), cell(item, "scope")),
            cell(item, "risk"),
            reach,
            cell(item, "issued30d"),
            cell(item, "issued90d"),
            cell(item, "seen30d"),
            cell(item, "suggestion"),
            cell(item, "because"),
        ]
    };
    let heads = ["SCOPE", "RISK", "ENDPOINTS", "30 DAYS", "90 DAYS", "SEEN 30 DAYS", "SUGGESTION", "BECAUSE"];
    table(&heads, &all(&card["items"]).map(row).collect::<Vec<_>>())
}

fn all(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

async fn decide(admin: &Admin, decide: Decide) -> Result<Answer, Failure> {
    let Decide { id, version, keep, elevation, remove, file, reason } = decide;
    let mut items = file.map(|file| read(&file)).transpose()?.unwrap_or_default();
    for (scopes, verdict) in [(keep, ItemVerdict::Keep), (elevation, ItemVerdict::Elevation), (remove, ItemVerdict::Remove)] {
        for scope in scopes {
            let Some((api, scope)) = scope.split_once('/') else {
                let failure = Failure::usage("a scope is named with its API");
                return Err(failure.why(format!("{scope} has no API")).fix("write API/SCOPE, such as orders-api/orders:read"));
            };
            let mut item = json!({"api": api, "scope": scope, "decision": verdict.name()});
            if verdict == ItemVerdict::Keep {
                item["reason"] = reason.as_str().into();
            }
            items.push(item);
        }
    }
    let body = json!({"version": version, "items": items, "reason": reason});
    let done = admin.post(&url::path(&["reviews", &id.to_string(), "decisions"]), &body).await?;
    let next = if done["state"] == "completed" {
        "the review is completed"
    } else {
        "security has to agree to the high-risk scopes that stay"
    };
    let narrowed = if done["version"].is_null() { "nothing narrows" } else { "a narrower version is in force" };
    Ok(Answer::of(done, format!("{id}  {narrowed}; {next}\n")))
}

fn read(file: &std::path::Path) -> Result<Vec<Value>, Failure> {
    let failed = |why: String| Failure::new(Exit::Usage, format!("{} cannot be read", file.display())).why(why);
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()).fix("write a JSON list of decisions"))
}

async fn start(admin: &Admin, start: &Start) -> Result<Answer, Failure> {
    let mut select = json!({});
    if start.all {
        select["all"] = true.into();
    }
    if let Some(partner) = &start.partner {
        select["partner"] = partner.as_str().into();
    }
    if let Some(risk) = &start.risk {
        select["risk"] = risk.as_str().into();
    }
    let body = json!({"select": select, "due": start.due, "onSilence": start.on_silence, "reason": start.reason});
    let done = admin.post("/v1/reviews", &body).await?;
    let covers = cell(&done, "covers");
    let text = match done["approval"].as_str() {
        Some(approval) => format!(
            "campaign {}: covers {covers} environments; it starts when another person of security approves {approval}\n",
            cell(&done, "id")
        ),
        None => format!("campaign {}: {covers} reviews are open\n", cell(&done, "id")),
    };
    Ok(Answer::of(done, text))
}

async fn bundle(admin: &Admin, (from, to): (Option<String>, Option<String>)) -> Result<Answer, Failure> {
    let mut body = json!({"about": "reviews"});
    for (name, value) in [("from", from), ("to", to)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    take_away(admin, &body, false).await
}

async fn report(admin: &Admin, (from, to): (Option<String>, Option<String>), names: bool) -> Result<Answer, Failure> {
    let mut path = format!("/v1/reviews/report?names={names}");
    for (name, value) in [("from", from), ("to", to)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", url::encode(&value));
        }
    }
    let report = admin.get(&path).await?;
    let people = &report["population"];
    let mut text = format!(
        "{} environments: {} reviewed in the period, {} open, {} lapsed\n",
        cell(people, "environments"),
        cell(people, "reviewed"),
        cell(people, "open"),
        cell(people, "lapsed"),
    );
    let row = |one: &Value| {
        let by = |decision: &Value| {
            let by = &decision["by"];
            by.as_str().or(by["name"].as_str()).or(by["id"].as_str()).unwrap_or("somebody").to_owned()
        };
        let deciders: Vec<String> = all(&one["decisions"]).map(by).collect();
        let items: Vec<&Value> = all(&one["decisions"]).flat_map(|decision| all(&decision["items"])).collect();
        let narrower = items.iter().filter(|item| item["decision"] != "keep").count();
        vec![
            cell(one, "id"),
            cell(one, "cause"),
            time(&one["completed"]),
            deciders.join(", "),
            format!("{} decided, {narrower} narrower", items.len()),
        ]
    };
    let heads = ["REVIEW", "CAUSE", "COMPLETED", "BY", "SCOPES"];
    text += &table(&heads, &all(&report["reviews"]).map(row).collect::<Vec<_>>());
    let page = html::page("Reviews of access", &report);
    Ok(Answer::of(report, text).html(page))
}

async fn figures(admin: &Admin) -> Result<Answer, Failure> {
    let figures = admin.get("/v1/reviews/figures").await?;
    let row = |one: &Value| {
        vec![
            one["by"]["name"].as_str().or(one["by"]["id"].as_str()).unwrap_or("somebody").to_owned(),
            cell(one, "reviews"),
            format!("{:.0} %", one["shareKept"].as_f64().unwrap_or_default() * 100.0),
            one["medianSeconds"].as_u64().map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds} s")),
            if one["flagged"] == true { "somebody else reviews next time".to_owned() } else { String::new() },
        ]
    };
    let heads = ["REVIEWER", "REVIEWS", "KEPT ALL", "MEDIAN", "FLAGGED"];
    let text = table(&heads, &all(&figures["reviewers"]).map(row).collect::<Vec<_>>());
    Ok(Answer::of(figures, text))
}
