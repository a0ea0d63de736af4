//! How is the true program run and stopped, and what does it say?

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use libp2p::{multiaddr::Protocol, swarm::SwarmEvent};

use crate::{
    client::{Client, made},
    service::At,
};

/// The program, on free ports of the loopback.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) at: At,
}

impl Program {
    pub(crate) async fn start(data: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .args(["--listen=127.0.0.1:0", "--health=127.0.0.1:0", "--data"])
            .arg(data)
            .arg("--p2p=/ip4/127.0.0.1/udp/0/quic-v1,/ip4/127.0.0.1/tcp/0")
            .args(flags)
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let address = |line: String| -> SocketAddr {
            line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap()
        };
        let (http, health) = (address(line()), address(line()));
        let printed = [line(), line()].map(|line| line.parse().unwrap());
        let at = At::of(http, health).await;
        assert_eq!(at.addresses, printed, "one a line, with the peer id");
        Self { child, at }
    }

    /// Asks it to stop; what it logged, if it ended well.
    pub(crate) fn stop(mut self) -> String {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success() && self.child.wait().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    /// KiB of memory that it has.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_stays_the_same_one_says_goodbye_and_logs_no_address() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path(), &[]).await;
    let peer = program.at.peer;
    let mut client = Client::connected(&program.at.quic()).await;
    let mut bent = made(1, 1);
    bent.value[20] ^= 1;
    client.offer(&bent, peer).await;
    client.offer(&made(1, 1), peer).await;
    program.at.until("kith_records", |records| records == 1).await;
    let log = program.stop();
    client
        .wait("goodbye", |event| match event {
            SwarmEvent::ConnectionClosed { peer_id, .. } if *peer_id == peer => Some(()),
            _ => None,
        })
        .await;
    assert!(log.contains("started") && log.contains("stopped"), "{log}");
    for secret in [peer.to_string(), client.peer.to_string(), "127.0.0.1".to_owned()] {
        assert!(!log.contains(&secret), "{secret} is in the log: {log}");
    }

    let again = Program::start(data.path(), &[]).await;
    assert_eq!(again.at.peer, peer);
    again.stop();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Program::start(elsewhere.path(), &[]).await;
    assert_ne!(other.at.peer, peer);
    other.stop();
}

#[tokio::test]
async fn what_is_told_is_what_the_operator_says() {
    let data = tempfile::tempdir().unwrap();
    let told = "/ip4/9.9.9.9/udp/8450/quic-v1,/ip6/2620:fe::fe/tcp/8450";
    let program = Program::start(data.path(), &["--address", told]).await;
    let hosts = program.at.addresses.iter().map(|address| address.iter().next().unwrap());
    let expected =
        [Protocol::Ip4("9.9.9.9".parse().unwrap()), Protocol::Ip6("2620:fe::fe".parse().unwrap())];
    assert_eq!(hosts.collect::<Vec<_>>(), expected);
    program.stop();
}

#[test]
fn settings_that_are_wrong_are_told_so() {
    let data = tempfile::tempdir().unwrap();
    for (flags, sentence) in [
        (["--p2p=/ip4/127.0.0.1/tcp/0/ws", ""], "--p2p /ip4/127.0.0.1/tcp/0/ws is nowhere"),
        (["--address=example.org", ""], "--address example.org is nowhere"),
        (["--peer=/ip4/127.0.0.1/tcp/1", ""], "no address of a bootstrap"),
        (["--turn-url=turn:example.org", ""], "--turn-url and --turn-secret belong together"),
        (["--turn-secret=north", ""], "--turn-url and --turn-secret belong together"),
    ] {
        let flags = flags.iter().filter(|flag| !flag.is_empty());
        let output = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .args(["--listen=127.0.0.1:0", "--health=127.0.0.1:0", "--data"])
            .arg(data.path())
            .args(flags)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(sentence), "{said}");
    }
}
