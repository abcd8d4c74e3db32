//! The nodes of a Redis Cluster, and which of them has a key.
//!
//! Each node has its own connection and queues, so one that is away holds up only what it has. A pipeline goes to one node alone. Nobody
//! follows a redirection: the connection ends like any other that answers wrongly, its caller is refused, and the slots are asked
//! for anew. The library's own client of clusters repeats and redirects by itself, and so is not used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::away::Away;
use super::dial::{Dial, To};
use super::link::Link;
use super::node::Node;
use super::place::{Address, Place};
use super::reply::value;
use super::scripts::Scripts;

/// The number of slots.
const SLOTS: u16 = 16_384;

/// The longest that a node is waited for that is asked for the slots. All are asked at once.
const LOOK_TIME: Duration = Duration::from_millis(400);

/// The time after which the slots are asked for again, at the earliest.
const PAUSE: Duration = Duration::from_millis(50);

/// A handle to the cluster. It is cheap to clone.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    scripts: Arc<Scripts>,
    seeds: Vec<Address>,
    nodes: Mutex<HashMap<Address, Node>>,
    known: watch::Sender<Known>,
    /// True if a node answered in a way that says that the slots may have moved.
    stale: Arc<AtomicBool>,
}

#[derive(Default)]
struct Known {
    map: Option<Arc<Map>>,
    looks: bool,
    looked: Option<Instant>,
}

/// The slots and the masters that have them.
#[derive(Debug, Eq, PartialEq)]
struct Map(Vec<(u16, u16, Address)>);

impl Cluster {
    pub fn new(place: Arc<Place>, seeds: Vec<Address>, scripts: Arc<Scripts>) -> Self {
        let (nodes, known, stale) = (Mutex::default(), watch::Sender::default(), Arc::default());
        Self(Arc::new(Inner { place, scripts, seeds, nodes, known, stale }))
    }

    /// The node that has the key.
    pub async fn at(&self, key: &str) -> Result<Node, Away> {
        let map = self.map().await?;
        let Some(address) = map.master(slot(key)) else {
            self.0.stale.store(true, Ordering::Release);
            return Err(Away::NotYet);
        };
        Ok(self.node(address))
    }

    /// The same by what is known now.
    pub fn known(&self, key: &str) -> Option<Node> {
        self.look_if_stale();
        let map = self.0.known.borrow().map.clone()?;
        map.master(slot(key)).map(|address| self.node(address))
    }

    /// All nodes that have slots.
    pub async fn all(&self) -> Result<Vec<Node>, Away> {
        let map = self.map().await?;
        Ok(map.masters().into_iter().map(|address| self.node(address)).collect())
    }

    /// The slots as they were last asked for. Where none are known yet, the caller waits for them.
    async fn map(&self) -> Result<Arc<Map>, Away> {
        let mut known = self.0.known.subscribe();
        self.look_if_stale();
        let known = known.wait_for(|known| known.map.is_some() || !known.looks).await.map_err(|_| Away::Silent)?;
        known.map.clone().ok_or(Away::Silent)
    }

    /// Asks for the slots in a task of its own, unless they are known and nobody doubts them.
    fn look_if_stale(&self) {
        let begins = self.0.known.send_if_modified(|known| {
            let wanted = known.map.is_none() || self.0.stale.load(Ordering::Acquire);
            let begins = wanted && !known.looks && known.looked.is_none_or(|at| at.elapsed() >= PAUSE);
            known.looks |= begins;
            begins
        });
        if begins {
            let cluster = self.clone();
            tokio::spawn(async move { cluster.look().await });
        }
    }

