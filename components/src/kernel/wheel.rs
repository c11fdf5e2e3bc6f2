//! A hierarchical timer wheel: start and cancel in constant time, due timers in the order of deadline, then of start.

use super::Table;
use crate::record::{DecodeError, Decoder, Encoder, Record, Shape};
use bevy_ecs::prelude::*;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const LEVEL_BITS: u32 = 8;
const SLOTS: usize = 1 << LEVEL_BITS;
const LEVELS: usize = 4;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Timer {
    owner: Entity,
    deadline: u64,
    sequence: u64,
    previous: u32,
    next: u32,
    slot: u32,
}

/// At most one running timer of kind `T` for each entity. Deadlines are ticks.
///
/// Four levels of 256 slots hold deadlines up to 2^32 ticks ahead (240 days); what lies beyond waits in the last slot
/// and is sorted in when it comes near.
#[derive(Resource)]
pub struct TimerWheel<T: Send + Sync + 'static> {
    now: u64,
    started: u64,
    timers: Vec<Timer>,
    free: Vec<u32>,
    heads: Vec<u32>,
    by_owner: Table<u64, u32>,
    /// How many timers run, for those who have not the wheel at hand.
    running: Arc<AtomicUsize>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> Default for TimerWheel<T> {
    fn default() -> Self {
        Self {
            now: 0,
            started: 0,
            timers: Vec::new(),
            free: Vec::new(),
            heads: Vec::new(),
            by_owner: Table::default(),
            running: Arc::default(),
            kind: PhantomData,
        }
    }
}

impl<T: Send + Sync + 'static> TimerWheel<T> {
    /// How many timers are running.
    pub fn len(&self) -> usize {
        self.by_owner.len()
    }

    /// Whether none is running.
    pub fn is_empty(&self) -> bool {
        self.by_owner.is_empty()
    }

    /// The deadline of `owner`'s timer.
    pub fn deadline(&self, owner: Entity) -> Option<u64> {
        self.by_owner.get(&owner.to_bits()).and_then(|&at| self.timers.get(at as usize)).map(|timer| timer.deadline)
    }

    /// Keeps the number of running timers in `running` from now on.
    pub(super) fn count_in(&mut self, running: &Arc<AtomicUsize>) {
        self.running = Arc::clone(running);
        self.count();
    }

    fn count(&self) {
        self.running.store(self.by_owner.len(), Ordering::Relaxed);
    }

    /// Starts `owner`'s timer, or starts it anew. A deadline that is not ahead fires in the next tick.
    pub fn start(&mut self, owner: Entity, deadline: u64) {
        self.cancel(owner);
        let sequence = self.started;
        self.started += 1;
        self.insert(Timer {
            owner,
            deadline: deadline.max(self.now + 1),
            sequence,
            previous: NONE,
            next: NONE,
            slot: 0,
        });
    }

    /// Stops `owner`'s timer; says whether it was running.
    pub fn cancel(&mut self, owner: Entity) -> bool {
        let Some(at) = self.by_owner.remove(&owner.to_bits()) else { return false };
        self.unlink(at);
        self.free.push(at);
        self.count();
        true
    }

    /// A tick before which no timer fires: the next deadline if it is near, else an earlier one. `None` if none runs.
    pub fn quiet_until(&self) -> Option<u64> {
        if self.by_owner.is_empty() {
            return None;
        }
        let next = self.now + 1;
        // At the end of the window the next level cascades: what is due then is not known before.
        let window_end = (self.now | (SLOTS as u64 - 1)) + 1;
        let is_due = |tick: &u64| self.heads.get(*tick as usize & (SLOTS - 1)).is_some_and(|&head| head != NONE);
        Some((next..window_end).find(is_due).unwrap_or(window_end))
    }

    /// Moves on to the tick `to` and appends the owners of all timers due by then, in order.
    pub fn advance(&mut self, to: u64, due: &mut Vec<Entity>) {
        if self.by_owner.is_empty() {
            self.now = self.now.max(to);
            return;
        }
        let mut fired: Vec<(u64, u64, Entity)> = Vec::new();
        while self.now < to {
            self.now += 1;
            for level in (1..LEVELS).rev() {
                if self.now.trailing_zeros() >= LEVEL_BITS * level as u32 {
                    self.cascade(level);
                }
            }
            let mut at = self.take_slot((self.now as usize) & (SLOTS - 1));
            while at != NONE {
                let timer = self.timers[at as usize];
                self.by_owner.remove(&timer.owner.to_bits());
                self.free.push(at);
                fired.push((timer.deadline, timer.sequence, timer.owner));
                at = timer.next;
            }
        }
        self.count();
        fired.sort_unstable_by_key(|&(deadline, sequence, _)| (deadline, sequence));
        due.extend(fired.into_iter().map(|(_, _, owner)| owner));
        if self.by_owner.is_empty() && self.timers.capacity() > 4096 {
            self.timers = Vec::new();
            self.free = Vec::new();
        }
    }

    fn cascade(&mut self, level: usize) {
        let index = (self.now >> (LEVEL_BITS * level as u32)) as usize & (SLOTS - 1);
        let mut at = self.take_slot(level * SLOTS + index);
        while at != NONE {
            let timer = self.timers[at as usize];
            self.link(at);
            at = timer.next;
        }
    }

    fn take_slot(&mut self, slot: usize) -> u32 {
        self.heads.get_mut(slot).map_or(NONE, |head| std::mem::replace(head, NONE))
    }

    fn insert(&mut self, timer: Timer) {
        let at = match self.free.pop() {
            Some(at) => {
                self.timers[at as usize] = timer;
                at
            }
            None => {
                self.timers.push(timer);
                (self.timers.len() - 1) as u32
            }
        };
        self.by_owner.insert(timer.owner.to_bits(), at);
        self.count();
        self.link(at);
    }

    fn link(&mut self, at: u32) {
        if self.heads.is_empty() {
            self.heads = vec![NONE; SLOTS * LEVELS];
        }
        let deadline = self.timers[at as usize].deadline;
        let slot = slot_of(self.now, deadline);
        let head = self.heads[slot];
        let timer = &mut self.timers[at as usize];
        (timer.slot, timer.previous, timer.next) = (slot as u32, NONE, head);
        if head != NONE {
            self.timers[head as usize].previous = at;
        }
        self.heads[slot] = at;
    }

    fn unlink(&mut self, at: u32) {
        let Timer { previous, next, slot, .. } = self.timers[at as usize];
        match previous {
            NONE => self.heads[slot as usize] = next,
            previous => self.timers[previous as usize].next = next,
        }
        if next != NONE {
            self.timers[next as usize].previous = previous;
        }
    }
}

