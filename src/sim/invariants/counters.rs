//! What crossed the border, counted independently of the switch.

use super::{Breach, Invariant};
use crate::engine::{Engine, Sum};
use std::collections::BTreeMap;

/// What crossed.
#[derive(Debug, Default)]
pub(in crate::sim) struct Crossings {
    pub rtp_in: u64,
    pub rtp_out: u64,
    pub ended: u64,
    /// Whether the switch has lost some ticks, and its counters with them.
    pub is_void: bool,
}

impl Crossings {
    /// Compares with the switch's own counters; `responses` and `requests` as the wire was read.
    pub fn check(
        &self,
        engine: &Engine,
        responses: &BTreeMap<u16, (u64, u64)>,
        requests: &BTreeMap<String, u64>,
        digits: u64,
    ) -> Option<Breach> {
        if self.is_void {
            return None;
        }
        if let Some(imbalance) = Sum::Calls.check(engine) {
            return Some(breach(imbalance.to_string()));
        }
        let (signalling, media) = (engine.counters(), engine.media_counters());
        let dropped = media.dropped_no_stream
            + media.dropped_malformed
            + media.dropped_foreign
            + media.dropped_payload_type
            + media.dropped_on_hold
            + media.dropped_rtcp;
        let outcomes: u64 = signalling.outcomes.values().sum();
        let counted = |status: &u16| signalling.responses_sent.get(status).copied().unwrap_or(0);
        let equal = [
            ("packets in", media.packets_in + media.rtcp_in + dropped, self.rtp_in),
            ("packets out", media.packets_out, self.rtp_out),
            ("outcomes", outcomes, self.ended),
            ("digits", media.digits_in.max(digits), media.digits_in),
        ];
        let wrong = equal.iter().find(|(_, counted, seen)| counted != seen);
        if let Some((name, counted, seen)) = wrong {
            return Some(breach(format!("{name}: counted {counted}, seen {seen}")));
        }
        for (status, (distinct, all)) in responses {
            // What is refused without a transaction is counted each time, so a repetition may count or not.
            if !(*distinct..=*all).contains(&counted(status)) {
                return Some(breach(format!(
                    "responses {status}: counted {}, seen {distinct} to {all}",
                    counted(status)
                )));
            }
        }
        let received = |method: &String| signalling.requests_received.get(method).copied().unwrap_or(0);
        let short = requests.iter().find(|(method, seen)| received(method) < **seen);
        short.map(|(method, seen)| breach(format!("{method}: counted {}, seen {seen}", received(method))))
    }
}

fn breach(what: String) -> Breach {
    Breach::new(Invariant::CountersAddUp, what, [])
}
