//! `carnet serve`: the server, until SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::shell::answer::{Answer, Failure, Format, stdout};
use crate::cli::shell::exit::Exit;
use crate::config::{self, Config, ConfigFault};
use crate::serve::StartFault;
use crate::serve::{self, Running, System};
use crate::server::{OsEntropy, SystemClock};
use crate::telemetry;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// Configuration
    #[arg(short, long, value_name = "FILE", default_value = "carnet.toml")]
    config: PathBuf,
    #[command(flatten)]
    addresses: Addresses,
}

/// The addresses that replace the configured ones.
#[derive(Clone, Debug, clap::Args)]
pub struct Addresses {
    /// Public address instead of the configured one; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    public: Option<SocketAddr>,
    /// Admin address instead of the configured one
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// mTLS address instead of the configured one
    #[arg(long, value_name = "ADDRESS")]
    mtls: Option<SocketAddr>,
}

/// The interval at which a running server checks that every part of it is alive.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until a signal stops it.
pub async fn run(args: Serve, format: Format) -> Result<Answer, Failure> {
    telemetry::install(telemetry::Format::of_stderr(), "info").map_err(|fault| Failure::usage(fault.to_string()))?;
    // Before anything listens, so that a stop signal during the start is not lost.
    let mut stop =
        Stop::listen().map_err(|error| Failure::new(Exit::Failure, "signals cannot be heard").why(error.to_string()))?;
    let config = configuration(&args.config, &args.addresses)?;
    // A start may wait for the database of its journal.
    let mut running = tokio::select! {
        running = serve::start(config, system()) => running.map_err(|fault| refusal(&args.config, fault))?,
        () = stop.heard() => return Ok(Answer::done()),
    };
    announce(&running, format);
    let sound = loop {
        tokio::select! {
            () = stop.heard() => break true,
            () = tokio::time::sleep(LOOK) => if !running.is_sound() { break false },
        }
        // Where the journal stopped itself and an operator reopened it.
        tokio::select! {
            () = stop.heard() => break true,
            () = running.go_on() => {}
        }
    };
    running.shutdown().await;
    if sound {
        Ok(Answer::done())
    } else {
        Err(Failure::new(Exit::Failure, "a part of the server ended by itself").fix("see the log; start it again"))
    }
}

/// The real time and randomness.
pub fn system() -> System {
    System { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) }
}

/// A listener for SIGTERM and SIGINT.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// From now on these signals no longer end the process by themselves.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either signal.
    pub async fn heard(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Loads the configuration from a file, with the addresses of the flags in place of its own.
pub fn configuration(path: &std::path::Path, addresses: &Addresses) -> Result<Config, Failure> {
    let mut config = config::load(path).map_err(|faults| invalid(path, &faults))?;
    let listen = &mut config.listen;
    listen.public = addresses.public.unwrap_or(listen.public);
    listen.admin = addresses.admin.unwrap_or(listen.admin);
    listen.mtls = addresses.mtls.unwrap_or(listen.mtls);
    Ok(config)
}

/// Every fault of a configuration, as one failure.
pub fn invalid(path: &std::path::Path, faults: &[ConfigFault]) -> Failure {
    let number = faults.len();
    let mut failure = Failure::usage(format!("{} has {number} fault{}", path.display(), if number == 1 { "" } else { "s" }));
    failure.faults = faults
        .iter()
        .map(|fault| {
            let line = fault.line.map_or_else(|| "-".to_owned(), |line| line.to_string());
            let field = if fault.field.is_empty() { "the file" } else { &fault.field };
            let text = format!("{line:>4}  {field}\n  why  {}\n  fix  {}", fault.reason, fault.fix);
            (text, json!({"field": fault.field, "line": fault.line, "reason": fault.reason, "fix": fault.fix}))
        })
        .collect();
    failure
}

/// A start that was refused, with every fault of the configuration.
pub fn refusal(path: &std::path::Path, fault: StartFault) -> Failure {
    match fault {
        StartFault::Configuration(faults) => invalid(path, &faults),
        StartFault::Journal(fault) => {
            let failure = Failure::new(Exit::Failure, "the server does not start").why(fault.to_string());
            failure.fix(serve::checks::journal_fix(&fault))
        }
        other => Failure::new(Exit::Failure, "the server does not start").why(other.to_string()),
    }
}

/// Prints the bound addresses on stdout, once all sockets accept.
fn announce(running: &Running, format: Format) {
    let mut addresses = json!({"public": running.public_url, "admin": running.admin_url, "mtls": running.mtls_url});
    let mut table = format!("public  {}\nadmin   {}\nmtls    {}", running.public_url, running.admin_url, running.mtls_url);
    if let Some(directory) = &running.directory_url {
        addresses["directory"] = json!(directory);
        table = format!("{table}\ndirectory  {directory}");
    }
    stdout(&match format {
        Format::Table | Format::Markdown | Format::Html | Format::Csv => table,
        Format::Json => addresses.to_string(),
        Format::Yaml => crate::cli::yaml::write(&addresses),
    });
}
