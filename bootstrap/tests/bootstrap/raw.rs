//! A connection without any protocol of ours on it: for those who do not keep to one.

use std::{pin::Pin, task::Poll};

use futures::{AsyncReadExt, AsyncWriteExt, future::poll_fn};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        Endpoint,
        muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::{Boxed, DialOpts, PortUse},
        upgrade::Version,
    },
    identity::Keypair,
    noise, tcp, yamux,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// A connection of somebody new, that goes on until it is dropped or the other end ends it.
pub(crate) struct Raw {
    running: JoinHandle<()>,
    streams: mpsc::Receiver<SubstreamBox>,
}

impl Raw {
    /// Connects by TCP, with this many streams; `None` if it is not let in.
    pub(crate) async fn connect(to: &Multiaddr, streams: usize) -> Option<Self> {
        let key = Keypair::generate_ed25519();
        let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default())
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        Self::connect_by(transport.boxed(), to, streams).await
    }

    /// Connects by a transport.
    pub(crate) async fn connect_by(
        mut transport: Boxed<(PeerId, StreamMuxerBox)>,
        to: &Multiaddr,
        streams: usize,
    ) -> Option<Self> {
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let (_, muxer) = transport.dial(to.clone(), options).ok()?.await.ok()?;
        let (sender, opened) = mpsc::channel(streams.max(1));
        let running = tokio::spawn(run(muxer, streams, sender));
        Some(Self { running, streams: opened })
    }

    /// The next stream, on which this protocol was agreed.
    pub(crate) async fn stream(&mut self, protocol: &str) -> Option<SubstreamBox> {
        let mut stream = self.streams.recv().await?;
        for line in ["/multistream/1.0.0", protocol] {
            let line = format!("{}{line}\n", char::from(u8::try_from(line.len() + 1).unwrap()));
            stream.write_all(line.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            let mut said = vec![0; line.len()];
            stream.read_exact(&mut said).await.ok()?;
            assert_eq!(said, line.as_bytes());
        }
        Some(stream)
    }

    /// Waits until the other end has ended it.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.running).await;
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Opens its streams, takes those of the other end and never answers on them.
async fn run(mut muxer: StreamMuxerBox, streams: usize, opened: mpsc::Sender<SubstreamBox>) {
    for _ in 0..streams {
        let Ok(stream) = poll_fn(|context| muxer.poll_outbound_unpin(context)).await else {
            return;
        };
        let _ = opened.try_send(stream);
    }
    let mut ignored = Vec::new();
    poll_fn(|context| {
        while let Poll::Ready(stream) = muxer.poll_inbound_unpin(context) {
            match stream {
                Ok(stream) => ignored.push(stream),
                Err(_) => return Poll::Ready(()),
            }
        }
        Pin::new(&mut muxer).poll(context).map(drop)
    })
    .await;
}
