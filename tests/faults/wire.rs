//! The plainest HTTP/1.1 client with a time limit: a node may be stopped, or die while it answers.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest wait for an answer.
const LONGEST: Duration = Duration::from_secs(8);

/// An answer; `status` 0 if none arrived, or only a part of one.
#[derive(Debug, Default)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// `X-Request-Id`.
    pub request: String,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// Its body, if that is JSON.
    pub body: Value,
}

/// A request.
pub struct Request {
    /// Method and path.
    pub line: String,
    /// Headers but for `Host` and those that the body needs.
    pub headers: Vec<(&'static str, String)>,
    /// Content type and body.
    pub body: Option<(&'static str, String)>,
}

impl Request {
    /// GET.
    pub fn get(path: &str) -> Self {
        Self { line: format!("GET {path}"), headers: Vec::new(), body: None }
    }

    /// POST of JSON.
    pub fn json(path: &str, body: &Value) -> Self {
        Self { line: format!("POST {path}"), headers: Vec::new(), body: Some(("application/json", body.to_string())) }
    }

    /// POST of a form.
    pub fn form(path: &str, form: &[(&str, &str)]) -> Self {
        let body = Some(("application/x-www-form-urlencoded", self::form(form)));
        Self { line: format!("POST {path}"), headers: Vec::new(), body }
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Sends it to `to`, which is called `host`.
    pub async fn send(&self, to: SocketAddr, host: &str) -> Answer {
        let mut text = format!("{} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Some((kind, body)) => {
                text.push_str(&format!("content-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
            }
            None => text.push_str("content-length: 0\r\n\r\n"),
        }
        tokio::time::timeout(LONGEST, exchange(to, text.as_bytes())).await.ok().flatten().unwrap_or_default()
    }
}

/// The text of a form.
pub fn form(form: &[(&str, &str)]) -> String {
    form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

/// The body of a page that is plain text.
pub async fn text(to: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(to).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answers");
    answer
}

async fn exchange(to: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    parse(&answer)
}

/// A whole answer.
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let named = |name: &str| {
        let is = |line: &&str| line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
        head.lines().find(is).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let body = &bytes[split + 4..];
    let body = if named("transfer-encoding").is_some() { dechunked(body)? } else { body.to_vec() };
    // A body that was cut off is no answer.
    let length = named("content-length").and_then(|length| length.parse().ok()).unwrap_or(body.len());
    (body.len() == length).then_some(())?;
    let request = named("x-request-id").unwrap_or_default();
    let retry_after = named("retry-after").and_then(|seconds| seconds.parse().ok());
    Some(Answer { status, request, retry_after, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

fn dechunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let at = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(at + 2..at + 2 + size)?);
        bytes = bytes.get(at + 4 + size..)?;
    }
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
