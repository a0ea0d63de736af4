//! Who holds a connection, and does the other end take what it is sent?

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    limits::{BYTES_PER_SECOND_MIN, TRANSFER_GRACE},
    throttle::network,
};

/// Counts connections, in all and by address.
#[derive(Debug)]
pub(crate) struct Doors {
    all_max: usize,
    each_max: usize,
    inside: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

impl Doors {
    pub(crate) fn new(all_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, each_max, inside: Mutex::default() })
    }

    /// A place for a connection; a proxy may have all of them.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, is_proxy: bool) -> Option<Place> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *inside;
        if *all >= self.all_max {
            return None;
        }
        let address = network(address);
        let each = by_address.entry(address).or_default();
        if *each >= self.each_max && !is_proxy {
            return None;
        }
        *each += 1;
        *all += 1;
        Some(Place { doors: Arc::clone(self), address })
    }

    pub(crate) fn count(&self) -> usize {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A place that a connection has until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    doors: Arc<Doors>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.doors.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *inside;
        *all -= 1;
        if let Some(each) = by_address.get_mut(&self.address) {
            *each -= 1;
            if *each == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// A stream that breaks when the other end takes what it is sent too slowly. What waits to be sent
/// fills memory; hyper itself waits for ever.
#[derive(Debug)]
pub(crate) struct Paced<S> {
    stream: S,
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, late: None }
    }

    /// Begins to count when the other end does not take everything at once; each byte that it takes
    /// gives it more time.
    fn pace(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&written, &mut self.late) {
            (Poll::Ready(Ok(bytes)), Some(late)) => {
                let more = Duration::from_micros(
                    (*bytes as u64).saturating_mul(1_000_000) / BYTES_PER_SECOND_MIN,
                );
                let deadline = late.deadline() + more;
                late.as_mut().reset(deadline);
            }
            (Poll::Pending, late) => {
                let late = late
                    .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + TRANSFER_GRACE)));
                if late.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
            _ => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = space.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, space);
        // Who asks again has what was sent before.
        if space.filled().len() > before {
            self.late = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.pace(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.pace(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
