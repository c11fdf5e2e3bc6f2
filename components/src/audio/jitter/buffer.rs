//! The buffer itself: the playhead, and what is read at it.

use super::delay::Delay;
use super::held::{HeldPackets, Refused};
use super::sequence::{SequenceWindow, Standing};
use super::{JitterCounters, JitterLimits, PopOutcome, PushOutcome};
use crate::audio::{Codec, RtpClock};
use crate::record::Record;

/// The longest packet, in milliseconds (RFC 3551 section 4.2).
const PACKET_MS_MAX: u32 = 200;

/// A lead beyond this is a new time line, not an early packet: in milliseconds.
const JUMP_MS: u32 = 1_000;

/// Orders packets by their timestamps and gives out a frame per pop.
///
/// ```
/// use ringworld_components::audio::{JitterBuffer, JitterLimits, PopOutcome, PushOutcome};
///
/// let mut buffer = JitterBuffer::new(JitterLimits::default());
/// let mut frame = [0; 160];
/// assert_eq!(buffer.push(1, 8000, true, &[7; 160]), PushOutcome::Stored);
/// assert_eq!(buffer.pop(&mut frame, 0xff), PopOutcome::Filling);
/// assert_eq!(buffer.push(2, 8160, false, &[8; 160]), PushOutcome::Stored);
/// assert_eq!(buffer.pop(&mut frame, 0xff), PopOutcome::Frame);
/// assert_eq!(frame, [7; 160]);
/// ```
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub struct JitterBuffer {
    clock: RtpClock,
    unit_octets: u8,
    pub(super) held: HeldPackets,
    sequences: SequenceWindow,
    pub(super) delay: Delay,
    /// The timestamp of the next unit to play; `None` while the sender is silent.
    pub(super) playhead: Option<u32>,
    /// What was played last since the playhead was set: the sequence number, and the timestamp after it.
    played: Option<Played>,
    /// Pops since something was held.
    dry_frames: u32,
    counters: JitterCounters,
}

#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Played {
    sequence: u16,
    end: u32,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new(JitterLimits::default())
    }
}

impl JitterBuffer {
    /// An empty buffer for packets of G.711.
    pub fn new(limits: JitterLimits) -> Self {
        Self::of(limits, Codec::Pcmu)
    }

    /// An empty buffer for packets of this codec.
    pub fn of(limits: JitterLimits, codec: Codec) -> Self {
        Self {
            clock: codec.clock(),
            unit_octets: codec.unit_octets() as u8,
            held: HeldPackets::default(),
            sequences: SequenceWindow::default(),
            delay: Delay::new(limits, codec.clock()),
            playhead: None,
            played: None,
            dry_frames: 0,
            counters: JitterCounters::default(),
        }
    }

