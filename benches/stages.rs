//! The stages of an exchange in process, each against "one verify plus one sign" of the same run.
//!
//! `cargo bench --bench stages`; a word after `--` picks the stages whose names hold it, which is what a profiler wants. Figures are
//! CPU time (of this thread, or of the process where a stage has threads of its own): smallest and median of some rounds. The
//! smallest is the cost, the median says how quiet the machine was.

mod bench;
#[path = "../tests/broker/world/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod world;

use std::hint::black_box;

use bench::clock::{Cpu, of_process};
use bench::floor::{self, median};
use carnet::authn::{Trust, UnverifiedAssertion};
use carnet::broker::Broker;
use carnet::broker::caller::Credential;
use carnet::broker::exchange::Request;
use carnet::domain::caller::proof::{Assertion, Verified};
use carnet::domain::decision::admission::{Place, Slot, admit};
use carnet::domain::decision::ask::{Ask, Context, Target};
use carnet::domain::decision::grant::{Decision, Grant, decide};
use carnet::domain::decision::guard::{Guarded, Guards as _};
use carnet::domain::log::guardrail::GuardrailChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::registry::guardrail::{Guardrail, Mode};
use carnet::domain::state::State;
use carnet::domain::value::clock::Entropy;
use carnet::domain::value::names::EnvironmentName;
use carnet::http::form::Form;
use carnet::journal::Recorded;
use carnet::policy::Guardrails;
use carnet::server::OsEntropy;
use tokio::runtime::Runtime;
use world::client::escape;
use world::{Options, TOKEN_EXCHANGE, TYPE_JWT, World, records};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of each stage, and how often it is done in one.
const ROUNDS: usize = 11;
const TIMES: usize = 400;

/// Exchanges that are at it at once.
const AT_ONCE: usize = 16;

struct Bench {
    runtime: Runtime,
    world: World,
    broker: Broker,
    environment: EnvironmentName,
    floor: f64,
    wanted: Option<String>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let world = runtime.block_on(async {
        let world = World::with(Options::default()).await;
        world.onboard(&records::busy(&world.partner.issuer)).await;
        world
    });
    let broker = world.running.as_ref().expect("it runs").broker.clone();
    let environment = "production".parse().expect("a name");
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let bench = Bench { runtime, world, broker, environment, floor: floor::microseconds(), wanted };
    println!("{:<44} {:>9} {:>9} {:>9}", "microseconds of CPU", "least", "median", "of limit");
    println!("{:<44} {:>9} {:>9.1} {:>9.2}", "one verify + one sign (ES256)", "", bench.floor, 1.0);
    bench.run();
    println!("{:<44} {:>9} {:>9.1}", "one verify + one sign, once more", "", floor::microseconds());
    let Bench { runtime, mut world, .. } = bench;
    runtime.block_on(world.stop());
}

impl Bench {
    fn run(&self) {
        let assertion = self.world.assertion("production");
        self.form(&assertion);
        self.verify(&assertion);
        self.decide(&assertion);
        for batch in [1, 10, 100] {
            self.append(batch);
        }
        self.issue();
        self.exchange();
    }

