//! How does a person get another device? `kith device link`, `join`, `pending` and `confirm`.

use std::{
    io::Write,
    process::{Child, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Events, PATIENCE, Person, free_port, until};

/// A new device that shows its number and waits.
#[derive(Debug)]
pub struct Joining {
    /// The number that it shows.
    pub check: String,
    person: Person,
    child: Child,
    lines: Events,
}

impl Person {
    /// A further device of this person, taken in and running.
    pub fn gets(&self, called: &str) -> Self {
        let mut device = self.begins(called).confirmed_by(self);
        device.up();
        device
    }

    /// The account of this device begins to merge into that of another one.
    ///
    /// # Panics
    /// If it does not come so far.
    pub fn begins_merging_into(&self, other: &Self, words: &str) -> Merging {
        let code = other.kith(&["device", "link"]).json();
        let code = code.get("code").and_then(Value::as_str).expect("there is a code");
        let mut command = self.command();
        command.args(["account", "merge", code]);
        if !words.is_empty() {
            command.arg("--words");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("its input was asked for");
        input.write_all(words.as_bytes()).expect("the program reads");
        drop(input);
        let lines = Events::read(child.stdout.take().expect("its output was asked for"));
        let check = lines.wait("the number of the device that brings its account", |line| {
            line.get("check").and_then(Value::as_str).map(str::to_owned)
        });
        Merging { check, child, lines }
    }

    /// A further device that shows its number.
    ///
    /// # Panics
    /// If it does not come so far.
    pub fn begins(&self, called: &str) -> Joining {
        let code = self.kith(&["device", "link"]).json();
        let code = code.get("code").and_then(Value::as_str).expect("there is a code");
        let person = self.without_home();
        let mut command = person.command();
        if person.setup.passphrase.is_none() {
            command.arg("--no-passphrase");
        }
        command.args(["device", "join", code, "--name", called]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = Events::read(child.stdout.take().expect("its output was asked for"));
        let check = lines.wait("the number of the new device", |line| {
            line.get("check").and_then(Value::as_str).map(str::to_owned)
        });
        Joining { check, person, child, lines }
    }

    /// A code that another device reads while this one is not there.
    ///
    /// # Panics
    /// If there is none.
    pub fn code_by_mail(&self) -> String {
        let answer = self.kith(&["device", "link", "--by-mail"]).json();
        answer.get("code").and_then(Value::as_str).expect("there is a code").to_owned()
    }

    /// Goes on with joining or merging by mail, as far as that gets. Gives the last that was said.
    ///
    /// # Panics
    /// If it fails.
    pub fn goes_on_by_mail(&self, arguments: &[&str]) -> Value {
        let ran = self.kith(arguments);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let last = ran.out.lines().last().expect("it says how far it got");
        serde_json::from_str(last).expect("it says so in JSON")
    }

    /// Waits until the number that another device has shown is here, and confirms it.
    ///
    /// # Panics
    /// If it does not come.
    pub fn confirms(&self, check: &str) {
        until("the number of the other device is here", PATIENCE, || {
            let pending = self.kith(&["device", "pending"]).json();
            let guests = pending.as_array()?.iter();
            let checks: Vec<_> = guests.filter_map(|it| it.get("check")?.as_str()).collect();
            checks.contains(&check).then_some(())
        });
        self.kith(&["device", "confirm", check]).json();
    }

    /// A folder for another home of this person.
    ///
    /// # Panics
    /// If there is no room for one.
    pub fn without_home(&self) -> Self {
        Self {
            name: self.name.clone(),
            init: Value::Null,
            setup: self.setup.clone(),
            port: free_port(),
            folder: TempDir::with_prefix("kith-test-").expect("a temporary folder"),
            node: None,
        }
    }
}

/// An account that is about to merge into another one.
#[derive(Debug)]
pub struct Merging {
    /// The number that its device shows.
    pub check: String,
    child: Child,
    lines: Events,
}

impl Merging {
    /// Waits until the other device shows the same number, confirms there, and gives the answer.
    ///
    /// # Panics
    /// If that is refused.
    pub fn confirmed_by(mut self, other: &Person) -> Value {
        let guest = until("both devices show one number", PATIENCE, || {
            let pending = other.kith(&["device", "pending"]).json();
            let guest = pending.get(0).cloned()?;
            (guest.get("check").and_then(Value::as_str) == Some(&self.check)).then_some(guest)
        });
        assert!(guest.pointer("/brings/account").is_some(), "the person sees what comes: {guest}");
        other.kith(&["device", "confirm", &self.check]).json();
        let answer = self
            .lines
            .wait("the answer", |line| line.get("merged").is_some().then(|| line.clone()));
        assert!(self.child.wait().expect("the program ends").success(), "merging ended well");
        answer
    }
}

impl Joining {
    /// Waits until the old device shows the same number, confirms it there, and gives the new one.
    ///
    /// # Panics
    /// If that is refused.
    pub fn confirmed_by(mut self, old: &Person) -> Person {
        until("both devices show one number", PATIENCE, || {
            let pending = old.kith(&["device", "pending"]).json();
            let check = pending.pointer("/0/check").and_then(Value::as_str)?;
            (check == self.check).then_some(())
        });
        old.kith(&["device", "confirm", &self.check]).json();
        let joined = self.lines.wait("the new device has joined", |line| {
            line.get("device").is_some().then(|| line.clone())
        });
        assert!(self.child.wait().expect("the program ends").success(), "joining ended well");
        self.person.init = joined;
        self.person
    }

    /// Ends the new device's program before anybody has confirmed.
    pub fn gives_up(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
