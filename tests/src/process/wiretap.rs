//! What does somebody see who carries the connections to a mailbox-server? Each connection both ways,
//! and what is asked on it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use kith_common::service::mailbox::Operation;

/// Bytes that are carried at a time.
const PIECE_BYTES: usize = 1 << 16;

/// What went over one connection.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// From who connected.
    pub there: Vec<u8>,
    /// From the server.
    pub back: Vec<u8>,
}

/// A request as it was carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Everything before the body.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// What is asked; `None` if it is nothing about a queue.
    pub fn operation(&self) -> Option<Operation> {
        let path = self.head.split(' ').nth(1)?;
        Operation::ALL.into_iter().find(|operation| operation.path() == path)
    }
}

impl Carried {
    /// The requests, in order.
    ///
    /// # Panics
    /// If they are not HTTP with lengths.
    pub fn asked(&self) -> Vec<Asked> {
        let (mut rest, mut asked) = (self.there.as_slice(), Vec::new());
        while let Some(at) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            let (head, behind) = rest.split_at(at + 4);
            let head = String::from_utf8(head.to_vec()).expect("a head is text");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().expect("a length is a number"));
            // The last one may have been cut short.
            let Some((body, behind)) = behind.split_at_checked(length) else { break };
            asked.push(Asked { head, body: body.to_vec() });
            rest = behind;
        }
        asked
    }
}

type Connections = Arc<Mutex<Vec<Arc<Mutex<Carried>>>>>;

/// Carries connections to a port of loopback, and writes everything down.
#[derive(Debug)]
pub struct Wiretap {
    port: u16,
    connections: Connections,
}

impl Wiretap {
    /// Begins to carry.
    ///
    /// # Panics
    /// If no port is free.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let connections = Connections::default();
        let kept = Arc::clone(&connections);
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let carried = Arc::default();
                lock(&kept).push(Arc::clone(&carried));
                // Whoever calls while the server is away is hung up on.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    carry_both(&caller, &server, &carried);
                }
            }
        });
        Self { port, connections }
    }

    /// By which address people choose the server behind it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything so far, a connection each.
    pub fn carried(&self) -> Vec<Carried> {
        lock(&self.connections).iter().map(|carried| lock(carried).clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn carry_both(caller: &TcpStream, server: &TcpStream, carried: &Arc<Mutex<Carried>>) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("a connection has two ends");
    let way: [fn(&mut Carried) -> &mut Vec<u8>; 2] = [|all| &mut all.there, |all| &mut all.back];
    let ends = [(clone(caller), clone(server)), (clone(server), clone(caller))];
    for ((from, to), way) in ends.into_iter().zip(way) {
        let carried = Arc::clone(carried);
        std::thread::spawn(move || {
            let keep = |piece: &[u8]| way(&mut lock(&carried)).extend_from_slice(piece);
            carry(from, to, &keep);
        });
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, keep: &dyn Fn(&[u8])) {
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let Some(piece) = buffer.get(..read) else { break };
        keep(piece);
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
