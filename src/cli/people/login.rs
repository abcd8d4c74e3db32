//! `carnet login`: signs a person in at the company's identity provider, in the browser.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::authn::sign_in::{Client, Recency, Returned, SignInFault, Way};
use crate::cli::shell::answer::{Answer, Failure, stderr};
use crate::cli::shell::context::{self, Context, SignIn};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Reach, given};
use crate::http::form::Form;
use crate::journal::file::{private_folder, replace};
use crate::server::OsEntropy;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Login {
    /// Identity provider: the issuer of the server's staff; remembered for the next sign-in
    #[arg(long, env = "CARNET_STAFF_ISSUER", value_name = "URL")]
    issuer: Option<String>,
    /// Client id of the command line there (public, PKCE); remembered for the next sign-in
    ///
    /// Its redirect is http://127.0.0.1/callback on any port.
    #[arg(long, env = "CARNET_STAFF_CLIENT_ID", value_name = "CLIENT")]
    client_id: Option<String>,
    /// Name of the context to write
    #[arg(long, default_value = "staff", value_name = "NAME")]
    name: crate::domain::value::names::ApiName,
    /// Print the sign-in address, and open no browser
    #[arg(long)]
    no_browser: bool,
}

/// The longest that a person may take to sign in.
const PATIENCE: Duration = Duration::from_secs(300);

/// The longest request line of the browser's return, in bytes.
const LINE: u64 = 8 * 1024;

/// Runs it.
pub async fn run(args: Login, reach: &Reach) -> Result<Answer, Failure> {
    let places = reach.places()?;
    // The server must have an address before anybody types a password.
    places.server()?;
    let SignIn { issuer, client_id } = identity_provider(&args, places.sign_in())?;
    let unable = |error: std::io::Error| Failure::new(Exit::Failure, format!("no address of this machine is free: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(unable)?;
    let port = listener.local_addr().map_err(unable)?.port();
    let redirect = format!("http://127.0.0.1:{port}/callback");
    let client = Client::new(&issuer, &client_id, &redirect, Way::Operator).map_err(fault)?;
    let (sign_in, url) = client.begin(Recency::ForReview, &OsEntropy).await.map_err(fault)?;
    stderr(&format!("sign in at\n  {url}\n"));
    if !args.no_browser {
        open(&url);
    }
    let returned = tokio::time::timeout(PATIENCE, returned(&listener)).await;
    let (returned, browser) =
        returned.map_err(|_| Failure::new(Exit::Unavailable, "nobody has signed in within five minutes"))?;
    let outcome = client.finish(sign_in, returned).await;
    told(browser, outcome.is_ok()).await;
    let token = outcome.map_err(fault)?;

    let path = context::default_path().map_err(|fault| Failure::usage(fault.to_string()))?;
    let file = path.with_file_name(format!("staff-{}", args.name));
    let unwritten = |_| Failure::new(Exit::Failure, format!("{} cannot be written", file.display()));
    if let Some(folder) = file.parent() {
        private_folder(folder).map_err(unwritten)?;
    }
    replace(&file, token.as_bytes()).map_err(unwritten)?;
    let sign_in = SignIn { issuer, client_id };
    let saved = Context { staff_token_file: Some(file.clone()), sign_in: Some(sign_in), ..places.context() };
    context::write(args.name.as_str(), &saved).map_err(|fault| Failure::new(Exit::Failure, fault.to_string()))?;
    let data = json!({"context": args.name, "server": saved.server, "staffTokenFile": file});
    Ok(Answer::of(data, format!("signed in; context {} is current\n", args.name)))
}

/// The identity provider and client: from the arguments, else from the last sign-in to this server.
fn identity_provider(args: &Login, remembered: Option<&SignIn>) -> Result<SignIn, Failure> {
    let told = |flag: &Option<String>, kept: fn(&SignIn) -> &String| given(flag).or_else(|| remembered.map(kept).cloned());
    match (told(&args.issuer, |kept| &kept.issuer), told(&args.client_id, |kept| &kept.client_id)) {
        (Some(issuer), Some(client_id)) => Ok(SignIn { issuer, client_id }),
        _ => Err(Failure::usage("the identity provider or its client is not named, and this server was never signed in to")
            .fix("add --issuer URL and --client-id CLIENT; the next sign-in remembers them")),
    }
}

fn fault(fault: SignInFault) -> Failure {
    let exit = match fault {
        SignInFault::Metadata => Exit::Unavailable,
        SignInFault::Url(_) => Exit::Usage,
        _ => Exit::SignIn,
    };
    Failure::new(exit, fault.to_string())
}

/// Waits for the browser's return with the answer. Any other request is answered 404.
async fn returned(listener: &TcpListener) -> (Returned, TcpStream) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let mut line = String::new();
        let mut reader = BufReader::new((&mut stream).take(LINE));
        // A silent connection blocks the others for five seconds at most.
        let read = tokio::time::timeout(Duration::from_secs(5), reader.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) {
            continue;
        }
        let query = line.strip_prefix("GET /callback?").and_then(|rest| rest.split(' ').next());
        let form = query.and_then(|query| Form::parse(query).ok());
        match form {
            Some(mut form) => {
                let mut take = |name: &str| form.take(name);
                let found = Returned { code: take("code"), state: take("state"), issuer: take("iss"), error: take("error") };
                return (found, stream);
            }
            None => {
                let _gone = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            }
        }
    }
}

/// Shows the outcome in the browser, in fixed words and with nothing that came in (ABUSE A-03).
async fn told(mut browser: TcpStream, well: bool) {
    let (status, text) = if well {
        ("200 OK", "You are signed in. This page can be closed.")
    } else {
        ("400 Bad Request", "The sign-in failed. The terminal says why.")
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n", text.len());
    let guard = "x-content-type-options: nosniff\r\ncontent-security-policy: default-src 'none'\r\ncache-control: no-store\r\n";
    let _gone = browser.write_all(format!("{head}{guard}connection: close\r\n\r\n{text}").as_bytes()).await;
    let _closed = browser.shutdown().await;
}

/// Opens the desktop's browser if there is one; otherwise the address is on the screen.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    let _maybe = std::process::Command::new(program).arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}
