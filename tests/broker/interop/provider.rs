//! The independent provider: npm `oidc-provider`.

use serde_json::Value;

use super::process::{Server, node, output};

/// A running provider of the partner.
pub struct Independent {
    /// Its issuer URL.
    pub issuer: String,
    client: String,
    secret: String,
    _server: Server,
}

impl Independent {
    /// Starts one.
    pub async fn start() -> Self {
        Self::run(node("provider.mjs")).await
    }

    /// Starts one that knows the console at this origin as its client `carnet-console`.
    pub async fn of_console(origin: &str) -> Self {
        let mut command = node("provider.mjs");
        command.arg(origin);
        Self::run(command).await
    }

    /// The secret of its confidential clients.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    async fn run(command: std::process::Command) -> Self {
        let server = Server::start(command).await;
        let told: Value = serde_json::from_str(&server.line).expect("JSON");
        let member = |name: &str| told[name].as_str().expect("a string").to_owned();
        Self { issuer: member("issuer"), client: member("client"), secret: member("secret"), _server: server }
    }

    /// An ID token: RS256, its audience the client, no `jti`.
    pub async fn id_token(&self) -> String {
        self.token(&["id-token"]).await
    }

    /// A JWT access token for `audience`: ES256, `typ` `at+jwt`, with a `jti`.
    pub async fn access_token(&self, audience: &str) -> String {
        self.token(&["access-token", audience]).await
    }

    async fn token(&self, kind: &[&str]) -> String {
        let mut command = node("tokens.mjs");
        command.args(kind).args([&self.issuer, &self.client]).env("CLIENT_SECRET", &self.secret);
        output(command, String::new()).await
    }
}
