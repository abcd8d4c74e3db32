//! Asking the company's ticket system about one ticket.
//!
//! One authenticated GET with the rules of every fetch, to an address that the operator configured; `[outbound] tickets` lists exact
//! origins that may be private. What came back is JSON or nothing: whoever asks decides what is open.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use zeroize::Zeroizing;

use super::{FetchFault, FetchUrl, Fetched, Forbidden, Outbound, TIMEOUT, read};

/// What authenticates us at the ticket system. It has no form that could be printed.
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
    /// Whether the rules let a ticket be asked for at `url`.
    ///
    /// # Errors
    /// Why not.
    pub fn may_ask(&self, url: &str) -> Result<FetchUrl, Forbidden> {
        FetchUrl::judge(url, &self.tickets)
    }

    /// GETs `url`. Every status is an answer.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn ask(&self, url: &FetchUrl, credential: &Credential) -> Result<Fetched, FetchFault> {
        let permits = self.per_origin(&url.origin);
        let _turn = permits.try_acquire().map_err(|_| FetchFault::Crowded)?;
        let client = if url.listed { &self.listed } else { &self.public };
        let request = client.get(url.url.clone()).header(AUTHORIZATION, credential.0.clone());
        tokio::time::timeout(TIMEOUT, read(request)).await.map_err(|_| FetchFault::Timeout)?
    }
}
