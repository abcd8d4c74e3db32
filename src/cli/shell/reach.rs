//! Finds the servers and the staff token of a command: flag, then environment, then context.
//!
//! A token goes only to the server that it belongs to: the context's token is not sent to a server that `--server` names
//! instead, so that no address can obtain somebody's staff token.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::answer::Failure;
use super::context::{self, Context, SignIn};
use super::exit::Exit;
use super::steady::{self, For};
use super::url;
use crate::authn::tls;
use crate::http::demo::PEOPLE;
use crate::outbound::operator::{Call, CallFault, OperatorClient, Reply};

/// The flags of every command that talks to a server.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Reach {
    /// Admin address of the broker
    #[arg(long, global = true, env = "CARNET_SERVER", hide_env_values = true, value_name = "URL", help_heading = "Server")]
    server: Option<String>,
    /// Public address of the broker
    #[arg(
        long,
        global = true,
        env = "CARNET_PUBLIC_SERVER",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Server"
    )]
    public_server: Option<String>,
    /// File with your staff token; - for stdin
    #[arg(
        long,
        global = true,
        env = "CARNET_STAFF_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE|-",
        help_heading = "Server"
    )]
    staff_token_file: Option<String>,
    /// Context in contexts.toml
    #[arg(long, global = true, env = "CARNET_CONTEXT", hide_env_values = true, value_name = "NAME", help_heading = "Server")]
    context: Option<String>,
    /// Demo person to act as (`carnet dev` only)
    #[arg(long = "as", global = true, value_name = "PERSON", help_heading = "Server")]
    person: Option<String>,
}

/// The source of a staff token.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Bearer {
    None,
    File(PathBuf),
    Demo(String),
}

/// The servers that were found.
#[derive(Clone, Debug)]
pub struct Places {
    server: Option<String>,
    public: Option<String>,
    environments: BTreeMap<String, String>,
    bearer: Bearer,
    sign_in: Option<SignIn>,
    /// The service that gives proofs in the demo.
    pub assertion_url: Option<String>,
}

/// The admin API, with a staff token.
#[derive(Debug)]
pub struct Admin {
    client: OperatorClient,
    bearer: String,
}

impl Reach {
    /// The admin API of the server that the flags, the environment or the context name.
    pub async fn admin(&self) -> Result<Admin, Failure> {
        self.places()?.admin().await
    }

    /// The same without `--as`, of a command where that flag means something else.
    pub fn without_person(&self) -> Self {
        Self { person: None, ..self.clone() }
    }

    /// The given flags, as arguments for another process of this program.
    pub fn arguments(&self) -> Vec<String> {
        let flags = [("--public-server", &self.public_server), ("--context", &self.context)];
        flags
            .into_iter()
            .flat_map(|(flag, value)| given(value).into_iter().flat_map(move |value| [flag.to_owned(), value]))
            .collect()
    }

    /// Finds the servers.
    pub fn places(&self) -> Result<Places, Failure> {
        let path = context::default_path().ok();
        let contexts = match &path {
            Some(path) => context::read(path).map_err(|fault| {
                let fix = format!("chmod 600 {}, or correct or delete the file", path.display());
                Failure::usage("the context file cannot be used").why(fault.to_string()).fix(fix)
            })?,
            None => context::Contexts::default(),
        };
        let asked = given(&self.context);
        let name = asked.as_ref().or(contexts.current.as_ref());
        let context = match name {
            Some(name) => match (contexts.contexts.get(name), &asked) {
                (Some(context), _) => context.clone(),
                (None, None) => Context::default(),
                (None, Some(_)) => {
                    let known = contexts.contexts.keys().cloned().collect::<Vec<_>>().join(", ");
                    return Err(Failure::new(Exit::Missing, format!("there is no context {name}")).fix(if known.is_empty() {
                        "start `carnet dev`, or name the server with --server".into()
                    } else {
                        format!("known are {known}")
                    }));
                }
            },
            None => Context::default(),
        };
        self.combine(context)
    }

