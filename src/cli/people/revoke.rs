//! `carnet revoke`: cuts the tokens of a thing, and refuses later exchanges until it is lifted.

use serde_json::{Value, json};

use super::inventory;
use super::partner::{done, opened};
use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::value::names::{ApiName, ElevationId, IntegrationId, Issuer, PartnerName, TokenId};

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Revoke {
    /// Revoke one token, by its jti
    #[command(
        before_help = "Examples:\n  carnet revoke token Yk3mQ9vTz0aBcDeFgHiJkL --reason leaked\n  carnet revoke token Yk3mQ9vTz0aBcDeFgHiJkL --reason leaked -o json"
    )]
    Token(Cut<TokenId>),
    /// Revoke a binding: PARTNER/INTEGRATION/ENVIRONMENT/BINDING
    #[command(
        before_help = "Examples:\n  carnet revoke binding globex/order-sync/production/ci-main --reason \"repository taken over\"\n  carnet revoke binding globex/order-sync/production/ci-main --tokens-only --reason rotation"
    )]
    Binding(Cut<String>),
    /// Revoke an API, in every environment
    #[command(
        before_help = "Examples:\n  carnet revoke api orders-api --reason \"audience taken over\"\n  carnet revoke api orders-api --tokens-only --reason incident"
    )]
    Api(Cut<ApiName>),
    /// Revoke an integration, in every environment
    #[command(
        before_help = "Examples:\n  carnet revoke integration globex/order-sync --reason incident\n  carnet revoke integration globex/order-sync --tokens-only --reason incident"
    )]
    Integration(Cut<IntegrationId>),
    /// Revoke a partner
    #[command(
        before_help = "Examples:\n  carnet revoke partner globex --reason breach\n  carnet revoke partner globex --tokens-only --reason breach"
    )]
    Partner(Cut<PartnerName>),
    /// Revoke an elevation; it ends for ever
    #[command(
        before_help = "Examples:\n  carnet revoke elevation 4fJq8Zr0 --reason misused\n  carnet revoke elevation 4fJq8Zr0 --reason misused -o json"
    )]
    Elevation(Cut<ElevationId>),
    /// Revoke a whole environment, or one integration's: PARTNER/INTEGRATION/ENVIRONMENT
    #[command(
        before_help = "Examples:\n  carnet revoke environment sandbox --reason incident\n  carnet revoke environment globex/order-sync/production --reason incident"
    )]
    Environment(Cut<String>),
    /// Revoke a partner's issuer, in every environment
    #[command(
        before_help = "Examples:\n  carnet revoke issuer https://idp.globex.example --reason \"key stolen\"\n  carnet revoke issuer https://idp.globex.example --tokens-only --reason rotation"
    )]
    Issuer(Cut<Issuer>),
    /// Revoke a certificate of our authority, for ever: ENVIRONMENT/SERIAL
    #[command(
        before_help = "Examples:\n  carnet revoke certificate production/4fa0c1d2e3b4a5968778695a4b3c2d1e --reason stolen\n  carnet revoke certificate production/4fa0c1d2e3b4a5968778695a4b3c2d1e --reason stolen -o json"
    )]
    Certificate(Cut<String>),
    /// Revoke one of our signing keys, for ever: ENVIRONMENT/KID
    #[command(
        before_help = "Examples:\n  carnet revoke key production/Yk3mQ9vTz0aB --reason stolen\n  carnet revoke key production/Yk3mQ9vTz0aB --reason stolen -o json"
    )]
    Key(Cut<String>),
    /// List revocations
    #[command(before_help = "Examples:\n  carnet revoke list\n  carnet revoke list -o json")]
    List,
    /// Request the end of a revocation; somebody else approves
    #[command(
        before_help = "Examples:\n  carnet revoke lift 4fJq8Zr0 --reason \"repository recovered\"\n  carnet revoke lift 4fJq8Zr0 --reason \"repository recovered\" -o json"
    )]
    Lift {
        /// Id, as `carnet revoke list` names it
        #[arg(value_name = "REVOCATION")]
        id: String,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// The thing to revoke.
#[derive(Clone, Debug, clap::Args)]
pub struct Cut<T: Clone + Send + Sync + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + 'static> {
    /// Thing to revoke
    #[arg(value_name = "NAME")]
    name: T,
    /// Reason; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Revoke the tokens that were issued, and refuse no later exchange
    #[arg(long)]
    tokens_only: bool,
}

/// Runs it.
pub async fn run(verb: Revoke, reach: &Reach) -> Result<Answer, Failure> {
    let body = match verb {
        Revoke::Token(cut) => body("token", &cut.name.to_string(), &cut.reason, cut.tokens_only),
        Revoke::Binding(cut) => body("binding", &cut.name, &cut.reason, cut.tokens_only),
        Revoke::Api(cut) => body("api", cut.name.as_str(), &cut.reason, cut.tokens_only),
        Revoke::Integration(cut) => body("integration", &cut.name.to_string(), &cut.reason, cut.tokens_only),
        Revoke::Partner(cut) => body("partner", cut.name.as_str(), &cut.reason, cut.tokens_only),
        Revoke::Elevation(cut) => body("elevation", cut.name.as_str(), &cut.reason, cut.tokens_only),
        Revoke::Environment(cut) => body("environment", &cut.name, &cut.reason, cut.tokens_only),
        Revoke::Issuer(cut) => body("issuer", cut.name.as_str(), &cut.reason, cut.tokens_only),
        Revoke::Certificate(cut) => body("certificate", &cut.name, &cut.reason, cut.tokens_only),
        Revoke::Key(cut) => body("key", &cut.name, &cut.reason, cut.tokens_only),
        Revoke::List => return list(reach).await,
        Revoke::Lift { id, reason } => return lift(&id, &reason, reach).await,
    };
    let outcome = reach.places()?.admin().await?.post("/v1/revocations", &body).await?;
    let ended = inventory::ended(&outcome).map(|sentence| format!("{sentence}\n")).unwrap_or_default();
    let text = format!("{}  {}  revoked\n{ended}", cell(&outcome, "id"), cell(&outcome, "subject"));
    Ok(Answer::of(outcome, text))
}

fn body(kind: &str, name: &str, reason: &str, tokens_only: bool) -> Value {
    let mut body = json!({"reason": reason});
    body[kind] = name.into();
    if tokens_only {
        body["tokensOnly"] = true.into();
    }
    body
}

async fn list(reach: &Reach) -> Result<Answer, Failure> {
    let items = reach.places()?.admin().await?.list("/v1/revocations", usize::MAX).await?;
    let row = |item: &Value| {
        vec![cell(item, "id"), cell(item, "state"), cell(item, "subject"), cell(item, "tokensOnly"), time(&item["at"])]
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    let text = table(&["REVOCATION", "STATE", "OF", "TOKENS ONLY", "SINCE"], &rows);
    Ok(Answer::of(items.into(), text))
}

async fn lift(id: &str, reason: &str, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    let outcome = admin.post(&url::path(&["revocations", id, "lift"]), &json!({"reason": reason})).await?;
    Ok(done(id, "lift", &outcome, opened(&admin, &outcome).await.as_ref()))
}
