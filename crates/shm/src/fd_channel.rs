//! Messages with descriptors over a Unix socket.
//!
//! A message is its length (4 bytes, little endian), then its bytes. The descriptors travel with
//! the first of these bytes. This is a stream with lengths and not a `SOCK_SEQPACKET` socket, since
//! not every system has those.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, recvmsg, sendmsg,
};

use crate::platform::native;

/// The maximum length of a message in bytes.
pub const MAX_LEN: usize = 64 * 1024;

/// The maximum number of descriptors in a message.
pub const MAX_FDS: usize = 16;

/// Bytes of the length before each message.
const LENGTH_LEN: usize = 4;

/// One end of a connection between two processes. Its operations block.
#[derive(Debug)]
pub struct Channel {
    socket: UnixStream,
    /// How long a whole message may take.
    timeout: Option<Duration>,
}

/// A message that was received.
#[derive(Debug)]
pub struct Message {
    /// The bytes. They are received directly into this buffer, so wiping it leaves no copy.
    pub bytes: Vec<u8>,
    /// The descriptors, closed on exec.
    pub fds: Vec<OwnedFd>,
}

impl Channel {
    /// The maximum length of a message in bytes.
    pub const MAX_LEN: usize = MAX_LEN;

    /// Creates two connected ends. Both are closed on exec.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, two) = UnixStream::pair()?;
        Ok((Self { socket: one, timeout: None }, Self { socket: two, timeout: None }))
    }

    /// Limits the time that [`send`](Self::send) and [`receive`](Self::receive) take (`None`: no
    /// limit), so that a process that sends half a message, or single bytes slowly, cannot hold up
    /// this one. The timeout must not be zero. The last step may take as long again.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeout = timeout;
        self.socket.set_read_timeout(timeout)?;
        self.socket.set_write_timeout(timeout)
    }

    /// The deadline of a message that begins now.
    fn deadline(&self) -> Option<Instant> {
        self.timeout.and_then(|timeout| Instant::now().checked_add(timeout))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `InvalidInput` if it is too large; `BrokenPipe` if the other end is closed; `WouldBlock`
    /// after the timeout; otherwise those of the system. After an error the channel must not be
    /// used again.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.len() > MAX_LEN || fds.len() > MAX_FDS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let length = (bytes.len() as u32).to_le_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let deadline = self.deadline();
        let mut sent = 0;
        while sent < LENGTH_LEN + bytes.len() {
            check_time(deadline)?;
            let mut control = SendAncillaryBuffer::new(&mut space);
            // They are sent with the first byte, and not again with a remainder.
            if sent == 0 && !fds.is_empty() {
                let fits = control.push(SendAncillaryMessage::ScmRights(fds));
                assert!(fits, "there is space for as many as were checked above");
            }
            let parts = [
                IoSlice::new(&length[sent.min(LENGTH_LEN)..]),
                IoSlice::new(&bytes[sent.saturating_sub(LENGTH_LEN)..]),
            ];
            match sendmsg(&self.socket, &parts, &mut control, native::SEND_FLAGS) {
                Ok(more) => sent += more,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the next message; `None` if the other end was closed or its process has died.
    ///
    /// # Errors
    /// `UnexpectedEof` if the other end was closed within a message; `InvalidData` if the bytes are
    /// not a message, or if descriptors were lost (this process may have too many open);
    /// `WouldBlock` after the timeout; otherwise those of the system. After an error the channel
    /// must not be used again.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let deadline = self.deadline();
        let mut fds = Vec::new();
        let mut length = [0; LENGTH_LEN];
        match self.fill(&mut length, &mut fds, deadline)? {
            0 => return Ok(None),
            LENGTH_LEN => {}
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_LEN {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
        }
        let mut bytes = vec![0; length];
        if self.fill(&mut bytes, &mut fds, deadline)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Message { bytes, fds }))
    }

    /// Receives until `buffer` is full or the other end is closed. Returns the number of bytes.
    /// Received descriptors are added to `fds`.
    fn fill(
        &self,
        buffer: &mut [u8],
        fds: &mut Vec<OwnedFd>,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            check_time(deadline)?;
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut buffer[filled..])];
            let flags = native::RECEIVE_FLAGS;
            let received = match recvmsg(&self.socket, &mut parts, &mut control, flags) {
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                // On some systems: the other end died with unread data.
                Err(Errno::CONNRESET) => break,
                Err(error) => return Err(error.into()),
            };
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    fds.extend(received);
                }
            }
            // Checked at each step, since every piece of a message could bring that many.
            if fds.len() > MAX_FDS {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors"));
            }
            if received.flags.contains(ReturnFlags::CTRUNC) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "descriptors were lost"));
            }
            if received.bytes == 0 {
                break;
            }
            filled += received.bytes;
        }
        for fd in &*fds {
            native::close_on_exec(fd)?;
        }
        Ok(filled)
    }
}

