//! A TCP proxy between a node and one of its peers, which can fail in the ways that networks fail.
//!
//! It listens on a port of its own and carries bytes to one address. [`Proxy::set`] changes what it does with them from that moment on,
//! also on the connections that there are. A fault that ends connections ends them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::client::free_port;

/// What is done with the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// They are carried.
    Pass,
    /// They are carried so much later.
    Delay(Duration),
    /// They are not read: neither side hears of it. In one direction or in both.
    Hold(Way),
    /// Connections are closed, and new ones are refused.
    Cut,
    /// Connections are reset (RST), new ones too.
    Reset,
    /// So many bytes more are carried in one direction, and then all connections are closed, once: an answer is lost or torn.
    CutAfter(Direction, u32),
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the node to its peer.
    ToPeer,
    /// From the peer to the node.
    ToNode,
}

/// The directions of a [`Mode::Hold`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// One.
    Only(Direction),
    /// Both.
    Both,
}

impl Way {
    fn holds(self, direction: Direction) -> bool {
        match self {
            Self::Only(one) => one == direction,
            Self::Both => true,
        }
    }
}

/// A proxy; it is gone when this is dropped.
pub struct Proxy {
    /// The port at which it listens.
    pub port: u16,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    state: watch::Sender<State>,
    /// What [`Mode::CutAfter`] still carries.
    left: AtomicI64,
    /// Ports in answers that are replaced by others: a Sentinel, or a server of a cluster, names a server, and the node is to reach it by another
    /// proxy.
    renamed: Vec<(u16, u16)>,
}

#[derive(Clone, Copy)]
struct State {
    mode: Mode,
    /// How often all connections were ended. A connection ends when this is another number than at its beginning.
    endings: u64,
    /// Whether the last of these was a reset.
    by_reset: bool,
}

impl State {
    fn become_mode(&mut self, mode: Mode) {
        self.mode = mode;
        if matches!(mode, Mode::Cut | Mode::Reset) {
            self.end(mode == Mode::Reset);
        }
    }

    fn end(&mut self, by_reset: bool) {
        self.endings += 1;
        self.by_reset = by_reset;
    }
}

impl Proxy {
    /// A proxy before this address.
    pub async fn before(peer: SocketAddr) -> Self {
        Self::renaming(peer, Vec::new()).await
    }

    /// The same, with ports that are replaced in what the peer answers.
    pub async fn renaming(peer: SocketAddr, renamed: Vec<(u16, u16)>) -> Self {
        Self::at(free_port(), peer, renamed).await
    }

    /// The same on this port.
    pub async fn at(port: u16, peer: SocketAddr, renamed: Vec<(u16, u16)>) -> Self {
        let state = State { mode: Mode::Pass, endings: 0, by_reset: false };
        let shared = Arc::new(Shared { state: watch::channel(state).0, left: AtomicI64::new(0), renamed });
        let listener = listen(port).await;
        let accepting = tokio::spawn(accept(Arc::clone(&shared), port, listener, peer));
        Self { port, shared, accepting }
    }

    /// What is done from now on.
    pub fn set(&self, mode: Mode) {
        if let Mode::CutAfter(_, bytes) = mode {
            self.shared.left.store(i64::from(bytes), Ordering::SeqCst);
        }
        self.shared.state.send_modify(|state| state.become_mode(mode));
    }

    /// What is done now: [`Mode::CutAfter`] has become [`Mode::Pass`] once it has cut.
    pub fn mode(&self) -> Mode {
        self.shared.state.borrow().mode
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Mode::Cut);
    }
}

async fn listen(port: u16) -> TcpListener {
    for _ in 0..100 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("port {port} is taken")
}

/// Accepts while that is allowed; a closed listener refuses.
async fn accept(shared: Arc<Shared>, port: u16, listener: TcpListener, peer: SocketAddr) {
    let mut states = shared.state.subscribe();
    let mut listener = Some(listener);
    loop {
        if states.borrow_and_update().mode == Mode::Cut {
            listener = None;
            if states.changed().await.is_err() {
                return;
            }
            continue;
        }
        let at = match listener.take() {
            Some(at) => at,
            None => listen(port).await,
        };
        tokio::select! {
            accepted = at.accept() => {
                if let Ok((node, _)) = accepted {
                    tokio::spawn(carry(Arc::clone(&shared), node, peer));
                }
            }
            changed = states.changed() => if changed.is_err() { return },
        }
        listener = Some(at);
    }
}

/// Carries one connection until a side closes it or a fault ends it.
async fn carry(shared: Arc<Shared>, mut node: TcpStream, peer: SocketAddr) {
    let mut states = shared.state.subscribe();
    let begun = *states.borrow_and_update();
    let Some(mut peer) = TcpStream::connect(peer).await.ok().filter(|_| begun.mode != Mode::Reset) else {
        let _reset = node.set_zero_linger();
        return;
    };
    let _at_once = (node.set_nodelay(true), peer.set_nodelay(true));
    let reset = {
        let ((from_node, to_node), (from_peer, to_peer)) = (node.split(), peer.split());
        tokio::select! {
            ended = states.wait_for(|state| state.endings != begun.endings) => ended.is_ok_and(|state| state.by_reset),
            // Each direction ends the other too: no protocol here closes one half.
            () = pump(&shared, Direction::ToPeer, from_node, to_peer) => false,
            () = pump(&shared, Direction::ToNode, from_peer, to_node) => false,
        }
    };
    if reset {
        let _reset = (node.set_zero_linger(), peer.set_zero_linger());
    }
}

