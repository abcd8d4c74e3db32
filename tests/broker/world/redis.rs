//! A real `redis-server` on a free port, ended by its own handle.

use std::process::{Child, Command, Stdio};

/// A running server.
pub struct Redis {
    /// Its URL.
    pub url: String,
    /// Its port.
    pub port: u16,
    /// Its process.
    pub child: Child,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = super::client::free_port();
        let child = spawn(port, &folder);
        let redis = Self { url: format!("redis://127.0.0.1:{port}/0"), port, child, folder };
        redis.wait().await;
        redis
    }

    /// Ends it at once and starts an empty one on the same port.
    pub async fn restart_empty(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.folder);
        self.wait().await;
    }

    /// Runs a command as an operator does, with `redis-cli`.
    pub fn command(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let ran = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().expect("redis-cli runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && !said.starts_with("ERR"), "{arguments:?}: {said}");
        said
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn wait(&self) {
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("redis-server does not answer; is it installed? (make setup)");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16, folder: &tempfile::TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server starts; is it installed? (make setup)")
}
