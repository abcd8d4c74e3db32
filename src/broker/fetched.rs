//! The key sets that nodes fetched lately, on the shelf that all of them see (`authn::fellows`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use crate::authn::FLOOR;
use crate::authn::fellows::{Answer, Fellows, Told, Turn};
use crate::domain::registry::binding::KeySource;
use crate::domain::value::clock::{Clock, Timestamp};
use crate::domain::value::digest::Digest;
use crate::revocation::{Kind, Name, Where};

/// The fellows of a node whose live index they share.
pub struct Fetched {
    shelf: Arc<Shelf>,
    clock: Arc<dyn Clock>,
}

/// A body as it lies there.
#[derive(Deserialize, Serialize)]
struct Body {
    body: String,
    at: Timestamp,
}

impl Fetched {
    /// Over this shelf.
    pub fn new(shelf: Arc<Shelf>, clock: Arc<dyn Clock>) -> Self {
        Self { shelf, clock }
    }

    /// What another node was told, if that was within the floor: an older one that somebody put back is none.
    async fn told(&self, source: &KeySource) -> Option<Told> {
        let Body { body, at } = self.shelf.find(&name(Kind::Keys, source)).await.ok()??;
        self.is_within(at).then(|| Told { body, at: at.min(self.clock.now()) })
    }

    fn is_within(&self, at: Timestamp) -> bool {
        let now = self.clock.now();
        now.since(at) < FLOOR && at.since(now) < FLOOR
    }
}

impl Fellows for Fetched {
    fn turn<'a>(&'a self, source: &'a KeySource) -> Answer<'a, Turn> {
        Box::pin(async move {
            let (name, now) = (name(Kind::Issuer, source), self.clock.now());
            if let Ok(true) | Err(_) = self.shelf.put(&name, &now, (Where::New, FLOOR)).await {
                return Turn::Ours;
            }
            match self.shelf.find::<Timestamp>(&name).await {
                Ok(Some(at)) if self.is_within(at) => Turn::Others(self.told(source).await),
                // Its time is over by the clock of this node, or it is none of ours.
                Ok(_) => {
                    let _lost = self.shelf.put(&name, &now, (Where::Any, FLOOR)).await;
                    Turn::Ours
                }
                Err(_) => Turn::Ours,
            }
        })
    }

    fn give_back<'a>(&'a self, source: &'a KeySource) -> Answer<'a, ()> {
        Box::pin(async move {
            // What is lost ends by itself.
            let _lost = self.shelf.remove(&name(Kind::Issuer, source)).await;
        })
    }

    fn tell<'a>(&'a self, source: &'a KeySource, told: &'a Told) -> Answer<'a, ()> {
        Box::pin(async move {
            let body = Body { body: told.body.clone(), at: told.at };
            let _lost = self.shelf.put(&name(Kind::Keys, source), &body, (Where::Any, FLOOR)).await;
        })
    }
}

fn name(kind: Kind, source: &KeySource) -> Name {
    Name { kind, of: Digest::of_json(source) }
}
