//! A node was killed and another program listens where it was: the command line tells it nothing.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use kith_tests::process::Person;
use serde_json::json;

const NOT_RUNNING: i32 = 3;
const TEXT: &str = "meet me at the harbour";
/// Longer than the command line takes to send what it has to send.
const LAST_WORD: Duration = Duration::from_millis(200);

/// What the impostor answers to a request.
type Answer = fn(request: &str) -> Vec<u8>;

/// A program on a port that records whatever it is told.
struct Impostor {
    told: mpsc::Receiver<String>,
}

impl Impostor {
    fn listen(address: &str, answer: Answer) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(LAST_WORD)).unwrap();
                    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
                    let mut answered = false;
                    while let Ok(read @ 1..) = stream.read(&mut buffer) {
                        heard.extend_from_slice(&buffer[..read]);
                        if !answered && heard.windows(4).any(|end| end == b"\r\n\r\n") {
                            answered = true;
                            let _ = stream.write_all(&answer(&String::from_utf8_lossy(&heard)));
                        }
                    }
                    let _ = tell.send(String::from_utf8_lossy(&heard).into_owned());
                });
            }
        });
        Self { told }
    }

    /// Everything that one visitor said.
    fn hear(&self) -> String {
        let first = self.told.recv_timeout(Duration::from_secs(10)).unwrap();
        let more = std::iter::from_fn(|| self.told.recv_timeout(LAST_WORD * 3).ok());
        std::iter::once(first).chain(more).collect()
    }
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    format!("{head}{length}\r\n\r\n{body}").into_bytes()
}

/// A node that was killed, and the access file that it left.
fn killed() -> (Person, String, String) {
    let mut alice = Person::start("Alice");
    let (address, key) = (alice.api().address.clone(), alice.api().key.clone());
    alice.kill();
    assert!(alice.home().join("api.json").exists());
    (alice, address, key)
}

fn tells_nothing(answer: Answer) {
    let (alice, address, key) = killed();
    let impostor = Impostor::listen(&address, answer);
    for command in [&["send", "Bob", TEXT][..], &["status"], &["watch"]] {
        let refusal = alice.kith(command).refusal(NOT_RUNNING);
        assert!(refusal.contains("kith run"), "{refusal}");
        let heard = impostor.hear();
        assert!(heard.starts_with("GET /api/proof?nonce="), "{heard}");
        for secret in [&key, TEXT, "harbour", "Bob", "uthorization", "Bearer"] {
            assert!(!heard.contains(secret), "it was told {secret:?}: {heard}");
        }
    }
}

#[test]
fn who_agrees_to_everything_is_told_nothing() {
    tells_nothing(|_| ok("{}"));
}

#[test]
fn who_makes_a_proof_up_is_told_nothing() {
    tells_nothing(|_| ok(&json!({ "proof": "0".repeat(64) }).to_string()));
}

#[test]
fn who_gives_the_nonce_back_is_told_nothing() {
    tells_nothing(|request| {
        let nonce = request.split(['=', ' ']).nth(2).unwrap();
        ok(&json!({ "proof": nonce }).to_string())
    });
}

#[test]
fn who_speaks_no_http_is_told_nothing() {
    tells_nothing(|_| b"220 mail.example ready\r\n".to_vec());
}

#[test]
fn who_answers_without_end_is_told_nothing() {
    tells_nothing(|_| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n".to_vec();
        [head, vec![b' '; 4 << 20]].concat()
    });
}

#[test]
fn who_hangs_up_is_told_nothing() {
    tells_nothing(|_| Vec::new());
}

#[test]
fn another_node_is_told_nothing() {
    let (alice, _, key) = killed();
    let other = Person::start("Mallory");
    let access = json!({ "address": other.api().address, "key": key });
    std::fs::write(alice.home().join("api.json"), access.to_string()).unwrap();
    alice.kith(&["send", "Bob", TEXT]).refusal(NOT_RUNNING);
    assert_eq!(other.api().refusals("api_no_session"), 0, "the key was not even tried");
}

#[test]
fn a_redirection_is_not_followed() {
    let (alice, address, _) = killed();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let at = elsewhere.local_addr().unwrap();
    let listener = TcpListener::bind(&address).unwrap();
    let redirecting = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let head = format!("HTTP/1.1 307 Elsewhere\r\nLocation: http://{at}/\r\n");
        let _ = stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes());
    });
    alice.kith(&["send", "Bob", TEXT]).refusal(NOT_RUNNING);
    redirecting.join().unwrap();
    assert!(elsewhere.accept().is_err(), "nobody came");
}
