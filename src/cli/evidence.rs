//! What is done to the journal itself, beside any server.

use std::path::Path;

use serde_json::json;

use super::answer::{Answer, Failure, cell};
use super::exit::Exit;
use super::journal::admin;
use super::reach::Reach;
use super::serve::{ambient, invalid};
use crate::config;
use crate::journal::{Journal, Kek, LONGEST_ASSERTION, OpenFault, Settings};
use crate::serve::journal_settings;

/// Where a configuration is looked for.
pub const CONFIG: &str = "carnet.toml";

/// The verifier key of the running server.
pub async fn key(reach: &Reach) -> Result<Answer, Failure> {
    let key = cell(&admin(reach).await?.get("/v1/journal/checkpoint").await?, "key");
    Ok(Answer::of(json!({"key": key}), key))
}

/// The journal that a configuration names, and what opens it. Never makes one.
fn configured(path: &Path) -> Result<(Settings, Kek), Failure> {
    let config = config::load(path).map_err(|faults| invalid(path, &faults))?;
    let kek =
        Kek::load(&config.keys.kek_file).map_err(|fault| Failure::usage("the key-encryption key").why(fault.to_string()))?;
    Ok((Settings { create: false, ..journal_settings(&config) }, kek))
}

fn unopened(fault: &OpenFault) -> Failure {
    let exit = match fault {
        OpenFault::Missing(_) => Exit::Missing,
        OpenFault::Kek(_) | OpenFault::Origin { .. } => Exit::Usage,
        OpenFault::Store(_) | OpenFault::Unavailable(_) => Exit::Unavailable,
        _ => Exit::Failure,
    };
    Failure::new(exit, fault.to_string())
}

/// Begins a new epoch.
pub async fn reopen(path: &Path, confirm: &str) -> Result<Answer, Failure> {
    let (settings, kek) = configured(path)?;
    if settings.origin != confirm {
        return Err(Failure::usage("--confirm is not the origin of this log").fix(format!("the log is {}", settings.origin)));
    }
    let outside = ambient();
    let journal = Journal::reopen(&settings, &kek, (outside.clock, outside.entropy), LONGEST_ASSERTION)
        .await
        .map_err(|fault| unopened(&fault))?;
    let view = journal.view();
    let (epoch, size, mints_from) = (view.state.epoch, view.size, view.state.mints_from);
    journal.close().await;
    let data = json!({"epoch": epoch, "entries": size, "mintsFrom": mints_from.to_string()});
    Ok(Answer::of(data, format!("epoch {epoch} begins at entry {}; nothing is minted before {mints_from}\n", size - 1))
        .note("make new signing keys with `carnet key rotate ENV --i-accept-outage`: all of them are tainted"))
}
