//! Records that all nodes see and that may be lost: sessions, begun sign-ins, who is at work on a request.
//!
//! A record is bytes under a name, until its time is over. What it means, and that nobody else wrote it, is for its owner to know: the owner
//! seals it, and judges its age by what it says. A value that is no text of a size of ours is no record. Each command has one key, so a node
//! of a cluster answers by itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;

use super::away::Away;
use super::command::command;
use super::redis::Redis;
use super::reply::value;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// What a record is of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A session of the console.
    Session,
    /// A sign-in that was begun.
    SignIn,
    /// A registration of a passkey that was begun.
    Passkey,
    /// Who is at work on a request with an idempotency key.
    Request,
    /// What the node that runs the tasks was told of a ticket.
    Ticket,
    /// An issuer that was asked for its keys lately.
    Issuer,
    /// The keys that it told.
    Keys,
    /// The numbers that a person was told of guardrails.
    Numbers,
}

/// The name of a record.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Name {
    /// What it is of.
    pub kind: Kind,
    /// Which one. A secret stands here as its digest.
    pub of: Digest,
}

impl fmt::Display for Name {
    /// The key in Redis.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Session => "carnet:session:",
            Kind::SignIn => "carnet:sign-in:",
            Kind::Passkey => "carnet:passkey:",
            Kind::Request => "carnet:request:",
            Kind::Ticket => "carnet:ticket:",
            Kind::Issuer => "carnet:issuer:",
            Kind::Keys => "carnet:keys:",
            Kind::Numbers => "carnet:numbers:",
        };
        write!(f, "{kind}{}", self.of)
    }
}

/// Whether a record may be put where one is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Where {
    /// Wherever.
    Any,
    /// Where none is.
    New,
    /// In place of one: what was deleted meanwhile stays deleted.
    There,
}

/// The most bytes of a record: the largest key set that is fetched (256 KiB), escaped and sealed.
const LONGEST: usize = 576 * 1024;

impl Redis {
    pub(super) async fn put(&self, name: &Name, record: &[u8], (how, lives): (Where, Seconds)) -> Result<bool, Away> {
        let key = name.to_string();
        let mut set = command("SET", 6, 128 + record.len());
        set.arg(&key).arg(record).arg("PX").arg(u64::from(lives.0) * 1000);
        match how {
            Where::Any => {}
            Where::New => drop(set.arg("NX")),
            Where::There => drop(set.arg("XX")),
        }
        match self.one(&key, set).await? {
            Value::Okay => Ok(true),
            Value::Nil if how != Where::Any => Ok(false),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn find(&self, name: &Name) -> Result<Option<Vec<u8>>, Away> {
        let key = name.to_string();
        let mut call = self.scripts.text.over(std::slice::from_ref(&key), 1, 128);
        call.arg(LONGEST);
        let Value::Array(answer) = self.one(&key, call).await? else { return Err(Away::Unexpected) };
        match (answer.first().and_then(value::<i64>), answer.get(1)) {
            (Some(1), Some(Value::BulkString(record))) => Ok(Some(record.clone())),
            (Some(0 | -2 | -3), _) => Ok(None),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn take_out(&self, name: &Name) -> Result<Option<Vec<u8>>, Away> {
        let key = name.to_string();
        let mut take = command("GETDEL", 2, 128);
        take.arg(&key);
        match self.one(&key, take).await? {
            Value::BulkString(record) => Ok(Some(record).filter(|record| record.len() <= LONGEST)),
            Value::Nil => Ok(None),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn remove(&self, name: &Name) -> Result<(), Away> {
        let key = name.to_string();
        let mut remove = command("DEL", 2, 128);
        remove.arg(&key);
        self.one(&key, remove).await.map(drop)
    }

    pub(super) async fn hold_on(&self, name: &Name, own: &[u8], lives: Option<Seconds>) -> Result<bool, Away> {
        let key = name.to_string();
        let mut call = self.scripts.own.over(std::slice::from_ref(&key), 2, 256);
        call.arg(own).arg(lives.map(|lives| u64::from(lives.0) * 1000));
        match self.one(&key, call).await? {
            Value::Int(is_ours @ 0..=1) => Ok(is_ours == 1),
            _ => Err(Away::Unexpected),
        }
    }
}

/// Records, and when each is over.
type Records = HashMap<Name, (Vec<u8>, Timestamp)>;

/// The records of a process of its own.
#[derive(Clone, Default)]
pub(super) struct Own(Arc<Mutex<Records>>);

impl Own {
    /// What is there at `now`. What is over goes at every look: there are few, and each has its owner's bound.
    fn at(&self, now: Timestamp) -> MutexGuard<'_, Records> {
        // A poisoned lock is harmless: each record is complete by itself.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, until)| *until > now);
        all
    }

    pub fn put(&self, name: &Name, record: &[u8], (how, lives): (Where, Seconds), now: Timestamp) -> bool {
        let mut all = self.at(now);
        let fits = match how {
            Where::Any => true,
            Where::New => !all.contains_key(name),
            Where::There => all.contains_key(name),
        };
        if fits {
            all.insert(*name, (record.to_vec(), now.plus(lives)));
        }
        fits
    }

    pub fn find(&self, name: &Name, now: Timestamp) -> Option<Vec<u8>> {
        self.at(now).get(name).map(|(record, _)| record.clone())
    }

    pub fn take_out(&self, name: &Name, now: Timestamp) -> Option<Vec<u8>> {
        self.at(now).remove(name).map(|(record, _)| record)
    }

    pub fn hold_on(&self, name: &Name, own: &[u8], lives: Option<Seconds>, now: Timestamp) -> bool {
        let mut all = self.at(now);
        let is_ours = all.get(name).is_some_and(|(there, _)| there == own);
        match lives {
            Some(lives) if is_ours => drop(all.insert(*name, (own.to_vec(), now.plus(lives)))),
            None if is_ours => drop(all.remove(name)),
            Some(_) | None => {}
        }
        is_ours
    }
}
