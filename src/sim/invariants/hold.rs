//! Which sides want to receive: read from the session descriptions that cross the border.

use super::{Breach, Invariant};
use crate::sim::network::SWITCH;
use crate::ua::message::{Message, Start};
use crate::ua::sdp::{self, RemoteAudio};
use ringworld_components::edge::Packet;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// What is known of the switch's RTP ports.
#[derive(Debug, Default)]
pub(in crate::sim) struct Holds {
    /// Ports from which nothing may be sent, since when, and the Call-ID.
    silent: BTreeMap<u16, (u64, String)>,
    /// What the switch has sent: a repetition, perhaps when the port is another call's, changes nothing.
    said: BTreeSet<u64>,
    /// Offers of the switch that were not answered yet, by Call-ID.
    offers: BTreeMap<String, RemoteAudio>,
    /// The directions that agents offered last, by Call-ID and CSeq number: whether they want to receive.
    offered: BTreeMap<(String, u32), bool>,
}

impl Holds {
    /// A message reaches the switch.
    pub fn delivered(&mut self, tick: u64, bytes: &[u8], is_whole: bool) {
        let Ok(message) = Message::parse(bytes) else { return };
        let (Some(call_id), Some((cseq, method))) = (message.header("Call-ID"), message.cseq()) else { return };
        let audio = sdp::read(message.body, None);
        let answers = match message.start {
            Start::Request { method: "INVITE", .. } => {
                // The first one counts; of one that was changed on the way nothing is known.
                if let Some(audio) = audio {
                    let hears = audio.receives || !is_whole;
                    self.offered.entry((call_id.to_owned(), cseq)).or_insert(hears);
                }
                return;
            }
            Start::Request { method: "ACK", .. } => true,
            Start::Response { status: 200..300, .. } => method == "INVITE",
            _ => false,
        };
        if answers
            && let Some(audio) = audio
            && let Some(offer) = self.offers.remove(call_id)
            && let Some(port) = offer.address.map(|address| address.port())
        {
            let hears = offer.sends && audio.receives;
            self.settle(tick, port, call_id, hears || !is_whole);
        }
    }

    /// The switch sends a message.
    pub fn sent(&mut self, tick: u64, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let (Some(call_id), Some((cseq, "INVITE"))) = (message.header("Call-ID"), message.cseq()) else { return };
        let Some(audio) = sdp::read(message.body, None).filter(|_| self.said.insert(xxh3_64(bytes))) else { return };
        match message.start {
            Start::Request { .. } => {
                self.offers.insert(call_id.to_owned(), audio);
            }
            Start::Response { .. } => match (self.offered.get(&(call_id.to_owned(), cseq)), audio.address) {
                (Some(&hears), Some(address)) => self.settle(tick, address.port(), call_id, hears && audio.sends),
                (None, _) => {
                    self.offers.insert(call_id.to_owned(), audio);
                }
                _ => {}
            },
        }
    }

    fn settle(&mut self, tick: u64, port: u16, call_id: &str, hears: bool) {
        if hears {
            self.silent.remove(&port);
        } else {
            self.silent.entry(port).or_insert_with(|| (tick, call_id.to_owned()));
        }
    }

    /// A port was taken for another call. What the last one offered there may still be answered, and settles nothing.
    pub fn port_taken(&mut self, port: u16) {
        self.silent.remove(&port);
        self.offers.retain(|_, offer| offer.address.is_none_or(|address| address.port() != port));
    }

    /// The switch sends a packet.
    pub fn packet(&self, tick: u64, packet: &Packet) -> Option<Breach> {
        let (since, call_id) = self.silent.get(&packet.port)?;
        (*since < tick).then(|| {
            let what = format!("a packet left port {} for {}, held since tick {since}", packet.port, packet.peer);
            Breach::new(Invariant::HoldIsSilent, what, [format!("Call-ID {call_id}"), format!("of {SWITCH}")])
        })
    }
}
