//! Runs a scenario: lets time pass, and delivers what happens to the agents and the switch.

mod border;
mod clock;
mod faults;
mod lives;

use super::agent::Out;
use super::desk::Desk;
use super::exercised::Exercised;
use super::fault::Fault;
use super::intruders::Intruders;
use super::invariants::{Breach, Invariant, Invariants, Lags, agree, deep, nothing_left};
use super::network::Network;
use super::operator::Operator;
use super::rings::Rings;
use super::{SECOND, Scenario, TICK};
use crate::engine::{ChainDigest, Engine, Extend, WorldConfig};
use bytes::Bytes;
use clock::Clock;
use lives::{Down, Kept};
use ringworld_components::edge::{Input, PacketHandle};
use ringworld_components::kernel::Digest;
use std::collections::VecDeque;
use std::fmt;

/// How long transactions have to come to their end after the network has healed: 64*T1, and some.
const HEALING: u64 = 40 * SECOND;
/// How long calls have to come to their end after all agents have hung up: the longest call, and two transactions.
const LEAVING: u64 = 240 * SECOND;
/// Ticks between two looks into the world, for a run of few agents.
const DEEP_TICKS: u64 = 20;

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Simulated time, in milliseconds.
    pub lived_ms: u64,
    /// Of so much.
    pub whole_ms: u64,
}

/// A run in which an invariant did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run.
    pub scenario: Scenario,
    /// The tick at which it was seen.
    pub tick: u64,
    /// What did not hold.
    pub breaches: Vec<Breach>,
    /// The faults that were active.
    pub faults: Vec<Fault>,
}

impl Failure {
    /// The invariant that did not hold.
    pub fn invariant(&self) -> Option<Invariant> {
        self.breaches.first().map(|breach| breach.invariant)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = (self.tick * TICK) as f64 / SECOND as f64;
        writeln!(f, "seed {} fails at tick {} ({seconds:.3} s):", self.scenario.seed, self.tick)?;
        for breach in &self.breaches {
            writeln!(f, "  {breach}")?;
            writeln!(f, "    must hold: {}", breach.invariant.sentence())?;
        }
        for fault in &self.faults {
            writeln!(f, "  at work: fault {fault}")?;
        }
        write!(f, "replay it with: {}", self.scenario)
    }
}

impl std::error::Error for Failure {}

/// What a run came to, to be compared with another one of the same seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    /// The chained digests of all inputs and outputs, after each tick that ran.
    pub chain: Vec<(u64, ChainDigest)>,
    /// The digests of the whole world, now and then.
    pub worlds: Vec<(u64, Digest)>,
}

/// Runs a scenario to its end, or to the first invariant that does not hold. `watch` is told how far it is about once a
/// simulated second.
pub fn run(scenario: &Scenario, watch: &mut dyn FnMut(&Progress)) -> Result<Exercised, Box<Failure>> {
    Run::new(scenario, None).live(watch).0
}

/// Runs a scenario and keeps its digests.
pub(super) fn traced(scenario: &Scenario) -> (Result<Exercised, Box<Failure>>, Trace) {
    Run::new(scenario, Some(Trace::default())).live(&mut |_| {})
}

struct Run {
    scenario: Scenario,
    faults: Vec<Fault>,
    config: WorldConfig,
    /// What every world of the run is made with.
    extend: Extend,
    engine: Engine,
    /// The state folder, when one is kept.
    kept: Option<Kept>,
    /// When that is, from and to.
    kept_times: Vec<(u64, u64)>,
    /// The switch was killed, and `engine` is the world as it should come back.
    down: Option<Down>,
    network: Network,
    desk: Desk,
    operator: Operator,
    intruders: Intruders,
    rings: Rings,
    watchers: Invariants,
    exercised: Exercised,
    clock: Clock,
    /// Faults that happen once and are still to come, the next one last.
    instants: Vec<Fault>,
    /// RTP ports that are kept back before they are offered again, and until when.
    resting: VecDeque<(u64, u16)>,
    /// Messages in the ring: the agent, the message, and whether it is whole.
    under_way: Vec<(u32, Bytes, bool)>,
    /// Buffers of the network.
    stock: Vec<PacketHandle>,
    trace: Option<Trace>,
    next_deep: u64,
}

