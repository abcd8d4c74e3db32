//! Running the program: an environment of its own, so that neither the developer's contexts nor a CI platform play along.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::world::World;

/// A program that serves where it should have refused fails its test, and does not hold it up.
const LONGEST: Duration = Duration::from_secs(120);

/// The program with a home and variables.
pub struct Program {
    home: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What it did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// Without any server.
    pub fn alone() -> Self {
        Self { home: tempfile::tempdir().expect("a home"), variables: Vec::new() }
    }

    /// As a person of this world.
    pub fn of(world: &World, person: &str) -> Self {
        let mut program = Self::alone();
        let bearer = program.file("staff", &world.staff_token(person));
        program.set("CARNET_SERVER", &format!("http://{}", world.admin));
        program.set("CARNET_PUBLIC_SERVER", &format!("http://{}", world.public));
        program.set("CARNET_STAFF_TOKEN_FILE", &bearer.display().to_string());
        program
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// The command, in the home, with nothing of the developer's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
        command.args(arguments).current_dir(self.home.path()).env_clear().env("HOME", self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end; the world goes on meanwhile.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    /// Reviews as a script does: looks at the approval, and names the version that it saw.
    pub async fn review(&self, verdict: &str, id: &str, more: &[&str]) -> Ran {
        let seen = self.run(&["approvals", "show", id, "-o", "json"]).await.ended(0).json();
        let version = seen["version"].as_str().expect("a version").to_owned();
        self.run(&[&[verdict, id, "--version", &version], more].concat()).await
    }

    /// The same with something on stdin.
    pub async fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut command = self.command(arguments);
        let stdin = stdin.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("the program starts");
            let _closed = child.stdin.take().expect("stdin").write_all(stdin.as_bytes());
            let (ended, ends) = std::sync::mpsc::channel::<()>();
            let id = child.id().to_string();
            let watch = std::thread::spawn(move || {
                if ends.recv_timeout(LONGEST).is_err() {
                    let _killed = Command::new("kill").args(["-KILL", &id]).status();
                }
            });
            let output = child.wait_with_output().expect("the program ends");
            let _too_late = ended.send(());
            watch.join().expect("it was watched");
            Ran {
                code: output.status.code().expect("it ends by itself, in time"),
                stdout: String::from_utf8(output.stdout).expect("text"),
                stderr: String::from_utf8(output.stderr).expect("text"),
            }
        })
        .await
        .expect("the program ran")
    }
}

impl Ran {
    /// That it ended so; shows everything where not.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error on stderr of a run with `-o json`.
    #[track_caller]
    pub fn error(&self) -> Value {
        let line = self.stderr.lines().next_back().unwrap_or_default();
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))["error"].clone()
    }
}
