//! The lives of the switch: it is kept in a state folder, killed, and recovered from there, as a real process is.

use super::Run;
use crate::engine::{ChainDigest, Engine, Extend, WorldConfig};
use crate::sim::fault::{DYING_MAX, Death, Fault, Kind};
use crate::sim::ground::{Blow, Ground};
use crate::sim::invariants::{Breach, Invariant, calls_up};
use crate::sim::{Dice, MS, Purpose, SECOND, order};
use crate::state::{Follows, Keeper, Recovered, WorldFolder, recover_asleep};
use bevy_ecs::schedule::{MultiThreadedExecutor, Schedule};
use ringworld_components::kernel::{StableIds, Tick};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// For how long a folder is kept before a kill, so that a snapshot or two lie in it.
const KEPT_BEFORE: u64 = 12 * SECOND;
/// How long the disk has to catch up when there is room again.
const KEPT_AFTER: u64 = 6 * SECOND;
/// The time of day when a run begins: any will do.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// The folder.
const FOLDER: &str = "state";

/// A state folder in use, and the state of the process that uses it.
pub(super) struct Kept {
    ground: Ground,
    folder: WorldFolder,
    pub keeper: Keeper,
    follows: Option<Follows>,
    dice: Dice,
    /// The kill that is to come, when its moment is there.
    dying: Option<(Fault, Death)>,
    /// The digests of every tick that was run.
    chains: BTreeMap<u64, ChainDigest>,
    /// The last tick of which anything left.
    left: u64,
    /// Whether the disk had not taken everything before the tick at hand.
    was_behind: bool,
}

/// A switch that is down.
pub(super) struct Down {
    pub until: u64,
    death: Death,
    ground: Ground,
    folder: WorldFolder,
    chains: BTreeMap<u64, ChainDigest>,
    left: u64,
    /// Whether the disk was behind: what it did not take is lost.
    was_behind: bool,
    number: u32,
}

/// The effect of a kill on a tick.
pub(super) enum Met {
    /// Not at all.
    Alive,
    /// The tick is not written down, and nothing of it left.
    Unwritten,
    /// It is written down, and so many thousandths of it left.
    Written(u64),
}

/// When a state folder is kept, from and to, by the faults that need one.
pub(super) fn kept_times(faults: &[Fault]) -> Vec<(u64, u64)> {
    let times = |fault: &Fault| match fault.kind {
        Kind::Kill(_) => Some((fault.from.saturating_sub(KEPT_BEFORE), fault.from + DYING_MAX)),
        Kind::FullDisk => Some((fault.from.saturating_sub(KEPT_AFTER), fault.to + KEPT_AFTER)),
        _ => None,
    };
    faults.iter().filter_map(times).collect()
}

/// What every world of a run is made with.
pub(super) fn extend(scenario: &crate::sim::Scenario) -> Extend {
    let (threads, order) = (scenario.world_threads, scenario.order);
    let edit = move |schedule: &mut Schedule| {
        if threads > 1 {
            let threads = bevy_tasks::TaskPoolBuilder::new().num_threads(threads);
            bevy_tasks::ComputeTaskPool::get_or_init(|| threads.build());
            schedule.set_executor(MultiThreadedExecutor::new());
        }
        if let Some(seed) = order {
            order::shuffle_systems(schedule, seed);
        }
    };
    Arc::new(move |plugins| {
        plugins.adjust(move |app| {
            app.edit_schedule(Tick, edit);
        });
    })
}

fn unix_ms(now: u64) -> u64 {
    EPOCH_MS + now / MS
}

