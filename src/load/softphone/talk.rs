//! The loop of a single call.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ear::Ear;
use super::sound::Sound;
use super::wire::{Incoming, Wire};
use super::{Conversation, Event, Failure, LONGEST_S, Settings, unique};
use crate::load::clock::{self, MS, SECOND};
use crate::load::net::{Read, Reader, RtpPorts};
use crate::ua::digits::{Digits, DigitsHeard};
use crate::ua::message::Start as Line;
use crate::ua::rtp::{Arrivals, Packet};
use crate::ua::sdp::{RemoteAudio, TELEPHONE_EVENT_OFFERED};
use crate::ua::tone::{Tone, Tones};
use crate::ua::{Call, End, G711, Happened, Identity, Message, Outbox, Start, State};

/// The period of the loop; four of it are a packet.
const STEP: u64 = 5 * MS;
const FRAME: u64 = 20 * MS;
/// Silence before the first digit, so that it does not fall into a stream that only opens.
const BEFORE_DIGITS: u64 = 500 * MS;
const AMPLITUDE: i16 = 8_000;

/// The stream of an answered call.
struct Stream {
    answered_at: u64,
    setup: Duration,
    remote: RemoteAudio,
    tone: Arc<Tone>,
    next_at: u64,
    frame: usize,
    timestamp: u32,
    sequence: u16,
    ssrc: u32,
    sent: u64,
}

pub(super) struct Talk<'s, F> {
    settings: &'s Settings,
    on_event: F,
    wire: Wire,
    to: SocketAddr,
    call: Call,
    out: Outbox,
    rtp: UdpSocket,
    reader: Reader,
    stream: Option<Stream>,
    sound: Option<Sound>,
    digits: Digits,
    digits_heard: DigitsHeard,
    arrivals: Arrivals,
    received: u64,
    ear: Ear,
    leaving: bool,
}

impl<'s, F: FnMut(Event)> Talk<'s, F> {
    pub fn begin(
        settings: &'s Settings,
        (uri, from): (String, Option<String>),
        (to, reliable): (SocketAddr, bool),
        sound: Option<Sound>,
        mut on_event: F,
    ) -> Result<Self, Failure> {
        let digits = Digits::new(&settings.dtmf).map_err(Failure::BadDigit)?;
        on_event(Event::Calling(to));
        let wire = Wire::open(to, reliable).map_err(|error| match reliable {
            true => Failure::Connection { to, error },
            false => Failure::Local(error),
        })?;
        let local = wire.local().map_err(Failure::Local)?;
        let (rtp, rtp_address) = RtpPorts::new(local.ip(), unique()).open().map_err(Failure::Local)?;
        let name = unique();
        let from = from.unwrap_or_else(|| format!("sip:ringworld@{local}"));
        let call = Call::new(Start {
            identity: Identity {
                call_id: format!("{name:x}@{}", local.ip()),
                from: format!("<{from}>;tag={name:x}"),
                to: format!("<{uri}>"),
                user: "caller".to_owned(),
                local,
                reliable,
            },
            uri,
            hop: to,
            rtp: rtp_address,
            codecs: settings.laws.iter().copied().map(Into::into).collect(),
            ring_limit: settings.ring_limit.as_nanos() as u64,
        });
        Ok(Talk {
            settings,
            on_event,
            wire,
            to,
            call,
            out: Outbox::new(),
            rtp,
            reader: Reader::new(),
            stream: None,
            sound,
            digits,
            digits_heard: DigitsHeard::default(),
            arrivals: Arrivals::default(),
            received: 0,
            ear: Ear::new(LONGEST_S as usize),
            leaving: false,
        })
    }

    pub fn run(mut self) -> Result<Conversation, Failure> {
        let start = clock::now();
        self.call.invite(start, true, &mut self.out);
        let mut next = start;
        while self.call.state != State::Ended {
            let now = clock::now();
            self.hear(clock::time_of_day_offset()).map_err(Failure::Local)?;
            let wired = self.flush().and_then(|()| self.listen()).and_then(|()| self.flush());
            if let Err(error) = wired {
                return Err(Failure::Connection { to: self.to, error });
            }
            if self.call.due_at() <= now {
                // The state of the call tells the loop whether it has ended.
                let _ = self.call.on_time(now, &mut self.out);
            }
            self.speak(now);
            self.leave_in_time(now);
            self.flush().map_err(|error| Failure::Connection { to: self.to, error })?;
            next = (next + STEP).max(now);
            clock::sleep_until(next);
        }
        self.conclude((clock::now() - start) / SECOND)
    }

    fn flush(&mut self) -> io::Result<()> {
        for (to, bytes) in self.out.drain(..) {
            let sent = self.wire.send(to, &bytes);
            // UDP may fail now and work at the next retransmission.
            if self.call.identity.reliable {
                sent?;
            }
        }
        Ok(())
    }

    /// Takes all messages that are there.
    fn listen(&mut self) -> io::Result<()> {
        loop {
            match self.wire.receive(clock::time_of_day_offset())? {
                Incoming::Empty => return Ok(()),
                Incoming::Refused if self.call.state == State::Inviting => {
                    let _ = self.call.finish(clock::now(), End::Refused);
                }
                Incoming::Refused => {}
                Incoming::Message(bytes, source, arrived) => {
                    let Ok(message) = Message::parse(&bytes) else { continue };
                    if message.header("Call-ID") == Some(&self.call.identity.call_id) {
                        self.on_message(&message, source, arrived);
                    }
                }
            }
        }
    }

