//! What does the mailbox-server do? Requests are signed before the clock starts: that is the client's
//! work.

use kith_common::{
    envelope::sign,
    service::{
        Stamp,
        mailbox::{Days, Fetch, Open, Operation, PutBody},
    },
};
use rand_core::Rng;

use crate::{
    client::{Keys, blob, random},
    drive::{Connection, Measured, drive},
    program::Program,
};

const NAME: &str = "mailbox.test";
/// Blobs of 4 KiB that one fetch takes: 1 MiB.
const FETCH_BLOBS: usize = 256;
/// Queues with one blob each.
const SINGLES: usize = 1000;

fn stamp() -> Stamp {
    let mut nonce = [0; 16];
    random().fill_bytes(&mut nonce);
    Stamp { audience: NAME.to_owned(), time: kith_server::now(), nonce }
}

fn request(operation: Operation, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {NAME}\r\ncontent-type: application/cbor\r\n\
         content-length: {}\r\n\r\n",
        operation.path(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A program of its own with queues that are open.
struct Server {
    program: Option<Program>,
    _folder: tempfile::TempDir,
    queues: Vec<Keys>,
}

impl Server {
    fn start(flags: &[String], queues: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut all = vec!["--queue-blobs-max=65535", "--queue-mib-max=1024"];
        all.extend(flags.iter().map(String::as_str));
        let program = Program::start(folder.path(), &all);
        let mut connection = Connection::to(program.address);
        let queues = (0..queues).map(|_| {
            let keys = Keys::new();
            let open = Open {
                stamp: stamp(),
                writer: *keys.writer.public(),
                days: Days::Seven,
                blobs_max: u16::MAX,
                bytes_max: 1 << 30,
                card: None,
                access: None,
            };
            connection.ask(&request(Operation::Open, sign(&keys.owner, open).bytes()));
            keys
        });
        let queues = queues.collect();
        Self { program: Some(program), _folder: folder, queues }
    }

    fn drive(&self, clients: usize, chains: &[Vec<Vec<u8>>]) -> Measured {
        drive(self.program.as_ref().unwrap().address, clients, chains, Connection::ask)
    }

    /// Puts blobs into all queues in turn.
    fn put(&self, clients: usize, blobs: usize) -> Measured {
        let queues = self.queues.iter().cycle();
        let put = |(number, keys): (usize, &Keys)| {
            let blob = blob(u32::try_from(number).unwrap());
            vec![request(Operation::Put, &PutBody::signed(&keys.writer, stamp(), &blob))]
        };
        let chains: Vec<_> = (0..blobs).zip(queues).map(put).collect();
        self.drive(clients, &chains)
    }

    /// Takes so many blobs out of every queue; each fetch acknowledges what the former took.
    fn fetch(&self, clients: usize, blobs: usize) -> Measured {
        let fetches = |keys: &Keys| {
            let starts = (0..=blobs.div_ceil(FETCH_BLOBS)).map(|n| n * FETCH_BLOBS);
            let fetch = |start: usize| {
                let taken = start.saturating_sub(FETCH_BLOBS) + 1..=start.min(blobs);
                let delete = taken.map(|number| number as u64).collect();
                let fetch = Fetch { stamp: stamp(), delete, wait_ms: 0 };
                request(Operation::Fetch, sign(&keys.owner, fetch).bytes())
            };
            starts.map(fetch).collect()
        };
        let chains: Vec<Vec<Vec<u8>>> = self.queues.iter().map(fetches).collect();
        self.drive(clients, &chains)
    }

    fn blobs_taken(&self, clients: usize, blobs: usize) -> f64 {
        let queues = self.queues.len();
        let each = blobs / queues;
        let requests = queues * (each.div_ceil(FETCH_BLOBS) + 1);
        self.fetch(clients, each).rate / requests as f64 * blobs as f64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.program.take().unwrap().kill();
    }
}

/// Puts into a server of its own.
pub(crate) fn puts(flags: &[String], queues: usize, clients: usize, blobs: usize) -> Measured {
    Server::start(flags, queues).put(clients, blobs)
}

/// Fetches from queues that hold one blob each.
pub(crate) fn fetch_one(flags: &[String], clients: usize) -> Measured {
    let server = Server::start(flags, SINGLES);
    server.put(16, SINGLES);
    server.fetch(clients, 1)
}

/// Blobs taken in a second, as many in one fetch as fit.
pub(crate) fn fetch_many(flags: &[String], queues: usize, clients: usize, blobs: usize) -> f64 {
    let server = Server::start(flags, queues);
    server.put(16, blobs);
    server.blobs_taken(clients, blobs)
}

/// Blobs put and taken in a second by the same clients.
pub(crate) fn put_and_fetch(queues: usize, clients: usize, blobs: usize) -> (f64, f64) {
    let server = Server::start(&[], queues);
    let put = server.put(clients, blobs);
    (put.rate, server.blobs_taken(clients, blobs))
}
