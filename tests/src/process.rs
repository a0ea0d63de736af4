//! How does a test drive real nodes? Homes in temporary folders, the true binary, its API and events.
//!
//! Everything waits for a condition with a deadline; whatever was started ends with its owner.

#![expect(clippy::expect_used, clippy::panic, reason = "a harness tells what failed by panicking")]

mod api;
mod bootstrap;
mod events;
mod linking;
mod mailbox;
mod node;
mod table;
mod wiretap;

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub use self::{
    api::{Api, Message, Reply, SendFailed},
    bootstrap::Bootstrap,
    events::Events,
    linking::Joining,
    mailbox::Mailbox,
    node::Node,
    table::{Answers, Seen, TableServer},
    wiretap::{Asked, Carried, Wiretap},
};

/// How long a condition may take that should come at once; generous, as machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks at a condition that has no event.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Below the ports that systems hand out by themselves, so that a port stays free over a restart.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Looks until there is something, or fails naming what was missed.
///
/// # Panics
/// If it does not come in time.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not in {patience:?}: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The `kith` program: `KITH_BIN`, or the one built beside this test.
///
/// # Panics
/// If it has not been built.
pub fn binary() -> PathBuf {
    std::env::var_os("KITH_BIN").map_or_else(|| built("kith"), PathBuf::from)
}

/// A program that was built beside this test.
fn built(program: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let path = profile.join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run `cargo build -p {program}` first", path.display());
    path
}

/// Ports that no other test process hands out while this one runs: it holds the one before them.
struct PortBlock {
    _claim: TcpListener,
    ports: std::ops::Range<u16>,
}

impl PortBlock {
    const SIZE: u16 = 100;

    fn claim() -> Self {
        let count = (PORTS.end - PORTS.start) / Self::SIZE;
        // Tests run in many processes at once: each begins somewhere else.
        let begin = u16::try_from(std::process::id() % u32::from(count)).expect("below the count");
        let firsts = (0..count).map(|at| PORTS.start + (begin + at) % count * Self::SIZE);
        let claimed = firsts.filter_map(|first| {
            let claim = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).ok()?;
            Some(Self { _claim: claim, ports: first + 1..first + Self::SIZE })
        });
        claimed.into_iter().next().expect("a block of ports is free")
    }
}

/// A port on loopback that is free for TCP and UDP.
///
/// # Panics
/// If none is.
pub fn free_port() -> u16 {
    static BLOCKS: Mutex<Vec<PortBlock>> = Mutex::new(Vec::new());
    let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = blocks.last_mut().and_then(|block| {
            block.ports.find(|port| {
                let at = (Ipv4Addr::LOCALHOST, *port);
                TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
            })
        });
        match port {
            Some(port) => return port,
            None => blocks.push(PortBlock::claim()),
        }
    }
}

/// How a person's node reaches others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP with Noise on loopback.
    Tcp,
    /// QUIC on loopback.
    Quic,
}

impl Transport {
    /// The address of a port on loopback.
    pub fn address(self, port: u16) -> String {
        match self {
            Self::Tcp => format!("/ip4/127.0.0.1/tcp/{port}"),
            Self::Quic => format!("/ip4/127.0.0.1/udp/{port}/quic-v1"),
        }
    }
}

/// What came of one run of the program.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// What went to standard output.
    pub out: String,
    /// What went to standard error.
    pub err: String,
}

impl Ran {
    /// The one JSON document that a command answers with.
    ///
    /// # Panics
    /// If the command failed or wrote something else.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "the command failed: {}", self.err);
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no single JSON document ({error}): {}", self.out))
    }

    /// The sentence with which a command was refused; its code is checked.
    ///
    /// # Panics
    /// If it was not refused with this code and in the shape of refusals.
    pub fn refusal(&self, code: i32) -> String {
        assert_eq!(self.code, code, "out: {} err: {}", self.out, self.err);
        assert_eq!(self.out, "", "a refused command answers nothing");
        let document: Value = serde_json::from_str(&self.err)
            .unwrap_or_else(|error| panic!("no JSON refusal ({error}): {}", self.err));
        let message = document.pointer("/error/message").and_then(Value::as_str);
        message.expect("a refusal has a message").to_owned()
    }
}

/// Whether a datagram to the discovery group comes back to this machine.
pub fn multicast_works() -> bool {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let attempt = || -> std::io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to(b"?", (group, socket.local_addr()?.port()))?;
        socket.recv(&mut [0; 1]).map(drop)
    };
    attempt().is_ok()
}

