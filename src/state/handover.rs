//! One process takes over from another: the sockets, the lock and the worlds are handed over; the calls see a pause.
//!
//! The running process listens on a socket in its state folder. The successor connects and names its build; the
//! running process stops its worlds at a tick, leaves their snapshots in the folder, and sends the lock and all sockets
//! (`SCM_RIGHTS`), open TCP connections among them, with what was read and not yet taken in, and not yet written. When
//! the successor is ready, the running process sends `Go` and ends; before that the successor neither reads nor writes.
//! If the successor refuses, closes the stream or takes too long, the running process goes on with its own sockets.

mod descriptors;
mod parcel;
mod words;

use super::build::build_id;
use super::{StateError, StateFolder};
use crate::net::{RtpPair, SipSocket, Sockets, raise_descriptors};
use descriptors::{give, take};
use parcel::{pack, unpack};
use ringworld_components::edge::Transport;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use words::{VERSION, Word, damaged, hear, say, unexpected};

const DOOR: &str = "take-over";

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(20);

/// Descriptors that a process has open anyway.
const ELSEWHERE: usize = 128;

/// The socket on which a successor asks to take over.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens it in a state folder whose lock this process holds.
    pub fn open(folder: &StateFolder) -> Result<Self, StateError> {
        let path = folder.path().join(DOOR);
        // A file that is there is left from a process that was killed: this one holds the lock.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        Ok(Self { listener: listener.map_err(StateError::io(&path, "listening on"))?, path })
    }

    /// The stream of a process that has connected, if one has.
    pub fn knock(&self) -> Option<UnixStream> {
        self.listener.accept().ok().map(|(stream, _)| stream)
    }

    /// Closes it, and removes its file.
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
    /// Reads the greeting of the process that has connected.
    pub fn greet(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match hear(&stream)? {
            Word::Hello { build, version: VERSION } => Ok(Self { stream, build }),
            Word::Hello { build, version } => {
                let why = other_version(&build, version);
                Self { stream, build }.turn_away(&why);
                Err(damaged(&why))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Refuses to hand over.
    pub fn turn_away(&self, why: &str) {
        // The successor may be gone.
        let _ = say(&self.stream, &Word::Refused { why: why.to_owned() });
    }

    /// Gives everything, and returns the process that is ready to go on with it, or why none is.
    pub(crate) fn give(&self, folder: &StateFolder, sockets: &Sockets) -> Result<Heir, String> {
        let packed = pack(sockets).map_err(|error| error.to_string())?;
        let here = Word::Here {
            version: VERSION,
            sip: sockets.sip.iter().map(|it| (it.transport.as_str().to_owned(), it.address)).collect(),
            rtp: sockets.rtp.iter().map(|pair| pair.port).collect(),
            connections: packed.connections.len(),
            parcels: packed.parcels.len(),
        };
        let going = packed.connections.iter().filter_map(|&place| sockets.tcp.get(place));
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(folder.lock())
            .chain(sockets.sip.iter().map(|it| it.socket.as_fd()))
            .chain(sockets.rtp.iter().flat_map(|pair| [pair.rtp.as_fd(), pair.rtcp.as_fd()]))
            .chain(going.map(|connection| connection.socket.as_fd()))
            .collect();
        let heard = say(&self.stream, &here)
            .and_then(|()| give(&self.stream, &descriptors))
            .and_then(|()| packed.parcels.iter().try_for_each(|parcel| (&self.stream).write_all(parcel)))
            // A successor that can't take all of it has said why.
            .map_or_else(|error| hear(&self.stream).map_err(|_| error), |()| hear(&self.stream));
        match heard {
            Ok(Word::Ready { process }) => {
                Ok(Heir { process, left_behind: sockets.tcp.len() - packed.connections.len() })
            }
            Ok(Word::Refused { why }) => Err(why),
            Ok(other) => Err(unexpected(&other).to_string()),
            Err(error) => Err(format!("it went away or took too long: {error}")),
        }
    }

    /// Tells the successor to go on.
    pub(crate) fn let_go(&self) -> io::Result<()> {
        say(&self.stream, &Word::Go)
    }
}

/// The successor that is ready to go on.
#[derive(Debug, PartialEq, Eq)]
pub struct Heir {
    /// The number of its process.
    pub process: u32,
    /// How many TCP connections hold too much to be handed over.
    pub left_behind: usize,
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
        let stream = UnixStream::connect(&path).map_err(|error| StateError::NoProcess { path: path.clone(), error })?;
        match receive(&stream) {
            Ok(Ok((lock, sockets))) => Ok(Self { stream, folder: StateFolder::with_lock(folder, lock), sockets }),
            Ok(Err(why)) => Err(StateError::TurnedAway { why }),
            Err(error) => {
                // The running process goes on, and should know why.
                let _ = say(&stream, &Word::Refused { why: error.to_string() });
                Err(StateError::io(&path, "taking over by")(error))
            }
        }
    }

    /// Whether a configuration with these addresses and this range of RTP ports goes on with all sockets.
    pub fn fits(&self, sip: &[(Transport, SocketAddr)], (first, last): (u16, u16)) -> Result<(), StateError> {
        let other = |what| Err(StateError::OtherAddresses { what });
        if let Some(lost) = self.sockets.sip.iter().find(|it| !sip.contains(&(it.transport, it.address))) {
            let (transport, address) = (lost.transport, lost.address);
            return other(format!("the running switch has SIP over {transport} on {address}, and this one shall not"));
        }
        let outside = |pair: &&RtpPair| pair.port < first || pair.port >= last;
        if let Some(pair) = self.sockets.rtp.iter().find(outside) {
            let port = pair.port;
            return other(format!("the running switch has RTP port {port}, and this one shall have {first}-{last}"));
        }
        Ok(())
    }

    /// The part that remains when folder and sockets have been put to use.
    pub fn split(self) -> (StateFolder, Sockets, Verdict) {
        (self.folder, self.sockets, Verdict { stream: self.stream })
    }
}

/// The answer that the running process waits for.
#[derive(Debug)]
pub(crate) struct Verdict {
    stream: UnixStream,
}

impl Verdict {
    /// All is ready; returns when the running process has let go.
    pub fn ready(&self) -> Result<(), StateError> {
        let heard = say(&self.stream, &Word::Ready { process: std::process::id() }).and_then(|()| hear(&self.stream));
        match heard {
            Ok(Word::Go) => Ok(()),
            Ok(other) => Err(StateError::TurnedAway { why: unexpected(&other).to_string() }),
            Err(error) => Err(StateError::TurnedAway { why: error.to_string() }),
        }
    }

    /// The take-over has failed: the running process goes on.
    pub fn refuse(&self, why: String) {
        let _ = say(&self.stream, &Word::Refused { why });
    }
}

/// Asks for everything and takes it; the inner error is why the running process refused.
fn receive(stream: &UnixStream) -> io::Result<Result<(OwnedFd, Sockets), String>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    say(stream, &Word::Hello { build: build_id().to_owned(), version: VERSION })?;
    let (sip, rtp, connections, parcels) = match hear(stream)? {
        Word::Here { version: VERSION, sip, rtp, connections, parcels } => (sip, rtp, connections, parcels),
        Word::Here { version, .. } => return Err(damaged(&other_version("the running switch", version))),
        Word::Refused { why } => return Ok(Err(why)),
        other => return Err(unexpected(&other)),
    };
    let count = (1 + sip.len() + 2 * rtp.len()).saturating_add(connections);
    let needed = u64::try_from(count.saturating_add(ELSEWHERE)).unwrap_or(u64::MAX);
    let granted = raise_descriptors(needed).map_err(|error| io::Error::other(error.to_string()))?;
    if granted < needed {
        let what = format!("{needed} file descriptors are needed and the system grants {granted}");
        return Err(io::Error::other(what));
    }
    let mut descriptors = take(stream, count)?.into_iter();
    let (lock, mut sockets) = sort(sip, rtp, &mut descriptors).ok_or_else(|| damaged("a socket is missing"))?;
    unpack(stream, parcels, descriptors, &mut sockets)?;
    Ok(Ok((lock, sockets)))
}

fn other_version(side: &str, version: u32) -> String {
    format!(
        "{side} hands over by version {version} and this build by version {VERSION}: stop the running switch in order (a \
         second signal leaves the calls to the next start), and start without --take-over"
    )
}

fn sort(
    sip: Vec<(String, SocketAddr)>,
    rtp: Vec<u16>,
    descriptors: &mut impl Iterator<Item = OwnedFd>,
) -> Option<(OwnedFd, Sockets)> {
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

#[cfg(test)]
mod tests;
