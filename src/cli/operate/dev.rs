//! `carnet dev`: the broker with its demo services, until SIGTERM or SIGINT; and `carnet demo`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use super::serve::Stop;
use crate::cli::shell::answer::{Answer, Failure, Format, stderr, stdout};
use crate::cli::shell::context::{self, Context};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::client;
use crate::dev::demo::{self, Stage, Step};
use crate::dev::{self, DevBroker, DevFault, Options};
use crate::outbound::operator::Call;
use crate::telemetry;

/// Arguments of `dev`.
#[derive(Clone, Debug, clap::Args)]
pub struct Dev {
    /// Folder for journal and keys; without it they are gone on exit
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Public address; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7400")]
    public: SocketAddr,
    /// Admin address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7401")]
    admin: SocketAddr,
    /// mTLS address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    mtls: SocketAddr,
    /// Address of the demo issuers and the demo API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7402")]
    demo: SocketAddr,
    /// Show the log on stderr
    #[arg(long)]
    logs: bool,
}

/// The name of the context that `dev` writes.
const CONTEXT: &str = "dev";

/// Runs `dev` until a signal stops it.
pub async fn run(args: Dev, format: Format) -> Result<Answer, Failure> {
    quiet(args.logs)?;
    let mut stop =
        Stop::listen().map_err(|error| Failure::new(Exit::Failure, "signals cannot be heard").why(error.to_string()))?;
    let options = Options { public: args.public, admin: args.admin, mtls: args.mtls, demo: args.demo, data: args.data };
    // Asked before this one has its ports: an older file may name the same ones.
    let first = running().await;
    let broker = dev::start(options).await.map_err(unstarted)?;
    let context = context_of(&broker);
    let is_written = match first {
        Some(first) => {
            let (admin, public) = (&broker.running.admin_url, &broker.running.public_url);
            stderr(&format!(
                "another `carnet dev` runs at {}, and commands go on finding that one; for this one name --server {admin} and --public-server {public}",
                first.admin
            ));
            false
        }
        None => match context::write(CONTEXT, &context) {
            Ok(_) => true,
            Err(fault) => {
                stderr(&format!("the client context is not written: {fault}; name --server and --public-server yourself"));
                false
            }
        },
    };
    announce(&broker, format);
    stop.heard().await;
    if is_written {
        let _left = context::remove(CONTEXT, &context);
    }
    broker.shutdown().await;
    Ok(Answer::done())
}

/// Runs `demo`, against the `dev` broker of the context if one runs, else against one of its own.
pub async fn demo(format: Format) -> Result<Answer, Failure> {
    quiet(false)?;
    let (stage, own) = match running().await {
        Some(stage) => (stage, None),
        None => {
            let free = SocketAddr::from(([127, 0, 0, 1], 0));
            let options = Options { public: free, admin: free, mtls: free, demo: free, data: None };
            let broker = dev::start(options).await.map_err(unstarted)?;
            let stage =
                stage_of(&broker).ok_or_else(|| Failure::new(Exit::Failure, "the demo has no environment production"))?;
            (stage, Some(broker))
        }
    };
    if format == Format::Table {
        let which = if own.is_some() { "a dev broker of its own" } else { "the dev broker that runs" };
        stdout(&format!("carnet demo, against {which} at {}\n", stage.public));
    }
    let steps = demo::tell(&stage, |step| {
        if format == Format::Table {
            stdout(&shown(step));
        }
    })
    .await;
    if let Some(broker) = own {
        broker.shutdown().await;
    }
    let went_well = demo::went_well(&steps);
    let text = if went_well {
        "\nEvery step went as it says. Next: `carnet dev`, then `carnet token --env production --api orders-api --scope orders:read`."
    } else {
        "\nA step did not go as it says."
    };
    let answer = Answer::of(json!({"ok": went_well, "steps": steps}), text);
    Ok(answer.exit(if went_well { Exit::Ok } else { Exit::Failure }))
}

fn shown(step: &Step) -> String {
    format!("{}  {:<16} {} ({} ms)", if step.ok { "ok" } else { "NO" }, step.name, step.says, step.millis)
}

/// Sets up the log: errors alone unless asked for, since the next command should end the screen.
fn quiet(logs: bool) -> Result<(), Failure> {
    let level = if logs { "info" } else { "error" };
    telemetry::install(telemetry::Format::of_stderr(), level).map_err(|fault| Failure::usage(fault.to_string()))
}

/// The `dev` broker that already runs, if there is one.
async fn running() -> Option<Stage> {
    let contexts = context::read(&context::default_path().ok()?).ok()?;
    let known = contexts.contexts.get(CONTEXT)?;
    let (admin, public) = (known.server.clone()?, known.public_server.clone()?);
    let demo = known.assertion_url.as_ref()?.strip_suffix("/workloads/token")?.to_owned();
    let issuer = known.environments.get("production")?.clone();
    let ready = client(&admin).ok()?.call(Call { method: "GET", path: "/readyz", ..Call::default() }).await.ok()?;
    (ready.status == 200).then_some(Stage { admin, public, demo, issuer })
}

fn stage_of(broker: &DevBroker) -> Option<Stage> {
    let (_, issuer) = broker.environments.iter().find(|(name, _)| name == "production")?;
    Some(Stage {
        admin: broker.running.admin_url.clone(),
        public: broker.running.public_url.clone(),
        demo: broker.demo_url.clone(),
        issuer: issuer.clone(),
    })
}

fn context_of(broker: &DevBroker) -> Context {
    Context {
        server: Some(broker.running.admin_url.clone()),
        public_server: Some(broker.running.public_url.clone()),
        staff_token_file: None,
        staff_token_url: Some(format!("{}/staff/token", broker.demo_url)),
        person: Some("sven".to_owned()),
        sign_in: None,
        assertion_url: Some(format!("{}/workloads/token", broker.demo_url)),
        environments: broker.environments.iter().cloned().collect(),
    }
}

/// Prints the bound addresses; for people followed by the next commands.
fn announce(broker: &DevBroker, format: Format) {
    let (public, admin, demo) = (&broker.running.public_url, &broker.running.admin_url, &broker.demo_url);
    let mtls = &broker.running.mtls_url;
    let addresses = json!({"public": public, "admin": admin, "mtls": mtls, "demo": demo});
    stdout(&match format {
        Format::Json => addresses.to_string(),
        Format::Yaml => crate::cli::yaml::write(&addresses),
        Format::Table | Format::Markdown | Format::Html | Format::Csv => format!(
            "public  {public}\nadmin   {admin}\nmtls    {mtls}\ndemo    {demo}  (issuers of demo workloads and people, and an API)\n\
             console {}/console  (sign in as sven)\n\n\
             For development only: fresh keys, a demo partner, demo people. In another terminal:\n  \
             carnet demo\n  \
             carnet token -i globex/order-sync --env production --api orders-api --scope orders:read\n  \
             carnet token -i globex/order-sync --env production --api orders-api --scope orders:write   # refused, and told why\n  \
             carnet revoke integration globex/order-sync --reason trying",
            broker.console_url
        ),
    });
}

fn unstarted(fault: DevFault) -> Failure {
    match fault {
        DevFault::Bind { .. } | DevFault::NotLoopback(_) => Failure::usage(fault.to_string()),
        other => Failure::new(Exit::Failure, "the development broker does not start").why(other.to_string()),
    }
}
