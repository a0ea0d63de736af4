//! How are requests sent, and what does it take? Everything is prepared before the clock starts, and
//! threads wait in the kernel, so that the cores are the server's.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Requests in a second.
    pub(crate) rate: f64,
    /// Time within which half of them are answered.
    pub(crate) p50: Duration,
    /// Time within which 99 of 100 are answered.
    pub(crate) p99: Duration,
}

impl Measured {
    /// The median of each figure.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        Self {
            rate: median(rounds.iter().map(|one| one.rate).collect()),
            p50: median(rounds.iter().map(|one| one.p50).collect()),
            p99: median(rounds.iter().map(|one| one.p99).collect()),
        }
    }
}

/// The value in the middle.
pub(crate) fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).unwrap());
    values[values.len() / 2]
}

/// A connection on which a request is answered before the next one is sent.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 64 * 1024] }
    }

    /// Sends a request of HTTP and reads the answer.
    pub(crate) fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        let mut filled = 0;
        let end = loop {
            filled += self.read(filled);
            let head = &self.buffer[..filled];
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut left = end + length - filled;
        while left > 0 {
            left -= self.read(0);
        }
    }

    /// Sends bytes to a bare server and waits for its byte.
    pub(crate) fn ask_bare(&mut self, blob: &[u8]) {
        self.stream.write_all(blob).unwrap();
        assert_eq!(self.read(0), 1);
    }

    fn read(&mut self, from: usize) -> usize {
        let read = self.stream.read(&mut self.buffer[from..]).unwrap();
        assert!(read > 0, "the server closed the connection");
        read
    }
}

/// Sends chains of requests, each chain on one connection in order, until there are none left.
pub(crate) fn drive(
    address: SocketAddr,
    clients: usize,
    chains: &[Vec<Vec<u8>>],
    ask: impl Fn(&mut Connection, &[u8]) + Sync,
) -> Measured {
    let (next, ready) = (AtomicUsize::new(0), Barrier::new(clients + 1));
    let client = || {
        let mut connection = Connection::to(address);
        let mut times = Vec::new();
        ready.wait();
        while let Some(chain) = chains.get(next.fetch_add(1, Ordering::Relaxed)) {
            for request in chain {
                let sent = Instant::now();
                ask(&mut connection, request);
                times.push(sent.elapsed());
            }
        }
        times
    };
    let (mut times, took) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        ready.wait();
        let began = Instant::now();
        let times: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (times, began.elapsed())
    });
    times.sort_unstable();
    let within = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let rate = times.len() as f64 / took.as_secs_f64();
    Measured { rate, p50: within(50), p99: within(99) }
}

/// Bytes of a process that are in memory.
pub(crate) fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// How busy the machine is, over 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let all = std::fs::read_to_string("/proc/loadavg").unwrap();
    all.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
