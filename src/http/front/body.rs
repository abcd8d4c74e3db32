//! Bounds a request's body in size and time (ABUSE D-01, D-02).
//!
//! The body is read when a handler asks for it, and a handler asks only once it knows the caller (ABUSE A-01, I-21).

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use hyper::body::{Body as _, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::fault::Fault;

/// The size limits of bodies.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// The limit of every route that is not in `routes`, in bytes.
    pub default: usize,
    /// Route templates with their own limits, in bytes.
    pub routes: Vec<(&'static str, usize)>,
}

impl BodyLimits {
    /// The limit of a route template.
    pub(super) fn of(&self, route: &str) -> usize {
        self.routes.iter().find(|(template, _)| *template == route).map_or(self.default, |(_, limit)| *limit)
    }
}

/// True if the headers name a content coding: a small message must not expand here (ABUSE D-05).
pub(super) fn is_coded(headers: &HeaderMap) -> bool {
    let is_identity = |value: &axum::http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    !headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity)
}

/// The outcome of reading a body, for the front. The handler sees only that the body is unreadable.
#[derive(Default)]
pub(super) struct Reading {
    fault: OnceLock<Fault>,
    is_whole: AtomicBool,
}

impl Reading {
    /// The fault, once a handler has tried to read the body.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// True if no byte of the body is left on the connection.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Relaxed)
    }
}

/// The same body with a limit of `limit` bytes and `time`, both counted from now.
///
/// A body that announces too much, or is coded, is refused unread. A route that reads no body is not affected: a proxy asks
/// for a verdict with the headers of a request whose body it keeps.
pub(super) fn bounded(body: Body, is_coded: bool, limit: usize, time: Duration) -> (Body, Arc<Reading>) {
    let reading = Arc::new(Reading::default());
    if body.is_end_stream() {
        reading.is_whole.store(true, Ordering::Relaxed);
        return (Body::empty(), reading);
    }
    let late = Box::pin(sleep(time));
    (Body::new(Bounded { body, is_coded, left: limit, late, reading: Arc::clone(&reading) }), reading)
}

struct Bounded {
    body: Body,
    is_coded: bool,
    /// Bytes that may still arrive.
    left: usize,
    late: Pin<Box<Sleep>>,
    reading: Arc<Reading>,
}

/// The body is unreadable. The front knows why.
#[derive(Debug, thiserror::Error)]
#[error("the body cannot be read")]
struct Unreadable;

impl hyper::body::Body for Bounded {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        if self.is_coded {
            return self.refuse(Fault::Encoding);
        }
        if self.body.size_hint().lower() > u64::try_from(self.left).unwrap_or(u64::MAX) {
            return self.refuse(Fault::TooLarge);
        }
        let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(cx) else {
            return if self.late.as_mut().poll(cx).is_ready() { self.refuse(Fault::TooSlow) } else { Poll::Pending };
        };
        let Some(frame) = next else {
            self.reading.is_whole.store(true, Ordering::Relaxed);
            return Poll::Ready(None);
        };
        let Ok(frame) = frame else { return self.refuse(Fault::Broken) };
        match self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(left) => self.left = left,
            None => return self.refuse(Fault::TooLarge),
        }
        if self.body.is_end_stream() {
            self.reading.is_whole.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Bounded {
    fn refuse(&self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        let _first = self.reading.fault.set(fault);
        Poll::Ready(Some(Err(Unreadable)))
    }
}
