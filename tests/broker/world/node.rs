//! A second node on the journal and the live index of a world.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carnet::domain::value::clock::Clock;

use super::{Answer, TOKEN_EXCHANGE, TYPE_JWT, World, client};

/// What a node answers once it has the time to.
///
/// A node says "come again" when its stores took too long, which they do on a machine under load. What is asked must be new each time, or
/// free to be asked twice.
pub async fn served<Asked: Future<Output = Answer>>(ask: impl Fn() -> Asked) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status != 503 || begun.elapsed() > Duration::from_secs(30) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl World {
    /// Starts another node of the same organisation: one journal, one Redis, other sockets, and a folder of its own for the anchor.
    pub async fn another_node(&self) -> carnet::serve::Running {
        let folder = self.folder.path().join("another");
        std::fs::create_dir_all(&folder).expect("a folder");
        for file in ["kek", "journal.anchor"] {
            std::fs::copy(self.folder.path().join(file), folder.join(file)).expect("copied");
        }
        let text = std::fs::read_to_string(self.folder.path().join("carnet.toml")).expect("a configuration");
        let text = text
            .replace(&format!("public = \"{}\"", self.public), &format!("public = \"127.0.0.1:{}\"", client::free_port()))
            .replace(&format!("admin = \"{}\"", self.admin), &format!("admin = \"127.0.0.1:{}\"", client::free_port()));
        let text = text + "\n[node]\nid = \"another\"\n";
        std::fs::write(folder.join("carnet.toml"), text).expect("written");
        let config = carnet::config::load(&folder.join("carnet.toml")).expect("a valid configuration");
        let system = carnet::serve::System {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(carnet::server::OsEntropy),
        };
        carnet::serve::start(config, system).await.expect("the other node starts")
    }

    /// Exchanges a fresh assertion for `orders:read` in production at a node.
    pub async fn exchange_at(&self, node: &carnet::serve::Running) -> Answer {
        self.exchange_proof_at(node.public, &self.assertion("production")).await
    }

    /// The request that exchanges this assertion, for any node: nodes of one organisation answer to one name.
    pub fn exchange_request(&self, assertion: &str) -> Vec<u8> {
        let form = [
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", assertion),
            ("subject_token_type", TYPE_JWT),
            ("audience", "orders-api"),
            ("scope", "orders:read"),
        ];
        client::form_request(self.public, "/production/token", &form)
    }

    /// Exchanges this assertion at the node with this address.
    pub async fn exchange_proof_at(&self, node: SocketAddr, assertion: &str) -> Answer {
        client::raw(node, &self.exchange_request(assertion)).await
    }

    /// A GET of a path below the issuers, at the node with this address.
    pub async fn get_at(&self, node: SocketAddr, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.public);
        client::raw(node, request.as_bytes()).await
    }

    /// Introspects at the node with this address, as the API's own workload.
    pub async fn introspect_at(&self, node: SocketAddr, token: &str) -> Answer {
        let proof = self.api_proof("production");
        let form = [
            ("token", token),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", proof.as_str()),
        ];
        client::raw(node, &client::form_request(self.public, "/production/introspect", &form)).await
    }
}