impl Run {
    /// Keeps a state folder if this is a time for it, and none if it is not; lets a switch that is down begin again.
    pub(super) fn look_after_state(&mut self, now: u64) {
        if self.kept_times.is_empty() {
            return;
        }
        let is_full = self.faults.iter().any(|fault| fault.kind == Kind::FullDisk && fault.is_on(now));
        let ground = self.kept.as_ref().map(|kept| &kept.ground).or(self.down.as_ref().map(|down| &down.ground));
        if let Some(ground) = ground {
            ground.set_time(unix_ms(now));
            ground.set_full(is_full);
            *self.network.struck.entry(Kind::FullDisk).or_default() += ground.refused();
        }
        // With a full disk it does not start.
        if self.down.as_ref().is_some_and(|down| down.until <= now) && !is_full {
            return self.revive(now);
        }
        let is_time = self.kept_times.iter().any(|(from, to)| (*from..*to).contains(&now));
        match &self.kept {
            None if is_time && self.down.is_none() && !is_full => self.keep(now, Ground::default()),
            Some(_) if !is_time => self.let_go(),
            _ => {}
        }
    }

    /// Begins to keep the world that runs.
    fn keep(&mut self, now: u64, ground: Ground) {
        ground.set_time(unix_ms(now));
        let folder = WorldFolder::on(Arc::new(ground.clone()), Path::new(FOLDER));
        let epoch = self.engine.world().resource::<StableIds>().epoch();
        let world = WorldConfig { epoch, ..self.config.clone() };
        // The ticks that it has missed are still to be run.
        let last_seen_ms = Some(EPOCH_MS + self.engine.now().as_millis());
        self.begin(ground, folder, &world, last_seen_ms);
    }

    fn begin(&mut self, ground: Ground, folder: WorldFolder, world: &WorldConfig, last_seen_ms: Option<u64>) {
        let begun = Keeper::start_in(folder.clone(), world, &self.engine, last_seen_ms, self.extend.clone(), None)
            .map_err(|error| error.to_string())
            .and_then(|keeper| Ok((keeper, ground.pursuit().map(|pursuit| pursuit.begin()).transpose()?)));
        let (keeper, follows) = match begun {
            Ok(begun) => begun,
            Err(why) => return self.breach(Invariant::RecoveredIsSame, format!("no journal can be kept: {why}")),
        };
        let tick = self.engine.now().0;
        let dice = Dice::new(self.scenario.seed, Purpose::Kill, tick as u32);
        let chains = BTreeMap::from([(tick, self.engine.chain())]);
        self.kept =
            Some(Kept { ground, folder, keeper, follows, dice, dying: None, chains, left: tick, was_behind: false });
    }

    /// Keeps it no more. By now the disk must have taken everything.
    fn let_go(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        if let Some(why) = kept.keeper.summary(&self.engine).failed {
            self.breach(Invariant::NothingForgotten, format!("a kill would lose calls: {why}"));
        }
    }

    /// The disk has room, the switch runs, and it is kept no more.
    pub(super) fn heal_state(&mut self) {
        if let Some(down) = &self.down {
            down.ground.set_full(false);
            self.revive(self.clock.now);
        }
        self.let_go();
        self.kept_times.clear();
    }

    /// A kill is to come as soon as its moment is there.
    pub(super) fn begin_to_die(&mut self, fault: &Fault, death: Death) {
        let Some(kept) = self.kept.as_mut().filter(|kept| kept.dying.is_none()) else { return };
        let part = kept.dice.below(1000);
        let after = kept.dice.happens(500);
        let blow = match death {
            Death::Unwritten => Some(Blow::Writing("journal", 0)),
            Death::InEntry => Some(Blow::Writing("journal", part)),
            Death::Unsent | Death::HalfSent => Some(Blow::Writing("journal", 1000)),
            Death::BetweenJournals => Some(Blow::Beginning(if after { 1000 } else { part })),
            Death::InSnapshot => Some(Blow::Writing("tmp", part)),
            Death::InNaming => Some(Blow::Naming { after }),
            Death::InRemoving => Some(Blow::Removing { after }),
            Death::BetweenTicks | Death::TornTail | Death::BadSnapshot => None,
        };
        blow.into_iter().for_each(|blow| kept.ground.strike(blow));
        kept.dying = Some((fault.clone(), death));
    }

