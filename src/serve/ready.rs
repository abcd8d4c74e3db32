//! The readiness of a node, as `/readyz` reports it.

use std::sync::Arc;

use super::tasks::Ended;
use crate::broker::Broker;
use crate::broker::needs::Need;
use crate::domain::value::clock::Timestamp;
use crate::http::health::{Check, NodeAt, Readiness, ReadinessCheck};

/// The checks of a node: what every exchange needs, and what it should not run long without.
///
/// Issuers are not among them: one that is away concerns its own partners alone (ABUSE K-24).
pub fn check(broker: Broker, tasks: Ended, at: NodeAt) -> ReadinessCheck {
    Arc::new(move || {
        let needs = Need::ALL.into_iter().map(|need| told(need.name(), broker.is_ready_by(need), || broker.lack(need)));
        Readiness::of(
            needs
                .chain(
                    [minting(&broker), anchor(&broker), keys(&broker), alive(&tasks), uses(&broker)]
                        .into_iter()
                        .chain(mail(&broker)),
                )
                .collect(),
        )
        .at(at.clone())
    })
}

fn told(name: &'static str, ok: bool, detail: impl FnOnce() -> String) -> Check {
    Check { name, ok, detail: (!ok).then(detail) }
}

fn anchor(broker: &Broker) -> Check {
    told("anchor", broker.journal.health().anchored, || {
        "the newest checkpoint cannot be kept beside the configuration; look at the folder and its disk".to_owned()
    })
}

/// A reopened journal pauses: proofs may have been spent that it does not know.
fn minting(broker: &Broker) -> Check {
    let (from, now) = (broker.journal.view().state.mints_from, broker.now());
    told("minting", now >= from, || rests(from, now))
}

/// The pause after a reopening, in words.
pub(super) fn rests(from: Timestamp, now: Timestamp) -> String {
    format!("the journal was reopened: nothing is minted before {from}, in {} from now", from.since(now).in_words())
}

/// A task that ended is a defect, and the server stops because of it.
///
/// Until then no request should come here.
fn alive(tasks: &Ended) -> Check {
    let ended = tasks.names();
    told("tasks", ended.is_empty(), || format!("ended by themselves: {}; start the server again", ended.join(", ")))
}

/// Counts follow the log and decide nothing, so a node is ready without them. What is wrong with them is told.
fn uses(broker: &Broker) -> Check {
    Check { name: "uses", ok: true, detail: broker.uses.progress().fault(broker.now()) }
}

/// Mail decides nothing, so a node is ready without it. What is wrong with it is told.
fn mail(broker: &Broker) -> Option<Check> {
    Some(Check { name: "mail", ok: true, detail: broker.mail.as_ref()?.fault() })
}

/// Every key that signs now must be in this node's ring (ABUSE Q-04).
fn keys(broker: &Broker) -> Check {
    told("keys", broker.issuance.is_complete(&broker.journal.view().state), || {
        "a signing key of the journal does not open under this key-encryption key".to_owned()
    })
}
