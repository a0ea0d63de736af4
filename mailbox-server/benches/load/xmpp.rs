//! What do XMPP servers do that store messages of people who are away? Debian's packages, started in
//! a folder of their own on loopback, without TLS: their best case.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::drive::resident;

/// Connections that stay open without saying anything.
const IDLE: usize = 1000;
/// Mailboxes, and besides as many who write to them.
const ACCOUNTS: usize = IDLE;
/// Bytes of a message.
const BODY_BYTES: usize = 1000;
/// Messages that are written at a time.
const BATCH: usize = 50;
/// Time for an answer, after which nothing is measured.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Prosody as it is installed: a file for each mailbox.
    Prosody,
    /// Prosody with its messages in SQLite.
    ProsodySqlite,
    /// ejabberd as it is installed: Mnesia, which is written to the disk now and then.
    Ejabberd,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::Prosody, Self::ProsodySqlite, Self::Ejabberd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Prosody => "Prosody, files",
            Self::ProsodySqlite => "Prosody, SQLite",
            Self::Ejabberd => "ejabberd",
        }
    }

    /// Messages that are few enough that one measurement takes seconds.
    const fn messages(self, mailboxes: usize) -> usize {
        match self {
            Self::Ejabberd if mailboxes > 1 => 20_000,
            Self::Ejabberd => 3_000,
            Self::Prosody => 4_000,
            Self::ProsodySqlite => 500,
        }
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Running {
    peer: Peer,
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server and makes its accounts.
pub(crate) fn start(peer: Peer) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = match peer {
        Peer::Ejabberd => ejabberd(folder.path(), free),
        Peer::Prosody => prosody(folder.path(), free, "internal"),
        Peer::ProsodySqlite => prosody(folder.path(), free, "sql"),
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free));
    let running = Running { peer, child, address, _folder: folder };
    let began = Instant::now();
    while Stream::try_login(address, ACCOUNTS - 1).is_none() {
        assert!(began.elapsed() < PATIENCE, "{} does not start", peer.name());
        std::thread::sleep(Duration::from_millis(100));
    }
    running
}

fn prosody(folder: &Path, port: u16, storage: &str) -> Child {
    let accounts = folder.join("localhost/accounts");
    std::fs::create_dir_all(&accounts).unwrap();
    for number in 0..ACCOUNTS {
        let file = accounts.join(format!("u{number}.dat"));
        std::fs::write(file, "return { [\"password\"] = \"pw\" };\n").unwrap();
    }
    let data = folder.display();
    let config = format!(
        r#"
        run_as_root = true
        data_path = "{data}"
        pidfile = "{data}/prosody.pid"
        log = {{ error = "{data}/prosody.log" }}
        interfaces = {{ "127.0.0.1" }}
        c2s_ports = {{ {port} }}
        s2s_ports = {{ }}
        http_ports = {{ }}
        https_ports = {{ }}
        modules_enabled = {{ "saslauth", "roster", "ping", "disco" }}
        modules_disabled = {{ "s2s", "s2s_auth_certs", "tls" }}
        c2s_require_encryption = false
        allow_unencrypted_plain_auth = true
        authentication = "internal_plain"
        storage = {{ accounts = "internal", roster = "internal", offline = "{storage}" }}
        sql = {{ driver = "SQLite3", database = "prosody.sqlite" }}
        VirtualHost "localhost"
        "#
    );
    let path = folder.join("prosody.cfg.lua");
    std::fs::write(&path, config).unwrap();
    spawn(Command::new("prosody").arg("-F").arg("--config").arg(path))
}

fn ejabberd(folder: &Path, port: u16) -> Child {
    let config = format!(
        r#"
hosts: [localhost]
loglevel: error
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 1024, shaper: none, max_stanza_size: 1000000}}
auth_method: internal
auth_password_format: plain
shaper_rules: {{max_user_sessions: 100000, max_user_offline_messages: infinity}}
access_rules: {{c2s: {{allow: all}}, local: {{allow: all}}}}
modules:
  mod_disco: {{}}
  mod_offline: {{access_max_user_messages: max_user_offline_messages}}
  mod_ping: {{}}
  mod_roster: {{}}
"#
    );
    let path = folder.join("ejabberd.yml");
    std::fs::write(&path, config).unwrap();
    let register = format!(
        "[ejabberd_auth:try_register(iolist_to_binary([\"u\",integer_to_list(N)]),\
         <<\"localhost\">>,<<\"pw\">>) || N <- lists:seq(0,{})].",
        ACCOUNTS - 1
    );
    let libraries = "/usr/lib/x86_64-linux-gnu:/usr/lib/aarch64-linux-gnu";
    spawn(
        Command::new("erl")
            .args(["-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir"])
            .arg(format!("{:?}", folder.join("mnesia")))
            .args(["-s", "ejabberd", "-eval", &register])
            .current_dir(folder)
            .env("HOME", folder)
            .env("ERL_LIBS", libraries)
            .env("ERL_CRASH_DUMP_SECONDS", "0")
            .env("EJABBERD_CONFIG_PATH", path)
            .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log")),
    )
}

