//! Garbage on the sockets for other nodes: the node lives, delivers, stays small, and counts it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream, UdpSocket},
};

use kith::network::{LinkId, Network, NetworkConfig, NetworkEvent};
use kith_tests::process::{Api, PATIENCE, Person, Setup, Transport, free_port, until};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tokio::sync::mpsc;

#[path = "../../node/tests/network/raw.rs"]
#[expect(dead_code, reason = "shared with the tests of the network, which use all of it")]
mod raw;

/// Bytes by which a node may have grown after an attack.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

/// Alice, who is attacked, and Bob, her friend.
struct Scene {
    alice: Person,
    bob: Person,
    tcp: u16,
    quic: u16,
    before_kib: u64,
    said: usize,
}

impl Scene {
    fn new() -> Self {
        let quic = free_port();
        let listen = ["--listen".to_owned(), Transport::Quic.address(quic)];
        let setup = Setup { arguments: listen.to_vec(), ..Setup::default() };
        let (alice, bob) = (Person::start_with("Alice", setup), Person::start("Bob"));
        alice.befriends(&bob);
        let tcp = alice.port();
        let mut scene = Self { alice, bob, tcp, quic, before_kib: 0, said: 0 };
        scene.still_delivers();
        scene.before_kib = scene.alice.node().resident_kib();
        scene
    }

    fn still_delivers(&mut self) {
        self.alice.says(&self.bob, "still here");
        self.bob.says(&self.alice, "me too");
        self.said += 2;
        self.alice.agrees(&self.bob, self.said, PATIENCE);
    }

    /// Delivers over the links there are and over new ones, and has not grown.
    fn is_well(&mut self, attack: &str) {
        self.still_delivers();
        self.bob.kill();
        self.bob.up();
        self.bob.meets(&self.alice);
        self.still_delivers();
        let now = self.alice.node().resident_kib();
        let grown = now.saturating_sub(self.before_kib);
        println!("{attack}: {} KiB, grown by {grown} KiB", self.before_kib);
        assert!(grown < GROWTH_KIB_MAX, "grew by {grown} KiB");
        let errors = self.alice.log();
        assert!(!errors.contains("panicked"), "{errors}");
    }

    fn api(&self) -> &Api {
        self.alice.api()
    }

    fn counted(&self, name: &str, at_least: u64) {
        until(&format!("{at_least} × {name}"), PATIENCE, || {
            (self.api().refusals(name) >= at_least).then_some(())
        });
    }
}

fn bytes(rng: &mut ChaCha8Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Writes to a socket and waits until the other side has had enough.
fn offer(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn garbage_over_tcp() {
    let mut scene = Scene::new();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let select = b"\x13/multistream/1.0.0\n";
    let noise = [&select[..], b"\x07/noise\n"].concat();
    for length in [0, 1, 2, 19, 20, 21, 1000, 70_000, 1 << 20] {
        for begin in [&b""[..], select, &noise] {
            let garbage = bytes(&mut rng, length);
            offer(scene.tcp, &[begin, &garbage].concat());
        }
    }
    // Lengths that promise far more than comes.
    offer(scene.tcp, &[0xff; 64]);
    offer(scene.tcp, &[&select[..], &[0xff, 0xff, 0x03]].concat());
    offer(scene.tcp, &[&noise[..], &[0xff, 0xff], &[0; 100]].concat());
    offer(scene.tcp, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    scene.counted("handshake_failed", 20);
    scene.is_well("30 handshakes of garbage");
}

#[test]
fn half_open_connections_over_tcp() {
    let mut scene = Scene::new();
    let mut open: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, scene.tcp)).unwrap()).collect();
    for stream in &mut open {
        let _ = stream.write_all(b"\x13/multi");
    }
    scene.counted("limit_reached", 100);
    scene.still_delivers();
    drop(open);
    scene.is_well("300 half-open connections");
}

#[test]
fn garbage_over_quic() {
    let mut scene = Scene::new();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let node = (Ipv4Addr::LOCALHOST, scene.quic);
    for round in 0..2000 {
        let length = rng.next_u32() as usize % 1500;
        let mut datagram = bytes(&mut rng, length);
        // Every other one begins as the first packet of a connection does (RFC 9000 §17.2).
        if round % 2 == 0 && length > 6 {
            datagram[0] |= 0xc0;
            datagram[1..6].copy_from_slice(&[0, 0, 0, 1, 8]);
        }
        socket.send_to(&datagram, node).unwrap();
    }
    socket.send_to(&[0xc3; 65_000], node).unwrap();
    scene.is_well("2001 datagrams of garbage");
    // Whoever speaks QUIC well is still let in.
    let (mut carol, link) = (Person::init("Carol", Setup::default()), scene.alice.link());
    carol.more_arguments(&["--peer", &Transport::Quic.address(scene.quic)]);
    carol.up();
    carol.kith(&["contact", "add", &link]).json();
    scene.alice.sees(&carol, "status", "pending");
}

