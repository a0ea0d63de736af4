//! How does a test run a real mailbox-server? The true program on a port that it keeps, with a disk
//! that can be lost, and people who have chosen it.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kith_core::limits::MAIL_WAIT_MS;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use super::{Message, PATIENCE, Person, Setup, built, free_port, until};

/// Nothing more comes of what was done: a node waits for less than this before it writes.
const ALL_THERE: Duration = Duration::from_millis(MAIL_WAIT_MS + 1_000);

/// A mailbox-server; killed when dropped.
#[derive(Debug)]
pub struct Mailbox {
    port: u16,
    log: &'static str,
    arguments: Vec<String>,
    folder: TempDir,
    disk: u32,
    child: Option<Child>,
}

impl Mailbox {
    /// One that runs, on a port of its own.
    pub fn start() -> Self {
        Self::start_with("warn", &[])
    }

    /// One with a level of its log and more arguments.
    ///
    /// # Panics
    /// If there is no room for a folder.
    pub fn start_with(log: &'static str, arguments: &[&str]) -> Self {
        let mut mailbox = Self {
            port: free_port(),
            log,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            folder: TempDir::with_prefix("kith-mailbox-").expect("a temporary folder"),
            disk: 0,
            child: None,
        };
        mailbox.up();
        mailbox
    }

    /// The port on loopback.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// By which address people choose it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// If it runs already or does not come up.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "the mailbox runs already");
        let stderr = OpenOptions::new().create(true).append(true).open(self.log_file());
        let mut child = Command::new(built("mailbox-server"))
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--health", "127.0.0.1:0"])
            .arg("--data")
            .arg(self.data())
            .args(&self.arguments)
            .env("RUST_LOG", self.log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.expect("the log can be written"))
            .spawn()
            .expect("the mailbox starts");
        let mut first = String::new();
        let stdout = child.stdout.take().expect("its output was asked for");
        let read = std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut first);
        assert!(read.is_ok() && first.contains(&self.url()), "it listens: {first}{}", self.log());
        self.child = Some(child);
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A power cut, and then it is there again.
    pub fn restart(&mut self) {
        self.kill();
        self.up();
    }

    /// It is killed and comes back at the same address with an empty disk.
    pub fn wipe(&mut self) {
        self.kill();
        self.disk += 1;
        self.up();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join(format!("disk-{}", self.disk))
    }

    /// Its database.
    ///
    /// # Panics
    /// If there is none.
    pub fn database(&self) -> Connection {
        let path = self.data().join("mailbox.sqlite");
        let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let database = opened.expect("the mailbox has a database");
        database.busy_timeout(PATIENCE).expect("who reads can wait");
        database
    }

    fn number(&self, question: &str) -> u64 {
        let asked = self.database().query_row(question, [], |row| row.get::<_, i64>(0));
        asked.expect("the tables are known").try_into().expect("it counts something")
    }

    /// Queues that are open there.
    pub fn queues(&self) -> u64 {
        self.number("SELECT count(*) FROM queues")
    }

    /// Letters that lie there.
    pub fn blobs(&self) -> u64 {
        self.number("SELECT count(*) FROM blobs WHERE bytes IS NOT NULL")
    }

    /// Letters that ever came to this disk.
    pub fn puts(&self) -> u64 {
        self.number("SELECT coalesce(sum(next - 1), 0) FROM queues")
    }

    /// Waits until this many letters lie there.
    pub fn holds(&self, blobs: u64) {
        let what = format!("{blobs} letters lie in the mailbox");
        until(&what, PATIENCE, || (self.blobs() == blobs).then_some(()));
    }

    /// Does something and waits until all letters that come of it are there.
    pub fn gets<T>(&self, action: impl FnOnce() -> T) -> T {
        self.gets_in(1, action)
    }

    /// The same, with letters in this many queues at least.
    ///
    /// A letter that was sealed just before may come first: those with what was done come within the
    /// time that a node waits before it writes.
    pub fn gets_in<T>(&self, queues: usize, action: impl FnOnce() -> T) -> T {
        let before = self.puts_by_queue();
        let done = action();
        let mut last = (before.clone(), Instant::now());
        until("letters come", PATIENCE, || {
            let now = self.puts_by_queue();
            let more = now.iter().filter(|(queue, next)| before.get(queue).unwrap_or(&1) < next);
            let enough = more.count() >= queues;
            if now != last.0 {
                last = (now, Instant::now());
            }
            (enough && last.1.elapsed() > ALL_THERE).then_some(())
        });
        done
    }

    fn puts_by_queue(&self) -> BTreeMap<i64, i64> {
        let database = self.database();
        let asked = database.prepare("SELECT id, next FROM queues");
        let mut asked = asked.expect("the tables are known");
        let rows = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.expect("the tables are known").map_while(Result::ok).collect()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("stderr")
    }

    /// Everything that it has written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if std::thread::panicking() {
            let (blobs, puts) = (self.blobs(), self.puts());
            eprintln!("--- mailbox with {blobs} letters of {puts}\n{log}---");
            return;
        }
        let bad = log.lines().find(|line| line.contains("ERROR ") || line.contains("panicked at"));
        assert_eq!(bad, None, "a defect in the log of the mailbox");
    }
}

