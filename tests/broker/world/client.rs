//! The plainest HTTP/1.1 client: what a test sends is what stands here.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Status and body, for messages: a token that should not have been is not printed either.
    pub fn text(&self) -> String {
        let mut told = self.json();
        match told.get_mut("access_token") {
            Some(token) => {
                *token = "[a token]".into();
                format!("{} {told}", self.status)
            }
            None => format!("{} {}", self.status, String::from_utf8_lossy(&self.body)),
        }
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The one header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Status, headers and body without what may differ between two answers of one kind.
    pub fn shape(&self) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let differs = |name: &str| name == "x-request-id" || name == "date";
        let mut headers: Vec<_> = self.headers.iter().filter(|(name, _)| !differs(name)).cloned().collect();
        headers.sort();
        (self.status, headers, self.body.clone())
    }
}

/// Sends a request on a connection of its own.
pub async fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let answer = raw(to, &[head.as_bytes(), body].concat()).await;
    super::description::holds(method, path, &answer);
    answer
}

/// GET, naming another host than the address says.
pub async fn send_as(to: SocketAddr, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    raw(to, format!("{head}\r\n").as_bytes()).await
}

/// Sends bytes and reads the answer until the connection closes.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> Answer {
    try_raw(to, bytes).await.expect("connects")
}

/// The same for a server that may not be there, or die on the way; what came of it then has status 0.
pub async fn try_raw(to: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).await.ok()?;
    // A server that refuses early may close while we still write.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Some(parse(&answer))
}

fn parse(bytes: &[u8]) -> Answer {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = bytes.get(split + 4..).unwrap_or_default().to_vec();
    if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
        body = dechunk(&body);
    }
    Answer { status, headers, body }
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).unwrap_or("0"), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&bytes[at + 2..at + 2 + size]);
        bytes = &bytes[at + 4 + size..];
    }
    whole
}

/// GET.
pub async fn get(to: SocketAddr, path: &str) -> Answer {
    send(to, "GET", path, &[], b"").await
}

/// POST of a form.
pub async fn post_form(to: SocketAddr, path: &str, form: &[(&str, &str)]) -> Answer {
    let body: Vec<String> = form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    send(to, "POST", path, &headers, body.join("&").as_bytes()).await
}

/// The bytes of a form POST on a connection of its own.
pub fn form_request(to: SocketAddr, path: &str, form: &[(&str, &str)]) -> Vec<u8> {
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    let body = pairs.join("&");
    let kind = "application/x-www-form-urlencoded";
    let head = format!("POST {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: {kind}\r\n");
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Percent-encodes everything that is not unreserved.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A port that nobody listens at, never given twice, and below those that the kernel gives to connections: a server that is stopped finds
/// its port free when it starts again, and somebody who tries again and again to reach a port without a listener is not given that very
/// port, and connected with itself.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let from = 10_000 + (std::process::id() % 10_000) as u16;
    loop {
        let port = from + GIVEN.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A text that no other call of this process got.
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("u{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
