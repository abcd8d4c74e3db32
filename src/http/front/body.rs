//! Reads a request's body whole, within its limit and its time, before any handler sees it (ABUSE D-01, D-02).

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes};
use tokio::time::timeout;

use super::fault::Fault;

/// How large bodies may be.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// For every route that is not named below, in bytes.
    pub default: usize,
    /// Route templates with a limit of their own, in bytes.
    pub routes: Vec<(&'static str, usize)>,
}

impl BodyLimits {
    /// The limit of a route template.
    pub(super) fn of(&self, route: &str) -> usize {
        self.routes.iter().find(|(template, _)| *template == route).map_or(self.default, |(_, limit)| *limit)
    }
}

/// Refuses content codings: what is small on the wire may not become large in here (ABUSE D-05).
pub(super) fn check_coding(headers: &HeaderMap) -> Result<(), Fault> {
    let is_identity = |value: &axum::http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity) { Ok(()) } else { Err(Fault::Encoding) }
}

/// The whole body, or what is wrong with it. A body that announces too much is refused unread.
pub(super) async fn read(body: Body, limit: usize, time: Duration) -> Result<Bytes, Fault> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(Fault::TooLarge);
    }
    timeout(time, collect(body, limit)).await.unwrap_or(Err(Fault::TooSlow))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Fault> {
    let mut whole: Option<Vec<u8>> = None;
    let mut first = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Fault::Broken)?.into_data() else { continue };
        let so_far = whole.as_ref().map_or(first.len(), Vec::len);
        if so_far + data.len() > limit {
            return Err(Fault::TooLarge);
        }
        match &mut whole {
            Some(whole) => whole.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => whole = Some([first.as_ref(), data.as_ref()].concat()),
        }
    }
    Ok(whole.map_or(first, Bytes::from))
}
