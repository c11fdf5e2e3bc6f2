//! Frames out of a capture file, pcap or pcapng.

use super::ImportError;
use super::account::Account;
use pcap_file::pcap::{PcapHeader, PcapReader, RawPcapPacket};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::time::Duration;

/// What every pcapng file begins with.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The largest frame that programs write.
const FRAME_BYTES_MAX: u32 = 262_144;

/// How far frames may stand out of order, as those of several interfaces do.
const DISORDER: Duration = Duration::from_secs(1);

/// Frames that are kept at most to be put into order.
const DISORDER_FRAMES_MAX: usize = 20_000;

/// A longer pause than this is one of the clock and not of the host: a clock that was set, or a damaged time.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A captured frame.
pub(super) struct Frame {
    /// Since 1970.
    pub at: Duration,
    /// What it begins with.
    pub link: DataLink,
    pub bytes: Vec<u8>,
    /// Whether only its first bytes were captured.
    pub is_cut: bool,
}

/// A capture that is being read.
pub(super) struct Capture {
    reader: Reader,
    is_over: bool,
    /// The latest time so far.
    latest: Option<Duration>,
    /// What is added to all times since the clock jumped, in nanoseconds.
    shift_ns: i128,
    read: u64,
    /// What was read and is not given out yet, by time and then by its place in the file.
    waiting: BTreeMap<(Duration, u64), Frame>,
}

enum Reader {
    Pcap(PcapReader<BufReader<File>>),
    PcapNg(PcapNgReader<BufReader<File>>),
}

impl Capture {
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let io = |error| ImportError::Io { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(io)?;
        let mut magic = [0; 4];
        let is_pcapng = file.read_exact(&mut magic).is_ok() && magic == PCAPNG;
        file.rewind().map_err(io)?;
        let file = BufReader::new(file);
        let reader = if is_pcapng {
            PcapNgReader::new(file).map(Reader::PcapNg)
        } else {
            PcapReader::new(file).map(Reader::Pcap)
        };
        let reader =
            reader.map_err(|error| ImportError::NotACapture { path: path.to_owned(), why: error.to_string() })?;
        Ok(Self { reader, is_over: false, latest: None, shift_ns: 0, read: 0, waiting: BTreeMap::new() })
    }

    /// The next frame by time. A damaged file ends at the damage.
    pub fn next(&mut self, account: &mut Account) -> Option<Frame> {
        while !self.is_over && !self.is_in_order() {
            self.read(account);
        }
        self.waiting.pop_first().map(|(_, frame)| frame)
    }

    /// Whether nothing that is still to be read can come before the first one that waits.
    fn is_in_order(&self) -> bool {
        let first = self.waiting.first_key_value().map(|((at, _), _)| *at);
        let since = first.zip(self.latest).map(|(first, latest)| latest.saturating_sub(first));
        since.is_some_and(|since| since > DISORDER) || self.waiting.len() > DISORDER_FRAMES_MAX
    }

    fn read(&mut self, account: &mut Account) {
        let next = match &mut self.reader {
            Reader::Pcap(reader) => {
                let header = reader.header();
                reader.next_raw_packet().map(|packet| packet.and_then(|packet| frame_of_pcap(&header, packet)))
            }
            Reader::PcapNg(reader) => next_of_pcapng(reader, account),
        };
        match next {
            Some(Ok(mut frame)) => {
                account.frames += 1;
                self.read += 1;
                frame.at = self.time_of(frame.at, account);
                self.waiting.insert((frame.at, self.read), frame);
            }
            Some(Err(error)) => {
                self.is_over = true;
                account.damaged = Some(format!("behind frame {}: {error}", account.frames));
            }
            None => self.is_over = true,
        }
    }

    /// The time of a frame, by a clock that does not jump.
    fn time_of(&mut self, at: Duration, account: &mut Account) -> Duration {
        let nanos = |at: Duration| i128::try_from(at.as_nanos()).unwrap_or(i128::MAX);
        let shifted = |shift_ns: i128| duration_of(nanos(at).saturating_add(shift_ns));
        let Some(latest) = self.latest else {
            self.latest = Some(at);
            return at;
        };
        let mut time = shifted(self.shift_ns);
        let jumped_to = match time.checked_sub(latest) {
            Some(pause) if pause > PAUSE_MAX => Some(latest.saturating_add(PAUSE_MAX)),
            None if latest - time > DISORDER => Some(latest),
            _ => None,
        };
        if let Some(instead) = jumped_to {
            account.clock_jumps += 1;
            self.shift_ns = nanos(instead) - nanos(at);
            time = shifted(self.shift_ns);
        } else if time < latest {
            account.out_of_order += 1;
        }
        self.latest = Some(latest.max(time));
        time
    }
}