    /// The world as it is before a tick in which it may be killed, with the digests of what went in and out.
    pub(super) fn before_death(&self) -> Option<(Vec<u8>, ChainDigest)> {
        let (_, death) = self.kept.as_ref()?.dying.as_ref()?;
        let is_needed = matches!(death, Death::Unwritten | Death::InEntry);
        is_needed.then(|| (self.engine.snapshot(), self.engine.chain()))
    }

    /// The effect of a kill on the tick that was just run.
    pub(super) fn met(&mut self) -> Met {
        let Some(kept) = &mut self.kept else { return Met::Alive };
        if !kept.ground.is_dead() {
            return Met::Alive;
        }
        match &kept.dying {
            Some((_, Death::Unsent)) => Met::Written(0),
            Some((_, Death::HalfSent)) => Met::Written(kept.dice.below(1000)),
            _ => Met::Unwritten,
        }
    }

    /// Something of this tick has left.
    pub(super) fn note_left(&mut self, tick: u64) {
        if let Some(kept) = &mut self.kept {
            kept.left = kept.left.max(tick);
        }
    }

    /// A tick has been run, and all of its outputs have left.
    pub(super) fn end_kept_tick(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        if kept.keeper.is_due(&self.engine) {
            kept.keeper.begin_next(&self.engine);
        }
        kept.was_behind = kept.keeper.is_behind() && !kept.ground.is_dead();
        // The follower runs when it does.
        let mut failed = None;
        if kept.dice.happens(300)
            && let Some(follows) = &mut kept.follows
        {
            while !kept.ground.is_dead() && failed.is_none() {
                match follows.step() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(why) => failed = Some(why),
                }
            }
        }
        let is_ready = match kept.dying.as_ref().map(|(_, death)| death) {
            Some(Death::BetweenTicks | Death::TornTail) => true,
            Some(Death::BadSnapshot) => kept.ground.count("snapshot") > 1,
            _ => false,
        };
        if is_ready {
            kept.ground.set_dead(true);
        }
        let is_dead = kept.ground.is_dead();
        if let Some(why) = failed.filter(|_| !is_dead) {
            return self.breach(Invariant::RecoveredIsSame, format!("the follower can't go on: {why}"));
        }
        if is_dead {
            self.die(None);
        }
    }

    /// Remembers the digests of a tick that is written down.
    pub(super) fn note_lived(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.chains.insert(self.engine.now().0, self.engine.chain());
        }
    }

    /// The process is killed. With the world `before` the last tick, that tick is lost.
    pub(super) fn die(&mut self, before: Option<(Vec<u8>, ChainDigest)>) {
        let Some(kept) = self.kept.take() else { return };
        let Some((fault, death)) = kept.dying.clone() else { return };
        let now = self.clock.now;
        if let Some((bytes, chain)) = before {
            self.engine = self.restored(&bytes, chain);
        }
        let Kept { ground, folder, chains, left, was_behind, .. } = kept;
        let until = now + fault.downtime();
        self.down = Some(Down { until, death, ground, folder, chains, left, was_behind, number: fault.number });
        self.network.kill();
        self.rings.clear();
        self.under_way.clear();
        self.resting.clear();
        self.network.strike(fault.kind);
    }

    fn restored(&mut self, bytes: &[u8], chain: ChainDigest) -> Engine {
        let extend = self.extend.clone();
        let mut engine = Engine::with_plugins(&self.config, |plugins| extend(plugins));
        if let Err(error) = engine.restore(bytes, None) {
            self.breach(Invariant::RestoredIsSame, format!("it can't be restored: {error}"));
        }
        engine.resume_chain(chain);
        engine
    }

    /// The process is started again on its state folder.
    pub(super) fn revive(&mut self, now: u64) {
        let Some(down) = self.down.take() else { return };
        down.ground.set_dead(false);
        down.ground.set_time(unix_ms(now));
        let bits = Dice::new(self.scenario.seed, Purpose::Kill, down.number).bits();
        let is_damaged = match down.death {
            Death::TornTail => down.ground.damage("journal", bits),
            Death::BadSnapshot => down.ground.damage("snapshot", bits),
            _ => false,
        };
        let recovered = match recover_asleep(&down.folder, &self.config, &self.extend) {
            Ok(Some(recovered)) => recovered,
            Ok(None) => return self.breach(Invariant::RecoveredIsSame, "nothing is left to recover".to_owned()),
            Err(error) => {
                return self.breach(Invariant::RecoveredIsSame, format!("it can't be recovered: {error}"));
            }
        };
        if is_damaged && recovered.notes.is_empty() {
            self.breach(Invariant::LossIsTold, "a file is damaged, and nothing was said of it".to_owned());
        }
        let may_lose = down.was_behind || down.death == Death::TornTail;
        self.compare_lives(&down, &recovered, may_lose);
        let Recovered { engine, world, last_seen_ms, .. } = recovered.woken();
        let lost_after = (may_lose && engine.now() < self.engine.now()).then_some(engine.now().0);
        self.engine = engine;
        if let Some(tick) = lost_after {
            self.watchers.rewind(&self.engine);
            for agent in self.desk.agents.iter_mut().filter(|agent| agent.touched > tick) {
                (agent.is_tainted, agent.is_forgotten) = (true, true);
            }
        }
        self.network.revive();
        // While it was down no stream could send.
        self.watchers.pauses = Default::default();
        let undecided = self.engine.undecided();
        self.operator.hear_again(now, &undecided);
        let Down { ground, folder, .. } = down;
        self.begin(ground, folder, &world, Some(last_seen_ms));
        self.clock.owe(self.kept.as_ref().map_or(0, |kept| kept.keeper.missed_ticks()));
        let in_use = self.engine.ports_in_use();
        let pairs = (0..self.scenario.ports(&self.faults)).map(|pair| 10_000 + 2 * pair);
        pairs.filter(|port| !in_use.contains(port)).for_each(|port| self.rings.offer_port(port));
        if let Some(trace) = &mut self.trace {
            trace.worlds.push((self.engine.now().0, self.engine.digest()));
        }
    }

    /// Compares the world that was recovered with the one that was killed.
    fn compare_lives(&mut self, down: &Down, recovered: &Recovered, may_lose: bool) {
        let (back, killed) = (recovered.engine.now().0, self.engine.now().0);
        let old_epoch = self.engine.world().resource::<StableIds>().epoch();
        if recovered.world.epoch <= old_epoch {
            self.breach(Invariant::RecoveredIsSame, format!("ids of life {old_epoch} are minted again"));
        }
        let chain = recovered.engine.chain();
        if down.chains.get(&back).is_some_and(|lived| *lived != chain) {
            self.breach(Invariant::RecoveredIsSame, format!("at tick {back} it took in or put out something else"));
        }
        if may_lose {
            return;
        }
        if back < down.left {
            let what = format!("something left at tick {}, and it is back at tick {back}", down.left);
            self.breach(Invariant::NothingForgotten, what);
        }
        let up = calls_up(&self.engine);
        let back_up = calls_up(&recovered.engine);
        if let Some(call) = up.iter().find(|call| !back_up.contains(*call)) {
            self.breach(Invariant::CallsSurvive, format!("the call {call} was up and is gone"));
        }
        if back > killed {
            return self.breach(Invariant::RecoveredIsSame, format!("it is at tick {back}, killed was it at {killed}"));
        }
        // Idle ticks at the end are not written down.
        let mut ahead = self.restored(&recovered.engine.snapshot(), chain);
        let leaves = (back..killed).any(|_| !ahead.tick(1, Vec::new()).control.is_empty());
        let (one, other) = (self.engine.digest(), ahead.digest());
        if leaves || one != other || self.engine.chain() != ahead.chain() {
            let what = format!("{other:x?} at tick {killed} where {one:x?} was killed ({:?})", down.death);
            self.breach(Invariant::RecoveredIsSame, what);
        }
    }

    pub(super) fn breach(&mut self, invariant: Invariant, what: String) {
        self.watchers.breaches.push(Breach::new(invariant, what, []));
    }
}
