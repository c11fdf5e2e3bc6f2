//! What calls are charged for, the users and endpoints that use it, and how much of it there may be.
//!
//! The costs are declared, not measured: a fixed amount for each session and, by its codec, for each stream. So the
//! sums are a function of the inputs. What is measured outside enters as an operation.

use super::Settings;
use crate::kernel::Now;
use crate::record::Record;
use crate::wire::sdp::Codec;
use crate::wire::sip::Uri;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An amount of each resource.
#[derive(Record, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Sessions.
    pub sessions: u64,
    /// RTP port pairs.
    pub ports: u64,
    /// Bandwidth of RTP in each direction, with the headers of RTP, UDP and IP, in kbit/s.
    pub bandwidth_kbit_s: u64,
    /// Processor time, in millionths of one core.
    pub cpu_ppm: u64,
    /// Memory, in KiB.
    pub memory_kib: u64,
}

impl Amounts {
    /// Each with each.
    fn zip(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            sessions: with(self.sessions, other.sessions),
            ports: with(self.ports, other.ports),
            bandwidth_kbit_s: with(self.bandwidth_kbit_s, other.bandwidth_kbit_s),
            cpu_ppm: with(self.cpu_ppm, other.cpu_ppm),
            memory_kib: with(self.memory_kib, other.memory_kib),
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// The first without the second.
    pub fn minus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }
}

/// What calls are charged, and the budgets. A budget of 0 has no limit.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// The budget of bandwidth, in kbit/s in each direction.
    pub bandwidth_kbit_s: u64,
    /// The budget of processor time, in millionths of one core.
    pub cpu_ppm: u64,
    /// The budget of memory, in KiB.
    pub memory_kib: u64,
    /// What a session costs of processor time, in millionths of one core.
    pub session_cpu_ppm: u64,
    /// What a session costs of memory, in KiB.
    pub session_memory_kib: u64,
    /// What a stream costs of processor time, in millionths of one core.
    pub stream_cpu_ppm: u64,
    /// What a stream costs of memory, in KiB.
    pub stream_memory_kib: u64,
    /// The measured load of the processor from which on no call is admitted, in thousandths; 0: none is.
    pub load_permille_max: u32,
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self {
            bandwidth_kbit_s: 0,
            cpu_ppm: 0,
            memory_kib: 0,
            session_cpu_ppm: 20,
            session_memory_kib: 8,
            stream_cpu_ppm: 300,
            stream_memory_kib: 8,
            load_permille_max: 0,
        }
    }
}

/// The octets of the headers of IPv4, UDP and RTP before each payload.
const HEADER_OCTETS: u64 = 40;

impl ResourceSettings {
    /// What a session costs.
    pub fn of_session(&self) -> Amounts {
        Amounts {
            sessions: 1,
            cpu_ppm: self.session_cpu_ppm,
            memory_kib: self.session_memory_kib,
            ..Amounts::default()
        }
    }

    /// What a stream of this codec costs in packets of this length.
    pub fn of_stream(&self, codec: Codec, ptime_ms: u8) -> Amounts {
        let payload_kbit_s = codec.octets(1) as u64 * 8;
        let header_kbit_s = (HEADER_OCTETS * 8).div_ceil(u64::from(ptime_ms.max(1)));
        Amounts {
            ports: 1,
            bandwidth_kbit_s: payload_kbit_s + header_kbit_s,
            cpu_ppm: self.stream_cpu_ppm,
            memory_kib: self.stream_memory_kib,
            ..Amounts::default()
        }
    }

    /// The resource whose budget is exceeded by this use, if one is.
    pub fn exceeded(&self, used: Amounts) -> Option<AdmissionRefusal> {
        let over = |budget: u64, used: u64| budget > 0 && used > budget;
        if over(self.bandwidth_kbit_s, used.bandwidth_kbit_s) {
            Some(AdmissionRefusal::Bandwidth)
        } else if over(self.cpu_ppm, used.cpu_ppm) {
            Some(AdmissionRefusal::Cpu)
        } else if over(self.memory_kib, used.memory_kib) {
            Some(AdmissionRefusal::Memory)
        } else {
            None
        }
    }
}

impl Settings {
    /// What a stream costs whose codec is not agreed yet: the most that it can with those that we offer.
    pub fn of_new_stream(&self) -> Amounts {
        let all = self.media.offered().iter().map(|&codec| self.resources.of_stream(codec, self.media.ptime_ms));
        all.reduce(|one, other| one.zip(other, u64::max)).unwrap_or_default()
    }
}

/// What an entity is charged, a session or a stream. It is given back when the component goes, in whatever way.
#[derive(Component, Record, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[component(on_insert = charge, on_discard = discharge)]
pub struct Charge(pub Amounts);

/// The account that a session is on. It is counted there as long as the component lives.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(immutable, on_insert = open, on_discard = close)]
pub struct Account {
    /// The peer's address-of-record, `user@host`: From of a call that came in, To of one that we placed.
    pub user: Bytes,
    /// The peer's address: where the INVITE came from, or went to first.
    pub endpoint: IpAddr,
}

