//! Who asks? A client of one connection, the keys of a queue, and a server in this process.

use std::{ffi::OsString, net::SocketAddr};

use kith_common::{
    envelope::sign,
    keys::SigningKey,
    service::{
        Code, Failure, Stamp,
        mailbox::{
            Close, Days, Fetch, Fetched, Open, Opened, Operation, PutBody, Standing, Status, Stored,
        },
    },
    time::Timestamp,
};
use kith_server::{
    Server,
    config::{Start, load},
};
use mailbox_server::config::{SERVICE, Settings};
use rand_core::{Rng, UnwrapErr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A server in this process; its folder goes with it.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) _folder: tempfile::TempDir,
}

/// Starts a server on free ports, in a new folder.
pub(crate) async fn start(flags: &[&str]) -> Running {
    start_in(tempfile::tempdir().unwrap(), flags).await
}

pub(crate) async fn start_in(folder: tempfile::TempDir, flags: &[&str]) -> Running {
    let data = folder.path().to_str().unwrap();
    let own = ["mailbox-server", "--listen=127.0.0.1:0", "--health=127.0.0.1:0", "--data", data];
    let arguments = own.iter().chain(flags).map(OsString::from);
    let Start::Run(config, settings) = load::<Settings>(&SERVICE, arguments).unwrap() else {
        panic!("it runs")
    };
    let server = mailbox_server::bind(*config, settings).await.unwrap();
    Running { server, _folder: folder }
}

impl Running {
    pub(crate) async fn client(&self) -> Client {
        Client::to(self.server.address()).await
    }
}

pub(crate) fn random() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// The keys of a queue.
pub(crate) struct Keys {
    pub(crate) owner: SigningKey,
    pub(crate) writer: SigningKey,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let mut rng = random();
        Self { owner: SigningKey::random(&mut rng), writer: SigningKey::random(&mut rng) }
    }
}

/// A blob of 4 KiB that begins with a number.
pub(crate) fn blob(number: u32) -> Vec<u8> {
    let mut blob = vec![0; 4096];
    blob[..4].copy_from_slice(&number.to_be_bytes());
    blob
}

