//! The thread that packs chunks and writes them: the tick never waits for the disk.

use super::RecordError;
use super::file::{FOOTER, FRAME_BYTES, Frame, MAGIC, RAW_BYTES_MAX};
use super::header::{Ending, Footer};
use super::scribe::Sink;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use ringworld_components::record::{Encoder, Record};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Chunks that may wait for the disk: at 256 KiB each, some seconds of a loaded switch.
const WAITING_MAX: usize = 64;

/// zstd's fastest regular level: about 2 ns a byte, and SIP shrinks to a tenth.
pub(super) const LEVEL: i32 = 1;

/// Room that is kept for the footer below the size cap.
const FOOTER_RESERVE: u64 = 256;

/// A chunk on its way to the disk, and where the world stood at its end.
pub(super) struct Chunk {
    pub raw: Vec<u8>,
    pub mark: Mark,
}

/// Where the world stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub tick: u64,
    pub ticks: u64,
}

enum Message {
    Chunk(Chunk),
    Finish(Footer),
}

/// The result of writing the file.
#[derive(Debug)]
pub(super) struct Written {
    pub bytes: u64,
    pub mark: Mark,
    pub ending: Ending,
    pub failed: Option<String>,
}

/// The tick thread's end.
pub(super) struct Writer {
    chunks: Sender<Message>,
    emptied: Receiver<Vec<u8>>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Written>,
}

impl Writer {
    /// Creates the file, readable by its owner only: it holds the world's secret.
    pub fn create(path: &Path, bytes_max: u64) -> Result<Self, RecordError> {
        Self::try_create(path, bytes_max).map_err(|error| RecordError { path: path.to_owned(), error })
    }

    fn try_create(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Self::start(options.open(path)?, bytes_max)
    }

    fn start(mut file: impl Write + Send + 'static, bytes_max: u64) -> io::Result<Self> {
        file.write_all(&MAGIC)?;
        let (chunks, incoming) = bounded(WAITING_MAX);
        let (give_back, emptied) = bounded(WAITING_MAX);
        let is_over = Arc::new(AtomicBool::new(false));
        let disk = Disk {
            file,
            packer: zstd::bulk::Compressor::new(LEVEL)?,
            packed: Vec::new(),
            index: 0,
            bytes: MAGIC.len() as u64,
            bytes_max,
            mark: Mark::default(),
        };
        let of_thread = is_over.clone();
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            let written = disk.run(&incoming, &give_back);
            of_thread.store(true, Ordering::Release);
            written
        })?;
        Ok(Self { chunks, emptied, is_over, thread })
    }

    /// Writes the end, and waits until all is written. Without a footer the writer ends the file where it is.
    pub fn finish(self, footer: Option<Footer>) -> Written {
        if let Some(footer) = footer {
            // A writer that has ended already has written an end of its own.
            let _ = self.chunks.send(Message::Finish(footer));
        }
        drop(self.chunks);
        self.thread.join().unwrap_or_else(|_| Written {
            bytes: 0,
            mark: Mark::default(),
            ending: Ending::Overrun,
            failed: Some("the writer stopped".to_owned()),
        })
    }
}

impl Sink for Writer {
    fn send(&self, chunk: Chunk) -> (bool, Vec<u8>) {
        let sent = match self.chunks.try_send(Message::Chunk(chunk)) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => true,
            Err(TrySendError::Full(_)) => false,
        };
        (sent, self.emptied.try_recv().unwrap_or_default())
    }

    /// The size cap was reached, or the disk failed.
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

struct Disk<W> {
    file: W,
    packer: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
    index: u64,
    bytes: u64,
    bytes_max: u64,
    mark: Mark,
}

impl<W: Write> Disk<W> {
    fn run(mut self, incoming: &Receiver<Message>, give_back: &Sender<Vec<u8>>) -> Written {
        let written = self.write_all(incoming, give_back);
        let (ending, failed) = match written {
            Ok(ending) => (ending, None),
            Err(error) => (Ending::Overrun, Some(error.to_string())),
        };
        Written { bytes: self.bytes, mark: self.mark, ending, failed }
    }

