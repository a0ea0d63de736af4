//! What happens on a link from its first frame to its last?
//!
//! One task carries the frames of one link in both directions. It tells the engine `LinkUp`, the
//! frames in their order, and `LinkDown`, each at the engine's pace; a slow engine makes the peer
//! wait, not the memory grow.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use libp2p::Stream;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    LinkId, NetworkEvent, Shared,
    counters::Counter,
    frames::{FrameError, HEADER_BYTES, append_frame, read_frame, write_batch},
    limits::{BATCH_BYTES, CHUNK_BYTES, DRAIN_TIMEOUT},
    queue::QueueReceiver,
};

/// What a link's task tells the driver.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Notice {
    /// The engine knows the link.
    Up(LinkId),
    /// The link has carried as much as one connection should.
    Worn(LinkId),
    /// The link takes nothing more; what is queued may still leave.
    Ending(LinkId),
    /// The connection can be closed.
    Done(LinkId),
}

/// Why a link ended.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum End {
    /// The engine, or the end of the network, asked for it.
    Asked,
    /// We finished and so did the peer, or it had the time to.
    Retired,
    /// The peer finished.
    Finished,
    /// The peer's fault, or its connection's.
    Failed(FrameError),
    /// The peer doesn't read.
    Slow,
    /// Nobody takes events any more.
    Unheard,
}

/// How a link is made to end.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    /// Now; what the peer still sends is not delivered.
    pub(super) now: CancellationToken,
    /// In order: our queue leaves, the peer's last frames are delivered.
    pub(super) retire: CancellationToken,
}

impl Closing {
    pub(super) fn new() -> Self {
        let now = CancellationToken::new();
        let retire = now.child_token();
        Self { now, retire }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.retire.is_cancelled()
    }
}

/// One link and all it needs.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) link: LinkId,
    pub(super) up: NetworkEvent,
    pub(super) queue: QueueReceiver,
    pub(super) closing: Closing,
    pub(super) events: mpsc::Sender<NetworkEvent>,
    pub(super) notices: mpsc::Sender<Notice>,
    pub(super) shared: Arc<Shared>,
    /// The network is gone: nobody waits for the last event.
    pub(super) abandon: CancellationToken,
    pub(super) stall_timeout: Duration,
    pub(super) wear_bytes_max: u64,
}

impl Carrier {
    pub(super) async fn run(self, stream: Stream) {
        let abandon = self.abandon.clone();
        tokio::select! {
            () = self.carry(stream) => {}
            () = abandon.cancelled() => {}
        }
    }

    async fn carry(self, stream: Stream) {
        let Self { link, up, queue, closing, events, notices, shared, stall_timeout, .. } = self;
        // A failed send means that nobody listens: the first frame or the driver will end it.
        let _ = events.send(up).await;
        let _ = notices.send(Notice::Up(link)).await;
        let wear = Wear::new(link, self.wear_bytes_max, notices.clone());
        let (incoming, outgoing) = stream.split();
        let mut incoming = BufReader::with_capacity(CHUNK_BYTES, incoming);
        let mut writing = pin!(write(queue, outgoing, &closing, &wear, stall_timeout));
        let end = {
            let mut reading = pin!(read(&mut incoming, link, &events, &wear, stall_timeout));
            tokio::select! {
                end = &mut reading => end,
                () = closing.now.cancelled() => End::Asked,
                written = &mut writing => after_writing(written, reading).await,
            }
        };
        tracing::debug!(link = link.0, ?end, "link down");
        shared.ended(link, end.counter());
        closing.retire.cancel();
        let _ = notices.send(Notice::Ending(link)).await;
        let leave = async {
            let parting = async {
                match end {
                    End::Asked => {
                        let _ = writing.await;
                        discard(&mut incoming).await;
                    }
                    End::Finished => drop(writing.await),
                    End::Retired | End::Failed(_) | End::Slow | End::Unheard => {}
                }
            };
            let _ = timeout(DRAIN_TIMEOUT, parting).await;
            let _ = notices.send(Notice::Done(link)).await;
        };
        let _ = tokio::join!(leave, events.send(NetworkEvent::LinkDown { link }));
    }
}

