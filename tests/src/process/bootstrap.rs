//! How does a test run a real bootstrap? The true program on ports that it keeps, and people who
//! have chosen it.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use kith_common::share::SharedId;
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, Person, Setup, built, free_port};

/// A bootstrap; killed when dropped.
#[derive(Debug)]
pub struct Bootstrap {
    port: u16,
    health: u16,
    peers: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    addresses: Vec<String>,
    child: Option<Child>,
}

impl Bootstrap {
    /// One that runs alone.
    pub fn start() -> Self {
        Self::start_beside(&[])
    }

    /// As many as wanted, which know each other.
    pub fn network(count: usize) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for _ in 0..count {
            let others: Vec<&Self> = all.iter().collect();
            let next = Self::start_beside(&others);
            all.push(next);
        }
        all
    }

    /// One that knows others.
    pub fn start_beside(others: &[&Self]) -> Self {
        let peers = others.iter().flat_map(|other| other.addresses.clone()).collect();
        Self::start_with(peers, &[], &[])
    }

    /// One with peers, more arguments and variables of its environment.
    ///
    /// # Panics
    /// If there is no room for a folder, or it does not come up.
    pub fn start_with(
        peers: Vec<String>,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let mut bootstrap = Self {
            port: free_port(),
            health: free_port(),
            peers,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: environment.to_vec(),
            folder: TempDir::with_prefix("kith-bootstrap-").expect("a temporary folder"),
            addresses: Vec::new(),
            child: None,
        };
        bootstrap.up();
        bootstrap
    }

    /// By which addresses people choose it: QUIC and TCP.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// If it runs already or does not come up.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "the bootstrap runs already");
        let stderr = OpenOptions::new().create(true).append(true).open(self.log_file());
        let at = |end: &str| format!("/ip4/127.0.0.1/{end}");
        let peers = self.peers.iter().flat_map(|peer| ["--peer", peer]);
        let mut child = Command::new(built("bootstrap"))
            .args(["--listen", "127.0.0.1:0", "--health", &format!("127.0.0.1:{}", self.health)])
            .args(["--p2p", &at(&format!("udp/{}/quic-v1", self.port))])
            .args(["--p2p", &at(&format!("tcp/{}", self.port))])
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .args(peers)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.expect("the log can be written"))
            .spawn()
            .expect("the bootstrap starts");
        let stdout = child.stdout.take().expect("its output was asked for");
        let (said, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    break;
                }
            }
        });
        self.addresses.clear();
        while self.addresses.len() < 2 {
            let line = lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("it does not come up: {}", self.log()));
            let words = line.split_whitespace().filter(|word| word.starts_with("/ip4/127."));
            self.addresses.extend(words.map(str::to_owned));
        }
        self.child = Some(child);
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A number of its metrics; 0 if there is none.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn metric(&self, name: &str) -> f64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.health);
        let mut reply = ureq::get(&url).call().expect("it tells its metrics");
        let text = reply.body_mut().read_to_string().expect("as text");
        let of = |line: &str| {
            let (key, value) = line.rsplit_once(' ')?;
            (key == name || key.starts_with(&format!("{name}{{")))
                .then(|| value.parse::<f64>().ok())?
        };
        text.lines().filter_map(of).sum()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Setup {
    /// A node that begins at these bootstraps.
    pub fn beginning_at(bootstraps: &[&Bootstrap]) -> Self {
        let addresses = bootstraps.iter().flat_map(|it| it.addresses().to_vec());
        let arguments = addresses.flat_map(|address| ["--bootstrap".to_owned(), address]);
        Self { arguments: arguments.chain(["--no-upnp".to_owned()]).collect(), ..Self::default() }
    }
}

impl Person {
    /// From the next start on the node begins at these bootstraps.
    pub fn begins_at(&mut self, bootstraps: &[&Bootstrap]) {
        self.setup.arguments = Setup::beginning_at(bootstraps).arguments;
    }

    /// From the next start on the node has this in its environment.
    pub fn surrounded_by(&mut self, environment: Vec<(String, String)>) {
        self.setup.environment = environment;
    }

    /// What nobody who keeps records may see: account, recovery key and devices.
    ///
    /// # Panics
    /// If the node has never run.
    pub fn ids(&self) -> Vec<Vec<u8>> {
        let text =
            |name: &str| self.init.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = SharedId::decode(&text("account")).expect("an id");
        let device = data_encoding::HEXLOWER.decode(text("device").as_bytes()).expect("in hex");
        vec![id.checksum.to_vec(), id.recovery.to_vec(), device]
    }

    /// The id by which this person is found.
    ///
    /// # Panics
    /// If the node does not run.
    pub fn id(&self) -> String {
        let invite = self.kith(&["invite"]).json();
        invite.get("account").and_then(Value::as_str).expect("an id").to_owned()
    }

    /// How a contact is connected: `direct`, `relayed`, or not at all.
    pub fn connection(&self, contact: &str) -> Option<String> {
        let contact = self.kith(&["contact", "show", contact]).json();
        contact.get("connection").and_then(Value::as_str).map(str::to_owned)
    }
}