    fn combine(&self, context: Context) -> Result<Places, Failure> {
        let (server, public) = (given(&self.server), given(&self.public_server));
        let own = server.is_none() || server == context.server;
        let own_public = public.is_none() || public == context.public_server;
        let file = given(&self.staff_token_file).map(PathBuf::from);
        let person = self.person.as_ref().or(context.person.as_ref());
        let bearer = match (&file, &context.staff_token_file, &context.staff_token_url, person) {
            (Some(_), ..) if self.person.is_some() => {
                return Err(Failure::usage("--as and a staff token file exclude each other"));
            }
            (Some(file), ..) => Bearer::File(file.clone()),
            (None, _, Some(url), Some(person)) if own => Bearer::Demo(format!("{url}?{}", url::form(&[("person", person)]))),
            _ if self.person.is_some() => {
                return Err(Failure::usage("--as needs a context of `carnet dev`").fix("start `carnet dev`, or leave --as out"));
            }
            (None, Some(file), ..) if own => Bearer::File(file.clone()),
            _ => Bearer::None,
        };
        Ok(Places {
            server: server.or(context.server),
            public: public.or(context.public_server),
            environments: if own_public { context.environments } else { BTreeMap::new() },
            bearer,
            // Like a token, it belongs to its own server.
            sign_in: if own { context.sign_in } else { None },
            assertion_url: if own_public { context.assertion_url } else { None },
        })
    }
}

/// A flag or variable with content: CI platforms set unknown ones to the empty text.
pub fn given(flag: &Option<String>) -> Option<String> {
    flag.clone().filter(|text| !text.is_empty())
}

impl Places {
    /// The servers, as a context to store.
    pub fn context(&self) -> Context {
        Context {
            server: self.server.clone(),
            public_server: self.public.clone(),
            environments: self.environments.clone(),
            ..Context::default()
        }
    }

    /// The staff's identity provider, if an earlier sign-in stored it.
    pub fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// The same, at this server where none is named.
    pub fn or_at(mut self, server: String) -> Self {
        self.server.get_or_insert(server);
        self
    }

    /// The admin address.
    pub fn server(&self) -> Result<&str, Failure> {
        self.server.as_deref().ok_or_else(|| {
            Failure::usage("no server is named").fix("set --server URL or CARNET_SERVER (admin address), or start `carnet dev`")
        })
    }

    /// The admin API, as a member of staff.
    pub async fn admin(&self) -> Result<Admin, Failure> {
        let client = client(self.server()?)?;
        let sign_in = || {
            Failure::new(Exit::SignIn, "sign-in is needed: there is no staff token")
                .fix("sign in with `carnet login`, or name a file with a token of the staff issuer in CARNET_STAFF_TOKEN_FILE")
        };
        let bearer = match &self.bearer {
            Bearer::None => return Err(sign_in()),
            Bearer::File(path) => secret_file(path)?,
            Bearer::Demo(url) => value_at(url, None).await.map_err(|failure| of_demo(failure, url))?,
        };
        if bearer.is_empty() {
            return Err(sign_in());
        }
        Ok(Admin { client, bearer })
    }

    /// A client of the admin socket without a token, for health and metrics.
    pub fn health(&self) -> Result<OperatorClient, Failure> {
        client(self.server()?)
    }

    /// The issuer of an environment: the context's, else the default `PUBLIC/ENVIRONMENT`.
    pub fn issuer(&self, environment: &str) -> Result<String, Failure> {
        if let Some(issuer) = self.environments.get(environment) {
            return Ok(issuer.clone());
        }
        match &self.public {
            Some(public) => Ok(format!("{}/{environment}", public.trim_end_matches('/'))),
            None => Err(Failure::usage("no public server is named")
                .fix("set --issuer URL, --public-server URL or CARNET_PUBLIC_SERVER, or start `carnet dev`")),
        }
    }

