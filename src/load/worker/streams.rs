//! The packets of a worker's calls.

use std::io;

use nix::sys::epoll::{EpollEvent, EpollTimeout};

use super::{SINK_TOKEN, SIP_TOKEN, SLOTS, Worker};
use crate::load::clock::{self, MS};
use crate::load::net::Read;
use crate::ua::sdp::RemoteAudio;

/// When the loop is further behind than this, packets are left out instead of sent in a burst.
const TOO_LATE: u64 = 200 * MS;
/// Rounds of reading in one millisecond, and packets read from one socket in one round: so each socket gets its turn.
const ROUNDS: usize = 8;
const PACKETS_A_ROUND: usize = 8;

impl Worker {
    pub(super) fn start_stream(&mut self, index: usize, remote: &RemoteAudio) {
        let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let (Some(media), Some(group)) = (&mut caller.media, self.groups.get(caller.group)) else { return };
        let sent = group.sent_by(caller.member);
        media.start(remote, self.tones.tone(sent.hz, sent.amplitude, remote.law()));
        // The least crowded millisecond, so that packets leave evenly.
        if let Some(slot) = self.slots.iter_mut().min_by_key(|slot| slot.len()) {
            slot.push(index);
        }
    }

    /// Sends what is due in every millisecond up to now.
    pub(super) fn send_packets(&mut self, now: u64) {
        while self.next_ms <= now {
            let deadline = self.next_ms;
            self.next_ms += MS;
            let slot = (deadline / MS) as usize % SLOTS;
            let Some(list) = self.slots.get_mut(slot).filter(|list| !list.is_empty()) else { continue };
            let mut list = std::mem::take(list);
            let skip = now - deadline > TOO_LATE;
            list.retain(|&index| {
                let caller = self.callers.get_mut(index).and_then(Option::as_deref_mut);
                let Some(media) = caller.and_then(|caller| caller.media.as_mut()) else { return false };
                if skip {
                    self.packets.skipped += 1;
                    return media.skip();
                }
                media.send(deadline, &mut self.packet, &mut self.packets)
            });
            if let Some(place) = self.slots.get_mut(slot) {
                *place = list;
            }
        }
    }

    /// Reads every socket that has something.
    pub(super) fn read_sockets(&mut self) -> io::Result<()> {
        let offset = clock::time_of_day_offset();
        let mut events = [EpollEvent::empty(); 512];
        for _ in 0..ROUNDS {
            let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO)?;
            for event in events.iter().take(ready) {
                match event.data() {
                    SIP_TOKEN => self.read_sip(offset)?,
                    SINK_TOKEN => self.read_sink(offset)?,
                    index => self.read_rtp(index as usize, offset)?,
                }
            }
            if ready < events.len() {
                break;
            }
        }
        Ok(())
    }

    fn read_rtp(&mut self, index: usize, offset: u64) -> io::Result<()> {
        let caller = self.callers.get_mut(index).and_then(Option::as_deref_mut);
        let Some(media) = caller.and_then(|caller| caller.media.as_mut()) else { return Ok(()) };
        for _ in 0..PACKETS_A_ROUND {
            let Read::Packet { length, source, arrived } = self.reader.read(&media.socket, offset)? else { break };
            let bytes = self.reader.buffer.get(..length).unwrap_or_default();
            media.receive(bytes, source, arrived, &mut self.packets);
        }
        Ok(())
    }

    /// Packets for calls without media of their own are only counted.
    fn read_sink(&mut self, offset: u64) -> io::Result<()> {
        for _ in 0..512 {
            let Read::Packet { .. } = self.reader.read(&self.sink, offset)? else { break };
            self.packets.received += 1;
        }
        Ok(())
    }
}
