//! Do streams come and go within their bounds?

use std::{future::poll_fn, time::Duration};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::StreamMuxerExt;
use tokio::{io::DuplexStream, task::JoinHandle, time::timeout};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::*;

type Side = Muxer<Compat<DuplexStream>>;

const ALL: Config = Config { incoming_max: 4, outgoing_max: 4 };

/// Two ends of a connection.
fn ends(ours: Config) -> (Side, Side) {
    let (here, there) = tokio::io::duplex(64 * 1024);
    let theirs = Config { incoming_max: 64, outgoing_max: 64 };
    (ours.connection(here.compat(), Mode::Server), theirs.connection(there.compat(), Mode::Client))
}

/// Lets a connection go on, as the swarm does.
fn run(mut side: Side) -> JoinHandle<io::Result<()>> {
    tokio::spawn(poll_fn(move |context| side.poll_unpin(context).map(|event| event.map(|_| ()))))
}

async fn opened(side: &mut Side) -> Stream {
    poll_fn(|context| side.poll_outbound_unpin(context)).await.unwrap()
}

async fn arrived(side: &mut Side) -> Stream {
    poll_fn(|context| side.poll_inbound_unpin(context)).await.unwrap()
}

/// Waits until nothing happens any more.
async fn is_stuck<T>(what: impl Future<Output = T>) -> bool {
    timeout(Duration::from_millis(300), what).await.is_err()
}

#[tokio::test]
async fn no_more_waits_than_a_window_however_fast_it_was_read() {
    let (mut ours, mut theirs) = ends(ALL);
    let mut writer = opened(&mut theirs).await;
    let theirs = run(theirs);
    writer.write_all(&[1]).await.unwrap();
    writer.flush().await.unwrap();
    let mut reader = arrived(&mut ours).await;
    let ours = run(ours);
    let chunk = vec![1; 64 * 1024];
    let mut buffer = vec![0; 64 * 1024];
    reader.read_exact(&mut buffer[..1]).await.unwrap();
    for _ in 0..256 {
        let (wrote, read) =
            futures::join!(writer.write_all(&chunk), reader.read_exact(&mut buffer));
        wrote.and(read).unwrap();
    }
    let mut more = 0;
    while let Ok(wrote) = timeout(Duration::from_millis(300), writer.write(&chunk)).await {
        more += wrote.unwrap();
        assert!(more <= WINDOW_BYTES, "{more}");
    }
    assert!(more > 0);
    ours.abort();
    theirs.abort();
}

#[tokio::test]
async fn a_stream_too_many_ends_alone() {
    let (mut ours, mut theirs) = ends(ALL);
    let mut streams = Vec::new();
    for _ in 0..6 {
        let mut stream = opened(&mut theirs).await;
        stream.write_all(&[7]).await.unwrap();
        streams.push(stream);
    }
    let theirs = run(theirs);
    let mut inside = Vec::new();
    for _ in 0..4 {
        inside.push(arrived(&mut ours).await);
    }
    assert!(is_stuck(arrived(&mut ours)).await);
    let ours = run(ours);
    let mut last = streams.pop().unwrap();
    assert!(last.read(&mut [0]).await.map_or(true, |bytes| bytes == 0), "it was reset");
    for stream in &mut inside {
        let mut said = [0];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(&[8]).await.unwrap();
        stream.flush().await.unwrap();
    }
    let mut said = [0];
    streams.first_mut().unwrap().read_exact(&mut said).await.unwrap();
    assert_eq!(said, [8], "the others live");
    assert!(!ours.is_finished() && !theirs.is_finished());
    ours.abort();
    theirs.abort();
}

#[tokio::test]
async fn a_stream_of_our_own_waits_for_a_place() {
    let (mut ours, theirs) = ends(ALL);
    let theirs = run(theirs);
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(opened(&mut ours).await);
    }
    assert!(is_stuck(opened(&mut ours)).await);
    let waiting = tokio::spawn(async move {
        let stream = opened(&mut ours).await;
        (ours, stream)
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    streams.pop();
    let (_ours, _stream) = timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    theirs.abort();
}
