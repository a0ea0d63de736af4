//! What happens at a node? Its stream of events, to be waited for.

use std::{
    io::{BufRead, BufReader, Read},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::PATIENCE;

/// Longer than an event takes that is on its way.
const SOON: Duration = Duration::from_millis(200);

/// Events in the order in which they happened.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Value>);

impl Events {
    /// Reads JSON from lines, with or without the `data: ` of server-sent events, until the end.
    pub fn read(stream: impl Read + Send + 'static) -> Self {
        let (tell, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let data = line.strip_prefix("data: ").unwrap_or(&line);
                let told =
                    serde_json::from_str(data).is_ok_and(|event: Value| tell.send(event).is_err());
                if told {
                    return;
                }
            }
        });
        Self(events)
    }

    /// Waits for an event of which there is something to take; others are passed over.
    ///
    /// # Panics
    /// If it does not come in time.
    pub fn wait<T>(&self, what: &str, take: impl Fn(&Value) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left) {
                Ok(event) => {
                    if let Some(taken) = take(&event) {
                        return taken;
                    }
                }
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }

    /// Whether the next event, if one comes very soon, is a wanted one.
    pub fn soon(&self, is_wanted: impl Fn(&Value) -> bool) -> bool {
        self.0.recv_timeout(SOON).is_ok_and(|event| is_wanted(&event))
    }

    /// Waits until a message of the node's own has reached a state.
    pub fn wait_state(&self, id: &str, state: &str) {
        self.wait(&format!("state {state}"), |event| {
            let mut messages = event.get("messages")?.as_array()?.iter();
            messages.find(|m| field(m, "id") == id && field(m, "state") == state).map(drop)
        });
    }

    /// Waits for a new message with this text; its id.
    pub fn wait_text(&self, text: &str) -> String {
        self.wait(&format!("a message {text:?}"), |event| {
            let message = event.get("message").filter(|message| field(message, "text") == text)?;
            Some(field(message, "id").to_owned())
        })
    }

    /// Waits until the stream has ended.
    ///
    /// # Panics
    /// If it goes on.
    pub fn wait_end(&self) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Err(mpsc::RecvTimeoutError::Disconnected) =
                self.0.recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                return;
            }
        }
        panic!("the stream of events goes on");
    }
}

fn field<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
