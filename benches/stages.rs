//! The stages of an exchange, in process and on one thread: CPU time of each, beside "one verify plus one sign" of the same run.
//!
//! Real parts over a real SQLite file; the live index is in-process. The journal's stage has wall-clock time too, since most of it is
//! waiting for the disk. Nothing is asserted about speed.

#[path = "house/mod.rs"]
mod house;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use carnet::authn::{Trust, UnverifiedAssertion};
use carnet::broker::Broker;
use carnet::broker::exchange::Request;
use carnet::domain::admission::{Place, Slot, admit};
use carnet::domain::grant::{Ask, Context, Decision, Grant, Target, decide};
use carnet::domain::names::EnvironmentName;
use carnet::domain::state::State;
use carnet::http::form::Form;
use carnet::serve::{Ambient, Running};

use house::{Issuers, cpu_of, crypto_floor};

/// Exchanges of a round, and rounds; the median round counts.
const ROUND: usize = 500;
const ROUNDS: usize = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuers = Issuers::start().await;
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (public, admin) = (loopback(house::free_port()), loopback(house::free_port()));
    house::configure(folder.path(), (public, admin), &issuers, None);
    let config = carnet::config::load(&folder.path().join("carnet.toml")).expect("a valid configuration");
    let ambient = Ambient { clock: Arc::new(carnet::server::SystemClock), entropy: Arc::new(carnet::server::OsEntropy) };
    let running: Running = carnet::serve::start(config, ambient).await.expect("the broker starts");
    house::onboard(&running.admin_url, &issuers).await;
    let house = House { broker: running.broker.clone(), issuers, public, environment: "production".parse().expect("a name") };
    house.exchange(house.assertion("warm")).await;
    let floor = crypto_floor();
    println!("{:<28} {:>9} {:>9} {:>9}", "stage", "CPU µs", "wall µs", "of floor");
    println!("{:<28} {floor:>9.1} {:>9} {:>9.2}", "one verify plus one sign", "", 1.0);
    house.stage(floor, "form", async |house, texts| texts.iter().for_each(|text| house.form(text))).await;
    house
        .stage(floor, "parse", async |_, texts| {
            for text in texts {
                std::hint::black_box(UnverifiedAssertion::parse(text).expect("a JWT"));
            }
        })
        .await;
    house
        .stage(floor, "parse, verify", async |house, texts| {
            for text in texts {
                std::hint::black_box(house.verified(text).await);
            }
        })
        .await;
    house
        .stage(floor, "parse, verify, admit, decide", async |house, texts| {
            for text in texts {
                std::hint::black_box(house.granted(text).await);
            }
        })
        .await;
    house
        .stage(floor, "… append, one by one", async |house, texts| {
            for text in texts {
                house.recorded(text).await;
            }
        })
        .await;
    house
        .stage(floor, "… append, 64 at once", async |house, texts| {
            for batch in texts.chunks(64) {
                all(batch.iter().map(|text| house.recorded(text))).await;
            }
        })
        .await;
    house
        .stage(floor, "whole exchange, 64 at once", async |house, texts| {
            for batch in texts.chunks(64) {
                all(batch.iter().map(|text| house.exchange(text.clone()))).await;
            }
        })
        .await;
    running.shutdown().await;
}

struct House {
    broker: Broker,
    issuers: Issuers,
    public: SocketAddr,
    environment: EnvironmentName,
}

impl House {
    fn assertion(&self, jti: &str) -> String {
        self.issuers.assertion(&format!("http://{}/production", self.public), jti, house::now())
    }

    /// Times `work` over fresh assertions, all threads of this process counted: the journal's writer has one of its own.
    async fn stage(&self, floor: f64, name: &str, work: impl AsyncFn(&Self, &[String])) {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let texts: Vec<String> = (0..ROUND).map(|n| self.assertion(&format!("{name}-{round}-{n}"))).collect();
            let (cpu, wall) = (cpu_of(std::process::id()), Instant::now());
            work(self, &texts).await;
            let each = |seconds: f64| seconds * 1e6 / ROUND as f64;
            rounds.push((each((cpu_of(std::process::id()) - cpu).as_secs_f64()), each(wall.elapsed().as_secs_f64())));
        }
        rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (cpu, wall) = rounds[ROUNDS / 2];
        println!("{name:<28} {cpu:>9.1} {wall:>9.1} {:>9.2}", cpu / floor);
    }

    fn form(&self, text: &str) {
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={text}\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&audience=orders-api&scope=orders%3Aread"
        );
        std::hint::black_box(Form::parse(&body).expect("a form"));
    }

    async fn verified(&self, text: &str) -> carnet::domain::proof::Verified<carnet::domain::proof::Assertion> {
        let unverified = UnverifiedAssertion::parse(text).expect("a JWT");
        let view = self.broker.journal.view();
        let candidates = view.state.candidates(&self.environment, unverified.issuer());
        let trust: Vec<Trust<'_>> =
            candidates.iter().map(|one| Trust { source: &one.rule.keys, algs: &one.rule.algs }).collect();
        self.broker.verifier.verify(unverified, &trust).await.expect("verifies")
    }

    async fn granted(&self, text: &str) -> Box<Grant> {
        let assertion = self.verified(text).await;
        let view = self.broker.journal.view();
        let state: &State = &view.state;
        let environment = state.environment(&self.environment).expect("configured");
        let place = Place { environment: &self.environment, issuer: &environment.issuer };
        let candidates = state.candidates(&self.environment, &assertion.issuer);
        let now = self.broker.now();
        let principal = admit(candidates, &assertion, Slot::SubjectToken, place, now).expect("admitted");
        let name = |text: String| text.parse().expect("a name");
        let context = Context {
            request: self.broker.entropy.identifier().parse().expect("a name"),
            token: name(self.broker.entropy.identifier()),
            source: None,
        };
        match decide(&principal, &self.ask(), &context, state, now) {
            Decision::Granted(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    async fn recorded(&self, text: &str) {
        let grant = self.granted(text).await;
        let seen = self.broker.journal.view().seen;
        let again = grant.clone();
        let recorded = self.broker.journal.record(seen, grant, Box::new(move |_, _| Decision::Granted(again.clone()))).await;
        std::hint::black_box(self.broker.issuance.issue(&recorded.expect("recorded")).expect("signed"));
    }

    async fn exchange(&self, proof: String) {
        let request = Request {
            environment: self.environment.clone(),
            proof,
            slot: Slot::SubjectToken,
            ask: self.ask(),
            source: None,
            id: self.broker.entropy.identifier().parse().expect("a name"),
        };
        std::hint::black_box(self.broker.exchange(request).await.expect("exchanged"));
    }

    fn ask(&self) -> Ask {
        Ask { target: Some(Target::Name("orders-api".into())), scope: Some("orders:read".into()), client: None }
    }
}

/// Runs all of them on this thread at once.
async fn all<F: Future<Output = ()>>(work: impl Iterator<Item = F>) {
    let mut running: Vec<_> = work.map(|future| Some(Box::pin(future))).collect();
    std::future::poll_fn(|context| {
        for slot in &mut running {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(context).is_ready()) {
                *slot = None;
            }
        }
        if running.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