    fn on_message(&mut self, message: &Message<'_>, source: SocketAddr, arrived: u64) {
        let happened = match message.start {
            Line::Response { .. } => self.call.on_response(arrived, message, &mut self.out),
            Line::Request { .. } => self.call.on_request(arrived, message, source, &mut self.out),
        };
        match happened {
            Happened::Ringing(status) => (self.on_event)(Event::Ringing(status)),
            Happened::Answered(remote) => self.start_stream(arrived, remote),
            Happened::MediaChanged(remote) => {
                (self.on_event)(Event::Held(!remote.receives));
                if let Some(stream) = &mut self.stream {
                    stream.remote = remote;
                }
            }
            Happened::Ended if self.call.end == Some(End::HungUp) => (self.on_event)(Event::HungUpByOther),
            _ => {}
        }
    }

    fn start_stream(&mut self, now: u64, remote: RemoteAudio) {
        let setup = Duration::from_nanos(now.saturating_sub(self.call.began));
        (self.on_event)(Event::Answered { after: setup, law: remote.law() });
        let (hz, amplitude) = self.settings.tone_hz.map_or((400, 0), |hz| (hz, AMPLITUDE));
        let random = unique();
        self.stream = Some(Stream {
            answered_at: now,
            setup,
            tone: Tones::new().tone(hz, amplitude, remote.law()),
            remote,
            next_at: now,
            frame: 0,
            timestamp: random as u32,
            sequence: (random >> 32) as u16 & 0x7fff,
            ssrc: (random >> 31) as u32,
            sent: 0,
        });
    }

    /// Sends the packets that are due.
    fn speak(&mut self, now: u64) {
        let Some(stream) = self.stream.as_mut().filter(|_| self.call.state == State::Confirmed) else { return };
        while stream.next_at <= now {
            let can_dial =
                stream.remote.telephone_event.is_some() && stream.next_at >= stream.answered_at + BEFORE_DIGITS;
            let event = if can_dial { self.digits.next(stream.timestamp) } else { None };
            let played = self.sound.as_ref().and_then(|sound| sound.frame(stream.frame, stream.remote.law()));
            let audio = played.as_deref().unwrap_or_else(|| stream.tone.frame(stream.frame));
            let (sequence, ssrc) = (stream.sequence, stream.ssrc);
            let packet = match (&event, stream.remote.telephone_event) {
                (Some(event), Some(payload_type)) => Packet {
                    marker: event.marker,
                    payload_type,
                    sequence,
                    timestamp: event.timestamp,
                    ssrc,
                    payload: &event.payload,
                },
                _ => Packet {
                    marker: stream.frame == 0,
                    payload_type: stream.remote.payload_type,
                    sequence,
                    timestamp: stream.timestamp,
                    ssrc,
                    payload: audio,
                },
            };
            if let Some(to) = stream.remote.address.filter(|_| stream.remote.receives) {
                let mut bytes = Vec::with_capacity(172);
                packet.write(&mut bytes);
                stream.sent += u64::from(self.rtp.send_to(&bytes, to).is_ok());
                stream.sequence = stream.sequence.wrapping_add(1);
            }
            stream.frame += 1;
            stream.timestamp = stream.timestamp.wrapping_add(160);
            stream.next_at += FRAME;
        }
    }

    /// Takes all packets that are there.
    fn hear(&mut self, offset: u64) -> io::Result<()> {
        for _ in 0..64 {
            let Read::Packet { length, .. } = self.reader.read(&self.rtp, offset)? else { break };
            let bytes = self.reader.buffer.get(..length).unwrap_or_default();
            let Some(packet) = Packet::parse(bytes) else { continue };
            self.received += 1;
            self.arrivals.count(&packet);
            match packet.payload_type {
                0 => self.ear.place(packet.ssrc, packet.timestamp, G711::Pcmu, packet.payload),
                8 => self.ear.place(packet.ssrc, packet.timestamp, G711::Pcma, packet.payload),
                TELEPHONE_EVENT_OFFERED => {
                    if let Some(digit) = self.digits_heard.take(packet.timestamp, packet.payload) {
                        (self.on_event)(Event::DigitHeard(digit));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Hangs up when the time is over, when asked to, or when digits cannot be sent.
    fn leave_in_time(&mut self, now: u64) {
        let stopped = self.settings.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        let over = self.stream.as_ref().is_some_and(|stream| {
            let no_digits = !self.settings.dtmf.is_empty() && stream.remote.telephone_event.is_none();
            let is_played = self.sound.as_ref().is_none_or(|sound| stream.frame >= sound.frames());
            let is_done = is_played && self.digits.is_done();
            no_digits || now >= stream.answered_at + self.settings.seconds * SECOND && is_done
        });
        if (stopped || over) && !self.leaving {
            self.leaving = true;
            self.call.hang_up(now, &mut self.out);
        }
    }

    fn conclude(self, waited_s: u64) -> Result<Conversation, Failure> {
        let end = self.call.end.clone().unwrap_or(End::Completed);
        if let Some(failure) = Failure::of_end(&end, self.to, waited_s) {
            return Err(failure);
        }
        let Some(stream) = self.stream else { return Err(Failure::Cancelled) };
        if let Some(path) = &self.settings.hear {
            self.ear.write(path).map_err(Failure::Recording)?;
        }
        if !self.settings.dtmf.is_empty() && stream.remote.telephone_event.is_none() {
            return Err(Failure::NoDigits);
        }
        if let Some(hz) = self.settings.expect_tone_hz {
            self.ear.expect(hz)?;
        }
        Ok(Conversation {
            setup: stream.setup,
            law: stream.remote.law(),
            packets_sent: stream.sent,
            packets_received: self.received,
            packets_lost: self.arrivals.lost(),
            heard: Duration::from_micros(self.ear.samples().len() as u64 * 125),
            digits_heard: self.digits_heard.digits,
            hung_up_by_other: end == End::HungUp,
        })
    }
}
