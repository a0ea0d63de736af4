//! How do the streams of a TCP connection share it, how many are there, and how much waits in them?
//!
//! What libp2p offers of yamux lets the windows of a connection grow up to 1 GiB, and all of that
//! waits in memory when a stream is not read from. And it ends the whole connection for one stream
//! too many, whoever opened it: over a relay that would be anybody. This is the same protocol with
//! bounds: no window grows beyond the 256 KiB with which each begins, a stream too many is reset, and
//! one of our own waits until there is room.

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    io::{self, IoSlice},
    iter,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready as ready_or_pending},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::{
    UpgradeInfo,
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
};
use yamux::{Connection, ConnectionError, Mode};

/// The window of a stream, as the protocol has it.
const WINDOW_BYTES: usize = 256 * 1024;
/// Streams beyond ours that yamux holds: one that is being reset, and some slack.
const RESETTING_MAX: usize = 8;

/// How many streams a connection may have.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Opened by the other end.
    pub incoming_max: u16,
    /// Opened by us.
    pub outgoing_max: u16,
}

impl Config {
    fn connection<C: AsyncRead + AsyncWrite + Unpin>(self, io: C, mode: Mode) -> Muxer<C> {
        let [incoming, outgoing] = [self.incoming_max, self.outgoing_max].map(usize::from);
        let streams = incoming + outgoing + RESETTING_MAX;
        let mut config = yamux::Config::default();
        config.set_max_num_streams(streams);
        config.set_max_connection_receive_window(Some(streams * WINDOW_BYTES));
        Muxer {
            connection: Connection::new(io, config, mode),
            incoming: Places::new(incoming),
            outgoing: Places::new(outgoing),
            waiting: VecDeque::new(),
            waker: None,
        }
    }
}

/// A connection with its streams.
#[derive(Debug)]
pub struct Muxer<C> {
    connection: Connection<C>,
    incoming: Arc<Places>,
    outgoing: Arc<Places>,
    /// Streams that came while nobody asked for one.
    waiting: VecDeque<Stream>,
    waker: Option<Waker>,
}

/// A stream, which has a place until it is dropped.
#[derive(Debug)]
pub struct Stream {
    inner: yamux::Stream,
    _place: Place,
}

#[derive(Debug)]
struct Places {
    max: usize,
    taken: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

#[derive(Debug)]
struct Place(Arc<Places>);

impl Places {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: AtomicUsize::new(0), waker: Mutex::default() })
    }

    /// A place; all who take one do so one after the other.
    fn take(self: &Arc<Self>) -> Option<Place> {
        (self.taken.load(Ordering::Acquire) < self.max).then(|| {
            self.taken.fetch_add(1, Ordering::AcqRel);
            Place(Arc::clone(self))
        })
    }

    fn waker(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        if let Some(waker) = self.0.waker().take() {
            waker.wake();
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    /// The next stream for which there is a place; others are reset.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        loop {
            let next = ready_or_pending!(self.connection.poll_next_inbound(context));
            let inner = next.unwrap_or(Err(ConnectionError::Closed)).map_err(failed)?;
            if let Some(place) = self.incoming.take() {
                return Poll::Ready(Ok(Stream { inner, _place: place }));
            }
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Stream>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.poll_next(context);
        if next.is_pending() {
            self.waker = Some(context.waker().clone());
        }
        next
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Stream>> {
        // Left before it is looked, so that no place is given back unseen in between.
        *self.outgoing.waker() = Some(context.waker().clone());
        let Some(place) = self.outgoing.take() else { return Poll::Pending };
        let inner = ready_or_pending!(self.connection.poll_new_outbound(context));
        Poll::Ready(inner.map(|inner| Stream { inner, _place: place }).map_err(failed))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_close(context).map_err(failed)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<StreamMuxerEvent>> {
        let stream = ready_or_pending!(self.poll_next(context))?;
        self.waiting.push_back(stream);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

fn failed(error: ConnectionError) -> io::Error {
    match error {
        ConnectionError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl UpgradeInfo for Config {
    type Info = &'static str;
    type InfoIter = iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Config {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(self.connection(io, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Config {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(self.connection(io, Mode::Client)))
    }
}

#[cfg(test)]
mod tests;