    /// Asks every node that is known for the slots, and takes what most of them say.
    async fn look(&self) {
        self.0.stale.store(false, Ordering::Release);
        let mut asked: Vec<Address> = self.0.seeds.clone();
        if let Some(map) = &self.0.known.borrow().map {
            asked.extend(map.masters().into_iter().filter(|address| !self.0.seeds.contains(address)).cloned());
        }
        let mut answers = JoinSet::new();
        for address in asked {
            let dial = Dial::new(Arc::clone(&self.0.place), To::Any(address.clone()));
            let link = Link::new(dial, Arc::clone(&self.0.scripts), None);
            let mut ask = redis::cmd("CLUSTER");
            ask.arg("SLOTS");
            answers.spawn(async move {
                let told = timeout(LOOK_TIME, link.one(ask)).await.ok()?.ok()?;
                read(&told, &address.host)
            });
        }
        let mut maps: Vec<(Map, usize)> = Vec::new();
        for map in answers.join_all().await.into_iter().flatten() {
            match maps.iter_mut().find(|(known, _)| *known == map) {
                Some((_, voices)) => *voices += 1,
                None => maps.push((map, 1)),
            }
        }
        let best = maps.into_iter().max_by_key(|(_, voices)| *voices).map(|(map, _)| Arc::new(map));
        if let Some(map) = &best {
            let masters = map.masters();
            self.nodes().retain(|address, _| masters.contains(&address));
        } else {
            self.0.stale.store(true, Ordering::Release);
        }
        self.0.known.send_modify(|known| {
            known.map = best.or_else(|| known.map.take());
            known.looks = false;
            known.looked = Some(Instant::now());
        });
    }

    fn nodes(&self) -> std::sync::MutexGuard<'_, HashMap<Address, Node>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, address: &Address) -> Node {
        let mut nodes = self.nodes();
        if let Some(node) = nodes.get(address) {
            return node.clone();
        }
        let dial = Dial::new(Arc::clone(&self.0.place), To::Master(address.clone()));
        let node = Node::new(Link::new(dial, Arc::clone(&self.0.scripts), Some(Arc::clone(&self.0.stale))));
        nodes.insert(address.clone(), node.clone());
        node
    }
}

impl Map {
    fn master(&self, slot: u16) -> Option<&Address> {
        self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., address)| address)
    }

    fn masters(&self) -> Vec<&Address> {
        let mut masters: Vec<&Address> = Vec::new();
        for (.., address) in &self.0 {
            if !masters.contains(&address) {
                masters.push(address);
            }
        }
        masters
    }
}

/// Reads the answer to `CLUSTER SLOTS`. A node that does not know its own address is where it was asked.
fn read(told: &Value, asked: &str) -> Option<Map> {
    let Value::Array(ranges) = told else { return None };
    let mut map = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Value::Array(range) = range else { return None };
        let [first, last, Value::Array(master), ..] = range.as_slice() else { return None };
        let [host, port, ..] = master.as_slice() else { return None };
        let host = value::<Option<String>>(host).flatten().filter(|host| !host.is_empty() && host != "?");
        let address = Address::new(host.unwrap_or_else(|| asked.to_owned()), value(port)?);
        map.push((value(first)?, value(last)?, address));
    }
    map.sort_by_key(|(first, ..)| *first);
    (!map.is_empty()).then_some(Map(map))
}

/// The slot of a key: CRC16 (XMODEM) of what stands in its first braces, or of all of it (Redis Cluster specification).
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag).filter(|tag| !tag.is_empty());
    let crc = tag.unwrap_or(key).bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `CLUSTER KEYSLOT` says.
    #[test]
    fn a_key_has_the_slot_of_its_tag() {
        let known =
            [("123456789", 12_739), ("foo", 12_182), ("{foo}bar", 12_182), ("a{foo}{bar}", 12_182), ("foo{}{bar}", 8_363)];
        for (key, expected) in known {
            assert_eq!(slot(key), expected, "{key}");
        }
    }

    #[test]
    fn an_answer_of_another_form_is_no_map() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let range = |master: Vec<Value>| {
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(16_383), Value::Array(master)])])
        };
        let sound = read(&range(vec![text("r"), Value::Int(7)]), "asked").expect("a map");
        assert_eq!(sound.master(9), Some(&Address::new("r", 7)));
        for host in [text(""), text("?"), Value::Nil] {
            assert_eq!(
                read(&range(vec![host, Value::Int(7)]), "asked").expect("a map").master(0),
                Some(&Address::new("asked", 7))
            );
        }
        let broken = [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            range(vec![]),
            range(vec![text("r"), text("x")]),
        ];
        for told in broken {
            assert_eq!(read(&told, "asked"), None, "{told:?}");
        }
    }
}
