//! Serves one connection from accept to close: handshake, protocol, limits, drain.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt as _};

use super::activity::{Activity, OpenRequest};
use super::framing::Strict;
use super::settings::Settings;
use super::write_timeout::Paced;
use crate::http::front::{PeerAddress, PeerCertificate};

/// The largest head of a request, or HTTP/2 header list, in bytes (ABUSE D-08, D-14).
///
/// Above it the answer is 431.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// The parts that all connections of a socket share.
pub(super) struct Shared<S> {
    pub(super) service: S,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) settings: Settings,
    pub(super) protocol: auto::Builder<TokioExecutor>,
}

/// HTTP/1 and HTTP/2 with bounds on everything that a peer can make grow (ABUSE D-07 to D-09).
pub(super) fn protocol(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper's header timer would cost a timer for each request. `activity` already sees how long a connection is idle and how
    // long a head takes. The timer would do nothing anyway without a timer of the runtime, whatever it is set to (ABUSE S11).
    builder.http1().header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .max_send_buf_size(64 * 1024)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .keep_alive_interval(settings.idle / 2)
        .keep_alive_timeout(settings.head);
    builder
}

/// Serves one accepted connection to its end.
pub(super) async fn run<S, B>(stream: TcpStream, peer: IpAddr, shared: Arc<Shared<S>>, stop: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let settings = &shared.settings;
    let paced = Paced::new(stream, settings.sending, settings.linger);
    match &shared.tls {
        None => serve_http(paced, (peer, None), &shared, stop).await,
        Some(acceptor) => match timeout(settings.handshake, acceptor.accept(paced)).await {
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.map(|chain| PeerCertificate::new(chain.iter().map(|der| &**der)));
                serve_http(stream, (peer, certificate), &shared, stop).await;
            }
            Ok(Err(_)) | Err(_) => tracing::debug!(%peer, "TLS handshake failed or took too long"),
        },
    }
}

async fn serve_http<T, S, B>(
    transport: T,
    (peer, certificate): (IpAddr, Option<PeerCertificate>),
    shared: &Shared<S>,
    mut stop: watch::Receiver<bool>,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let activity = Activity::new();
    let answer = |mut request: Request<Incoming>| {
        let open = activity.begin();
        // `framing` stops at a chunked body, so the connection ends there (ABUSE D-16).
        let last = request.headers().contains_key(TRANSFER_ENCODING);
        request.extensions_mut().insert(PeerAddress(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let answered = shared.service.clone().oneshot(request);
        async move {
            let mut response = answered.await?;
            if last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            open.sending();
            Ok::<_, Infallible>(response.map(|body| Sending { body, _open: open }))
        }
    };
    let io = TokioIo::new(Strict::new(transport, activity.clone()));
    let mut connection = pin!(shared.protocol.serve_connection(io, service_fn(answer)));
    let mut tick = interval(shared.settings.tick);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_moment: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            // A sender that was dropped means the process ends: the same as the signal.
            _ = stop.wait_for(|stop| *stop), if last_moment.is_none() => {
                connection.as_mut().graceful_shutdown();
                last_moment = Some(Instant::now() + shared.settings.drain);
            }
            _ = tick.tick() => {
                let now = Instant::now();
                if let Some(limit) = activity.overdue(now, &shared.settings) {
                    tracing::debug!(%peer, limit, "connection closed at its limit");
                    return;
                }
                if last_moment.is_some_and(|end| now >= end) {
                    return;
                }
            }
        }
    }
}

/// The body of an answer. Its request stays open until this is dropped.
struct Sending<B> {
    body: B,
    _open: OpenRequest,
}

impl<B: Body + Unpin> Body for Sending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
