//! `carnet key`: the key-encryption key, the ladder of signing keys, the journal's verifier key.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::evidence;
use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::value::alg::Alg;
use crate::domain::value::names::{EnvironmentName, KeyId};
use crate::journal::Kek;
use crate::journal::key::kek::KekFault;
use crate::server::OsEntropy;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Key {
    /// Make a key-encryption key: 32 random bytes in a file of mode 0600
    #[command(before_help = "Examples:\n  carnet key init keys/kek\n  carnet key init /var/lib/carnet/kek -o json")]
    Init {
        /// File to create; an existing file is never replaced
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// List signing keys and their places on the ladder
    #[command(before_help = "Examples:\n  carnet key list\n  carnet key list -o json")]
    List,
    /// Print the key that verifies the journal's checkpoints
    #[command(before_help = "Examples:\n  carnet key show --checkpoint\n  carnet key show --checkpoint -c carnet.toml")]
    Show {
        /// Configuration that names the journal; without it, the running server's journal
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print the journal's verifier key (C2SP signed note): NAME+ID+KEY
        #[arg(long, required = true)]
        checkpoint: bool,
    },
    /// Make the next signing key; it signs once every verifier can know it
    #[command(
        before_help = "Examples:\n  carnet key rotate production\n  carnet key rotate production --alg RS256 --i-accept-outage"
    )]
    Rotate {
        /// Environment
        #[arg(value_name = "ENV")]
        environment: EnvironmentName,
        /// Algorithm
        #[arg(long, value_name = "ALG", default_value = "ES256")]
        alg: Alg,
        /// Sign with it at once, although verifiers refuse its tokens until they fetch it
        #[arg(long)]
        i_accept_outage: bool,
    },
    /// Replace the key that signs the journal's checkpoints; both keys sign the change
    #[command(
        before_help = "Examples:\n  carnet key succeed --checkpoint --confirm sts.acme.example/carnet\n  carnet key succeed --checkpoint -c /etc/carnet/carnet.toml --confirm sts.acme.example/carnet -o json"
    )]
    Succeed {
        /// Configuration
        #[arg(short, long, value_name = "FILE", default_value = evidence::CONFIG)]
        config: PathBuf,
        /// Replace the journal's checkpoint key (C2SP signed note)
        #[arg(long, required = true)]
        checkpoint: bool,
        /// Origin of the log, typed out
        #[arg(long, value_name = "ORIGIN")]
        confirm: String,
    },
    /// Taint a key for ever: it signs nothing more, and everything it signed is revoked
    #[command(
        before_help = "Examples:\n  carnet key taint production Yk3mQ9vTz0aB --reason stolen\n  carnet key taint production Yk3mQ9vTz0aB --reason stolen -o json"
    )]
    Taint {
        /// Environment
        #[arg(value_name = "ENV")]
        environment: EnvironmentName,
        /// Id of the key
        #[arg(value_name = "KID")]
        kid: KeyId,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Runs a verb.
pub async fn run(verb: Key, reach: &Reach) -> Result<Answer, Failure> {
    match verb {
        Key::Init { path } => init(&path),
        Key::Show { config, checkpoint: _ } => evidence::key(config.as_deref(), reach).await,
        Key::Succeed { config, checkpoint: _, confirm } => evidence::succeed(&config, &confirm).await,
        Key::List => list(reach).await,
        Key::Rotate { environment, alg, i_accept_outage } => {
            let body = json!({"alg": alg.to_string(), "acceptOutage": i_accept_outage});
            let outcome = step(&environment, "rotate", &body, reach).await?;
            let text = format!("{environment}  {}  {}\n", cell(&outcome, "kid"), cell(&outcome, "state"));
            Ok(Answer::of(outcome, text))
        }
        Key::Taint { environment, kid, reason } => {
            step(&environment, "taint", &json!({"kid": kid.to_string(), "reason": reason}), reach).await?;
            let data = json!({"environment": environment.as_str(), "kid": kid.to_string(), "state": "tainted"});
            Ok(Answer::of(data, format!("{environment}  {kid}  tainted\n")))
        }
    }
}

async fn list(reach: &Reach) -> Result<Answer, Failure> {
    let items = reach.places()?.admin().await?.list("/v1/keys", usize::MAX).await?;
    let row = |item: &Value| {
        let mut cells: Vec<String> = ["environment", "kid", "alg", "state"].iter().map(|name| cell(item, name)).collect();
        cells.extend([time(&item["created"]), time(&item["usableFrom"])]);
        cells
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    let text = table(&["ENVIRONMENT", "KID", "ALG", "STATE", "CREATED", "SIGNS FROM"], &rows);
    Ok(Answer::of(items.into(), text))
}

async fn step(environment: &EnvironmentName, verb: &str, body: &Value, reach: &Reach) -> Result<Value, Failure> {
    reach.places()?.admin().await?.post(&url::path(&["keys", environment.as_str(), verb]), body).await
}

fn init(path: &Path) -> Result<Answer, Failure> {
    match Kek::create(path, &OsEntropy) {
        Ok(_) => {
            let data = json!({"path": path, "mode": "0600"});
            let note = "keep a copy apart from the database: without it no signing key opens, with it all of them do";
            Ok(Answer::of(data, path.display().to_string()).note(note))
        }
        Err(KekFault::File { cause, .. }) if cause.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::new(Exit::Failure, format!("{} is there already, and is never replaced", path.display()))
                .why("every key that it sealed would be lost"))
        }
        Err(fault) => Err(Failure::new(Exit::Failure, "the key-encryption key cannot be made").why(fault.to_string())),
    }
}
