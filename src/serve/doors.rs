//! The routers of the public and the mTLS socket, for the environments that are served now.
//!
//! Among nodes that share a journal those are the environments on record, and an administrator changes the record while the node runs. Then
//! the routers are made anew, and requests that come afterwards meet them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::mtls;
use crate::broker::Broker;
use crate::config::Config;
use crate::domain::registry::environment::Environment;
use crate::domain::value::names::EnvironmentName;
use crate::http::front::{self, Doorway, Front, Routes};
use crate::http::health::{self, Audience, ReadinessCheck};
use crate::http::metrics::{Metrics, Socket};
use crate::http::public::Public;

/// What the routers are made of.
pub struct Doors {
    pub broker: Broker,
    pub config: Config,
    pub metrics: Arc<Metrics>,
    pub ready: ReadinessCheck,
    pub front: Box<dyn Fn(Socket) -> Front + Send + Sync>,
    /// The bound address of the mTLS socket.
    pub mtls: SocketAddr,
}

type Environments = BTreeMap<EnvironmentName, Environment>;

impl Doors {
    /// The routers of these environments.
    pub fn of(&self, environments: &Environments) -> [Routes; 2] {
        let (broker, config) = (&self.broker, &self.config);
        let published = mtls::published(config, self.mtls);
        let (metrics, callers) = (|| Arc::clone(&self.metrics), &config.listen.verify_callers);
        let public = Public::new(broker.clone(), metrics(), environments);
        let public = public.naming(published.as_deref()).telling(callers).router();
        let public = public.merge(health::routes(Arc::clone(&self.ready), Audience::Strangers));
        let hosts = mtls::hosts(config, environments, self.mtls);
        let mtls = Public::on_mtls(broker.clone(), metrics(), environments, hosts);
        let mtls = mtls.naming(published.as_deref()).telling(callers).router();
        let wrap = |router, socket| front::wrap(router, (self.front)(socket));
        [wrap(public, Socket::Public), wrap(mtls, Socket::Mtls)]
    }

    /// Keeps sockets that serve `first` at the environments on record.
    pub async fn follow(self, doorways: [Doorway; 2], first: Environments) {
        let (mut served, mut heads) = (first, self.broker.journal.follow());
        loop {
            let change = heads.borrow_and_update().index;
            if let Some(recorded) = recorded(&self.broker).filter(|recorded| *recorded != served) {
                doorways.iter().zip(self.of(&recorded)).for_each(|(doorway, router)| doorway.open(router));
                served = recorded;
            }
            if heads.wait_for(|head| head.index != change).await.is_err() {
                return;
            }
        }
    }
}

/// The environments on record.
pub fn recorded(broker: &Broker) -> Option<Environments> {
    broker.journal.view().state.configuration.as_ref().map(|configuration| configuration.environments.clone())
}