/// The slot in which a timer waits: the level is the highest one in which now and the deadline differ.
fn slot_of(now: u64, deadline: u64) -> usize {
    let differ = now ^ deadline;
    let level = if differ == 0 { 0 } else { ((63 - differ.leading_zeros()) / LEVEL_BITS) as usize };
    if level < LEVELS {
        level * SLOTS + ((deadline >> (LEVEL_BITS * level as u32)) as usize & (SLOTS - 1))
    } else {
        let turn = (now >> (LEVEL_BITS * (LEVELS as u32 - 1))) as usize;
        (LEVELS - 1) * SLOTS + ((turn + SLOTS - 1) & (SLOTS - 1))
    }
}

// Only what runs, in its order, is state; slots and free places are a matter of layout.
impl<T: Send + Sync + 'static> Record for TimerWheel<T> {
    fn encode(&self, to: &mut Encoder<'_>) {
        let mut running: Vec<&Timer> =
            self.by_owner.sorted().into_iter().filter_map(|(_, &at)| self.timers.get(at as usize)).collect();
        running.sort_unstable_by_key(|timer| (timer.deadline, timer.sequence));
        self.now.encode(to);
        self.started.encode(to);
        to.number(running.len() as u64);
        for timer in running {
            timer.owner.encode(to);
            timer.deadline.encode(to);
            timer.sequence.encode(to);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut wheel = Self { now: u64::decode(from)?, started: u64::decode(from)?, ..Self::default() };
        if crate::planted!(RestoreForgets) {
            wheel.started = 0;
        }
        for _ in 0..from.length()? {
            let (owner, deadline, sequence) = (Entity::decode(from)?, u64::decode(from)?, u64::decode(from)?);
            wheel.insert(Timer { owner, deadline, sequence, previous: NONE, next: NONE, slot: 0 });
        }
        Ok(wheel)
    }

    fn shape(to: &mut Shape) {
        to.open("TimerWheel");
        to.leaf("now,started,[owner,deadline,sequence]");
        to.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct Kind;

    fn entity(index: u32) -> Entity {
        Entity::from_raw_u32(index).expect("a small index")
    }

    proptest! {
        #[test]
        fn the_wheel_agrees_with_a_sorted_list(
            start in 0u64..1 << 33,
            steps in prop::collection::vec((0u32..20, prop::option::of(1u64..200_000), 1u64..3_000), 1..80),
        ) {
            let mut wheel = TimerWheel::<Kind>::default();
            wheel.advance(start, &mut Vec::new());
            let mut model: BTreeMap<(u64, u64), u32> = BTreeMap::new();
            let (mut now, mut sequence) = (start, 0);
            for (owner, delay, step) in steps {
                model.retain(|_, running| *running != owner);
                match delay {
                    Some(delay) => {
                        wheel.start(entity(owner), now + delay);
                        model.insert((now + delay, sequence), owner);
                        sequence += 1;
                    }
                    None => { wheel.cancel(entity(owner)); }
                }
                now += step;
                let mut due = Vec::new();
                let first = model.keys().next().map(|&(deadline, _)| deadline);
                prop_assert_eq!(wheel.quiet_until().is_some(), first.is_some());
                prop_assert!(wheel.quiet_until() <= first, "a timer would be slept through");
                wheel.advance(now, &mut due);
                let later = model.split_off(&(now + 1, 0));
                let expected: Vec<Entity> = model.values().map(|&owner| entity(owner)).collect();
                model = later;
                prop_assert_eq!(due, expected);
                prop_assert_eq!(wheel.len(), model.len());
            }
        }
    }

    #[test]
    fn a_deadline_beyond_the_last_level_is_kept() {
        let mut wheel = TimerWheel::<Kind>::default();
        wheel.start(entity(1), 1 << 40);
        assert_eq!(wheel.deadline(entity(1)), Some(1 << 40));
        assert!(wheel.cancel(entity(1)));
        assert!(wheel.is_empty());
    }
}
