//! `carnet config`: the configuration that all nodes decide by.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::operate::serve::invalid;
use crate::cli::shell::answer::{Answer, Failure, cell, table};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach};
use crate::config;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Put the configuration of this file on record, for all nodes that share the journal
    ///
    /// The node whose file it is must run with it. It is asked at its `[listen]` admin address, unless --server or the context names another address. What
    /// differs from the record is printed; only that is recorded, and only if record and file are still as printed.
    #[command(
        before_help = "Examples:\n  carnet config apply -c /etc/carnet/carnet.toml --check\n  carnet config apply -c /etc/carnet/carnet.toml"
    )]
    Apply {
        /// Configuration
        #[arg(short, long, value_name = "FILE", default_value = "carnet.toml")]
        config: PathBuf,
        /// Only print what differs
        #[arg(long)]
        check: bool,
    },
}

/// Runs it.
pub async fn run(verb: Verb, reach: &Reach) -> Result<Answer, Failure> {
    let Verb::Apply { config, check } = verb;
    let read = config::load(&config).map_err(|faults| invalid(&config, &faults))?;
    let mut own = read.listen.admin;
    if own.ip().is_unspecified() {
        own.set_ip([127, 0, 0, 1].into());
    }
    let places = reach.places()?.or_at(format!("http://{own}"));
    let admin = places.admin().await?;
    let found = admin.get("/v1/configuration").await?;
    if found["file"] != json!(crate::serve::configuration(&read).identity()) {
        let why = format!("it started with another {}", config.display());
        return Err(Failure::new(Exit::Failure, format!("the node at {} does not run with this file", places.server()?))
            .why(why)
            .fix("restart it, or name the node whose file it is with --server"));
    }
    let shown = differences(&found);
    if found["differs"].as_array().is_none_or(Vec::is_empty) {
        return Ok(Answer::of(json!({"changed": false, "differs": []}), String::new()).note("nothing differs from the record"));
    }
    if check {
        return Ok(Answer::of(json!({"changed": false, "differs": found["differs"]}), shown).note("nothing was recorded"));
    }
    let outcome = apply(&admin, &found).await?;
    let data = json!({"changed": outcome["changed"], "differs": found["differs"]});
    Ok(Answer::of(data, shown)
        .note("on record; every node whose file agrees is ready, and one whose file differs has its grace"))
}

async fn apply(admin: &Admin, found: &Value) -> Result<Value, Failure> {
    admin.post("/v1/configuration/apply", &json!({"recorded": found["recorded"], "file": found["file"]})).await
}

fn differences(found: &Value) -> String {
    let row = |one: &Value| ["setting", "recorded", "file"].iter().map(|name| cell(one, name)).collect::<Vec<_>>();
    let rows: Vec<_> = found["differs"].as_array().into_iter().flatten().map(row).collect();
    table(&["SETTING", "ON RECORD", "FILE"], &rows)
}
