//! Do frames get from node to node, whatever a peer does? Real sockets on the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    collections::BTreeSet,
    io::Write,
    net::{Ipv4Addr, TcpStream, UdpSocket},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use kith::network::{Network, NetworkError, NetworkEvent, SendError};
use kith_common::limits::FRAME_BYTES_MAX;
use tokio::{sync::mpsc, time::timeout};

#[path = "network/node.rs"]
mod node;
#[path = "network/raw.rs"]
mod raw;

use node::{Node, config, linked, passes};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn frames_pass_both_ways() {
    for transport in [TCP, QUIC] {
        let (mut alice, at_alice, mut bob, at_bob) = linked(transport).await;
        assert_eq!((&at_alice.own, &at_alice.peer), (&at_bob.peer, &at_bob.own));
        assert_eq!(at_alice.address, bob.address());
        passes(&alice, at_alice.link, &mut bob, at_bob.link, b"to bob").await;
        passes(&bob, at_bob.link, &mut alice, at_alice.link, b"to alice").await;
        for length in [1, FRAME_BYTES_MAX] {
            let frame = vec![7; length];
            passes(&alice, at_alice.link, &mut bob, at_bob.link, &frame).await;
            passes(&bob, at_bob.link, &mut alice, at_alice.link, &frame).await;
        }
        for bytes in [0, FRAME_BYTES_MAX + 1] {
            let refused = alice.network.send(at_alice.link, vec![0; bytes]);
            assert_eq!(refused, Err(SendError::Size { bytes }));
        }
        alice.network.shutdown().await;
        bob.down(at_bob.link).await;
    }
}

#[tokio::test]
async fn ten_thousand_frames_come_in_order() {
    const FRAMES: u32 = 10_000;
    for transport in [TCP, QUIC] {
        let (alice, at_alice, mut bob, at_bob) = linked(transport).await;
        // The engine's side is a plain thread; the window keeps the queue from being full.
        let (taken, takes) = std::sync::mpsc::sync_channel(FRAMES as usize);
        let engine = std::thread::spawn(move || {
            for number in 0..FRAMES {
                if number >= 200 {
                    takes.recv().unwrap();
                }
                let mut frame = number.to_be_bytes().to_vec();
                frame.resize(4 + number as usize % 700, 0);
                alice.network.send(at_alice.link, frame).unwrap();
            }
            alice
        });
        for number in 0..FRAMES {
            let frame = bob.frame(at_bob.link).await;
            assert_eq!(frame[..4], number.to_be_bytes());
            assert_eq!(frame.len(), 4 + number as usize % 700);
            let _ = taken.send(());
        }
        engine.join().unwrap();
    }
}

#[tokio::test]
async fn closing_delivers_what_was_queued_and_is_seen() {
    for transport in [TCP, QUIC] {
        let (mut alice, at_alice, mut bob, at_bob) = linked(transport).await;
        for number in 0..100 {
            alice.network.send(at_alice.link, vec![number; 10_000]).unwrap();
        }
        alice.network.close(at_alice.link);
        assert_eq!(alice.network.send(at_alice.link, vec![1]), Err(SendError::Down));
        alice.down(at_alice.link).await;
        for number in 0..100 {
            assert_eq!(bob.frame(at_bob.link).await, vec![number; 10_000]);
        }
        bob.down(at_bob.link).await;
        assert_eq!(bob.network.send(at_bob.link, vec![1]), Err(SendError::Down));

        alice.network.dial(vec![bob.address()]);
        let again = alice.up().await;
        assert!(again.link > at_alice.link, "a link is never used again");
    }
}

