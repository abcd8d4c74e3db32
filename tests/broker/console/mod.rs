//! The console in a real browser, in front of an independent identity provider (npm `oidc-provider`).

mod attacks;
mod decisions;
mod development;
mod governance;
mod signatures;

use serde_json::{Value, json};

use crate::interop::{Browser, Independent};
use crate::world::{Answer, World, records, send};

/// A world with a console, the staff's provider, and a browser.
pub struct House {
    pub world: World,
    pub browser: Browser,
    /// `http://localhost:PORT`.
    pub console: String,
    _provider: Independent,
}

impl House {
    /// With the usual records.
    pub async fn open() -> Self {
        Self::with(|records| records).await
    }

    /// With an API that takes signed approvals alone.
    pub async fn signed() -> Self {
        Self::with(|records| records.replacen("owner: team:orders\n", "owner: team:orders\napproval: signed\n", 1)).await
    }

    /// With these records.
    pub async fn with(change: impl FnOnce(String) -> String) -> Self {
        let world = World::in_file().await;
        world.onboard(&change(records::usual(&world.partner.issuer))).await;
        Self::around(world).await
    }

    /// Over a world as it is; what was asked for in it waits.
    pub async fn around(mut world: World) -> Self {
        world.stop().await;
        let console = format!("http://localhost:{}", world.admin.port());
        let provider = Independent::of_console(&console).await;
        let file = world.folder.path().join("carnet.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        std::fs::write(world.folder.path().join("client-secret"), provider.secret()).expect("written");
        let own = format!("issuer = \"{}\"\naudience = \"carnet\"", world.staff.issuer);
        assert!(text.contains(&own));
        let text = text.replace(
            &own,
            &format!(
                "issuer = \"{}\"\naudience = \"carnet\"\nclient_id = \"carnet-console\"\nclient_secret_file = \"client-secret\"",
                provider.issuer
            ),
        );
        let text = text.replace("issuers = [", &format!("issuers = [\"{}\", ", provider.issuer));
        std::fs::write(&file, text).expect("written");
        world.clock.synchronise();
        world.boot().await;
        world.advance(0).await;
        Self { world, browser: Browser::start().await, console, _provider: provider }
    }

    /// The address of a page.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.console)
    }

    /// Signs in as `person`, from wherever the browser is; it ends where the visit was to go.
    pub async fn sign_in(&self, person: &str) {
        self.world.clock.synchronise();
        self.browser.goto(&self.at("/console/approvals")).await;
        // Who is signed in at the provider still is not asked again.
        if !self.browser.url().await.starts_with(&self.console) {
            self.choose(person).await;
        }
    }

    /// Chooses a person at the provider.
    pub async fn choose(&self, person: &str) {
        self.browser.follow(&format!("#{person}")).await;
    }

    /// The workload asks for itself; the id of its elevation.
    pub async fn asked(&self, change: impl FnOnce(&mut Value)) -> String {
        let world = &self.world;
        let mut wish =
            json!({"api": "orders-api", "scopes": ["orders:write"], "duration": "30m", "reason": "orders are stuck"});
        change(&mut wish);
        let bearer = format!("Bearer {}", world.assertion("production"));
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = wish.to_string();
        let answer = send(world.public, "POST", "/production/elevations", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// The page of an elevation.
    pub fn page(&self, id: &str) -> String {
        self.at(&format!("/console/approvals/{id}"))
    }

    /// What an exchange for the scope comes to.
    pub async fn exchanged(&self) -> Answer {
        self.world.exchange("production", &self.world.assertion("production"), "orders:write").await
    }

    /// That nothing is given, and why.
    pub async fn nothing_is_minted(&self, reason: &str) {
        let answer = self.exchanged().await;
        assert_eq!((answer.status, answer.json()["reason"].as_str()), (400, Some(reason)), "{}", answer.text());
    }

    /// A GET of the admin API by the browser's own session.
    pub async fn read(&self, path: &str) -> Value {
        let cookie = self.browser.cookie().await;
        let answer = send(self.world.admin, "GET", path, &[("cookie", &cookie)], &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// A POST to the admin API by the browser's own session, as a page of `origin` would send it.
    pub async fn send_json(&self, path: &str, origin: &str, body: &Value) -> Answer {
        let cookie = self.browser.cookie().await;
        let headers = [("cookie", cookie.as_str()), ("content-type", "application/json"), ("origin", origin)];
        send(self.world.admin, "POST", path, &headers, body.to_string().as_bytes()).await
    }

    /// A POST of a form to the console, as any program could send it.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let cookie = self.browser.cookie().await;
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [headers, &[("cookie", cookie.as_str()), kind]].concat();
        send(self.world.admin, "POST", path, &headers, form.as_bytes()).await
    }
}
