//! `carnet partner` and `carnet integration`: the inventory, and its life cycle.

use serde_json::{Value, json};

use super::{activity, approval, inventory};
use crate::cli::shell::answer::{Answer, Failure, Format, cell, day, stdout, table};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::cli::yaml;
use crate::domain::record::{self, Record};
use crate::domain::value::names::{EnvironmentName, IntegrationId, PartnerName, SuspensionId};
use crate::http::console::dossier;

/// Verbs of `partner`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Partner {
    /// List partners
    #[command(before_help = "Examples:\n  carnet partner list\n  carnet partner list -o json")]
    List,
    /// Show a partner and its integrations
    #[command(before_help = "Examples:\n  carnet partner show globex\n  carnet partner show globex -o yaml")]
    Show {
        /// Partner
        partner: PartnerName,
    },
    /// Show what a partner did and what was done about it: tokens, refusals, changes and their authors
    #[command(
        before_help = "Examples:\n  carnet partner activity globex --since 24h\n  carnet partner activity globex --since 2026-11-01 --until 2026-11-30 -o json"
    )]
    Activity(activity::Activity),
    /// Print a partner's records as YAML that can be applied again
    #[command(before_help = "Examples:\n  carnet partner export globex\n  carnet partner export globex -o json")]
    Export {
        /// Partner
        partner: PartnerName,
    },
    /// Suspend a partner: no token is issued any more, and its tokens are revoked
    #[command(
        before_help = "Examples:\n  carnet partner suspend globex --reason \"leaked key\"\n  carnet partner suspend globex --environment sandbox --reason \"leaked key\" -o json"
    )]
    Suspend(Stop<PartnerName>),
    /// Request the end of a partner's suspensions; somebody else approves
    #[command(
        before_help = "Examples:\n  carnet partner resume globex --reason \"key replaced\"\n  carnet partner resume globex --reason \"key replaced\" -o json"
    )]
    Resume(GoOn<PartnerName>),
}

/// Verbs of `integration`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Integration {
    /// List integrations
    #[command(before_help = "Examples:\n  carnet integration list\n  carnet integration list --partner globex -o json")]
    List {
        /// Only integrations of this partner
        #[arg(long, value_name = "PARTNER")]
        partner: Option<PartnerName>,
    },
    /// Show an integration
    #[command(
        before_help = "Examples:\n  carnet integration show globex/order-sync\n  carnet integration show globex/order-sync -o yaml"
    )]
    Show {
        /// Integration
        #[arg(value_name = "PARTNER/INTEGRATION")]
        integration: IntegrationId,
    },
    /// Submit a draft for its approvals
    #[command(
        before_help = "Examples:\n  carnet integration submit globex/order-sync --reason \"MSA-2291 signed\"\n  carnet integration submit globex/order-sync --reason \"MSA-2291 signed\" -o json"
    )]
    Submit(Act<IntegrationId>),
    /// Discard a draft that was never active; its name stays free
    #[command(
        before_help = "Examples:\n  carnet integration discard globex/restock --reason \"never needed\"\n  carnet integration discard globex/restock --reason \"never needed\" -o json"
    )]
    Discard(Act<IntegrationId>),
    /// Suspend an integration: no token is issued any more, and its tokens are revoked
    #[command(
        before_help = "Examples:\n  carnet integration suspend globex/order-sync --reason \"odd calls\"\n  carnet integration suspend globex/order-sync --environment sandbox --reason \"odd calls\" -o json"
    )]
    Suspend(Stop<IntegrationId>),
    /// Request the end of an integration's suspensions; somebody else approves
    #[command(
        before_help = "Examples:\n  carnet integration resume globex/order-sync --reason \"explained\"\n  carnet integration resume globex/order-sync --reason \"explained\" -o json"
    )]
    Resume(GoOn<IntegrationId>),
}

/// The arguments of a life-cycle verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Act<T: Clone + Send + Sync + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + 'static> {
    /// Partner, PARTNER/INTEGRATION, or guardrail
    #[arg(value_name = "NAME")]
    pub name: T,
    /// Reason; it is recorded
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// The arguments of `suspend`.
#[derive(Clone, Debug, clap::Args)]
pub struct Stop<T: Clone + Send + Sync + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + 'static> {
    #[command(flatten)]
    act: Act<T>,
    /// Environment that is suspended, once for each; without it, all are
    #[arg(long, value_name = "ENV")]
    environment: Vec<EnvironmentName>,
}

