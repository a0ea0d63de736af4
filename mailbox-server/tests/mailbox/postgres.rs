//! Do several replicas on one PostgreSQL keep the same promises? A real server, thrown away after.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use kith_common::service::{
    Code,
    mailbox::{Fetched, Operation, PutBody},
};

use crate::{
    client::{Client, Keys, answered, blob, code, metric, seen, start},
    conformance::{self, FLAGS},
    live,
    program::Program,
};

/// A PostgreSQL of its own, in a folder that goes with it.
struct Cluster {
    server: Child,
    folder: tempfile::TempDir,
}

fn program(name: &str) -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(installed.map(|version| version.path().join("bin")));
    let found = places.into_iter().map(|place| place.join(name)).find(|path| path.exists());
    found.expect(
        "PostgreSQL is missing: install it (Debian: apt install postgresql), then run this again",
    )
}

/// The program as a user that PostgreSQL agrees to run as: it refuses root.
fn unprivileged(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(program(name));
    let number = |flag: &str, user: &str| {
        let said = Command::new("id").args([flag, user]).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().parse::<u32>().ok()
    };
    if number("-u", "root") == Some(0)
        && Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
    {
        let (user, group) = (number("-u", "postgres"), number("-g", "postgres"));
        let (user, group) = user.zip(group).expect("PostgreSQL's packages make a user postgres");
        std::os::unix::fs::chown(folder, Some(user), Some(group)).unwrap();
        command.uid(user).gid(group);
    }
    command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Cluster {
    async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("kith-pg").tempdir_in("/tmp").unwrap();
        let data = folder.path().join("data");
        let made = unprivileged("initdb", folder.path())
            .arg("-D")
            .arg(&data)
            .args(["-A", "trust", "-U", "kith", "--no-sync", "-E", "UTF8", "--locale=C"])
            .status()
            .unwrap();
        assert!(made.success(), "initdb");
        let sockets = format!("unix_socket_directories={}", folder.path().display());
        let server = unprivileged("postgres", folder.path())
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", &sockets, "-c", "fsync=off"])
            .spawn()
            .unwrap();
        let cluster = Self { server, folder };
        let settings: tokio_postgres::Config = cluster.settings().parse().unwrap();
        while settings.connect(tokio_postgres::NoTls).await.is_err() {
            tokio::task::yield_now().await;
        }
        cluster
    }

    fn settings(&self) -> String {
        format!("host={} user=kith dbname=postgres", self.folder.path().display())
    }

    fn flag(&self) -> String {
        format!("--postgres={}", self.settings())
    }

    /// Breaks every connection for notices.
    async fn cut_notices(&self) {
        let settings: tokio_postgres::Config = self.settings().parse().unwrap();
        let (client, connection) = settings.connect(tokio_postgres::NoTls).await.unwrap();
        let driving = tokio::spawn(connection);
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()";
        let row = client.query_one(sql, &[]).await.unwrap();
        assert!(row.get::<_, i64>(0) > 0, "some were cut");
        driving.abort();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_rules_hold() {
    let cluster = Cluster::start().await;
    let flag = cluster.flag();
    let server = start(&[FLAGS, &[flag.as_str()]].concat()).await;
    conformance::all(&server).await;
    live::all(&server).await;
    server.server.shutdown().await.unwrap();
}

async fn waits(client: &mut Client, keys: &Keys, health: std::net::SocketAddr) {
    let body = client.fetch_request(keys, &[], 60_000);
    client.begin(Operation::Fetch, &body).await;
    while metric(health, "kith_mailbox_waiting").await == 0 {
        tokio::task::yield_now().await;
    }
}

async fn delivered(client: &mut Client) -> Fetched {
    let (status, reply) = client.finish().await.unwrap();
    Fetched::decode(&answered(status, reply).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_takes_another_one_delivers() {
    let cluster = Cluster::start().await;
    let flag = cluster.flag();
    let flags = [flag.as_str(), "--name=mailbox.test"];
    // Both make the tables at once.
    let (one, other) = tokio::join!(start(&flags), start(&flags));
    let (mut writer, mut owner) = (one.client().await, other.client().await);
    (writer.audience, owner.audience) = ("mailbox.test".to_owned(), "mailbox.test".to_owned());
    let keys = Keys::new();
    owner.open(&keys).await;
    let health = other.server.health_address();
    waits(&mut owner, &keys, health).await;
    let put = PutBody::signed(&keys.writer, writer.stamp(), &blob(1));
    writer.ask(Operation::Put, &put).await.unwrap();
    assert_eq!(seen(&delivered(&mut owner).await), [(1, Some(1))]);
    assert_eq!(code(owner.ask(Operation::Put, &put).await), Code::Replayed, "on every replica");

    owner.fetch(&keys, &[1]).await.unwrap();
    waits(&mut owner, &keys, health).await;
    cluster.cut_notices().await;
    writer.put(&keys, &blob(2)).await.unwrap();
    assert_eq!(seen(&delivered(&mut owner).await), [(2, Some(2))], "it looks again after a gap");
    one.server.shutdown().await.unwrap();
    other.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_loses_nothing() {
    let cluster = Cluster::start().await;
    let (flag, folder) = (cluster.flag(), tempfile::tempdir().unwrap());
    let survivor = Program::start(folder.path(), &[&flag]);
    let (mut owner, keys) = (survivor.client().await, Keys::new());
    owner.open(&keys).await;
    let mut kept = Vec::new();
    for round in 0..4_u32 {
        let replica = Program::start(folder.path(), &[&flag]);
        let mut writer = replica.client().await;
        for number in round * 10..round * 10 + 10 {
            writer.put(&keys, &blob(number)).await.unwrap();
            kept.push(number);
        }
        let body = PutBody::signed(&keys.writer, writer.stamp(), &blob(1000 + round));
        writer.begin(Operation::Put, &body).await;
        replica.kill();
    }
    let fetched = seen(&owner.fetch(&keys, &[]).await.unwrap());
    let found: Vec<u32> = fetched.iter().filter_map(|(_, blob)| *blob).collect();
    for one in &kept {
        assert!(found.contains(one), "blob {one} was answered and is lost");
    }
    println!("{} answered, {} found after 4 kills", kept.len(), found.len());
    assert!(survivor.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_ready_while_the_database_is_away() {
    let mut cluster = Cluster::start().await;
    let flag = cluster.flag();
    let server = start(&[flag.as_str()]).await;
    let health = server.server.health_address();
    assert!(crate::client::get(health, "/readyz").await.starts_with("HTTP/1.1 200"));
    let (mut client, keys) = (server.client().await, Keys::new());
    client.open(&keys).await;
    // At once, with all that it serves: killed alone, those would go on for a moment.
    let process = cluster.server.id().to_string();
    assert!(Command::new("kill").args(["-QUIT", &process]).status().unwrap().success());
    cluster.server.wait().unwrap();
    assert!(crate::client::get(health, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert_eq!(code(client.put(&keys, &blob(1)).await), Code::Unavailable);
    assert!(crate::client::get(health, "/healthz").await.starts_with("HTTP/1.1 200"));
    server.server.shutdown().await.unwrap();
}
