//! How does a replica hear what another one stored? By NOTIFY; after a gap everybody looks again.

use std::future::poll_fn;

use tokio::time::sleep;
use tokio_postgres::{AsyncMessage, Config, NoTls};
use tokio_util::sync::CancellationToken;

use crate::{limits::LISTEN_PAUSE, store::Waiters};

/// Name of the channel; what is said on it are internal numbers of queues.
pub(super) const CHANNEL: &str = "kith_mailbox";

/// Listens until it is stopped, and connects again when the connection is lost.
pub(super) async fn listen(config: Config, waiters: Waiters, stop: CancellationToken) {
    let mut is_lost = false;
    loop {
        tokio::select! {
            ended = listen_once(&config, &waiters, &mut is_lost) => {
                if ended.is_err() && !std::mem::replace(&mut is_lost, true) {
                    tracing::warn!("the connection for notices is lost, it is made again");
                }
            }
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = sleep(LISTEN_PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn listen_once(
    config: &Config,
    waiters: &Waiters,
    is_lost: &mut bool,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let asked = format!("LISTEN {CHANNEL}");
    let mut asking = Box::pin(client.batch_execute(&asked));
    let mut listening = false;
    loop {
        let message = tokio::select! {
            message = poll_fn(|cx| connection.poll_message(cx)) => message,
            heard = &mut asking, if !listening => {
                heard?;
                listening = true;
                if std::mem::take(is_lost) {
                    tracing::info!("the connection for notices is there again");
                }
                // What came before was not heard here.
                waiters.wake_all();
                continue;
            }
        };
        match message {
            Some(Ok(AsyncMessage::Notification(notice))) => {
                let queues = notice.payload().split(',').filter_map(|queue| queue.parse().ok());
                queues.for_each(|queue| waiters.wake(queue));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
            None => return Ok(()),
        }
    }
}
