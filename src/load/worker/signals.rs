//! The signalling of a worker's calls: start, messages, timers, end.

use std::io;
use std::sync::atomic::Ordering;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::{Caller, Due, LINGER, Worker};
use crate::load::media::Media;
use crate::load::net::Read;
use crate::load::plan::Hears;
use crate::ua::message::Start as Line;
use crate::ua::{Call, End, Happened, Identity, Message, Start, State};

impl Worker {
    /// Begins the next call and plans the one after it.
    pub(super) fn start_call(&mut self, at: u64, now: u64) {
        let index = self.next_call;
        let Some(&(group, member)) = self.members.get(index).filter(|_| !self.stopping) else { return };
        self.next_call += 1;
        self.agenda.add(at + self.pause(), Due::Start);
        self.shared.started.fetch_add(1, Ordering::Relaxed);
        let mut caller = Box::new(self.new_caller(index, group, member));
        self.live += 1;
        match self.open_media(index, group) {
            Ok((media, rtp)) => {
                caller.media = media;
                caller.call.rtp = rtp;
                caller.call.invite(now, true, &mut self.out);
            }
            Err(error) => drop(caller.call.finish(now, End::Local(error.to_string()))),
        }
        let ended = caller.call.state == State::Ended;
        if let Some(place) = self.callers.get_mut(index) {
            *place = Some(caller);
        }
        if ended {
            self.on_ended(now, index);
        }
        self.arm(index);
    }

    fn new_caller(&mut self, index: usize, group: usize, member: usize) -> Caller {
        let user = self.groups.get(group).map_or("", |group| group.user.as_str());
        let (run, local, target) = (self.run, self.local, self.plan.target);
        let mut laws = self.plan.laws.clone();
        let turns = index % laws.len().max(1);
        laws.rotate_left(turns);
        let call = Call::new(Start {
            identity: Identity {
                call_id: format!("{index}.{run:x}@{}", local.ip()),
                from: format!("<sip:caller{index}@{local}>;tag={run:x}.{index}"),
                to: format!("<sip:{user}@{target}>"),
                user: "caller".to_owned(),
                local,
                reliable: false,
            },
            uri: format!("sip:{user}@{target}"),
            hop: target,
            rtp: self.sink_address,
            codecs: laws.into_iter().map(Into::into).collect(),
            ring_limit: self.plan.ring_limit.as_nanos() as u64,
        });
        Caller { call, group, member, media: None, connected: false, listened: false, armed_at: u64::MAX }
    }

    fn open_media(&mut self, index: usize, group: usize) -> io::Result<(Option<Media>, std::net::SocketAddr)> {
        let Some(group) = self.groups.get(group).filter(|group| group.media) else {
            return Ok((None, self.sink_address));
        };
        let echo = group.hears == Hears::Itself;
        let (socket, address) = self.ports.open()?;
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
        let random = self.draw();
        Ok((Some(Media::new(socket, random, echo)), address))
    }

    /// Reads all messages that are there.
    pub(super) fn read_sip(&mut self, offset: u64) -> io::Result<()> {
        loop {
            match self.reader.read(&self.sip, offset)? {
                Read::Empty => return Ok(()),
                Read::Refused => self.on_refused(),
                Read::Packet { length, source, arrived } => {
                    let bytes: Vec<u8> = self.reader.buffer.get(..length).unwrap_or_default().to_vec();
                    let Ok(message) = Message::parse(&bytes) else {
                        self.signalling.malformed += 1;
                        continue;
                    };
                    self.heard_sip = true;
                    self.on_message(&message, source, arrived);
                }
            }
        }
    }

    fn on_message(&mut self, message: &Message<'_>, source: std::net::SocketAddr, arrived: u64) {
        let index = message.header("Call-ID").and_then(|id| id.split_once('.')?.0.parse::<usize>().ok());
        let found = index.and_then(|index| Some((index, self.callers.get_mut(index)?.as_deref_mut()?)));
        let ours = found.filter(|(_, caller)| Some(caller.call.identity.call_id.as_str()) == message.header("Call-ID"));
        let Some((index, caller)) = ours else {
            self.signalling.stray += 1;
            return;
        };
        let happened = match message.start {
            Line::Response { .. } => caller.call.on_response(arrived, message, &mut self.out),
            Line::Request { .. } => caller.call.on_request(arrived, message, source, &mut self.out),
        };
        self.on_happened(arrived, index, happened);
    }

