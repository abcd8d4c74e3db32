//! `carnet webhook`: receivers of events, the progress of each, and replaying events.

use serde_json::{Value, json};

use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Webhook {
    /// List receivers, their progress, and the events that they did not accept
    #[command(before_help = "Examples:\n  carnet webhook list\n  carnet webhook list -o json")]
    List,
    /// Send every event from an entry on again
    #[command(
        before_help = "Examples:\n  carnet webhook replay siem --from 4711\n  carnet webhook replay siem --from 0 -o json"
    )]
    Replay {
        /// Receiver, as `carnet webhook list` names it
        #[arg(value_name = "RECEIVER")]
        name: String,
        /// Index of the first entry
        #[arg(long, value_name = "INDEX")]
        from: u64,
    },
}

/// Runs it.
pub async fn run(verb: Webhook, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Webhook::List => {
            let items = admin.list("/v1/webhooks", usize::MAX).await?;
            let row = |item: &Value| {
                let mut cells: Vec<String> =
                    ["id", "state", "next", "size", "aside", "last"].iter().map(|name| cell(item, name)).collect();
                cells.extend([time(&item["failingSince"]), cell(item, "url")]);
                cells
            };
            let rows: Vec<_> = items.iter().map(row).collect();
            let text = table(&["RECEIVER", "STATE", "NEXT", "OF", "ASIDE", "LAST", "FAILING SINCE", "URL"], &rows);
            Ok(Answer::of(items.into(), text))
        }
        Webhook::Replay { name, from } => {
            let done = admin.post(&url::path(&["webhooks", &name, "replay"]), &json!({"from": from})).await?;
            let text = format!("{name}  from {}\n", cell(&done, "next"));
            Ok(Answer::of(done, text))
        }
    }
}
