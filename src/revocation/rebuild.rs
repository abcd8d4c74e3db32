//! Rebuilds an environment's keys in Redis, a piece at a time.
//!
//! One process at a time has the right to it: a key in Redis with its name, which each piece extends and compares. What is rebuilt is Redis
//! itself, so a process whose right has ended can put nothing in, however late its call comes. Readers see the old generation until the
//! new one is whole and takes its place in one step.

use std::fmt;

use redis::{Cmd, Value};

use super::away::Away;
use super::command::{add, score};
use super::keys::{BEFORE, COMPLETE, REVOKED, key};
use super::link::unique;
use super::marker::{Rebuilt, Snapshot};
use super::redis::Redis;
use super::scripts::PIECE;
use crate::domain::state::recent_cuts::CutWhat;

/// The right to rebuild ends by itself, in milliseconds.
const HELD_FOR: u64 = 10_000;

/// How often a piece is sent again.
const TRIES: usize = 3;

/// The key with the name of the process that rebuilds.
const REBUILD: &str = "rebuild";

impl Redis {
    pub(super) async fn rebuild(&self, snapshot: &Snapshot) -> Result<Rebuilt, Away> {
        let own = |what: &dyn fmt::Display| key(&snapshot.environment, what);
        let next = [own(&REBUILD), own(&format_args!("{REVOKED}:next")), own(&format_args!("{BEFORE}:next"))];
        // A piece of an earlier try of this process that comes late is none of this one.
        let attempt = unique();
        let mut hold = self.scripts.hold.over(&next, 3, 512);
        hold.arg(&self.own).arg(&attempt).arg(HELD_FOR);
        match self.patient(&next[0], hold).await? {
            Value::Int(1) => {}
            Value::Int(0) => return Ok(Rebuilt::Held),
            _ => return Err(Away::Unexpected),
        }
        let holder = format!("{}{attempt}", self.own);
        for piece in snapshot.cuts.chunks(PIECE) {
            let mut fill = self.scripts.fill.over(&next, 2 + 3 * piece.len(), 512 + 96 * piece.len());
            fill.arg(&holder).arg(HELD_FOR);
            for cut in piece {
                add(&mut fill, cut)?;
            }
            match self.patient(&next[0], fill).await? {
                Value::Int(1) => {}
                Value::Int(0) => return Ok(Rebuilt::Held),
                _ => return Err(Away::Unexpected),
            }
        }
        let [rebuild, revoked, before] = next;
        let keys = [own(&COMPLETE), own(&REVOKED), own(&BEFORE), rebuild, revoked, before];
        let tokens = snapshot.cuts.iter().filter(|cut| matches!(cut.what, CutWhat::Token { .. })).count();
        let at = &snapshot.marker;
        let mut replace = self.scripts.replace.over(&keys, 6, 1024);
        replace.arg(&holder).arg(tokens).arg(snapshot.cuts.len() - tokens);
        replace.arg(at.epoch).arg(score(at.index)?).arg(at.root.to_string());
        match self.one(&keys[0], replace).await? {
            Value::Int(1) => Ok(Rebuilt::Done),
            Value::Int(2) => Ok(Rebuilt::Newer),
            Value::Int(-1) => Ok(Rebuilt::Held),
            _ => Err(Away::Unexpected),
        }
    }

    /// Sends a call that may be done twice, and sends it again if no answer comes: a rebuild of many pieces does not begin anew for one of them.
    async fn patient(&self, key: &str, call: Cmd) -> Result<Value, Away> {
        for _ in 0..TRIES {
            match self.one(key, call.clone()).await {
                Err(Away::Silent) => {}
                told => return told,
            }
        }
        self.one(key, call).await
    }
}
