//! How is a real PostgreSQL started for a moment?

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A PostgreSQL of its own, in a folder that goes with it.
pub(crate) struct Cluster {
    pub(crate) server: Child,
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
    /// Starts one with these settings.
    pub(crate) async fn start(with: &[&str]) -> Self {
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
            .args(["-c", "listen_addresses=", "-c", &sockets])
            .args(with.iter().flat_map(|setting| ["-c", setting]))
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

    pub(crate) fn flag(&self) -> String {
        format!("--postgres={}", self.settings())
    }

    /// Breaks every connection for notices.
    pub(crate) async fn cut_notices(&self) {
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
