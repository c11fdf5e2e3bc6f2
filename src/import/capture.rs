//! Frames out of a capture file, pcap or pcapng.

use super::ImportError;
use super::account::Account;
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::time::Duration;

/// What every pcapng file begins with.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

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
    last: Duration,
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
        Ok(Self { reader, is_over: false, last: Duration::ZERO })
    }

    /// The next frame. A damaged file ends at the damage.
    pub fn next(&mut self, account: &mut Account) -> Option<Frame> {
        if self.is_over {
            return None;
        }
        let next = match &mut self.reader {
            Reader::Pcap(reader) => {
                let link = reader.header().datalink;
                reader.next_packet().map(|packet| {
                    packet.map(|packet| Frame {
                        at: packet.timestamp,
                        link,
                        is_cut: (packet.data.len() as u64) < u64::from(packet.orig_len),
                        bytes: packet.data.into_owned(),
                    })
                })
            }
            Reader::PcapNg(reader) => next_of_pcapng(reader, account),
        };
        match next {
            Some(Ok(mut frame)) => {
                account.frames += 1;
                if frame.at < self.last {
                    account.out_of_order += 1;
                    frame.at = self.last;
                }
                self.last = frame.at;
                Some(frame)
            }
            Some(Err(error)) => {
                self.is_over = true;
                account.damaged = Some(format!("behind frame {}: {error}", account.frames));
                None
            }
            None => {
                self.is_over = true;
                None
            }
        }
    }
}

fn next_of_pcapng(
    reader: &mut PcapNgReader<BufReader<File>>,
    account: &mut Account,
) -> Option<Result<Frame, pcap_file::PcapError>> {
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
            return Some(Err(pcap_file::PcapError::InvalidInterfaceId(interface)));
        };
        let resolution = described.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
            _ => None,
        });
        let at = time_of(raw.as_nanos(), resolution.unwrap_or(6));
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
}
