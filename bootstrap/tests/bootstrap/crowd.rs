//! Those who do what they can: bogus records, connections without end, streams that never read.

use std::time::Duration;

use futures::AsyncWriteExt;
use libp2p::{Multiaddr, PeerId};
use tokio::task::JoinSet;

use crate::{
    client::{Client, Made, made},
    raw::Raw,
};

pub(crate) const BOGUS: u32 = 10_002;
const FLOODERS: u32 = 8;
const SLOW: usize = 60;
const STREAMS: usize = 16;

/// A record whose signature does not hold, one that is none, one that lies in a wrong place.
pub(crate) fn bogus(number: u32) -> Made {
    let mut made = made(number % 50, 1);
    match number % 3 {
        0 => *made.value.last_mut().unwrap() ^= u8::try_from(number % 255).unwrap() + 1,
        1 => made.value = vec![u8::try_from(number % 251).unwrap(); 1024],
        _ => made.key[..4].copy_from_slice(&number.to_be_bytes()),
    }
    made
}

/// [`BOGUS`] records for a server, from several at once who are let in before anybody else comes.
pub(crate) async fn offer_bogus(server: &Multiaddr, to: PeerId) -> JoinSet<()> {
    let mut floods = JoinSet::new();
    for flooder in 0..FLOODERS {
        let mut mallory = Client::connected(server).await;
        floods.spawn(async move {
            for number in (0..BOGUS).filter(|number| number % FLOODERS == flooder) {
                mallory.offer(&bogus(number), to).await;
            }
        });
    }
    floods
}

/// Connections that come again until they are let in, and stay until they are thrown out.
pub(crate) fn hang_around(to: &Multiaddr, count: usize) -> JoinSet<()> {
    let hangs_around = |to: Multiaddr| async move { insists(&to, 0).await.ended().await };
    (0..count).map(|_| hangs_around(to.clone())).collect()
}

/// [`SLOW`] connections that ask a server on some streams without ever reading an answer, and say
/// nothing on others.
pub(crate) fn be_slow(to: &Multiaddr) -> JoinSet<()> {
    (0..SLOW).map(|_| is_slow(to.clone())).collect()
}

async fn is_slow(to: Multiaddr) {
    let mut raw = insists(&to, STREAMS).await;
    let mut silent = Vec::new();
    for number in 0..STREAMS {
        let Some(mut stream) = raw.stream("/kith/kad/1").await else { break };
        // FIND_NODE, with a key of 32 bytes.
        let question = [&[36, 0x08, 4, 0x12, 32][..], &[7; 32]].concat();
        if number % 2 == 0 {
            let all = question.repeat(2000);
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&all)).await;
        }
        silent.push(stream);
    }
    raw.ended().await;
}

async fn insists(to: &Multiaddr, streams: usize) -> Raw {
    loop {
        if let Some(raw) = Raw::connect(to, streams).await {
            return raw;
        }
        tokio::task::yield_now().await;
    }
}

/// Whether somebody of them is still at it.
pub(crate) fn goes_on(crowd: &mut JoinSet<()>) -> bool {
    while let Some(ended) = crowd.try_join_next() {
        ended.unwrap();
    }
    !crowd.is_empty()
}