impl Run {
    fn new(scenario: &Scenario, trace: Option<Trace>) -> Self {
        let faults = scenario.faults();
        let config = scenario.world(&faults);
        let desk = Desk::new(scenario, &faults);
        let rooms = desk.agents.iter().map(|agent| agent.habits.room.clone()).collect();
        let mut rings = Rings::new(scenario.ring_room(&faults));
        (0..scenario.ports(&faults)).for_each(|pair| rings.offer_port(10_000 + 2 * pair));
        let extend = lives::extend(scenario);
        Self {
            engine: Engine::with_plugins(&config, |plugins| extend(plugins)),
            extend,
            kept: None,
            kept_times: lives::kept_times(&faults),
            down: None,
            network: Network::new(scenario.seed, scenario.agents, &faults),
            operator: Operator::new(scenario.seed, rooms),
            intruders: Intruders::new(scenario.seed),
            clock: Clock::new(scenario.seed, &faults),
            instants: faults::instants(&faults),
            scenario: scenario.clone(),
            desk,
            rings,
            config,
            watchers: Invariants { lags: Lags::new(&faults), ..Invariants::default() },
            faults,
            exercised: Exercised { runs: 1, ..Exercised::default() },
            resting: VecDeque::new(),
            under_way: Vec::new(),
            stock: Vec::new(),
            trace,
            next_deep: 0,
        }
    }

    fn live(mut self, watch: &mut dyn FnMut(&Progress)) -> (Result<Exercised, Box<Failure>>, Trace) {
        let result = self.live_through(watch).map_err(|()| {
            let now = self.clock.now;
            let faults = self.faults.iter().filter(|fault| fault.is_on(now)).cloned().collect();
            let mut breaches = std::mem::take(&mut self.watchers.breaches);
            breaches.truncate(3);
            Box::new(Failure { scenario: self.scenario.clone(), tick: self.tick(), breaches, faults })
        });
        self.exercised.observe(&self.engine);
        for (kind, count) in &self.network.struck {
            *self.exercised.faults.entry(*kind).or_default() += count;
        }
        self.exercised.changes = self.watchers.sessions.changes.clone();
        self.exercised.packets = self.network.packets;
        self.exercised.lived_ms = self.clock.now / super::MS;
        (result.map(|()| self.exercised), self.trace.unwrap_or_default())
    }

    /// The tick that the world is at, or would be at if it were not late.
    fn tick(&self) -> u64 {
        self.clock.now / TICK
    }

    fn live_through(&mut self, watch: &mut dyn FnMut(&Progress)) -> Result<(), ()> {
        let length = self.scenario.length();
        let mut whole = length + HEALING;
        self.pass(length, whole, watch)?;
        self.heal();
        self.pass(whole, whole, watch)?;
        let uncut: Vec<_> = self.network.uncut().collect();
        uncut.into_iter().for_each(|(agent, what)| self.note_garbled(agent, what));
        match agree(&self.engine, &self.desk.agents, &self.watchers) {
            Ok(agreed) => self.exercised.agreed = agreed,
            Err(breach) => self.watchers.breaches.push(breach),
        }
        self.judge()?;
        self.leave();
        let until = whole + LEAVING;
        while self.clock.now < until && self.engine.census() != Default::default() {
            whole = (self.clock.now + SECOND).min(until);
            self.pass(whole, whole, watch)?;
        }
        self.last_look();
        self.judge()
    }