#[tokio::test]
async fn a_stalled_receiver_costs_its_own_link_only() {
    let mut alice = Node::start(&[TCP]).await;
    let (mut bob, mut mallory) = (Node::start(&[TCP]).await, Node::start(&[TCP]).await);
    alice.network.dial(vec![bob.address()]);
    let to_bob = alice.up().await;
    let at_bob = bob.up().await;
    alice.network.dial(vec![mallory.address()]);
    let to_mallory = alice.up().await;
    mallory.up().await;

    // Mallory takes nothing from here on: her windows and Alice's queue fill up.
    let mut taken = 0;
    let mut full = 0;
    while full < 50 {
        match alice.network.send(to_mallory.link, vec![0; 64 * 1024]) {
            Ok(()) => taken += 64 * 1024,
            Err(error) => {
                assert_eq!(error, SendError::Full);
                full += 1;
                passes(&alice, to_bob.link, &mut bob, at_bob.link, b"still here").await;
            }
        }
    }
    assert!(taken < 32 << 20, "{taken} bytes were taken for a peer that reads nothing");
    assert!(alice.count("queue_full") >= 50);
    alice.network.close(to_mallory.link);
    alice.down(to_mallory.link).await;
    passes(&alice, to_bob.link, &mut bob, at_bob.link, b"still here").await;
}

#[tokio::test]
async fn a_peer_that_never_reads_is_closed_without_being_asked() {
    let mut slow = config(&[TCP, QUIC]);
    slow.limits.stall_timeout = Duration::from_millis(300);
    let mut alice = Node::with(slow).await;
    for address in alice.addresses.clone() {
        let mut mallory = raw::Peer::new();
        let _stream = mallory.dial_and_open(&address, 1).await.remove(0);
        let up = alice.up().await;
        while alice.network.send(up.link, vec![0; 64 * 1024]).is_ok() {
            tokio::task::yield_now().await;
        }
        alice.down(up.link).await;
    }
    assert_eq!(alice.count("slow_peer"), 2);
}

#[tokio::test]
async fn bytes_that_are_no_frames_close_the_link() {
    let cases: [(&[u8], &str); 4] = [
        (&[0, 0x10, 0, 1], "frame_oversized"),
        (b"GET / HTTP/1.1\r\n\r\n", "frame_oversized"),
        (&[0, 0, 0, 0], "frame_empty"),
        (&[0, 0, 0, 9, 1, 2], "frame_stalled"),
    ];
    let mut strict = config(&[TCP, QUIC]);
    strict.limits.stall_timeout = Duration::from_millis(200);
    let mut alice = Node::with(strict).await;
    for address in alice.addresses.clone() {
        for (bytes, counter) in cases {
            let before = alice.count(counter);
            let mut mallory = raw::Peer::new();
            let mut stream = mallory.dial_and_open(&address, 1).await.remove(0);
            let up = alice.up().await;
            raw::write(&mut stream, &[0, 0, 0, 2, 42, 43]).await;
            raw::write(&mut stream, bytes).await;
            assert_eq!(alice.frame(up.link).await, [42, 43], "what came before counts");
            alice.down(up.link).await;
            assert_eq!(alice.count(counter), before + 1, "{counter}");
            mallory.closed().await;
        }
    }
}

#[tokio::test]
async fn a_second_stream_costs_the_connection() {
    let mut alice = Node::start(&[TCP, QUIC]).await;
    for address in alice.addresses.clone() {
        let mut mallory = raw::Peer::new();
        let streams = mallory.dial_and_open(&address, 2).await;
        let up = alice.up().await;
        alice.down(up.link).await;
        mallory.closed().await;
        drop(streams);
    }
    assert_eq!(alice.count("second_stream"), 2);
}

#[tokio::test]
async fn only_the_dialling_side_opens_the_stream() {
    let alice = Node::start(&[TCP]).await;
    let mut mallory = raw::Peer::new();
    let address = mallory.listen_and_open(1).await;
    alice.network.dial(vec![address]);
    mallory.run_until(alice.counted("second_stream", 1)).await;
    mallory.closed().await;
}

#[tokio::test]
async fn a_connection_without_a_link_is_closed() {
    let mut hasty = config(&[TCP, QUIC]);
    hasty.limits.opening_timeout = Duration::from_millis(200);
    let alice = Node::with(hasty).await;
    for address in &alice.addresses {
        let mut mallory = raw::Peer::new();
        assert!(mallory.dial_and_open(address, 0).await.is_empty());
        mallory.closed().await;
    }
    assert_eq!(alice.count("opening_timed_out"), 2);
}

