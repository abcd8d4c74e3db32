//! `carnet login` against an independent provider (npm oidc-provider), in a browser that is curl with cookies.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use super::program::Program;
use crate::interop::Independent;
use crate::world::World;

/// A world whose staff sign in at `provider`.
async fn world(provider: &Independent) -> World {
    // One node alone: with several, an administrator would have to sign in to record the other issuer, and no longer can.
    let mut world = World::in_file().await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let own = format!("issuer = \"{}\"\naudience = \"carnet\"", world.staff.issuer);
    assert!(text.contains(&own));
    let text = text.replace(&own, &format!("issuer = \"{}\"\naudience = \"carnet-cli\"", provider.issuer));
    let text = text.replace("issuers = [", &format!("issuers = [\"{}\", ", provider.issuer));
    std::fs::write(&file, text).expect("written");
    world.clock.synchronise();
    world.boot().await;
    world
}

/// Starts a first sign-in; the process, and where the browser is sent.
fn begin(program: &Program, provider: &Independent) -> Begun {
    begin_with(program, &["--issuer", &provider.issuer, "--client-id", "carnet-cli"])
}

/// A sign-in that waits for its browser: the process, where the browser is sent, and what else stands on stderr.
type Begun = (std::process::Child, String, std::thread::JoinHandle<String>);

fn begin_with(program: &Program, named: &[&str]) -> Begun {
    let arguments = [&["login"], named, &["--no-browser", "-o", "json"]].concat();
    let mut child = program.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let url =
        lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.trim().to_owned()).filter(|l| l.starts_with("http")));
    // The rest is read to the end, so that nothing blocks on it.
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
    (child, url.expect("an address"), rest)
}

async fn curl(arguments: Vec<String>) -> String {
    let ran = tokio::task::spawn_blocking(move || {
        Command::new("curl").args(["-s", "--max-time", "20"]).args(arguments).output().expect("curl runs")
    });
    String::from_utf8(ran.await.expect("it ran").stdout).expect("text")
}

/// Runs a whole `carnet login` with these arguments.
pub async fn sign_in(program: &Program, arguments: &[&str]) {
    let (child, url, rest) = begin_with(program, arguments.strip_prefix(&["login"]).expect("a sign-in"));
    let page = browse(program, url).await;
    let (code, out) = ended(child).await;
    assert_eq!(code, Some(0), "{page} {out} {}", rest.join().expect("stderr"));
}

/// Signs in as the browser of this program's person would, and comes back.
async fn browse(program: &Program, url: String) -> String {
    let jar = program.home().join("jar").display().to_string();
    curl(vec!["-L".into(), "-c".into(), jar.clone(), "-b".into(), jar, url]).await
}

async fn ended(mut child: std::process::Child) -> (Option<i32>, String) {
    let ended = tokio::task::spawn_blocking(move || {
        let mut out = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        (child.wait().expect("it ends").code(), out)
    });
    ended.await.expect("it ended")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_the_command_line_is_theirs() {
    let provider = Independent::start().await;
    let world = world(&provider).await;
    let mut program = Program::alone();
    program.set("CARNET_SERVER", &format!("http://{}", world.admin));
    program.run(&["approvals"]).await.ended(4);
    let (child, url, _rest) = begin(&program, &provider);
    assert!(url.contains("code_challenge_method=S256") && url.contains("nonce=") && url.contains("state="), "{url}");
    let page = browse(&program, url).await;
    assert!(page.contains("You are signed in"), "{page}");
    let (code, out) = ended(child).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(!out.contains("eyJ"), "{out}");
    // From now on by the context that was written, with the person's own roles.
    program.set("CARNET_SERVER", "");
    let signed_in = &program;
    signed_in.run(&["approvals"]).await.ended(0);
    let who = signed_in.run(&["whoami"]).await.ended(0).stdout;
    for told in [&format!("http://{}", world.admin), &provider.issuer, "roles    security", "m, until 20", "reviews  yes"] {
        assert!(who.contains(told), "{told}: {who}");
    }
    let who = signed_in.run(&["whoami", "-o", "json"]).await.ended(0).json();
    let left = who["until"].as_i64().expect("a time") - world.clock.seconds();
    assert!((1..=3600).contains(&left) && who["roles"] == serde_json::json!(["security"]), "{who}");
    signed_in.run(&["integration", "suspend", "globex/order-sync", "--reason", "odd calls"]).await.ended(0);
    signed_in.run(&["key", "rotate", "production"]).await.ended(3);
    use std::os::unix::fs::PermissionsExt as _;
    let token =
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON")["staffTokenFile"].as_str().expect("a file").to_owned();
    assert_eq!(std::fs::metadata(token).expect("a file").permissions().mode() & 0o777, 0o600);

    // The next sign-in needs nothing to be named again; one to another server does.
    let (child, url, _rest) = begin_with(signed_in, &[]);
    assert!(url.starts_with(&provider.issuer), "{url}");
    let page = browse(signed_in, url).await;
    assert!(page.contains("You are signed in"), "{page}");
    assert_eq!(ended(child).await.0, Some(0));
    signed_in.run(&["approvals"]).await.ended(0);
    let other = signed_in.run(&["login", "--no-browser", "--server", "http://127.0.0.1:9"]).await.ended(2);
    assert!(other.stderr.contains("--issuer") && other.stderr.contains("--client-id"), "{other:?}");
}

/// what comes back with another state, of another issuer, or as a refusal, signs nobody in.
#[tokio::test(flavor = "multi_thread")]
async fn a_08_an_answer_to_somebody_else_signs_nobody_in() {
    let provider = Independent::start().await;
    let world = world(&provider).await;
    for (query, says) in [
        ("code=stolen&state=wrong", "not to this sign-in"),
        ("code=stolen", "not to this sign-in"),
        ("code=stolen&state=STATE&iss=https%3A%2F%2Fevil.example", "not to this sign-in"),
        ("error=access_denied%3Cscript%3E&state=STATE", "access_deniedscript"),
        ("code=stolen&state=STATE", "no token for the code"),
        ("state=STATE", "no token for the code"),
    ] {
        let mut program = Program::alone();
        program.set("CARNET_SERVER", &format!("http://{}", world.admin));
        let (child, url, rest) = begin(&program, &provider);
        let part = |name: &str| {
            let rest = url.split(&format!("{name}=")).nth(1).expect("a parameter");
            rest.split('&').next().expect("a value").replace("%3A", ":").replace("%2F", "/")
        };
        let (callback, state) = (part("redirect_uri"), part("state"));
        // Whatever else knocks is nobody.
        let base = callback.trim_end_matches("/callback");
        assert_eq!(
            curl(vec!["-o".into(), "/dev/null".into(), "-w".into(), "%{http_code}".into(), format!("{base}/favicon.ico")])
                .await,
            "404"
        );
        let page = curl(vec![format!("{callback}?{}", query.replace("STATE", &state))]).await;
        assert!(page.contains("The sign-in failed") && !page.contains("script"), "{query}: {page}");
        let (code, out) = ended(child).await;
        assert_eq!((code, out.as_str()), (Some(4), ""), "{query}");
        let told = rest.join().expect("stderr");
        assert!(told.contains(says), "{query}: {told}");
        assert!(!program.home().join("carnet/contexts.toml").exists());
    }
}
