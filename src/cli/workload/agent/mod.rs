//! `carnet agent`: keeps tokens and a certificate current in files, beside a workload.
//!
//! Each file is written as a whole, at two thirds of the life of its content ([`schedule`], [`store`]). A token that ended
//! and could not be renewed is removed: a workload that finds no file fails at once with a clear cause, one that sends an old
//! token fails elsewhere. No token or key is logged; a line names the file, the request and the end.

mod config;
mod identity;
mod schedule;
pub mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::inspect;
use super::token::{self, Minted, Token};
use crate::cli::operate::serve::Stop;
use crate::cli::shell::answer::{Answer, Failure, Format, stdout};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Places, Reach};
use crate::domain::value::clock::{Clock as _, Entropy as _, Seconds, Timestamp};
use crate::http::health::{self, Check, Readiness};
use crate::http::metrics::{Metrics, Socket};
use crate::server::{Listener, OsEntropy, Settings, SystemClock};
use crate::telemetry;
use config::{Keeps, KeptCertificate, KeptToken};

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["config", "token_file"])))]
pub struct Agent {
    /// File with several tokens and a certificate
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File to write one token to; the other flags describe the token
    #[arg(long, value_name = "FILE", requires_all = ["env", "scope"], conflicts_with = "config")]
    token_file: Option<PathBuf>,
    /// Integration that requests the token
    #[arg(short, long, value_name = "PARTNER/INTEGRATION", conflicts_with = "config")]
    integration: Option<crate::domain::value::names::IntegrationId>,
    /// Environment
    #[arg(long, value_name = "ENV", conflicts_with = "config")]
    env: Option<crate::domain::value::names::EnvironmentName>,
    /// API that the token is for
    #[arg(long, value_name = "API", conflicts_with = "config")]
    api: Option<String>,
    /// Scope; may be repeated
    #[arg(long, value_name = "SCOPE", conflicts_with = "config")]
    scope: Vec<String>,
    /// File with the workload's JWT, read again for each token
    #[arg(long, env = "CARNET_ASSERTION_FILE", hide_env_values = true, value_name = "FILE")]
    assertion_file: Option<PathBuf>,
    /// Issuer of the environment, if it is not PUBLIC-SERVER/ENV
    #[arg(long, env = "CARNET_ISSUER", hide_env_values = true, value_name = "URL")]
    issuer: Option<String>,
    /// Fetch everything once and exit, for an init container
    #[arg(long)]
    once: bool,
    /// Address for /livez and /readyz; port 0 takes a free one, and the address is printed
    #[arg(long, value_name = "ADDRESS")]
    ready: Option<SocketAddr>,
    /// Exit and remove the files once this process is no longer the parent
    #[arg(long, hide = true, value_name = "PID")]
    for_parent: Option<u32>,
}

/// One file that the agent keeps current.
enum Item {
    /// A token, and the certificate if it authenticates by one.
    Token(KeptToken, Option<KeptCertificate>),
    Certificate(KeptCertificate),
}

/// The state of each file, for readiness.
type Board = Arc<Mutex<Vec<Posted>>>;

struct Posted {
    file: String,
    ends: Option<Timestamp>,
    fault: Option<String>,
}

/// The outcome of one fetch.
struct Fetched {
    ends: Timestamp,
    request: Option<String>,
}

/// Runs until a signal stops it.
pub async fn run(args: Agent, reach: &Reach, format: Format) -> Result<Answer, Failure> {
    telemetry::install(telemetry::Format::of_stderr(), "info").map_err(|fault| Failure::usage(fault.to_string()))?;
    let keeps = keeps(&args)?;
    let places = Arc::new(reach.places()?);
    let items = items(keeps);
    if args.once {
        for item in &items {
            item.fetch(&places).await?;
        }
        return Ok(Answer::done());
    }
    let unheard = |error: std::io::Error| Failure::new(Exit::Failure, "signals cannot be heard").why(error.to_string());
    let mut stop = Stop::listen().map_err(unheard)?;
    let board: Board = Arc::new(Mutex::new(items.iter().map(Item::posted).collect()));
    let (shut, shutting) = tokio::sync::watch::channel(false);
    let serving = match args.ready {
        Some(address) => Some(serve(address, &board, format, shutting).await?),
        None => None,
    };
    let mut background = tokio::task::JoinSet::new();
    for (place, item) in items.into_iter().enumerate() {
        background.spawn(keep(item, Arc::clone(&places), Arc::clone(&board), place));
    }
    tokio::select! {
        () = stop.heard() => {}
        () = orphaned(args.for_parent) => leave(&board),
        _ = background.join_next() => return Err(Failure::new(Exit::Failure, "a part of the agent ended by itself")),
    }
    let _nobody = shut.send(true);
    if let Some(serving) = serving {
        let _ended = tokio::time::timeout(Duration::from_secs(5), serving).await;
    }
    Ok(Answer::done())
}

