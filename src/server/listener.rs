//! A bound socket and its accept loop.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::caps::AddressCounts;
use super::connection::{self, Shared};
use super::mtls::Mtls;
use super::settings::Settings;
use crate::http::metrics::{Metrics, Socket};

/// A bound socket. Connections wait in the kernel's queue until [`Listener::serve`].
pub struct Listener {
    socket: Socket,
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// The pause of the accept loop if the kernel has no descriptor or memory for a connection.
///
/// It is long enough not to spin, and short enough to recover unnoticed (ABUSE D-21).
const REST: Duration = Duration::from_millis(100);

/// The connections that the kernel keeps until they are accepted; where `net.core.somaxconn` is less, that many.
///
/// Ten thousand clients that lost their node come to another in the same second (ABUSE D-20). The kernel drops what it has no room for, and the
/// client tries again after pauses that grow to a minute.
const BACKLOG: u32 = 16_384;

impl Listener {
    /// Binds `address`; port 0 takes a free one. With `tls` the socket speaks only TLS.
    ///
    /// # Errors
    /// The kernel's error: the address is in use or not ours, or we may not use the port.
    pub async fn bind(socket: Socket, address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let kernel = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A node that starts again binds the address of the one before, whose connections the kernel still remembers.
        kernel.set_reuseaddr(true)?;
        kernel.bind(address)?;
        let tcp = kernel.listen(BACKLOG)?;
        let address = tcp.local_addr()?;
        Ok(Self { socket, tcp, address, tls: tls.map(TlsAcceptor::from) })
    }

    /// Makes the socket speak mTLS, if its certificates become known only after others were bound.
    #[must_use]
    pub fn with_mtls(self, mtls: &Mtls) -> Self {
        Self { tls: Some(TlsAcceptor::from(mtls.config())), ..self }
    }

    /// The bound address, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `http://…` or `https://…` URL of the bound address.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// Accepts and serves until `stop` is true, or its sender is dropped.
    ///
    /// It then stops accepting, lets requests in flight end within [`Settings::drain`], and returns once the last connection
    /// is closed.
    ///
    /// `service` is cloned per request; each request has a [`PeerAddress`](crate::http::front::PeerAddress) among its extensions.
    pub async fn serve<S, B>(self, service: S, settings: Settings, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { socket, tcp, tls, .. } = self;
        let counts = AddressCounts::new(settings.connections_per_address, settings.uncounted.clone());
        let most = settings.connections.min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(most));
        let shared = Arc::new(Shared { service, tls, protocol: connection::protocol(&settings), settings });
        loop {
            // 1. Room in all first: above the total, connections wait in the kernel and cost us nothing.
            let accepted = async {
                let permit = room.clone().acquire_owned().await;
                (permit, accept(&tcp).await)
            };
            let (permit, (stream, peer)) = tokio::select! {
                accepted = accepted => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            // 2. Then the address's share. Above it, the connection is closed at once, without a byte.
            let (Ok(permit), Some(place)) = (permit, counts.take(peer.ip())) else { continue };
            // 3. Its own task, so that a slow handshake delays no other connection.
            let (shared, stop) = (shared.clone(), stop.clone());
            let open = metrics.connection(socket);
            tokio::spawn(async move {
                connection::run(stream, peer.ip().to_canonical(), shared, stop).await;
                drop((permit, place, open));
            });
        }
        drop(tcp);
        // Every connection ends by its drain limit. All permits are free once the last one has ended.
        let all = u32::try_from(most).unwrap_or(u32::MAX);
        let _ = room.acquire_many(all).await;
    }
}

/// The next connection.
///
/// It ignores a fault of a single connection, and waits out one of the process.
async fn accept(tcp: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match tcp.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and written at once, so Nagle's delay would only cost time.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