impl Person {
    /// A person whose node runs and writes to mailboxes on loopback.
    pub fn with_mail(name: &str) -> Self {
        let arguments = vec!["--private-mailboxes".to_owned()];
        Self::start_with(name, Setup { arguments, ..Setup::default() })
    }

    /// Two contacts whose mailboxes are these, and who know that of each other. Neither is there.
    pub fn contacts_by_mail(names: [&str; 2], mailboxes: &[&str]) -> [Self; 2] {
        let [mut alice, mut bob] = names.map(Self::with_mail);
        alice.befriends(&bob);
        for person in [&alice, &bob] {
            person.chooses(mailboxes);
        }
        alice.is_known_to(&bob);
        bob.is_known_to(&alice);
        alice.down();
        bob.down();
        [alice, bob]
    }

    /// Says something to somebody who is there: who has it has all that was written before, such as
    /// where this person can be written to.
    pub fn is_known_to(&self, other: &Self) {
        let id = self.says(other, &format!("{} is ready", self.name));
        until("it is delivered", PATIENCE, || {
            let known = self.history(other).into_iter().find(|message| message.id == id)?;
            (known.state.as_deref() == Some("delivered_all")).then_some(())
        });
    }

    /// Chooses these mailboxes, and waits until all queues are open.
    pub fn chooses(&self, mailboxes: &[&str]) {
        let arguments = [&["mailbox", "set"], mailboxes].concat();
        self.kith(&arguments).json();
        self.has_open_queues();
    }

    /// Waits until all queues of this person are open.
    pub fn has_open_queues(&self) {
        let what = format!("the queues of {} are open", self.name);
        until(&what, PATIENCE, || {
            let shown = self.api().get("/api/mailboxes").value();
            let shown = shown.as_array().filter(|list| !list.is_empty())?;
            let count = |mailbox: &Value, name: &str| mailbox.get(name).and_then(Value::as_u64);
            shown
                .iter()
                .all(|one| {
                    let (open, all) = (count(one, "queues_open"), count(one, "queues"));
                    open == all && all > Some(0) && one.get("trouble").is_none_or(Value::is_null)
                })
                .then_some(())
        });
    }

    /// Waits until the conversation is this one, and gives it.
    pub fn shows(&self, other: &Self, texts: &[String]) -> Vec<Message> {
        let what = format!("{} reads all that was said", self.name);
        until(&what, PATIENCE, || {
            let history = self.history(other);
            history.iter().map(|message| &message.text).eq(texts).then_some(history)
        })
    }

    /// Waits until everything that this person wrote to somebody is on all their devices.
    pub fn is_heard_by(&self, other: &Self) {
        let what = format!("{} sees the ticks of {}", self.name, other.name);
        until(&what, PATIENCE, || {
            let history = self.history(other);
            let mut own = history.iter().filter(|message| message.author.me);
            own.all(|message| matches!(message.state.as_deref(), Some("delivered_all" | "read")))
                .then_some(())
        });
    }
}
