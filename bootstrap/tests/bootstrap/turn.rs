//! Does a real TURN server take the credentials?

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    client::PATIENCE,
    service::{Service, asked, body},
};

const SECRET: &str = "a word that two programs share";

/// coturn on the loopback.
struct Coturn {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Coturn {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new("turnserver")
            .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--listening-ip=127.0.0.1"])
            .args(["--relay-ip=127.0.0.1", "--realm=kith.test", "--use-auth-secret"])
            .args(["--allow-loopback-peers", "--log-file=stdout", "--simple-log"])
            .arg(format!("--pidfile={}", folder.path().join("pid").display()))
            .arg(format!("--userdb={}", folder.path().join("users").display()))
            .arg(format!("--static-auth-secret={SECRET}"))
            .arg(format!("--listening-port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port, _folder: folder }
    }

    /// Sends through it and back with these credentials.
    fn used_by(&self, user: &str, password: &str) -> Output {
        Command::new("turnutils_uclient")
            .args(["-y", "-c", "-n", "2", "-m", "1", "-z", "5", "-u", user, "-w", password])
            .args(["-p", &self.port.to_string(), "127.0.0.1"])
            .output()
            .unwrap()
    }

    /// Whether what was sent came back.
    fn takes(&self, user: &str, password: &str) -> bool {
        let output = self.used_by(user, password);
        let said = String::from_utf8_lossy(&output.stdout);
        let came_back = said.split("tot_recv_msgs=").last().is_some_and(|rest| {
            !rest.starts_with('0') && rest.starts_with(|digit: char| digit.is_ascii_digit())
        });
        output.status.success() && came_back
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_real_server_takes_these_credentials_and_no_others() {
    let installed = Command::new("turnserver").arg("--version").output().is_ok();
    if !installed {
        println!("coturn is not installed, so nothing was tried");
        return;
    }
    let (coturn, secret) = (Coturn::start(), format!("--turn-secret={SECRET}"));
    let service = Service::start(&["--turn-url=turn:127.0.0.1:3478", &secret]).await;
    let answer = asked(service.at.http, "POST", "/v1/turn").await;
    assert!(answer.contains("cache-control: no-store") && !answer.contains(SECRET), "{answer}");
    let given: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    let (user, password) =
        (given["username"].as_str().unwrap(), given["credential"].as_str().unwrap());
    assert_eq!(given["urls"], serde_json::json!(["turn:127.0.0.1:3478"]));

    let begin = std::time::Instant::now();
    while !coturn.takes(user, password) {
        assert!(begin.elapsed() < PATIENCE, "{:?}", coturn.used_by(user, password));
    }
    assert!(!coturn.takes(user, "bm90IHRoZSBwYXNzd29yZA=="));
    let (end, random) = user.split_once(':').unwrap();
    let later = end.parse::<u64>().unwrap() + 1;
    assert!(!coturn.takes(&format!("{later}:{random}"), password), "longer than was granted");
    service.stop().await;
}

#[tokio::test]
async fn without_a_server_there_are_none() {
    let service = Service::start(&[]).await;
    let answer = asked(service.at.http, "POST", "/v1/turn").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("unavailable"), "{answer}");
    let info = asked(service.at.http, "GET", "/v1/info").await;
    assert!(info.contains("\"turn\":false"), "{info}");
    service.stop().await;
}
