//! What a start puts on record before the node serves.

use std::time::Duration;

use super::fault::StartFault;
use super::recorded::{configuration, environments};
use super::{checks, doors};
use crate::broker::Broker;
use crate::broker::stated::Stated;
use crate::config::Config;

/// How often a start tries again what a shared journal did not take, before it gives up. It waits for one that is away.
const TRIES: u32 = 5;

/// Prepares the broker, and waits for the database of a shared journal.
pub async fn prepared(broker: &Broker, config: &Config) -> Result<(), StartFault> {
    let mut left = if broker.journal.is_shared() { TRIES } else { 0 };
    loop {
        match prepare(broker, config).await {
            Err(StartFault::Prepare(what)) if left > 0 || broker.journal.is_away() => {
                tracing::warn!(what, "the journal did not take what a start records; trying again");
                left = left.saturating_sub(1);
                tokio::time::sleep(PREPARE_AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

const PREPARE_AGAIN: Duration = Duration::from_secs(1);

/// Records the configuration, and the consequences that follow by themselves.
///
/// Nothing can be recorded while the clock cannot be believed: the node is then up and not ready, unless it would serve
/// another configuration than the recorded one. A journal that stopped itself records nothing either, and mints no token
/// under any configuration: the node is up, and reports it.
async fn prepare(broker: &Broker, config: &Config) -> Result<(), StartFault> {
    let doubted = || broker.journal.health().clock;
    let is_stopped = || broker.journal.health().stopped.is_some();
    let (file, is_shared) = (configuration(config), config.journal.is_shared());
    let stated = if is_shared { Stated::First(&file) } else { Stated::Own(&file) };
    // Among several nodes the record stays as it is, and so does every environment of it.
    if !is_shared || broker.journal.view().state.configuration.is_none() {
        broker.journal.view().state.fits(&environments(config)).map_err(StartFault::Misfit)?;
    }
    // The environments that it serves are those on record, whatever its file says.
    let own = doors::recorded(broker).and_then(|recorded| checks::own_issuer_as_staff(config, &recorded));
    if let Some(found) = own.filter(|_| is_shared) {
        return Err(StartFault::Configuration(checks::faults(&[found])));
    }
    if broker.prepare(stated).await.is_err() {
        let unprepared = StartFault::Prepare("its configuration is not on record");
        return Err(doubted().map_or(unprepared, StartFault::Clock));
    }
    broker.keep_to(file, config.node.grace);
    checks::log(&checks::records(&broker.journal.view().state, &environments(config)));
    // Owners whom it cannot resolve yet are looked up again in the background, and dates that cannot be recorded yet.
    broker.settle_owners_soon().await;
    let _soon = broker.notice_dates().await;
    match (broker.settle().await, doubted()) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(fault)) => {
            tracing::error!(%fault, "what follows from the journal cannot be recorded yet");
            Ok(())
        }
        // It lost entries, as a checkpoint kept elsewhere proves: the node is up, reports it, and mints no token.
        (Err(_), None) if is_stopped() => Ok(()),
        (Err(_), None) => Err(StartFault::Prepare("what follows from the journal cannot be recorded")),
    }
}