/// A peer that keeps the rules of the network, but says what it likes.
struct Stranger {
    network: Network,
    events: mpsc::Receiver<NetworkEvent>,
}

impl Stranger {
    async fn start() -> Self {
        let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let (tell, events) = mpsc::channel(16);
        let network = Network::start(NetworkConfig::new(listen), tell).await.unwrap();
        Self { network, events }
    }

    async fn next(&mut self) -> NetworkEvent {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("the network runs")
    }

    async fn dial(&mut self, address: &str) -> LinkId {
        self.network.dial(vec![address.to_owned()]);
        loop {
            if let NetworkEvent::LinkUp { link, .. } = self.next().await {
                return link;
            }
        }
    }

    async fn down(&mut self, wanted: LinkId) {
        loop {
            match self.next().await {
                NetworkEvent::LinkDown { link } if link == wanted => return,
                _ => {}
            }
        }
    }
}

#[test]
fn frames_of_garbage_cost_the_link() {
    let mut scene = Scene::new();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let address = scene.alice.address();
    runtime().block_on(async {
        for length in [1, 2, 3, 10, 100, 1000, 100_000, 1 << 20] {
            let mut mallory = Stranger::start().await;
            let link = mallory.dial(&address).await;
            let mut frame = bytes(&mut rng, length);
            // No frame begins like this: the first byte of an array, and more than there may be.
            frame[0] = 0x9f;
            mallory.network.send(link, frame).unwrap();
            mallory.down(link).await;
            mallory.network.shutdown().await;
        }
    });
    scene.counted("malformed", 8);
    scene.is_well("8 frames of garbage");
}

#[test]
fn well_formed_frames_of_a_stranger_change_nothing() {
    use kith_common::{frame::Frame, ids::LogId};

    let mut scene = Scene::new();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let address = scene.alice.address();
    let mut tags: Vec<[u8; 16]> = (0..64).map(|_| [0; 16]).collect();
    tags.iter_mut().for_each(|tag| rng.fill_bytes(tag));
    tags.sort_unstable();
    let log = LogId::from_bytes([7; 32]);
    let nothing = || bytes(&mut ChaCha8Rng::seed_from_u64(5), 64).into_boxed_slice();
    let frames = [
        Frame::Hello { tags },
        Frame::Request { sealed: nothing() },
        Frame::Frontiers { ask: true, frontiers: vec![nothing()] },
        Frame::Entries { log, entries: Vec::new() },
        Frame::Certificate { cert: nothing(), proof: vec![nothing()], addresses: Vec::new() },
    ];
    runtime().block_on(async {
        let mut mallory = Stranger::start().await;
        let link = mallory.dial(&address).await;
        for _ in 0..20 {
            for frame in &frames {
                // The node may close the link at any of them.
                let _ = mallory.network.send(link, frame.encode());
            }
        }
        mallory.down(link).await;
        mallory.network.shutdown().await;
    });
    scene.counted("request_not_for_us", 1);
    scene.counted("no_session", 1);
    scene.counted("malformed", 1);
    let contacts = scene.api().get("/api/contacts").value();
    assert_eq!(contacts.as_array().unwrap().len(), 1, "nobody was added");
    scene.is_well("frames of a stranger");
}

#[test]
fn links_that_break_the_rules_are_closed_by_name() {
    let mut scene = Scene::new();
    let addresses = [scene.alice.address(), Transport::Quic.address(scene.quic)];
    let broken: [(&[u8], &str); 3] = [
        (&[0xff; 8], "frame_oversized"),
        (&[0, 0, 0, 0], "frame_empty"),
        (&[0, 0x0f, 0xff, 0xff, 1, 2, 3], "frame_truncated"),
    ];
    runtime().block_on(async {
        for (transport, address) in (1..).zip(&addresses) {
            for (bytes, counter) in broken {
                let mut mallory = raw::Peer::new();
                let mut streams = mallory.dial_and_open(address, 1).await;
                raw::write(&mut streams[0], bytes).await;
                if counter == "frame_truncated" {
                    let _ = futures::AsyncWriteExt::close(&mut streams[0]).await;
                }
                mallory.closed().await;
                scene.counted(counter, transport);
            }
            let mut mallory = raw::Peer::new();
            let _streams = mallory.dial_and_open(address, 3).await;
            mallory.closed().await;
            scene.counted("second_stream", transport);
        }
    });
    scene.is_well("links that break the rules");
}

#[test]
fn a_crowd_of_strangers_does_not_keep_friends_out() {
    let mut scene = Scene::new();
    let address = scene.alice.address();
    runtime().block_on(async {
        let mut crowd = Vec::new();
        for _ in 0..100 {
            let mut stranger = Stranger::start().await;
            stranger.dial(&address).await;
            crowd.push(stranger);
        }
        scene.is_well("100 silent strangers");
        for stranger in crowd {
            stranger.network.shutdown().await;
        }
    });
    until("the strangers are gone", PATIENCE, || {
        let status = scene.api().get("/api/status").value();
        (status["links"].as_u64() < Some(10)).then_some(())
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts")
}