#[tokio::test]
async fn dialling_nothing_is_harmless() {
    let (mut alice, mut bob) = (Node::start(&[TCP, QUIC]).await, Node::start(&[TCP]).await);
    alice.network.dial(vec![
        // No port that another test could be given.
        "/ip4/127.0.0.1/tcp/1".to_owned(),
        "/ip4/127.0.0.1/udp/1/quic-v1".to_owned(),
        "/dns4/example.org/tcp/1".to_owned(),
        "nonsense".to_owned(),
        bob.address(),
    ]);
    let at_alice = alice.up().await;
    let at_bob = bob.up().await;
    passes(&alice, at_alice.link, &mut bob, at_bob.link, b"good").await;
    alice.counted("address_refused", 2).await;
    alice.counted("dial_failed", 1).await;
    for _ in 0..10_000 {
        alice.network.dial(vec!["nonsense".to_owned(); 3]);
    }
    passes(&bob, at_bob.link, &mut alice, at_alice.link, b"good").await;
}

#[tokio::test]
async fn garbage_on_the_sockets_is_harmless() {
    let (mut alice, mut bob) = (Node::start(&[TCP, QUIC]).await, Node::start(&[TCP]).await);
    let port = |address: &str| address.split('/').nth(4).unwrap().parse::<u16>().unwrap();
    let is_tcp = |address: &&String| address.contains("/tcp/");
    let tcp = port(alice.addresses.iter().find(is_tcp).unwrap());
    let udp = port(alice.addresses.iter().find(|address| !is_tcp(address)).unwrap());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut noise = Noise(1);
    let mut silent = Vec::new();
    for round in 0..200 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, tcp)).unwrap();
        let _ = stream.write_all(&noise.bytes(round * 20));
        if round % 10 == 0 {
            silent.push(stream);
        }
        let mut datagram = noise.bytes(1 + round * 6);
        // Half of them look like the first packet of a QUIC handshake.
        if round % 2 == 0 {
            datagram.splice(0..0, [0xc3, 0, 0, 0, 1, 8]);
            datagram.resize(1200, 0);
        }
        socket.send_to(&datagram, (Ipv4Addr::LOCALHOST, udp)).unwrap();
        tokio::task::yield_now().await;
    }
    alice.counted("handshake_failed", 100).await;
    for address in alice.addresses.clone() {
        bob.network.dial(vec![address.clone()]);
        let at_bob = bob.up().await;
        assert_eq!(at_bob.address, address);
        let at_alice = alice.up().await;
        passes(&bob, at_bob.link, &mut alice, at_alice.link, b"good").await;
        bob.network.close(at_bob.link);
        bob.down(at_bob.link).await;
        alice.down(at_alice.link).await;
    }
}

/// A small generator, so that a failure can be repeated.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let byte = |_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.to_le_bytes()[3]
        };
        (0..length).map(byte).collect()
    }
}

#[tokio::test]
async fn a_peer_is_linked_once_whatever_addresses_it_has() {
    let (mut alice, mut bob) = (Node::start(&[TCP]).await, Node::start(&[TCP, QUIC]).await);
    assert_eq!(bob.addresses.len(), 2);
    alice.network.dial(bob.addresses.clone());
    let at_alice = alice.up().await;
    assert!(at_alice.address.ends_with("/quic-v1"), "QUIC has a head start");
    let at_bob = bob.up().await;
    alice.counted("duplicate_link", 1).await;
    // Both addresses are now known to lead to Bob: nothing is dialled.
    alice.network.dial(bob.addresses.clone());
    passes(&alice, at_alice.link, &mut bob, at_bob.link, b"once").await;
    passes(&bob, at_bob.link, &mut alice, at_alice.link, b"once").await;
    assert_eq!(alice.count("duplicate_link"), 1);
}

