//! What is counted? Requests by operation and outcome, what there is, who waits, sizes of commits.

use kith_common::service::{Code, Failure, mailbox::Operation};
use kith_server::metrics::{Counter, Gauge, Page};

use crate::mailbox::Totals;

const NAMES: [(Operation, &str); 5] = [
    (Operation::Open, "open"),
    (Operation::Put, "put"),
    (Operation::Fetch, "fetch"),
    (Operation::Status, "status"),
    (Operation::Close, "close"),
];

/// Numbers of the service.
#[derive(Debug)]
pub struct Metrics {
    /// By operation, then "ok" and every code.
    requests: Vec<Vec<Counter>>,
    /// Fetches that wait.
    pub waiting: Gauge,
    /// WebSockets.
    pub live: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let outcomes = || (0..=Code::ALL.len()).map(|_| Counter::default()).collect();
        let requests = NAMES.iter().map(|_| outcomes()).collect();
        Self { requests, waiting: Gauge::default(), live: Gauge::default() }
    }
}

impl Metrics {
    /// Counts a request.
    pub fn count<T>(&self, operation: Operation, outcome: &Result<T, Failure>) {
        let row = NAMES.iter().position(|(one, _)| *one == operation);
        let column = match outcome {
            Ok(_) => Some(0),
            Err(failure) => Code::ALL.iter().position(|code| *code == failure.code).map(|n| n + 1),
        };
        if let (Some(row), Some(column)) = (row, column) {
            let counter = self.requests.get(row).and_then(|row| row.get(column));
            counter.inspect(|counter| counter.count());
        }
    }

    /// Writes everything.
    pub fn write(&self, page: &mut Page, commits: &Commits, totals: &Totals) {
        let name = "kith_mailbox_requests_total";
        page.metric(name, "counter", "Requests by operation and outcome.");
        let outcomes = || std::iter::once("ok").chain(Code::ALL.iter().map(|code| code.text()));
        for ((_, operation), row) in NAMES.iter().zip(&self.requests) {
            for (outcome, counter) in outcomes().zip(row) {
                if counter.total() > 0 {
                    let labels = format!("operation=\"{operation}\",outcome=\"{outcome}\"");
                    page.value(name, &labels, counter.total());
                }
            }
        }
        page.single("kith_mailbox_waiting", "gauge", "Fetches that wait.", self.waiting.now());
        page.single("kith_mailbox_live", "gauge", "Open WebSockets.", self.live.now());
        page.single("kith_mailbox_queues", "gauge", "Queues.", totals.queues);
        page.single("kith_mailbox_blobs", "gauge", "Blobs.", totals.blobs);
        page.single("kith_mailbox_bytes", "gauge", "Bytes of blobs.", totals.bytes);
        commits.write(page);
    }
}

const BUCKETS: [u64; 6] = [1, 4, 16, 64, 128, 256];

/// How many requests shared a commit.
#[derive(Debug, Default)]
pub struct Commits {
    buckets: [Counter; 6],
    count: Counter,
    sum: Counter,
}

impl Commits {
    /// Counts a commit of so many requests.
    pub fn count(&self, requests: usize) {
        let requests = requests as u64;
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            if requests <= *bound {
                bucket.count();
            }
        }
        self.count.count();
        self.sum.add(requests);
    }

    fn write(&self, page: &mut Page) {
        let name = "kith_mailbox_commit_requests";
        page.metric(name, "histogram", "Requests that shared a commit.");
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            page.value(&format!("{name}_bucket"), &format!("le=\"{bound}\""), bucket.total());
        }
        page.value(&format!("{name}_bucket"), "le=\"+Inf\"", self.count.total());
        page.value(&format!("{name}_sum"), "", self.sum.total());
        page.value(&format!("{name}_count"), "", self.count.total());
    }
}