    /// True if the keys of this issuer may be fetched for a token of its own.
    pub fn knows(&self, issuer: &str) -> bool {
        let below =
            |public: &String| issuer.strip_prefix(public.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        self.environments.values().any(|known| known == issuer) || self.public.as_ref().is_some_and(below)
    }
}

/// The failure to sign in at a development broker, with the people that it has.
fn of_demo(failure: Failure, url: &str) -> Failure {
    if failure.exit != Exit::SignIn {
        return failure;
    }
    let person = url.rsplit_once("person=").map_or("-", |(_, person)| person);
    let people: Vec<String> = PEOPLE.iter().map(|(name, role, _)| format!("{name} ({})", role.name())).collect();
    Failure::new(Exit::SignIn, format!("{person} is none of the demo people"))
        .why(failure.what)
        .fix(format!("--as takes {}; without it you are sven", people.join(", ")))
}

/// A client for a server.
pub fn client(base: &str) -> Result<OperatorClient, Failure> {
    let tls = tls::client().map_err(|fault| Failure::new(Exit::Failure, fault.to_string()))?;
    OperatorClient::new(base, &tls).map_err(|fault| unanswered(&fault))
}

/// The failure for a call without an answer.
pub fn unanswered(fault: &CallFault) -> Failure {
    match fault {
        CallFault::Address(_) => Failure::usage(fault.to_string()),
        CallFault::Unavailable(_) => {
            Failure::new(Exit::Unavailable, fault.to_string()).fix("is it running? `carnet doctor` looks")
        }
        CallFault::Late(_) => Failure::new(Exit::Unavailable, fault.to_string())
            .fix("it may have done what it was asked: look before you ask again. `carnet doctor` looks at the server"),
        CallFault::Broken => Failure::new(Exit::Failure, fault.to_string()),
    }
}

/// The text of a file with a secret, or of stdin for `-`.
pub fn secret_file(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(1024 * 1024).read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    // Somebody may have typed the secret instead of its file: then the message does not repeat it.
    let name = path.to_string_lossy();
    let named = if may_be_secret(&name) { "with the secret".to_owned() } else { name.into_owned() };
    let fault = |error: std::io::Error| {
        Failure::usage(format!("the file {named} cannot be read: {}", error.kind())).fix("name a readable file, or - for stdin")
    };
    Ok(read.map_err(fault)?.trim().to_owned())
}

/// The longest part of a path that a message repeats: an identifier of ours, which may be a secret, has 22 characters.
const LONGEST_NAME: usize = 20;

/// True of a text that may be a JWT or another secret, and not a path: a part of it is long, or begins as a JWT does.
fn may_be_secret(text: &str) -> bool {
    text.split('/').any(|part| part.len() > LONGEST_NAME || part.starts_with("ey"))
}

/// The `value` that a token service answers, in GitHub's form and the demo's.
pub async fn value_at(url: &str, bearer: Option<&str>) -> Result<String, Failure> {
    let (base, path) = url::split(url).ok_or_else(|| Failure::usage("the token service's address is not a URL"))?;
    let call = Call { method: "GET", path, bearer, ..Call::default() };
    let away = |why: String| {
        Failure::new(Exit::Unavailable, format!("the token service at {base} gave no token"))
            .why(why)
            .fix("run the job again; the service was asked several times")
    };
    let reply = steady::ask(&client(base)?, call, For::Job).await.map_err(|fault| match fault {
        CallFault::Address(_) => unanswered(&fault),
        CallFault::Unavailable(_) | CallFault::Late(_) | CallFault::Broken => away("it does not answer".to_owned()),
    })?;
    if steady::is_away(reply.status) {
        return Err(away(format!("it answers with status {}", reply.status)));
    }
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let value = body.as_ref().and_then(|body| body.get("value")).and_then(Value::as_str);
    match value {
        Some(value) if reply.status == 200 => Ok(value.to_owned()),
        _ => Err(Failure::new(Exit::SignIn, format!("the token service at {base} gave no token (status {})", reply.status))),
    }
}

impl Admin {
    /// Sends a GET.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let call = Call { method: "GET", path, bearer: Some(&self.bearer), ..Call::default() };
        outcome(&steady::ask(&self.client, call, For::Person).await.map_err(|fault| unanswered(&fault))?)
    }

    /// Sends a GET for a file.
    pub async fn file(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let call = Call { method: "GET", path, bearer: Some(&self.bearer), ..Call::default() };
        let reply = steady::ask(&self.client, call, For::Person).await.map_err(|fault| unanswered(&fault))?;
        if reply.status == 200 { Ok(reply.body.to_vec()) } else { Err(refusal(&reply)) }
    }