impl End {
    const fn counter(self) -> Option<Counter> {
        match self {
            Self::Failed(FrameError::Empty) => Some(Counter::FrameEmpty),
            Self::Failed(FrameError::Oversized) => Some(Counter::FrameOversized),
            Self::Failed(FrameError::Truncated) => Some(Counter::FrameTruncated),
            Self::Failed(FrameError::Stalled) => Some(Counter::FrameStalled),
            Self::Slow => Some(Counter::SlowPeer),
            Self::Failed(FrameError::Gone)
            | Self::Asked
            | Self::Retired
            | Self::Finished
            | Self::Unheard => None,
        }
    }
}

/// Writes what is queued, several frames at once, until the queue is closed and empty.
async fn write(
    mut queue: QueueReceiver,
    mut outgoing: WriteHalf<Stream>,
    closing: &Closing,
    wear: &Wear,
    stall: Duration,
) -> Result<(), FrameError> {
    let mut batch = Vec::new();
    let mut retiring = false;
    loop {
        let next = tokio::select! {
            biased;
            () = closing.retire.cancelled(), if !retiring => {
                retiring = true;
                queue.close();
                continue;
            }
            next = queue.next() => next,
        };
        let Some(first) = next else { break };
        let mut bytes = first.len();
        append_frame(&mut batch, &first);
        while batch.len() < BATCH_BYTES
            && let Some(frame) = queue.next_now()
        {
            bytes += frame.len();
            append_frame(&mut batch, &frame);
        }
        write_batch(&mut outgoing, &batch, stall).await?;
        queue.release(bytes);
        wear.carried(batch.len()).await;
        batch.clear();
        batch.shrink_to(BATCH_BYTES);
    }
    // Says that nothing more comes; the peer reads to the end and finishes too.
    match timeout(stall, outgoing.close()).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(FrameError::Gone),
    }
}

/// Delivers what the peer sends, until it finishes or breaks the rules.
async fn read(
    incoming: &mut Incoming,
    link: LinkId,
    events: &mpsc::Sender<NetworkEvent>,
    wear: &Wear,
    stall: Duration,
) -> End {
    loop {
        match read_frame(incoming, stall).await {
            Ok(Some(bytes)) => {
                wear.carried(HEADER_BYTES + bytes.len()).await;
                if events.send(NetworkEvent::Frame { link, bytes }).await.is_err() {
                    return End::Unheard;
                }
            }
            Ok(None) => return End::Finished,
            Err(error) => return End::Failed(error),
        }
    }
}

type Incoming = BufReader<ReadHalf<Stream>>;

/// Nothing more can be written: delivers what has arrived, within bounds.
async fn after_writing(written: Result<(), FrameError>, reading: impl Future<Output = End>) -> End {
    if written == Err(FrameError::Stalled) {
        return End::Slow;
    }
    let read = timeout(DRAIN_TIMEOUT, reading).await;
    match (written, read) {
        (_, Ok(End::Failed(error))) => End::Failed(error),
        (Ok(()), _) => End::Retired,
        (Err(error), _) => End::Failed(error),
    }
}

/// Waits for the peer to finish too, so that what we wrote is not lost with the connection.
async fn discard(incoming: &mut Incoming) {
    let mut chunk = [0; 1024];
    while let Ok(1..) = incoming.read(&mut chunk).await {}
}

/// How much a link has carried, and whether that was told.
#[derive(Debug)]
struct Wear {
    link: LinkId,
    carried: AtomicU64,
    told: AtomicBool,
    bytes_max: u64,
    notices: mpsc::Sender<Notice>,
}

impl Wear {
    const fn new(link: LinkId, bytes_max: u64, notices: mpsc::Sender<Notice>) -> Self {
        let (carried, told) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { link, carried, told, bytes_max, notices }
    }

    async fn carried(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let carried = self.carried.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if carried >= self.bytes_max && !self.told.swap(true, Ordering::Relaxed) {
            let _ = self.notices.send(Notice::Worn(self.link)).await;
        }
    }
}