/// How a person's home is to be made and run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Keys at rest under this passphrase, or without any.
    pub passphrase: Option<String>,
    /// What the node listens on.
    pub transport: Transport,
    /// Whether it looks for others in the local network; it then listens on all interfaces.
    pub mdns: bool,
    /// More arguments of `kith run`.
    pub arguments: Vec<String>,
    /// More of the node's environment.
    pub environment: Vec<(String, String)>,
    /// `KITH_LOG` of the node.
    pub log: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            passphrase: None,
            transport: Transport::Tcp,
            mdns: false,
            arguments: Vec::new(),
            environment: Vec::new(),
            log: "warn",
        }
    }
}

/// Somebody with a home folder and, at times, a running node.
#[derive(Debug)]
pub struct Person {
    /// What they call themselves.
    pub name: String,
    /// What `kith init` answered.
    pub init: Value,
    setup: Setup,
    port: u16,
    folder: TempDir,
    node: Option<Node>,
}

impl Person {
    /// Makes a home without a passphrase and starts its node on loopback.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, Setup::default())
    }

    /// Makes a home and starts its node.
    pub fn start_with(name: &str, setup: Setup) -> Self {
        let mut person = Self::init(name, setup);
        person.up();
        person
    }

    /// Makes a home.
    ///
    /// # Panics
    /// If the program refuses.
    pub fn init(name: &str, setup: Setup) -> Self {
        let folder = TempDir::with_prefix("kith-test-").expect("a temporary folder");
        let mut person = Self {
            name: name.to_owned(),
            init: Value::Null,
            setup,
            port: free_port(),
            folder,
            node: None,
        };
        let without = person.setup.passphrase.is_none().then_some("--no-passphrase");
        let arguments = without.into_iter().chain(["init", "--name", name]);
        person.init = person.kith(&arguments.collect::<Vec<_>>()).json();
        person
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Where this person's node is reached.
    pub fn address(&self) -> String {
        self.setup.transport.address(self.port)
    }

    /// The port that this person's node listens on for other nodes.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Runs `kith --json` on this home.
    pub fn kith(&self, arguments: &[&str]) -> Ran {
        self.kith_reading(arguments, "")
    }

    /// The same, with something on standard input.
    ///
    /// # Panics
    /// If the program cannot be run.
    pub fn kith_reading(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command();
        command.args(arguments);
        run(command, input)
    }

    /// What `kith` says to a person on this home, between two answers and as one.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn tells(&self, arguments: &[&str]) -> String {
        let mut command = self.plain_command();
        command.args(arguments);
        let Ran { out, err, .. } = run(command, "");
        format!("{err}{out}")
    }

    /// The program with this home and its passphrase.
    pub fn command(&self) -> Command {
        let mut command = self.plain_command();
        command.arg("--json");
        command
    }

    fn plain_command(&self) -> Command {
        let mut command = bare_command();
        command.arg("--home").arg(self.home());
        if let Some(passphrase) = &self.setup.passphrase {
            command.env("KITH_PASSPHRASE", passphrase);
        }
        command
    }

    /// The program about to run this person's node, with the arguments of their setup.
    pub fn run_command(&self) -> Command {
        let mut command = self.command();
        command.env("KITH_LOG", self.setup.log);
        command.args(["run", "--api", "127.0.0.1:0"]);
        if self.setup.mdns {
            command.args(["--listen", "/ip4/0.0.0.0/tcp/0"]);
        } else {
            command.args(["--no-mdns", "--listen", &self.address()]);
        }
        command.args(&self.setup.arguments).envs(self.setup.environment.iter().cloned());
        command
    }

    /// Adds arguments for the next start.
    pub fn more_arguments(&mut self, arguments: &[&str]) {
        self.setup.arguments.extend(arguments.iter().map(ToString::to_string));
    }

    /// From the next start on the node listens on another port.
    pub fn moves(&mut self) {
        self.port = free_port();
    }

    /// From now on the passphrase comes from a file.
    ///
    /// # Panics
    /// If the path is no text.
    pub fn unlock_by_file(&mut self, file: &Path) {
        self.setup.passphrase = None;
        self.more_arguments(&["--passphrase-file", file.to_str().expect("the path is text")]);
    }

    /// Starts the node.
    ///
    /// # Panics
    /// If it runs already or does not come up.
    pub fn up(&mut self) {
        assert!(self.node.is_none(), "{}'s node runs already", self.name);
        let log = self.folder.path().join("stderr");
        self.node = Some(Node::start(self.run_command(), &self.home(), &log));
    }

    /// Ends the node at once, as a power cut would.
    pub fn kill(&mut self) {
        drop(self.node.take());
    }

    /// Ends the node in order, with `kith stop`.
    ///
    /// # Panics
    /// If it does not end by itself.
    pub fn down(&mut self) {
        self.kith(&["stop"]).json();
        self.has_stopped();
    }

    /// The running node.
    ///
    /// # Panics
    /// If there is none.
    pub const fn node(&self) -> &Node {
        self.node.as_ref().expect("a node that runs")
    }

    /// The API of the running node.
    pub const fn api(&self) -> &Api {
        &self.node().api
    }

    /// The process of the running node.
    pub fn process_id(&self) -> u32 {
        self.node().id()
    }

    /// Everything that this person's nodes have written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// Their contact as they see it; null if there is none.
    pub fn contact(&self, other: &Self) -> Value {
        let contacts = self.api().get("/api/contacts").value();
        let account = other.init.get("account");
        let mut contacts = contacts.as_array().into_iter().flatten();
        contacts.find(|contact| contact.get("account") == account).cloned().unwrap_or_default()
    }

    /// Waits until a field of their contact has this value.
    pub fn sees(&self, other: &Self, field: &str, wanted: impl Into<Value>) {
        let wanted = wanted.into();
        let what = format!("{} sees {} with {field} {wanted}", self.name, other.name);
        until(&what, PATIENCE, || (self.contact(other).get(field) == Some(&wanted)).then_some(()));
    }

    /// Waits until both are connected with each other.
    pub fn meets(&self, other: &Self) {
        self.sees(other, "online", true);
        other.sees(self, "online", true);
    }

    /// The link by which others ask this person.
    ///
    /// # Panics
    /// If the node gives none.
    pub fn link(&self) -> String {
        let invitation = self.kith(&["invite"]).json();
        let link = invitation.get("link").and_then(Value::as_str);
        link.expect("an invitation has a link").to_owned()
    }

    /// Asks somebody to become a contact and waits until the request is there.
    pub fn asks(&self, other: &Self, greeting: &str) {
        self.kith(&["contact", "add", &other.link(), "--greeting", greeting]).json();
        other.sees(self, "status", "pending");
    }

    /// Becomes a contact of somebody and waits until both are connected.
    pub fn befriends(&self, other: &Self) {
        self.asks(other, "");
        other.kith(&["contact", "accept", &self.name]).json();
        self.sees(other, "status", "contact");
        self.meets(other);
    }

    /// Sends a message; its id.
    ///
    /// # Panics
    /// If it is refused.
    pub fn says(&self, other: &Self, text: &str) -> String {
        self.api().send(&other.name, text, None).expect("the message is taken")
    }

    /// The whole conversation.
    pub fn history(&self, other: &Self) -> Vec<Message> {
        self.api().history(&other.name)
    }

    /// Waits until both show the same conversation with this many messages, and gives it.
    pub fn agrees(&self, other: &Self, messages: usize, patience: Duration) -> Vec<Message> {
        let what = format!("{} and {} share {messages} messages", self.name, other.name);
        until(&what, patience, || {
            let mine = self.history(other);
            if mine.len() != messages {
                return None;
            }
            let ids = |list: &[Message]| list.iter().map(|m| m.id.clone()).collect::<Vec<_>>();
            (ids(&mine) == ids(&other.history(self))).then_some(mine)
        })
    }

    /// Waits until the node has ended by itself because it was cut off.
    ///
    /// # Panics
    /// If there was none, or it goes on.
    pub fn is_cut_off(&mut self) {
        self.node.take().expect("a node that ran").ended_with(1);
    }

    /// Whether the node runs.
    pub fn is_up(&mut self) -> bool {
        self.node.as_mut().is_some_and(Node::is_alive)
    }

    /// This device, in hex.
    ///
    /// # Panics
    /// If there is no home.
    pub fn device(&self) -> &str {
        self.init.get("device").and_then(Value::as_str).expect("a home with a device")
    }

    /// Waits until the node, asked to end, has ended well.
    pub fn has_stopped(&mut self) {
        self.node.take().expect("a node that ran").ended();
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        drop(self.node.take());
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- log of {}'s node\n{log}---", self.name);
            return;
        }
        let bad = log.lines().find(|line| line.contains(" ERROR ") || line.contains("panicked at"));
        assert_eq!(bad, None, "a defect in the log of {}'s node", self.name);
    }
}

/// The program without any of the surroundings' own settings.
pub fn bare_command() -> Command {
    let mut command = Command::new(binary());
    for setting in ["KITH_COMMAND", "KITH_LOG", "KITH_PASSPHRASE"] {
        command.env_remove(setting);
    }
    command
}

/// Runs a program to its end.
///
/// # Panics
/// If it cannot be run.
pub fn run(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input was asked for");
    // A program that ends without reading is no failure of ours.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}
