//! What is counted in a world. Plain numbers in a recorded resource.

use crate::record::Record;
use bevy_ecs::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counters of signalling and of calls. Never read by a system to decide anything.
#[derive(Resource, Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that came in.
    pub calls_in: u64,
    /// Calls that we placed.
    pub calls_out: u64,
    /// Calls that were answered.
    pub calls_answered: u64,
    /// Ended calls by outcome, in the words of `EndCause`, with the status where one decided.
    pub outcomes: BTreeMap<String, u64>,
    /// Responses sent, by status.
    pub responses_sent: BTreeMap<u16, u64>,
    /// Requests received, by method; unknown methods as "other".
    pub requests_received: BTreeMap<String, u64>,
    /// Messages received that were retransmissions.
    pub retransmissions_received: u64,
    /// Messages sent again because of a timer.
    pub retransmissions_sent: u64,
    /// Messages dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Limits that were hit, by name.
    pub limits_hit: BTreeMap<String, u64>,
    /// Requests of behaviours and commands that were illegal in the session's state.
    pub refused_operations: u64,
    /// Session descriptions of peers whose version breaks RFC 3264 section 8. Their content was taken.
    pub sdp_versions_wrong: u64,
    /// Panics that were contained, by the system that they happened in. Each is a defect, and cost a call.
    pub panics: BTreeMap<String, u64>,
}

impl Counters {
    /// Counts a dropped message.
    pub fn drop_message(&mut self, reason: &str) {
        add(&mut self.dropped, reason);
    }

    /// Counts a limit that was hit.
    pub fn hit_limit(&mut self, limit: &str) {
        add(&mut self.limits_hit, limit);
    }

    /// Counts a contained panic.
    pub fn panicked(&mut self, system: &str) {
        add(&mut self.panics, system);
    }

    /// Counts a call's outcome.
    pub fn outcome(&mut self, outcome: &str) {
        add(&mut self.outcomes, outcome);
    }
}

impl Counters {
    /// Adds the counts of another world.
    pub fn add(&mut self, other: &Counters) {
        fn merge<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
            for (key, count) in from {
                *into.entry(key.clone()).or_default() += count;
            }
        }
        self.calls_in += other.calls_in;
        self.calls_out += other.calls_out;
        self.calls_answered += other.calls_answered;
        merge(&mut self.outcomes, &other.outcomes);
        merge(&mut self.responses_sent, &other.responses_sent);
        merge(&mut self.requests_received, &other.requests_received);
        self.retransmissions_received += other.retransmissions_received;
        self.retransmissions_sent += other.retransmissions_sent;
        merge(&mut self.dropped, &other.dropped);
        merge(&mut self.limits_hit, &other.limits_hit);
        self.refused_operations += other.refused_operations;
        self.sdp_versions_wrong += other.sdp_versions_wrong;
        merge(&mut self.panics, &other.panics);
    }
}

fn add(map: &mut BTreeMap<String, u64>, key: &str) {
    match map.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            map.insert(key.to_owned(), 1);
        }
    }
}
