//! What is the least that must be done? 4 KiB come in, one thread inserts and commits for all that
//! wait, a byte goes out: no signature, no HTTP, no queue.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::mpsc,
};

use crate::drive::{Connection, Measured, drive};

/// Makes this program the bare server.
pub(crate) const WORD: &str = "bare-server";

/// Puts into a bare server of its own.
pub(crate) fn puts(clients: usize, blobs: usize) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg(WORD)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let chains = vec![vec![vec![7; 4096]]; blobs];
    let measured = drive(line.trim().parse().unwrap(), clients, &chains, Connection::ask_bare);
    server.kill().unwrap();
    server.wait().unwrap();
    measured
}

type Job = (Vec<u8>, mpsc::Sender<()>);

/// Serves in the current folder until it is killed.
pub(crate) fn serve() {
    let db = rusqlite::Connection::open("bare.sqlite").unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.execute_batch("CREATE TABLE blobs (id INTEGER PRIMARY KEY, bytes BLOB)").unwrap();
    let (write, jobs) = mpsc::channel::<Job>();
    std::thread::spawn(move || commit_all(&db, &jobs));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    for stream in listener.incoming() {
        let (stream, write) = (stream.unwrap(), write.clone());
        std::thread::spawn(move || answer(stream, &write));
    }
}

fn commit_all(db: &rusqlite::Connection, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(jobs.try_iter().take(255)).collect();
        db.execute_batch("BEGIN").unwrap();
        for (bytes, _) in &batch {
            let sql = "INSERT INTO blobs (bytes) VALUES (?1)";
            db.prepare_cached(sql).unwrap().execute([bytes]).unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
        batch.into_iter().for_each(|(_, answer)| answer.send(()).unwrap());
    }
}

fn answer(mut stream: TcpStream, write: &mpsc::Sender<Job>) {
    stream.set_nodelay(true).unwrap();
    let (answer, done) = mpsc::channel();
    let mut bytes = vec![0; 4096];
    while stream.read_exact(&mut bytes).is_ok() {
        write.send((bytes.clone(), answer.clone())).unwrap();
        done.recv().unwrap();
        stream.write_all(&[1]).unwrap();
    }
}