/// The arguments of `resume`.
#[derive(Clone, Debug, clap::Args)]
pub struct GoOn<T: Clone + Send + Sync + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + 'static> {
    #[command(flatten)]
    act: Act<T>,
    /// Suspension to lift, once for each, as `show` lists them; without it, all that are in force
    #[arg(long, value_name = "ID")]
    suspension: Vec<SuspensionId>,
}

impl<T: Clone + Send + Sync + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + 'static> Act<T> {
    /// The body of a request with this reason alone.
    pub fn body(&self) -> Value {
        json!({"reason": self.reason})
    }
}

impl<T: Clone + Send + Sync + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + 'static> Stop<T> {
    fn body(&self) -> Value {
        with(&self.act.reason, "environments", &json!(self.environment))
    }
}

impl<T: Clone + Send + Sync + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + 'static> GoOn<T> {
    fn body(&self) -> Value {
        with(&self.act.reason, "suspensions", &json!(self.suspension))
    }
}

/// A body with a list, unless the list is empty: then it means all.
fn with(reason: &str, member: &str, list: &Value) -> Value {
    let mut body = json!({"reason": reason});
    if list.as_array().is_some_and(|list| !list.is_empty()) {
        body[member] = list.clone();
    }
    body
}

/// Runs a verb of `partner`.
pub async fn partner(verb: Partner, reach: &Reach, format: Format) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Partner::List => {
            let items = admin.list("/v1/partners", usize::MAX).await?;
            let row = |item: &Value| {
                let (id, state, verified) = (cell(item, "id"), cell(item, "state"), day(&item["verification"]));
                vec![id, state, inventory::now(item), verified, cell(item, "integrations")]
            };
            let headings = ["PARTNER", "STATE", "NOW", "VERIFIED UNTIL", "INTEGRATIONS"];
            let text = table(&headings, &items.iter().map(row).collect::<Vec<_>>());
            Ok(Answer::of(items.into(), text))
        }
        Partner::Show { partner } => {
            let found = admin.get(&url::path(&["partners", partner.as_str()])).await?;
            let text = inventory::partner(&found);
            Ok(Answer::of(found, text))
        }
        Partner::Activity(args) => activity::run(&args, &admin).await,
        Partner::Export { partner } => export(&admin, &partner, format).await,
        Partner::Suspend(stop) => acted(&admin, &["partners", stop.act.name.as_str(), "suspend"], &stop.body()).await,
        Partner::Resume(go_on) => acted(&admin, &["partners", go_on.act.name.as_str(), "resume"], &go_on.body()).await,
    }
}

/// Runs a verb of `integration`.
pub async fn integration(verb: Integration, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    let act = async |id: &IntegrationId, verb: &str, body: Value| {
        acted(&admin, &["integrations", id.partner.as_str(), id.name.as_str(), verb], &body).await
    };
    match verb {
        Integration::List { partner } => {
            let items = match &partner {
                Some(partner) => of_partner(&admin, partner).await?,
                None => admin.list("/v1/integrations", usize::MAX).await?,
            };
            let row = |item: &Value| {
                let ends = &item["endsNext"];
                let (id, state, environments) = (cell(item, "id"), cell(item, "state"), cell(item, "environments"));
                vec![id, state, inventory::now(item), environments, day(&ends["at"]), cell(ends, "what")]
            };
            let headings = ["INTEGRATION", "STATE", "NOW", "ENVIRONMENTS", "ENDS NEXT", "BY"];
            let text = table(&headings, &items.iter().map(row).collect::<Vec<_>>());
            Ok(Answer::of(items.into(), text))
        }
        Integration::Show { integration } => {
            let path = url::path(&["integrations", integration.partner.as_str(), integration.name.as_str()]);
            let found = admin.get(&path).await?;
            let text = inventory::integration(&found);
            Ok(Answer::of(found, text))
        }
        Integration::Submit(what) => act(&what.name, "submit", what.body()).await,
        Integration::Discard(what) => act(&what.name, "discard", what.body()).await,
        Integration::Suspend(stop) => act(&stop.act.name, "suspend", stop.body()).await,
        Integration::Resume(go_on) => act(&go_on.act.name, "resume", go_on.body()).await,
    }
}

