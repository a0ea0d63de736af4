//! What waits to be written to a link?
//!
//! **Invariant:** never more than the bounds, in frames and in bytes, and pushing never waits.
//! A frame counts until it is written, not until it is taken out.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

/// Why a frame could not be queued.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum PushError {
    Full,
    Closed,
}

/// The end that frames are put into; used by any thread.
#[derive(Clone, Debug)]
pub(super) struct QueueSender {
    frames: mpsc::Sender<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The end that the link writes from.
#[derive(Debug)]
pub(super) struct QueueReceiver {
    frames: mpsc::Receiver<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
}

/// A queue for at most this many frames and bytes.
pub(super) fn bounded(frames_max: usize, bytes_max: usize) -> (QueueSender, QueueReceiver) {
    let (sender, receiver) = mpsc::channel(frames_max.max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    let sender = QueueSender { frames: sender, bytes: Arc::clone(&bytes), bytes_max };
    (sender, QueueReceiver { frames: receiver, bytes })
}

impl QueueSender {
    pub(super) fn push(&self, frame: Vec<u8>) -> Result<(), PushError> {
        let length = frame.len();
        let reserve = |queued: usize| {
            let wanted = queued.checked_add(length)?;
            (wanted <= self.bytes_max).then_some(wanted)
        };
        self.bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, reserve)
            .map_err(|_| PushError::Full)?;
        self.frames.try_send(frame).map_err(|error| {
            self.bytes.fetch_sub(length, Ordering::AcqRel);
            match error {
                mpsc::error::TrySendError::Full(_) => PushError::Full,
                mpsc::error::TrySendError::Closed(_) => PushError::Closed,
            }
        })
    }
}

impl QueueReceiver {
    /// The next frame; `None` once the queue is closed and empty.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        self.frames.recv().await
    }

    /// The next frame if there is one already.
    pub(super) fn next_now(&mut self) -> Option<Vec<u8>> {
        self.frames.try_recv().ok()
    }

    /// Gives back the room of frames that are written.
    pub(super) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Takes nothing more; what is queued can still be taken out.
    pub(super) fn close(&mut self) {
        self.frames.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_in_frames_and_in_bytes() {
        let (sender, _receiver) = bounded(2, 100);
        assert_eq!(sender.push(vec![0; 60]), Ok(()));
        assert_eq!(sender.push(vec![0; 41]), Err(PushError::Full));
        assert_eq!(sender.push(vec![0; 40]), Ok(()));

        let (sender, _receiver) = bounded(2, 100);
        assert_eq!(sender.push(vec![0]), Ok(()));
        assert_eq!(sender.push(vec![0]), Ok(()));
        assert_eq!(sender.push(vec![0]), Err(PushError::Full));
    }

    #[test]
    fn room_comes_back_when_written_not_when_taken() {
        let (sender, mut receiver) = bounded(8, 100);
        assert_eq!(sender.push(vec![0; 100]), Ok(()));
        assert_eq!(receiver.next_now().unwrap().len(), 100);
        assert_eq!(sender.push(vec![0; 1]), Err(PushError::Full));
        receiver.release(100);
        assert_eq!(sender.push(vec![0; 100]), Ok(()));
    }

    #[test]
    fn a_closed_queue_still_gives_what_it_has() {
        let (sender, mut receiver) = bounded(8, 100);
        assert_eq!(sender.push(vec![7]), Ok(()));
        receiver.close();
        assert_eq!(sender.push(vec![8]), Err(PushError::Closed));
        assert_eq!(receiver.next_now(), Some(vec![7]));
    }
}
