//! Onboards the demo partner over the admin API, with two people who did not apply it.

use serde_json::{Value, json};

use super::DemoServices;
use super::records;
use crate::authn::tls;
use crate::domain::value::clock::Timestamp;
use crate::outbound::operator::{Call, OperatorClient};

/// Applies, submits and approves the demo's records. Existing ones stay as they are.
pub(super) async fn onboard(admin: &str, services: &DemoServices, now: Timestamp) -> Result<(), String> {
    let tls = tls::client().map_err(|fault| fault.to_string())?;
    let client = OperatorClient::new(admin, &tls).map_err(|fault| fault.to_string())?;
    let staff = Staff { client, services };
    staff.send("ann", "POST", "/v1/records/apply", Some(("application/yaml", records::demo(&services.url, now)))).await?;
    staff.approve().await?;
    let found = staff.send("ann", "GET", "/v1/integrations/globex/order-sync", None).await?;
    if found["state"] == "draft" {
        let body = json!({"reason": "the demo begins"}).to_string();
        staff.send("ann", "POST", "/v1/integrations/globex/order-sync/submit", Some(("application/json", body))).await?;
        staff.approve().await?;
    }
    let found = staff.send("ann", "GET", "/v1/integrations/globex/order-sync", None).await?;
    if found["state"] == "draft" || found["state"] == "submitted" {
        return Err(format!("globex/order-sync is {} after its approvals", found["state"]));
    }
    Ok(())
}

struct Staff<'a> {
    client: OperatorClient,
    services: &'a DemoServices,
}

impl Staff<'_> {
    async fn send(
        &self,
        person: &str,
        method: &str,
        path: &str,
        body: Option<(&'static str, String)>,
    ) -> Result<Value, String> {
        let bearer = self.services.staff.person(person).ok_or("a demo person has no bearer")?;
        let body = body.map(|(kind, text)| (kind, text.into_bytes()));
        let call = Call { method, path, bearer: Some(&bearer), body, ..Call::default() };
        let reply = self.client.call(call).await.map_err(|fault| fault.to_string())?;
        if reply.status >= 300 {
            return Err(format!("{method} {path}: {} {}", reply.status, String::from_utf8_lossy(&reply.body)));
        }
        Ok(serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }

    /// `olga` approves as owner and `sven` as security, each if there is a slot for their role.
    async fn approve(&self) -> Result<(), String> {
        for person in ["olga", "sven"] {
            let approvals = self.send(person, "GET", "/v1/approvals?limit=1000", None).await?;
            for approval in approvals["items"].as_array().into_iter().flatten() {
                let slot = if person == "olga" { "owner" } else { "security" };
                let wanted = approval["slots"].as_array().is_some_and(|slots| slots.iter().any(|name| name == slot));
                if approval["state"] != "pending" || !wanted {
                    continue;
                }
                let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().unwrap_or_default());
                let body = json!({"verdict": "approve", "reason": "demo", "version": approval["version"]}).to_string();
                self.send(person, "POST", &path, Some(("application/json", body))).await?;
            }
        }
        Ok(())
    }
}
