//! Child processes of a stage. They end with the test, however the test ends.
//!
//! A shell reads the numbers of the processes and kills those that are left when its input ends, which the kernel does for a test that is
//! killed as well. A process that is stopped (SIGSTOP) is killed too.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

const WATCH: &str = r#"
trap '' INT TERM HUP
all=" "
while read -r word process; do
  case $word in
    born) all="$all$process " ;;
    ended) all=$(printf %s "$all" | sed "s/ $process / /") ;;
  esac
done
[ "$all" = " " ] || kill -KILL $all 2>/dev/null
"#;

/// The shell that outlives the test by a moment.
#[derive(Clone)]
pub struct Guard(Arc<Mutex<(ChildStdin, Child)>>);

impl Guard {
    /// Starts it.
    pub fn start() -> Self {
        let shell = Command::new("sh").args(["-c", WATCH]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut shell = shell.expect("a shell");
        let input = shell.stdin.take().expect("its input");
        Self(Arc::new(Mutex::new((input, shell))))
    }

    fn tell(&self, word: &str, process: u32) {
        let mut shell = self.0.lock().expect("not poisoned");
        writeln!(shell.0, "{word} {process}").expect("the guard of the processes runs");
    }
}

/// A process that runs, or that somebody stopped.
pub struct Process {
    child: Child,
    guard: Guard,
    ended: bool,
}

impl Process {
    /// Starts a command under the guard. What it says goes to `log`.
    pub fn start(guard: &Guard, command: &mut Command, log: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let errors = log.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{:?} starts: {error}", command.get_program()));
        guard.tell("born", child.id());
        Self { child, guard: guard.clone(), ended: false }
    }

    /// Sends a signal, such as `-STOP`.
    pub fn signal(&self, name: &str) {
        if !self.ended {
            let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
            assert!(sent.success(), "kill {name}");
        }
    }

    /// Sends a signal to each child of it.
    pub fn signal_children(&self, name: &str) {
        if self.ended {
            return;
        }
        let own = self.child.id().to_string();
        let listed = Command::new("ps").args(["-o", "pid=", "--ppid", &own]).output().expect("ps runs");
        for child in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            // It may have ended meanwhile.
            let _gone = Command::new("kill").args([name, child]).stderr(Stdio::null()).status();
        }
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&mut self) {
        if !self.ended {
            let _gone = self.child.kill();
            let _status = self.child.wait();
            self.is_gone();
        }
    }

    /// Whether its end is known.
    pub fn is_killed(&self) -> bool {
        self.ended
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child of ours");
        if status.is_some() && !self.ended {
            self.is_gone();
        }
        status
    }

    fn is_gone(&mut self) {
        self.ended = true;
        self.guard.tell("ended", self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
