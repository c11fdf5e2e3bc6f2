//! The figures of a switch's run.

use super::Census;
use crate::net::NetSnapshot;
use crate::replay::{FlightSummary, RecordingSummary};
use crate::state::{Recovery, StateSummary};
use hdrhistogram::Histogram;
use ringworld_components::call::Counters;
use ringworld_components::media::MediaCounters;
use serde::Serialize;
use std::time::Duration;

/// The figures of a run: its counters, and the levels at its start, at its peak and at its end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Calls, requests, responses, drops, limits.
    pub signalling: Counters,
    /// Packets in, out and dropped by cause.
    pub media: MediaCounters,
    /// What the network threads counted.
    pub network: NetSnapshot,
    /// What there was at the start.
    pub start: Census,
    /// The most of each, looked at five times a second.
    pub peak: Census,
    /// What there was at the end.
    pub end: Census,
    /// Packet buffers of the process that held a packet.
    pub buffers: Levels,
    /// Free packet buffers of the world's share, at the end.
    pub pool_free: u64,
    /// How often the world had to allocate a packet buffer.
    pub pool_misses: u64,
    /// How long a tick took.
    pub tick_time: TickPercentiles,
    /// Ticks that began after the deadline of the next one.
    pub ticks_late: u64,
    /// Ticks that were given up.
    pub ticks_skipped: u64,
    /// Events that slow subscribers lost.
    pub events_lost: u64,
    /// Defects: components and resources that broke the rule of the registry, and worlds that panicked.
    pub defects: Vec<String>,
    /// What was found wrong with a world while it ran, and where its flight recording is.
    pub alarms: Vec<String>,
    /// What each world recorded.
    pub recordings: Vec<RecordingSummary>,
    /// The state of the flight recorder, if there is one.
    pub flight: Option<FlightSummary>,
    /// The state of the state folder, if there is one.
    pub state: Option<StateSummary>,
    /// How long it took to restore the world from there, if it was restored.
    pub recovery: Option<Recovery>,
}

/// Percentiles of the time that a tick took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TickPercentiles {
    /// How many ticks there were.
    pub ticks: u64,
    /// Half of them took at most this.
    pub p50_us: u64,
    /// All but one in a hundred.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// How many of something there were at the start, at the peak (looked at five times a second) and at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Levels {
    /// At the start.
    pub start: u64,
    /// The most.
    pub peak: u64,
    /// At the end.
    pub end: u64,
}

impl Levels {
    /// Takes the level of this moment.
    pub(super) fn observe(&mut self, now: u64) {
        self.peak = self.peak.max(now);
        self.end = now;
    }
}

impl Summary {
    /// Takes the figures of this moment.
    pub(super) fn observe(&mut self, census: Census, signalling: &Counters, media: &MediaCounters, times: &TickTimes) {
        self.peak = self.peak.max(&census);
        self.end = census;
        self.signalling = signalling.clone();
        self.media = media.clone();
        self.tick_time = times.percentiles();
    }

    /// Adds the figures of another world. Percentiles can't be added: the worse ones are kept.
    pub(super) fn add(&mut self, other: &Summary) {
        self.signalling.add(&other.signalling);
        self.media.add(&other.media);
        self.start = self.start.sum(&other.start);
        self.peak = self.peak.sum(&other.peak);
        self.end = self.end.sum(&other.end);
        // Of the whole process: all worlds saw the same.
        self.buffers.start = self.buffers.start.max(other.buffers.start);
        self.buffers.peak = self.buffers.peak.max(other.buffers.peak);
        self.buffers.end = self.buffers.end.max(other.buffers.end);
        self.pool_free += other.pool_free;
        self.pool_misses += other.pool_misses;
        self.ticks_late += other.ticks_late;
        self.ticks_skipped += other.ticks_skipped;
        self.events_lost += other.events_lost;
        self.defects.extend_from_slice(&other.defects);
        self.alarms.extend_from_slice(&other.alarms);
        self.recordings.extend_from_slice(&other.recordings);
        let (mine, theirs) = (&mut self.tick_time, &other.tick_time);
        mine.ticks = mine.ticks.max(theirs.ticks);
        mine.p50_us = mine.p50_us.max(theirs.p50_us);
        mine.p99_us = mine.p99_us.max(theirs.p99_us);
        mine.max_us = mine.max_us.max(theirs.max_us);
        match (&mut self.flight, &other.flight) {
            (Some(mine), Some(theirs)) => mine.add(theirs),
            (None, theirs) => self.flight.clone_from(theirs),
            _ => {}
        }
        match (&mut self.state, &other.state) {
            (Some(mine), Some(theirs)) => mine.add(theirs),
            (None, theirs) => self.state.clone_from(theirs),
            _ => {}
        }
        // They were taken up at the same time: the slowest counts.
        let slower = |recovery: &Recovery| recovery.restore_us + recovery.live_us;
        self.recovery = self.recovery.into_iter().chain(other.recovery).max_by_key(slower);
    }
}

/// How long ticks took.
#[derive(Debug)]
pub(super) struct TickTimes(Histogram<u64>);

impl Default for TickTimes {
    fn default() -> Self {
        // A microsecond to ten seconds in two significant digits: these bounds are legal.
        Self(Histogram::new_with_bounds(1, 10_000_000, 2).unwrap_or_else(|_| unreachable!("the bounds are legal")))
    }
}

impl TickTimes {
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn percentiles(&self) -> TickPercentiles {
        TickPercentiles {
            ticks: self.0.len(),
            p50_us: self.0.value_at_quantile(0.5),
            p99_us: self.0.value_at_quantile(0.99),
            max_us: self.0.max(),
        }
    }
}