/// Carries one direction.
async fn pump(shared: &Shared, direction: Direction, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) {
    let mut states = shared.state.subscribe();
    let mut bytes = vec![0; 65_536];
    loop {
        passes(&mut states, direction).await;
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            _ = states.changed() => continue,
        };
        let Ok(count @ 1..) = read else { return };
        // What was read just before a hold waits as well.
        let mode = passes(&mut states, direction).await;
        if let Mode::Delay(time) = mode {
            tokio::time::sleep(time).await;
        }
        if direction == Direction::ToNode {
            rename(&mut bytes[..count], &shared.renamed);
        }
        let whole = i64::try_from(count).expect("a small number");
        let carried = match mode {
            Mode::CutAfter(cut, _) if cut == direction => whole.min(shared.left.fetch_sub(whole, Ordering::SeqCst).max(0)),
            _ => whole,
        };
        let written = to.write_all(&bytes[..usize::try_from(carried).expect("not negative")]).await;
        if carried < whole {
            // All connections end, and those that come next pass.
            shared.state.send_modify(|state| {
                state.end(false);
                state.mode = Mode::Pass;
            });
        }
        if written.is_err() || carried < whole {
            return;
        }
    }
}

/// Waits while the direction is held, and returns what is done with it now.
async fn passes(states: &mut watch::Receiver<State>, direction: Direction) -> Mode {
    let held = |mode: Mode| matches!(mode, Mode::Hold(way) if way.holds(direction));
    states.wait_for(|state| !held(state.mode)).await.map_or(Mode::Cut, |state| state.mode)
}

/// Replaces port numbers of five digits, as RESP writes them: a text (Sentinel), a number (`CLUSTER SLOTS`), and the end of an address (`MOVED`).
fn rename(bytes: &mut [u8], renamed: &[(u16, u16)]) {
    for (before, (from, to)) in ["$5\r\n", ":"].into_iter().flat_map(|before| renamed.iter().map(move |one| (before, one))) {
        let (from, to) = (format!("{before}{from}\r\n"), format!("{before}{to}\r\n"));
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
            bytes[at + found..at + found + from.len()].copy_from_slice(to.as_bytes());
            at += found + from.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says everything twice, and a connection to it through a proxy.
    async fn echo() -> (Proxy, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let peer = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut bytes = [0; 64];
                    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                        let _gone = stream.write_all(&[&bytes[..count], &bytes[..count]].concat()).await;
                    }
                });
            }
        });
        let proxy = Proxy::before(peer).await;
        let own = SocketAddr::from(([127, 0, 0, 1], proxy.port));
        (proxy, own)
    }

    async fn said(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
        stream.write_all(text.as_bytes()).await?;
        heard(stream).await
    }

    async fn heard(stream: &mut TcpStream) -> std::io::Result<String> {
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).await?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }

    #[tokio::test]
    async fn a_proxy_carries_delays_and_holds() {
        let (proxy, own) = echo().await;
        let mut stream = TcpStream::connect(own).await.expect("connects");
        assert_eq!(said(&mut stream, "a").await.expect("carried"), "aa");
        proxy.set(Mode::Delay(Duration::from_millis(100)));
        let begun = std::time::Instant::now();
        assert_eq!(said(&mut stream, "b").await.expect("carried"), "bb");
        assert!(begun.elapsed() >= Duration::from_millis(200), "late in each direction");
        for way in [Way::Both, Way::Only(Direction::ToPeer), Way::Only(Direction::ToNode)] {
            proxy.set(Mode::Hold(way));
            let nothing = tokio::time::timeout(Duration::from_millis(100), said(&mut stream, "c")).await;
            assert!(nothing.is_err(), "{way:?}");
            proxy.set(Mode::Pass);
            assert_eq!(heard(&mut stream).await.expect("carried at last"), "cc", "{way:?}");
        }
    }

    #[tokio::test]
    async fn a_proxy_cuts_refuses_and_resets() {
        let (proxy, own) = echo().await;
        let mut stream = TcpStream::connect(own).await.expect("connects");
        assert_eq!(said(&mut stream, "a").await.expect("carried"), "aa");
        proxy.set(Mode::Cut);
        assert_eq!(heard(&mut stream).await.expect("closed in order"), "");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let refused = TcpStream::connect(own).await.expect_err("refused");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        proxy.set(Mode::Pass);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut stream = TcpStream::connect(own).await.expect("connects again");
        assert_eq!(said(&mut stream, "b").await.expect("carried"), "bb");
        proxy.set(Mode::Reset);
        assert_eq!(heard(&mut stream).await.expect_err("reset").kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_proxy_loses_an_answer_and_goes_on() {
        let (proxy, own) = echo().await;
        for (bytes, rest) in [(0, ""), (1, "a")] {
            let mut stream = TcpStream::connect(own).await.expect("connects");
            assert_eq!(said(&mut stream, "a").await.expect("carried"), "aa");
            proxy.set(Mode::CutAfter(Direction::ToNode, bytes));
            assert_eq!(said(&mut stream, "a").await.expect("torn"), rest);
            assert!(matches!(heard(&mut stream).await, Ok(nothing) if nothing.is_empty()));
            assert_eq!(proxy.mode(), Mode::Pass, "once");
        }
        let mut bytes = *b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n16379\r\n";
        rename(&mut bytes, &[(16_379, 20_001)]);
        assert!(bytes.ends_with(b"$5\r\n20001\r\n"));
    }
}
