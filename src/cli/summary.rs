//! The summary of a run as a table.

use super::output::columns;
use crate::engine::{Census, Summary};
use serde_json::Value;

/// The summary as text. Counters of network and media that stayed at zero are left out.
pub(super) fn text(summary: &Summary) -> String {
    let mut text = String::from("\n");
    let signalling = &summary.signalling;
    let mut rows = vec![row(
        "calls in / placed / answered",
        [signalling.calls_in, signalling.calls_out, signalling.calls_answered],
    )];
    rows.extend(signalling.outcomes.iter().map(|(outcome, count)| (format!("  ended: {outcome}"), count.to_string())));
    rows.push(row("requests refused as illegal", [signalling.refused_operations]));
    rows.push(row("retransmissions in / out", [signalling.retransmissions_received, signalling.retransmissions_sent]));
    rows.extend(signalling.dropped.iter().map(|(reason, count)| (format!("  dropped: {reason}"), count.to_string())));
    rows.extend(signalling.limits_hit.iter().map(|(name, count)| (format!("  limit hit: {name}"), count.to_string())));
    rows.push(row("packets in / out", [summary.media.packets_in, summary.media.packets_out]));
    rows.extend(counters(&summary.media, &["packets_in", "packets_out"]));
    rows.push(("network".to_owned(), String::new()));
    rows.extend(counters(&summary.network, &[]));
    let ticks = &summary.tick_time;
    rows.push(row("ticks / late / skipped", [ticks.ticks, summary.ticks_late, summary.ticks_skipped]));
    rows.push(row("tick time p50 / p99 / max, us", [ticks.p50_us, ticks.p99_us, ticks.max_us]));
    rows.push(row("events lost by slow readers", [summary.events_lost]));
    rows.push(row("packet buffers free / allocated", [summary.pool_free, summary.pool_misses]));
    text.push_str(&columns(&rows));
    text.push_str(&inventory(summary));
    text.extend(summary.alarms.iter().map(|alarm| format!("alarm: {alarm}\n")));
    text.extend(summary.recordings.iter().map(recorded));
    text.extend(summary.defects.iter().map(|defect| format!("a defect of ringworld, please report it: {defect}\n")));
    text
}

fn row<const N: usize>(name: &str, values: [u64; N]) -> (String, String) {
    (name.to_owned(), values.map(|value| value.to_string()).join(" / "))
}

/// The counters of a structure by name, but for those at zero and those named in `except`.
fn counters(of: &impl serde::Serialize, except: &[&str]) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if let Ok(Value::Object(fields)) = serde_json::to_value(of) {
        for (name, value) in fields {
            match value {
                Value::Number(number) if number.as_u64() != Some(0) && !except.contains(&name.as_str()) => {
                    rows.push((format!("  {}", name.replace('_', " ")), number.to_string()));
                }
                Value::Object(inner) => {
                    rows.extend(
                        inner.into_iter().map(|(reason, count)| (format!("  {name}: {reason}"), count.to_string())),
                    );
                }
                _ => {}
            }
        }
    }
    rows
}

/// What there was at the start, at the peak and at the end.
fn inventory(summary: &Summary) -> String {
    let mut text = format!("{:<14}{:>10}{:>10}{:>10}\n", "", "start", "peak", "end");
    let line = |name: &str, of: fn(&Census) -> u64| {
        format!("{name:<14}{:>10}{:>10}{:>10}\n", of(&summary.start), of(&summary.peak), of(&summary.end))
    };
    text.push_str(&line("entities", |census| census.entities));
    text.push_str(&line("sessions", |census| census.sessions));
    text.push_str(&line("dialogs", |census| census.dialogs));
    text.push_str(&line("transactions", |census| census.transactions));
    text.push_str(&line("streams", |census| census.streams));
    text.push_str(&line("rooms", |census| census.rooms));
    text.push_str(&line("timers", |census| census.timers));
    text.push_str(&line("port pairs", |census| census.ports));
    let buffers = &summary.buffers;
    let (start, peak, end) = (buffers.start, buffers.peak, buffers.end);
    text.push_str(&format!("{:<14}{start:>10}{peak:>10}{end:>10}\n", "pool buffers"));
    text
}

fn recorded(recording: &crate::replay::RecordingSummary) -> String {
    let mut text =
        format!("recorded {} ticks, {} bytes, in {}\n", recording.ticks, recording.bytes, recording.path.display());
    if let Some(tick) = recording.truncated_at {
        text.push_str(&format!(
            "the recording reached its size limit at tick {tick} (record.mib_max) and ends there\n"
        ));
    }
    if let Some(failed) = &recording.failed {
        text.push_str(&format!("the recording ended early: {failed}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_there_and_what_did_not_is_left_out() {
        let mut summary = Summary::default();
        summary.signalling.calls_in = 12;
        summary.signalling.outcome("peer hung up");
        summary.network.sip_udp_in = 36;
        summary.network.malformed.insert("no Via", 4);
        summary.media.dropped_foreign = 7;
        summary.peak.sessions = 9;
        let text = text(&summary);
        for part in
            ["12 / 0 / 0", "ended: peer hung up", "sip udp in", "malformed: no Via", "dropped foreign", "port pairs"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("sip tcp in"), "{text}");
        assert!(text.lines().any(|line| line.split_whitespace().eq(["sessions", "0", "9", "0"])), "{text}");
    }
}
