//! What a fleet of callers is to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::ua::g711::G711;

/// What the callers of a service should hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// Its own tone: an echo.
    Itself,
    /// All others of its group, and not itself: a conference room.
    Others,
    /// A tone of the switch, in Hz, while it stays silent itself.
    Tone(u16),
    /// Nothing, whatever it sends.
    Silence,
    /// Not looked at.
    Anything,
}

/// A kind of call and how many of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// User part of the request URI; `{}` becomes the group's number.
    pub user: String,
    /// Groups that belong together (rooms); single callers are groups of one.
    pub groups: usize,
    /// Callers in each group.
    pub members: usize,
    pub hears: Hears,
    /// Whether callers have an RTP socket of their own and send audio. Without, they only signal.
    pub media: bool,
}

impl Service {
    fn calls(&self) -> usize {
        self.groups.saturating_mul(self.members)
    }

    /// Callers that hear themselves at `echo`.
    pub fn echo(calls: usize) -> Service {
        Service { user: "echo".into(), groups: calls, members: 1, hears: Hears::Itself, media: true }
    }

    /// Rooms `conf-NAME-0`, `conf-NAME-1` ... of `members` callers each.
    pub fn rooms(name: &str, rooms: usize, members: usize) -> Service {
        Service { user: format!("conf-{name}-{{}}"), groups: rooms, members, hears: Hears::Others, media: true }
    }

    /// Calls without media: the offer's port is bound once and shared, nothing is sent from it.
    pub fn signalling(user: &str, calls: usize) -> Service {
        Service { user: user.into(), groups: calls, members: 1, hears: Hears::Anything, media: false }
    }
}

/// What a fleet of callers is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the switch listens for SIP over UDP.
    pub target: SocketAddr,
    /// The callers' own address.
    pub bind: IpAddr,
    pub services: Vec<Service>,
    /// New calls a second; hang-ups of a group are spread by the same rate.
    pub rate_per_s: u32,
    /// How long a group stays after its last member was answered. Zero hangs up at once.
    pub hold: Duration,
    /// How long a call may ring before it is cancelled.
    pub ring_limit: Duration,
    /// Laws to offer; callers take turns in which one they prefer.
    pub laws: Vec<G711>,
    /// Threads to drive the callers; a group stays on one. A packet out and in costs a thread about 10 microseconds,
    /// most of it in the kernel: plan one thread for every 1,500 speaking callers.
    pub threads: usize,
    /// When set, callers hang up early and no further ones start.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Plan {
    /// 100 calls a second, held for five seconds, from the loopback address of the target's family.
    pub fn new(target: SocketAddr) -> Plan {
        let bind = match target.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        Plan {
            target,
            bind,
            services: Vec::new(),
            rate_per_s: 100,
            hold: Duration::from_secs(5),
            ring_limit: Duration::from_secs(60),
            laws: vec![G711::Pcmu, G711::Pcma],
            threads: 1,
            stop: None,
        }
    }

    /// Adds a service.
    pub fn with(mut self, service: Service) -> Plan {
        self.services.push(service);
        self
    }

    /// All calls of all services.
    pub fn calls(&self) -> usize {
        self.services.iter().fold(0, |sum: usize, service| sum.saturating_add(service.calls()))
    }

    /// Sockets that are open at the same time, at most, if calls are answered within two seconds.
    pub(crate) fn sockets(&self) -> usize {
        let media = || self.services.iter().filter(|service| service.media);
        let all: usize = media().fold(0, |sum: usize, service| sum.saturating_add(service.calls()));
        let largest = media().map(|service| service.members).max().unwrap_or_default();
        let seconds = self.hold.as_secs() as usize + 3;
        // A room waits for its last member and leaves one by one, at the same rate.
        all.min((self.rate_per_s as usize).saturating_mul(seconds).saturating_add(largest.saturating_mul(2)))
    }
}