impl Account {
    /// The account of a peer with this URI at this address. The host is compared without regard to case (RFC 3261
    /// section 19.1.4).
    pub fn of(uri: &Uri, endpoint: IpAddr) -> Self {
        let (user, host) = (uri.user().unwrap_or_default(), uri.host());
        let mut name = Vec::with_capacity(user.len() + 1 + host.len());
        name.extend_from_slice(&user);
        name.push(b'@');
        name.extend(host.iter().map(u8::to_ascii_lowercase));
        Self { user: name.into(), endpoint }
    }
}

/// How much of each resource is used, and how many sessions each user and each endpoint has. Follows from [`Charge`]
/// and [`Account`] by hooks.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    used: Amounts,
    sessions: u32,
    by_user: BTreeMap<Bytes, u32>,
    by_endpoint: BTreeMap<IpAddr, u32>,
}

impl Accounts {
    /// How much is used.
    pub fn used(&self) -> Amounts {
        self.used
    }

    /// The sessions that are on the account of a user and of an endpoint.
    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// The sessions of a user.
    pub fn of_user(&self, user: &[u8]) -> u32 {
        self.by_user.get(user).copied().unwrap_or(0)
    }

    /// The sessions of an endpoint.
    pub fn of_endpoint(&self, endpoint: IpAddr) -> u32 {
        self.by_endpoint.get(&endpoint).copied().unwrap_or(0)
    }

    /// The sessions of each user, in the order of their names.
    pub fn users(&self) -> impl Iterator<Item = (&Bytes, u32)> {
        self.by_user.iter().map(|(user, count)| (user, *count))
    }

    /// The sessions of each endpoint, in the order of their addresses.
    pub fn endpoints(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        self.by_endpoint.iter().map(|(endpoint, count)| (*endpoint, *count))
    }
}

/// The load that was measured outside last. It is what an operation said, not what this process uses now.
#[derive(Resource, Record, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasuredLoad {
    /// The load of the processor, in thousandths.
    pub cpu_permille: u32,
    /// When it was reported.
    pub at: Now,
}

/// Why a new call is not admitted.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdmissionRefusal {
    /// The switch is shutting down.
    Draining,
    /// There are as many sessions as there may be.
    Sessions,
    /// There are as many dialogs as there may be.
    Dialogs,
    /// There are as many transactions as there may be.
    Transactions,
    /// The user has as many sessions as it may have.
    User,
    /// The endpoint has as many sessions as it may have.
    Endpoint,
    /// The budget of bandwidth is used up.
    Bandwidth,
    /// The budget of processor time is used up.
    Cpu,
    /// The budget of memory is used up.
    Memory,
    /// The measured load is too high.
    Load,
}

impl AdmissionRefusal {
    /// The name of the limit, for counters and errors.
    pub fn limit(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Sessions => "sessions",
            Self::Dialogs => "dialogs",
            Self::Transactions => "transactions",
            Self::User => "sessions of a user",
            Self::Endpoint => "sessions of an endpoint",
            Self::Bandwidth => "bandwidth",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Load => "load",
        }
    }

    /// The status that the peer gets: 403 for a user above its own limit, as trying again or elsewhere does not help;
    /// else 503 with Retry-After (RFC 3261 section 21.5.4).
    pub fn status(self) -> u16 {
        if self == Self::User { 403 } else { 503 }
    }
}

fn charge(mut world: DeferredWorld, context: HookContext) {
    let amounts = world.get::<Charge>(context.entity).map(|charge| charge.0);
    if let (Some(amounts), Some(mut accounts)) = (amounts, world.get_resource_mut::<Accounts>()) {
        accounts.used = accounts.used.plus(amounts);
    }
}

fn discharge(mut world: DeferredWorld, context: HookContext) {
    let amounts = world.get::<Charge>(context.entity).map(|charge| charge.0);
    if let (Some(amounts), Some(mut accounts)) = (amounts, world.get_resource_mut::<Accounts>()) {
        accounts.used = accounts.used.minus(amounts);
    }
}

fn open(mut world: DeferredWorld, context: HookContext) {
    let account = world.get::<Account>(context.entity).cloned();
    if let (Some(account), Some(mut accounts)) = (account, world.get_resource_mut::<Accounts>()) {
        accounts.sessions += 1;
        *accounts.by_user.entry(account.user).or_default() += 1;
        *accounts.by_endpoint.entry(account.endpoint).or_default() += 1;
    }
}

fn close(mut world: DeferredWorld, context: HookContext) {
    let account = world.get::<Account>(context.entity).cloned();
    if let (Some(account), Some(mut accounts)) = (account, world.get_resource_mut::<Accounts>()) {
        accounts.sessions = accounts.sessions.saturating_sub(1);
        take_one(&mut accounts.by_user, &account.user);
        take_one(&mut accounts.by_endpoint, &account.endpoint);
    }
}

/// Counts down, and removes an entry that reaches 0.
fn take_one<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    let is_last = counts.get_mut(key).is_some_and(|count| {
        *count = count.saturating_sub(1);
        *count == 0
    });
    if is_last {
        counts.remove(key);
    }
}
