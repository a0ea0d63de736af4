//! How is the true program run, killed and stopped?

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::client::Client;

/// The program, on free ports.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) health: SocketAddr,
}

impl Program {
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mailbox-server"))
            .args(["--listen=127.0.0.1:0", "--health=127.0.0.1:0", "--name=mailbox.test"])
            .args(["--requests-per-second=0", "--data"])
            .arg(data)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = || {
            let line = lines.next().unwrap().unwrap();
            let address = line.split("http://").nth(1).unwrap();
            address.split('/').next().unwrap().parse().unwrap()
        };
        let (address, health) = (address(), address());
        Self { child, address, health }
    }

    pub(crate) async fn client(&self) -> Client {
        let mut client = Client::to(self.address).await;
        client.audience = "mailbox.test".to_owned();
        client
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        asked.success() && self.child.wait().unwrap().success()
    }
}
