//! The ladder of a call for the terminal: a column for each peer, the switch at the right, and what happened in it
//! beside.

use super::svg_text::cut;
use super::{SipStep, Trace, What};
use crate::capture::{description, message};
use crate::inspect::{duration, seconds, utc};
use ringworld_components::kernel::{Now, TICK};
use std::fmt::Write;
use std::time::Duration;

/// Characters between two columns.
const GAP: usize = 52;

/// A pause that gets a line.
const PAUSE: Duration = Duration::from_secs(1);

/// Draws the ladder.
// Writing to a string can't fail.
pub fn ladder(trace: &Trace) -> String {
    let peers = trace.peers();
    let columns = peers.len();
    let mut text = format!("{}\n", trace.title());
    if let Some(first) = trace.steps.first() {
        let unix_ms = trace.began_unix_ms.saturating_add(first.at.0.saturating_mul(TICK.as_millis() as u64));
        let _ = writeln!(text, "begins at {}, tick {}", utc(unix_ms), first.at.0);
    }
    let local = trace.messages().next().map(|message| format!(" {}", message.local)).unwrap_or_default();
    let heads: String = peers.iter().map(|peer| format!("{:<width$}", peer.to_string(), width = GAP + 1)).collect();
    let _ = writeln!(text, "\n{:13}{heads}ringworld{local}", "");
    let mut before: Option<Now> = None;
    for step in &trace.steps {
        if let Some(pause) = before.map(|before| step.at.since(before)).filter(|&pause| pause >= PAUSE) {
            let _ = writeln!(
                text,
                "{:>11}  {}",
                "",
                format!("{}┊", rails(columns, '┊')) + &format!("  {}", duration(pause))
            );
        }
        let time = if before == Some(step.at) { String::new() } else { seconds(step.at) };
        before = Some(step.at);
        let line = match &step.what {
            What::Sip(message) => {
                let at = peers.iter().position(|peer| *peer == message.peer).unwrap_or(0);
                let description = description::summary(&message.bytes).map(|description| {
                    let between = format!(
                        "{:^width$}",
                        cut(&description, width_of(columns - at)),
                        width = width_of(columns - at)
                    );
                    format!("\n{:>11}  {}│{between}│", "", rails(at, '│'))
                });
                format!("{}{}{}", rails(at, '│'), arrow(message, columns - at), description.unwrap_or_default())
            }
            What::State(what) => format!("{}●  {what}", rails(columns, '│')),
            What::Command(what) => format!("{}◆  asked to {what}", rails(columns, '│')),
            What::Media(what) => format!("{}♪  {what}", rails(columns, '│')),
        };
        let _ = writeln!(text, "{time:>11}  {line}");
    }
    text
}

fn rails(columns: usize, rail: char) -> String {
    format!("{rail}{:GAP$}", "").repeat(columns)
}

/// Characters between a peer's line and the switch's, with so many gaps between them.
fn width_of(gaps: usize) -> usize {
    gaps * GAP + gaps.saturating_sub(1)
}

/// An arrow over so many gaps, from the peer's line to the switch's.
fn arrow(message: &SipStep, gaps: usize) -> String {
    let width = width_of(gaps);
    let stroke = if message.is_again { '╌' } else { '─' };
    let mut label = message::title(&message.bytes);
    if message.is_again {
        label.push_str(" (again)");
    }
    let label = cut(&label, width - 8);
    let dashes = width - label.chars().count() - 4;
    let line = |count: usize| stroke.to_string().repeat(count);
    let left = dashes / 2;
    if message.is_ours {
        format!("│◀{} {label} {}┤", line(left), line(dashes - left + 1))
    } else {
        format!("├{} {label} {}▶│", line(left + 1), line(dashes - left))
    }
}
