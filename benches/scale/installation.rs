//! An installation with many integrations, written through the broker's own journal, without the approvals.

use carnet::broker::Broker;
use carnet::domain::credential::revocation::RevocationTarget;
use carnet::domain::log::change::Change;
use carnet::domain::log::integration::IntegrationChange;
use carnet::domain::log::revocation::RevocationChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::registry::integration::Integration;
use carnet::journal::Proposal;
use serde_json::{Value, json};

use crate::registry;
use crate::world::{Options, Provider, World, client};

/// Issuers that the integrations share, as the platforms of CI jobs are.
const ISSUERS: usize = 3;

/// A world with its integrations.
pub struct Installation {
    pub world: World,
    pub number: usize,
    others: Vec<Provider>,
}

impl Installation {
    /// Makes one with `number` integrations in force, and `revocations` living ones of single tokens.
    ///
    /// Another partner has `of_one` integrations more.
    pub async fn with(number: usize, revocations: usize, of_one: usize) -> Self {
        let mut others = Vec::new();
        while others.len() < ISSUERS - 1 {
            others.push(Provider::start().await);
        }
        let issuers = others.iter().map(|other| other.issuer.clone()).collect();
        let world = World::with(Options { redis: true, issuers, ..Options::default() }).await;
        let installation = Self { world, number, others };
        let broker = installation.world.running.as_ref().expect("it runs").broker.clone();
        let partners = registry::partners(number)
            .chain([registry::partner(registry::CROWDED)])
            .flat_map(|partner| registry::verified(&partner).map(Change::from));
        for change in partners {
            record_change(&broker, change).await;
        }
        let integrations = (0..number).map(|at| Change::from(in_force(installation.integration(at))));
        let crowd = registry::crowd(&installation.world.partner.issuer, of_one).map(|one| Change::from(in_force(one)));
        for change in integrations.chain(crowd) {
            record_change(&broker, change).await;
        }
        let expires = broker.now().plus(carnet::domain::value::clock::Seconds::days(1));
        let cuts = (0..revocations).map(|at| {
            let target = RevocationTarget::Token {
                environment: "production".parse().expect("a name"),
                id: format!("revoked-{at}").parse().expect("an id"),
                expires,
            };
            let (id, reason) = (format!("cut-{at}").parse().expect("an id"), "odd".into());
            Change::from(RevocationChange::Added { id, target, tokens_only: true, reason, client: None })
        });
        for change in cuts {
            record_change(&broker, change).await;
        }
        installation
    }

    fn issuer(&self, at: usize) -> &Provider {
        let others = self.others.iter();
        others.chain([&self.world.partner]).nth(at % ISSUERS).expect("one of three")
    }

    /// The integration with this number.
    pub fn integration(&self, at: usize) -> Integration {
        registry::job(at, self.number, &self.issuer(at).issuer)
    }

    /// The claims of a good proof of the integration with this number.
    pub fn claims(&self, at: usize) -> Value {
        let now = self.world.clock.seconds();
        json!({
            "iss": self.issuer(at).issuer, "sub": format!("repo:p/{at}"), "aud": self.world.issuer("production"),
            "exp": now + 300, "iat": now, "jti": client::unique(), "repository_id": registry::repository(at),
            "repository_owner_id": registry::repository_owner(at, self.number), "ref": "refs/heads/main",
        })
    }

    /// Signs claims as the issuer of the integration with this number.
    pub fn sign(&self, at: usize, claims: &Value) -> String {
        self.issuer(at).sign(claims)
    }
}

fn in_force(record: Integration) -> IntegrationChange {
    IntegrationChange::Narrowed { record: Box::new(record), reason: None }
}

/// Puts a change on record without the approvals, which are not what is measured.
async fn record_change(broker: &Broker, what: Change) {
    let made = broker.journal.change(None, |_, _| Ok::<_, ()>(Proposal::from(what.clone().by(Actor::Operator))));
    made.await.expect("the journal writes").expect("a change");
}
