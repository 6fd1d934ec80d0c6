//! The broker's end of the status pipe, whose other end is in hostile hands.

use std::os::fd::OwnedFd;

use harombe_guest::protocol::{FrameError, MAX_REPLY, Reply};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// Reads replies; keeps what it has of a frame when a read is cancelled.
#[derive(Debug)]
pub(super) struct StatusReader {
    pipe: pipe::Receiver,
    buffer: Vec<u8>,
}

impl StatusReader {
    pub(super) fn new(pipe: OwnedFd) -> std::io::Result<Self> {
        Ok(Self {
            pipe: pipe::Receiver::from_owned_fd(pipe)?,
            buffer: Vec::new(),
        })
    }

    /// The next reply. The end of the stream is an error: a guest that is well ends with a reply.
    /// Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Reply, FrameError> {
        loop {
            if let Some(reply) = self.take_frame()? {
                return Ok(reply);
            }
            // A frame is short, so the buffer is too: its length was checked before anything is read.
            let mut part = [0; 512];
            let count = self.pipe.read(&mut part).await.map_err(FrameError::Io)?;
            match part.get(..count) {
                None | Some([]) => return Err(FrameError::Truncated),
                Some(read) => self.buffer.extend_from_slice(read),
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<Reply>, FrameError> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*prefix);
        if length > MAX_REPLY {
            return Err(FrameError::TooLong(length));
        }
        let Some(payload) = rest.get(..length as usize) else {
            return Ok(None);
        };
        let reply = Reply::decode(payload)?;
        self.buffer.drain(..4 + length as usize);
        Ok(Some(reply))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    /// What is read from a guest that writes `bytes` and closes the pipe.
    async fn read_all(bytes: &[u8]) -> (Vec<Reply>, FrameError) {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        File::from(writer).write_all(bytes).unwrap();
        let mut status = StatusReader::new(reader).unwrap();
        let mut replies = Vec::new();
        loop {
            match status.next().await {
                Ok(reply) => replies.push(reply),
                Err(end) => return (replies, end),
            }
        }
    }

    #[tokio::test]
    async fn replies_come_in_order_then_the_end() {
        let bytes = [Reply::Started.encode(), Reply::Exited(3).encode()].concat();
        let (replies, end) = read_all(&bytes).await;
        assert_eq!(replies, [Reply::Started, Reply::Exited(3)]);
        assert!(matches!(end, FrameError::Truncated));
    }

    #[tokio::test]
    async fn a_hostile_guest_gets_an_error_and_nothing_else() {
        let check = async |bytes: &[u8]| {
            let (replies, _) = read_all(bytes).await;
            assert_eq!(replies, []);
        };
        check(b"").await;
        check(b"\x01").await;
        check(&u32::MAX.to_le_bytes()).await;
        check(&[0xff; 4096]).await;
        check(&[0; 4096]).await;
        check(b"\x01\0\0\0\x00").await;
        check(b"\x05\0\0\0\x85\xff\xff\xff\xff").await;
    }
}
