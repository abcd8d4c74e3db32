//! `carnet exec -- CMD`: runs a command with a token, which is never among its arguments.
//!
//! The command replaces this program, so signals, exit code and terminal are its own. With `--file-variable` the token is in
//! a file that an agent keeps current as long as the command runs, and removes afterwards.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::agent::store;
use super::token::{self, Grant, Token};
use crate::cli::shell::answer::{Answer, Failure};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::domain::value::clock::Entropy;
use crate::server::OsEntropy;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Exec {
    #[command(flatten)]
    token: Token,
    /// Environment variable for the token
    #[arg(long, value_name = "NAME", default_value = "CARNET_TOKEN")]
    variable: String,
    /// Environment variable for the path of a file with the token, instead of the token itself
    ///
    /// The token in the file is renewed while the command runs.
    #[arg(long, value_name = "NAME", conflicts_with = "variable")]
    file_variable: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command; returns only if it could not be started.
pub async fn run(exec: Exec, reach: &Reach) -> Result<Answer, Failure> {
    let (program, arguments) = exec.command.split_first().ok_or_else(|| Failure::usage("name a command after --"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    match &exec.file_variable {
        None => {
            let minted = token::mint(&exec.token, &reach.places()?).await?;
            command.env(&exec.variable, minted.token);
        }
        Some(variable) => {
            let file = kept(&exec.token, reach).await?;
            command.env(variable, file);
        }
    }
    let error = command.exec();
    let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::Missing } else { Exit::Failure };
    Err(Failure::new(exit, format!("{} cannot be started: {}", program.to_string_lossy(), error.kind())))
}

/// Writes the token to a file, and starts an agent that keeps it current until this process ends.
async fn kept(token: &Token, reach: &Reach) -> Result<PathBuf, Failure> {
    let stdin = token.assertion_file.as_deref() == Some("-");
    if token.api.is_none() || token.grant != Grant::default() || stdin {
        return Err(Failure::usage("with --file-variable the token is renewed, and this one could not be asked for again")
            .fix("name the API with --api, leave --grant out, and give the proof in a file and not on stdin"));
    }
    // The first token is requested here, so that a refusal has its reason; the agent continues from it.
    let first = token::mint(token, &reach.places()?).await?;
    let entropy: &dyn Entropy = &OsEntropy;
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("carnet-{}", entropy.identifier()));
    let unusable =
        |error: std::io::Error| Failure::new(Exit::Failure, "the token's file cannot be made").why(error.to_string());
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&folder).map_err(unusable)?;
    let file = folder.join("token");
    store::write(&file, &first.token).map_err(unusable)?;
    let parent = std::process::id().to_string();
    let mut agent = Command::new(std::env::current_exe().map_err(unusable)?);
    agent.args(["agent", "--for-parent", &parent, "--token-file"]).arg(&file).args(arguments(token)).args(reach.arguments());
    // In its own process group: a signal that ends the command from the terminal must not end its token first.
    agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().map_err(unusable)?;
    Ok(file)
}

fn arguments(token: &Token) -> Vec<String> {
    let mut all = vec!["--env".to_owned(), token.env.to_string()];
    let mut add = |flag: &str, value: Option<String>| all.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    add("--integration", token.integration.as_ref().map(ToString::to_string));
    add("--api", token.api.clone());
    add("--issuer", token.issuer.clone());
    add("--assertion-file", token.assertion_file.clone());
    for scope in &token.scope {
        add("--scope", Some(scope.clone()));
    }
    all
}
