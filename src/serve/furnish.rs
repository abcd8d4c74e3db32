//! The broker with its gateways, from a configuration and an opened journal.

use std::sync::Arc;

use super::fault::StartFault;
use super::gateways::{live_index, opened, outbound, staff_settings};
use super::outside;
use crate::authn::dpop::Nonces;
use crate::authn::fellows::Fellows;
use crate::authn::passkey::Passkeys;
use crate::authn::sign_in::Client;
use crate::authn::{IssuerKeys, StaffVerifier, Verifier};
use crate::broker::cursor::Cursors;
use crate::broker::fetched::Fetched;
use crate::broker::in_flight::InFlight;
use crate::broker::shelf::Shelf;
use crate::broker::{Broker, Gateways};
use crate::config::{Config, Replication};
use crate::domain::value::clock::{Clock, Entropy};
use crate::http::health::Waits;
use crate::issuance::Issuance;
use crate::journal::{Kek, NodeSettings, Settings as JournalSettings};
use crate::revocation::Index;

/// Time and randomness, for the whole process.
#[derive(Clone)]
pub struct System {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of unguessable bytes.
    pub entropy: Arc<dyn Entropy>,
}

/// The journal's place and the key that seals it: they differ between `serve` and `dev`.
pub struct Foundation {
    /// The key-encryption key.
    pub kek: Kek,
    /// The settings of the journal.
    pub journal: JournalSettings,
}

/// Builds the broker with its gateways.
pub async fn furnish(
    config: &Config,
    foundation: &Foundation,
    system: &System,
    (origin, waits): (&str, &Waits),
) -> Result<(Broker, Option<Client>), StartFault> {
    let entropy = &system.entropy;
    let live = live_index(config)?;
    let journal = opened(&foundation.journal, &foundation.kek, (&system.clock, entropy), waits).await?;
    let settings = NodeSettings {
        id: config.node.id.clone(),
        compares_clocks: !system.clock.is_set_at_will(),
        may_lose: config.journal.replication == Replication::Asynchronous,
    };
    waits.tell("its id is being taken, which waits for the database and for the lease of an instance before it");
    journal.join(&settings).await?;
    waits.tell("what it begins with is being put on record");
    // Every module uses one clock: the one that the journal believes.
    let clock = journal.clock();
    let outbound = Arc::new(outbound(config)?);
    let receivers = outside::receivers(config, &outbound, Some(journal.view().size))?;
    let tickets = outside::tickets(config, &outbound)?;
    let client = outside::console(config, &outbound, origin)?;
    let secret = foundation.kek.derive("recipients of mail");
    let mail = outside::mail(config, secret, Some(journal.view().size), client.as_ref().map(|_| origin))?;
    let passkeys = client.as_ref().and_then(|_| Passkeys::at(origin));
    let shelf = Arc::new(Shelf::new(live.clone(), &foundation.kek, Arc::clone(&clock), Arc::clone(entropy)));
    // A process with an index of its own has no other nodes.
    let fellows = matches!(live, Index::Redis(_)).then(|| Fetched::new(Arc::clone(&shelf), Arc::clone(&clock)));
    let issuers = IssuerKeys::among(outbound, Arc::clone(&clock), fellows.map(|fellows| Arc::new(fellows) as Arc<dyn Fellows>));
    let staff = StaffVerifier::new(staff_settings(config)?, issuers.clone());
    let broker = Broker::new(Gateways {
        journal,
        verifier: Verifier::new(issuers.clone()),
        issuers,
        staff,
        nonces: Nonces::new(&foundation.kek.derive("dpop nonces")),
        issuance: Issuance::new(foundation.kek.lend(), Arc::clone(entropy)),
        live,
        shelf,
        follower: crate::broker::follow::Follower::default(),
        agreement: crate::broker::stated::Agreement::default(),
        answers: crate::broker::answers::Answers::default(),
        guardrails: crate::broker::compiling::Compiling::default(),
        views: crate::broker::viewed::Views::default(),
        uses: crate::broker::counting::Uses::default(),
        found_lately: crate::broker::found_lately::FoundLately::default(),
        recent: crate::broker::explain::Recent::default(),
        tickets,
        mail: mail.map(Arc::new),
        receivers,
        cursors: Cursors::default(),
        clock,
        entropy: Arc::clone(entropy),
        passkeys,
        turns: crate::broker::turns::Turns::default(),
        in_flight: InFlight::default(),
        people: crate::broker::people::People::default(),
        desk: crate::broker::desk::Desk::default(),
        reading: crate::broker::reading::Reading::default(),
        offboarding_turn: tokio::sync::Mutex::default(),
    });
    Ok((broker, client))
}
