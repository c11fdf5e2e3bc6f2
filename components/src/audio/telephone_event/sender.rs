//! From digits to packets, one step of 20 ms at a time.

use crate::audio::RtpClock;
use crate::planted;
use crate::record::Record;
use std::collections::VecDeque;

/// Steps that a tone lasts: 100 ms.
const TONE_STEPS: u8 = 5;

/// Steps from the end of a tone to the start of the next: 60 ms, in the first two of which the end packet is repeated.
const GAP_STEPS: u8 = 3;

/// How often the end packet is sent again (RFC 4733, section 2.5.1.4).
const END_REPEATS: u8 = 2;

/// Digits that may wait.
pub const DIGITS_MAX: usize = 64;

/// How loud the tone is: -10 dBm0.
const VOLUME: u8 = 10;

/// One telephone-event packet to send in this step, instead of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventPacket {
    /// The event's number.
    pub event: u8,
    /// The end bit: the duration is final.
    pub end: bool,
    /// Power level without its sign, in dBm0 (RFC 4733, section 2.3.4).
    pub volume: u8,
    /// How long the event has lasted at the end of this step, in timestamp units.
    pub duration: u16,
    /// When the event began: the RTP timestamp, which stays the same during the event.
    pub timestamp: u32,
    /// The RTP marker: the first packet of an event.
    pub marker: bool,
    /// The tone itself is over; audio may be sent beside this repeated end packet.
    pub retransmission: bool,
}

/// Sends digits one after the other: tones of 100 ms with 60 ms between them, the end packet three times.
///
/// ```
/// use ringworld_components::audio::{RtpClock, telephone_event::EventSender};
///
/// let clock = RtpClock::default();
/// let mut sender = EventSender::default();
/// assert!(sender.queue(7));
/// let first = sender.step(8000, clock).unwrap();
/// assert_eq!((first.event, first.marker, first.duration, first.timestamp), (7, true, 160, 8000));
/// assert_eq!(sender.step(8160, clock).unwrap().timestamp, 8000);
/// ```
#[derive(Record, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventSender {
    waiting: VecDeque<u8>,
    sending: Option<Sending>,
}

/// The event that is being sent.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sending {
    event: u8,
    /// Steps since it began.
    step: u8,
    /// The timestamp that it began with.
    began: u32,
}

impl EventSender {
    /// Queues an event; `false` if [`DIGITS_MAX`] are waiting already.
    pub fn queue(&mut self, event: u8) -> bool {
        let room = self.waiting.len() < DIGITS_MAX;
        if room {
            self.waiting.push_back(event);
        }
        room
    }

    /// Advances by 20 ms; `None` where no event packet is due and audio is sent. `timestamp` is the one that an audio
    /// packet of this step would carry, in units of that clock: telephone-event has the clock of the audio (RFC 4733
    /// section 2.1).
    pub fn step(&mut self, timestamp: u32, clock: RtpClock) -> Option<EventPacket> {
        let Sending { event, step, began } = match self.sending {
            Some(sending) => sending,
            None => Sending { event: self.waiting.pop_front()?, step: 0, began: timestamp },
        };
        let next = step + 1;
        self.sending = (next < TONE_STEPS + GAP_STEPS).then_some(Sending { event, step: next, began });
        (step < TONE_STEPS + END_REPEATS).then_some(EventPacket {
            event,
            end: next >= TONE_STEPS,
            volume: VOLUME,
            duration: u16::from(next.min(TONE_STEPS)) * clock.frame_units() as u16,
            timestamp: planted!(DigitMoves ? timestamp.wrapping_sub(u32::from(step) * clock.frame_units()), began),
            marker: step == 0,
            retransmission: step >= TONE_STEPS,
        })
    }

    /// The stream may not send for now: what was being sent is over, however short it was, and what waits goes on
    /// waiting.
    pub fn interrupt(&mut self) {
        self.sending = planted!(HeldDigitGoesOn ?
            self.sending.map(|sending| Sending { began: sending.began.wrapping_add(160), ..sending }), None);
    }

    /// Whether nothing is being sent and nothing waits: there is no need to step.
    pub fn is_idle(&self) -> bool {
        self.sending.is_none() && self.waiting.is_empty()
    }

    /// Drops what waits and what is being sent, as when the stream stops.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::EventReceiver;
    use super::*;
    use crate::record::{from_bytes, to_bytes};

    #[test]
    fn a_digit_is_sent_as_rfc_4733_has_it() {
        let mut sender = EventSender::default();
        assert!(sender.queue(11));
        let sent: Vec<Option<EventPacket>> =
            (0..9).map(|step| sender.step(7_000 + step * 160, RtpClock::default())).collect();
        for (step, packet) in sent.iter().enumerate() {
            let expected = (step < 7).then_some(EventPacket {
                event: 11,
                end: step >= 4,
                volume: 10,
                duration: [160, 320, 480, 640, 800, 800, 800, 0, 0][step],
                timestamp: 7_000,
                marker: step == 0,
                retransmission: step >= 5,
            });
            assert_eq!(*packet, expected, "step {step}");
        }
        assert!(sender.is_idle());
    }

    #[test]
    fn its_durations_are_of_the_clock_of_the_audio() {
        let (mut sender, clock) = (EventSender::default(), RtpClock { rate_hz: 48_000 });
        assert!(sender.queue(3));
        let sent: Vec<EventPacket> = (0..7).filter_map(|step| sender.step(step * 960, clock)).collect();
        assert_eq!(
            sent.iter().map(|packet| packet.duration).collect::<Vec<_>>(),
            [960, 1920, 2880, 3840, 4800, 4800, 4800]
        );
    }

    #[test]
    fn what_is_queued_is_heard_and_tones_keep_their_distance() {
        let digits = [1, 1, 0, 11, 10, 15];
        let (mut sender, mut receiver) = (EventSender::default(), EventReceiver::default());
        digits.iter().for_each(|digit| assert!(sender.queue(*digit)));
        let (mut heard, mut starts) = (Vec::new(), Vec::new());
        for step in 0u32.. {
            if sender.is_idle() {
                break;
            }
            // Survives being restored at any step.
            sender = from_bytes(&to_bytes(&sender)).unwrap();
            receiver = from_bytes(&to_bytes(&receiver)).unwrap();
            let Some(p) = sender.step(0xffff_ff00u32.wrapping_add(step * 160), RtpClock::default()) else { continue };
            if p.marker {
                starts.push(step);
            }
            heard.extend(receiver.push(p.timestamp, p.event, p.end, p.duration, p.marker).map(|heard| heard.event));
        }
        assert_eq!(heard, digits);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 8));
    }

    #[test]
    fn what_is_interrupted_is_not_begun_again_and_the_rest_waits() {
        let mut sender = EventSender::default();
        [4, 5].iter().for_each(|digit| assert!(sender.queue(*digit)));
        assert_eq!(sender.step(0, RtpClock::default()).map(|packet| packet.event), Some(4));
        sender.interrupt();
        sender.interrupt();
        assert_eq!(
            sender.step(9_000, RtpClock::default()).map(|packet| (packet.event, packet.timestamp)),
            Some((5, 9_000))
        );
    }

    #[test]
    fn the_queue_has_a_limit() {
        let mut sender = EventSender::default();
        assert!((0..DIGITS_MAX).all(|_| sender.queue(1)));
        assert!(!sender.queue(2));
        sender.step(0, RtpClock::default());
        assert!(sender.queue(2));
        sender.reset();
        assert!(sender.is_idle());
    }
}
