//! The table at the end of the demonstration.

use super::Shown;
use super::check::Checked;
use crate::cli::output::columns;
use crate::load::HeardCount;

pub(super) fn text(shown: &Shown) -> String {
    let Shown { report, summary, bytes_per_call, checked } = shown;
    let ms = |us: u64| format!("{}.{:01} ms", us / 1000, us % 1000 / 100);
    let heard = |count: HeardCount| format!("{} of {}", count.exact, count.expected);
    let tick = &summary.tick_time;
    let memory = bytes_per_call.map_or("unknown".to_owned(), |bytes| {
        format!("{} kB a call, caller and switch together", bytes.div_ceil(1000))
    });
    let mut rows =
        vec![("calls".to_owned(), format!("{} of {} answered, held and ended", report.completed, report.calls))];
    for (outcome, count) in report.calls_by_outcome.iter().filter(|(outcome, _)| *outcome != "completed") {
        rows.push((String::new(), format!("{count} {outcome}")));
    }
    let pairs = [
        ("set-up time", format!("p50 {}, p99 {}", ms(report.setup.p50_us), ms(report.setup.p99_us))),
        (
            "packets",
            format!("{} sent, {} received, {} lost", report.packets_sent, report.packets_received, report.packets_lost),
        ),
        ("heard: echo", format!("{} heard themselves and nothing else", heard(report.echo))),
        ("heard: rooms", format!("{} heard all the others and not themselves", heard(report.rooms))),
        ("tick", format!("p50 {} us, p99 {} us, max {} us", tick.p50_us, tick.p99_us, tick.max_us)),
        ("late ticks", format!("{}, skipped {}", summary.ticks_late, summary.ticks_skipped)),
        ("memory", memory),
        ("replay", replayed(checked)),
    ];
    rows.extend(pairs.map(|(name, value)| (name.to_owned(), value)));
    columns(&rows)
}

fn replayed(checked: &Checked) -> String {
    match checked {
        Checked::Agreed { ticks, speed } => format!("{ticks} ticks, {speed} times real time: all digests agree"),
        Checked::Failed(why) => why.clone(),
    }
}
