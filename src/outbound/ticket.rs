//! Asks the company's ticket system about one ticket.
//!
//! One authenticated GET by the rules of every fetch, to an address that the operator configured; `[outbound] tickets` lists
//! exact origins that may be private. The caller parses the answer and decides what is open.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use zeroize::Zeroizing;

use super::{FetchFault, FetchUrl, Fetched, Forbidden, Outbound, TIMEOUT, read};

/// Our credential at the ticket system. It has no printable form.
pub struct Credential(HeaderValue);

impl Credential {
    /// A bearer token.
    pub fn bearer(token: &str) -> Option<Self> {
        let text = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut value = HeaderValue::from_str(&text).ok().filter(|_| !token.trim().is_empty())?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl Outbound {
    /// Checks that the rules let the ticket system at `url` be asked.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn may_ask(&self, url: &str) -> Result<FetchUrl, Forbidden> {
        FetchUrl::judge(url, &self.tickets)
    }

    /// GETs `url`. Every status is an answer.
    ///
    /// # Errors
    /// No complete answer arrived.
    pub async fn ask(&self, url: &FetchUrl, credential: &Credential) -> Result<Fetched, FetchFault> {
        let permits = self.per_origin(&url.origin);
        let _turn = permits.try_acquire().map_err(|_| FetchFault::Crowded)?;
        let client = if url.listed { &self.listed } else { &self.public };
        let request = client.get(url.url.clone()).header(AUTHORIZATION, credential.0.clone());
        tokio::time::timeout(TIMEOUT, read(request)).await.map_err(|_| FetchFault::Timeout)?
    }
}
