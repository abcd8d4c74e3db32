//! Whether a node may serve: what `/readyz` says.

use std::sync::Arc;

use crate::broker::Broker;
use crate::domain::admission::CLOCK_AHEAD;
use crate::http::health::{Check, Readiness, ReadinessCheck};

/// The checks of a node. Issuers are not among them: one that is away concerns its own partners alone (ABUSE K-24).
pub fn check(broker: Broker) -> ReadinessCheck {
    Arc::new(move || Readiness::of(vec![journal(&broker), anchor(&broker), clock(&broker), live_index(&broker), keys(&broker)]))
}

fn told(name: &'static str, ok: bool, detail: impl FnOnce() -> String) -> Check {
    Check { name, ok, detail: (!ok).then(detail) }
}

fn journal(broker: &Broker) -> Check {
    let health = broker.journal.health();
    told("journal", health.writable && health.stopped.is_none(), || match health.stopped {
        Some(reason) => format!("the journal stopped itself: {reason:?}"),
        None => "the last commit failed; it is tried again each second".to_owned(),
    })
}

fn anchor(broker: &Broker) -> Check {
    told("anchor", broker.journal.health().anchored, || {
        "the newest checkpoint cannot be kept beside the configuration".to_owned()
    })
}

fn clock(broker: &Broker) -> Check {
    let behind = broker.journal.health().behind;
    told("clock", behind <= CLOCK_AHEAD, || format!("this node's clock is {} s behind the journal", behind.0))
}

fn live_index(broker: &Broker) -> Check {
    told("live-index", broker.follower.is_live(broker.clock.now()), || {
        if broker.follower.is_forked() {
            "the live index is ahead of this journal, or of another one; see `carnet journal reopen`".to_owned()
        } else {
            "the live index has not answered within five seconds".to_owned()
        }
    })
}

/// Every key that signs now is in this node's ring (ABUSE Q-04).
fn keys(broker: &Broker) -> Check {
    told("keys", broker.issuance.is_complete(&broker.journal.view().state), || {
        "a signing key of the journal does not open under this key-encryption key".to_owned()
    })
}
