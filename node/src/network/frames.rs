//! How do frames become bytes of a stream and frames again?
//!
//! A frame is its length as four bytes, big-endian, and that many bytes. The length is at least
//! one and at most [`FRAME_BYTES_MAX`].

use std::{future::Future, io, time::Duration};

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use kith_common::limits::FRAME_BYTES_MAX;
use tokio::time::timeout;

use super::limits::CHUNK_BYTES;

/// Bytes in front of a frame.
pub(super) const HEADER_BYTES: usize = 4;

/// Why no further frame can be read or written.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum FrameError {
    /// A frame of no bytes.
    Empty,
    /// A frame longer than allowed.
    Oversized,
    /// The stream ended inside a frame.
    Truncated,
    /// No progress for too long.
    Stalled,
    /// The connection is gone.
    Gone,
}

/// The next frame, or `None` if the stream ended between frames.
///
/// Memory grows with what has arrived, not with what the length promises.
pub(super) async fn read_frame<R: AsyncRead + Unpin>(
    reader: &mut R,
    stall: Duration,
) -> Result<Option<Vec<u8>>, FrameError> {
    let Some(length) = read_length(reader, stall).await? else { return Ok(None) };
    let mut frame = Vec::with_capacity(length.min(CHUNK_BYTES));
    while frame.len() < length {
        let filled = frame.len();
        frame.resize(length.min(filled + CHUNK_BYTES), 0);
        let rest = frame.get_mut(filled..).unwrap_or_default();
        let read = within(stall, reader.read(rest)).await?;
        if read == 0 {
            return Err(FrameError::Truncated);
        }
        frame.truncate(filled + read);
    }
    Ok(Some(frame))
}

async fn read_length<R: AsyncRead + Unpin>(
    reader: &mut R,
    stall: Duration,
) -> Result<Option<usize>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    let (first, rest) = header.split_at_mut(1);
    // Between frames a link may be silent for as long as it lives.
    if reader.read(first).await.map_err(|_| FrameError::Gone)? == 0 {
        return Ok(None);
    }
    within(stall, reader.read_exact(rest)).await?;
    match usize::try_from(u32::from_be_bytes(header)) {
        Ok(0) => Err(FrameError::Empty),
        Ok(length) if length <= FRAME_BYTES_MAX => Ok(Some(length)),
        _ => Err(FrameError::Oversized),
    }
}

/// Adds a frame with its length to what will be written.
pub(super) fn append_frame(batch: &mut Vec<u8>, frame: &[u8]) {
    // Longer frames were refused by `send`; a peer would refuse this one as oversized.
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    batch.extend_from_slice(&length.to_be_bytes());
    batch.extend_from_slice(frame);
}

/// Writes and flushes all of it, as long as there is some progress in every `stall`.
pub(super) async fn write_batch<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut batch: &[u8],
    stall: Duration,
) -> Result<(), FrameError> {
    while !batch.is_empty() {
        let written = within(stall, writer.write(batch)).await?;
        if written == 0 {
            return Err(FrameError::Gone);
        }
        batch = batch.get(written..).unwrap_or_default();
    }
    within(stall, writer.flush()).await
}

async fn within<T>(
    stall: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, FrameError> {
    match timeout(stall, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(FrameError::Truncated)
        }
        Ok(Err(_)) => Err(FrameError::Gone),
        Err(_) => Err(FrameError::Stalled),
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    const STALL: Duration = Duration::from_millis(20);

    async fn read(bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        read_frame(&mut Cursor::new(bytes), STALL).await
    }

    #[tokio::test]
    async fn what_was_written_is_read() {
        for length in [1, 2, CHUNK_BYTES, CHUNK_BYTES + 1, FRAME_BYTES_MAX] {
            let frame = vec![9; length];
            let mut bytes = Vec::new();
            append_frame(&mut bytes, &frame);
            assert_eq!(read(&bytes).await, Ok(Some(frame)));
        }
    }

    #[tokio::test]
    async fn refuses_what_is_no_frame() {
        assert_eq!(read(b"").await, Ok(None));
        assert_eq!(read(&[0, 0, 0, 0]).await, Err(FrameError::Empty));
        assert_eq!(read(&[0, 0x10, 0, 1, 1]).await, Err(FrameError::Oversized));
        assert_eq!(read(&[0xff; 16]).await, Err(FrameError::Oversized));
        assert_eq!(read(&[0, 0]).await, Err(FrameError::Truncated));
        assert_eq!(read(&[0, 0, 0, 3, 1, 2]).await, Err(FrameError::Truncated));
    }

    #[tokio::test]
    async fn a_frame_that_does_not_go_on_is_given_up() {
        let mut reader = Cursor::new([0, 0, 0, 3, 1]).chain(Never);
        assert_eq!(read_frame(&mut reader, STALL).await, Err(FrameError::Stalled));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up() {
        assert_eq!(write_batch(&mut Never, &[1], STALL).await, Err(FrameError::Stalled));
    }

    struct Never;

    impl AsyncRead for Never {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut [u8],
        ) -> std::task::Poll<io::Result<usize>> {
            std::task::Poll::Pending
        }
    }

    impl AsyncWrite for Never {
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &[u8],
        ) -> std::task::Poll<io::Result<usize>> {
            std::task::Poll::Pending
        }

        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn poll_close(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }
}
