//! The commands' own HTTP client, which calls only the server that the person named.
//!
//! Enter through [`OperatorClient::new`] and [`OperatorClient::call`]. A broker never uses it. The person typed the address,
//! or has it in their own context file, so loopback, private addresses and plain http on loopback are allowed. Plain http
//! beyond the loopback would show their bearer token to the network, and is refused. No redirect, proxy, cookie or retry.

use std::any::Any;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::resolve::System;
use super::{Unbuildable, client};

/// The longest that a command waits for an answer: a little over the server's handler limit.
///
/// A longer wait would only hide that the server is away.
const PATIENCE: Duration = Duration::from_secs(35);

/// The most that is read of an answer, in bytes. A page of the journal is far smaller.
const MOST: usize = 64 * 1024 * 1024;

/// A client for one server.
#[derive(Clone, Debug)]
pub struct OperatorClient {
    base: String,
    http: reqwest::Client,
    patience: Duration,
}

/// One call.
#[derive(Clone, Debug, Default)]
pub struct Call<'a> {
    /// `GET`, `POST`, `PATCH` …
    pub method: &'a str,
    /// Path and query, beginning with `/`.
    pub path: &'a str,
    /// The token for `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// Further headers.
    pub headers: &'a [(&'static str, &'a str)],
    /// Media type and body.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// An answer of any status that arrived completely.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The reason why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallFault {
    /// The address may not be called.
    #[error("{0} is not a server address: write https://HOST[:PORT], or http:// on a loopback host, without a path")]
    Address(String),
    /// No connection: the server has not seen the call.
    #[error("the server at {0} does not answer")]
    Unavailable(String),
    /// A connection, but no answer in time: the server may have done what it was asked.
    #[error("the server at {0} was asked, and did not answer in time")]
    Late(String),
    /// The answer broke off, is too large, or the call cannot be written as HTTP.
    #[error("the server's answer cannot be read")]
    Broken,
}

impl OperatorClient {
    /// A client for the server at `base`: scheme, host and port.
    pub fn new<T: Any + Clone>(base: &str, tls: &T) -> Result<Self, CallFault> {
        let fault = || CallFault::Address(base.to_owned());
        let url = reqwest::Url::parse(base).map_err(|_| fault())?;
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let loopback = url.host_str().is_some_and(is_loopback);
        let safe = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        if !plain || !safe || url.password().is_some() {
            return Err(fault());
        }
        let http = client(System, tls.clone()).map_err(|Unbuildable| CallFault::Broken)?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http, patience: PATIENCE })
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Calls the server and reads the whole answer.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, CallFault> {
        let late = |_| CallFault::Late(self.base.clone());
        tokio::time::timeout(self.patience, self.send(call)).await.map_err(late)?
    }

    async fn send(&self, call: Call<'_>) -> Result<Reply, CallFault> {
        let method = reqwest::Method::from_bytes(call.method.as_bytes()).map_err(|_| CallFault::Broken)?;
        let mut request = self.http.request(method, format!("{}{}", self.base, call.path)).timeout(self.patience);
        if let Some(bearer) = call.bearer {
            request = request.bearer_auth(bearer);
        }
        for (name, value) in call.headers {
            let value = HeaderValue::from_str(value).map_err(|_| CallFault::Broken)?;
            request = request.header(HeaderName::from_static(name), value);
        }
        if let Some((kind, body)) = call.body {
            request = request.header(CONTENT_TYPE, kind).body(body);
        }
        let mut response = request.send().await.map_err(|error| self.fault(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.fault(&error))? {
            if body.len() + chunk.len() > MOST {
                return Err(CallFault::Broken);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status: response.status().as_u16(), headers: headers(response.headers()), body })
    }

    fn fault(&self, error: &reqwest::Error) -> CallFault {
        // First: a connection that is not made in time is both.
        if error.is_connect() {
            CallFault::Unavailable(self.base.clone())
        } else if error.is_timeout() {
            CallFault::Late(self.base.clone())
        } else {
            CallFault::Broken
        }
    }
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
    map.iter().filter_map(text).collect()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_late_is_not_one_that_was_never_asked() {
        let tls = crate::authn::tls::client().expect("a configuration");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let client = OperatorClient::new(&base, &tls).expect("a client");
        let client = OperatorClient { patience: Duration::from_millis(300), ..client };
        // Connected by the backlog, and never answered.
        assert_eq!(
            client.call(Call { method: "POST", path: "/", ..Call::default() }).await.err(),
            Some(CallFault::Late(base.clone()))
        );
        drop(listener);
        assert_eq!(
            client.call(Call { method: "POST", path: "/", ..Call::default() }).await.err(),
            Some(CallFault::Unavailable(base))
        );
    }

    #[test]
    fn a_bearer_never_leaves_in_plain_text() {
        let tls = crate::authn::tls::client().expect("a configuration");
        let takes = |base: &str| OperatorClient::new(base, &tls).is_ok();
        for good in ["https://carnet.acme.example", "http://127.0.0.1:7401", "http://localhost:7401/", "http://[::1]:7401"] {
            assert!(takes(good), "{good}");
        }
        let bad = [
            "http://carnet.acme.example",
            "http://10.0.0.1:7401",
            "ftp://localhost",
            "https://a.example/x",
            "https://u@a.example",
            "https://u:p@a.example",
            "127.0.0.1:7401",
            "",
        ];
        for bad in bad {
            assert!(!takes(bad), "{bad}");
        }
    }
}
