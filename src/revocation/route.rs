//! The way to the server that has a key: the only one, the master that sentinels name, or a node of a cluster.

use std::sync::Arc;

use super::away::Away;
use super::cluster::Cluster;
use super::dial::{Dial, To};
use super::link::Link;
use super::node::Node;
use super::place::{Place, Servers};
use super::scripts::Scripts;

/// The way.
#[derive(Clone)]
pub(super) enum Route {
    /// One server has every key.
    One(Node),
    /// A node of a cluster has it.
    Cluster(Cluster),
}

impl Route {
    pub fn new(place: Place, scripts: &Arc<Scripts>) -> Self {
        let place = Arc::new(place);
        let to = match place.servers.clone() {
            Servers::One(address) => To::Master(address),
            Servers::Sentinels { at, master } => To::Named { sentinels: at, master },
            Servers::Cluster(seeds) => return Self::Cluster(Cluster::new(place, seeds, Arc::clone(scripts))),
        };
        Self::One(Node::new(Link::new(Dial::new(place, to), Arc::clone(scripts), None)))
    }

    /// The server that has the key.
    pub async fn at(&self, key: &str) -> Result<Node, Away> {
        match self {
            Self::One(node) => Ok(node.clone()),
            Self::Cluster(cluster) => cluster.at(key).await,
        }
    }

    /// The same by what is known now, for what nobody waits for.
    pub fn known(&self, key: &str) -> Option<Node> {
        match self {
            Self::One(node) => Some(node.clone()),
            Self::Cluster(cluster) => cluster.known(key),
        }
    }

    /// Every server that has keys.
    pub async fn all(&self) -> Result<Vec<Node>, Away> {
        match self {
            Self::One(node) => Ok(vec![node.clone()]),
            Self::Cluster(cluster) => cluster.all().await,
        }
    }

    /// Whether one server has every key, so that one script may ask for all of them.
    pub fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}
