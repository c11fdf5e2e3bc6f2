//! What a run, or many, made the switch do: so that what was never exercised shows.

use super::fault::Kind;
use crate::engine::Engine;
use ringworld_components::call::{Counters, SessionState};
use ringworld_components::media::MediaCounters;
use std::collections::BTreeMap;

/// What was exercised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exercised {
    /// Runs.
    pub runs: u64,
    /// Ticks that ran, and simulated time in milliseconds.
    pub ticks: u64,
    /// Simulated time, in milliseconds.
    pub lived_ms: u64,
    /// Calls that agents and the operator placed.
    pub calls_placed: u64,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<Kind, u64>,
    /// Changes of sessions' states.
    pub changes: BTreeMap<(SessionState, SessionState), u64>,
    /// Dialogs that both ends agreed upon after the network had healed.
    pub agreed: u64,
    /// Voices that were heard and recognised.
    pub voices: u64,
    /// Packets that the network carried.
    pub packets: u64,
    /// The switch's own counters.
    pub signalling: Counters,
    /// The switch's own counters of media.
    pub media: MediaCounters,
}

impl Exercised {
    /// Takes the switch's counters over.
    pub(super) fn observe(&mut self, engine: &Engine) {
        self.signalling = engine.counters().clone();
        self.media = engine.media_counters().clone();
        self.calls_placed = self.signalling.calls_in + self.signalling.calls_out;
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.ticks += other.ticks;
        self.lived_ms += other.lived_ms;
        self.calls_placed += other.calls_placed;
        for (kind, count) in &other.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        for (change, count) in &other.changes {
            *self.changes.entry(*change).or_default() += count;
        }
        self.agreed += other.agreed;
        self.voices += other.voices;
        self.packets += other.packets;
        self.signalling.add(&other.signalling);
        self.media.add(&other.media);
    }

    /// Changes that the matrix allows and that never happened.
    pub fn never_changed(&self) -> Vec<(SessionState, SessionState)> {
        let all =
            SessionState::ALL.into_iter().flat_map(|from| SessionState::ALL.into_iter().map(move |to| (from, to)));
        all.filter(|change| change.0.can_transition_to(change.1) && !self.changes.contains_key(change)).collect()
    }
}