    /// Takes a packet of audio: sequence number, timestamp and marker from its RTP header.
    pub fn push(&mut self, sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> PushOutcome {
        let units = payload.len() / usize::from(self.unit_octets.max(1));
        if units == 0 || units > self.clock.units(PACKET_MS_MAX) as usize {
            return self.stray();
        }
        let standing = self.sequences.judge(sequence, self.playhead.is_none());
        let outcome = match (standing, self.playhead) {
            (Standing::Stray, _) => return self.stray(),
            (Standing::Seen, _) => return self.duplicate(),
            // What belongs to a talkspurt that is over.
            (Standing::Older, None) => return self.late(),
            (Standing::Moved, _) => {
                self.held.clear();
                self.anchor(timestamp);
                PushOutcome::Reset
            }
            (Standing::Newer, None) => {
                self.anchor(timestamp);
                PushOutcome::Stored
            }
            (Standing::Newer, Some(_)) if marker && self.held.is_empty() && self.dry_frames > 0 => {
                // A new talkspurt, whatever its timestamp says of the pause.
                self.anchor(timestamp);
                PushOutcome::Stored
            }
            (_, Some(playhead)) => match self.place(timestamp, playhead, standing == Standing::Newer) {
                PushOutcome::Late => return self.late(),
                PushOutcome::Stray => return self.stray(),
                placed => placed,
            },
        };
        match self.held.insert(timestamp, sequence, payload, units, self.clock.frame_units()) {
            Ok(()) => {
                if let Some(playhead) = self.playhead {
                    self.delay.observe(timestamp.wrapping_sub(playhead) as i32);
                }
                outcome
            }
            Err(Refused::Duplicate) => self.duplicate(),
            Err(Refused::Full) => {
                self.counters.overflow = self.counters.overflow.wrapping_add(1);
                PushOutcome::Overflow
            }
        }
    }

    /// Notes a packet that shares the sequence numbers but isn't audio (telephone-event, comfort noise), so that it
    /// doesn't count as lost.
    pub fn pass_by(&mut self, sequence: u16) {
        self.sequences.judge(sequence, self.playhead.is_none());
    }

    /// Writes the octets of the next 20 ms; where there is no audio, `fill`.
    pub fn pop(&mut self, out: &mut [u8], fill: u8) -> PopOutcome {
        out.fill(fill);
        let Some(mut playhead) = self.playhead else { return PopOutcome::Silent };
        let cut = self.delay.step();
        if cut > 0 {
            playhead = playhead.wrapping_add(cut as u32);
            self.skip_to(playhead);
            self.counters.cut = self.counters.cut.wrapping_add(cut as u32 / self.clock.frame_units().max(1));
        }
        let (mut played, mut lost) = (self.played, 0u16);
        let (sequences, frame) = (&self.sequences, self.clock.frame_units() as usize);
        let reading = self.held.read(
            playhead,
            frame,
            |piece| piece.copy(out, frame),
            |sequence| {
                if let Some(before) = played {
                    if before.sequence == sequence {
                        return;
                    }
                    lost = lost.saturating_add(sequences.unseen_between(before.sequence, sequence));
                }
                played = Some(Played { sequence, end: playhead });
            },
        );
        self.counters.lost = self.counters.lost.wrapping_add(u32::from(lost));
        self.playhead = Some(playhead.wrapping_add(frame as u32));
        if reading.covered > 0 {
            self.played = played.map(|played| Played { end: reading.end, ..played });
            self.conceal_dry_frames();
            return if reading.covered == frame { PopOutcome::Frame } else { PopOutcome::Partial };
        }
        self.nothing_to_play()
    }

    /// Whether nothing is held and nothing was for a while: pops give silence until the next push.
    pub fn is_idle(&self) -> bool {
        self.playhead.is_none()
    }

    /// How much audio waits, in milliseconds.
    #[cfg(test)]
    pub(super) fn held_ms(&self) -> u32 {
        self.clock.ms(self.held.units() as u32)
    }

    /// What has happened so far. `inspect` shows it, as all that is recorded.
    #[cfg(test)]
    pub(super) fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// Forgets the sender, as when the SSRC changes or the stream is held; keeps the delay that was learnt, and the
    /// counters.
    pub fn reset(&mut self) {
        self.held = HeldPackets::default();
        self.sequences = SequenceWindow::default();
        self.fall_silent();
    }

    /// Sets the playhead so that a talkspurt that begins at `timestamp` waits its target delay.
    fn anchor(&mut self, timestamp: u32) {
        self.playhead = Some(timestamp.wrapping_sub(crate::planted!(DelayCreeps ? 4_000, self.delay.target())));
        self.played = None;
        self.dry_frames = 0;
        self.delay.restart_window();
    }

    /// Decides on a packet while playing, and moves the playhead where that is called for.
    fn place(&mut self, timestamp: u32, playhead: u32, newer: bool) -> PushOutcome {
        let lead = timestamp.wrapping_sub(playhead) as i32;
        // Something later was played already: it can't be played in order.
        let passed = self.played.is_some_and(|played| (timestamp.wrapping_sub(played.end) as i32) < 0);
        let jump = self.clock.units(JUMP_MS) as i32;
        if newer && lead < -jump {
            self.held.clear();
            self.anchor(timestamp);
            return PushOutcome::Reset;
        }
        if lead < 0 {
            let newest_lead = self.held.last().map(|last| last.wrapping_sub(playhead) as i32);
            let Some(back) = self.delay.raise(lead.saturating_neg(), newest_lead) else { return PushOutcome::Late };
            self.playhead = Some(playhead.wrapping_sub(back as u32));
            if passed {
                return PushOutcome::Late;
            }
            self.conceal_dry_frames();
            return PushOutcome::Stored;
        }
        if passed {
            return PushOutcome::Late;
        }
        if lead > self.delay.max() && !crate::planted!(DelayCreeps) {
            if !newer {
                return PushOutcome::Stray;
            }
            let playhead = timestamp.wrapping_sub(self.delay.target());
            self.playhead = Some(playhead);
            let dropped = self.skip_to(playhead);
            self.counters.overflow = self.counters.overflow.wrapping_add(dropped);
            self.delay.restart_window();
            return if lead > jump { PushOutcome::Reset } else { PushOutcome::Overflow };
        }
        PushOutcome::Stored
    }

    /// Drops what lies before `playhead`, so that it doesn't count as lost; returns the packets dropped.
    fn skip_to(&mut self, playhead: u32) -> u32 {
        let (dropped, last) = self.held.drop_before(playhead);
        if let (Some(played), Some(sequence)) = (&mut self.played, last) {
            played.sequence = sequence;
        }
        dropped
    }

    fn nothing_to_play(&mut self) -> PopOutcome {
        match (self.held.first(), self.played) {
            (None, _) => {
                self.dry_frames += 1;
                if self.dry_frames < self.delay.silent_after_frames() {
                    return PopOutcome::Underrun;
                }
                self.fall_silent();
                PopOutcome::Silent
            }
            (Some(_), None) => PopOutcome::Filling,
            (Some((timestamp, sequence)), Some(played)) => {
                if self.sequences.unseen_between(played.sequence, sequence) == 0 && timestamp != played.end {
                    // Nothing is missing in the sequence: the sender paused.
                    PopOutcome::Silent
                } else {
                    self.conceal(1);
                    PopOutcome::Missing
                }
            }
        }
    }

    fn fall_silent(&mut self) {
        self.playhead = None;
        self.played = None;
        self.dry_frames = 0;
        self.delay.restart_window();
    }

    /// Counts the frames without audio that turn out to lie within talk.
    fn conceal_dry_frames(&mut self) {
        let frames = std::mem::take(&mut self.dry_frames);
        self.conceal(frames);
    }

    fn conceal(&mut self, frames: u32) {
        self.counters.concealed = self.counters.concealed.wrapping_add(frames);
    }

    fn stray(&mut self) -> PushOutcome {
        self.counters.stray = self.counters.stray.wrapping_add(1);
        PushOutcome::Stray
    }

    fn duplicate(&mut self) -> PushOutcome {
        self.counters.duplicate = self.counters.duplicate.wrapping_add(1);
        PushOutcome::Duplicate
    }

    fn late(&mut self) -> PushOutcome {
        self.counters.late = self.counters.late.wrapping_add(1);
        PushOutcome::Late
    }
}
