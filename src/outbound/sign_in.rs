//! The request to the staff issuer at a sign-in: a form, with the client's own secret.
//!
//! The rules are those of a fetch ([`super`]): an origin that may be fetched, no redirect, one deadline, a bounded answer.
//! The caller (`authn::sign_in`) decides to which origin a secret may go.

use super::{FetchFault, FetchUrl, Fetched, Outbound, TIMEOUT, read};

impl Outbound {
    /// POSTs `body` to `url` with these headers.
    ///
    /// # Errors
    /// No usable answer arrived.
    pub async fn post_form(&self, url: &FetchUrl, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Fetched, FetchFault> {
        let permits = self.per_origin(&url.origin);
        let _turn = permits.try_acquire().map_err(|_| FetchFault::Crowded)?;
        let client = if url.listed { &self.listed } else { &self.public };
        let mut request = client.post(url.url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        tokio::time::timeout(TIMEOUT, read(request)).await.map_err(|_| FetchFault::Timeout)?
    }
}