    fn on_happened(&mut self, now: u64, index: usize, happened: Happened) {
        match happened {
            Happened::Answered(remote) => {
                let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { return };
                caller.connected = true;
                self.setup.add(now.saturating_sub(caller.call.began));
                self.shared.connected.fetch_add(1, Ordering::Relaxed);
                self.start_stream(index, &remote);
                self.settle(now, index);
            }
            Happened::MediaChanged(remote) => {
                let caller = self.callers.get_mut(index).and_then(Option::as_deref_mut);
                if let Some(media) = caller.and_then(|caller| caller.media.as_mut()) {
                    media.change(&remote);
                }
            }
            Happened::Ended => self.on_ended(now, index),
            _ => {}
        }
        self.arm(index);
    }

    /// A port of the other side is closed. Before its first SIP message this means that no server is there.
    fn on_refused(&mut self) {
        if self.heard_sip {
            return;
        }
        let now = crate::load::clock::now();
        for index in 0..self.next_call {
            let caller = self.callers.get_mut(index).and_then(Option::as_deref_mut);
            if let Some(caller) = caller.filter(|caller| caller.call.state == State::Inviting) {
                let _ = caller.call.finish(now, End::Refused);
                self.on_ended(now, index);
            }
        }
    }

    pub(super) fn on_timer(&mut self, now: u64, index: usize) {
        let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { return };
        caller.armed_at = u64::MAX;
        let happened =
            if caller.call.due_at() <= now { caller.call.on_time(now, &mut self.out) } else { Happened::Nothing };
        self.on_happened(now, index, happened);
    }

    /// Puts the call's next time into the agenda, unless an earlier one is there already.
    fn arm(&mut self, index: usize) {
        let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let due = caller.call.due_at();
        if due < caller.armed_at {
            caller.armed_at = due;
            self.agenda.add(due, Due::Timer(index));
        }
    }

    pub(super) fn leave(&mut self, now: u64, index: usize) {
        let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let was_ended = caller.call.state == State::Ended;
        if let Some(media) = &mut caller.media {
            media.stop();
        }
        caller.call.hang_up(now, &mut self.out);
        if !was_ended && caller.call.state == State::Ended {
            self.on_ended(now, index);
        }
        self.arm(index);
    }

    fn on_ended(&mut self, now: u64, index: usize) {
        self.close_stream(index);
        let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let connected = std::mem::replace(&mut caller.connected, false);
        if connected {
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        }
        let end = caller.call.end.clone().unwrap_or(End::Completed);
        self.report.count_end(&end);
        self.shared.ended.fetch_add(1, Ordering::Relaxed);
        self.shared.failed.fetch_add(u64::from(end != End::Completed), Ordering::Relaxed);
        self.live -= 1;
        self.last_end = now;
        self.agenda.add(now + LINGER, Due::Forget(index));
        if !connected {
            self.settle(now, index);
        }
    }

    /// A call was answered or has failed; with the last one of a group, its time begins.
    fn settle(&mut self, now: u64, index: usize) {
        let Some(&(number, _)) = self.members.get(index) else { return };
        let Some(group) = self.groups.get_mut(number) else { return };
        group.pending = group.pending.saturating_sub(1);
        if group.pending == 0 {
            self.agenda.add(now + self.plan.hold.as_nanos() as u64, Due::Listen(number));
        }
    }

    /// Sends all messages that calls have put out.
    pub(super) fn flush(&mut self) {
        for (to, bytes) in self.out.drain(..) {
            // What cannot be sent now is sent again by the transaction's timer. A refusal is read as such.
            if self.sip.send_to(&bytes, to).is_err() {
                let _ = self.sip.send_to(&bytes, to);
            }
        }
    }
}