#[tokio::test]
async fn simultaneous_dials_end_in_one_or_two_links() {
    let (mut alice, mut bob) = (Node::start(&[TCP]).await, Node::start(&[TCP]).await);
    alice.network.dial(vec![bob.address()]);
    bob.network.dial(vec![alice.address()]);
    let (at_alice, at_bob) = (alice.up().await, bob.up().await);
    assert_eq!(at_alice.peer, at_bob.own);
    alice.network.send(at_alice.link, b"hello".to_vec()).unwrap();
    loop {
        match bob.link_event().await {
            NetworkEvent::Frame { bytes, .. } => break assert_eq!(bytes, b"hello"),
            NetworkEvent::LinkUp { peer_transport, .. } => assert_eq!(peer_transport, at_alice.own),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn dialling_oneself_is_dropped() {
    let mut alice = Node::start(&["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"]).await;
    let mut bob = Node::start(&[TCP]).await;
    alice.network.dial(alice.addresses.clone());
    // Also ours, but not one that the interfaces tell.
    let hidden = alice.addresses.iter().filter(|address| address.contains("127.0.0.1"));
    let hidden: Vec<String> = hidden.map(|at| at.replace("127.0.0.1", "127.0.0.2")).collect();
    assert_eq!(hidden.len(), 2);
    alice.network.dial(hidden.clone());
    alice.counted("self_dial", 2).await;
    alice.network.dial(hidden);
    alice.network.dial(vec![bob.address()]);
    let at_alice = alice.up().await;
    assert_eq!(at_alice.peer, bob.up().await.own, "the first link is the one with bob");
    assert_eq!(alice.count("self_dial"), 2, "an address that is known as ours is not dialled");
}

#[tokio::test]
async fn a_renewal_makes_before_it_breaks() {
    for transport in [TCP, QUIC] {
        let mut short = config(&[transport]);
        short.renewal = Duration::from_millis(800);
        let (mut alice, mut bob) = (Node::with(short).await, Node::start(&[transport]).await);
        alice.network.dial(vec![bob.address()]);
        let (mut at_alice, mut at_bob) = (alice.up().await, bob.up().await);
        for _ in 0..2 {
            let (new_at_alice, new_at_bob) = (alice.up().await, bob.up().await);
            assert_eq!(new_at_alice.address, at_alice.address);
            assert_eq!(new_at_alice.peer, at_alice.peer);
            alice.down(at_alice.link).await;
            bob.down(at_bob.link).await;
            (at_alice, at_bob) = (new_at_alice, new_at_bob);
            passes(&alice, at_alice.link, &mut bob, at_bob.link, b"on the new one").await;
        }
        assert_eq!(alice.count("renewal_failed"), 0);
    }
}

#[tokio::test]
async fn a_connection_that_carried_much_is_renewed() {
    let mut short = config(&[TCP]);
    short.renewal_bytes = 4 << 20;
    let (mut alice, mut bob) = (Node::with(short).await, Node::start(&[TCP]).await);
    alice.network.dial(vec![bob.address()]);
    let (old_at_alice, old_at_bob) = (alice.up().await, bob.up().await);
    let frame = vec![0; FRAME_BYTES_MAX];
    for _ in 0..3 {
        passes(&alice, old_at_alice.link, &mut bob, old_at_bob.link, &frame).await;
    }
    // The last one crosses the limit: it and the new link come in either order.
    alice.network.send(old_at_alice.link, frame.clone()).unwrap();
    alice.up().await;
    let mut seen = [false; 2];
    for _ in 0..2 {
        match bob.link_event().await {
            NetworkEvent::Frame { bytes, .. } => seen[0] = bytes == frame,
            NetworkEvent::LinkUp { .. } => seen[1] = true,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [true; 2], "the frame and the new link");
    alice.down(old_at_alice.link).await;
    bob.down(old_at_bob.link).await;
}

#[tokio::test]
async fn a_rotation_changes_the_identity_and_keeps_the_addresses() {
    tokio::join!(rotates(TCP), rotates(QUIC));
}

async fn rotates(transport: &str) {
    let mut short = config(&[transport]);
    short.rotation = Duration::from_secs(3);
    let (mut alice, mut bob) = (Node::with(short).await, Node::start(&[transport]).await);
    bob.network.dial(vec![alice.address()]);
    let (at_bob, at_alice) = (bob.up().await, alice.up().await);
    passes(&alice, at_alice.link, &mut bob, at_bob.link, b"before").await;
    alice.down(at_alice.link).await;
    bob.down(at_bob.link).await;
    // The engine's part: dial again what was linked. Same address, another identity.
    let redial = async {
        loop {
            bob.network.dial(vec![alice.address()]);
            if let Ok(up) = timeout(Duration::from_millis(100), bob.up()).await {
                break up;
            }
        }
    };
    let again = timeout(PATIENCE, redial).await.expect("a link to the same address");
    let anew = alice.up().await;
    assert_eq!((&again.peer, &again.own), (&anew.own, &anew.peer));
    assert_ne!(again.peer, at_bob.peer, "alice has another identity");
    assert_eq!(again.own, at_bob.own, "bob still has his");
    assert_eq!(again.address, at_bob.address);
    passes(&alice, anew.link, &mut bob, again.link, b"after").await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_without_the_address() {
    for transport in [TCP, QUIC] {
        let alice = Node::start(&[transport]).await;
        let taken = alice.address();
        let (sender, _events) = mpsc::channel(1);
        let error = Network::start(config(&[&taken]), sender).await.unwrap_err();
        let NetworkError::Listen { position: 0, source } = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
        assert!(!format!("{error} {source}").contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn shutting_down_delivers_what_was_queued_and_needs_nobody_to_take_events() {
    for transport in [TCP, QUIC] {
        let (alice, at_alice, mut bob, at_bob) = linked(transport).await;
        for number in 0..100 {
            // Nobody takes what Bob says: Alice's channel is full.
            bob.network.send(at_bob.link, vec![0; 1000]).unwrap();
            alice.network.send(at_alice.link, vec![number; 1000]).unwrap();
        }
        timeout(PATIENCE, alice.network.shutdown()).await.expect("an end in time");
        for number in 0..100 {
            assert_eq!(bob.frame(at_bob.link).await, vec![number; 1000]);
        }
        bob.down(at_bob.link).await;
    }
}

#[tokio::test]
async fn logs_tell_links_and_reasons_only() {
    let (mut alice, at_alice, mut bob, at_bob) = linked(TCP).await;
    passes(&alice, at_alice.link, &mut bob, at_bob.link, b"the-contents").await;
    alice.network.dial(vec!["/ip4/127.0.0.1/tcp/1".to_owned()]);
    alice.counted("dial_failed", 1).await;
    bob.network.close(at_bob.link);
    alice.down(at_alice.link).await;

    let text = LOG.text();
    assert!(text.contains("link up"), "{text}");
    assert!(text.contains("dial failed"), "{text}");
    let port = bob.address().rsplit('/').next().unwrap().to_owned();
    let peer = raw::peer_name(&at_alice.peer);
    for secret in ["127.0.0.1", "/ip4", "12D3Koo", "the-contents", &port, &peer] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let events = format!("{:?}", NetworkEvent::Listening { addresses: vec![bob.address()] });
    assert!(!events.contains(&port));
}

/// What all tests of this file log, at every level.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter("kith=trace")
        .without_time()
        .with_writer(move || writer.clone())
        .init();
    log
});

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neighbours_find_each_other() {
    if !multicast_works() {
        eprintln!("skipped: this machine has no multicast");
        return;
    }
    let local = || {
        let mut local = config(&["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"]);
        local.mdns = true;
        local
    };
    let (mut alice, mut bob) = (Node::with(local()).await, Node::with(local()).await);
    // Other nodes of this network may be found as well.
    let (mut at_alice, mut at_bob) = (BTreeSet::<Ends>::new(), BTreeSet::<Ends>::new());
    while !at_alice.iter().any(|(own, peer)| at_bob.contains(&(peer.clone(), own.clone()))) {
        let (event, links) = tokio::select! {
            event = alice.link_event() => (event, &mut at_alice),
            event = bob.link_event() => (event, &mut at_bob),
        };
        if let NetworkEvent::LinkUp { own_transport, peer_transport, .. } = event {
            links.insert((own_transport, peer_transport));
        }
    }
}

/// The transport ids of a link: ours and the peer's.
type Ends = (Box<[u8]>, Box<[u8]>);

/// Whether a datagram to the discovery group comes back to this machine.
fn multicast_works() -> bool {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let attempt = || -> std::io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to(b"?", (group, socket.local_addr()?.port()))?;
        socket.recv(&mut [0; 1]).map(drop)
    };
    attempt().is_ok()
}
