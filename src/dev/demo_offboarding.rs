//! The demo's offboarding: an integration that nobody ever called ends for good, and its dossier is verified with the public key alone.

use std::time::Duration;

use serde_json::{Value, json};

use super::demo::{Teller, Told, json_of, seen};
use super::records;
use crate::domain::value::clock::Clock as _;
use crate::journal::bundle;
use crate::journal::tree::note::VerifierKey;
use crate::server::SystemClock;

/// The integration that ends.
const FEED: &str = "globex/old-feed";

/// How long the broker may take for a step of its own, and how often the demo looks.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

impl Teller<'_> {
    /// An integration is offboarded: an owner speaks in the place of its API, two people sign it off, and the dossier holds.
    pub(super) async fn offboarded(&self) -> Told {
        self.bring_feed().await?;
        let reason = json!({"reason": "the feed is replaced", "confirm": FEED});
        let path = format!("/v1/integrations/{FEED}");
        let begun = self.staff("POST", &format!("{path}/offboard"), "sven", Some(reason)).await?;
        let told = json_of(&begun);
        let id = told["id"].as_str().filter(|_| begun.status == 201).ok_or_else(|| seen(&begun))?.to_owned();
        let case = format!("/v1/offboardings/{id}");
        self.until(&case, |case| !case["dependencies"].as_array().is_none_or(Vec::is_empty)).await?;
        let word = json!({
            "api": "orders-api", "environment": "production", "removed": ["its line of the allow list"], "evidence": "CHG-17",
        });
        let spoken = self.staff("POST", &format!("{case}/acknowledgements"), "otto", Some(word)).await?;
        if spoken.status != 201 {
            return Err(seen(&spoken));
        }
        let ready = self.until(&case, |case| case["state"] == "ready" && !case["signOff"].is_null()).await?;
        let approval = format!("/v1/approvals/{}", ready["signOff"].as_str().unwrap_or_default());
        self.approved(&approval, &["olga", "sara"]).await?;
        self.until(&case, |case| case["state"] == "closed").await?;
        let file = self.staff("GET", &format!("{case}/dossier"), "alan", None).await?;
        if file.status != 200 {
            return Err(seen(&file));
        }
        let proof = json_of(&self.staff("GET", "/v1/journal/proof?index=0", "alan", None).await?);
        let key: VerifierKey =
            proof["key"].as_str().and_then(|key| key.parse().ok()).ok_or("the broker names no verifier key")?;
        let report = bundle::verify(&file.body, &key).map_err(|fault| fault.to_string())?;
        Ok(format!("{FEED} has ended for good; its dossier of {} entries verifies with the public key alone", report.entries))
    }

    /// Onboards the integration that ends, as any other.
    async fn bring_feed(&self) -> Result<(), String> {
        let known = records::demo(&self.stage.demo, SystemClock.now());
        let record = known.rsplit("---\n").next().unwrap_or_default();
        let record = record.replace("name: order-sync", "name: old-feed").replace("repository_id: \"", "repository_id: \"9");
        let content = Some(("application/yaml", record.into_bytes()));
        let applied = self.staff_send("POST", "/v1/records/apply", "ann", content).await?;
        let path = format!("/v1/integrations/{FEED}");
        let submitted = self.staff("POST", &format!("{path}/submit"), "ann", Some(json!({"reason": "the demo"}))).await?;
        let told = json_of(&submitted);
        let approval = told["approval"]["id"].as_str().or(told["approval"].as_str());
        let approval = approval.filter(|_| applied.status == 200).ok_or_else(|| seen(&submitted))?;
        self.approved(&format!("/v1/approvals/{approval}"), &["olga", "sara"]).await?;
        let dependency = json!({
            "integration": FEED, "api": "orders-api", "environment": "production", "what": "a line of the allow list",
        });
        let registered = self.staff("POST", "/v1/dependencies", "ann", Some(dependency)).await?;
        if registered.status == 201 { Ok(()) } else { Err(seen(&registered)) }
    }

    async fn approved(&self, approval: &str, people: &[&str]) -> Result<(), String> {
        for person in people {
            let shown = json_of(&self.staff("GET", approval, person, None).await?);
            let yes = json!({"verdict": "approve", "reason": "demo", "version": shown["version"]});
            let said = self.staff("POST", &format!("{approval}/reviews"), person, Some(yes)).await?;
            if said.status != 200 {
                return Err(seen(&said));
            }
        }
        Ok(())
    }

    /// What lies at `path`, once `holds`.
    async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Result<Value, String> {
        for _ in 0..LOOKS {
            let shown = json_of(&self.staff("GET", path, "alan", None).await?);
            if holds(&shown) {
                return Ok(shown);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err("the offboarding does not get on".to_owned())
    }
}
