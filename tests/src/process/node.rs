//! How does a node's process live and end?

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use serde_json::Value;

use super::{Api, PATIENCE, until};

/// A running node; killed when dropped.
#[derive(Debug)]
pub struct Node {
    /// What the node printed when it was ready: `{web, api, listening}`.
    pub ready: Value,
    /// How to ask it.
    pub api: Api,
    child: Child,
}

impl Node {
    /// Starts `kith run` and waits until it says that it is ready.
    pub(super) fn start(mut command: Command, home: &Path, log: &Path) -> Self {
        let stderr = OpenOptions::new().create(true).append(true).open(log);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.expect("the log can be written"));
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("its output was asked for");
        let (line, first) = mpsc::channel();
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = line.send(text);
            }
        });
        let Ok(ready) = first.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let _ = child.wait();
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("the node did not come up: {log}");
        };
        let ready = serde_json::from_str(&ready).expect("a node says in JSON that it is ready");
        let api = Api::open(&home.join("api.json"));
        Self { ready, api, child }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// If it does not, or does not end well.
    pub fn ended(self) {
        self.ended_with(0);
    }

    /// Waits until the process has ended by itself with this code.
    ///
    /// # Panics
    /// If it does not, or ends otherwise.
    pub fn ended_with(mut self, code: i32) {
        let status = until("the node ends", PATIENCE, || {
            self.child.try_wait().expect("a child can be waited for")
        });
        assert_eq!(status.code(), Some(code), "the node ended with {status}");
    }

    /// Asks the process to end, as a service manager does.
    ///
    /// # Panics
    /// If the signal cannot be sent.
    #[cfg(unix)]
    pub fn terminate(&self) {
        let sent = Command::new("kill").arg(self.id().to_string()).status();
        assert!(sent.expect("`kill` runs").success(), "the signal was sent");
    }

    /// Whether the process lives.
    ///
    /// # Panics
    /// If the system does not tell.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be looked at").is_none()
    }

    /// Resident memory in KiB, where the system tells it.
    #[cfg(target_os = "linux")]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("a running process has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect("memory in kB")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
