//! The history of a run: every request with its answer, and every fault, one in a line of JSON.
//!
//! Times are microseconds of one monotonic clock, from the start of the stage: two events are in an order only if one was answered before
//! the other was sent.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request and its answer; or, with `op` `fault`, a fault from its beginning to its end.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Event {
    /// The round.
    pub round: u32,
    /// The node that was asked, or that the fault is about.
    pub node: usize,
    /// The operation: `exchange`, `introspect`, `revoke` and so on.
    pub op: String,
    /// The time when it was sent.
    pub sent: u64,
    /// The time when it was answered, or given up.
    pub received: u64,
    /// Its status; 0 if nobody answered.
    pub status: u16,
    /// `X-Request-Id` of the answer.
    pub request: String,
    /// The facts of the request.
    pub ask: Value,
    /// The body of the answer.
    pub answer: Value,
}

/// The file that is being written.
pub struct History {
    begun: Instant,
    path: PathBuf,
    file: Mutex<BufWriter<std::fs::File>>,
}

impl History {
    /// Begins now.
    pub fn begin(path: &Path) -> Self {
        let file = std::fs::File::create(path).expect("a file");
        Self { begun: Instant::now(), path: path.to_owned(), file: Mutex::new(BufWriter::new(file)) }
    }

    /// The time.
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("a short run")
    }

    /// Adds an event.
    pub fn add(&self, event: &Event) {
        let line = serde_json::to_string(event).expect("JSON");
        writeln!(self.file.lock().expect("not poisoned"), "{line}").expect("written");
    }

    /// Reads all that was added.
    pub fn read(&self) -> Vec<Event> {
        self.file.lock().expect("not poisoned").flush().expect("written");
        let text = std::fs::read_to_string(&self.path).expect("the history");
        text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }
}
