//! What was exercised, as a table.

use crate::cli::output::columns;
use crate::sim::Exercised;
use ringworld_components::call::SessionState;
use std::time::Duration;

/// The table: what happened, and what never did.
pub(super) fn text(exercised: &Exercised, took: Duration) -> String {
    let signalling = &exercised.signalling;
    let seconds = exercised.lived_ms as f64 / 1000.0;
    let mut rows = vec![
        ("runs".to_owned(), format!("{}, all invariants hold", exercised.runs)),
        (
            "time".to_owned(),
            format!(
                "{seconds:.0} s lived in {:.1} s, {:.0} times as fast; {} ticks ran",
                took.as_secs_f64(),
                seconds / took.as_secs_f64().max(0.001),
                exercised.ticks
            ),
        ),
        (
            "calls".to_owned(),
            format!("{} in, {} out, {} answered", signalling.calls_in, signalling.calls_out, signalling.calls_answered),
        ),
    ];
    let mut list = |title: &str, lines: Vec<(String, u64)>| {
        for (index, (what, count)) in lines.into_iter().enumerate() {
            let title = if index == 0 { title } else { "" };
            rows.push((title.to_owned(), format!("{count:>9}  {what}")));
        }
    };
    list("ended", sorted(signalling.outcomes.iter().map(|(what, count)| (what.clone(), *count))));
    list("faults", sorted(exercised.faults.iter().map(|(kind, count)| (kind.to_string(), *count))));
    let of_change = |(from, to): &(SessionState, SessionState)| format!("{from} -> {to}");
    list("changes", exercised.changes.iter().map(|(change, count)| (of_change(change), *count)).collect());
    list("never", exercised.never_changed().iter().map(|change| (of_change(change), 0)).collect());
    list("responses", signalling.responses_sent.iter().map(|(status, count)| (status.to_string(), *count)).collect());
    list("limits hit", sorted(signalling.limits_hit.iter().map(|(limit, count)| (limit.clone(), *count))));
    list("dropped", sorted(signalling.dropped.iter().map(|(reason, count)| (reason.clone(), *count))));
    let media = &exercised.media;
    let others = [
        ("agreed", format!("{} dialogs, by both ends, after the network had healed", exercised.agreed)),
        (
            "packets",
            format!(
                "{} carried; {} voices told, {} digits heard",
                exercised.packets, exercised.voices, media.digits_in
            ),
        ),
    ];
    rows.extend(others.map(|(name, value)| (name.to_owned(), value)));
    columns(&rows)
}

/// The most frequent first.
fn sorted(lines: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut lines: Vec<_> = lines.collect();
    lines.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    lines
}
