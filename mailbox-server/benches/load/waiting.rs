//! How much memory does each client take that waits?

use kith_common::service::mailbox::{Operation, live};

use crate::{
    client::{Keys, metric},
    drive::resident,
    program::Program,
};

/// Measures and prints all of it; bytes for each of 1,000 fetches that wait.
pub(crate) async fn all() -> u64 {
    println!("\n| clients that wait | at the start | by fetch, each | by WebSocket, each |");
    println!("|---|---|---|---|");
    let mut first = None;
    for clients in [1000, 10_000] {
        let (start, fetches) = memory(clients, false).await;
        let (_, sockets) = memory(clients, true).await;
        println!("| {clients} | {start} bytes | {fetches} | {sockets} |");
        first.get_or_insert(fetches);
    }
    first.unwrap()
}

/// Bytes of resident memory of the program, and for each client that waits.
async fn memory(clients: u64, sockets: bool) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &["--connections-per-address=20000"]);
    let keys = Keys::new();
    program.client().await.open(&keys).await;
    let before = resident(program.child.id());
    let mut waiting = Vec::new();
    for _ in 0..clients {
        let mut client = program.client().await;
        if sockets {
            client.upgrade().await;
            let fetch = client.fetch_request(&keys, &[], 0);
            client.say(&live::ask(Operation::Fetch, &fetch)).await;
            client.hear().await.unwrap();
        } else {
            let body = client.fetch_request(&keys, &[], 60_000);
            client.begin(Operation::Fetch, &body).await;
        }
        waiting.push(client);
    }
    let name = if sockets { "kith_mailbox_live" } else { "kith_mailbox_waiting" };
    while metric(program.health, name).await < clients {
        tokio::task::yield_now().await;
    }
    let after = resident(program.child.id());
    program.kill();
    (before, (after - before) / clients)
}