/// The error of a socket operation that takes too long.
fn check_time(deadline: Option<Instant>) -> io::Result<()> {
    match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

impl From<OwnedFd> for Channel {
    /// A channel on a connected Unix stream socket, such as the standard input of a process that
    /// was started with one end of a pair.
    fn from(fd: OwnedFd) -> Self {
        Self { socket: fd.into(), timeout: None }
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.socket.into()
    }
}

impl AsFd for Channel {
    /// The socket, for polling. It is readable when a message is there or the other end is closed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn messages_and_descriptors_arrive() {
        let (one, two) = Channel::pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        one.send(b"hello", &[]).unwrap();
        one.send(b"", &[writer.as_fd(), reader.as_fd()]).unwrap();
        drop((reader, writer));
        let hello = two.receive().unwrap().unwrap();
        assert_eq!((&*hello.bytes, hello.fds.len()), (&b"hello"[..], 0));
        let message = two.receive().unwrap().unwrap();
        assert!(message.bytes.is_empty());
        let [writer, reader] = <[OwnedFd; 2]>::try_from(message.fds).unwrap();
        let flags = rustix::io::fcntl_getfd(&writer).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        std::fs::File::from(writer).write_all(b"through").unwrap();
        let mut text = String::new();
        std::fs::File::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn long_messages_arrive_in_one_piece() {
        let (one, two) = Channel::pair().unwrap();
        let long: Vec<u8> = (0..MAX_LEN).map(|n| (n % 251) as u8).collect();
        let sender = std::thread::spawn({
            let long = long.clone();
            move || {
                for _ in 0..20 {
                    let file = std::fs::File::open("/dev/null").unwrap();
                    one.send(&long, &[file.as_fd(); MAX_FDS]).unwrap();
                }
            }
        });
        for _ in 0..20 {
            let message = two.receive().unwrap().unwrap();
            assert_eq!((message.bytes.len(), message.fds.len()), (MAX_LEN, MAX_FDS));
            assert_eq!(message.bytes, long);
        }
        assert!(two.receive().unwrap().is_none());
        sender.join().unwrap();
    }

    #[test]
    fn an_end_is_an_end_and_a_cut_is_an_error() {
        let (one, two) = Channel::pair().unwrap();
        drop(one);
        assert!(two.receive().unwrap().is_none());
        assert!(two.receive().unwrap().is_none());
        assert_eq!(two.send(b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);

        for cut in [&b"\x05"[..], b"\x05\0\0\0", b"\x05\0\0\0hell"] {
            let (mut one, two) = UnixStream::pair().unwrap();
            one.write_all(cut).unwrap();
            drop(one);
            let error = Channel::from(OwnedFd::from(two)).receive().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn nobody_is_held_up() {
        let (one, mut two) = Channel::pair().unwrap();
        two.set_timeout(Some(Duration::from_millis(20))).unwrap();
        assert_eq!(two.receive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        UnixStream::from(OwnedFd::from(one)).write_all(b"\x05\0\0\0hell").unwrap();
        // The end is dropped on that line, so this returns and does not wait.
        assert_eq!(two.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (mut one, two) = Channel::pair().unwrap();
        one.set_timeout(Some(Duration::from_millis(20))).unwrap();
        let full = std::iter::repeat_with(|| one.send(&[0; MAX_LEN], &[])).find_map(Result::err);
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(two);
    }

    #[test]
    fn a_message_that_trickles_in_is_given_up() {
        let (one, mut two) = Channel::pair().unwrap();
        two.set_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut raw = UnixStream::from(OwnedFd::from(one));
        let trickle = std::thread::spawn(move || {
            let _ = raw.write_all(&1000u32.to_le_bytes());
            // Each step is in time, but all of them together are not.
            while raw.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        assert_eq!(two.receive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(two);
        trickle.join().unwrap();
    }

    #[test]
    fn descriptors_in_many_pieces_of_a_message_are_refused() {
        let (one, two) = Channel::pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let sender = std::thread::spawn(move || {
            let fds = [null.as_fd(); MAX_FDS];
            for byte in [&100u32.to_le_bytes()[..], b"a", b"b", b"c"] {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&fds));
                let parts = [IoSlice::new(byte)];
                let _ = sendmsg(&one.socket, &parts, &mut control, native::SEND_FLAGS);
            }
        });
        let error = two.receive().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        sender.join().unwrap();
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let (one, two) = Channel::pair().unwrap();
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        assert_eq!(kind(one.send(&vec![0; MAX_LEN + 1], &[])), io::ErrorKind::InvalidInput);
        let many = [one.as_fd(); MAX_FDS + 1];
        assert_eq!(kind(one.send(b"", &many)), io::ErrorKind::InvalidInput);

        let mut raw = UnixStream::from(OwnedFd::from(one));
        raw.write_all(&(MAX_LEN as u32 + 1).to_le_bytes()).unwrap();
        assert_eq!(two.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
