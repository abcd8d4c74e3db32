//! Which node is at work on a request with an idempotency key.
//!
//! Requests with one key at one node take turns (`idempotency`). Of those at several nodes one is at work, and the others are told to come
//! again: then the answer is there to be repeated. The word of it lies in Redis, and it is a courtesy: what changes something is claimed for its
//! key in the journal, in the very transaction that makes the change, so a word that is lost or false lets nothing be done twice. That is why a
//! request is not refused while Redis is away: whoever revokes must not wait for it. A word ends with the work, and [`LIVES`] after the node
//! that gave it.

use std::convert::Infallible;
use std::time::Duration;

use crate::broker::Broker;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::journal::Idempotency;
use crate::revocation::{Kind, Name, Where};

/// How long a word counts that nobody renews.
const LIVES: Seconds = Seconds(10);

/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// The word that this node is at work on a request.
pub struct AtWork {
    broker: Broker,
    name: Name,
    own: String,
    /// Whether Redis took the word.
    given: bool,
}

impl AtWork {
    /// Gives the word, unless another node has; `None` then.
    pub async fn begin(broker: &Broker, once: &Idempotency) -> Option<Self> {
        let name = Name { kind: Kind::Request, of: Digest::of_parts(&[&once.person.0, &once.key.0]) };
        let own = broker.entropy.identifier();
        match broker.live.put(&name, own.as_bytes(), (Where::New, LIVES), broker.clock.now()).await {
            Ok(true) => Some(Self { broker: broker.clone(), name, own, given: true }),
            Ok(false) => None,
            Err(_) => Some(Self { broker: broker.clone(), name, own, given: false }),
        }
    }

    /// Renews the word for as long as it is polled.
    pub async fn go_on(&self) -> Infallible {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            self.say(Some(LIVES)).await;
        }
    }

    /// Takes it back.
    pub async fn end(self) {
        self.say(None).await;
    }

    async fn say(&self, lives: Option<Seconds>) {
        if self.given {
            let _lost = self.broker.live.hold_on(&self.name, self.own.as_bytes(), lives, self.broker.clock.now()).await;
        }
    }
}