fn spawn(command: &mut Command) -> Child {
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.expect("Prosody and ejabberd are needed (Debian: apt install prosody ejabberd)")
}

impl Running {
    /// Messages stored in a second for people who are away, and delivered when they come.
    pub(crate) fn store_and_deliver(&self, clients: usize, mailboxes: usize) -> (f64, f64) {
        let each = self.peer.messages(mailboxes) / mailboxes.max(clients);
        let each = each.next_multiple_of(BATCH);
        // With one mailbox every client writes into it; else each has some of its own.
        let to: Vec<Vec<usize>> = (0..clients)
            .map(|client| {
                let own = (0..mailboxes).filter(|mailbox| mailbox % clients == client);
                if mailboxes == 1 { vec![0] } else { own.collect() }
            })
            .collect();
        let mut writers: Vec<Stream> =
            (0..clients).map(|n| Stream::login(self.address, ACCOUNTS - 1 - n)).collect();
        let took = together(&mut writers, |n, writer| {
            for _ in 0..each / BATCH {
                for mailbox in &to[n] {
                    writer.write_messages(*mailbox);
                }
            }
            writer.ping();
        });
        let stored = to.iter().map(Vec::len).sum::<usize>() * each;
        let mut owners: Vec<(Stream, usize)> = (0..mailboxes)
            .map(|mailbox| {
                let there = if mailboxes == 1 { stored } else { each };
                (Stream::login(self.address, mailbox), there)
            })
            .collect();
        let size = mailboxes.div_ceil(clients);
        let mut parts: Vec<_> = owners.chunks_mut(size).collect();
        let came = together(&mut parts, |_, part| {
            for (owner, there) in part.iter_mut() {
                owner.take(*there);
            }
        });
        (stored as f64 / took, stored as f64 / came)
    }

    /// Bytes of resident memory for each of many connections that say nothing.
    pub(crate) fn bytes_idle(&self) -> u64 {
        std::thread::sleep(Duration::from_secs(2));
        let before = resident(self.child.id());
        let streams: Vec<_> = (0..IDLE)
            .map(|n| {
                let mut stream = Stream::login(self.address, n);
                stream.say("<presence/>");
                stream.ping();
                stream
            })
            .collect();
        std::thread::sleep(Duration::from_secs(2));
        let after = resident(self.child.id());
        drop(streams);
        (after - before) / IDLE as u64
    }
}

/// Seconds until all have done it.
fn together<T: Send>(all: &mut [T], run: impl Fn(usize, &mut T) + Sync) -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for (n, one) in all.iter_mut().enumerate() {
            let run = &run;
            scope.spawn(move || run(n, one));
        }
    });
    began.elapsed().as_secs_f64()
}

/// A connection of somebody (RFC 6120).
struct Stream {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Stream {
    fn login(address: SocketAddr, account: usize) -> Self {
        Self::try_login(address, account).expect("the account is there")
    }

    fn try_login(address: SocketAddr, account: usize) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = Self { stream, heard: Vec::new() };
        let hello = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' \
                     xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
        stream.say(hello);
        stream.hear("</stream:features>")?;
        let token = data_encoding::BASE64.encode(format!("\0u{account}\0pw").as_bytes());
        stream.say(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>"
        ));
        let answer = stream.hear(">")?;
        if !answer.contains("<success") {
            return None;
        }
        stream.say(hello);
        stream.hear("</stream:features>")?;
        stream.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        stream.hear("</iq>")?;
        Some(stream)
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Everything up to these words.
    fn hear(&mut self, words: &str) -> Option<String> {
        let mut space = [0; 4096];
        loop {
            let found = self.heard.windows(words.len()).position(|some| some == words.as_bytes());
            if let Some(start) = found {
                let rest = self.heard.split_off(start + words.len());
                let said = std::mem::replace(&mut self.heard, rest);
                return Some(String::from_utf8_lossy(&said).into_owned());
            }
            match self.stream.read(&mut space) {
                Ok(read @ 1..) => self.heard.extend_from_slice(&space[..read]),
                _ => return None,
            }
        }
    }

    fn ping(&mut self) {
        self.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.hear("id='p'").expect("an answer");
    }

    fn write_messages(&mut self, mailbox: usize) {
        let body = "x".repeat(BODY_BYTES);
        let message =
            format!("<message to='u{mailbox}@localhost' type='chat'><body>{body}</body></message>");
        self.say(&message.repeat(BATCH));
    }

    /// Comes, and counts what is delivered.
    fn take(&mut self, messages: usize) {
        self.say("<presence/>");
        let (end, mut left, mut space) = (b"</message>", messages, vec![0; 64 * 1024]);
        while left > 0 {
            let found = self.heard.windows(end.len()).filter(|some| some == end).count();
            left = left.saturating_sub(found);
            // What may be the beginning of the next end.
            let seen = self.heard.len().saturating_sub(end.len() - 1);
            self.heard.drain(..seen);
            if left > 0 {
                let read = self.stream.read(&mut space).expect("all messages that were stored");
                assert!(read > 0, "the server closed the connection");
                self.heard.extend_from_slice(&space[..read]);
            }
        }
    }
}
