//! Tests of hostile peers over real sockets, against the front's example router.
//!
//! The times are those of production divided by about twenty.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Listener, Settings, tls};
use crate::http::front::tests::{front, router};
use crate::http::front::{ErrorShape, Hosts};
use crate::http::metrics::Socket;

struct House {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

fn short() -> Settings {
    Settings {
        handshake: Duration::from_millis(300),
        head: Duration::from_millis(400),
        idle: Duration::from_millis(800),
        handling: Duration::from_secs(3),
        sending: Duration::from_millis(400),
        drain: Duration::from_millis(600),
        linger: Duration::from_millis(200),
        tick: Duration::from_millis(50),
        connections: 1000,
        connections_per_address: 500,
        uncounted: Vec::new(),
    }
}

async fn house_with(settings: Settings, tls: Option<Arc<rustls::ServerConfig>>) -> House {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let listener = Listener::bind(Socket::Public, any, tls).await.expect("a free port");
    let address = SocketAddr::from(([127, 0, 0, 1], listener.address().port()));
    let (stop, stopped) = watch::channel(false);
    let front = front(ErrorShape::OAuth, Hosts::RoutesLook);
    let metrics = front.metrics.clone();
    let served = tokio::spawn(listener.serve(router(front), settings, metrics, stopped));
    House { address, stop, served }
}

async fn house() -> House {
    house_with(short(), None).await
}

impl House {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Sends bytes and reads until the server closes; returns the answer and the time it took.
    async fn talk(&self, bytes: &[u8]) -> (String, Duration) {
        let mut stream = self.connect().await;
        let started = Instant::now();
        // A refusal may come, and the connection close, while we still send.
        let _ = stream.write_all(bytes).await;
        (read_to_close(&mut stream).await, started.elapsed())
    }
}

/// Everything that comes until the server closes, which it must do within five seconds.
async fn read_to_close(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the connection is still open; so far: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test]
async fn d_01_large_and_endless_bodies_get_413_and_a_close() {
    let house = house().await;
    for size in [16 * 1024 + 1, 3_000_000] {
        let mut request = format!("POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").into_bytes();
        request.resize(request.len() + size, b'x');
        // Sent and answered completely: a reset on the way would cost some clients the answer.
        let mut stream = house.connect().await;
        stream.write_all(&request).await.expect("not cut off while sending");
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.expect("closed");
        read.expect("closed without a reset");
        assert_eq!(status(&answer), "413", "{size}: {answer}");
        assert!(answer.contains(r#"{"error":"invalid_request""#) && answer.contains("connection: close"), "{answer}");
    }
    let mut stream = house.connect().await;
    stream.write_all(b"POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.expect("sent");
    let (mut read, mut write) = stream.split();
    let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
    let endless = async { while write.write_all(&chunk).await.is_ok() {} };
    let answer = async {
        let mut seen = vec![0; 4096];
        let length = read.read(&mut seen).await.unwrap_or(0);
        String::from_utf8_lossy(&seen[..length]).into_owned()
    };
    let (answer, ()) = timeout(Duration::from_secs(5), async { tokio::join!(answer, endless) }).await.expect("cut off");
    assert_eq!(status(&answer), "413", "{answer}");
}

#[tokio::test]
async fn d_02_slow_heads_and_bodies_are_closed() {
    let house = house().await;
    let begun = "POST /token HTTP/1.1\r\nHost: a\r\n";
    for (sent, expected) in [
        (String::new(), "none"),
        ("PRI * HTTP/2.0".to_owned(), "none"),
        (begun.to_owned(), "none"),
        (format!("{begun}Content-Length: 5\r\n\r\nab"), "408"),
        (format!("{begun}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"), "408"),
    ] {
        let (answer, took) = house.talk(sent.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{sent:?}");
        assert!(took >= Duration::from_millis(250) && took < Duration::from_millis(1500), "{sent:?}: {took:?}");
    }
}

#[tokio::test]
async fn d_02_a_head_that_trickles_is_closed_too_also_on_a_used_connection() {
    let house = house_with(Settings { idle: Duration::from_secs(20), ..short() }, None).await;
    let mut stream = house.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    let mut seen = [0; 1024];
    assert!(stream.read(&mut seen).await.expect("an answer") > 0);
    let started = Instant::now();
    for byte in b"GET /livez HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter() {
        if stream.write_all(&[*byte]).await.is_err() || started.elapsed() > Duration::from_secs(3) {
            break;
        }
        sleep(Duration::from_millis(30)).await;
    }
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn d_02_a_slow_reader_is_closed() {
    let house = house().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let mut stream = socket.connect(house.address).await.expect("a connection");
    stream.write_all(b"GET /status/1 HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    sleep(Duration::from_millis(1500)).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("closed");
    assert!(answer.len() < 4_000_000, "only what the kernel held: {}", answer.len());
}

#[tokio::test]
async fn an_idle_connection_outlives_a_head_and_then_ends() {
    let house = house().await;
    let (answer, took) = house.talk(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&answer), "200");
    assert!(took > Duration::from_millis(600) && took < Duration::from_millis(2000), "{took:?}");
}

#[tokio::test]
async fn d_10_silent_connections_of_one_address_leave_room_and_are_reaped() {
    let house = house_with(Settings { connections: 150, connections_per_address: 100, ..short() }, None).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(house.connect().await);
    }
    let from_elsewhere = async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).expect("a second address");
        let mut stream = socket.connect(house.address).await.expect("a connection");
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("sent");
        read_to_close(&mut stream).await
    };
    let answer = timeout(Duration::from_millis(300), from_elsewhere).await.expect("before the silent ones are reaped");
    assert_eq!(status(&answer), "200");
    sleep(Duration::from_millis(900)).await;
    let (answer, _) = house.talk(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), "200", "their places are free again");
    drop(silent);
}

#[tokio::test]
async fn d_21_over_the_total_connections_wait_and_are_served_in_turn() {
    let house = house_with(Settings { connections: 4, connections_per_address: 100, ..short() }, None).await;
    let _silent = [house.connect().await, house.connect().await, house.connect().await, house.connect().await];
    sleep(Duration::from_millis(50)).await;
    let (answer, took) = house.talk(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), "200");
    assert!(took >= Duration::from_millis(200), "it had to wait: {took:?}");
}

