//! Commands, and the arguments that several of them have.

use redis::Cmd;

use super::away::Away;
use crate::domain::state::recent_cuts::{Cut, CutWhat};

/// A command with room for this many words and bytes; otherwise it grows with each word.
pub(super) fn command(name: &str, words: usize, bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(words, bytes);
    command.arg(name);
    command
}

/// Adds a cut to the arguments of a script.
pub(super) fn add(call: &mut Cmd, cut: &Cut) -> Result<(), Away> {
    match &cut.what {
        CutWhat::Token { id, expires } => call.arg("t").arg(id.as_str()).arg(expires.as_seconds()),
        CutWhat::Before { key, index } => call.arg("b").arg(key.as_str()).arg(score(*index)?),
    };
    Ok(())
}

/// An index as a score.
///
/// Scores are doubles: beyond 2^53 a line would be rounded, and cut too little.
pub(super) fn score(index: u64) -> Result<u64, Away> {
    if index < 1 << 53 { Ok(index) } else { Err(Away::Unexpected) }
}