    /// All items of a list, page by page, at most `most`.
    pub async fn list(&self, path: &str, most: usize) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < most {
            let join = if path.contains('?') { '&' } else { '?' };
            let limit = (most - items.len()).min(1000);
            let next = cursor.as_ref().map(|cursor| format!("&cursor={}", url::encode(cursor))).unwrap_or_default();
            let page = self.get(&format!("{path}{join}limit={limit}{next}")).await?;
            let found = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            items.extend(found);
            let before = cursor;
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            // A page of a list with filters may be empty and not the last; one that leads to itself leads nowhere.
            if cursor.is_none() || cursor == before {
                break;
            }
        }
        Ok(items)
    }

    /// Sends a POST.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.post_as(path, ("application/json", body.to_string().into_bytes()), &[]).await
    }

    /// The same with a body of another media type, or further headers.
    ///
    /// Each call has its own idempotency key, so it is done once even if a proxy sends it twice
    /// (docs/reference/admin-api.md). With that key it is sent again for some seconds while a cut is not confirmed yet.
    pub async fn post_as(
        &self,
        path: &str,
        body: (&'static str, Vec<u8>),
        headers: &[(&'static str, &str)],
    ) -> Result<Value, Failure> {
        let entropy: &dyn crate::domain::value::clock::Entropy = &crate::server::OsEntropy;
        let key = entropy.identifier();
        let mut all = vec![("idempotency-key", key.as_str())];
        all.extend_from_slice(headers);
        let call = || Call { method: "POST", path, headers: &all, body: Some(body.clone()), ..Call::default() };
        for _ in 0..CONFIRMING {
            let reply = self.reply(call()).await?;
            if !is_unconfirmed(&reply) {
                return outcome(&reply);
            }
            tokio::time::sleep(CONFIRMING_PAUSE).await;
        }
        self.send(call()).await
    }

    async fn send(&self, call: Call<'_>) -> Result<Value, Failure> {
        outcome(&self.reply(call).await?)
    }

    async fn reply(&self, call: Call<'_>) -> Result<Reply, Failure> {
        let call = Call { bearer: Some(&self.bearer), ..call };
        self.client.call(call).await.map_err(|fault| unanswered(&fault))
    }
}

/// The number of tries for a cut that is recorded but not confirmed, and the pause between them.
const CONFIRMING: u32 = 10;
const CONFIRMING_PAUSE: Duration = Duration::from_secs(1);

fn is_unconfirmed(reply: &Reply) -> bool {
    let reason = || serde_json::from_slice::<Value>(&reply.body).ok()?.get("reason")?.as_str().map(str::to_owned);
    reply.status == 503 && reason().as_deref() == Some(crate::domain::reason::REVOCATION_PENDING.code)
}

fn outcome(reply: &Reply) -> Result<Value, Failure> {
    if reply.status < 300 {
        return if reply.body.is_empty() { Ok(Value::Null) } else { read(reply) };
    }
    Err(refusal(reply))
}

fn read(reply: &Reply) -> Result<Value, Failure> {
    serde_json::from_slice(&reply.body).map_err(|_| Failure::new(Exit::Failure, "the server's answer is no JSON"))
}

/// A refusal in `application/problem+json` (RFC 9457), as a failure.
pub fn refusal(reply: &Reply) -> Failure {
    let problem: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let exit = match reply.status {
        401 => Exit::SignIn,
        403 => Exit::Denied,
        404 => Exit::Missing,
        400 | 413 | 415 | 422 => Exit::Usage,
        408 | 429 | 502 | 503 | 504 => Exit::Unavailable,
        _ => Exit::Failure,
    };
    let what = text("detail").or_else(|| text("title"));
    let what = what.unwrap_or_else(|| format!("the server answered with status {}", reply.status));
    let reason = text("reason");
    let page = reason.as_deref().and_then(crate::domain::reason::Reason::find);
    let request = text("request_id").or_else(|| reply.header("x-request-id").map(str::to_owned));
    let mut failure = Failure::new(exit, what);
    failure.why = page.map(|page| page.why.to_owned());
    failure.fix = page.map(|page| page.fix.to_owned());
    failure.reason = reason;
    failure.place = request.map(|request| format!("request {request}"));
    let faults = problem.get("errors").and_then(Value::as_array).into_iter().flatten();
    failure.faults = faults.map(|fault| (fault_text(fault), fault.clone())).collect();
    failure
}

fn fault_text(fault: &Value) -> String {
    let text = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
    let at = text("at");
    let colon = if at.is_empty() { "" } else { ": " };
    format!("{at}{colon}{} [{}]", text("message"), text("reason"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev() -> Context {
        Context {
            server: Some("http://127.0.0.1:7401".to_owned()),
            public_server: Some("http://127.0.0.1:7400".to_owned()),
            staff_token_url: Some("http://127.0.0.1:7402/staff/token".to_owned()),
            person: Some("ann".to_owned()),
            assertion_url: Some("http://127.0.0.1:7402/workloads/token".to_owned()),
            environments: BTreeMap::from([("production".to_owned(), "http://127.0.0.1:7400/production".to_owned())]),
            staff_token_file: None,
            sign_in: None,
        }
    }

    #[test]
    fn a_bearer_of_the_context_goes_to_its_own_server_alone() {
        let own = Reach::default().combine(dev()).expect("places");
        assert_eq!(own.bearer, Bearer::Demo("http://127.0.0.1:7402/staff/token?person=ann".to_owned()));
        let sven = Reach { person: Some("sven".to_owned()), ..Reach::default() }.combine(dev()).expect("places");
        assert_eq!(sven.bearer, Bearer::Demo("http://127.0.0.1:7402/staff/token?person=sven".to_owned()));

        let elsewhere = Reach { server: Some("https://evil.example".to_owned()), ..Reach::default() };
        assert_eq!(elsewhere.combine(dev()).expect("places").bearer, Bearer::None);
        let file = Context { staff_token_url: None, staff_token_file: Some("/t".into()), ..dev() };
        assert_eq!(elsewhere.combine(file.clone()).expect("places").bearer, Bearer::None);
        assert_eq!(Reach::default().combine(file).expect("places").bearer, Bearer::File("/t".into()));
        let named = Reach { staff_token_file: Some("/mine".to_owned()), ..elsewhere };
        assert_eq!(named.combine(dev()).expect("places").bearer, Bearer::File("/mine".into()));
    }

    #[test]
    fn a_proof_of_the_demo_and_its_issuers_belong_to_its_public_server() {
        let elsewhere = Reach { public_server: Some("https://sts.acme.example".to_owned()), ..Reach::default() };
        let places = elsewhere.combine(dev()).expect("places");
        assert_eq!(places.assertion_url, None);
        assert_eq!(places.issuer("production").expect("an issuer"), "https://sts.acme.example/production");
        assert!(places.knows("https://sts.acme.example/x") && !places.knows("https://sts.acme.example.evil/x"));
        assert!(!places.knows("http://127.0.0.1:7400/production"));
    }

    #[test]
    fn an_unknown_demo_person_is_told_who_there_is() {
        let failure = Failure::new(Exit::SignIn, "the token service gave no token");
        let told = of_demo(failure, "http://127.0.0.1:7402/staff/token?person=bob");
        assert_eq!((told.exit, told.what.as_str()), (Exit::SignIn, "bob is none of the demo people"));
        assert!(told.fix.expect("a fix").starts_with("--as takes ann (owner), "));
        let away = of_demo(Failure::new(Exit::Unavailable, "away"), "person=bob");
        assert_eq!((away.exit, away.what.as_str()), (Exit::Unavailable, "away"));
    }

    /// Attack: a secret that was typed instead of its file must not stand on the screen, in a log of CI or in a history.
    #[test]
    fn a_file_that_cannot_be_read_is_named_unless_it_may_be_the_secret() {
        let told = |path: &str| secret_file(Path::new(path)).expect_err("no file").what;
        assert_eq!(told("nowhere/token"), "the file nowhere/token cannot be read: entity not found");
        for secret in ["eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "./eyJhbGciOiJFUzI1NiJ9", &"x".repeat(21)] {
            assert!(!told(secret).contains(secret), "{}", told(secret));
        }
    }

    #[test]
    fn statuses_become_exit_codes_and_the_reason_brings_its_page() {
        let reply = |status, body: &str| Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
        let exits = [(401, 4), (403, 3), (404, 5), (409, 1), (412, 1), (422, 2), (429, 7), (500, 1), (503, 7)];
        for (status, exit) in exits {
            assert_eq!(refusal(&reply(status, "{}")).exit.code(), exit, "{status}");
        }
        let stale = refusal(&reply(412, r#"{"title":"stale","reason":"plan.stale","request_id":"r1"}"#));
        assert!(stale.fix.is_some() && stale.why.is_some());
        assert_eq!(stale.place.as_deref(), Some("request r1"));
    }
}