#[tokio::test]
async fn d_14_large_and_strange_headers_are_refused_or_ignored() {
    let house = house().await;
    let with = |header: &[u8]| [b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", header, b"\r\n\r\n"].concat();
    for (header, expected) in [
        (format!("X: {}", "x".repeat(64 * 1024)).into_bytes(), "431"),
        ("X: y\r\n".repeat(100).trim_end().as_bytes().to_vec(), "431"),
        (b"X: \xff\xfe".to_vec(), "200"),
        (b"X: a\0b".to_vec(), "400"),
        (b"X : y".to_vec(), "400"),
        (b"Authorization: \xff".to_vec(), "200"),
    ] {
        let (answer, _) = house.talk(&with(&header)).await;
        assert_eq!(status(&answer), expected, "{:?}", String::from_utf8_lossy(&header[..header.len().min(40)]));
    }
}

#[tokio::test]
async fn d_16_ambiguous_messages_get_400_and_a_close() {
    let house = house().await;
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: +4\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "X: y\nContent-Length: 4\r\n",
        "X: y\r\n z\r\nContent-Length: 4\r\n",
    ] {
        let request =
            format!("POST /token HTTP/1.1\r\nHost: a\r\n{headers}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
        let (answer, _) = house.talk(request.as_bytes()).await;
        assert_eq!(status(&answer), "400", "{headers:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "nothing behind it is answered: {answer}");
    }
}

#[tokio::test]
async fn d_16_a_chunked_request_is_the_last_of_its_connection() {
    let house = house().await;
    let request = "POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (answer, took) = house.talk(format!("{request}GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    assert_eq!(status(&answer), "200");
    assert!(answer.ends_with("\r\n\r\n3"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(took < Duration::from_millis(600), "{took:?}");
    let twice = "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".repeat(2);
    let (answer, _) = house.talk(twice.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "with a length, connections are kept: {answer}");
}

#[tokio::test]
async fn d_17_d_18_paths_and_methods_over_the_wire() {
    let house = house().await;
    for (line, expected) in [
        ("POST /token/../token", "404"),
        ("POST \\token", "400"),
        ("POST /%74oken", "404"),
        ("TRACE /token", "405"),
        ("OPTIONS *", "404"),
        ("GET http://a/livez", "200"),
        ("CONNECT a:443", "404"),
    ] {
        let (answer, _) = house.talk(format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(status(&answer), expected, "{line}: {answer}");
    }
}

#[tokio::test]
async fn f_03_a_request_in_flight_is_answered_and_the_rest_is_closed() {
    let house = house().await;
    let mut idle = house.connect().await;
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    let mut busy = house.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    let mut stuck = house.connect().await;
    stuck.write_all(b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").await.expect("sent");
    sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    house.stop.send(true).expect("served");
    let (busy, idle) = tokio::join!(read_to_close(&mut busy), read_to_close(&mut idle));
    assert_eq!((status(&busy), status(&idle)), ("200", "200"));
    timeout(Duration::from_secs(2), house.served).await.expect("in time").expect("no panic");
    assert!(started.elapsed() < Duration::from_millis(1200), "{:?}", started.elapsed());
    assert!(TcpStream::connect(house.address).await.is_err(), "nobody listens");
}

/// A certificate for `localhost` and its key, as files.
fn certificate(folder: &Path) -> (Arc<rustls::ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    assert!(matches!(tls::load(&key, &key), Err(tls::TlsFault::Certificate(_))));
    assert!(matches!(tls::load(&chain, &chain), Err(tls::TlsFault::Key(_))));
    (tls::load(&chain, &key).expect("a pair"), made.cert.der().clone())
}

async fn tls_client(
    house: &House,
    root: CertificateDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
    alpn: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, house.connect().await).await.expect("a handshake")
}

#[tokio::test]
async fn public_tls_serves_both_versions_and_half_a_handshake_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, root) = certificate(folder.path());
    let house = house_with(short(), Some(server)).await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut stream = tls_client(&house, root.clone(), version, b"http/1.1").await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("sent");
        assert_eq!(status(&read_to_close(&mut stream).await), "200");
    }
    let (_, took) = house.talk(&[0x16, 3, 1, 2, 0, 1]).await;
    assert!(took >= Duration::from_millis(250) && took < Duration::from_millis(1200), "{took:?}");
    let (answer, _) = house.talk(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1 200"), "no plain HTTP on a TLS socket: {answer}");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An HTTP/2 frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET` of a path in HPACK (RFC 7541): method and scheme indexed, path and authority literal.
fn get_headers(path: &str) -> Vec<u8> {
    let literal = |name: u8, text: &str| [&[name, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    [vec![0x82, 0x86], literal(0x04, path), literal(0x01, "a")].concat()
}

async fn h2_over(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), frames: &[Vec<u8>]) -> Vec<u8> {
    let _ = stream.write_all(&[PREFACE, &frame(4, 0, 0, &[]), &frames.concat()].concat()).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("closed");
    answer
}

/// True if the answer has a frame of this kind whose payload has `mark`.
fn has_frame(mut answer: &[u8], kind: u8, mark: &[u8]) -> bool {
    while let Some((head, rest)) = answer.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some((payload, next)) = rest.split_at_checked(length) else { return false };
        if head[3] == kind && (mark.is_empty() || payload.windows(mark.len()).any(|window| window == mark)) {
            return true;
        }
        answer = next;
    }
    false
}

#[tokio::test]
async fn d_07_d_08_d_09_http2_floods_end_the_connection() {
    let house = house().await;
    // A well-formed request first, so that the next ones are refused for what they are: ":status 200" is 0x88.
    let plain = h2_over(&mut house.connect().await, &[frame(1, 5, 1, &get_headers("/livez"))]).await;
    assert!(has_frame(&plain, 1, &[0x88]), "{plain:?}");
    let house = house_with(Settings { idle: Duration::from_secs(20), ..short() }, None).await;
    // Rapid reset (CVE-2023-44487).
    let resets = (0..5000_u32)
        .flat_map(|n| [frame(1, 5, n * 2 + 1, &get_headers("/stuck")), frame(3, 0, n * 2 + 1, &[0, 0, 0, 8])])
        .collect::<Vec<_>>();
    // CONTINUATION without end (CVE-2024-27316), and one that just stops.
    let header = [[0x00, 0x01, b'x', 0x7f, 0x00].as_slice(), &[b'y'; 127]].concat();
    let endless =
        std::iter::once(frame(1, 0, 1, &get_headers("/livez"))).chain((0..2000).map(|_| frame(9, 0, 1, &header))).collect();
    let stops = vec![frame(1, 0, 1, &get_headers("/livez"))];
    // A window that never opens: SETTINGS_INITIAL_WINDOW_SIZE 0.
    let closed_window = vec![frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]), frame(1, 5, 1, &get_headers("/status/1"))];
    for (name, frames) in [("reset", resets), ("endless", endless), ("stops", stops), ("window", closed_window)] {
        let started = Instant::now();
        h2_over(&mut house.connect().await, &frames).await;
        assert!(started.elapsed() < Duration::from_secs(2), "{name}: {:?}", started.elapsed());
    }
    let (answer, _) = house.talk(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), "200", "the house stands");
}

#[tokio::test]
async fn http2_over_tls_is_chosen_by_alpn() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, root) = certificate(folder.path());
    let house = house_with(short(), Some(server)).await;
    let mut stream = tls_client(&house, root, &rustls::version::TLS13, b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let answer = h2_over(&mut stream, &[frame(1, 5, 1, &get_headers("/livez"))]).await;
    assert!(has_frame(&answer, 1, &[0x88]), "{answer:?}");
}