    /// Ends all faults; agents and operator begin nothing new.
    fn heal(&mut self) {
        self.network.heal();
        self.clock.heal();
        self.heal_state();
        self.instants.clear();
        self.operator.rest();
        for number in self.scenario.participants() {
            if let Some(agent) = self.desk.agents.get_mut(number as usize) {
                agent.settle();
            }
            self.desk.note(self.clock.now, number);
        }
    }

    /// All agents hang up.
    fn leave(&mut self) {
        for number in self.scenario.participants() {
            let mut out = Out::default();
            if let Some(agent) = self.desk.agents.get_mut(number as usize) {
                agent.leave(self.clock.now, &mut out);
            }
            self.carry(number, out);
        }
    }

    fn last_look(&mut self) {
        let watchers = &self.watchers;
        let found = [
            watchers.sessions.endless(),
            nothing_left(&self.engine),
            watchers.missed_digits(),
            watchers.crossings.check(
                &self.engine,
                &watchers.wire.responses,
                &watchers.wire.requests,
                watchers.digits.count,
            ),
            deep(&self.engine),
        ];
        self.watchers.breaches.extend(found.into_iter().flatten());
    }

    /// The stream of an agent was cut otherwise than it was sent. That is expected of one that sends wrong lengths.
    fn note_garbled(&mut self, agent: u32, what: String) {
        if self.desk.agents.get(agent as usize).is_some_and(|agent| agent.is_honest()) {
            self.watchers.breaches.push(Breach::new(Invariant::StreamsAreCut, what, [format!("agent {agent}")]));
        }
    }

    fn judge(&self) -> Result<(), ()> {
        if self.watchers.breaches.is_empty() { Ok(()) } else { Err(()) }
    }

    /// Lets time pass until `until`.
    fn pass(&mut self, until: u64, whole: u64, watch: &mut dyn FnMut(&Progress)) -> Result<(), ()> {
        let mut told = 0;
        while self.clock.now < until {
            self.step(until);
            self.judge()?;
            if self.clock.now >= told + SECOND {
                told = self.clock.now;
                watch(&Progress { lived_ms: told / super::MS, whole_ms: whole / super::MS });
            }
        }
        Ok(())
    }

    /// The next tick in which something can happen.
    fn step(&mut self, until: u64) {
        let due = [
            self.network.next_time(),
            self.desk.next_time(),
            self.operator.due_at(),
            self.intruders.due_at(),
            self.instants.last().map_or(u64::MAX, |fault| fault.from),
            self.resting.front().map_or(u64::MAX, |(at, _)| *at),
            match &self.down {
                Some(down) => down.until,
                None => self.engine.next_due().0.saturating_mul(TICK),
            },
            until,
        ];
        self.clock.advance(due.into_iter().min().unwrap_or(until), self.rings.is_empty());
        let now = self.clock.now;
        self.look_after_state(now);
        self.strike(now);
        while let Some((_, delivery)) = self.network.next_delivery(now) {
            self.deliver(now, &delivery);
        }
        while let Some(number) = self.desk.next_due(now) {
            let mut out = Out::default();
            if let Some(agent) = self.desk.agents.get_mut(number as usize) {
                agent.wake(now, &mut out);
            }
            self.carry(number, out);
        }
        while let Some((at, arrival)) = self.network.next_arrival(now) {
            self.arrive(at, arrival);
        }
        self.intrude(now);
        let garbled = std::mem::take(&mut self.network.garbled);
        garbled.into_iter().for_each(|(agent, what)| self.note_garbled(agent, what));
        while self.resting.front().is_some_and(|(at, _)| *at <= now) {
            self.rings.offer_port(self.resting.pop_front().map_or(0, |(_, port)| port));
        }
        let commands = self.operator.act(now);
        if self.down.is_some() {
            return;
        }
        for command in commands {
            self.rings.push(Input::Command(command));
        }
        let quiet = self.rings.is_empty() && self.tick() < self.engine.next_due().0;
        if let Some(elapsed) = self.clock.elapsed(quiet) {
            self.tick_world(elapsed);
        }
    }
}
