//! `carnet nodes`: the nodes that share the journal.

use serde_json::Value;

use crate::cli::shell::answer::{Answer, Failure, cell, table};
use crate::cli::shell::reach::Reach;

/// Runs it.
pub async fn run(reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    let items = admin.list("/v1/nodes", usize::MAX).await?;
    let row = |item: &Value| {
        let mut cells: Vec<String> =
            ["id", "state", "program", "size", "clockAhead"].iter().map(|name| cell(item, name)).collect();
        cells.push(item["leaseLeft"].as_u64().map_or_else(|| "-".to_owned(), |left| format!("{left} ms")));
        cells.push(if item["runsSingleTasks"] == true { "yes" } else { "no" }.to_owned());
        cells.push(item["unready"].as_str().unwrap_or("-").to_owned());
        cells
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    let text =
        table(&["NODE", "STATE", "VERSION", "ENTRIES", "CLOCK AHEAD, S", "LEASE LEFT", "RUNS TASKS", "NOT READY"], &rows);
    Ok(Answer::of(items.into(), text))
}
