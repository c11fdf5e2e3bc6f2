//! The inside of a phone: a user agent with calls, requests of its own, and sound.

use super::sound::Sound;
use crate::ua::call::Extra;
use crate::ua::inquiry::Inquiry;
use crate::ua::message::Start;
use crate::ua::write::outside_of_calls;
use crate::ua::{self, G711, Identity, Message, Outbox, Reply, SECOND, State};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a phone does with a call that comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCall {
    /// Rings (180), until the test says what to do.
    #[default]
    Rings,
    /// Answers at once.
    Answers,
    /// Refuses at once, with this status.
    Refuses(u16),
    /// Sends nothing at all.
    Ignores,
}

/// One call of a phone.
#[derive(Debug)]
pub(super) struct Line {
    pub call: ua::Call,
    pub sound: Sound,
}

#[derive(Debug)]
pub(super) struct Device {
    pub name: String,
    pub number: u8,
    pub address: SocketAddr,
    pub reliable: bool,
    pub on_call: OnCall,
    pub lines: Vec<Line>,
    inquiries: Vec<Inquiry>,
    /// Statuses with which requests of these methods are answered.
    pub replies: BTreeMap<String, u16>,
    /// The message from which on the next awaited one is looked for.
    pub since: usize,
    made: u32,
}

impl Device {
    pub fn new(number: u8, name: &str, reliable: bool) -> Self {
        Self {
            name: name.to_owned(),
            number,
            address: SocketAddr::from(([10, 0, 1, number], 5060)),
            reliable,
            on_call: OnCall::default(),
            lines: Vec::new(),
            inquiries: Vec::new(),
            replies: BTreeMap::new(),
            since: 0,
            made: 0,
        }
    }

    /// Its address of record, and where it is reached.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.name, self.address)
    }

    /// An identity with a Call-ID and a tag of its own.
    fn identity(&mut self, call_id: Option<&str>, to: String) -> Identity {
        self.made += 1;
        let own = format!("{}-{}", self.name, self.made);
        Identity {
            call_id: call_id.map_or_else(|| format!("{own}@{}", self.address.ip()), str::to_owned),
            from: format!("<{}>;tag={own}", self.uri()),
            to,
            user: self.name.clone(),
            local: self.address,
            reliable: self.reliable,
        }
    }

    fn new_line(&mut self, identity: Identity, uri: String, hop: SocketAddr) -> &mut Line {
        let call = ua::Call::new(ua::Start {
            identity,
            uri,
            hop,
            rtp: SocketAddr::new(self.address.ip(), 20_000 + (self.made % 10_000) as u16 * 2),
            codecs: vec![G711::Pcmu.into(), G711::Pcma.into()],
            ring_limit: 3_600 * SECOND,
        });
        let sound = Sound::new(u32::from(self.number) << 24 | self.made);
        self.lines.push(Line { call, sound });
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    pub fn place(&mut self, now: u64, uri: String, hop: SocketAddr, offers: bool, out: &mut Outbox) {
        let identity = self.identity(None, format!("<{uri}>"));
        self.new_line(identity, uri, hop).call.invite(now, offers, out);
    }

    pub fn inquire(
        &mut self,
        now: u64,
        (method, uri, hop): (&str, &str, SocketAddr),
        extra: Extra<'_>,
        out: &mut Outbox,
    ) {
        // A binding is registered for the sender's own address of record (RFC 3261, section 10.2).
        let to = if method == "REGISTER" { self.uri() } else { uri.to_owned() };
        let identity = self.identity(None, format!("<{to}>"));
        self.inquiries.push(Inquiry::send(now, identity, (method, uri, hop), extra, out));
    }

    pub fn on_sip(&mut self, now: u64, source: SocketAddr, bytes: &[u8], out: &mut Outbox) {
        let Ok(message) = Message::parse(bytes) else { return };
        let Some(call_id) = message.header("Call-ID") else { return };
        let line = self.lines.iter_mut().find(|line| line.call.identity.call_id == call_id);
        let Start::Request { method, .. } = message.start else {
            match line {
                Some(line) => drop(line.call.on_response(now, &message, out)),
                None => {
                    let inquiry = self.inquiries.iter_mut().find(|inquiry| inquiry.identity.call_id == call_id);
                    inquiry.into_iter().for_each(|inquiry| inquiry.on_response(now, &message));
                }
            }
            return;
        };
        let told = self.replies.get(method).copied();
        match (line, told) {
            (Some(line), Some(status)) => line.call.on_request_with(now, &message, source, status, out),
            (Some(line), None) => drop(line.call.on_request(now, &message, source, out)),
            (None, Some(status)) => out.push((source, Reply::new(status, &self.name).to(&message))),
            (None, None) if method == "INVITE" && message.tag("To").is_none() => {
                self.take(now, call_id, (&message, bytes), source, out);
            }
            (None, None) => out.extend(outside_of_calls(&message).map(|answer| (source, answer))),
        }
    }

    fn take(
        &mut self,
        now: u64,
        call_id: &str,
        (message, bytes): (&Message<'_>, &[u8]),
        source: SocketAddr,
        out: &mut Outbox,
    ) {
        let on_call = self.on_call;
        let identity = self.identity(Some(call_id), String::new());
        let call = &mut self.new_line(identity, String::new(), source).call;
        call.invited(now, message, bytes, source);
        match on_call {
            OnCall::Rings => call.ring(180, out),
            OnCall::Answers => drop(call.answer(now, out)),
            OnCall::Refuses(status) => drop(call.refuse(now, status, out)),
            OnCall::Ignores => {}
        }
    }

    /// A datagram came to one of its RTP ports.
    pub fn on_rtp(&mut self, now: u64, port: u16, bytes: &[u8]) {
        let line = self.lines.iter_mut().find(|line| line.call.rtp.port() == port);
        line.into_iter().for_each(|line| line.sound.hear(now, bytes));
    }

    /// When [`Device::on_time`] should be called next.
    pub fn due_at(&self) -> u64 {
        let calls = self.lines.iter().map(|line| line.call.due_at().min(line.sound_due_at()));
        calls.chain(self.inquiries.iter().map(Inquiry::due_at)).min().unwrap_or(u64::MAX)
    }

    /// Does what is due; the RTP packets of it, each with the port that it comes from and where it goes.
    pub fn on_time(&mut self, now: u64, out: &mut Outbox) -> Vec<(u16, SocketAddr, Vec<u8>)> {
        let mut packets = Vec::new();
        for Line { call, sound } in &mut self.lines {
            if call.due_at() <= now {
                // Its state tells the result.
                let _ = call.on_time(now, out);
            }
            if call.state == State::Confirmed {
                let remote = call.remote.as_ref();
                let spoken = sound.speak(now, remote);
                let to = remote.and_then(|remote| remote.address);
                packets.extend(spoken.into_iter().filter_map(|bytes| Some((call.rtp.port(), to?, bytes))));
            }
        }
        self.inquiries.iter_mut().for_each(|inquiry| inquiry.on_time(now, out));
        packets
    }
}

impl Line {
    fn sound_due_at(&self) -> u64 {
        if self.call.state == State::Confirmed { self.sound.due_at() } else { u64::MAX }
    }
}
