//! One process takes over from another: the sockets, the lock and the worlds change hands, and the calls notice a pause.
//!
//! The running process listens on a socket in its state folder. Who wants to take over connects and names its build; the
//! running one stops its worlds at a tick, leaves their snapshots in the folder, and sends the lock and all sockets
//! (`SCM_RIGHTS`). When the other is ready, the running one says `go` and ends; when it refuses, goes away or takes too long,
//! the running one takes its own sockets up again and goes on.

use super::build::build_id;
use super::{StateError, StateFolder};
use crate::net::{RtpPair, SipSocket, Sockets};
use ringworld_components::edge::Transport;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

const DOOR: &str = "take-over";

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(20);

/// Descriptors in one message; the system takes 253.
const AT_ONCE: usize = 240;

/// The longest message, in bytes: the list of all ports and some.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What is said by both sides.
#[derive(Serialize, Deserialize, Debug)]
enum Word {
    /// Who wants to take over.
    Hello { build: String },
    /// What descriptors follow, behind that of the lock.
    Here { sip: Vec<(String, SocketAddr)>, rtp: Vec<u16> },
    /// It can't be.
    Refused { why: String },
    /// The worlds and the network are ready.
    Ready { process: u32 },
    /// They are the other's from now on.
    Go,
}

/// The way in for who wants to take over.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens it in a state folder that is ours.
    pub fn open(folder: &StateFolder) -> Result<Self, StateError> {
        let path = folder.path().join(DOOR);
        // What lies there is left from a process that was killed: the folder is ours.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        Ok(Self { listener: listener.map_err(StateError::io(&path, "listening on"))?, path })
    }

    /// Who is at the door, if anybody is.
    pub fn knock(&self) -> Option<UnixStream> {
        self.listener.accept().ok().map(|(stream, _)| stream)
    }

    /// Closes it, and leaves nothing behind.
    pub fn close(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A process that wants to take over.
#[derive(Debug)]
pub struct Successor {
    stream: UnixStream,
    /// Its build.
    pub build: String,
}

impl Successor {
    /// Hears who is at the door.
    pub fn greet(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match hear(&stream)? {
            Word::Hello { build } => Ok(Self { stream, build }),
            other => Err(unexpected(&other)),
        }
    }

    /// Says that nothing is handed over.
    pub fn turn_away(&self, why: &str) {
        // It may be gone.
        let _ = say(&self.stream, &Word::Refused { why: why.to_owned() });
    }

    /// Gives everything, and returns the number of the process that is ready to go on with it, or why there is none.
    pub(crate) fn give(&self, folder: &StateFolder, sockets: &Sockets) -> Result<u32, String> {
        let sip = sockets.sip.iter().map(|it| (it.transport.as_str().to_owned(), it.address)).collect();
        let rtp = sockets.rtp.iter().map(|pair| pair.port).collect();
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(folder.lock())
            .chain(sockets.sip.iter().map(|it| it.socket.as_fd()))
            .chain(sockets.rtp.iter().flat_map(|pair| [pair.rtp.as_fd(), pair.rtcp.as_fd()]))
            .collect();
        let heard = say(&self.stream, &Word::Here { sip, rtp })
            .and_then(|()| descriptors.chunks(AT_ONCE).try_for_each(|some| give(&self.stream, some)))
            .and_then(|()| hear(&self.stream));
        match heard {
            Ok(Word::Ready { process }) => Ok(process),
            Ok(Word::Refused { why }) => Err(why),
            Ok(other) => Err(unexpected(&other).to_string()),
            Err(error) => Err(format!("it went away or took too long: {error}")),
        }
    }

    /// Lets it go on.
    pub(crate) fn let_go(&self) -> io::Result<()> {
        say(&self.stream, &Word::Go)
    }
}

/// What a running process has handed over.
#[derive(Debug)]
pub(crate) struct Legacy {
    stream: UnixStream,
    pub folder: StateFolder,
    pub sockets: Sockets,
}

impl Legacy {
    /// Asks the process that runs on the folder.
    pub fn ask(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join(DOOR);
        let stream =
            UnixStream::connect(&path).map_err(|error| StateError::NobodyThere { path: path.clone(), error })?;
        let failed = || StateError::io(&path, "taking over by");
        let asked = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| {
            stream.set_write_timeout(Some(PATIENCE))?;
            say(&stream, &Word::Hello { build: build_id().to_owned() })?;
            hear(&stream)
        });
        let (sip, rtp) = match asked.map_err(failed())? {
            Word::Here { sip, rtp } => (sip, rtp),
            Word::Refused { why } => return Err(StateError::TurnedAway { why }),
            other => return Err(failed()(unexpected(&other))),
        };
        let count = 1 + sip.len() + 2 * rtp.len();
        let mut descriptors = Vec::with_capacity(count);
        while descriptors.len() < count {
            take(&stream, &mut descriptors).map_err(failed())?;
        }
        let (lock, sockets) = sort(sip, rtp, descriptors).ok_or_else(|| {
            failed()(io::Error::new(io::ErrorKind::InvalidData, "what was handed over is incomplete"))
        })?;
        Ok(Self { stream, folder: StateFolder::with_lock(folder, lock), sockets })
    }

    /// The part that remains when folder and sockets have been put to use.
    pub fn split(self) -> (StateFolder, Sockets, Verdict) {
        (self.folder, self.sockets, Verdict { stream: self.stream })
    }
}

/// The answer that is owed to the running process.
#[derive(Debug)]
pub(crate) struct Verdict {
    stream: UnixStream,
}

impl Verdict {
    /// All is ready; returns when the other has let go.
    pub fn ready(&self) -> Result<(), StateError> {
        let heard = say(&self.stream, &Word::Ready { process: std::process::id() }).and_then(|()| hear(&self.stream));
        match heard {
            Ok(Word::Go) => Ok(()),
            Ok(other) => Err(StateError::TurnedAway { why: unexpected(&other).to_string() }),
            Err(error) => Err(StateError::TurnedAway { why: error.to_string() }),
        }
    }

    /// It can't be: the other goes on.
    pub fn refuse(&self, why: String) {
        let _ = say(&self.stream, &Word::Refused { why });
    }
}

fn sort(sip: Vec<(String, SocketAddr)>, rtp: Vec<u16>, descriptors: Vec<OwnedFd>) -> Option<(OwnedFd, Sockets)> {
    let mut descriptors = descriptors.into_iter();
    let lock = descriptors.next()?;
    let mut sockets = Sockets::default();
    for (transport, address) in sip {
        let transport = [Transport::Udp, Transport::Tcp].into_iter().find(|it| it.as_str() == transport)?;
        sockets.sip.push(SipSocket { transport, address, socket: descriptors.next()? });
    }
    for port in rtp {
        sockets.rtp.push(RtpPair { port, rtp: descriptors.next()?, rtcp: descriptors.next()? });
    }
    Some((lock, sockets))
}

fn say(mut stream: &UnixStream, word: &Word) -> io::Result<()> {
    let body = serde_json::to_vec(word)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_le_bytes()[..], &body].concat())
}

/// Reads one message and not a byte more: descriptors come with the bytes behind it.
fn hear(mut stream: &UnixStream) -> io::Result<Word> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    serde_json::from_slice::<Word>(&body).map_err(io::Error::from)
}

fn unexpected(word: &impl std::fmt::Debug) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected: {word:?}"))
}

fn give(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn take(stream: &UnixStream, into: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let before = into.len();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            into.extend(descriptors);
        }
    }
    if received.bytes == 0 || into.len() == before {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
