//! A transport that times out on slow readers and does not lose its own last answer.
//!
//! *Slow read (ABUSE D-02):* a write that stalls and then moves less than [`PROGRESS`] within the limit fails. *Lingering
//! close:* the kernel resets a socket that is closed with unread input, and the reset may overtake the answer (a 413 to a
//! client that is still sending, ABUSE D-01). So after our FIN we read on for a moment and discard the input (RFC 9112
//! section 9.6).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The bytes that count as progress of a stalled write.
const PROGRESS: usize = 16 * 1024;

/// The bytes of input that a closed connection may still send before we reset it.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// A transport with a limit on stalled writes and a lingering close.
pub(super) struct Paced<T> {
    inner: T,
    stall: Duration,
    linger: Duration,
    blocked: Option<Pin<Box<Sleep>>>,
    moved: usize,
    lingering: Option<Pin<Box<Sleep>>>,
    discarded: usize,
}

impl<T> Paced<T> {
    pub(super) fn new(inner: T, stall: Duration, linger: Duration) -> Self {
        Self { inner, stall, linger, blocked: None, moved: 0, lingering: None, discarded: 0 }
    }

    /// Turns a pending write into a time-out once it has stalled for too long.
    fn pace(&mut self, cx: &mut Context<'_>, offered: usize, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(taken)) => {
                self.moved = self.moved.saturating_add(taken);
                if taken == offered || self.moved >= PROGRESS {
                    self.blocked = None;
                    self.moved = 0;
                }
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let stall = self.stall;
                let deadline = self.blocked.get_or_insert_with(|| Box::pin(sleep(stall)));
                ready!(deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.pace(cx, buf.len(), outcome)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.pace(cx, bufs.iter().map(|buf| buf.len()).sum(), outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        let linger = this.linger;
        let deadline = this.lingering.get_or_insert_with(|| Box::pin(sleep(linger)));
        let mut waste = [0; 4096];
        while this.discarded < LINGER_BYTES && deadline.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => this.discarded += buf.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
