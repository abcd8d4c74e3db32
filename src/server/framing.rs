//! Refuses an HTTP/1 message whose end two parsers could read differently (ABUSE D-16).
//!
//! hyper repairs such messages: it drops `Content-Length` if there is also a `Transfer-Encoding`, and accepts equal repeated
//! lengths and bare LF. A proxy before us may read the same bytes the other way, and then one client's body is the next
//! client's request (RFC 9112 section 11.2). So the bytes pass a scanner that knows only line ends and these two headers. The
//! scanner overwrites a byte that it refuses with NUL, so that hyper itself answers 400 and closes.
//!
//! After a chunked request the scanner is off, since it does not parse chunks; `connection` closes after the answer to one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// A transport whose HTTP/1 input is unambiguous.
pub(super) struct Strict<T> {
    inner: T,
    scanner: Scanner,
    activity: Arc<Activity>,
    /// The bytes that hyper still has to read after a refusal.
    tail: &'static [u8],
}

/// hyper parses a head again only when it ends, so a refused head gets an end.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

impl<T> Strict<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, scanner: Scanner::default(), activity, tail: END_OF_HEAD }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Strict<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.scanner.place == Place::Refused {
            let (now, later) = this.tail.split_at(this.tail.len().min(buf.remaining()));
            buf.put_slice(now);
            this.tail = later;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if this.scanner.place == Place::Off {
            return Poll::Ready(Ok(()));
        }
        let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
        if let Some(at) = this.scanner.scan(fresh) {
            if let Some(byte) = fresh.get_mut(at) {
                *byte = 0;
            }
            buf.set_filled(before + at + 1);
        }
        this.activity.reading_head(this.scanner.is_within_head());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Strict<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The bytes of a line that the scanner keeps: enough for the two names and their values.
const KEPT: usize = 96;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    /// Within a head, or before one.
    #[default]
    Head,
    /// Within a body, with this many bytes to come.
    Body(u64),
    /// HTTP/2, or after a chunked request.
    Off,
    /// The message was refused; the connection is over.
    Refused,
}

#[derive(Default)]
struct Scanner {
    place: Place,
    /// The first bytes of the present line. `length` is its whole length.
    line: Vec<u8>,
    length: usize,
    after_cr: bool,
    /// True if the present head has its request line.
    ///
    /// `later` is true after the connection's first head.
    started: bool,
    later: bool,
    content_length: Option<u64>,
    chunked: bool,
}

impl Scanner {
    /// Scans more bytes. Returns the position of the byte at which the input becomes ambiguous.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.place {
                Place::Head => {
                    let ends = rest.iter().position(|byte| *byte == b'\n');
                    let (line, _) = rest.split_at(ends.unwrap_or(rest.len()));
                    if self.part_of_line(line).is_err() {
                        self.place = Place::Refused;
                        return Some(at);
                    }
                    at += line.len();
                    if ends.is_none() {
                        continue;
                    }
                    if self.end_of_line().is_err() {
                        self.place = Place::Refused;
                        return Some(at);
                    }
                    at += 1;
                }
                Place::Body(left) => {
                    let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(left);
                    self.place = if here == left { Place::Head } else { Place::Body(left - here) };
                    at += usize::try_from(here).unwrap_or(usize::MAX);
                }
                Place::Off | Place::Refused => break,
            }
        }
        None
    }

    fn is_within_head(&self) -> bool {
        self.place == Place::Head && (self.started || self.length > 0)
    }

    /// Adds a part of the present line, without its end.
    fn part_of_line(&mut self, part: &[u8]) -> Result<(), ()> {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { return Ok(()) };
        // A line that continues the one before it (obs-fold, RFC 9112 section 5.2).
        if self.length == 0 && self.started && matches!(first, b' ' | b'\t') {
            return Err(());
        }
        self.after_cr = *last == b'\r';
        self.length = self.length.saturating_add(part.len());
        let room = KEPT - self.line.len().min(KEPT);
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
        Ok(())
    }

    /// Ends a line, which must end with CR LF.
    ///
    /// RFC 9112 section 2.2 lets others end it with LF alone.
    fn end_of_line(&mut self) -> Result<(), ()> {
        if !self.after_cr {
            return Err(());
        }
        let line = std::mem::take(&mut self.line);
        let whole = self.length == line.len();
        let is_empty = self.length == 1;
        (self.length, self.after_cr) = (0, false);
        match (self.started, is_empty) {
            // Empty lines before a request line are allowed (RFC 9112 section 2.2).
            (false, true) => {}
            (false, false) => {
                self.started = true;
                if !self.later && line == b"PRI * HTTP/2.0\r" {
                    self.place = Place::Off;
                }
            }
            (true, false) => self.header(&line, whole)?,
            (true, true) => self.end_of_head(),
        }
        self.line = line;
        self.line.clear();
        Ok(())
    }

    /// Checks a header: each of the two once, and never both (RFC 9112 sections 6.1 and 6.3).
    fn header(&mut self, line: &[u8], whole: bool) -> Result<(), ()> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = line.split_at(colon);
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        if !is_length && !name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Ok(());
        }
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        if !whole || self.content_length.is_some() || self.chunked {
            return Err(());
        }
        if is_length {
            let digits = std::str::from_utf8(value).map_err(drop)?;
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(());
            }
            self.content_length = Some(digits.parse().map_err(drop)?);
        } else if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
        } else {
            return Err(());
        }
        Ok(())
    }

    fn end_of_head(&mut self) {
        let length = self.content_length.take().unwrap_or(0);
        self.place = match (std::mem::take(&mut self.chunked), length) {
            (true, _) => Place::Off,
            (false, 0) => Place::Head,
            (false, length) => Place::Body(length),
        };
        (self.started, self.later) = (false, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        let mut whole = Scanner::default();
        let outcome = whole.scan(text.as_bytes());
        let mut split = Scanner::default();
        let bytewise = text.bytes().any(|byte| split.scan(&[byte]).is_some());
        assert_eq!(outcome.is_some(), bytewise, "the same in one piece and byte by byte: {text:?}");
        bytewise
    }

    #[test]
    fn d_16_two_readings_are_refused() {
        let post = |headers: &str| format!("POST /t HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nxxxxx");
        for bad in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\ncontent-length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: -5",
            "Content-Length: ",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "X: y\n Content-Length: 5",
            "X: y\r\n folded",
            "X: y\nZ: w",
        ] {
            assert!(refused(&post(bad)), "{bad:?}");
        }
        assert!(refused(&post(&format!("Content-Length:{}5", " ".repeat(200)))));
    }

    #[test]
    fn d_16_what_has_one_reading_passes() {
        for good in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\n\r\na\nb\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\na\n\n\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\n",
        ] {
            assert!(!refused(good), "{good:?}");
        }
        assert!(refused("GET / HTTP/1.1\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\n"), "only the first line can begin HTTP/2");
    }

    #[test]
    fn a_head_is_unfinished_until_its_empty_line() {
        let mut scanner = Scanner::default();
        assert!(!scanner.is_within_head());
        scanner.scan(b"GET / HT");
        assert!(scanner.is_within_head());
        scanner.scan(b"TP/1.1\r\nContent-Length: 2\r\n\r\n1");
        assert!(!scanner.is_within_head());
        scanner.scan(b"2P");
        assert!(scanner.is_within_head());
    }
}