/// A length of time of at least none.
fn duration_of(nanos: i128) -> Duration {
    const SECOND: i128 = 1_000_000_000;
    let nanos = nanos.max(0);
    Duration::new(u64::try_from(nanos / SECOND).unwrap_or(u64::MAX), (nanos % SECOND) as u32)
}

/// A frame as pcap has it; the reader's own check takes a frame that was cut for a damaged one.
fn frame_of_pcap(header: &PcapHeader, packet: RawPcapPacket<'_>) -> Result<Frame, PcapError> {
    let unit_ns = if header.ts_resolution == TsResolution::MicroSecond { 1_000 } else { 1 };
    let nanos = packet.ts_frac.checked_mul(unit_ns).filter(|&nanos| nanos < 1_000_000_000);
    let nanos = nanos.ok_or(PcapError::InvalidField("the time of a frame is none"))?;
    if packet.incl_len > packet.orig_len || packet.incl_len > FRAME_BYTES_MAX {
        return Err(PcapError::InvalidField("the length of a frame is none"));
    }
    Ok(Frame {
        at: Duration::new(u64::from(packet.ts_sec), nanos),
        link: header.datalink,
        is_cut: packet.incl_len < packet.orig_len,
        bytes: packet.data.into_owned(),
    })
}

fn next_of_pcapng(
    reader: &mut PcapNgReader<BufReader<File>>,
    account: &mut Account,
) -> Option<Result<Frame, PcapError>> {
    loop {
        let (interface, raw, is_cut, bytes) = match reader.next_block()? {
            Ok(Block::EnhancedPacket(packet)) => {
                let is_cut = (packet.data.len() as u64) < u64::from(packet.original_len);
                (packet.interface_id, packet.timestamp, is_cut, packet.data.into_owned())
            }
            Ok(Block::SimplePacket(_)) => {
                account.without_time += 1;
                continue;
            }
            Ok(_) => continue,
            Err(error) => return Some(Err(error)),
        };
        let Some(described) = reader.interfaces().get(interface as usize) else {
            return Some(Err(PcapError::InvalidInterfaceId(interface)));
        };
        let resolution = described.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
            _ => None,
        });
        let offset_s = described.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsOffset(seconds) => Some(*seconds),
            _ => None,
        });
        let at = time_of(raw.as_nanos(), resolution.unwrap_or(6));
        let at = at.saturating_add(Duration::from_secs(offset_s.unwrap_or(0)));
        return Some(Ok(Frame { at, link: described.linktype, bytes, is_cut }));
    }
}

/// The time of a count of units: the reader leaves them as they are, whatever the interface says they are. The
/// resolution is a negative power of 10, or of 2 if the highest bit is set.
fn time_of(units: u128, resolution: u8) -> Duration {
    let exponent = u32::from(resolution & 0x7f);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    let per_second = base.checked_pow(exponent).unwrap_or(u128::MAX);
    let (seconds, rest) = (units / per_second, units % per_second);
    let nanos = rest.saturating_mul(1_000_000_000) / per_second;
    Duration::new(u64::try_from(seconds).unwrap_or(u64::MAX), nanos as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_every_resolution_are_time() {
        assert_eq!(time_of(1_500_000, 6), Duration::from_millis(1_500));
        assert_eq!(time_of(1_500_000_000, 9), Duration::from_millis(1_500));
        assert_eq!(time_of(3, 0x81), Duration::from_millis(1_500));
        assert_eq!(time_of(7, 0), Duration::from_secs(7));
        assert!(time_of(u128::from(u64::MAX), 0x7f) < Duration::from_secs(1));
    }

    #[test]
    fn a_clock_that_is_set_leaves_pauses_that_a_host_can_have_made() {
        let path = std::env::temp_dir().join(format!("ringworld-clock-{}", std::process::id()));
        let mut writer = pcap_file::pcap::PcapWriter::new(Vec::new()).unwrap();
        // Two frames out of order, a clock that is set by decades and back, and one that goes on from there.
        for ms in [10_000, 10_400, 10_300, 1_700_000_000_000, 1_700_000_000_500, 9_000, 9_100] {
            let packet = pcap_file::pcap::PcapPacket::new(Duration::from_millis(ms), 1, &[0]);
            writer.write_packet(&packet).unwrap();
        }
        std::fs::write(&path, writer.into_writer()).unwrap();
        let (mut capture, mut account) = (Capture::open(&path).unwrap(), Account::default());
        let times: Vec<u128> =
            std::iter::from_fn(|| capture.next(&mut account)).map(|frame| frame.at.as_millis()).collect();
        let day = 24 * 3600 * 1000;
        assert_eq!(times, [10_000, 10_300, 10_400, day + 10_400, day + 10_900, day + 10_900, day + 11_000]);
        assert_eq!((account.out_of_order, account.clock_jumps, account.frames), (1, 2, 7));
        std::fs::remove_file(path).unwrap();
    }
}