fn keeps(args: &Agent) -> Result<Keeps, Failure> {
    match (&args.config, &args.token_file, &args.env) {
        (Some(path), ..) => Keeps::read(path),
        (None, Some(file), Some(env)) => {
            let api = args.api.clone().ok_or_else(|| Failure::usage("name the API with --api"))?;
            let token = KeptToken {
                file: file.clone(),
                env: env.clone(),
                issuer: args.issuer.clone(),
                integration: args.integration.clone(),
                api,
                scope: args.scope.clone(),
                assertion_file: args.assertion_file.clone(),
                audience: None,
                by_certificate: false,
            };
            Ok(Keeps { tokens: vec![token], certificate: None })
        }
        _ => Err(Failure::usage("name --config, or --token-file with --env, --api and --scope")),
    }
}

/// The certificate comes first, since tokens may need it.
fn items(keeps: Keeps) -> Vec<Item> {
    let certificate = keeps.certificate.clone();
    let tokens = keeps.tokens.into_iter().map(|token| {
        let by = certificate.clone().filter(|_| token.by_certificate);
        Item::Token(token, by)
    });
    keeps.certificate.into_iter().map(Item::Certificate).chain(tokens).collect()
}

impl Item {
    fn file(&self) -> &Path {
        match self {
            Self::Token(token, _) => &token.file,
            Self::Certificate(certificate) => &certificate.file,
        }
    }

    fn posted(&self) -> Posted {
        Posted { file: self.file().display().to_string(), ends: None, fault: None }
    }

    /// Fetches the content and writes the file.
    async fn fetch(&self, places: &Places) -> Result<Fetched, Failure> {
        let now = SystemClock.now();
        match self {
            Self::Certificate(certificate) => {
                let identity = certificate.renew(now).await?;
                Ok(Fetched { ends: identity.ends, request: None })
            }
            Self::Token(kept, by) => {
                let asked: Token = kept.asked();
                let minted: Minted = match by {
                    None => token::mint(&asked, places).await?,
                    Some(certificate) => {
                        let identity = certificate.current(now).ok_or_else(|| {
                            Failure::new(Exit::Unavailable, "the certificate that the token is asked by is not there yet")
                        })?;
                        token::mint_by_certificate(&asked, places, |base| certificate.reach(base, Some(&identity))).await?
                    }
                };
                store::write(&kept.file, &minted.token).map_err(|error| identity::cannot_write(&kept.file, &error))?;
                Ok(Fetched { ends: now.plus(Seconds(minted.expires_in)), request: minted.request })
            }
        }
    }

    /// The life of what an earlier run left, so that a restart fetches nothing needlessly.
    fn inherited(&self) -> Option<(Timestamp, Timestamp)> {
        let now = SystemClock.now();
        match self {
            Self::Certificate(certificate) => certificate.current(now).map(|identity| (identity.starts, identity.ends)),
            Self::Token(kept, _) => {
                let token = std::fs::read_to_string(&kept.file).ok()?;
                inspect::life(&token).filter(|(_, ends)| now < *ends)
            }
        }
    }
}