async fn of_partner(admin: &Admin, partner: &PartnerName) -> Result<Vec<Value>, Failure> {
    admin.list(&format!("/v1/integrations?partner={partner}"), usize::MAX).await
}

pub async fn acted(admin: &Admin, path: &[&str], body: &Value) -> Result<Answer, Failure> {
    let outcome = admin.post(&url::path(path), body).await?;
    let (verb, name) =
        path.split_last().map(|(verb, rest)| (*verb, rest.get(1..).unwrap_or_default().join("/"))).unwrap_or_default();
    Ok(done(&name, verb, &outcome, opened(admin, &outcome).await.as_ref()))
}

/// The approval that an act opened. It is asked for to say who may give it; where it cannot be had, that is left out.
pub async fn opened(admin: &Admin, outcome: &Value) -> Option<Value> {
    admin.get(&url::path(&["approvals", outcome["approval"].as_str()?])).await.ok()
}

/// The outcome: done at once, or once somebody else approves it.
pub fn done(name: &str, verb: &str, outcome: &Value, opened: Option<&Value>) -> Answer {
    match outcome["approval"].as_str() {
        Some(waiting) => {
            let data = json!({"id": name, "asked": verb, "approval": waiting});
            let who = |opened: &Value| {
                let barred = dossier::barred(opened);
                approval::waits(opened, &if barred.is_empty() { "who asked".to_owned() } else { barred.join(" or ") })
            };
            let next = opened.map(who).unwrap_or_default();
            Answer::of(data, format!("{name}  {verb} waits for approval {waiting}\n{next}"))
        }
        None => {
            let mut data = json!({"id": name, "done": verb});
            let ended = inventory::ended(outcome).map(|sentence| format!("{sentence}\n")).unwrap_or_default();
            for (member, of) in
                [("cut", "cut"), ("lastExpires", "lastExpires"), ("suspension", "id"), ("environments", "environments")]
            {
                if let Some(value) = outcome.get(of) {
                    data[member] = value.clone();
                }
            }
            let suspension = outcome["id"].as_str().map(|id| format!("suspension {id}\n")).unwrap_or_default();
            Answer::of(data, format!("{name}  {verb} done\n{ended}{suspension}"))
        }
    }
}

/// Prints a partner's records as their author would write them, ready to be applied again.
async fn export(admin: &Admin, partner: &PartnerName, format: Format) -> Result<Answer, Failure> {
    let found = admin.get(&url::path(&["partners", partner.as_str()])).await?;
    let (mut records, mut notes) = (vec![Record::Partner(stored(&found)?)], Vec::new());
    for item in of_partner(admin, partner).await? {
        let id = cell(&item, "id");
        let mut segments = vec!["integrations"];
        segments.extend(id.split('/'));
        let found = admin.get(&url::path(&segments)).await?;
        if found["held"].is_object() {
            notes.push(format!(
                "{id}: another version waits; the export has the one in force, and applying it withdraws the other"
            ));
        }
        records.push(Record::Integration(stored(&found)?));
    }
    let mut exit = Exit::Ok;
    for one in &mut records {
        let (kind, name) = one.name();
        // A forgotten text is its digest here, which no reader takes.
        if one.texts_mut().iter().any(|text| text.plain().is_none()) {
            exit = Exit::Failure;
            notes.push(format!("{kind} {name}: a text was erased; write another before you apply it"));
        }
    }
    let documents: Vec<Value> = records.iter().map(record::document).collect();
    let text = documents.iter().map(yaml::write).collect::<Vec<_>>().join("---\n");
    let answer = if format == Format::Yaml {
        // A file of documents, not a list of them.
        stdout(&text);
        Answer::done()
    } else {
        Answer::of(documents.into(), text)
    };
    Ok(notes.into_iter().fold(answer.exit(exit), Answer::note))
}

fn stored<T: serde::de::DeserializeOwned>(found: &Value) -> Result<T, Failure> {
    serde_json::from_value(found["record"].clone()).map_err(|_| {
        Failure::new(Exit::Failure, format!("the record of {} is of another version than this program", cell(found, "id")))
    })
}
