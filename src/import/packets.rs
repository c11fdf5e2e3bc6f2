//! RTP of the capture: what the host received on its media ports, and the digits in what it sent.

use super::account::Account;
use super::call::Call;
use super::stand_in::StandIn;
use bytes::Bytes;
use ringworld_components::call::Service;
use ringworld_components::edge::{Command, Input, Operation, Packet};
use ringworld_components::kernel::{StableId, StableIds};
use ringworld_components::wire::{rtp, telephone_event};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How soon an echo gives back a digit.
const ECHOED_WITHIN: Duration = Duration::from_secs(2);

impl StandIn {
    /// A packet for a port of the host: the call is the one in which the host named the port or, where the host's side
    /// was not captured, the one in which the peer named its own.
    pub(super) fn packet(&mut self, at: Duration, port: u16, peer: SocketAddr, bytes: &[u8], account: &mut Account) {
        // Where both ends are at one address, as on the loopback, only the ports tell whose packet it is.
        if self.call_of(port).is_none() && peer.ip() == self.local.ip && self.call_of(peer.port()).is_some() {
            account.packets_from_us += 1;
            return self.packet_sent(at, peer.port(), bytes, account);
        }
        let id = self.call_of(port).or_else(|| self.sources.get(&peer)).cloned();
        let find = |calls: &BTreeMap<Bytes, Call>| {
            id.as_ref().and_then(|id| calls.get(id)).map(|call| (call.engine_port, call.given_at))
        };
        // The engine may not have had the time to name its port.
        if find(&self.calls).is_some_and(|(port, given_at)| port.is_none() && given_at > self.engine.now().0) {
            self.tick(1);
        }
        if let Some(call) = id.as_ref().and_then(|id| self.calls.get_mut(id))
            && let Some(digit) = call.digit(bytes, |call| &mut call.last_heard)
        {
            call.heard.retain(|(heard, _)| at.saturating_sub(*heard) <= ECHOED_WITHIN);
            call.heard.push((at, digit));
        }
        let mut packet = Box::new(Packet::default());
        let ours = find(&self.calls).and_then(|(port, _)| port);
        let Some(ours) = ours.filter(|_| packet.fill(bytes)) else {
            account.packets_unused += 1;
            return;
        };
        (packet.port, packet.is_rtcp, packet.peer) = (ours, !port.is_multiple_of(2), peer);
        packet.arrived_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        account.packets_used += 1;
        self.pending.push(Input::Rtp(packet));
    }

    /// A packet of the host: the engine makes its own, but a digit it must be asked for, unless it gives back what it
    /// heard.
    pub(super) fn packet_sent(&mut self, at: Duration, port: u16, bytes: &[u8], account: &mut Account) {
        let Some(id) = self.call_of(port).cloned() else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let digit = call.digit(bytes, |call| &mut call.last_sent);
        let (Some(digit), Some(session)) = (digit, call.session.filter(|_| call.ended.is_none())) else { return };
        let heard = call.heard.iter().position(|&(heard, it)| it == digit && at.saturating_sub(heard) <= ECHOED_WITHIN);
        if let Some(heard) = heard {
            call.heard.remove(heard);
            if self.echoes(session) {
                return;
            }
        }
        *account.commands.entry("send a digit".to_owned()).or_default() += 1;
        self.commands += 1;
        let operation = Operation::SendDtmf { session, digits: digit.to_string() };
        self.pending.push(Input::Command(Command { number: self.commands, operation }));
    }

    /// The call that named a port of the host, or the one below it, last.
    fn call_of(&self, port: u16) -> Option<&Bytes> {
        self.ports.get(&(port & !1)).or_else(|| self.ports.get(&port))
    }

    fn echoes(&self, session: StableId) -> bool {
        let world = self.engine.world();
        let entity = world.resource::<StableIds>().find(session);
        let service = entity.and_then(|entity| world.get::<Service>(entity));
        matches!(service, Some(Service::Echo | Service::RingThenEcho { .. }))
    }
}

impl Call {
    /// The digit that a packet begins; `last` is where the timestamp of the one before it in that direction is kept.
    fn digit(&mut self, packet: &[u8], last: impl Fn(&mut Self) -> &mut Option<u32>) -> Option<char> {
        let (header, payload) =
            rtp::parse(packet).ok().filter(|(header, _)| self.digit_types.contains(&header.payload_type))?;
        if last(self).replace(header.timestamp) == Some(header.timestamp) {
            return None;
        }
        let event = telephone_event::parse(packet.get(payload)?).ok()?;
        telephone_event::digit_of(event.event)
    }
}