/// Keeps one file current, for ever.
async fn keep(item: Item, places: Arc<Places>, board: Board, place: usize) {
    let file = item.file().to_owned();
    let (mut failures, mut ends) = (0_u32, None);
    match item.inherited() {
        Some((starts, end)) => {
            ends = Some(end);
            post(&board, place, ends, None);
            sleep_until(schedule::renewal(starts, end, jitter())).await;
        }
        // The content of an earlier run ended, or is not a token. An identity stays: a wrong clock at boot must not cost the key.
        None if matches!(item, Item::Token(..)) => store::remove(&file),
        None => {}
    }
    loop {
        match watching(item.fetch(&places), &mut ends, &file).await {
            Ok(fetched) => {
                (failures, ends) = (0, Some(fetched.ends));
                let request = fetched.request.unwrap_or_default();
                tracing::info!(file = %file.display(), request_id = request, until = %fetched.ends, "written");
                post(&board, place, ends, None);
                sleep_until(schedule::renewal(SystemClock.now(), fetched.ends, jitter())).await;
            }
            Err(failure) => {
                failures += 1;
                let pause = schedule::pause(failures, failure.wait, jitter());
                let reason = failure.reason.as_deref().unwrap_or_default();
                tracing::warn!(file = %file.display(), reason, cause = failure.what, ?pause, "not renewed");
                post(&board, place, ends, Some(failure.what));
                watching(tokio::time::sleep(pause), &mut ends, &file).await;
            }
        }
    }
}

/// Awaits `future`, and removes the file at the moment its content ends.
///
/// It does not wait for a pause to end, or for a broker that does not answer.
async fn watching<T>(future: impl Future<Output = T>, ends: &mut Option<Timestamp>, file: &Path) -> T {
    let mut future = std::pin::pin!(future);
    if let Some(end) = *ends {
        tokio::select! {
            biased;
            done = &mut future => return done,
            () = sleep_until(end) => {
                store::remove(file);
                *ends = None;
            }
        }
    }
    future.await
}

async fn sleep_until(time: Timestamp) {
    // In steps: a machine that was suspended must not be late by as long as it slept.
    while SystemClock.now() < time {
        let left = u64::from(time.since(SystemClock.now()).0).clamp(1, 10);
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
}

fn post(board: &Board, place: usize, ends: Option<Timestamp>, fault: Option<String>) {
    if let Some(posted) = board.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place) {
        (posted.ends, posted.fault) = (ends, fault);
    }
}

fn jitter() -> u8 {
    let mut byte = [0];
    OsEntropy.fill(&mut byte);
    byte[0]
}

/// Removes every file, and the folder that was made for it.
fn leave(board: &Board) {
    for posted in board.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let file = Path::new(&posted.file);
        store::remove(file);
        // Removes only an empty folder.
        let _kept = file.parent().map(std::fs::remove_dir);
    }
}

/// Returns once `parent` is no longer this process's parent; never if there is none to wait for.
///
/// The caller names the parent's id: the parent may end before this process could ask for it.
async fn orphaned(parent: Option<u32>) {
    while parent.is_none_or(|parent| std::os::unix::process::parent_id() == parent) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Serves readiness: ready while every file has content that has not ended.
async fn serve(
    address: SocketAddr,
    board: &Board,
    format: Format,
    stop: tokio::sync::watch::Receiver<bool>,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let taken = |error: std::io::Error| Failure::usage(format!("{address}: {}", error.kind()));
    let listener = Listener::bind(Socket::Agent, address, None).await.map_err(taken)?;
    let url = listener.url();
    let board = Arc::clone(board);
    let ready = move || {
        let now = SystemClock.now();
        let board = board.lock().unwrap_or_else(PoisonError::into_inner);
        let check = |posted: &Posted| Check {
            name: "file",
            ok: posted.ends.is_some_and(|ends| now < ends),
            detail: Some(
                posted.fault.as_ref().map_or_else(|| posted.file.clone(), |fault| format!("{}: {fault}", posted.file)),
            ),
        };
        Readiness::of(board.iter().map(check).collect())
    };
    let router = health::routes(Arc::new(ready), health::Audience::Operators);
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let serving = tokio::spawn(listener.serve(router, Settings::default(), metrics, stop));
    stdout(&match format {
        Format::Table | Format::Markdown | Format::Html | Format::Csv => format!("ready  {url}"),
        Format::Json => json!({"ready": url}).to_string(),
        Format::Yaml => crate::cli::yaml::write(&json!({"ready": url})),
    });
    Ok(serving)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that does not answer must not keep a token there that has ended.
    #[tokio::test]
    async fn what_ends_is_taken_away_while_something_else_is_awaited() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "token").expect("written");
        let looks = async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            file.exists()
        };
        let mut ends = Some(SystemClock.now().plus(Seconds::hours(1)));
        assert!(watching(looks(), &mut ends, &file).await && ends.is_some(), "it has not ended");
        ends = Some(SystemClock.now());
        assert!(!watching(looks(), &mut ends, &file).await && ends.is_none(), "it has ended");
    }
}
