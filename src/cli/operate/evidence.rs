//! Commands that work on the journal itself, without a server.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bundle;
use super::serve::{invalid, refusal, system};
use crate::broker::passkey::forged;
use crate::cli::shell::answer::{self, Answer, Failure, cell};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::config;
use crate::domain::value::clock::{Clock, Seconds, Timestamp};
use crate::journal::tree::note::VerifierKey;
use crate::journal::{
    self, Given, HANDOVER, Journal, Kek, LONGEST_ASSERTION, OpenFault, Report, Rest, Settings, Tail, VerifyFault,
};
use crate::serve::journal_settings;

/// How often a long proof tells how far it is.
const BETWEEN_WORDS: Duration = Duration::from_secs(2);

/// The default path of the configuration.
pub const CONFIG: &str = "carnet.toml";

/// Arguments of `verify`: a configured journal, an export, or a bundle.
#[derive(Clone, Debug, clap::Args)]
pub struct Verify {
    /// Export (a folder) or evidence bundle (a .zip) to verify; without it, the configured journal
    #[arg(value_name = "EXPORT", conflicts_with = "config", requires = "key")]
    export: Option<PathBuf>,
    /// Configuration
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Verifier key: required for an export or bundle; a configured journal must sign with it
    #[arg(long, value_name = "VKEY")]
    key: Option<VerifierKey>,
    /// Last checkpoint that you kept; all its entries must still be there
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Verifies everything.
///
/// Exit 1 if something does not verify, with the index of the entry if there is one.
pub async fn verify(args: &Verify) -> Result<Answer, Failure> {
    if let (Some(path), Some(key)) = (&args.export, &args.key)
        && bundle::is_bundle(path)
    {
        return match args.checkpoint {
            None => bundle::verify(path, key),
            Some(_) => {
                Err(Failure::usage("--checkpoint is for an export: a bundle does not have the entries between two checkpoints"))
            }
        };
    }
    let kept = args.checkpoint.as_deref().map(text).transpose()?;
    let report = match (&args.export, &args.key) {
        (Some(export), Some(key)) => journal::verify_export(export, key, kept.as_deref(), &progress()),
        _ => {
            let (settings, kek) = configured(&args.config)?;
            if let Some(wanted) = &args.key {
                signs_with(&settings, &kek, wanted).await?;
            }
            journal::verify_database(&settings, &kek, kept.as_deref(), &progress()).await
        }
    };
    let report = report.map_err(|fault| unverified(&fault))?;
    // A complete journal may still have an entry that nobody signed: the key-encryption key is enough to write one.
    let changes = match &args.export {
        Some(export) => journal::exported_changes(export),
        None => {
            let (settings, kek) = configured(&args.config)?;
            journal::changes(&settings, &kek).await
        }
    };
    if let Some(index) = forged(&changes.map_err(|fault| unverified(&fault))?) {
        let what = "an approval is not signed by the passkey of who approved, or was entered twice";
        return Err(unverified(&VerifyFault::entry(index, what)));
    }
    Ok(told(&report, "verified"))
}

/// Tells on stderr, every few seconds, how far a long proof is.
pub fn progress() -> impl Fn(u64, u64) + Send + Sync {
    let told = Mutex::new(Instant::now());
    move |proved, all| {
        let Ok(mut told) = told.lock() else { return };
        if told.elapsed() >= BETWEEN_WORDS {
            *told = Instant::now();
            answer::stderr(&format!("{proved} of {all} entries verified"));
        }
    }
}

/// Refuses a journal that does not sign with the pinned key.
///
/// A journal that was replaced as a whole signs with another key. A key that succeeded the pinned one, signed by it, is accepted.
async fn signs_with(settings: &Settings, kek: &Kek, wanted: &VerifierKey) -> Result<(), Failure> {
    if journal::leads_to_verifier_key(settings, kek, wanted).await.map_err(|fault| unopened(&fault))? {
        return Ok(());
    }
    let found = journal::verifier_key(settings, kek).await.map_err(|fault| unopened(&fault))?;
    Err(Failure::new(Exit::Failure, "the journal signs with another key than --key").why(found.to_string()))
}

/// Writes an export: all entries, tiles and a signed checkpoint, without secrets or people's texts.
pub async fn export(config: &Path, folder: &Path) -> Result<Answer, Failure> {
    let (settings, kek) = configured(config)?;
    let report = journal::export(&settings, &kek, folder).await.map_err(|fault| unverified(&fault))?;
    Ok(told(&report, "exported"))
}

/// The entries of the configured journal for reading, and the name of the log.
pub async fn tail(config: &Path) -> Result<(Tail, String), Failure> {
    let (settings, kek) = configured(config)?;
    let tail = Tail::open(&settings, &kek).await.map_err(|fault| unopened(&fault))?;
    Ok((tail, settings.origin))
}

/// Proves an entry from an export alone.
pub fn prove(export: &Path, index: u64, key: &VerifierKey) -> Result<Answer, Failure> {
    let proof = journal::prove_offline(export, index, key).map_err(|fault| unverified(&fault))?;
    let data = json!({"index": proof.index, "entry": proof.entry, "proof": proof.text(), "key": key.to_string()});
    Ok(Answer::of(data, proof.text()).note(format!("entry  {}", proof.entry)))
}

/// The verifier key of the configured journal, or of the running server.
pub async fn key(config: Option<&Path>, reach: &Reach) -> Result<Answer, Failure> {
    let key = match config {
        Some(config) => {
            let (settings, kek) = configured(config)?;
            journal::verifier_key(&settings, &kek).await.map_err(|fault| unopened(&fault))?.to_string()
        }
        None => cell(&reach.admin().await?.get("/v1/journal/checkpoint").await?, "key"),
    };
    Ok(Answer::of(json!({"key": key}), key))
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {}", path.display(), error.kind())))
}

fn told(report: &Report, done: &str) -> Answer {
    let data = json!({
        "origin": report.origin, "entries": report.size, "root": report.root, "epoch": report.epoch, "newest": report.newest,
        "kept": report.kept, "anchored": report.anchored, "moved": report.moved,
    });
    let newest = report.newest;
    let text =
        format!("{done} {} entries of {}; the newest is of {newest}\nroot {}\n", report.size, report.origin, report.root);
    let answer = Answer::of(data, text);
    let answer = match &report.moved {
        Some(to) => answer.note(format!("the journal has moved to {to}, and goes on there")),
        None => answer,
    };
    match (report.kept, report.anchored) {
        (None, None) => {
            answer.note("no kept checkpoint was given (--checkpoint FILE): nothing shows whether later entries exist")
        }
        _ => answer,
    }
}

/// The failure of evidence that does not hold.
pub fn unverified(fault: &VerifyFault) -> Failure {
    let exit = match fault {
        VerifyFault::Open(fault) => return unopened(fault),
        VerifyFault::NoEntry { .. } => Exit::Missing,
        VerifyFault::File { .. } => Exit::Usage,
        _ => Exit::Failure,
    };
    let mut failure = Failure::new(exit, fault.to_string());
    if let Some(index) = fault.index() {
        failure.faults = vec![(format!("entry {index}"), json!({"index": index}))];
    }
    failure
}

/// The settings and the key of the journal that a configuration names. It never creates a journal.
fn configured(path: &Path) -> Result<(Settings, Kek), Failure> {
    let config = config::load(path).map_err(|faults| invalid(path, &faults))?;
    let kek =
        Kek::load(&config.keys.kek_file).map_err(|fault| Failure::usage("the key-encryption key").why(fault.to_string()))?;
    let settings = journal_settings(&config).map_err(|fault| refusal(path, fault))?;
    Ok((Settings { create: false, ..settings }, kek))
}

/// The failure of a journal that does not open.
pub fn unopened(fault: &OpenFault) -> Failure {
    let exit = match fault {
        OpenFault::Missing(_) => Exit::Missing,
        OpenFault::Kek(_) | OpenFault::Origin { .. } | OpenFault::Tail { .. } | OpenFault::Forgets { .. } => Exit::Usage,
        OpenFault::Store(_) | OpenFault::Unavailable(_) | OpenFault::Clock(_) => Exit::Unavailable,
        _ => Exit::Failure,
    };
    Failure::new(exit, fault.to_string())
}

/// Replaces the checkpoint key.
pub async fn succeed(path: &Path, confirm: &str) -> Result<Answer, Failure> {
    let (settings, kek) = confirmed(path, confirm)?;
    let outside = system();
    let before = journal::verifier_key(&settings, &kek).await.map_err(|fault| unopened(&fault))?.to_string();
    let journal = Journal::succeed_checkpoint_key(&settings, &kek, (outside.clock, outside.entropy))
        .await
        .map_err(|fault| unopened(&fault))?;
    let (key, entry) = (journal.verifier_key().to_string(), journal.view().size - 1);
    let until = journal.now().plus(HANDOVER).to_string();
    journal.close().await;
    let data = json!({"key": key, "before": before, "entry": entry, "bothSignUntil": until});
    Ok(Answer::of(data, format!("{key}\n"))
        .note(format!("entry {entry} says so, signed by both keys; {before} signs as well until {until}"))
        .note("a server that runs on this journal takes the key over at its next commit"))
}

/// The configured journal, if the operator typed its name.
fn confirmed(path: &Path, confirm: &str) -> Result<(Settings, Kek), Failure> {
    let (settings, kek) = configured(path)?;
    if settings.origin == confirm {
        return Ok((settings, kek));
    }
    Err(Failure::usage("--confirm is not the origin of this log").fix(format!("the log is {}", settings.origin)))
}

/// The largest difference between this machine's clock and the time that the operator types.
const TYPED: Seconds = Seconds::minutes(5);

/// Begins a new epoch. With `now`, it begins at the clock's time even if the newest entry is later.
pub async fn reopen(path: &Path, confirm: &str, now: Option<Timestamp>, given: &Given) -> Result<Answer, Failure> {
    let (settings, kek) = confirmed(path, confirm)?;
    let outside = system();
    now.map(|now| agrees(now, &*outside.clock)).transpose()?;
    let rest = Rest { lasts: LONGEST_ASSERTION, corrects: now.is_some() };
    let reopened = Journal::reopen(&settings, &kek, (outside.clock, outside.entropy), (rest, given)).await;
    let journal = reopened.map_err(|fault| unopened(&fault))?;
    let (data, text) = begun(&journal);
    journal.close().await;
    Ok(Answer::of(data, text)
        .note("make new signing keys with `carnet key rotate ENV --i-accept-outage`: all of them are tainted"))
}

/// Corrects the time of a journal that is ahead of a right clock.
pub async fn correct_clock(path: &Path, confirm: &str, now: Timestamp) -> Result<Answer, Failure> {
    let (settings, kek) = confirmed(path, confirm)?;
    let outside = system();
    agrees(now, &*outside.clock)?;
    let journal =
        Journal::correct_clock(&settings, &kek, (outside.clock, outside.entropy)).await.map_err(|fault| unopened(&fault))?;
    let (data, text) = begun(&journal);
    journal.close().await;
    Ok(Answer::of(data, text)
        .note("all signing keys and authorities are tainted: make new ones with `carnet key rotate ENV --i-accept-outage` and `carnet ca rotate ENV`")
        .note("a server that runs on this journal goes on by itself; all elevations have ended"))
}

/// Checks that this machine's clock agrees with the time that the operator typed.
fn agrees(now: Timestamp, clock: &dyn Clock) -> Result<(), Failure> {
    let wall = clock.now();
    if wall.since(now).max(now.since(wall)) <= TYPED {
        return Ok(());
    }
    Err(Failure::usage(format!("--now is {now}, and the clock of this machine reads {wall}"))
        .fix("set the clock of this machine right first; nothing was changed"))
}

fn begun(journal: &Journal) -> (Value, String) {
    let view = journal.view();
    let (epoch, began, size, mints_from) = (view.state.epoch, view.state.epoch_began, view.size, view.state.mints_from);
    // Nothing else was recorded since: no server runs.
    let again = size - 1 - began;
    let data = json!({"epoch": epoch, "entries": size, "again": again, "mintsFrom": mints_from.to_string()});
    let recorded = if again > 0 { format!("; {again} changes of the lost part are recorded again") } else { String::new() };
    (data, format!("epoch {epoch} begins at entry {began}; nothing is minted before {mints_from}{recorded}\n"))
}
