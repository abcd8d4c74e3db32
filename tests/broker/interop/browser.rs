//! A real browser: Debian's Chromium, headless, driven by npm `puppeteer-core`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::process::node;

/// A browser with one page open.
pub struct Browser(Arc<Mutex<Pipes>>);

struct Pipes {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts one.
    pub async fn start() -> Self {
        let started = tokio::task::spawn_blocking(|| {
            let mut child = node("browser.mjs")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .expect("node starts");
            let input = child.stdin.take();
            let mut output = BufReader::new(child.stdout.take().expect("piped"));
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            assert_eq!(line.trim_end(), "ready", "the browser starts: make setup");
            Self(Arc::new(Mutex::new(Pipes { child, input, output })))
        });
        started.await.expect("the start is whole")
    }

    /// Has it do something; what it answers.
    pub async fn tell(&self, verb: &str, arguments: &[Value]) -> Value {
        let said = [&[json!(verb)], arguments].concat();
        let pipes = Arc::clone(&self.0);
        let answered = tokio::task::spawn_blocking(move || {
            let mut pipes = pipes.lock().expect("one at a time");
            writeln!(pipes.input.as_mut().expect("open"), "{}", json!(said)).expect("it listens");
            let mut line = String::new();
            pipes.output.read_line(&mut line).expect("it answers");
            serde_json::from_str::<Value>(&line).expect("JSON")
        });
        let answer = answered.await.expect("the answer is whole");
        assert!(answer["error"].is_null(), "{}", answer["error"]);
        answer["ok"].clone()
    }

    /// Opens a page; its status.
    pub async fn goto(&self, url: &str) -> u64 {
        self.tell("goto", &[json!(url)]).await.as_u64().expect("a status")
    }

    /// Clicks what leads to another page; its status.
    pub async fn follow(&self, selector: &str) -> u64 {
        self.tell("follow", &[json!(selector)]).await.as_u64().expect("a status")
    }

    /// Clicks.
    pub async fn click(&self, selector: &str) {
        self.tell("click", &[json!(selector)]).await;
    }

    /// Types into a field instead of what stood there.
    pub async fn fill(&self, selector: &str, text: &str) {
        self.tell("fill", &[json!(selector), json!(text)]).await;
    }

    /// What can be read on the page.
    pub async fn text(&self) -> String {
        self.tell("text", &[]).await.as_str().expect("text").to_owned()
    }

    /// Where it is.
    pub async fn url(&self) -> String {
        self.tell("url", &[]).await.as_str().expect("text").to_owned()
    }

    /// The `Cookie` header that it would send to the console.
    pub async fn cookie(&self) -> String {
        let cookies = self.tell("cookies", &[]).await;
        let ours = cookies.as_array().expect("cookies").iter().filter(|one| one["name"] == "carnet-session");
        ours.map(|one| format!("carnet-session={}", one["value"].as_str().expect("text"))).collect()
    }

    /// Whether nothing foreign ran and nothing was complained about, and axe-core finds nothing on the page as it is.
    pub async fn is_clean(&self) {
        assert_eq!(self.tell("seen", &[]).await, json!([]), "{}", self.url().await);
        assert_eq!(self.tell("axe", &[]).await, json!([]), "{}", self.url().await);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let Ok(mut pipes) = self.0.lock() else { return };
        // The end of its input has it close the browser; the process is waited for, so that nothing outlives the test.
        drop(pipes.input.take());
        for _ in 0..100 {
            if matches!(pipes.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = pipes.child.kill();
        let _ = pipes.child.wait();
    }
}