    /// Prints rounds of microseconds each.
    fn stage(&self, name: &str, mut round: impl FnMut() -> f64) {
        if self.wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            return;
        }
        round();
        let rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
        let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let median = median(rounds);
        println!("{name:<44} {least:>9.1} {median:>9.1} {:>9.2}", median / self.floor);
    }

    fn form(&self, assertion: &str) {
        let body = format!(
            "grant_type={}&subject_token={assertion}&subject_token_type={}&audience=orders-api&scope=orders%3Aread",
            escape(TOKEN_EXCHANGE),
            escape(TYPE_JWT)
        );
        self.stage("form", || {
            each(TIMES, || {
                black_box(Form::parse(black_box(&body)).expect("a form"));
            })
        });
    }

    async fn verified(&self, assertion: &str) -> Verified<Assertion> {
        let unverified = UnverifiedAssertion::parse(assertion).expect("a JWT");
        let view = self.broker.journal.view();
        let issuer = unverified.issuer().clone();
        let trusted = view.state.candidates(&self.environment, &issuer).trusted();
        let trust: Vec<Trust<'_>> = trusted.map(|(source, algs)| Trust { source, algs }).collect();
        self.broker.verifier.verify(unverified, &trust[..1]).await.expect("verified")
    }

    fn verify(&self, assertion: &str) {
        self.stage("authn: parse", || {
            each(TIMES, || {
                black_box(UnverifiedAssertion::parse(black_box(assertion)).is_ok());
            })
        });
        self.stage("authn: parse and verify", || {
            self.runtime.block_on(async {
                let begun = Cpu::of_thread();
                for _ in 0..TIMES {
                    black_box(self.verified(black_box(assertion)).await);
                }
                begun.microseconds() / TIMES as f64
            })
        });
    }

    /// The grant for a verified assertion, as `broker/exchange.rs` asks for it.
    fn grant(&self, shown: &Verified<Assertion>) -> Box<Grant> {
        let view = self.broker.journal.view();
        self.grant_on(shown, Guarded::without(&view.state))
    }

    fn grant_on(&self, shown: &Verified<Assertion>, on: Guarded<'_>) -> Box<Grant> {
        let state = on.state;
        let issuer = &state.environment(&self.environment).expect("configured").issuer;
        let place = Place { environment: &self.environment, issuer, barred: &state.barred };
        let candidates = state.candidates(&self.environment, &shown.issuer);
        let principal = admit(candidates, shown, Slot::SubjectToken, place, self.broker.now()).expect("admitted");
        let context = Context {
            request: identifier().parse().expect("an id"),
            token: identifier().parse().expect("an id"),
            source: None,
            certificate: None,
            possession: None,
        };
        match decide(&principal, &ask(), &context, on, self.broker.now()) {
            Decision::Granted(grant) => grant,
            Decision::NeedsElevation(refused) | Decision::Refused(refused) => panic!("{refused:?}"),
        }
    }

    fn decide(&self, assertion: &str) {
        let shown = self.runtime.block_on(self.verified(assertion));
        self.stage("domain: admit and decide", || {
            each(TIMES, || {
                black_box(self.grant(black_box(&shown)));
            })
        });
        for (number, reads) in [(10, ""), (100, ""), (10, "context.minute < 2000 && "), (100, "context.minute < 2000 && ")] {
            let state = self.guarded(number, reads);
            let guards = Guardrails::default();
            guards.make(&state);
            let guard = guards.of(&state);
            let on = Guarded { state: &state, guard: &*guard };
            let of = if reads.is_empty() { "guardrails" } else { "guardrails on time" };
            self.stage(&format!("domain: admit and decide, {number} {of}"), || {
                each(TIMES, || {
                    black_box(self.grant_on(black_box(&shown), on));
                })
            });
        }
    }

    /// The state with so many guardrails, none of which refuses. Each compares something of its own.
    fn guarded(&self, number: usize, reads: &str) -> State {
        let mut state = State::clone(&self.broker.journal.view().state);
        for at in 0..number {
            let record = Guardrail {
                name: format!("guardrail-{at}").parse().expect("a name"),
                meaning: "No data of this class leaves in production without an elevation.".to_owned(),
                mode: Mode::Enforce,
                cedar: format!(
                    "forbid (principal, action, resource) when {{ {reads}context.environment == \"production\" && \
                     principal.dataClasses.contains(\"class-{at}\") && !context.elevated }};"
                ),
                managed_by: None,
            };
            let change = GuardrailChange::Applied { record: Box::new(record), refuses: 0, unknown: 0, reason: None };
            state.apply(u64::MAX, self.broker.now(), &change.by(Actor::Operator));
        }
        state
    }

    /// Grants with a proof each, made before the clock runs.
    #[expect(clippy::vec_box, reason = "the journal takes each in the box that the decision made")]
    fn grants(&self, number: usize) -> Vec<Box<Grant>> {
        let grants = (0..number).map(|_| {
            let assertion = self.world.assertion("production");
            self.grant(&self.runtime.block_on(self.verified(&assertion)))
        });
        grants.collect()
    }

    #[expect(clippy::vec_box, reason = "as above")]
    async fn record(&self, grants: Vec<Box<Grant>>) -> Vec<Recorded<Box<Grant>>> {
        let seen = self.broker.journal.view().seen;
        let mut waiting = tokio::task::JoinSet::new();
        for grant in grants {
            let journal = self.broker.journal.clone();
            let again = Box::new(|_: &_, _| unreachable!("nothing changes beside a bench"));
            waiting.spawn(async move { journal.record(seen, grant, again).await.expect("recorded") });
        }
        waiting.join_all().await
    }

    fn append(&self, at_once: usize) {
        self.stage(&format!("journal: append, {at_once} at once (and fsync)"), || {
            let rounds = 200_usize.div_ceil(at_once);
            let batches: Vec<_> = (0..rounds).map(|_| self.grants(at_once)).collect();
            let begun = of_process();
            for batch in batches {
                self.runtime.block_on(self.record(batch));
            }
            (of_process() - begun) as f64 / 1e3 / (rounds * at_once) as f64
        });
    }

    fn issue(&self) {
        let recorded = self.runtime.block_on(self.record(self.grants(50)));
        self.stage("issuance: sign and read back", || {
            each(TIMES / recorded.len(), || {
                for recorded in &recorded {
                    black_box(self.broker.issuance.issue(black_box(recorded)).expect("signed"));
                }
            }) / recorded.len() as f64
        });
    }

    fn exchange(&self) {
        self.stage("broker: exchange, 16 at once", || {
            let assertions: Vec<Vec<String>> =
                (0..AT_ONCE).map(|_| (0..TIMES / AT_ONCE).map(|_| self.world.assertion("production")).collect()).collect();
            let begun = of_process();
            self.runtime.block_on(async {
                let mut clients = tokio::task::JoinSet::new();
                for assertions in assertions {
                    clients.spawn(exchanges(self.broker.clone(), self.environment.clone(), assertions));
                }
                clients.join_all().await;
            });
            (of_process() - begun) as f64 / 1e3 / (TIMES / AT_ONCE * AT_ONCE) as f64
        });
    }
}

async fn exchanges(broker: Broker, environment: EnvironmentName, assertions: Vec<String>) {
    for proof in assertions {
        let id = identifier().parse().expect("an id");
        let proof = Credential::Assertion { text: proof, slot: Slot::SubjectToken };
        let request = Request {
            environment: environment.clone(),
            proof,
            ask: ask(),
            source: None,
            certificate: None,
            possession: None,
            id,
        };
        if let Err(denied) = broker.exchange(&request).await {
            panic!("{denied:?}");
        }
    }
}

fn ask() -> Ask {
    Ask { target: Some(Target::Name("orders-api".into())), scope: Some("orders:read".into()), client: None }
}

fn identifier() -> String {
    let entropy: &dyn Entropy = &OsEntropy;
    entropy.identifier()
}

/// Microseconds of this thread for each of `times`.
fn each(times: usize, mut work: impl FnMut()) -> f64 {
    let begun = Cpu::of_thread();
    for _ in 0..times {
        work();
    }
    begun.microseconds() / times as f64
}