    fn write_all(&mut self, incoming: &Receiver<Message>, give_back: &Sender<Vec<u8>>) -> io::Result<Ending> {
        for message in incoming {
            match message {
                Message::Chunk(Chunk { mut raw, mark }) => {
                    if !self.write(&raw, true)? {
                        return self.end(Ending::SizeCap);
                    }
                    self.mark = mark;
                    raw.clear();
                    // Buffers that are not taken back are freed.
                    let _ = give_back.try_send(raw);
                }
                Message::Finish(footer) => {
                    self.mark = Mark { tick: footer.tick, ticks: footer.ticks };
                    self.write(&footer_bytes(&footer), false)?;
                    self.file.flush()?;
                    return Ok(footer.ending);
                }
            }
        }
        self.end(Ending::Overrun)
    }

    fn end(&mut self, ending: Ending) -> io::Result<Ending> {
        let footer = Footer { tick: self.mark.tick, ticks: self.mark.ticks, ending, digest: None };
        self.write(&footer_bytes(&footer), false)?;
        Ok(ending)
    }

    /// False, and nothing written, if the file would become too large.
    fn write(&mut self, raw: &[u8], is_bounded: bool) -> io::Result<bool> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(io::Error::other("one tick or snapshot is too large for a chunk"));
        }
        self.packed.clear();
        self.packed.resize(FRAME_BYTES + zstd::zstd_safe::compress_bound(raw.len()), 0);
        let (frame, body) = self.packed.split_at_mut(FRAME_BYTES);
        let length = self.packer.compress_to_buffer(raw, body)?;
        let body = body.get(..length).unwrap_or_default();
        let total = (FRAME_BYTES + length) as u64;
        if is_bounded && self.bytes + total + FOOTER_RESERVE > self.bytes_max {
            return Ok(false);
        }
        frame.copy_from_slice(&Frame::of(self.index, body, raw.len() as u32).to_bytes());
        self.file.write_all(self.packed.get(..FRAME_BYTES + length).unwrap_or_default())?;
        self.index += 1;
        self.bytes += total;
        Ok(true)
    }
}

pub(super) fn footer_bytes(footer: &Footer) -> Vec<u8> {
    let mut bytes = vec![FOOTER];
    footer.encode(&mut Encoder::new(&mut bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full after some bytes, or that blocks until it is released.
    struct Trouble {
        room: usize,
        go: Option<Receiver<()>>,
    }

    impl Write for Trouble {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() == MAGIC.len() {
                return Ok(bytes.len());
            }
            if let Some(go) = self.go.take() {
                let _ = go.recv();
            }
            self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn chunk(tick: u64) -> Chunk {
        Chunk { raw: vec![7; 100], mark: Mark { tick, ticks: tick } }
    }

    #[test]
    fn a_full_disk_is_reported_with_what_was_written_before() {
        let writer = Writer::start(Trouble { room: 100, go: None }, 1 << 20).unwrap();
        for tick in 1..=20 {
            assert!(writer.send(chunk(tick)).0, "the tick is never held up");
        }
        let written = writer.finish(None);
        assert!(written.failed.is_some_and(|why| !why.is_empty()));
        assert!((1..20).contains(&written.mark.tick), "{:?}", written.mark);
    }

    #[test]
    fn a_disk_that_cannot_keep_up_refuses_and_ends_behind_what_it_took() {
        let (let_go, go) = bounded(1);
        let writer = Writer::start(Trouble { room: 1 << 20, go: Some(go) }, 1 << 20).unwrap();
        let refused = (1..=2 * WAITING_MAX as u64).find(|&tick| !writer.send(chunk(tick)).0).unwrap();
        let_go.send(()).unwrap();
        let written = writer.finish(None);
        assert_eq!((written.ending, written.mark.tick), (Ending::Overrun, refused - 1));
        assert!(written.failed.is_none());
    }
}