/// One connection that stays open.
pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) audience: String,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, audience: address.to_string(), buffer: Vec::new() }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let mut nonce = [0; 16];
        random().fill_bytes(&mut nonce);
        Stamp { audience: self.audience.clone(), time: kith_server::now(), nonce }
    }

    /// Sends a request; status and body of the answer, nothing if the connection ends.
    pub(crate) async fn send(
        &mut self,
        operation: Operation,
        body: &[u8],
    ) -> Option<(u16, Vec<u8>)> {
        self.begin(operation, body).await;
        self.finish().await
    }

    pub(crate) async fn begin(&mut self, operation: Operation, body: &[u8]) {
        let (path, host, length) = (operation.path(), &self.audience, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/cbor\r\n\
             content-length: {length}\r\n\r\n"
        );
        let request = [head.as_bytes(), body].concat();
        // A server that refuses early may have closed already; its answer is still read.
        let _ = self.stream.write_all(&request).await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn finish(&mut self) -> Option<(u16, Vec<u8>)> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap().to_lowercase();
        let status = head[9..12].parse().unwrap();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        while self.buffer.len() < end + length {
            self.more().await?;
        }
        let rest = self.buffer.split_off(end + length);
        let body = std::mem::replace(&mut self.buffer, rest).split_off(end);
        Some((status, body))
    }

    /// Makes a WebSocket of the connection (RFC 6455).
    pub(crate) async fn upgrade(&mut self) {
        let request = format!(
            "GET /v1/mailbox/live HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.audience
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        while !self.buffer.ends_with(b"\r\n\r\n") {
            self.more().await.unwrap();
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 101"));
        self.buffer.clear();
    }

    /// Says a binary message on the WebSocket, masked with zeros.
    pub(crate) async fn say(&mut self, message: &[u8]) {
        let length = u64::try_from(message.len()).unwrap();
        let mut frame = vec![0x82, 0x80 | 127];
        frame.extend_from_slice(&length.to_be_bytes());
        if let Ok(short) = u16::try_from(length) {
            frame.truncate(1);
            match u8::try_from(length) {
                Ok(tiny @ ..126) => frame.push(0x80 | tiny),
                _ => {
                    frame.push(0x80 | 126);
                    frame.extend_from_slice(&short.to_be_bytes());
                }
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(message);
        let _ = self.stream.write_all(&frame).await;
    }

    /// The next binary message on the WebSocket; nothing if it is closed.
    pub(crate) async fn hear(&mut self) -> Option<Vec<u8>> {
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        let (kind, extra) = (self.buffer[0] & 0x0f, self.buffer[1]);
        let head = match extra {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        while self.buffer.len() < head {
            self.more().await?;
        }
        let said = self.buffer[2..head].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let length = if head == 2 { usize::from(extra) } else { said };
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        let rest = self.buffer.split_off(head + length);
        let message = std::mem::replace(&mut self.buffer, rest).split_off(head);
        (kind == 2).then_some(message)
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap_or(0);
        (read > 0).then_some(())
    }

    pub(crate) async fn ask(
        &mut self,
        operation: Operation,
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let (status, body) = self.send(operation, body).await.expect("an answer");
        answered(status, body)
    }

    pub(crate) fn open_request(&self, keys: &Keys) -> Open {
        Open {
            stamp: self.stamp(),
            writer: *keys.writer.public(),
            days: Days::Seven,
            blobs_max: 1000,
            bytes_max: 16 << 20,
            card: None,
            access: None,
        }
    }

    pub(crate) async fn open(&mut self, keys: &Keys) -> Opened {
        let open = self.open_request(keys);
        self.open_as(keys, open).await.unwrap()
    }

    pub(crate) async fn open_as(&mut self, keys: &Keys, open: Open) -> Result<Opened, Failure> {
        let body = sign(&keys.owner, open);
        self.ask(Operation::Open, body.bytes()).await.map(|reply| Opened::decode(&reply).unwrap())
    }

    pub(crate) async fn put(&mut self, keys: &Keys, blob: &[u8]) -> Result<Stored, Failure> {
        let body = PutBody::signed(&keys.writer, self.stamp(), blob);
        self.ask(Operation::Put, &body).await.map(|reply| Stored::decode(&reply).unwrap())
    }

    pub(crate) fn fetch_request(&self, keys: &Keys, delete: &[u64], wait_ms: u64) -> Box<[u8]> {
        let fetch = Fetch { stamp: self.stamp(), delete: delete.to_vec(), wait_ms };
        sign(&keys.owner, fetch).into_bytes()
    }

    pub(crate) async fn fetch(&mut self, keys: &Keys, delete: &[u64]) -> Result<Fetched, Failure> {
        self.fetch_waiting(keys, delete, 0).await
    }

    pub(crate) async fn fetch_waiting(
        &mut self,
        keys: &Keys,
        delete: &[u64],
        wait_ms: u64,
    ) -> Result<Fetched, Failure> {
        let body = self.fetch_request(keys, delete, wait_ms);
        self.ask(Operation::Fetch, &body).await.map(|reply| Fetched::decode(&reply).unwrap())
    }

    pub(crate) async fn status(&mut self, keys: &Keys) -> Result<Standing, Failure> {
        let body = sign(&keys.writer, Status { stamp: self.stamp() });
        self.ask(Operation::Status, body.bytes())
            .await
            .map(|reply| Standing::decode(&reply).unwrap())
    }

    pub(crate) async fn close(&mut self, signer: &SigningKey) -> Result<Vec<u8>, Failure> {
        let body = sign(signer, Close { stamp: self.stamp() });
        self.ask(Operation::Close, body.bytes()).await
    }
}

pub(crate) fn answered(status: u16, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if status == 200 {
        return Ok(body);
    }
    let failure = Failure::decode(&body).unwrap();
    assert_eq!(failure.code.status(), status);
    Err(failure)
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, Failure>) -> Code {
    answer.unwrap_err().code
}

/// Numbers and first bytes of what was fetched; nothing for a mark.
pub(crate) fn seen(fetched: &Fetched) -> Vec<(u64, Option<u32>)> {
    let first = |blob: &[u8]| u32::from_be_bytes(blob[..4].try_into().unwrap());
    fetched.items.iter().map(|item| (item.number, item.blob.as_deref().map(first))).collect()
}

/// A value of the page of metrics.
pub(crate) async fn metric(health: SocketAddr, name: &str) -> u64 {
    let page = get(health, "/metrics").await;
    let line = page.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A time so far away from now.
pub(crate) fn off_by(minutes: i64) -> Timestamp {
    let now = i64::try_from(kith_server::now().millis()).unwrap();
    Timestamp::from_millis(u64::try_from(now + minutes * 60_000).unwrap())
}
